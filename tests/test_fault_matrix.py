"""The fault matrix names every row, and only tests that there are."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reference" / "fault-matrix.md").read_text("utf-8")
ROWS = {
    row: told for row, _, told in re.findall(r"^\| (F\d+) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
}


@functools.cache
def _tests_in(path):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_is_there():
    """F1 to F62 in order, none left out."""
    assert list(ROWS) == [f"F{number}" for number in range(1, 63)]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_exist_or_says_why_not(row):
    """What a row names can be found and run; a row that names nothing says why."""
    named = re.findall(r"`([\w/.]+\.py)::(test_\w+)`", ROWS[row])
    assert named or ROWS[row].startswith("does not apply")
    for path, name in named:
        assert name in _tests_in(path), f"{path} has no {name}"
