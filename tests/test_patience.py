"""Patience: what is retried, for how long, and when "not found" is believed."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import pytest
import requests
import urllib3
from aistore.sdk import Bucket

from aisdatapipes import AISFileLister, AISFileLoader, Settings, errors
from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.knowledge import Knowledge, KnownCluster, known_cluster, remember_cluster
from aisdatapipes.client.nodes import ClusterMap
from aisdatapipes.client.patience import had_trouble
from aisdatapipes.client.verdicts import judge
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Cut, Latency, Rule, Stall, Status
from support.faults import FaultProxy

NAMES = [f"{number:02d}" for number in range(24)]
URLS = [f"ais://b/{name}" for name in NAMES]


def answer(status: int) -> requests.Response:
    """Return an answer with a status."""
    response = requests.Response()
    response.status_code = status
    return response


def no_answer(kind: type[requests.RequestException], method: str = "GET") -> Exception:
    """Return what requests raises where there is no answer."""
    url = "http://h/v1/objects/b/o?provider=ais"
    return kind(request=requests.Request(method, url).prepare())


def refused(method: str) -> Exception:
    """Return what requests raises where nothing was sent."""
    reason = urllib3.exceptions.NewConnectionError(None, "refused")  # pyright: ignore[reportArgumentType]
    error = urllib3.exceptions.MaxRetryError(None, "/", reason)  # pyright: ignore[reportArgumentType]
    return requests.ConnectionError(error, request=requests.Request(method, "http://h").prepare())


@pytest.mark.parametrize(
    ("method", "outcome", "body", "verdict"),
    [
        ("GET", answer(206), None, "answered"),
        ("PUT", answer(307), None, "answered"),
        *[("GET", answer(status), None, "answered") for status in (401, 403, 416)],
        *[("GET", answer(status), None, "doubtful") for status in (400, 404, 409, 410)],
        *[("DELETE", answer(status), None, "busy") for status in (429, 500, 502, 503, 504)],
        ("POST", answer(503), None, "final"),
        ("POST", answer(404), b"{}", "doubtful"),
        ("PUT", answer(503), iter([b"once"]), "final"),
        ("GET", no_answer(requests.ConnectionError), None, "busy"),
        ("GET", no_answer(requests.ReadTimeout), None, "busy"),
        ("GET", no_answer(requests.exceptions.ChunkedEncodingError), None, "busy"),
        ("GET", no_answer(requests.exceptions.SSLError), None, "final"),
        ("GET", no_answer(requests.TooManyRedirects), None, "final"),
        ("POST", no_answer(requests.ReadTimeout, "POST"), None, "final"),
        ("POST", refused("POST"), b"{}", "busy"),
    ],
)
def test_what_may_be_sent_again(method: str, outcome: object, body: object, verdict: str) -> None:
    """What may pass is; what is certain, and what would be done twice, is not."""
    assert judge(method, outcome, body) == verdict  # pyright: ignore[reportArgumentType]


def test_a_dead_address_fails_within_seconds(unused_endpoint: str) -> None:
    """Where there never was an answer, there is nothing to wait for."""
    began = time.monotonic()
    with pytest.raises(errors.ClusterUnreachableError, match=unused_endpoint):
        list(AISFileLoader(URLS, unused_endpoint))
    assert time.monotonic() - began < 5


def test_several_addresses(
    ais_bucket: Bucket, ais_cluster: LocalCluster, unused_endpoint: str
) -> None:
    """The first that answers is used, and the first one names the cluster."""
    dead = f"{unused_endpoint}/of-this-test"  # as what is known of an address stays known
    both = f"{dead},{ais_cluster.endpoint}"
    settings = Settings(max_retries=0)
    assert (
        list(AISFileLister([f"ais://{ais_bucket.name}"], both, settings=settings, allow_empty=True))
        == []
    )
    assert resolve_endpoint(both) == dead
    with pytest.raises(errors.EndpointError):
        resolve_endpoint("localhost:1,,localhost:2")


def test_a_missing_object_costs_one_more_request(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """The cluster is looked at, and asked again; for a second then it is believed at once."""
    put_object(ais_bucket, "there", b"1")
    bucket = f"ais://{ais_bucket.name}"
    urls = [f"{bucket}/there", f"{bucket}/gone", f"{bucket}/lost"]
    pipe = AISFileLoader(urls, faults.endpoint, max_batch=1, concurrency=1, on_error="skip")
    assert [url for url, _ in pipe] == urls[:1]
    assert faults.count("GET /v1/objects/.*/gone.*pid=") == 2
    assert faults.count("GET /v1/objects/.*/lost.*pid=") <= 2  # 1, where that takes no second
    assert pipe.counters().retries == 0


def test_what_fails_in_a_whole_cluster_is_not_waited_for(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """After ``max_retries`` it is raised, however long the deadline for outages is."""
    put_object(ais_bucket, "o", b"1")
    settings = Settings(max_retries=2, first_backoff_s=0.01)
    rule = Status(500, times=None, matches="objects")
    pipe = AISFileLoader([f"ais://{ais_bucket.name}/o"], faults.endpoint, settings=settings)
    assert len(list(pipe)) == 1
    with faults.rule(rule), pytest.raises(errors.ClusterError, match="made by a rule"):
        list(pipe)
    assert faults.hits(rule) == 3


@pytest.mark.parametrize("question", ["daemon", "health"])
def test_a_slow_answer_of_how_the_cluster_is_costs_no_page(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, question: str
) -> None:
    """It is asked for again; the pages, which may be long, are not."""
    put_object(ais_bucket, "o", b"1")
    settings = Settings(connect_timeout_s=0.2)
    lister = AISFileLister([f"ais://{ais_bucket.name}/"], faults.endpoint, settings=settings)
    for _ in range(3):  # at the first contact, and later
        with faults.rule(Latency(matches=question, seconds=0.5)):
            assert len(list(lister)) == 1
    assert faults.count("GET /v1/buckets/") == 3


def test_what_fails_after_an_outage_is_not_waited_for(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """The cluster is whole again; a request that still fails does so after ``max_retries``."""
    put_object(ais_bucket, "o", b"1")
    settings = Settings(max_retries=2, first_backoff_s=0.01)
    rule, outage = (
        Status(500, times=None, matches="objects"),
        Status(503, times=2, matches="health"),
    )
    pipe = AISFileLoader([f"ais://{ais_bucket.name}/o"], faults.endpoint, settings=settings)
    assert len(list(pipe)) == 1
    with faults.rule(outage), faults.rule(rule), pytest.raises(errors.ClusterError, match="a rule"):
        list(pipe)
    assert faults.hits(outage) == 2


@pytest.fixture(scope="module")
def cluster(put_object: PutObject) -> Iterator[LocalCluster]:
    """Three targets, with the bucket ``b`` of `NAMES`."""
    with LocalCluster(targets=3) as cluster:
        bucket = cluster.client().bucket("b").create()
        for name in NAMES:
            put_object(bucket, name, name.encode())
        yield cluster


@contextmanager
def dead_target(cluster: LocalCluster, *, kill: bool = True) -> Iterator[None]:
    """A target is gone in the block."""
    cluster.stop_target(1, kill=kill)
    try:
        yield
    finally:
        cluster.start_target(1)


# First, as objects move for half a minute when a target has come back.
def test_a_listing_without_a_target_is_none(cluster: LocalCluster) -> None:
    """A target that left takes its names out of the listing silently; that is an error here."""
    settings = Settings(outage_deadline_s=1)
    assert list(AISFileLister(["ais://b"], cluster.endpoint, settings=settings)) == URLS
    with dead_target(cluster, kill=False):
        with pytest.raises(errors.ClusterError, match="2 of 3 targets are ready"):
            list(AISFileLister(["ais://b"], cluster.endpoint, settings=settings))
        credulous = Settings(outage_deadline_s=0)
        assert len(list(AISFileLister(["ais://b"], cluster.endpoint, settings=credulous))) < 24


@pytest.mark.parametrize("max_batch", [1, 8])
def test_a_target_comes_back(
    cluster: LocalCluster, max_batch: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The epoch waits for it and ends complete, with one warning that it does."""
    pipe = AISFileLoader(URLS, cluster.endpoint, max_batch=max_batch)
    assert len(list(pipe)) == len(URLS)
    cluster.stop_target(1, kill=True)
    starting = threading.Timer(1, cluster.start_target, [1])
    starting.start()
    with caplog.at_level(logging.WARNING, "aisdatapipes.client.outage"):
        contents = [file.read() for _, file in pipe]
    starting.join()
    assert contents == [name.encode() for name in NAMES]
    assert len([text for text in caplog.messages if "requests wait for it" in text]) <= 1


def test_what_is_skipped_is_what_was_out_of_reach(cluster: LocalCluster) -> None:
    """Nothing before the deadline; then the objects of the dead target, and all of them."""
    # Without batches: one that is silent, as after the restart before, would be part of the outage.
    options = dict[str, Any](settings=Settings(outage_deadline_s=2), max_batch=1)
    assert len(list(AISFileLoader(URLS, cluster.endpoint, **options))) == len(URLS)
    smap = cluster.client().bucket("b").client.get_smap()
    place = {url: smap.get_target_for_object(f"ais/@#/b/{url[-2:]}").daemon_id for url in URLS}
    with dead_target(cluster):
        pipe = AISFileLoader(URLS, cluster.endpoint, on_error="skip", **options)
        began = time.monotonic()
        read = [url for url, _ in pipe]
        assert time.monotonic() - began > 2
        skipped = pipe.skipped_urls()
        assert sorted([*read, *skipped]) == URLS
        assert len({place[url] for url in skipped}) == 1
        assert not {place[url] for url in skipped} & {place[url] for url in read}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_a_job_share_what_they_know(faults: FaultProxy, method: str) -> None:
    """A worker that starts in an outage waits, as one before it knew that there was a cluster."""
    endpoint = resolve_endpoint(f"{faults.endpoint}/of-{method}")  # nobody has asked there yet
    assert known_cluster(endpoint).nodes is None
    context: Any = get_context(method)
    nodes = ClusterMap("u", 1, {"a": "http://one:1"})
    here, there = context.Pipe()
    for task in (learn, tell_known):
        worker = context.Process(target=task, args=(endpoint, nodes, there))
        worker.start()
        assert here.recv() == known_cluster(endpoint).nodes == nodes
        worker.join()


def learn(endpoint: str, nodes: ClusterMap, pipe: Connection) -> None:
    """Learn the nodes of a cluster."""
    remember_cluster(endpoint, nodes=nodes)
    pipe.send(nodes)


def tell_known(endpoint: str, nodes: ClusterMap, pipe: Connection) -> None:  # noqa: ARG001
    """Send what this process knows of the cluster."""
    pipe.send(known_cluster(endpoint).nodes)


def find_trouble(bucket: str, endpoint: str) -> None:
    """Run into what is wrong with a cluster, in a process of its own."""
    settings = Settings(outage_deadline_s=0.5)
    list(AISFileLoader([f"{bucket}/gone"], endpoint, on_error="skip", settings=settings))


def test_a_worker_knows_of_the_trouble_that_others_had(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """Batches of the workers of a new epoch may be silent as those before."""
    put_object(ais_bucket, "o", b"1")
    bucket = f"ais://{ais_bucket.name}"
    assert len(list(AISFileLoader([f"{bucket}/o"], faults.endpoint))) == 1
    assert not had_trouble(faults.endpoint)
    with faults.rule(Status(503, times=None, matches="health")):
        worker = get_context("fork").Process(target=find_trouble, args=(bucket, faults.endpoint))
        worker.start()
        worker.join()
    assert worker.exitcode == 0
    assert had_trouble(faults.endpoint)


def test_an_address_from_elsewhere_reaches_a_worker() -> None:
    """Also from a process that has asked nothing yet, and got it by a pickle."""
    script = (
        "import pickle, sys; from multiprocessing import get_context; "
        f"endpoint = pickle.loads({pickle.dumps(resolve_endpoint('http://one:1'))!r}); "
        "worker = get_context('spawn').Process(target=print, args=(endpoint,)); "
        "worker.start(); worker.join(); sys.exit(worker.exitcode)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("http://one:1\n", "")


def test_without_temporary_files_a_process_knows_what_it_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where none can be written, nothing is shared, and nothing fails."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    knowledge = Knowledge()
    knowledge.change("http://one:1", {"others": ("http://two:2",)})
    assert knowledge.read() == {"http://one:1": KnownCluster(("http://two:2",))}


@pytest.mark.parametrize("after_bytes", [None, 0, 3000])
def test_after_a_silent_batch_there_is_none_for_a_while(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, after_bytes: int | None
) -> None:
    """The rest comes by GETs: the targets' connections may be broken for minutes."""
    for name in NAMES:
        put_object(ais_bucket, name, name.encode())
    urls = [f"ais://{ais_bucket.name}/{name}" for name in NAMES]
    settings = Settings(read_timeout_s=0.5)
    pipe = AISFileLoader(urls, faults.endpoint, max_batch=3, settings=settings)
    stall = Stall(after_bytes, seconds=60, times=None, matches="GET /v1/ml/moss")
    with faults.rule(stall) as silent:
        assert [file.read() for _, file in pipe] == [name.encode() for name in NAMES]
    assert faults.hits(silent) <= 2  # one more is asked for ahead


def test_a_silent_batch_is_part_of_the_outage(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """What is skipped is so when the outage has lasted for its deadline, not a time-out later."""
    for name in NAMES:
        put_object(ais_bucket, name, name.encode())
    urls = [f"ais://{ais_bucket.name}/{name}" for name in NAMES]
    settings = Settings(outage_deadline_s=6)
    pipe = AISFileLoader(urls, faults.endpoint, on_error="skip", settings=settings)
    assert len(list(pipe)) == len(urls)
    stall = Stall(0, seconds=60, times=None, matches="GET /v1/ml/moss")
    outage = Status(503, times=None, matches="health")
    lost = Status(500, times=None, matches="objects/.*/07")
    began = time.monotonic()
    with faults.rule(stall), faults.rule(outage), faults.rule(lost):
        assert len(list(pipe)) == len(urls) - 1
    assert pipe.skipped_urls() == urls[7:8]
    assert 6 <= time.monotonic() - began < 10  # of which the batch has 5


@pytest.mark.parametrize("fault", [Status(404, times=3), Cut(0, times=3)], ids=["not found", "cut"])
def test_an_outage_may_be_long_where_waiting_is_worth_it(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, fault: Rule
) -> None:
    """Objects that move for hours are late now and then; what never comes has its deadline."""
    for name in NAMES:
        put_object(ais_bucket, name, name.encode())
    urls = [f"ais://{ais_bucket.name}/{name}" for name in NAMES]
    settings = Settings(outage_deadline_s=3, max_retries=1, max_backoff_s=1)
    options = dict[str, Any](on_error="skip", max_batch=1, concurrency=2, settings=settings)
    pipe = AISFileLoader(urls, faults.endpoint, **options)
    assert len(list(pipe)) == len(urls)
    outage, lost = (
        Status(503, times=None, matches="health"),
        Status(404, times=None, matches="objects/.*/2[0-3].*pid="),
    )
    late = [replace(fault, matches=f"objects/.*/{name}.*pid=") for name in NAMES[:12]]
    with ExitStack() as rules:
        for rule in [outage, lost, *late]:
            rules.enter_context(faults.rule(rule))
        began = time.monotonic()
        assert [url for url, _ in pipe] == urls[:20]
        assert time.monotonic() - began > 5  # more than one deadline, and that of what is lost
    assert pipe.skipped_urls() == urls[20:]


def test_a_pickle_keeps_addresses_and_no_nodes() -> None:
    """What is stored may be read when the cluster has other nodes."""
    endpoint = resolve_endpoint("http://one:1,http://two:2")
    loaded = pickle.loads(pickle.dumps(endpoint))
    assert loaded == endpoint
    assert known_cluster(loaded).addresses(loaded) == ["http://one:1", "http://two:2"]


def test_no_address_without_tls_takes_over_from_one_with_it() -> None:
    """A map cannot send to an open address what was meant for a sealed one, a token above all."""
    proxies = {"a": "http://one:1", "b": "https://two:2"}
    known = KnownCluster(nodes=ClusterMap("u", 1, proxies))
    assert known.addresses("https://two:2") == ["https://two:2"]
