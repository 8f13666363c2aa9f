"""What AIStore sends to Kubernetes, read off the wire: as little of protobuf as that takes.

Field numbers: ``k8s.io/api/core/v1/generated.proto``; the envelope: ``runtime.Unknown`` in
``k8s.io/apimachinery/pkg/runtime/generated.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator

_MAGIC = b"k8s\0"
_ENVELOPE_OBJECT = 2
_METADATA, _METADATA_NAME = 1, 1
_SPEC, _SPEC_CONTAINER = 2, 2
_CONTAINER_ENV, _ENV_NAME, _ENV_VALUE = 7, 1, 2


def name_of(body: bytes) -> str:
    """Return the name of the pod or service in a request's body."""
    return _text(_first(_object(body), _METADATA), _METADATA_NAME)


def environment_of(body: bytes) -> dict[str, str]:
    """Return the variables of the containers of the pod in a request's body."""
    spec = _first(_object(body), _SPEC)
    return {
        _text(variable, _ENV_NAME): _text(variable, _ENV_VALUE)
        for container in _all(spec, _SPEC_CONTAINER)
        for variable in _all(container, _CONTAINER_ENV)
    }


def _object(body: bytes) -> bytes:
    assert body.startswith(_MAGIC), f"no protobuf of Kubernetes: {body[:20]!r}"
    return _first(body[len(_MAGIC) :], _ENVELOPE_OBJECT)


def _text(message: bytes, number: int) -> str:
    return _first(message, number).decode()


def _first(message: bytes, number: int) -> bytes:
    return next(_all(message, number), b"")


def _all(message: bytes, number: int) -> Iterator[bytes]:
    return (content for found, content in _fields(message) if found == number)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the fields that have bytes; numbers are not needed here."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(message, at)
                yield tag >> 3, message[at : at + length]
                at += length
            case 5:
                at += 4
            case other:
                raise AssertionError(f"wire type {other} at byte {at}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
