"""docs/acceptance.md names every criterion, and every proof it names is there."""

import ast

import pytest

from tests.acceptance.criteria import CRITERIA, PAGE, ROOT, page


def test_there_are_twenty_five_in_order() -> None:
    assert [one.number for one in CRITERIA] == list(range(1, 26))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.acceptance.criteria"


@pytest.mark.parametrize("number", range(1, 26))
def test_criterion_is_proved_or_said_to_be_open(number: int) -> None:
    criterion = CRITERIA[number - 1]
    assert criterion.proofs or criterion.open
    for proof in criterion.proofs:
        path, _, name = proof.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        if name:
            assert path.rpartition("/")[2].startswith("test_"), "pytest collects it"
            assert name.startswith(("test_", "Test"))
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            assert name in {node.name for node in tree.body if isinstance(node, kinds)}, proof
