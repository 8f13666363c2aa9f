"""URLs: what is parsed is formatted to the same again, and what is refused is told of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes.errors import EndpointError, InvalidURLError
from aisdatapipes.urls import format_url, parse_endpoint, parse_object_url, parse_url
from fuzz.hunting import soon

__all__ = ["urls_are_parsed_or_refused"]

_SECRET = "s3cr3t"
_PIECES = [
    *("ais://", "s3://", "gs://", "ftp://", "http://", "https://", "://", ":", "//", "/"),
    *("@", "#", "?", "&", "=", "%", "%2F", "%40", "%23", "%00", "%zz", "%ff", "+", " ", "~", "\\"),
    *(".", "..", "./", "../", "@uuid#ns/", "@#/", "#ns/", "@u/", "bucket", "bucket/", "a.b", "-"),
    *("localhost:8080", "[::1]:80", "h:1", "h:99999", "127.0.0.1", "/v1/objects/", "v1", "objects"),
    *("provider=ais", "provider=s3", "provider=", "namespace=%40u%23n", "namespace=@#", "name"),
    *("etl_name=e", "etl_args=x", "etl_pipeline=a,b", "archpath=x", "uuid=1"),
    *("ä", "日本", "\udcff", "\ud800", "\0", "\n", "\t", "\x7f", "\u2028", "\U0001f600"),
    f"user:{_SECRET}@",
]
_TEXTS = st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), max_size=12).map("".join)
_FRONTS = st.sampled_from(["", "ais://", "ais://bucket/", "http://h:1/v1/objects/b/", "http://h:1"])


@given(st.builds("{}{}".format, _FRONTS, _TEXTS))
def urls_are_parsed_or_refused(text: str) -> None:
    """Each parser: its own error, which repeats no password; else a result that is stable."""
    with soon():
        _check_endpoint(text)
        _check_url(text)
        _check_object_url(text)


def _check_endpoint(text: str) -> None:
    try:
        address = parse_endpoint(text)
    except EndpointError as error:
        assert _SECRET not in str(error)  # noqa: PT017
        return
    assert parse_endpoint(address) == address
    assert _SECRET not in address or f":{_SECRET}@" not in text


def _check_url(text: str) -> None:
    try:
        parsed = parse_url(text)
    except (InvalidURLError, EndpointError) as error:
        authority = text.partition("://")[2].partition("/")[0]
        is_told = text.startswith("http") and _SECRET in authority and _SECRET in str(error)
        assert not is_told
        return
    url = format_url(parsed)
    assert parse_url(url) == parsed
    assert format_url(parse_url(url)) == url
    if not parsed.endpoint and text.endswith(f"{parsed.bucket}/{parsed.name}"):
        assert url.endswith(f"{parsed.bucket}/{parsed.name}")


def _check_object_url(text: str) -> None:
    try:
        parsed = parse_object_url(text)
    except (InvalidURLError, EndpointError):
        return
    assert parsed == parse_url(text)
    # Go's path.Clean, which AIStore uses, leaves such names as they are.
    assert not {"", ".", ".."} & set(parsed.name.split("/"))
