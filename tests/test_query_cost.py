"""No canned query takes time that grows with the square of the files: SQLite's own steps are counted, not seconds."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from layerindex import catalog, database, shipped
from layerindex.writing import parts
from layerindex.writing.listings import COUNT_SQL
from tests.rewrite import rewriting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.catalog import Query

FILES = 3000
LAYERS = 3
STEPS = 10_000_000
"""Some hundred for each of the files and layers; row by row against each other they would take many times that."""
COUNTED = 10_000

SNAPSHOT = """
INSERT INTO hosts (host_id, name) VALUES (1, 'web-1');
INSERT INTO snapshots
  (snapshot_id, uid, host_id, store, root, driver, folder, started_at, finished_at, ordered_at, status, scope,
    tool_version)
  VALUES (1, 'u', 1, 'docker-overlay2', '/r', 'overlay2', 'overlay2', '2026-01-01', '2026-01-01', '2026-01-01',
    'complete', '{scope}', '1');
"""

STORE = f"""
{SNAPSHOT.format(scope="walk")}CREATE TEMP TABLE layer (n INTEGER);
INSERT INTO layer SELECT value FROM generate WHERE value < {LAYERS};
INSERT INTO listings (listing_id, diff_id, source, complete, entry_count, total_size)
  SELECT n + 1, 'sha256:d' || n, 'tar-split', 1, {FILES}, {FILES} FROM layer;
INSERT INTO listings (listing_id, source, complete, entry_count, total_size) VALUES (9, 'walk', 1, {FILES}, {FILES});
INSERT INTO directories (directory_id, path)
  SELECT value + 1, iif(value, '/d' || (value % 7) || '/e' || value, '/') FROM generate WHERE value <= {FILES} / 10;
INSERT INTO layers (snapshot_id, chain_id, diff_id, parent_chain_id, cache_id, size, verified, listing_id)
  SELECT 1, 'sha256:c' || n, 'sha256:d' || n, iif(n, 'sha256:c' || (n - 1), NULL), 'l' || n, 1, 1, n + 1 FROM layer;
INSERT INTO images (snapshot_id, image_id, size, layer_count, verified, config)
  VALUES (1, 'sha256:i', 3, {LAYERS}, 1, '');
INSERT INTO image_refs (snapshot_id, ref, repository, tag, image_id, namespace, normalized)
  VALUES (1, 'web:1', 'web', '1', 'sha256:i', '', 'docker.io/library/web:1');
INSERT INTO image_layers SELECT 1, 'sha256:i', n, 'sha256:d' || n, 'sha256:c' || n FROM layer;
INSERT INTO overlay_dirs (snapshot_id, cache_id, role, has_diff, has_work, has_merged, committed, listing_id)
  SELECT 1, 'l' || n, 'layer', 1, 1, 0, 1, n + 1 FROM layer UNION ALL SELECT 1, 'upper', 'container', 1, 1, 0, 0, 9;
INSERT INTO overlay_lowers SELECT 1, 'upper', {LAYERS} - 1 - n, 'L', 'l' || n FROM layer;
INSERT INTO containers (snapshot_id, container_id, namespace, name, image_id, state, mount_id)
  VALUES (1, 'c', '', 'web', 'sha256:i', 'exited', 'upper');
INSERT INTO mounts VALUES (1, 'c', 'upper', NULL, 'sha256:c{LAYERS - 1}', 'c');
INSERT INTO entries (listing_id, directory_id, name, type, mode, uid, gid, size, mtime, content_crc64, opaque)
  SELECT l.listing_id, 1 + value / 10, 'f' || value,
    iif(value % 50, 'file', iif(value % 100, 'whiteout', 'dir')), 420, 0, 0, value, l.listing_id, value,
    iif(value % 100, NULL, value % 300 = 0)
  FROM listings AS l CROSS JOIN generate WHERE value < {FILES};
"""


@pytest.fixture(scope="module", params=["analyzed", "plain"])
def store(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """Give a database with an image and a container that copied up all of its files."""
    yield from filled(STORE, analyzed=request.param == "analyzed")


def filled(script: str, *, analyzed: bool) -> Iterator[sqlite3.Connection]:
    """Yield a database that a script filled with the help of the numbers in `generate`."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    connection.execute("CREATE TEMP TABLE generate (value INTEGER)")
    connection.executemany("INSERT INTO generate VALUES (?)", [(value,) for value in range(FILES + 1)])
    with parts.gathering(connection):
        connection.executescript(script)
    if analyzed:
        database.analyze(connection)
    yield connection
    connection.close()


def shipped_queries() -> list[Path]:
    """Return all queries that are files."""
    return sorted(Path(shipped.folder("queries")).rglob("*.sql"))


@pytest.mark.parametrize("name", catalog.names())
def test_cost(store: sqlite3.Connection, name: str) -> None:
    """Each query ends within its steps, asked for everything."""
    query = catalog.load(name)
    asked_within_steps(store, query, {"image": "web:1"} if "image" in query.params else {})


@pytest.mark.parametrize("path", shipped_queries(), ids=lambda path: path.stem)
def test_views_of_parts_are_joined(wide: sqlite3.Connection, path: Path) -> None:
    """No query has SQLite write down all rows of a view of parts, as it does for a LEFT JOIN of one."""
    sql = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("--"))
    given = dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", sql))
    plan = [detail for *_, detail in wide.execute(f"EXPLAIN QUERY PLAN {sql}", given)]
    views = {view for kind in parts.KINDS if kind.scattered for view in kind.views}
    own = set(re.findall(r"^(?:WITH |WITH RECURSIVE )?(\w+) (?:\(.*\) )?AS (?:MATERIALIZED )?\($", sql, re.MULTILINE))

    assert [] == [view for view in views - own if f"MATERIALIZE {view}" in plan]


IMAGES = 400
DEEP = 5
"""Layers of an image, which no other has."""
WIDE = f"""
{SNAPSHOT.format(scope="metadata")}INSERT INTO images (snapshot_id, image_id, size, layer_count, verified, config)
  SELECT 1, 'sha256:i' || value, 3, {DEEP}, 1, '' FROM generate WHERE value < {IMAGES};
INSERT INTO layers (snapshot_id, chain_id, diff_id, parent_chain_id, cache_id, size, verified)
  SELECT 1, 'sha256:c' || value, 'sha256:d' || value,
    iif(value % {DEEP}, 'sha256:c' || (value - 1), NULL), 'l' || value, 1, 1
  FROM generate WHERE value < {IMAGES} * {DEEP};
INSERT INTO image_layers
  SELECT 1, 'sha256:i' || (value / {DEEP}), value % {DEEP}, 'sha256:d' || value, 'sha256:c' || value
  FROM generate WHERE value < {IMAGES} * {DEEP};
INSERT INTO overlay_dirs (snapshot_id, cache_id, role, has_diff, has_work, has_merged, committed)
  SELECT 1, 'l' || value, 'layer', 1, 1, 0, 1 FROM generate WHERE value < {IMAGES} * {DEEP};
INSERT INTO recorded_uses (snapshot_id, used_kind, used, user_kind, user, source)
  SELECT 1, 'directory', 'l' || value, 'layer', 'sha256:c' || value, 'layers' FROM generate
  WHERE value < {IMAGES} * {DEEP};
INSERT INTO disk_usage (snapshot_id, category, owner, counted_by_docker)
  SELECT 1, 'image layer', 'l' || value, 1 FROM generate WHERE value < {IMAGES} * {DEEP};
"""


@pytest.fixture(scope="module")
def wide() -> Iterator[sqlite3.Connection]:
    """Give a database with many images and layers, as a scan of metadata alone writes it."""
    yield from filled(WIDE, analyzed=True)


@pytest.mark.parametrize("name", catalog.names())
def test_cost_of_many_layers(wide: sqlite3.Connection, name: str) -> None:
    """No query asks each layer or image for each other one."""
    asked_within_steps(wide, catalog.load(name), {})


@pytest.mark.parametrize("name", ["stores", "layers", "images", "containers", "asked"])
def test_cost_of_a_tree(wide: sqlite3.Connection, name: str) -> None:
    """Nor do the queries of the command `tree`."""
    asked_within_steps(wide, catalog.parsed(name, shipped.query("tree", name)), {"name": "sha256:i7"})


def asked_within_steps(store: sqlite3.Connection, query: Query, given: dict[str, str | None]) -> None:
    """Ask a query; more steps than it may take fail the test."""
    parts = 0

    def count() -> int:
        nonlocal parts
        parts += 1
        return parts * COUNTED > STEPS

    store.set_progress_handler(count, COUNTED)
    try:
        store.execute(query.sql, dict.fromkeys(query.params) | given).fetchall()
    except sqlite3.OperationalError:
        assert parts * COUNTED <= STEPS, f"more than {STEPS} steps"
        raise
    finally:
        store.set_progress_handler(None, 0)


SIZES = """
SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
WHERE t.type = 'table' AND (c.name GLOB '*size' OR c.name GLOB '*bytes')"""


TWO_OF_EACH = """
INSERT INTO volumes (snapshot_id, name, driver, on_disk, disk_bytes)
  VALUES (1, 'v', 'local', 1, 0), (1, 'w', 'local', 1, 0);
INSERT INTO containers (snapshot_id, container_id, namespace, image_id) VALUES (1, 'd', '', 'sha256:i');
INSERT INTO container_logs (snapshot_id, container_id, path, driver, rotation, apparent_bytes, disk_bytes)
  VALUES (1, 'c', 'a', 'json-file', 0, 0, 0), (1, 'c', 'b', 'json-file', 1, 0, 0);
INSERT INTO build_cache (snapshot_id, record_id, deleting) VALUES (1, 'a', 0), (1, 'b', 0);
INSERT INTO disk_usage (snapshot_id, category, owner, counted_by_docker) VALUES (1, 'x', 'a', 1), (1, 'x', 'b', 1);
"""
COMPARED = sorted(path.stem for path in Path(shipped.folder("queries"), "compare").glob("*.sql"))


@pytest.fixture
def immense(store: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Let the store state sizes that are too large to be added up."""
    store.execute("BEGIN")
    with rewriting(store):
        for statement in TWO_OF_EACH.split(";\n")[:-1]:
            store.execute(statement)
    for table, column in store.execute(SIZES).fetchall():
        store.execute(f"UPDATE {table} SET {column} = 9223372036854775807")
    yield store
    store.execute("ROLLBACK")


@pytest.mark.parametrize("name", catalog.names())
def test_sizes_beyond_63_bits(immense: sqlite3.Connection, name: str) -> None:
    """They end no query."""
    query = catalog.load(name)
    values: dict[str, str | None] = dict.fromkeys(query.params)
    values |= {"image": "web:1"} if "image" in query.params else {}
    immense.execute(query.sql, values).fetchall()


@pytest.mark.parametrize("name", COMPARED)
def test_compared_sizes_beyond_63_bits(immense: sqlite3.Connection, name: str) -> None:
    """Nor a comparison."""
    immense.execute(shipped.query("compare", name), {"a": 1, "b": 1, "image": "web:1", "container": None}).fetchall()


def test_count_of_a_listing_beyond_63_bits(store: sqlite3.Connection) -> None:
    """Nor do they end a scan that counts a listing anew."""
    store.execute("BEGIN")
    store.execute("UPDATE entries SET size = 9223372036854775807")
    found = store.execute(COUNT_SQL.format(table="entries"), (1,)).fetchone()
    store.execute("ROLLBACK")

    assert (FILES, 2**63 - 1, 2**63 - 1) == found
