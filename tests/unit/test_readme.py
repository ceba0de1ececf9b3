"""What the README says of its own tests is so."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from support.modules import ROOT

TEXT = (ROOT / "README.md").read_text()
LIMITS = TEXT.partition("\n## Limits\n")[2].partition("\n## ")[0]
CONTRIBUTING = TEXT.partition("\n## Contributing\n")[2].partition("\n## ")[0]
#: Each row of the table from limits to tests: the limit's bold words, and the cell beside them.
ROWS = re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", CONTRIBUTING, re.MULTILINE)
#: What the README calls a test: a file below ``tests``, in it a function, or a class and its function.
NAMED = re.findall(r"(?:tests/)?((?:[a-z_]+/)+test_\w+\.py)((?:::\w+)*)", TEXT)


@cache
def names_in(file: Path) -> set[str]:
    """``::function`` and ``::Class::function`` of every test in a file."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(f"::{node.name}")
        elif isinstance(node, ast.ClassDef):
            found |= {f"::{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return {name for name in found if "::test_" in name}


def test_every_limit_has_its_row_and_every_row_its_limit() -> None:
    limits = re.findall(r"^- \*\*(.+?)\*\*", LIMITS, re.MULTILINE)
    assert len(limits) == len(re.findall(r"^- ", LIMITS, re.MULTILINE)), "each begins with the words it is known by"
    assert [limit for limit, _ in ROWS] == limits


def test_a_limit_is_held_by_tests_or_says_why_by_none() -> None:
    for _, cell in ROWS:
        tests, _, _ = cell.partition("; ")  # What no test tries is said behind them.
        assert tests.startswith("—: ") or all(re.fullmatch(r"`[\w/]+\.py(::\w+)+`", each) for each in tests.split(", "))


def test_every_test_that_is_named_exists() -> None:
    tests = ROOT / "tests"
    missing = [
        file + name
        for file, name in NAMED
        if not (tests / file).is_file() or (name and name not in names_in(tests / file))
    ]
    assert missing == []


def test_every_place_in_the_tests_that_is_named_exists() -> None:
    places = re.findall(r"[` ](tests/[\w/.]+)", TEXT)
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_all_that_is_named_is_found() -> None:
    assert ("unit/test_watch.py", "::test_nothing_is_known_before_the_first_look") in NAMED
    assert ("unit/test_admission.py", "") in NAMED
    assert len(NAMED) == len(re.findall(r"\btest_\w+\.py\b", TEXT))
