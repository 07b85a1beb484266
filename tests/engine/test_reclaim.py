"""What `reclaim` promises is what the engine frees: everything is removed, one thing after the other, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import new_engine
from .engine import Engine, EngineError
from .program import Index, layerindex
from .store import BASE, BUILDKIT, CLASSIC, build, build_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KIT = f"FROM {BASE}\nRUN --mount=type=cache,target=/c echo 1 > /c/x && echo 2 > /two\nRUN echo three > /three\n"
BRANCHES = [f"FROM {BASE}\nRUN echo a > /a\nRUN echo {name} > /{name}\n" for name in ("b", "c")]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Give a running engine with a store that is taken apart."""
    with new_engine() as started:
        build_store(started)
        build(started, "cached:1", KIT, {}, BUILDKIT)
        build(started, "cached:2", f"FROM {BASE}\nRUN echo other > /other\n", {}, BUILDKIT)
        started.docker("rmi", "cached:2")
        for number, text in enumerate(BRANCHES):
            build(started, f"branch:{number}", text, {}, CLASSIC)
        yield started


def scanned(engine: Engine, path: Path) -> Index:
    """Scan the metadata into a new database."""
    path.unlink(missing_ok=True)
    layerindex("scan", engine.root, "--db", path, "--host", "h1", "-q", "--no-files")
    return Index(path)


def remove(engine: Engine, index: Index, kind: str, thing: str) -> None:
    """Remove an image with all its names, or a container; what is blocked stays."""
    names = index.rows("SELECT ref FROM image_refs WHERE image_id = ? AND tag IS NOT NULL ORDER BY ref", thing)
    words = ["rm", thing] if kind == "container" else ["rmi", *([name for (name,) in names] or [thing])]
    try:
        engine.docker(*words)
    except EngineError:
        return


def test_each_removal_frees_what_was_said(engine: Engine, tmp_path: Path) -> None:
    """The layers that are gone after a removal are as many as `reclaim` said, and as large."""
    layerdb = engine.root / "image" / "overlay2" / "layerdb" / "sha256"
    done: set[tuple[str, str]] = set()
    freed = 0
    while True:
        index = scanned(engine, tmp_path / "db")
        rows = [row for row in index.query("reclaim") if (row["kind"], row["id"]) not in done]
        if not rows:
            break
        # What is blocked first: it must free nothing.
        row = min(rows, key=lambda row: (row["kind"] == "container", row["exclusive_layers"] > 0, row["id"]))
        done.add((row["kind"], row["id"]))
        sizes = {f"sha256:{path.name}": int((path / "size").read_text()) for path in layerdb.iterdir()}
        remove(engine, index, row["kind"], row["id"])
        gone = sizes.keys() - {f"sha256:{path.name}" for path in layerdb.iterdir()}
        found = len(gone), sum(sizes[name] for name in gone)
        assert (row["exclusive_layers"], row["exclusive_bytes"]) == found, row
        freed += len(gone)
    assert freed > 5
    assert len(done) > 10
