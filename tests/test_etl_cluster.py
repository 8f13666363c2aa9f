"""The cluster that the tests of ETLs run on: it starts, it tells what fails, and it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aistore.sdk.errors import AISError

from aisdatapipes.testing import LocalCluster
from support.etls import Broken, Turned, start_etl
from support.processes import becomes, heed_interrupts, is_alive
from support.service_account import FOLDER, ServiceAccountError, in_service_account, made

SCRIPT = """
import signal
from support.etls import Turned, cluster_with_etls, start_etl
with cluster_with_etls(1) as (cluster, kubernetes):
    start_etl(cluster, "turned", Turned)
    print(*cluster.pids, *kubernetes.pids, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_servers_of_etls_end_with_their_cluster(tmp_path: Path, ending: signal.Signals) -> None:
    """However the process ends: nodes, ETL servers, their keepers and the folders go."""
    tests = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": tests},
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    try:
        assert process.stdout
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 6
        assert all(is_alive(pid) for pid in pids)
        os.killpg(process.pid, ending)
        process.wait(timeout=60)
        assert becomes(lambda: not any(is_alive(pid) for pid in pids))
        assert becomes(lambda: not list(tmp_path.iterdir()))
    finally:
        process.kill()
        process.communicate()


def test_an_etl_that_cannot_start_says_why(etl_cluster: LocalCluster) -> None:
    """The error of the cluster has the last words of the ETL's server."""
    with pytest.raises(AISError, match="RuntimeError: this ETL has no model"):
        start_etl(etl_cluster, "broken-etl", Broken)
    assert "broken-etl" not in [etl.id for etl in etl_cluster.client().cluster().list_etls()]


def test_the_server_of_an_etl_has_logs(etl_cluster: LocalCluster) -> None:
    """What errors lead to is there: the output of the server, from both targets."""
    etl = etl_cluster.client().etl(start_etl(etl_cluster, "talkative", Turned))
    logs = etl.logs()
    assert len(logs) == 2
    assert all("server running at 127.0.0.1" in log.logs for log in logs)
    etl.stop()


def test_credentials_are_seen_by_the_program_alone(tmp_path: Path) -> None:
    """A program finds the files at the place that Kubernetes has them; afterwards none are left."""
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("a token")
    was_there = FOLDER.exists()
    with in_service_account(account, Path("/bin/cat")) as program:
        command = [str(program), str(FOLDER / "token")]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"a token"
    assert FOLDER.exists() == was_there


def test_credentials_leave_no_trace_where_they_are_made(tmp_path: Path) -> None:
    """Without namespaces, folders are made and removed, those that were there stay."""
    account, place = tmp_path / "account", tmp_path / "run" / "secrets" / "account"
    account.mkdir()
    (account / "token").write_text("a token")
    (tmp_path / "run").mkdir()
    with made(place, account):
        assert (place / "token").read_text() == "a token"
        with pytest.raises(ServiceAccountError, match="is there already"), made(place, account):
            pass
    assert list((tmp_path / "run").iterdir()) == []
    with (
        pytest.raises(ServiceAccountError, match="there is no way to make it"),
        made(Path("/proc/none/account"), account),
    ):
        pass
