"""What a local cluster needs to serve HTTPS: certificates that the caller has made."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ServerTLS"]


@dataclass(frozen=True)
class ServerTLS:
    """The files, in PEM format, with which a `LocalCluster` serves HTTPS instead of HTTP.

    Args:
        certificate: The nodes' certificate; it has to be good for the address 127.0.0.1, and for
            clients too, as the nodes show it to each other.
        key: Its private key.
        ca: Certificate of the authority that signed it; give this one to clients.
        needs_client_certificate: Whether clients must show a certificate signed by `ca`.
    """

    certificate: Path
    key: Path
    ca: Path
    needs_client_certificate: bool = False

    def section(self) -> dict[str, object]:
        """Return what the section ``net.http`` of the cluster's file needs."""
        return {
            "use_https": True,
            "server_crt": str(self.certificate.resolve()),
            "server_key": str(self.key.resolve()),
            "client_ca_tls": str(self.ca.resolve()),
            # The numbers of Go's tls.ClientAuthType.
            "client_auth_tls": 4 if self.needs_client_certificate else 0,
        }

    def context(self) -> ssl.SSLContext:
        """Return what a client needs that asks the nodes, with their own certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.certificate, self.key)
        return context
