"""URLs of buckets and objects, and addresses of clusters: strict parsing, exact formatting.

Two forms name an object:

* ``provider://bucket/name``, or with a namespace ``provider://@uuid#namespace/bucket/name``.
  Everything after the bucket's slash is the name, as it is: ``#``, ``?``, ``%`` and blanks
  have no meaning there and nothing is quoted.
* ``http://host:port/v1/objects/bucket/quoted-name?provider=ais``, the full URL that the SDK's
  sources list, quoted as any is. It may carry ``namespace`` and what asks for an ETL.

`parse_url` and `format_url` are each other's inverse. The SDK's own ``parse_url`` loses what
follows ``?`` or ``#`` and takes a remote cluster for a bucket, so it is not used here.

Source: URI rules of AIStore v1.5.0, ``cmn/uri.go``, ``cmn/bck.go`` and ``cmn/cos/err.go``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from aisdatapipes.errors import EndpointError, InvalidURLError
from aisdatapipes.etl import ETLCall, known_fields

PROVIDERS = {
    "ais": "ais",
    "aws": "aws",
    "s3": "aws",
    "gcp": "gcp",
    "gs": "gcp",
    "azure": "azure",
    "az": "azure",
    "oci": "oci",
    "oc": "oci",
}
"""The scheme of a URL, to the provider that AIStore knows it by."""

_ODD_BYTES = "surrogateescape"
"""How bytes of a name that are not UTF-8 are kept in it: as lone surrogates, by PEP 383."""

_EXAMPLE = "write it like ais://bucket/dir/object.jpg"
_ENDPOINT_EXAMPLE = "write it like http://localhost:8080"
_OBJECTS_PATH = "/v1/objects/"
_NAMESPACE = re.compile(r"(?:@(?P<uuid>[A-Za-z0-9_-]*))?(?:#(?P<namespace>[A-Za-z0-9_.-]*))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE_NAME = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|^~/")
_BUCKET = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]+")
_QUERY_FIELDS = {"provider", "namespace"}


@dataclass(frozen=True)
class ParsedURL:
    """A URL of a bucket or object, taken apart.

    Attributes:
        scheme: Provider as the URL spells it (``s3`` stays ``s3``).
        bucket: Name of the bucket.
        name: Name of the object, or a prefix of names; empty for the whole bucket.
        uuid: UUID or alias of a remote AIStore cluster; empty for the cluster itself.
        namespace: Namespace of the bucket; empty for the global one.
        endpoint: ``http://host:port`` in a full URL; empty otherwise.
        etl: What a full URL asks ETLs for; None for the object as it is.

    Example:
        >>> url = parse_url("s3://photos/2024/a b#1.jpg")
        >>> url.provider, url.bucket, url.name
        ('aws', 'photos', '2024/a b#1.jpg')
    """

    scheme: str
    bucket: str
    name: str = ""
    uuid: str = ""
    namespace: str = ""
    endpoint: str = ""
    etl: ETLCall | None = None

    @property
    def provider(self) -> str:
        """Provider as AIStore knows it: ``aws`` for both ``aws`` and ``s3``."""
        return PROVIDERS[self.scheme]

    @property
    def bucket_url(self) -> str:
        """The bucket alone, as error messages name it: ``ais://@uuid#namespace/bucket``."""
        return f"{self.scheme}://{_format_namespace(self.uuid, self.namespace)}{self.bucket}"


def parse_url(url: str) -> ParsedURL:
    """Take apart the URL of a bucket, of a prefix in it, or of an object.

    Args:
        url: ``provider://bucket[/name]`` or a full ``http`` URL of an object.

    Raises:
        InvalidURLError: The URL is not a string, or is neither of the two forms.

    Example:
        >>> parse_url("ais://@remote#team/imagenet/train/").bucket_url
        'ais://@remote#team/imagenet'
        >>> parse_url("bkt/obj")
        Traceback (most recent call last):
        aisdatapipes.errors.InvalidURLError: no provider in 'bkt/obj': write it like ...
    """
    if not isinstance(url, str):
        raise InvalidURLError(f"a URL is a string, not {type(url).__name__}: {_EXAMPLE}")
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise InvalidURLError(f"no provider in {url!r}: {_EXAMPLE}")
    if scheme in ("http", "https"):
        return _parse_full_url(url)
    _check_scheme(scheme, url)
    uuid, namespace, rest = _split_namespace(rest, url)
    bucket, _, name = rest.partition("/")
    return _checked(ParsedURL(scheme, bucket, name, uuid, namespace), url)


def parse_object_url(url: str) -> ParsedURL:
    """Take apart the URL of one object; as `parse_url`, and the name must be an object's.

    Raises:
        InvalidURLError: As in `parse_url`, or the name is empty, or one that the cluster would
            read another object for: it cleans parts away, and quotes nothing for remote clusters.

    Example:
        >>> parse_object_url("ais://imagenet/a/1.jpg").name
        'a/1.jpg'
    """
    parsed = parse_url(url)
    if not parsed.name:
        raise InvalidURLError(f"no object name in {url!r}: {_EXAMPLE}")
    if _UNSAFE_NAME.search(parsed.name):
        raise InvalidURLError(
            f"no object can be read by the name in {url!r}: AIStore takes no empty, '.' or '..' "
            "part between slashes, no slash at an end and no '~/' in front"
        )
    if parsed.uuid and any(mark in parsed.name for mark in "%?#"):
        raise InvalidURLError(
            f"no object can be read by the name in {url!r}: AIStore asks a remote cluster for it "
            "without quoting '%', '?' and '#', and would read another object"
        )
    return parsed


def format_url(parsed: ParsedURL) -> str:
    """Write the URL that `parse_url` takes apart into `parsed`.

    Example:
        >>> format_url(ParsedURL("gs", "coco", "train-000.tar"))
        'gs://coco/train-000.tar'
    """
    if not parsed.endpoint:
        return f"{parsed.bucket_url}/{parsed.name}"
    query = {"provider": parsed.scheme}
    if parsed.uuid or parsed.namespace:
        query["namespace"] = f"@{parsed.uuid}#{parsed.namespace}"
    query |= parsed.etl.fields() if parsed.etl else {}
    path = f"{_OBJECTS_PATH}{parsed.bucket}/{quote(parsed.name, errors=_ODD_BYTES)}"
    return f"{parsed.endpoint}{path}?{urlencode(query)}"


def is_utf8(name: str) -> bool:
    r"""Whether a name is text, and not other bytes, which are lone surrogates in it.

    Example:
        >>> is_utf8("ä"), is_utf8(b"\xe4".decode(errors="surrogateescape"))
        (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_endpoint(endpoint: str) -> str:
    """Complete the address of a cluster to ``http://host:port``, without a trailing slash.

    Args:
        endpoint: ``http://host:port``, ``https://host:port`` or ``host:port``.

    Raises:
        EndpointError: It has no host, another scheme, or more than an address (credentials,
            a query); the message does not repeat what may be a secret.

    Example:
        >>> parse_endpoint("localhost:8080")
        'http://localhost:8080'
    """
    if not isinstance(endpoint, str) or not endpoint.strip():
        raise EndpointError(f"the endpoint is empty: {_ENDPOINT_EXAMPLE}")
    address = endpoint.strip() if "://" in endpoint else f"http://{endpoint.strip()}"
    if any(mark in address for mark in "@?#"):
        raise EndpointError(
            "an endpoint is an address only, without user, password, query or fragment: "
            f"{_ENDPOINT_EXAMPLE}"
        )
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        is_address = is_address and not any(map(str.isspace, address))
    except ValueError:  # a port that is no number, a bracket that is not closed
        is_address = False
    if not is_address:
        raise EndpointError(f"no HTTP endpoint: {endpoint!r}: {_ENDPOINT_EXAMPLE}")
    return address.rstrip("/")


def _parse_full_url(url: str) -> ParsedURL:
    address, _, query = url.partition("?")
    endpoint, separator, path = address.partition(_OBJECTS_PATH)
    endpoint = parse_endpoint(endpoint)  # first, as it alone tells no secrets
    if not separator or "#" in url:
        parse_endpoint("/".join(url.split("/", 3)[:3]))  # with what a "?" has cut off
        raise InvalidURLError(
            f"not the full URL of an object: {url!r}: it has /v1/objects/bucket/name after the host"
        )
    fields = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(fields.keys() - _QUERY_FIELDS - known_fields(fields)):
        raise InvalidURLError(f"cannot read {url!r}: its {', '.join(unknown)} is not supported")
    scheme = fields.get("provider", "ais")
    _check_scheme(scheme, url)
    uuid, namespace, rest = _split_namespace(fields.get("namespace", "") + "/", url)
    if rest.strip("/"):
        raise InvalidURLError(f"bad namespace in {url!r}: write it like @uuid#namespace")
    bucket, _, name = path.partition("/")
    parts = (
        bucket,
        unquote(name, errors=_ODD_BYTES),
        uuid,
        namespace,
        endpoint,
        ETLCall.parse(fields),
    )
    return _checked(ParsedURL(scheme, *parts), url)


def _split_namespace(rest: str, url: str) -> tuple[str, str, str]:
    """Split ``@uuid#namespace/rest``; both parts are empty where the URL has none."""
    if not rest.startswith(("@", "#")):
        return "", "", rest
    text, _, rest = rest.partition("/")
    if text == "@#":  # how the SDK writes the global namespace
        return "", "", rest
    if (match := _NAMESPACE.fullmatch(text)) is None or not any(match.groups()):
        raise InvalidURLError(f"bad namespace in {url!r}: write it like ais://@uuid#name/bucket/")
    return match["uuid"] or "", match["namespace"] or "", rest


def _format_namespace(uuid: str, namespace: str) -> str:
    text = (f"@{uuid}" if uuid else "") + (f"#{namespace}" if namespace else "")
    return text and f"{text}/"


def _check_scheme(scheme: str, url: str) -> None:
    if scheme not in PROVIDERS:
        known = ", ".join(f"{name}://" for name in PROVIDERS)
        raise InvalidURLError(f"no provider {scheme!r} (in {url!r}): AIStore knows {known}")


def _checked(parsed: ParsedURL, url: str) -> ParsedURL:
    if not parsed.bucket:
        raise InvalidURLError(f"no bucket in {url!r}: {_EXAMPLE}")
    if not _BUCKET.fullmatch(parsed.bucket):
        raise InvalidURLError(
            f"bad bucket name {parsed.bucket!r} in {url!r}: it has letters, digits, '-', '_' and "
            "single dots only"
        )
    if _CONTROL.search(parsed.name):  # the cluster's redirects turn them into blanks
        raise InvalidURLError(f"AIStore cannot read names with control characters: {url!r}")
    try:
        parsed.name.encode(errors=_ODD_BYTES)
    except UnicodeEncodeError as error:
        raise InvalidURLError(f"the name in {url!a} is not valid Unicode: {error.reason}") from None
    return parsed
