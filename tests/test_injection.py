"""Names out of other people's data: they name objects, and change nothing else in a request."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote

import pytest
from aistore.sdk import Bucket
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aisdatapipes import AISFileLister, AISFileLoader, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy

VICTIM = "victim"
PIECES = [
    *(VICTIM, "/", "//", "..", "../", "/../", "./", "~/", "%", "%2F", "%2e%2e/", "%00", "%0d%0a"),
    *("?", "?provider=gcp", "?namespace=@far%23", "&", "&etl_name=e", "&pid=x", "=", "#", "#/x"),
    *("\r\n", "\r\nX-Injected: 1\r\n", " HTTP/1.1\r\n\r\n", "\n", "\0", "\t", " ", "+", ";", ":"),
    *("@", "\\", "\\..\\", "http://127.0.0.1:1/", "/v1/buckets/", "日本", "é", "\u2028", "\ud800"),
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1, max_size=5).map(
    "".join
)
FULL = "{endpoint}/v1/objects/{bucket}/{name}"
# One real node serves all examples of a test.
PATIENT = hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def proxy(ais_cluster: LocalCluster) -> Iterator[FaultProxy]:
    """The cluster as seen through a proxy that keeps the requests."""
    with FaultProxy(ais_cluster.endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def bucket(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[Bucket]:
    """A bucket with one object, which nobody asks for."""
    bucket = ais_cluster.client().bucket("injection").create()
    put_object(bucket, VICTIM, b"not yours")
    yield bucket
    bucket.delete()


def paths(proxy: FaultProxy) -> list[tuple[str, str, set[str]]]:
    """Return what was asked for since the last call: method, path, and fields of the query."""
    asked = [
        (exchange.method, path, set(parse_qs(query, keep_blank_values=True)))
        for exchange in proxy.requests
        for path, _, query in [exchange.path.partition("?")]
    ]
    proxy.requests.clear()
    return asked


@PATIENT
@given(name=HOSTILE.filter(lambda name: name != VICTIM))
def test_a_name_is_a_name(proxy: FaultProxy, bucket: Bucket, name: str) -> None:
    """Whatever the name, that object is asked for, of that bucket, and no other one comes."""
    paths(proxy)
    with pytest.raises((errors.ObjectNotFoundError, errors.InvalidURLError)):
        list(AISFileLoader([f"ais://{bucket.name}/{name}"], proxy.endpoint))
    for method, path, fields in paths(proxy):
        assert (method, unquote(path)) == ("GET", f"/v1/objects/{bucket.name}/{name}")
        assert fields <= {"provider", "pid", "utm"}


@PATIENT
@example(prefix="*")
@given(prefix=HOSTILE)
def test_a_prefix_is_a_prefix(proxy: FaultProxy, bucket: Bucket, prefix: str) -> None:
    """Whatever the prefix or pattern, that bucket is listed, and what comes is meant by it."""
    paths(proxy)
    try:
        urls = list(
            AISFileLister([f"ais://{bucket.name}/{prefix}"], proxy.endpoint, allow_empty=True)
        )
    except errors.AISPipeError:  # also of the cluster, which refuses some prefixes
        urls = []
    may_be_meant = VICTIM.startswith(prefix) or any(mark in prefix for mark in "*?[{")
    assert urls in ([], [f"ais://{bucket.name}/{VICTIM}"] * may_be_meant)
    for method, path, fields in paths(proxy):
        assert (method, path) == ("GET", f"/v1/buckets/{bucket.name}")
        assert fields == {"provider"}


@PATIENT
@given(text=HOSTILE, form=st.sampled_from(["ais://{text}/x", "{text}", FULL, "ais://@{text}/b/x"]))
def test_a_url_leads_to_objects_only(
    proxy: FaultProxy, bucket: Bucket, text: str, form: str
) -> None:
    """Whatever is in the place of a bucket, a namespace or a whole URL, objects are asked for."""
    paths(proxy)
    url = form.format(text=text, endpoint=proxy.endpoint, bucket=bucket.name, name=text)
    try:
        read = [stream.read() for _, stream in AISFileLoader([url], proxy.endpoint)]
    except errors.AISPipeError:
        read = []
    assert not read or unquote(text.partition("?")[0]) == VICTIM
    for method, path, fields in paths(proxy):
        assert method == "GET"
        assert path.startswith("/v1/objects/")
        assert fields <= {"provider", "namespace", "etl_name", "pid", "utm"}


@pytest.mark.parametrize(
    ("name", "other"), [(";", "x"), ("a;", "a"), ("d/;", "d/x"), ("a;b;", "a;b"), (";;", ";")]
)
def test_a_semicolon_is_part_of_a_name(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject, name: str, other: str
) -> None:
    """The redirect to a target does not lose it, as requests alone would do."""
    put_object(ais_bucket, name, name.encode())
    put_object(ais_bucket, other, b"another object")
    [(_, stream)] = AISFileLoader([f"ais://{ais_bucket.name}/{name}"], ais_cluster.endpoint)
    assert stream.read() == name.encode()
