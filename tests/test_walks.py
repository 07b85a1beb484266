"""The walks of docs/walks.md: the functions on the way of a datum exist, and are few."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "walks.md"
ROWS = [
    line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
]
WALKS = [(row[0], row[1:]) for row in ROWS[1:]]
MOST = 4


def found(name: str) -> object:
    """Return what a name below `layerindex` means; raises AttributeError."""
    module, parts = importlib.import_module("layerindex"), name.split(".")
    while parts:
        try:
            module = importlib.import_module(f"{module.__name__}.{parts[0]}")
        except ModuleNotFoundError:
            break
        parts.pop(0)
    value: object = module
    for part in parts:
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(("datum", "ways"), WALKS)
def test_walk(datum: str, ways: list[str]) -> None:
    """Each function of it exists; at most four lead in, and four out."""
    for way in ways:
        functions = re.findall(r"`([a-z_]+(?:\.\w+)+)` ", f"{way} ")
        functions = [name for name in functions if not name.endswith(".sql")]
        assert len(functions) <= MOST, datum
        for name in functions:
            value = found(name)
            assert callable(value) or isinstance(value, property), name


def test_twelve() -> None:
    """There are twelve, and none is of nothing."""
    assert len(WALKS) == len(dict(WALKS)) == 12
    assert all("`" in way for _, ways in WALKS for way in ways if way)
