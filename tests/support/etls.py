"""ETLs for the tests, each beside what it does; and a cluster that runs them."""

# ruff: noqa: ARG002 - the SDK says which parameters `transform` has

from __future__ import annotations

import io
import os
import socket
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import cloudpickle
import pytest
from aistore.sdk.etl.webserver.base_etl_server import ETLServer
from aistore.sdk.etl.webserver.flask_server import FlaskServer
from aistore.sdk.etl.webserver.http_multi_threaded_server import HTTPMultiThreadedServer
from PIL import Image

from aisdatapipes.testing import LocalCluster
from aisdatapipes.testing.binary import find_aisnode
from support.kubernetes import KubernetesStandIn
from support.programs import TAGS

POISON = b"poison"
"""Content that the ETLs fail on."""

# Else a class goes as the name of this module, which the ETL's process has not.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def turned(data: bytes, args: str = "") -> bytes:
    """Return bytes in reverse order, and the arguments behind them."""
    if data.startswith(POISON):
        raise ValueError(f"cannot turn {data.decode()}")
    return data[::-1] + args.encode()


def framed(data: bytes, args: str = "") -> bytes:
    """Return bytes between brackets, the arguments with them."""
    return b"<" + data + args.encode() + b">"


def turned_files(data: bytes, args: str = "") -> bytes:
    """Return a tar with the files of a tar, each of them turned."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(None, "w", packed) as new:
        for member in old:
            file = old.extractfile(member)
            assert file
            content = turned(file.read(), args)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def thumbnail(data: bytes) -> bytes:
    """Return an image as a small JPEG."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").resize((8, 8)).save(small, format="JPEG")
    return small.getvalue()


class Turned(HTTPMultiThreadedServer):
    """`turned`, as an ETL."""

    def transform(self, data: Any, path, etl_args):
        """Transform one object."""
        return turned(data, etl_args)


class TurnedByFlask(FlaskServer):
    """`turned`, as an ETL on another of the SDK's servers."""

    def transform(self, data: Any, path, etl_args):
        """Transform one object."""
        return turned(data, etl_args)


class Framed(HTTPMultiThreadedServer):
    """`framed`, as an ETL."""

    def transform(self, data: Any, path, etl_args):
        """Transform one object."""
        return framed(data, etl_args)


class TurnedFiles(HTTPMultiThreadedServer):
    """`turned_files`, as an ETL."""

    def transform(self, data: Any, path, etl_args):
        """Transform one object."""
        return turned_files(data, etl_args)


class Thumbnail(HTTPMultiThreadedServer):
    """`thumbnail`, as an ETL."""

    def transform(self, data: Any, path, etl_args):
        """Transform one object."""
        return thumbnail(data)


class Company(HTTPMultiThreadedServer):
    """Waits until two objects are transformed at a time, and says whether that came.

    Not with ``first``: of the first object a reader learns how big the others may be.
    """

    def __init__(self, host="0.0.0.0", port=8000):
        super().__init__(host, port)
        self.lock, self.met, self.inside = threading.Lock(), threading.Event(), 0

    def transform(self, data: Any, path, etl_args):
        """Transform one object."""
        if data == b"first":
            return data
        with self.lock:
            self.inside += 1
            if self.inside > 1:
                self.met.set()
        met = self.met.wait(30)
        with self.lock:
            self.inside -= 1
        return b"in company" if met else b"alone"


def doubled(reader: BinaryIO) -> Iterator[bytes]:
    """Yield an object twice, after a filling; between both, fail as `turned` does."""
    data = reader.read()
    yield data + bytes(100_000)
    turned(data)
    yield data


class Buffer(HTTPMultiThreadedServer):
    """`doubled`, as an ETL, which sends the first part before it fails."""

    def transform_stream(self, reader, path, etl_args):
        """Transform one object, by pieces."""
        return doubled(reader)


class PiecesByFlask(FlaskServer):
    """The same on another of the SDK's servers, which hangs up."""

    def transform_stream(self, reader, path, etl_args):
        """Transform one object, by pieces."""
        return doubled(reader)


class Broken(Turned):
    """Does not start."""

    def __init__(self, host="0.0.0.0", port=8000):
        raise RuntimeError("this ETL has no model")


@contextmanager
def cluster_with_etls(targets: int) -> Iterator[tuple[LocalCluster, KubernetesStandIn]]:
    """A real cluster whose targets run ETLs, and what stands in for Kubernetes there."""
    aisnode = find_aisnode(TAGS)
    with KubernetesStandIn() as kubernetes, kubernetes.node_program(aisnode) as program:
        cluster = LocalCluster(
            targets,
            build_tags=TAGS,
            environment=kubernetes.environment,
            control_host=own_address(),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AISNODE", os.fspath(program))
            cluster.start()
        try:
            yield cluster, kubernetes
        finally:
            cluster.stop()


def own_address() -> str:
    """Return this machine's own address in its network; what goes there does not leave it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing; the address is one of nobody
            return probe.getsockname()[0]
    except OSError as error:
        raise RuntimeError(
            "AIStore on Kubernetes wants an IPv4 address other than 127.0.0.1, and this machine "
            f"has no network ({error}): give it one"
        ) from None


def start_etl(cluster: LocalCluster, name: str, server: type[ETLServer], how: str = "hpush") -> str:
    """Start an ETL; return its name."""
    etl = cluster.client().etl(name)
    # AIStore looks as seldom as every 64th part of this time whether it is ready.
    etl.init_class(comm_type=how, init_timeout="45s", obj_timeout="45s")(server)
    return name
