"""Each promise of docs/threat-model.md names the tests that show it, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([a-z_/0-9]+\.py)::(test_\w+)`")


def promises() -> list[tuple[str, str]]:
    """Return each promise with the cell that says what shows it."""
    rows = [
        line.strip("|\n ").split(" | ") for line in PAGE.partition("\n## ")[2].splitlines() if line.startswith("| ")
    ]
    return [(promise, shown) for promise, shown in rows if shown != "Shown by"]


def test_every_promise_is_shown() -> None:
    """A promise names at least one test, and nothing but tests."""
    assert len(promises()) > 30
    assert [] == [(promise, shown) for promise, shown in promises() if not shown or NAMED.sub("", shown).strip()]


def test_every_named_test_is_there() -> None:
    """No test that the page names was renamed or removed."""
    named = set(NAMED.findall(PAGE))
    there = {
        (file, node.name)
        for file in {file for file, _ in named}
        for node in ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }

    assert set() == named - there
