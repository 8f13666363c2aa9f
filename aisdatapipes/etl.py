"""ETLs: what the cluster is asked to make of an object, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["ETLCall", "known_fields"]

_NAME, _ARGS, _PIPELINE = "etl_name", "etl_args", "etl_pipeline"


def known_fields(fields: Mapping[str, str]) -> set[str]:
    """Return which fields a URL's query may have to ask for ETLs; without a name, no others."""
    return {_NAME, _ARGS, _PIPELINE} if fields.get(_NAME) else {_NAME}


class Config(Protocol):
    """The SDK's ``ETLConfig``, by the one method of it that is needed here."""

    def update_qparams(self, params: dict[str, str]) -> None:
        """Add the fields of a URL's query."""


@dataclass(frozen=True)
class ETLCall:
    """An ETL to apply to an object, and those that go on with what it makes.

    It pickles and compares, which an ``ETLConfig`` with the SDK's ``Etl`` in it does not; and the
    SDK takes it as one.

    Attributes:
        name: Of the ETL.
        args: What all of them are told, as text; empty for nothing.
        pipeline: Names of the further ETLs, in their order.

    Example:
        >>> call = ETLCall("decode", '{"size":64}', ("resize", "encode"))
        >>> str(call)
        "ETL 'decode' >> 'resize' >> 'encode'"
        >>> ETLCall.parse(call.fields()) == call
        True
    """

    name: str
    args: str = ""
    pipeline: tuple[str, ...] = ()

    @classmethod
    def of(cls, etl_name: str | None, etl: Config | None) -> ETLCall | None:
        """Return what the arguments of a pipe or dataset ask for; None for no ETL.

        Args:
            etl_name: Name of an ETL.
            etl: The SDK's ``ETLConfig``, in its place.

        Raises:
            ValueError: Both are given, or `etl` has no name.
            TypeError: `etl` is no ``ETLConfig``.

        Example:
            >>> from aistore.sdk.etl import ETLConfig
            >>> ETLCall.of(None, ETLConfig("resize", args={"size": 64}))
            ETLCall(name='resize', args='{"size":64}', pipeline=())
        """
        if etl is None:
            return cls(etl_name) if etl_name else None
        if etl_name:
            raise ValueError(
                f"both etl_name={etl_name!r} and etl= are given: name the ETL in one of them"
            )
        if not hasattr(etl, "update_qparams"):
            raise TypeError(
                f"etl is a {type(etl).__name__}: give an ETLConfig of the AIStore SDK, such as "
                "ETLConfig(name, args=...) or ETLConfig(client.etl(first) >> client.etl(second))"
            )
        fields: dict[str, str] = {}
        etl.update_qparams(fields)
        if (call := cls.parse(fields)) is None:
            raise ValueError("etl has no name: give ETLConfig(name, ...)")
        return call

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> ETLCall | None:
        """Return what the fields of a URL's query ask for; None for no ETL."""
        if not fields.get(_NAME):
            return None
        pipeline = tuple(filter(None, fields.get(_PIPELINE, "").split(",")))
        return cls(fields[_NAME], fields.get(_ARGS, ""), pipeline)

    def fields(self) -> dict[str, str]:
        """Return the fields of a URL's query that ask for it."""
        fields = {_NAME: self.name, _ARGS: self.args, _PIPELINE: ",".join(self.pipeline)}
        return {field: value for field, value in fields.items() if value}

    def update_qparams(self, params: dict[str, Any]) -> None:
        """Add the fields to a request: this is what the SDK calls."""
        params.update(self.fields())

    def __str__(self) -> str:
        return f"ETL {' >> '.join(map(repr, (self.name, *self.pipeline)))}"
