"""What every kind of store keeps: its contract, the shape of ids, one answer each time, and a root that stays as it is.

The law of doubt (`test_law.py`) and each path damaged (`test_bad_paths.py`) run over the same kinds.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

import pytest

from layerindex import catalog, query, scan, stores
from layerindex.exchange import checks
from layerindex.names import as_text, printable
from layerindex.records import Features
from layerindex.stores.store import Holder, Store
from layerindex.writing import parts
from tests.conftest import scanned
from tests.kinds import KINDS
from tests.test_bad_names import make
from tests.test_bad_paths import INSIDE, no_waiting

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from tests.kinds import Store as Built

    Kind = Callable[[Path], Built]

__all__ = ["no_waiting"]

pytestmark = [pytest.mark.usefixtures("no_waiting"), pytest.mark.parametrize("kind", KINDS)]

THINGS = ("layer", "snapshot", "mount", "image", "tag", "container", "build cache", "volume")
OWN_TIME = {"uid", "started_at", "finished_at", "ordered_at"}
"""What differs between two scans of one store."""
ALL = scan.Options(files=True, walk=True)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def rows(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return what a database says, table by table, without times of scans."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
    said = {}
    for name in names:
        found = connection.execute(f"SELECT * FROM {name}")
        keep = [place for place, column in enumerate(found.description) if column[0] not in OWN_TIME]
        said[name] = [tuple(row[place] for place in keep) for row in found]
    return said


def test_contract(kind: Kind, tmp_path: Path) -> None:
    """It has what the rest of the program asks of a store, and answers for any path and any name."""
    path = kind(tmp_path).path
    found = stores.open_stores(str(path))
    assert found
    for store in found:
        assert all(hasattr(store, name) for name in vars(Store) if not name.startswith("_"))
        assert store.root == os.path.realpath(path)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", store.name)
        assert isinstance(store.features, Features)
        assert set(store.features) <= {0, 1}
        for name in ("sha256:" + "a" * 64, "../..", "\x1b[31m", "a" * 64):
            assert all(CONTROL.search(store.recorded(thing, name)) is None for thing in THINGS)
        for below in (("x",), (store.folder,), ("..", ".."), (store.folder, "a", "diff", "b"), ("a" * 255,) * 9):
            assert isinstance(store.holder(below, is_folder=True), Holder)
    assert len({(store.name, store.folder) for store in found}) == len(found)
    assert sum(store.first for store in found) == 1


def test_ids(kind: Kind, tmp_path: Path) -> None:
    """Ids have their shape, and chain_ids are the digests of what they chain."""
    connection = scanned(kind(tmp_path).path)
    for (table, column), shape in checks.SHAPES.items():
        wrong = (
            f"SELECT {column} FROM {parts.read_as(table)} WHERE {column} IS NOT NULL AND NOT ({shape.format(column)})"
        )
        assert connection.execute(wrong).fetchall() == [], (table, column)
    chains = connection.execute("SELECT image_id, diff_id, chain_id FROM image_layers ORDER BY image_id, position")
    below: dict[str, str] = {}
    for image, diff_id, chain_id in chains:
        if image in below:
            assert chain_id == f"sha256:{hashlib.sha256(f'{below[image]} {diff_id}'.encode()).hexdigest()}"
        else:
            assert chain_id == diff_id
        below[image] = chain_id
    assert below


def test_order(kind: Kind, tmp_path: Path) -> None:
    """Two scans say the same, row by row."""
    path = kind(tmp_path).path
    first, second = rows(scanned(path, ALL)), rows(scanned(path, ALL))
    assert first == second
    assert first["snapshots"]


def test_it_is_only_read(kind: Kind, tmp_path: Path) -> None:
    """No byte, name, time or mode of the store is another after a scan of all its files."""
    path = kind(tmp_path).path

    def state() -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        for each in [path, *path.rglob("*")]:
            status = each.lstat()
            content = each.read_bytes() if each.is_file() and not each.is_symlink() else None
            target = os.readlink(each) if each.is_symlink() else None
            found[str(each)] = (status.st_mode, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, content, target)
        return found

    before = state()
    scanned(path, ALL)
    assert state() == before


def test_answers(kind: Kind, tmp_path: Path) -> None:
    """Each canned query answers, and its order is total: what it says again is the same."""
    connection = scanned(kind(tmp_path).path, ALL)
    for name in catalog.names():
        canned = catalog.load(name)
        if not any(param.required for param in canned.params.values()):
            values = {key: param.default for key, param in canned.params.items()}
            once = list(query.run(connection, canned.sql, values).rows)
            assert once == list(query.run(connection, canned.sql, values).rows), name


def test_hostile_names(kind: Kind, tmp_path: Path) -> None:
    """Names that no engine makes, in every folder of it: what was used is used, and no path can move a cursor."""
    path = kind(tmp_path).path
    used = set(scanned(path).execute("SELECT kind, id FROM standings WHERE standing = 'used'"))
    assert used
    for folder in [each for each in path.rglob("*") if each.is_dir() and not each.is_symlink()]:
        if not INSIDE.search(f"{folder.relative_to(path)}"):
            make(folder, folders=len(folder.name) % 2 == 0)
    connection = scanned(path, ALL)
    assert used.isdisjoint(connection.execute("SELECT kind, id FROM standings WHERE standing = 'unused'"))
    texts = connection.execute("SELECT code, path, detail FROM problems").fetchall()  # a subject is data, as it is
    assert texts
    assert [text for row in texts for text in row if text and CONTROL.search(text)] == []
    assert printable(as_text(b"\x1b[31mred\x07")) in {text.rsplit("/", 1)[-1] for _, text, *_ in texts if text}
