"""Writes a snapshot: its own row, and the records that a store yields."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from layerindex import __version__
from layerindex.names import from_os
from layerindex.records import TABLES, Image, Problem, Record
from layerindex.stores.shared.configs import LAYERS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from layerindex.stores.store import Store

ORDERED_AT = """
SELECT max(:now, coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', max(ordered_at), '+0.001 seconds'), ''))
FROM snapshots WHERE host_id = :host_id AND store = :store AND root = :root"""
"""The time of a new snapshot: later than that of every snapshot of this host, store and root, even where the clock was
set back."""

BATCH = 2000
"""Records bound in one executemany: enough to hide its cost, few enough to keep memory flat."""

LARGE = 100_000
"""A config of more characters is written at once, not in a batch: a hostile store may hold thousands of huge ones."""

USERS = """
WITH RECURSIVE below (kind, owner, chain_id, depth) AS (
  SELECT iif(container_id IS NULL, 'mount-base', 'container-base'), name, parent_chain_id, 1
  FROM mounts WHERE snapshot_id = :snapshot
  UNION
  SELECT b.kind, b.owner, y.parent_chain_id, b.depth + 1
  FROM below AS b CROSS JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = b.chain_id
  WHERE y.parent_chain_id IS NOT NULL AND b.depth < :layers
),
users AS (
  SELECT 'image' AS kind, image_id AS owner, chain_id FROM image_layers WHERE snapshot_id = :snapshot
  UNION ALL SELECT kind, owner, chain_id FROM below
)
INSERT OR IGNORE INTO recorded_uses (snapshot_id, used_kind, used, user_kind, user, source)
SELECT :snapshot, 'directory', d.cache_id, u.kind, u.owner, iif(u.kind = 'image', 'images', 'mounts')
FROM users AS u CROSS JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = u.chain_id
CROSS JOIN overlay_dirs AS d ON d.snapshot_id = :snapshot AND d.cache_id = y.cache_id"""
"""Adds who needs a layer's directory besides the layer itself: images, and the containers and mounts above it, through
as many layers as an image can have. A directory beyond that still has its layer as owner."""


class Host(NamedTuple):
    """The machine a store is filed under."""

    name: str
    machine_id: str | None


class Filing(NamedTuple):
    """The host and label under which a snapshot is filed."""

    host: Host
    label: str | None = None
    said: Sequence[Problem] = ()
    """Problems of the settings that name the store."""


class Summary(NamedTuple):
    """What a scan found: rows of each table, problems of each code and severity.

    `newer` is set where the clock is behind an existing snapshot: the time that the new snapshot is ordered by.
    """

    snapshot_id: int
    newer: str | None
    rows: Counter[str]
    codes: Counter[str]
    severities: Counter[str]


def now() -> str:
    """Return the time as the database holds times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def begin(connection: sqlite3.Connection, store: Store, filed: Filing, scope: str) -> Summary:
    """Add a snapshot, with its host, to the open transaction."""
    host = filed.host
    known = connection.execute("SELECT host_id FROM hosts WHERE name = ? AND machine_id IS ?", host).fetchone()
    if known is None:
        known = (connection.execute("INSERT INTO hosts (name, machine_id) VALUES (?, ?)", host).lastrowid,)
    started = now()
    place = {"host_id": known[0], "store": store.name, "root": from_os(store.root)}
    (ordered,) = connection.execute(ORDERED_AT, {**place, "now": started}).fetchone()
    values = {
        "uid": uuid.uuid4().hex,
        **place,
        "engine": store.engine,
        "driver": store.driver,
        "folder": store.folder,
        "engine_id": store.engine_id(),
        "label": None if filed.label is None else from_os(filed.label),
        "started_at": started,
        "finished_at": started,
        "ordered_at": ordered,
        "status": "complete",
        "scope": scope,
        **store.features._asdict(),
        "tool_version": __version__,
    }
    names = ", ".join(values)
    insert = f"INSERT INTO snapshots ({names}) VALUES (:{', :'.join(values)})"  # noqa: S608 - names of our own
    snapshot_id = connection.execute(insert, values).lastrowid
    if snapshot_id is None:
        raise RuntimeError("SQLite numbered no snapshot")
    return Summary(snapshot_id, ordered if ordered > started else None, Counter(), Counter(), Counter())


def write(connection: sqlite3.Connection, records: Iterable[Record], summary: Summary) -> None:
    """Write records in batches, with an INSERT made from the field names of their class."""
    inserts = {kind: _insert(kind, summary.snapshot_id) for kind in TABLES}
    waiting: dict[type[Record], list[tuple[object, ...]]] = {kind: [] for kind in TABLES}
    for record in records:
        kind = type(record)
        summary.rows[TABLES[kind]] += 1
        batch = waiting[kind]
        if isinstance(record, Problem):
            summary.codes[record.code] += 1
            summary.severities[record.severity] += 1
            batch.append((summary.rows["problems"], *record))
        else:
            batch.append(record)
        if len(batch) == BATCH or (isinstance(record, Image) and len(record.config) > LARGE):
            connection.executemany(inserts[kind], batch)
            batch.clear()
    for kind, batch in waiting.items():
        connection.executemany(inserts[kind], batch)


def write_users(connection: sqlite3.Connection, snapshot_id: int) -> None:
    """Add who needs each layer's directory besides the layer."""
    connection.execute(USERS, {"snapshot": snapshot_id, "layers": LAYERS})


def finish(connection: sqlite3.Connection, snapshot_id: int) -> None:
    """Note that the snapshot is whole."""
    connection.execute("UPDATE snapshots SET finished_at = ? WHERE snapshot_id = ?", (now(), snapshot_id))


def _insert(kind: type[Record], snapshot_id: int) -> str:
    columns = [*(["problem_id"] if kind is Problem else []), *kind._fields]
    marks = ", ".join("?" * len(columns))
    into = f"{TABLES[kind]} (snapshot_id, {', '.join(columns)})"
    return f"INSERT INTO {into} VALUES ({snapshot_id}, {marks})"  # noqa: S608 - names of our own


def write_drift(
    connection: sqlite3.Connection, snapshot_id: int, cache_id: str, rows: Iterable[tuple[object, ...]]
) -> None:
    """Write where a directory differs from its layer: rows of path, kind, expected and found."""
    connection.executemany(
        "INSERT INTO drift (snapshot_id, cache_id, path, kind, expected, found) VALUES (?, ?, ?, ?, ?, ?)",
        ((snapshot_id, cache_id, *row) for row in rows),
    )


def write_volumes(
    connection: sqlite3.Connection, snapshot_id: int, sizes: Mapping[str, tuple[int | None, int | None, int]]
) -> None:
    """Write the apparent bytes, bytes on disk and entries of volumes, by name."""
    connection.executemany(
        """UPDATE volumes SET apparent_bytes = ?, disk_bytes = ?, entry_count = ?
           WHERE snapshot_id = ? AND name = ?""",
        ((*figures, snapshot_id, name) for name, figures in sizes.items()),
    )
