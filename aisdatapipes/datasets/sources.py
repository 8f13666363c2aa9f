"""What a dataset reads, from the arguments of its constructor."""

from __future__ import annotations

from collections.abc import Iterable

from aisdatapipes.client import resolve_endpoint
from aisdatapipes.listing import Source
from aisdatapipes.manifest import Manifest
from aisdatapipes.selections import PrefixMap
from aisdatapipes.settings import Settings

__all__ = ["PrefixMap", "Source", "manifest_and_endpoint"]


def manifest_and_endpoint(
    ais_source_list: Source | Iterable[Source] | None,
    prefix_map: PrefixMap | None,
    urls_list: str | Iterable[str] | None,
    manifest: Manifest | None,
    client_url: str | None,
    settings: Settings | None,
) -> tuple[Manifest, str]:
    """Return the manifest that is given, or one of what is given, and the cluster's address.

    Raises:
        ValueError: Nothing is given, or a manifest and something beside it.
        AISPipeError: The listing failed.
    """
    if manifest is None:
        manifest = Manifest.build(
            urls_list, ais_source_list, prefix_map, client_url=client_url, settings=settings
        )
    elif ais_source_list or urls_list or prefix_map:
        raise ValueError(
            "a manifest already says which objects there are: give either manifest= or "
            "urls_list=, ais_source_list= and prefix_map="
        )
    return manifest, resolve_endpoint(client_url or manifest.endpoint)
