"""The shape of the code: no circle of imports, small modules, small functions."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

MODULES = {
    ".".join(path.with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
    for path in sorted(Path("layerindex").rglob("*.py"))
}
LONGEST_MODULE, LONGEST_FUNCTION = 500, 40


def imported(tree: ast.Module) -> set[str]:
    """Return the modules of ours that a module names in an import, also where only types are meant."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            places = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names |= {place if place in MODULES else node.module for place in places.values()}
    return names & MODULES.keys()


def test_no_circle_of_imports() -> None:
    """A module can be read with what it stands on, and without what stands on it."""
    graph = {name: imported(tree) - {name} for name, tree in MODULES.items()}
    assert len(graph) > 80
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_small_modules() -> None:
    """Each has one reason to change."""
    sizes = {name: max(node.end_lineno or 0 for node in tree.body) for name, tree in MODULES.items() if tree.body}
    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}


def test_small_functions() -> None:
    """Each does one thing."""
    functions = [
        (f"{name}.{node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]
    assert len(functions) > 1000
    assert [(name, size) for name, size in functions if size > LONGEST_FUNCTION] == []


WRITES = re.compile(r"\b(?:INSERT(?: OR \w+)? INTO|REPLACE INTO|DELETE FROM|UPDATE(?: OR \w+)?) +(?!temp\.)[{a-z]")
WRITERS = ("layerindex.writing", "layerindex.schema", "layerindex.migrate")
"""Facts, the schema itself, and its upgrades."""
STATISTICS = "UPDATE main.sqlite_stat1"


def test_all_writes_stand_in_one_room() -> None:
    """Whoever asks what changes a database reads `writing/`."""
    texts = {
        (name, node.value)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    found = {(name, text) for name, text in texts if WRITES.search(text) and not text.startswith(STATISTICS)}
    assert len(found) > 20
    assert [(name, text) for name, text in sorted(found) if not name.startswith(WRITERS)] == []


def test_only_stores_and_plans_know_engines() -> None:
    """What else must be known of an engine is a column of `snapshots`."""
    stands_on = {name for name, tree in MODULES.items() if any("stores.docker" in each for each in imported(tree))}
    assert all(name.startswith("layerindex.stores") for name in stands_on)
