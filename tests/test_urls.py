"""Parsing and formatting of URLs: strict, and each other's inverse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aistore.sdk.errors import AISError
from hypothesis import assume, given
from hypothesis import strategies as st

from aisdatapipes.errors import EndpointError, InvalidURLError
from aisdatapipes.etl import ETLCall
from aisdatapipes.urls import (
    PROVIDERS,
    ParsedURL,
    format_url,
    parse_endpoint,
    parse_object_url,
    parse_url,
)

BUCKETS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,20}", fullmatch=True).filter(
    lambda name: ".." not in name
)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60)
WORDS = st.from_regex(r"[A-Za-z0-9_-]{0,12}", fullmatch=True)
ETLS = st.builds(
    ETLCall,
    name=WORDS.filter(bool),
    args=st.text(st.characters(exclude_categories=["Cs"])),
    pipeline=st.lists(WORDS.filter(bool)).map(tuple),
)
PARSED = st.builds(
    ParsedURL,
    scheme=st.sampled_from(sorted(PROVIDERS)),
    bucket=BUCKETS,
    name=NAMES,
    uuid=WORDS,
    namespace=WORDS,
)


@given(PARSED)
def test_parse_undoes_format(parsed: ParsedURL) -> None:
    """Whatever the name holds, `parse_url` reads back what `format_url` wrote."""
    assert parse_url(format_url(parsed)) == parsed


@given(PARSED, st.none() | ETLS)
def test_parse_undoes_format_of_full_urls(parsed: ParsedURL, etl: ETLCall | None) -> None:
    """The same holds for full HTTP URLs, where names are quoted."""
    full = replace(parsed, endpoint="http://localhost:8080", etl=etl)
    assert parse_url(format_url(full)) == full


@given(PARSED)
def test_format_undoes_parse(parsed: ParsedURL) -> None:
    """A URL that names a bucket with its slash comes out of a round trip as it went in."""
    url = format_url(parsed)
    assert format_url(parse_url(url)) == url


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No input raises anything but `InvalidURLError`, with the scheme or without it."""
    for url in (text, f"ais://{text}", f"ais://bucket/{text}", f"http://h:1/v1/objects/{text}"):
        try:
            parsed = parse_url(url)
        except InvalidURLError:
            continue
        assume(not parsed.endpoint)
        assert parse_url(format_url(parsed)) == parsed


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ais://b", ParsedURL("ais", "b")),
        ("ais://b/", ParsedURL("ais", "b")),
        ("ais://b/dir/pre", ParsedURL("ais", "b", "dir/pre")),
        ("s3://b/a?b#c%41+&\\ ü", ParsedURL("s3", "b", "a?b#c%41+&\\ ü")),
        ("ais://@uuid#ns/b/p", ParsedURL("ais", "b", "p", "uuid", "ns")),
        ("ais://@uuid/b/p", ParsedURL("ais", "b", "p", "uuid", "")),
        ("ais://#ns/b", ParsedURL("ais", "b", "", "", "ns")),
        (
            "http://h:1/v1/objects/b/a%2341?provider=aws&namespace=%40u%23n&etl_name=e",
            ParsedURL("aws", "b", "a#41", "u", "n", "http://h:1", ETLCall("e")),
        ),
        (
            "http://h:1/v1/objects/b/a?provider=ais&namespace=%40u%23",
            ParsedURL("ais", "b", "a", "u", "", "http://h:1"),
        ),
    ],
)
def test_parts_of_a_url(url: str, expected: ParsedURL) -> None:
    """Provider, namespace, bucket and name are told apart as AIStore does."""
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("schemes", "provider"),
    [
        (("ais",), "ais"),
        (("s3", "aws"), "aws"),
        (("gs", "gcp"), "gcp"),
        (("az", "azure"), "azure"),
        (("oc", "oci"), "oci"),
    ],
)
def test_providers_and_their_aliases(schemes: tuple[str, ...], provider: str) -> None:
    """Every spelling of a provider reaches it, and a URL keeps the one it came with."""
    for scheme in schemes:
        parsed = parse_url(f"{scheme}://b/o")
        assert (parsed.provider, format_url(parsed)) == (provider, f"{scheme}://b/o")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ais:",
        "ais://",
        "s3:///bucket",
        "bkt/obj",
        "ftp://b/o",
        "ht://b/o",  # AIStore 5 has no such provider any more
        "ais://b c/o",
        "ais://b..c/o",
        "ais://@/b/o",
        "ais://@u#n",
        "ais://b/\ud800",
        "http://localhost:8080/b/o",
        "http://[::1/v1/objects/b/o",
        "http://localhost:8080/v1/objects/b/o?provider=ais&archpath=x",
        "http://localhost:8080/v1/objects/b/o?provider=nope",
        "http://user:secret@localhost:8080/v1/objects/b/o",
        "http://localhost:8080?user:secret@",
        None,
        b"ais://b/o",
    ],
)
def test_bad_urls_are_refused(url: str) -> None:
    """A bad URL raises an error that is an `AISError` and a `ValueError`, and names it."""
    with pytest.raises(InvalidURLError) as caught:
        parse_url(url)
    assert isinstance(caught.value, AISError)
    assert isinstance(caught.value, ValueError)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "a//b", "/a", "a/", "./a", "a/../b", "..", "~/a", "a\nb", "tab\t", "\x7f", "\0"]
)
def test_names_that_would_read_another_object_are_refused(name: str) -> None:
    """The cluster rewrites these names, so an object under them would be another one."""
    with pytest.raises(InvalidURLError, match="name"):
        parse_object_url(f"ais://b/{name}")


@pytest.mark.parametrize("name", ["..a", "a..", ".a/b", "a/...", "~", "~a/b", " ", "a b/ "])
def test_names_that_only_look_so_are_accepted(name: str) -> None:
    """Dots and tildes elsewhere in a name are part of it."""
    assert parse_object_url(f"ais://b/{name}").name == name


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("https://ais.example", "https://ais.example"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_endpoints_are_completed(endpoint: str, address: str) -> None:
    """A scheme is added and a slash at the end removed."""
    assert parse_endpoint(endpoint) == address


@given(st.text(max_size=20))
def test_any_endpoint_is_completed_or_refused(text: str) -> None:
    """No input raises anything but `EndpointError`; completing twice changes nothing."""
    try:
        address = parse_endpoint(text)
    except EndpointError:
        return
    assert parse_endpoint(address) == address


@pytest.mark.parametrize(
    "endpoint",
    ["", " ", "ftp://host", "http://", "host:port", "http://u:secret@host", "host?q=1", "a b"],
)
def test_bad_endpoints_are_refused(endpoint: str) -> None:
    """What is no address of an HTTP server is refused, and a password is not repeated."""
    with pytest.raises(EndpointError, match="endpoint") as caught:
        parse_endpoint(endpoint)
    assert "secret" not in str(caught.value)
