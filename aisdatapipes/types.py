"""Types of the AIStore SDK that the signatures of this package name, from one place."""

from __future__ import annotations

from typing import TypeAlias

from aistore.sdk import AISSource, Bucket, Client, DataShard, Object
from aistore.sdk.enums import Colocation
from aistore.sdk.etl import ETLConfig
from aistore.sdk.multiobj import ObjectGroup
from aistore.sdk.provider import Provider

__all__ = [
    "AISSource",
    "Bucket",
    "Client",
    "Colocation",
    "DataShard",
    "ETLConfig",
    "Object",
    "ObjectGroup",
    "Provider",
    "Source",
]

Source: TypeAlias = AISSource | Object
"""What the SDK can list objects of: `Bucket`, `ObjectGroup` or `Object`."""
