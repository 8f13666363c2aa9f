"""What a dataset reads, and by what, from the arguments of its constructor."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypedDict

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.etl import ETLCall
from aisdatapipes.listing.bucket_listing import endpoint_of
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.selections import PrefixMap
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorPolicy, ReadOptions
from aisdatapipes.types import AISSource, ETLConfig, Object, Source

__all__ = [
    "ClusterKeywords",
    "DatasetSource",
    "PrefixMap",
    "Source",
    "SourceKeywords",
    "Sources",
    "settings_like",
]

_TOKEN_VARIABLES = ("AIS_AUTHN_TOKEN", "AIS_AUTHN_TOKEN_FILE")

Sources: TypeAlias = Source | str | Iterable[Source | str] | None
"""Sources of the SDK, or URLs as in `urls_list`, one or several."""


class ClusterKeywords(TypedDict, total=False):
    """What the cluster is to make of the objects, and how to talk to it."""

    etl: ETLConfig | None
    settings: Settings | None


class SourceKeywords(ClusterKeywords, total=False):
    """The same, its address, and whether a prefix may have no objects: None warns."""

    client_url: str | None
    allow_empty: bool | None


@dataclass(frozen=True)
class DatasetSource:
    """The objects of a dataset, and what reads them.

    Attributes:
        manifest: The objects.
        endpoint: Address of the cluster.
        reader: Reads them, and counts.
    """

    manifest: Manifest
    endpoint: str
    reader: ObjectReader

    @classmethod
    def of(
        cls,
        ais_source_list: Sources,
        prefix_map: PrefixMap | None,
        etl_name: str | None,
        urls_list: str | Iterable[str] | None,
        manifest: Manifest | None,
        keywords: Mapping[str, Any],
    ) -> DatasetSource:
        """List what is given, unless a manifest is, and say how it is read.

        Args:
            ais_source_list: Sources of the SDK; a string is taken for a prefix URL.
            prefix_map: Their prefixes.
            etl_name: ETL that the cluster applies to every object.
            urls_list: Prefix URLs.
            manifest: The objects, in place of these.
            keywords: `SourceKeywords` and `ReadKeywords`.

        Raises:
            ValueError: Nothing is given, or a manifest and something beside it; or an option is
                out of its range, or ``ordered=False``.
            AISPipeError: The listing failed.
        """
        client_url, settings = keywords.get("client_url"), keywords.get("settings")
        urls, sources = _sorted(urls_list, ais_source_list)
        etl = ETLCall.of(etl_name, keywords.get("etl"))
        # First, as the listing takes its time.
        options, policy = ReadOptions.of(keywords), ErrorPolicy.of(keywords)
        if not options.ordered:
            raise ValueError(
                "ordered is False, but a dataset keeps its order, which indices and states are of: "
                "leave it out, or read by the pipe AISFileLoader"
            )
        if manifest is None:
            manifest = Manifest.build(
                urls,
                sources,
                prefix_map,
                client_url=client_url,
                settings=settings,
                allow_empty=keywords.get("allow_empty"),
            )
        elif urls or sources or prefix_map:
            raise ValueError(
                "a manifest already says which objects there are: give either manifest= or "
                "urls_list=, ais_source_list= and prefix_map="
            )
        endpoint = resolve_endpoint(client_url or manifest.endpoint)
        reader = ObjectReader(
            endpoint,
            etl,
            clusters=manifest.clusters,
            options=options,
            policy=policy,
            settings=settings_like(sources, endpoint, settings),
        )
        return cls(manifest, endpoint, reader)


def _sorted(
    urls_list: str | Iterable[str] | None, ais_source_list: Sources
) -> tuple[list[str], list[Source]]:
    """Return URLs and sources; a string among the sources is a URL, after the others."""
    urls = [urls_list] if isinstance(urls_list, str) else list(urls_list or ())
    is_one = isinstance(ais_source_list, (str, AISSource, Object))
    given = [ais_source_list] if is_one else list(ais_source_list or ())
    urls += [one for one in given if isinstance(one, str)]
    return urls, [one for one in given if not isinstance(one, str)]


def settings_like(sources: Iterable[Source], endpoint: str, settings: Settings | None) -> Settings:
    """Return the settings, with token and TLS of the sources' own client where they have none.

    Only of a client of this very endpoint: nobody else's token goes there. A token of the
    environment is not taken from a client, which does not read it again when it changes.
    """
    settings = settings or Settings()
    for source in sources:
        if not isinstance(source, AISSource) or endpoint_of(source) != endpoint:
            continue
        client = source.client
        tls = client.session_manager
        has_token = (
            settings.token or settings.token_file or any(map(os.environ.get, _TOKEN_VARIABLES))
        )
        return replace(
            settings,
            token=settings.token if has_token else client.token,
            ca_cert=settings.ca_cert or tls.ca_cert,
            client_cert=settings.client_cert or tls.client_cert,
            skip_verify=settings.skip_verify or tls.skip_verify,
        )
    return settings
