"""The ledger's JSON: the same value with msgspec and without, and nothing refused."""

import json
import math
from collections import UserList
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.telemetry import json_cells
from lynkr.telemetry.json_cells import json_cell

text = st.text(st.characters(exclude_categories=()), max_size=8)  # halves of surrogate pairs among them
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**63, 2**70) | st.floats() | text,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3).map(MappingProxyType)
    ),
    max_leaves=10,
)


def as_json(value: Any) -> Any:
    """What is to be read back."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case MappingProxyType() | dict():
            return {key: as_json(item) for key, item in value.items()}
        case list():
            return [as_json(item) for item in value]
        case _:
            return value


@given(values)
def test_both_writers_write_what_reads_back_as_the_value(value: Any) -> None:
    quick, careful = json_cells._quickly(value), json_cells._carefully(value)
    assert json.loads(json_cell(value)) == json.loads(careful) == as_json(value)
    assert quick is None or json.loads(quick) == as_json(value)


@given(values)
def test_without_msgspec_the_value_is_the_same(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_cells, "_QUICK", None)
        assert json.loads(json_cell(value)) == as_json(value)


@pytest.mark.parametrize("write", [json_cell, json_cells._quickly, json_cells._carefully])
def test_what_is_no_json_is_written_by_its_text(write: Any) -> None:
    odd = {"words": UserList(["b"]), "pair": (1, 2), "money": Decimal("1.5")}
    assert json.loads(write(odd)) == {"words": ["b"], "pair": [1, 2], "money": "1.5"}


def test_msgspec_is_here_so_that_the_quick_way_is_tested() -> None:
    assert json_cells._quickly({"a": 1}) == json_cells._carefully({"a": 1}) == '{"a":1}'
