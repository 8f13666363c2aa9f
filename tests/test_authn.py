"""Tokens: the real token server, and a real cluster that asks every client for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aistore.sdk.errors import AISError
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISFileLoader, Settings, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import AuthnServer, LocalCluster
from conftest import KEPT as NAMES
from support.jwts import resign

FORGED = "eyJhbGciOiJIUzI1NiJ9.e30.bm90LXNpZ25lZC1ieS1hbnlib2R5"

pytestmark = pytest.mark.usefixtures("no_token_variables")


def by_argument(token: str, _: pytest.MonkeyPatch, __: Path) -> Settings:
    """Give the token in the settings."""
    return Settings(token=token)


def by_variable(token: str, monkeypatch: pytest.MonkeyPatch, _: Path) -> Settings:
    """Give the token in the environment."""
    monkeypatch.setenv("AIS_AUTHN_TOKEN", token)
    return Settings()


def by_file(token: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Settings:
    """Give the token in a file that the environment names."""
    path = folder / "token"
    path.write_text(f"{token}\n")
    monkeypatch.setenv("AIS_AUTHN_TOKEN_FILE", str(path))
    return Settings()


def by_file_of_the_command_line(token: str, _: pytest.MonkeyPatch, folder: Path) -> Settings:
    """Give the token in a file as AIStore's command line writes it."""
    path = folder / "auth.token"
    path.write_text(f'{{"token": "{token}"}}')
    return Settings(token_file=path)


WAYS = [by_argument, by_variable, by_file, by_file_of_the_command_line]
Way = Callable[[str, pytest.MonkeyPatch, Path], Settings]


def pipeline(cluster: LocalCluster, settings: Settings, bucket: str = "open"):
    """List a bucket and read it, as a user does."""
    return (
        IterableWrapper([f"ais://{bucket}"])
        .list_files_by_ais(cluster.endpoint, settings=settings)
        .sharding_filter()
        .load_files_by_ais(cluster.endpoint, settings=settings)
        .map(content)
    )


def content(item) -> str:
    """Return what the loader's item holds."""
    return item[1].read().decode()


def loaded(pipe, method: str | None = None, workers: int = 2) -> list[str]:
    """Run a pipe in a DataLoader, with workers if they have a start method."""
    count = workers if method else 0
    return sorted(
        DataLoader(pipe, batch_size=None, num_workers=count, multiprocessing_context=method)
    )


@pytest.mark.parametrize(
    ("way", "method"),
    [
        *((way, None) for way in WAYS),
        *((way, "fork") for way in WAYS),
        (by_variable, "spawn"),
        (by_argument, "forkserver"),  # whose server has the environment of its own start
    ],
)
def test_a_token_lets_pipes_in(
    authn_cluster: LocalCluster,
    token: str,
    way: Way,
    method: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """However the token is given, listing and loading work, in workers too."""
    assert loaded(pipeline(authn_cluster, way(token, monkeypatch, tmp_path)), method) == NAMES


def refusals(token: str, secret: str) -> dict[str, tuple[Settings, str, type, str]]:
    """Return what must be refused: settings, bucket, error and words of its message."""
    kind = errors.AuthenticationError
    expired = Settings(token=resign(token, secret, -10))
    return {
        "no token": (Settings(), "open", kind, "asks for a token and got none"),
        "no jwt": (Settings(token="guessed"), "open", kind, "does not accept the token"),
        "forged": (Settings(token=FORGED), "open", kind, "does not accept the token"),
        "expired": (expired, "open", kind, "has expired"),
        "no right": (Settings(token=token), "closed", errors.AccessDeniedError, "permissions"),
    }


@pytest.mark.parametrize(
    ("case", "method"),
    [
        *((case, None) for case in refusals("a.e30.c", "")),
        ("expired", "forkserver"),
        ("no right", "fork"),
    ],
)
def test_who_may_not_is_told_at_once(
    authn_cluster: LocalCluster, authn: AuthnServer, token: str, case: str, method: str | None
) -> None:
    """The error is a `PermissionError`, comes without retries, and says what to set."""
    settings, bucket, kind, words = refusals(token, authn.secret)[case]
    urls = [f"ais://{bucket}/{name}" for name in NAMES]
    loader = AISFileLoader(urls, authn_cluster.endpoint, settings=settings, on_error="raise")
    lister = AISFileLister([f"ais://{bucket}"], authn_cluster.endpoint, settings=settings)
    for pipe in (lister, loader.map(content)):
        with pytest.raises(kind, match=words) as caught:
            loaded(pipe, method, workers=1)  # torch stumbles when it ends one that still starts
        assert isinstance(caught.value, PermissionError)
        says_what_to_set = "set AIS_AUTHN_TOKEN" in str(caught.value)
        assert says_what_to_set == (kind is errors.AuthenticationError)
    assert loader.counters().retries == 0


def test_a_reader_cannot_write(authn_cluster: LocalCluster, token: str) -> None:
    """The token that lists and reads is refused by the cluster for anything else."""
    bucket = authn_cluster.client(token).bucket("open")
    assert loaded(pipeline(authn_cluster, Settings(token=token))) == NAMES
    for forbidden in (
        lambda: bucket.object("new").get_writer().put_content(b"new"),
        bucket.object(NAMES[0]).delete,
        bucket.delete,
    ):
        with pytest.raises(AISError) as caught:
            forbidden()
        assert caught.value.status_code == 403
    assert loaded(pipeline(authn_cluster, Settings(token=token))) == NAMES
