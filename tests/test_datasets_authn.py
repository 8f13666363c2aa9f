"""Datasets and tokens (authn): of the settings or of the sources' own client; never shown."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import Any

import pytest
from aistore.sdk import Client
from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset, AISMapDataset, Settings, errors
from aisdatapipes.testing import LocalCluster
from conftest import KEPT as NAMES

pytestmark = pytest.mark.usefixtures("no_token_variables")


def by_source(cluster: LocalCluster, token: str) -> dict[str, Any]:
    """A bucket whose client has the token."""
    return {"ais_source_list": Client(cluster.endpoint, token=token).bucket("open")}


def by_settings(cluster: LocalCluster, token: str) -> dict[str, Any]:
    """A URL, and settings with the token."""
    settings = Settings(token=token)
    return {"client_url": cluster.endpoint, "urls_list": "ais://open/", "settings": settings}


@pytest.mark.parametrize("way", [by_source, by_settings])
@pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork"), (2, "forkserver")])
def test_a_token_lets_datasets_in(
    authn_cluster: LocalCluster, token: str, way: Any, workers: int, method: str | None
) -> None:
    """Listing and reading work, by index and by iteration, in workers too."""
    options = way(authn_cluster, token)
    for dataset in (AISMapDataset(**options), AISIterDataset(**options)):
        loader = DataLoader(
            dataset,
            batch_size=2,
            collate_fn=list,
            num_workers=workers,
            multiprocessing_context=method,
        )
        found = itertools.chain.from_iterable(loader)
        assert sorted(content.decode() for _, content in found) == NAMES


def test_no_token_is_told_at_once(authn_cluster: LocalCluster) -> None:
    """When the dataset is made."""
    with pytest.raises(errors.AuthenticationError, match="asks for a token and got none"):
        AISIterDataset(client_url=authn_cluster.endpoint, urls_list="ais://open/")


def test_what_is_kept_holds_no_token(
    authn_cluster: LocalCluster, token: str, tmp_path: Any
) -> None:
    """Neither state, manifest, counters, nor what is shown of a dataset; its pickle must."""
    dataset = AISIterDataset(**by_settings(authn_cluster, token))
    list(dataset)
    dataset.manifest.save(tmp_path / "manifest")
    shown = [repr(dataset), repr(vars(dataset)), str(dataset.counters()), repr(dataset.manifest)]
    kept = json.dumps(dataset.state_dict()).encode() + (tmp_path / "manifest").read_bytes()
    assert token.encode() not in kept + "".join(shown).encode()
    assert token.encode() not in pickle.dumps(dataset.manifest)
    assert token.encode() in pickle.dumps(dataset._reader.settings)
