"""The clock may be set back: what was scanned last stays the newest, in every answer and wherever it is imported."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from layerindex import database, exchange, scan, stores
from layerindex.cli.scan import describe
from layerindex.writing import records
from tests.conftest import HOST, World, program
from tests.test_exchange import change, rows, silent

LATER, EARLIER = "2026-11-28T10:00:00.000Z", "2025-10-24T10:00:00.000Z"
"""What the clock says at first, and after it went back by 400 days."""

NEWEST = "SELECT snapshot_id FROM selected_snapshots"


def taken(db: Path, world: World, moment: str, monkeypatch: pytest.MonkeyPatch) -> scan.Summary:
    """Scan when the clock says a moment."""
    monkeypatch.setattr(records, "now", lambda: moment)
    with database.writing(str(db), silent) as connection:
        (store,) = stores.open_stores(str(world.root.path))
        return scan.scan(connection, store, scan.Filing(HOST), scan.Options(files=False))


@pytest.fixture
def db(lasting: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a database with three snapshots; the clock went back before the second."""
    path = tmp_path / "clock.db"
    for moment in (LATER, EARLIER, EARLIER):
        taken(path, lasting, moment, monkeypatch)
    return path


def test_order_goes_on(db: Path) -> None:
    """Each snapshot is ordered after the one before, by a millisecond where the clock does not say so."""
    assert [(LATER, LATER), (EARLIER, "2026-11-28T10:00:00.001Z"), (EARLIER, "2026-11-28T10:00:00.002Z")] == rows(
        db, "SELECT started_at, ordered_at FROM snapshots ORDER BY snapshot_id"
    )


def test_order_is_the_clock_s_once_it_has_caught_up(db: Path, lasting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is right again is believed."""
    moment = "2026-11-28T10:00:00.003Z"
    assert taken(db, lasting, moment, monkeypatch).newer is None
    assert [(moment,)] == rows(db, "SELECT ordered_at FROM snapshots WHERE snapshot_id = 4")


def test_each_store_has_its_own_order(lasting: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another host scanned later by its clock does not make this one's wrong."""
    path = tmp_path / "hosts.db"
    taken(path, lasting, LATER, monkeypatch)
    change(path, "UPDATE hosts SET name = 'other'")
    assert taken(path, lasting, EARLIER, monkeypatch).newer is None


def test_the_last_scan_is_the_newest(db: Path) -> None:
    """In the view, by HOST and HOST~1, in the list and in what grew."""
    assert [(3,)] == rows(db, NEWEST)
    for words, expected in (((), [3]), (("--snapshot", "web-1~1"), [2]), (("--snapshot", "web-1~2"), [1])):
        sql = "SELECT snapshot_id FROM selected_snapshots"
        done = program("query", "--sql", sql, *words, "--format", "json", "--db", str(db))
        assert expected == [row["snapshot_id"] for row in json.loads(done.stdout)]
    for name, expected in (("snapshots", [3, 2, 1]), ("growth", [1, 2, 3])):
        done = program("query", name, "--format", "json", "--db", str(db))
        assert expected == [row["snapshot_id"] for row in json.loads(done.stdout)]


def test_first_and_last_seen(db: Path) -> None:
    """A thing that only the first snapshot has was seen before the others, whatever their clock said."""
    change(db, "DELETE FROM image_refs WHERE snapshot_id > 1 AND ref = 'other:1'")
    change(db, "DELETE FROM image_refs WHERE snapshot_id = 1 AND ref = 'acme/web:1.0'")
    last = json.loads(program("query", "last-seen", "--format", "json", "--db", str(db)).stdout)
    first = json.loads(program("query", "first-seen", "--format", "json", "--db", str(db)).stdout)

    assert [(1, EARLIER)] == [(row["snapshot_id"], row["gone_at"]) for row in last if row["name"] == "other:1"]
    assert [(2, LATER)] == [(row["snapshot_id"], row["absent_at"]) for row in first if row["name"] == "acme/web:1.0"]


@pytest.mark.parametrize("words", [("--keep", "1"), ("--older-than", "1d"), ("--older-than", "1d", "--keep", "1")])
def test_prune_keeps_what_was_just_made(db: Path, words: tuple[str, ...]) -> None:
    """The newest one is the one that was made last."""
    change(db, "UPDATE snapshots SET ordered_at = replace(ordered_at, '2026', '2024')")
    done = program("snapshots", "prune", *words, "--db", str(db))

    assert (0, [(3,)]) == (done.returncode, rows(db, "SELECT snapshot_id FROM snapshots")), done.stderr


def test_any_order_of_import_gives_the_same_newest(db: Path, tmp_path: Path) -> None:
    """What orders snapshots comes with them; of two at one time the greater uid is newer, not the later import."""
    change(db, "UPDATE snapshots SET ordered_at = (SELECT max(ordered_at) FROM snapshots) WHERE snapshot_id > 1")
    parts = []
    for number in (1, 2, 3):
        parts.append(tmp_path / f"part{number}.db")
        shutil.copy(db, parts[-1])
        others = [str(other) for other in (1, 2, 3) if other != number]
        assert 0 == program("snapshots", "rm", *others, "--db", str(parts[-1])).returncode
    newest = rows(db, "SELECT max(uid) FROM snapshots WHERE snapshot_id > 1")
    for place, order in enumerate(itertools.permutations(parts)):
        fleet = tmp_path / f"fleet{place}.db"
        for part in order:
            exchange.import_file(str(fleet), str(part), silent)
        assert newest == rows(fleet, f"SELECT uid FROM snapshots WHERE snapshot_id IN ({NEWEST})")


def test_a_host_that_dates_itself_later(db: Path, tmp_path: Path) -> None:
    """What comes from the future counts as of when it came, in its order: what comes later is newer."""
    future = Path(shutil.copy(db, tmp_path / "future.db"))
    change(future, "UPDATE snapshots SET ordered_at = replace(ordered_at, '2026', '2099') WHERE snapshot_id > 1")
    fleet = tmp_path / "fleet.db"
    exchange.import_file(str(fleet), str(future), silent)
    sql = "SELECT uid, received_at <= ordered_at AND ordered_at < '2099' FROM snapshots ORDER BY ordered_at"
    assert rows(db, "SELECT uid, snapshot_id > 1 FROM snapshots ORDER BY snapshot_id") == rows(fleet, sql)
    assert exchange.import_file(str(fleet), str(future), silent)[3:5] == (3, 0)
    other = Path(shutil.copy(db, tmp_path / "other.db"))
    change(other, "UPDATE snapshots SET ordered_at = replace(ordered_at, '2026', '2024')")
    assert exchange.import_file(str(fleet), str(other), silent)[3:5] == (3, 3)

    later = Path(shutil.copy(db, tmp_path / "later.db"))
    now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
    change(
        later,
        "DELETE FROM snapshots WHERE snapshot_id < 3",
        f"UPDATE snapshots SET uid = '{7:032x}', started_at = {now}, ordered_at = {now}",
    )
    exchange.import_file(str(fleet), str(later), silent)
    assert rows(fleet, f"SELECT uid FROM snapshots WHERE snapshot_id IN ({NEWEST})") == [(f"{7:032x}",)]


def test_the_scan_says_so(db: Path, lasting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan whose clock is behind says so, once, and what order it has."""
    (store,) = stores.open_stores(str(lasting.root.path))
    summary = taken(db, lasting, EARLIER, monkeypatch)
    said = [line for line in describe(store, summary, "x.db").splitlines() if "clock" in line]

    assert ["  the clock is behind the newest snapshot"] == [line[:41] for line in said]
    assert "2026-11-28T10:00:00.003Z" in said[0]


def test_an_order_that_cannot_be_counted_on(db: Path, lasting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no time at all, which only another program can have written, does not stop a scan."""
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE snapshots SET ordered_at = 'soon'")
    assert taken(db, lasting, LATER, monkeypatch).newer is None
