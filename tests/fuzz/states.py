"""States: those of a run, changed in some place, loaded into the dataset that it is of."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from itertools import islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes.errors import AISPipeError
from fuzz.hunting import soon

__all__ = ["changed_states_are_exact_or_refused"]

_VALUES = (
    st.integers(-2, 30)
    | st.sampled_from([2**31, 2**63, 10**30])
    | st.floats()
    | st.text(max_size=3)
    | st.booleans()
    | st.none()
    | st.just([])
    | st.just({})
)
_CHANGES = st.lists(
    st.tuples(st.sampled_from(["set", "delete", "double", "wrap", "add"]), st.floats(0, 1), _VALUES)
    | st.tuples(st.just("graft"), st.floats(0, 1), st.floats(0, 1)),
    min_size=1,
    max_size=3,
)


def changed_states_are_exact_or_refused(
    make: Callable[[bool], Any], samples: list[Any]
) -> Callable[[], None]:
    """Return the law: a changed state is refused by an error of ours, or gives what is due.

    That is: no sample is repeated, or foreign, or wrong, and they come in the order of the epoch;
    which of them are left is what the state says, and a number in it may be another one.

    Args:
        make: Returns the dataset, shuffled or not.
        samples: All of an epoch, in the order of one that is not shuffled.
    """

    @given(st.booleans(), st.integers(0, len(samples)), _CHANGES)
    def law(is_shuffled: bool, done: int, changes: list[tuple[str, float, Any]]) -> None:
        dataset = make(is_shuffled)
        reading = iter(dataset)
        list(islice(reading, done))
        state = json.loads(json.dumps(dataset.state_dict()))
        saved = deepcopy(state)
        for change in changes:
            _change(state, *change)
        other = make(is_shuffled)
        with soon():
            try:
                other.load_state_dict(state)
                found = [sample for sample in other]  # noqa: C416 - list() asks for len()
            except AISPipeError as error:
                assert str(error)  # noqa: PT017
                return
        assert len(set(found)) == len(found)
        assert set(found) <= set(samples)
        if state == saved and done < len(samples):
            assert found == [sample for sample in reading]  # noqa: C416
        if not is_shuffled:
            assert found == [sample for sample in samples if sample in found]

    return law


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return all containers in plain data, with each of their keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], (dict, list)):
            found += _places(value[key])
    return found


def _change(state: dict[str, Any], kind: str, where: float, how: Any) -> None:
    places = _places(state)
    if not places:
        return
    container, key = places[int(where * (len(places) - 1))]
    if kind == "set":
        container[key] = how
    elif kind == "delete":
        del container[key]
    elif kind == "double" and isinstance(container, list):
        container.insert(0, deepcopy(container[key]))
    elif kind == "wrap":
        container[key] = [container[key]]
    elif kind == "add" and isinstance(container, dict):
        container["more"] = how
    elif kind == "graft":
        source, name = places[int(how * (len(places) - 1))]
        container[key] = deepcopy(source[name])
