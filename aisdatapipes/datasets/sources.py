"""What a dataset reads, from the arguments of its constructor."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.listing.bucket_listing import AISSource, Object, Source, endpoint_of
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.selections import PrefixMap

__all__ = ["PrefixMap", "Source", "manifest_and_endpoint", "settings_like"]

_TOKEN_VARIABLES = ("AIS_AUTHN_TOKEN", "AIS_AUTHN_TOKEN_FILE")


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


def settings_like(
    ais_source_list: Source | Iterable[Source] | None, endpoint: str, settings: Settings | None
) -> Settings:
    """Return the settings, with token and TLS of the sources' own client where they have none.

    Only of a client of this very endpoint: nobody else's token goes there. A token of the
    environment is not taken from a client, which does not read it again when it changes.
    """
    settings = settings or Settings()
    is_one = isinstance(ais_source_list, (AISSource, Object))
    for source in [ais_source_list] if is_one else ais_source_list or ():
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
