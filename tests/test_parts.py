"""What snapshots share is stored once, under a name that its rows make: who sends what, and when, changes nothing."""

from __future__ import annotations

import gc
import itertools
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerindex import database, migrate
from layerindex.writing import parts, removal
from tests import fleet
from tests.conftest import World, program, scanned
from tests.dataroot import DataRoot
from tests.test_exchange import change, give, index, rows, silent, take, whole
from tests.test_migrations import written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.test_exchange import Rows

SAID = """
SELECT s.uid, {columns} FROM snapshots AS s JOIN {view} AS v USING (snapshot_id)"""


LISTED = """(SELECT l.diff_id || ' ' || l.entry_count || ' ' || l.total_size FROM listings AS l
  WHERE l.listing_id = v.listing_id)"""
"""What a listing is, whatever its number."""


def said(db: Path, known: dict[str, list[str]] | None = None) -> dict[str, Rows]:
    """Return what each snapshot of a database says in rows of parts, whatever numbers it has there.

    Of columns all, or those that were `known`.
    """
    found = {}
    with closing(sqlite3.connect(db)) as connection:
        # Which part holds an image is a number, another in each database.
        for view in parts.views().keys() - {"stored_images"}:
            names = known[view] if known else columns_of(connection, view)
            columns = ", ".join(LISTED if name == "listing_id" else f"v.{name}" for name in names)
            sql = SAID.format(columns=columns, view=view)
            found[view] = sorted(connection.execute(sql).fetchall(), key=repr)
    return found


def columns_of(connection: sqlite3.Connection, view: str) -> list[str]:
    """Return the columns of a table or view but the snapshot."""
    return [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (view,))][1:]


def counts(db: Path) -> dict[str, int]:
    """Return how many rows there are of parts, and how many names."""
    found = {table: rows(db, f"SELECT count(*) FROM {table}")[0][0] for table in ("parts", *parts.tables())}
    return found | {"part_names": rows(db, "SELECT count(name) FROM part_names")[0][0]}


def rename(db: Path) -> None:
    """Give the parts of a database the names that their rows make now, as a liar can."""
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        parts.prepare(connection)
        for kind in parts.KINDS:
            made = parts.digest(kind, lambda table: f"FROM {table} AS t WHERE t.part_id = p.part_id", "main")
            connection.execute(
                f"UPDATE parts AS p SET digest = {made} WHERE part_id IN (SELECT {kind.number} FROM {kind.stored})"
            )


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Give a store of two images on one base."""
    made = DataRoot(tmp_path / "docker", seed=7)
    base = made.layer({"base": b"1"})
    for name in ("web", "db"):
        made.image(made.layer({name: b"2"}, parent=base), [f"{name}:1"])
    return made


# Once ---------------------------------------------------------------------------------------------------------------


def test_equal_facts_are_stored_once(root: DataRoot, tmp_path: Path) -> None:
    """Another day or another host with the same images adds no rows of parts, and says the same."""
    db = index(tmp_path / "one.db", root, "web-1")
    first = counts(db)
    index(index(db, root, "web-1"), root, "web-2")

    assert (2, 2) == (first["part_images"], first["part_image_configs"])
    assert first == counts(db)
    assert [(6,)] == rows(db, "SELECT count(*) FROM images")
    assert [(3,)] == rows(db, "SELECT count(DISTINCT snapshot_id) FROM image_layers")
    assert [(1,)] == rows(
        db, "SELECT count(DISTINCT c) FROM (SELECT group_concat(config) AS c FROM images GROUP BY snapshot_id)"
    )


def test_what_is_new_is_added(root: DataRoot, tmp_path: Path) -> None:
    """An image more is a part more; what its store alone says of an image does not make another part of it."""
    db = index(tmp_path / "one.db", root, "web-1")
    image = root.image(root.layer({"new": b"3"}), ["new:1"])
    for value in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"):
        place = root.path / "image/overlay2/imagedb/metadata/sha256" / image.image_id.removeprefix("sha256:")
        place.mkdir(parents=True, exist_ok=True)
        (place / "lastUpdated").write_text(value)
        index(db, root, "web-1")

    assert 3 == counts(db)["part_images"]
    times = f"SELECT last_updated_at FROM images WHERE image_id = '{image.image_id}' ORDER BY snapshot_id"
    assert [("2026-01-01T00:00:00Z",), ("2026-01-02T00:00:00Z",)] == rows(db, times)


def test_a_fleet_is_small(tmp_path: Path) -> None:
    """A second day of each host adds no rows but those of the images that came."""
    sizes = {}
    for days in (1, 2):
        fleet.make(tmp_path / f"{days}.db", fleet.Plan(hosts=4, images=20, layers=120, distinct=400, days=days))
        sizes[days] = counts(tmp_path / f"{days}.db")["part_images"]

    images = rows(tmp_path / "2.db", "SELECT count(DISTINCT image_id) FROM images")[0][0]
    assert sizes[1] < sizes[2] == images < 4 * 20 * 2


# Whoever comes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(root: DataRoot, tmp_path: Path) -> list[Path]:
    """Give a host, a liar that says other things of the same images, a later day of the host, and another host."""
    host = index(tmp_path / "host.db", root, "web-1")
    liar = index(tmp_path / "liar.db", root, "liar")
    change(
        liar,
        "UPDATE part_images SET os = 'evil'",
        "UPDATE part_image_configs SET config = '{}'",
        "UPDATE part_image_layers SET diff_id = 'sha256:' || replace(hex(zeroblob(32)), '0', 'e')",
        "DELETE FROM part_image_history WHERE position > 0",
        "UPDATE part_lowers SET link = cache_id",
    )
    rename(liar)
    root.image(root.layer({"new": b"3"}), ["new:1"])
    return [host, liar, index(tmp_path / "later.db", root, "web-1"), index(tmp_path / "other.db", root, "web-2")]


def test_no_sender_changes_what_another_says(files: list[Path], tmp_path: Path) -> None:
    """Other facts of an image under its name are another part: each snapshot keeps its own, also a scan's."""
    host, liar, *_ = files
    expected = said(host)
    db = tmp_path / "fleet.db"
    take(db, liar)
    take(db, host)
    both = {view: sorted(expected[view] + said(liar)[view], key=repr) for view in expected}

    assert both == said(db)
    assert [("evil",), ("linux",)] == rows(db, "SELECT DISTINCT os FROM images ORDER BY 1")
    assert 0 == program("db", "check", "--db", str(db)).returncode


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_of_imports_does_not_matter(
    files: list[Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever order files come in, together or through another database, each snapshot says the same."""
    order = data.draw(st.permutations(files))
    through = data.draw(st.integers(0, len(files)))
    folder = tmp_path_factory.mktemp("order")
    for file in order[:through]:
        take(folder / "some.db", file)
    sources = [*([give(folder / "some.db", folder / "out.db")] if through else []), *order[through:]]
    for file in sources:
        take(folder / "all.db", file)
    whole(folder / "all.db")
    expected = [said(file) for file in files]

    for view, found in said(folder / "all.db").items():
        assert sorted(itertools.chain(*(each[view] for each in expected)), key=repr) == found


# When the form of their rows changes ----------------------------------------------------------------------------------


def test_parts_are_named_anew(files: list[Path], tmp_path: Path) -> None:
    """A revision that changes columns of parts leaves names that their rows do not make, and perhaps equal parts."""
    db = tmp_path / "fleet.db"
    for file in files:
        take(db, file)
    expected, names = said(db), rows(db, "SELECT digest FROM parts ORDER BY 1")
    tables = {table for kind in parts.KINDS if kind.name == "image" for table in kind.tables}
    with database.writing(str(db), silent) as connection:
        (part,) = connection.execute("SELECT min(content_id) FROM part_stored_images").fetchone()
        connection.execute("INSERT INTO parts (part_id, digest) VALUES (1000000, x'00')")
        for table in tables:
            held = ", ".join(parts.columns(table))
            connection.execute(
                f"INSERT INTO {table} (part_id, {held}) SELECT 1000000, {held} FROM {table} WHERE part_id = ?", (part,)
            )
        connection.execute(
            """UPDATE part_stored_images SET content_id = 1000000 WHERE content_id = ?1 AND part_id = (
               SELECT max(part_id) FROM part_stored_images WHERE content_id = ?1)""",
            (part,),
        )
        connection.execute("UPDATE parts SET digest = randomblob(32)")
        assert parts.misnamed(connection)
        parts.rename(connection)
        assert not parts.misnamed(connection)

    assert (expected, names) == (said(db), rows(db, "SELECT digest FROM parts ORDER BY 1"))
    whole(db)


# What goes ----------------------------------------------------------------------------------------------------------


def test_what_no_snapshot_names_goes(files: list[Path], tmp_path: Path) -> None:
    """Removing a snapshot takes the parts that only it named, and no others; at the end nothing is left."""
    db = tmp_path / "fleet.db"
    for file in files:
        take(db, file)
    numbers: dict[str, int] = dict(
        rows(db, "SELECT h.name || ' ' || s.uid, s.snapshot_id FROM snapshots AS s JOIN hosts AS h USING (host_id)")
    )
    kept = {name: number for name, number in numbers.items() if not name.startswith("liar")}
    expected = {view: [row for row in found if f"liar {row[0]}" not in numbers] for view, found in said(db).items()}
    with database.writing(str(db), silent) as connection:
        removed = removal.remove(connection, [number for name, number in numbers.items() if name not in kept])

    assert expected == said(db)
    assert 3 == counts(db)["part_images"]
    assert removed.facts > 0
    whole(db)
    with database.writing(str(db), silent) as connection:
        removal.remove(connection, list(kept.values()))
    assert {0} == set(counts(db).values())


def test_a_part_under_another_name_is_found(files: list[Path]) -> None:
    """`db check` tells where the rows of a part are not what its digest says."""
    assert 0 == program("db", "check", "--db", str(files[0])).returncode
    change(files[0], "UPDATE part_images SET os = 'evil' WHERE part_id = 1")
    done = program("db", "check", "--db", str(files[0]))

    assert 1 == done.returncode
    assert "a part has other rows than its digest says" in done.stderr


def test_a_part_in_another_bucket_is_found(files: list[Path]) -> None:
    """`db check` tells where a snapshot has a part under another bucket than that of its names."""
    change(files[0], "UPDATE stored_directories SET bucket = 127 - bucket")
    done = program("db", "check", "--db", str(files[0]))

    assert 1 == done.returncode
    assert "a part is in another bucket than its names" in done.stderr


def test_columns_of_views_are_explained() -> None:
    """A view that has the columns of a table of facts tells what each means, as a table does."""
    shown = program("schema", "images", "--format", "csv").stdout

    assert 'os,TEXT,"Operating system, such as linux."' in shown
    assert "config,TEXT,The config JSON as stored." in shown


# From an older schema -----------------------------------------------------------------------------------------------

OF_0006 = """
INSERT INTO hosts VALUES (1, 'web-1', NULL);
INSERT INTO snapshots (snapshot_id, uid, host_id, store, root, driver, folder, started_at, finished_at, ordered_at,
  status, scope, tool_version)
  SELECT
  column1, 'u' || column1, 1, 'docker-overlay2', '/r', 'overlay2', 'overlay2', '', '', '', 'complete', 'files', '0'
  FROM (VALUES (1), (2));
INSERT INTO images SELECT s.snapshot_id, 'sha256:' || i.column1, '2026-01-01T00:00:00Z', 'amd64', 'linux', NULL, NULL,
  s.snapshot_id, 2, iif(i.column1 = 'b', 'sha256:a', NULL), NULL, 1, '{"é": "' || i.column1 || '"}'
  FROM snapshots AS s CROSS JOIN (VALUES ('a'), ('b')) AS i;
INSERT INTO image_layers SELECT snapshot_id, image_id, p.column1, 'sha256:d' || p.column1, 'sha256:c' || p.column1
  FROM images CROSS JOIN (VALUES (0), (1)) AS p;
INSERT INTO image_history SELECT snapshot_id, image_id, p.column1, NULL, 'RUN ' || snapshot_id, NULL, NULL, 0, p.column1
  FROM images CROSS JOIN (VALUES (0), (1)) AS p WHERE image_id = 'sha256:b';
INSERT INTO overlay_lowers SELECT snapshot_id, 'c' || d.column1, p.column1, 'L' || p.column1, 'c' || p.column1
  FROM snapshots CROSS JOIN (VALUES (1), (2), (3)) AS d JOIN (VALUES (0), (1), (2)) AS p ON p.column1 < d.column1;
UPDATE overlay_lowers SET lower_cache_id = NULL WHERE snapshot_id = 2 AND cache_id = 'c1';
UPDATE overlay_lowers SET link = NULL WHERE cache_id = 'c2';
INSERT INTO recorded_uses SELECT snapshot_id, 'directory', 'c1', 'image', 'sha256:a', 'images' FROM snapshots;
INSERT INTO recorded_uses VALUES (2, 'layer', 'c1', 'image', 'sha256:b', 'images');
INSERT INTO links SELECT snapshot_id, l.column1, l.column2, l.column3 FROM snapshots
  CROSS JOIN (VALUES ('L0', '../c0/diff', 'c0'), ('L1', '../x/diff', NULL), ('L2', NULL, NULL)) AS l;
INSERT INTO disk_usage SELECT snapshot_id, u.column1, u.column2, 1, 2, NULL, 1, u.column3, NULL FROM snapshots
  CROSS JOIN (VALUES ('image layer', 'c0', 'n'), ('other', '', NULL)) AS u;
INSERT INTO listings (listing_id, diff_id, source, complete, entry_count, total_size)
  VALUES (7, 'sha256:d0', 'tar-split', 1, 0, 0), (8, 'sha256:d0', 'tar-split', 1, 0, 0);
INSERT INTO layers SELECT snapshot_id, 'sha256:c0', 'sha256:d0', NULL, 'c0', 5, 1, 6 + snapshot_id FROM snapshots
  UNION ALL SELECT snapshot_id, 'sha256:c1', NULL, 'sha256:c0', NULL, NULL, NULL, NULL FROM snapshots;
INSERT INTO overlay_dirs SELECT snapshot_id, 'c0', 'layer', 'L0', 0, 1, 1, 0, 1, 5, NULL, NULL, 7, NULL FROM snapshots
  UNION ALL SELECT snapshot_id, 'c1', 'unknown', NULL, NULL, 1, 1, 0, 0, NULL, NULL, NULL, NULL, 'it' FROM snapshots;
INSERT INTO image_refs
  SELECT snapshot_id, 'a:' || r.column1, 'a', r.column1, NULL, 'sha256:a', '', 'n/a:' || r.column1, NULL
  FROM snapshots CROSS JOIN (VALUES ('1'), ('2')) AS r WHERE snapshot_id = 1 OR r.column1 = '1';
INSERT INTO mounts VALUES (1, 'm', 'c3', NULL, 'sha256:c1', NULL), (2, 'm', 'c3', 'c3-init', NULL, 'm');
"""
"""Two snapshots of two images, of which one has other build steps on each day, and of four directories.

On the second day a layer has another listing, a name is gone, and a mount differs.
"""


def test_older_databases_are_carried_forward(tmp_path: Path) -> None:
    """The rows of images become parts under the names that this program makes; views say what the tables said."""
    path = written(tmp_path / "old.db", "0006")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(OF_0006)
        known = {view: columns_of(connection, view) for view in parts.views()}
    before = said(path)
    assert 4 == len(before["images"])
    migrate.upgrade(str(path))

    assert before == said(path, known)
    assert {
        "parts": 3 + 7 + 3 + 3 + 2,
        "part_names": 13 + 4 + 14,
        "part_images": 3,
        "part_image_configs": 3,
        "part_image_layers": 6,
        "part_image_history": 4,
        "part_lowers": 1 + 2 + 3 + 1,
        "part_uses": 3,
        "part_links": 3,
        "part_usage": 2,
        "part_dirs": 2,
        "part_layers": 2 + 1,
        "part_stored_images": 2 + 2,
        "part_refs": 2 + 1,
        "part_mounts": 2,
    } == counts(path)
    assert 0 == program("db", "check", "--db", str(path)).returncode


def test_a_connection_is_freed(lasting: World) -> None:
    """Nothing that a scan gives SQLite to call holds the connection: a database in memory goes with its last user."""

    def held() -> int:
        gc.collect()
        return sum(isinstance(each, sqlite3.Connection) for each in gc.get_objects())

    scanned(lasting.root)
    before = held()
    scanned(lasting.root)
    assert held() == before
