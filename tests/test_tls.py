"""HTTPS: real clusters with certificates of their own authority, trusted, refused and skipped."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import pytest
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISFileLoader, Settings, errors
from aisdatapipes.reading.streams import ObjectStream
from aisdatapipes.testing import LocalCluster
from support.certificates import Certificates, make_certificates

NAMES = ["a b#1?.txt", *[f"{number:02d}" for number in range(20)]]
VARIABLES = ("AIS_CLIENT_CA", "AIS_CRT", "AIS_CRT_KEY", "AIS_SKIP_VERIFY", "AIS_SKIP_VERIFY_CRT")
Way = Callable[[Certificates, pytest.MonkeyPatch], Settings]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificates come from the environment of this run."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def cluster(certificates: Certificates) -> Iterator[LocalCluster]:
    """A cluster that serves HTTPS, with a bucket."""
    with LocalCluster(tls=certificates.tls()) as cluster:
        fill(cluster)
        yield cluster


@pytest.fixture(scope="module")
def strict(certificates: Certificates) -> Iterator[LocalCluster]:
    """A cluster that wants to see a certificate of every client."""
    with LocalCluster(tls=certificates.tls(needs_client_certificate=True)) as cluster:
        fill(cluster)
        yield cluster


def fill(cluster: LocalCluster) -> None:
    """Put objects that hold their own names, and a big one."""
    bucket = cluster.client().bucket("b").create()
    for name in NAMES:
        bucket.object(name).get_writer().put_content(name.encode())
    bucket.object("big").get_writer().put_content(bytes(500_000))


def pipe_of(cluster: LocalCluster, settings: Settings):
    """List and read the bucket's small objects."""
    urls = [f"ais://b/{name}" for name in NAMES]
    return AISFileLoader(urls, cluster.endpoint, settings=settings).map(content)


def content(item) -> str:
    """Return what the loader's item holds."""
    return item[1].read().decode()


def by_argument(certificates: Certificates, _: pytest.MonkeyPatch) -> Settings:
    """Name the files in the settings."""
    return Settings(ca_cert=certificates.ca, client_cert=certificates.client)


def by_variables(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Name the files in the environment."""
    monkeypatch.setenv("AIS_CLIENT_CA", str(certificates.ca))
    for name, path in zip(("AIS_CRT", "AIS_CRT_KEY"), certificates.client, strict=True):
        monkeypatch.setenv(name, str(path))
    return Settings()


@pytest.mark.parametrize("bundle", [False, True])
@pytest.mark.parametrize("way", [by_argument, by_variables])
@pytest.mark.parametrize("kind", ["cluster", "strict"])
def test_tls_with_the_authority(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    kind: str,
    way: Way,
    bundle: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All is listed, read in batches and streamed, whatever authorities requests is told of."""
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    cluster: LocalCluster = request.getfixturevalue(kind)
    settings = way(certificates, monkeypatch)
    listed = AISFileLister(["ais://b"], cluster.endpoint, settings=settings)
    assert sorted(listed) == sorted(f"ais://b/{name}" for name in [*NAMES, "big"])
    assert list(pipe_of(cluster, settings)) == NAMES
    small = Settings(
        ca_cert=settings.ca_cert, client_cert=settings.client_cert, whole_object_bytes=1000
    )
    [(_, stream)] = AISFileLoader(["ais://b/big"], cluster.endpoint, settings=small)
    assert isinstance(stream.file_obj, ObjectStream)
    stream.seek(400_000)
    assert len(stream.read()) == 100_000


def test_tls_reaches_workers(strict: LocalCluster, certificates: Certificates) -> None:
    """Workers that are no copies verify, and show their certificate, as the settings say."""
    settings = Settings(ca_cert=certificates.ca, client_cert=certificates.client)
    loader = DataLoader(
        pipe_of(strict, settings),
        batch_size=None,
        num_workers=1,
        multiprocessing_context="forkserver",
    )
    assert list(loader) == NAMES


@pytest.mark.parametrize("bundle", [False, True])
def test_tls_without_the_authority_says_what_to_set(
    cluster: LocalCluster, bundle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default a certificate is verified, and the error names both ways to trust it."""
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    loader = AISFileLoader(["ais://b/00"], cluster.endpoint, on_error="skip")
    for pipe in (AISFileLister(["ais://b"], cluster.endpoint), loader):
        with pytest.raises(errors.CertificateError, match="certificate is not trusted") as caught:
            list(pipe)
        assert "set AIS_CLIENT_CA or Settings(ca_cert=...)" in caught.value.message
        assert cluster.endpoint in caught.value.message
    assert loader.counters().retries == 0


def test_tls_without_a_certificate_of_the_client_says_what_to_set(
    strict: LocalCluster, certificates: Certificates
) -> None:
    """A cluster that wants to know its clients gives an error that names both ways."""
    with pytest.raises(errors.CertificateError, match="does not accept this client") as caught:
        list(pipe_of(strict, Settings(ca_cert=certificates.ca)))
    assert "set AIS_CRT and AIS_CRT_KEY, or Settings(client_cert=" in caught.value.message


def test_tls_of_another_authority_is_refused(cluster: LocalCluster, tmp_path: Path) -> None:
    """An authority that did not sign the cluster's certificate does not help."""
    other = make_certificates(tmp_path)
    with pytest.raises(errors.CertificateError, match="certificate is not trusted"):
        list(pipe_of(cluster, Settings(ca_cert=other.ca)))


def test_tls_is_for_the_name_in_the_certificate(
    cluster: LocalCluster, certificates: Certificates
) -> None:
    """The certificate is for 127.0.0.1, so the same machine by another name is not trusted."""
    endpoint = cluster.endpoint.replace("127.0.0.1", "localhost")
    with pytest.raises(errors.CertificateError, match="mismatch"):
        list(AISFileLister(["ais://b"], endpoint, settings=Settings(ca_cert=certificates.ca)))


@pytest.mark.parametrize(
    "settings",
    [Settings(ca_cert="/nowhere/ca"), Settings(client_cert=("/nowhere/ca", "/nowhere/key"))],
)
def test_a_file_that_is_not_there_is_named(cluster: LocalCluster, settings: Settings) -> None:
    """A wrong path is told by our error, not by one of requests."""
    with pytest.raises(errors.CertificateError, match="no certificate at /nowhere/ca"):
        list(pipe_of(cluster, settings))


@pytest.mark.parametrize("variable", [None, "AIS_SKIP_VERIFY", "AIS_SKIP_VERIFY_CRT"])
def test_tls_can_be_taken_on_trust_with_one_warning(
    certificates: Certificates, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without verification all is read, and a warning names the cluster once."""
    with LocalCluster(tls=certificates.tls()) as cluster:
        fill(cluster)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
        if variable:
            monkeypatch.setenv(variable, "true")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for retries in (1, 2):
                settings = Settings(skip_verify=variable is None, max_retries=retries)
                assert list(pipe_of(cluster, settings)) == NAMES
        [told] = [str(warning.message) for warning in caught]
        assert f"the certificate of {cluster.endpoint} is not verified" in told


def test_the_wrong_scheme_is_told(
    cluster: LocalCluster, ais_cluster: LocalCluster, certificates: Certificates
) -> None:
    """HTTP to an HTTPS cluster and HTTPS to an HTTP one each say which it should be."""
    plain = cluster.endpoint.replace("https:", "http:")
    with pytest.raises(errors.AISPipeError, match="write its address as https://"):
        list(AISFileLister(["ais://b"], plain))
    secret = ais_cluster.endpoint.replace("http:", "https:")
    with pytest.raises(errors.CertificateError, match="and not http://"):
        list(AISFileLister(["ais://b"], secret, settings=Settings(ca_cert=certificates.ca)))
