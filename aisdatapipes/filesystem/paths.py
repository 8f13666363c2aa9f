"""Paths: which bucket, folder or object they mean."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import cast

from fsspec import AbstractFileSystem

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import InvalidURLError, IsFolderError
from aisdatapipes.filesystem.instances import InstanceCache
from aisdatapipes.listing.folders import Folder
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.urls import ParsedURL, parse_object_url, parse_url

__all__ = ["BucketPaths"]


class BucketPaths(AbstractFileSystem, metaclass=InstanceCache):
    """A filesystem that knows what its paths mean; it sends no request."""

    protocol = "ais"
    root_marker = ""
    endpoint: str
    provider: str
    settings: Settings

    def plain(self, path: str) -> str:
        """Return a path without the scheme, and without a slash at its end."""
        return cast("str", self._strip_protocol(path))

    def url_for(self, path: str) -> ParsedURL:
        """Return the URL of a bucket, folder or object, taken apart; sends no request.

        Raises:
            InvalidURLError: AIStore would store it under another name.
        """
        path = self.plain(path)
        if "://" in path:
            raise InvalidURLError(
                f"{path!r} is no path of {self.provider} buckets: for those of a cloud give "
                "provider='aws' (or gcp, azure, oci) and write ais://bucket/name"
            )
        url = f"{self.provider}://{path}"
        parsed = parse_url(url)
        return parse_object_url(url) if parsed.name else parsed

    def request_for(self, path: str) -> ObjectRequest:
        """Return the request for an object; sends none.

        Raises:
            IsFolderError: It is a bucket.
            InvalidURLError: There can be no object of that name.
        """
        url = self.url_for(path)
        if not url.name:
            raise IsFolderError(
                f"{path!r} is the path of a bucket: name an object in it, bucket/name"
            )
        return ObjectRequest(url, self.endpoint, self.settings)

    def request_to_write(self, path: str) -> ObjectRequest:
        """Return the request for an object that is to be written; sends none.

        Raises:
            IsFolderError: It is a bucket, or ends in a slash, which fsspec takes away.
            InvalidURLError: There can be no object of that name.
        """
        if os.fspath(path).endswith("/"):
            raise IsFolderError(f"{path!r} is a folder: write an object in it")
        return self.request_for(path)

    def folder_at(self, path: str) -> Folder:
        """Return a folder, or a whole bucket; sends no request."""
        url = self.url_for(path)
        name = f"{url.name}/" if url.name else ""
        return Folder(replace(url, name=name), self.endpoint, self.settings)

    def is_possible(self, path: str) -> bool:
        """Whether there can be something of that name: not each pattern is one."""
        try:
            self.url_for(path)
        except InvalidURLError:
            return False
        return True
