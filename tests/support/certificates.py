"""Certificates for the tests: an authority of their own, a server's and a client's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme

from aisdatapipes.testing import ServerTLS


@dataclass(frozen=True)
class Certificates:
    """Files in PEM format.

    Attributes:
        ca: The authority.
        server: For 127.0.0.1, signed by it: certificate and key.
        client: For a client, signed by it: certificate and key.
    """

    ca: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]

    def tls(self, *, needs_client_certificate: bool = False) -> ServerTLS:
        """What a `LocalCluster` needs to serve with them."""
        return ServerTLS(*self.server, self.ca, needs_client_certificate)


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, and what it signs, in `folder`."""
    authority = trustme.CA()
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    pairs = [_issue(authority, folder, name) for name in ("127.0.0.1", "reader@example.com")]
    return Certificates(ca, *pairs)


def _issue(authority: trustme.CA, folder: Path, name: str) -> tuple[Path, Path]:
    issued = authority.issue_cert(name)
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    issued.private_key_pem.write_to_path(key)
    return certificate, key
