"""What a local cluster can be beside plain: with tokens, with HTTPS, with another one attached."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from aistore.sdk import Client
from aistore.sdk.authn.errors import AuthNError
from aistore.sdk.errors import AISError
from aistore.sdk.types import Namespace

from aisdatapipes.testing import AuthnServer, ClusterStartError, LocalCluster
from conftest import PutObject
from support.certificates import make_certificates
from support.processes import is_alive


@pytest.fixture(scope="module")
def authn() -> Iterator[AuthnServer]:
    """A token server."""
    with AuthnServer() as server:
        yield server


@pytest.fixture(scope="module")
def far() -> Iterator[LocalCluster]:
    """A second cluster."""
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def near() -> Iterator[LocalCluster]:
    """A cluster to attach others to."""
    with LocalCluster() as cluster:
        yield cluster


def test_a_token_server_has_an_administrator(authn: AuthnServer) -> None:
    """It knows the administrator by the password that it shows, and nobody without."""
    assert authn.client().client.token.count(".") == 2
    with pytest.raises(AuthNError):
        authn.client().login(authn.user, "guessed")
    assert authn.endpoint.startswith("http://127.0.0.1:")
    assert len(authn.pids) == 2
    assert all(is_alive(pid) for pid in authn.pids)


def test_two_token_servers_share_no_secret(authn: AuthnServer) -> None:
    """Secret and password are made up for each; without a block there is no address."""
    other = AuthnServer()
    assert other.secret != authn.secret
    assert other.password != authn.password
    with pytest.raises(RuntimeError, match="use it in a `with` block"):
        _ = other.endpoint


def test_a_cluster_with_a_secret_asks_for_tokens(authn: AuthnServer) -> None:
    """Without a token nothing is done; the server's administrator and the cluster's own may."""
    with LocalCluster(auth_secret=authn.secret) as cluster:
        admin = authn.client()
        admin.cluster_manager().register("mine", [cluster.endpoint])
        with pytest.raises(AISError) as caught:
            Client(cluster.endpoint).bucket("b").create()
        assert caught.value.status_code == 401
        cluster.client().bucket("own").create()
        bucket = cluster.client(admin.client.token).bucket("b").create()
        bucket.object("a").get_writer().put_content(b"hello")
        assert bucket.object("a").get_reader().read_all() == b"hello"


@pytest.mark.parametrize("needs_client_certificate", [False, True])
def test_a_cluster_with_certificates_serves_https(
    tmp_path: Path, needs_client_certificate: bool
) -> None:
    """Proxy and target serve HTTPS, the cluster's own client trusts them, others do not."""
    certificates = make_certificates(tmp_path)
    tls = certificates.tls(needs_client_certificate=needs_client_certificate)
    with LocalCluster(tls=tls) as cluster:
        assert cluster.endpoint.startswith("https://127.0.0.1:")
        bucket = cluster.client().bucket("b").create()
        bucket.object("a").get_writer().put_content(b"hello")
        assert bucket.object("a").get_reader().read_all() == b"hello"
        with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urlopen(f"{cluster.endpoint}/v1/health", context=ssl.create_default_context())
        anonymous = ssl.create_default_context(cafile=certificates.ca)
        if needs_client_certificate:
            with pytest.raises((URLError, ssl.SSLError), match=r"(?i)certificate required"):
                urlopen(f"{cluster.endpoint}/v1/health", context=anonymous)
        else:
            with urlopen(f"{cluster.endpoint}/v1/health", context=anonymous) as answer:
                assert answer.status == 200


def test_another_cluster_is_attached_under_an_alias(
    near: LocalCluster, far: LocalCluster, put_object: PutObject
) -> None:
    """What the other cluster has is read through this one, by the alias."""
    put_object(far.client().bucket("b").create(), "a", b"hello")
    near.attach("far", far.endpoint)
    bucket = near.client().bucket("b", namespace=Namespace(uuid="far"))
    assert bucket.object("a").get_reader().read_all() == b"hello"


def test_what_cannot_be_attached_is_an_error(near: LocalCluster, unused_endpoint: str) -> None:
    """An address where no cluster is gives an error that names it."""
    with pytest.raises(ClusterStartError, match=rf"attach {unused_endpoint} as 'gone': no answer"):
        near.attach("gone", unused_endpoint)
