"""The names and parameters of the datasets: those that AIStore's documents show."""

from __future__ import annotations

import inspect

import pytest

from aisdatapipes import AISBaseMapDataset, AISDataset, AISMapDataset, DynamicBatchSampler

MAP = ["ais_source_list", "prefix_map", "etl_name"]


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (AISBaseMapDataset, MAP),
        (AISMapDataset, MAP),
        (AISDataset, ["client_url", "urls_list", *MAP]),
        (
            DynamicBatchSampler,
            [
                "data_source",
                "max_batch_size",
                "drop_last",
                "allow_oversized_samples",
                "saturation_factor",
                "shuffle",
            ],
        ),
    ],
)
def test_positional_parameters(kind: type, parameters: list[str]) -> None:
    """The positional parameters are AIStore's, in their order; ours are keywords only."""
    found = inspect.signature(kind).parameters.values()
    assert [one.name for one in found if one.kind is one.POSITIONAL_OR_KEYWORD] == parameters


def test_the_base_cannot_be_made() -> None:
    """It does not know what a sample is, so a subclass has to say."""
    with pytest.raises(TypeError, match="__getitem__"):
        AISBaseMapDataset()  # pyright: ignore[reportAbstractUsage]
