"""Knowledge: what a job knows of a cluster, in whichever of its processes it was learned.

The map is learned at the first good answer. A process shares what it knows with all those that it
starts, and they with it: forked ones have the file open, and spawned ones get it with the
`Endpoint` that they read from. So a worker that starts on a bad day knows that there is a
cluster, who else can be asked, and which targets have to be there; also where it is the first
one to read in its epoch, and only workers of former epochs had an answer.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from msgspec import json

from aisdatapipes.client.nodes import ClusterMap
from aisdatapipes.processes.shared_file import SharedFile, is_child_being_started

__all__ = ["Endpoint", "Knowledge", "KnownCluster", "known_cluster", "remember_cluster"]


@dataclass(frozen=True)
class KnownCluster:
    """What a job knows of the cluster at an endpoint.

    Attributes:
        others: Addresses of the same cluster that the user gave, beside the endpoint.
        nodes: The map, as it was last found whole, or as it was at the first good answer; None
            before that, and where there is no map, as what answers is no AIStore node.
        is_found_whole: Whether the cluster was found whole with this map.
        troubled_at: When it was last found not to be whole, as `time.monotonic` counts.
        no_batch_until: Until when no batch is asked for, likewise.
    """

    others: tuple[str, ...] = ()
    nodes: ClusterMap | None = None
    is_found_whole: bool = False
    troubled_at: float = 0.0
    no_batch_until: float = 0.0

    def addresses(self, endpoint: str) -> list[str]:
        """Return where requests can go: what the user gave, then what the map names.

        Of the map only what is as safe as the endpoint: to an address without TLS nothing goes
        that was meant for one with it.
        """
        scheme = endpoint.partition("://")[0]
        named = self.nodes.proxies.values() if self.nodes else ()
        safe = (address for address in named if address.startswith(f"{scheme}://"))
        return list(dict.fromkeys([endpoint, *self.others, *safe]))


class Endpoint(str):
    """The address of a cluster, which takes along what is known of it to a worker process."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        if is_child_being_started():
            return _in_child, (str(self), _this_job())
        # Elsewhere, and later, other nodes may be right.
        return _elsewhere, (str(self), known_cluster(self).others)


def _in_child(endpoint: str, knowledge: Knowledge) -> Endpoint:
    _Job.knowledge = knowledge
    return Endpoint(endpoint)


def _elsewhere(endpoint: str, others: tuple[str, ...]) -> Endpoint:
    if others:
        remember_cluster(endpoint, others=others)
    return Endpoint(endpoint)


class Knowledge:
    """What is known of all clusters, by their endpoints; those share it that have its file."""

    def __init__(self) -> None:
        self._content = b"{}"
        try:
            self._file: SharedFile | None = SharedFile(self._content)
        except OSError:  # no room for temporary files: then every process learns for itself
            self._file = None

    def read(self) -> dict[str, KnownCluster]:
        """Return all of it."""
        with self._locked():
            return self._read()

    def change(self, endpoint: str, news: dict[str, Any]) -> None:
        """Change attributes of one cluster; what is empty stays as it was."""
        with self._locked():
            clusters = self._read()
            known = clusters.get(endpoint, KnownCluster())
            changed = replace(known, **{name: value for name, value in news.items() if value})
            if changed != known:
                self._write(json.encode({**clusters, endpoint: changed}))

    def _locked(self) -> Any:
        return self._file.locked() if self._file else nullcontext()

    def _read(self) -> dict[str, KnownCluster]:
        return _DECODER.decode(self._file.read() if self._file else self._content)

    def _write(self, content: bytes) -> None:
        if self._file:
            self._file.replace(content)
        else:
            self._content = content


_DECODER = json.Decoder(dict[str, KnownCluster])


class _Job:
    """What this process and all that it starts know; a child gets its parent's."""

    knowledge: Knowledge | None = None


def known_cluster(endpoint: str) -> KnownCluster:
    """Return what this job knows of the cluster at `endpoint`."""
    return _this_job().read().get(endpoint, KnownCluster())


def remember_cluster(endpoint: str, **news: Any) -> None:
    """Take note of something of the cluster at `endpoint`, for all processes of this job.

    The first call has to be in the process that starts the others.

    Args:
        endpoint: Its address.
        **news: Attributes of `KnownCluster`; what is empty stays as it was.
    """
    _this_job().change(endpoint, news)


def _this_job() -> Knowledge:
    if _Job.knowledge is None:
        _Job.knowledge = Knowledge()
    return _Job.knowledge
