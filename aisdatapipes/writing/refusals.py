"""Refusals: what the cluster says of a name that cannot be written, as errors of a filesystem."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import AISPipeError, ChecksumError, IsFolderError, NotAFolderError
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["written"]

# Source: AIStore v1.5.0, ``cmn/cos/err.go``: ``ErrMv``, and ``cmn/cos/cksum.go``.
_FOLDER = "destination exists and is a virtual directory"
_UNDER_OBJECT = "destination contains an object in its path"
_DAMAGED = "BAD DATA CHECKSUM"


@contextmanager
def written(request: ObjectRequest, doing: str = "write") -> Iterator[None]:
    """Turn what the SDK and its transport raise inside the block into our errors.

    Args:
        request: What is being written.
        doing: How, for the message: a verb.

    Raises:
        IsFolderError: It is a folder.
        NotAFolderError: It is under the name of an object.
        ChecksumError: What arrived was changed on the way, and was not stored.
        AISPipeError: Another failure.
    """
    try:
        with translated_errors(request.url, request.endpoint, doing):
            yield
    except AISPipeError as error:
        if _FOLDER in error.message:
            raise IsFolderError(
                f"cannot {doing} {request.label}: it is a folder; AIStore keeps one for some time "
                "after its last object is deleted: use another name"
            ) from None
        if _UNDER_OBJECT in error.message:
            raise NotAFolderError(
                f"cannot {doing} {request.label}: a part of its name is that of an object: use "
                "another name"
            ) from None
        if _DAMAGED in error.message:
            raise ChecksumError(
                f"cannot {doing} {request.label}: it arrived with another checksum than it was "
                "sent with: write it again; if that does not help, it is damaged on the way"
            ) from None
        raise
