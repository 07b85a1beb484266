"""Writes the records of one store into the database, in one transaction."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from layerindex import __version__, database
from layerindex.indexing.snapshot import Options as Options  # noqa: PLC0414 - part of what a scan is called with
from layerindex.indexing.snapshot import index_files
from layerindex.missing import missing_problems
from layerindex.names import from_os
from layerindex.records import TABLES, Image, Problem, Record
from layerindex.stores.shared.configs import LAYERS
from layerindex.usage.attribution import disk_usage
from layerindex.writing import parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from layerindex.indexing.production import Progress
    from layerindex.stores.store import Store
    from layerindex.writing.listings import Listing

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


ENTRIES = """
SELECT coalesce(
  (SELECT sum(entry_count) FROM overlay_dirs WHERE snapshot_id = :snapshot),
  (SELECT sum(entry_count) FROM listings WHERE listing_id IN (
    SELECT listing_id FROM layers WHERE snapshot_id = :snapshot)), 0)"""
"""The files of all directories; of a store whose directories are not read, those of its layers."""


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


def local_host(name: str | None) -> Host:
    """Return the host under the given name, by default this machine's.

    The machine-id is that of the machine that scans; --host distinguishes a store that was copied from elsewhere.
    """
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            machine_id = file.read(64).strip() or None
    except (OSError, UnicodeDecodeError):
        machine_id = None
    return Host(from_os(name or os.uname().nodename), machine_id)


def scan(
    connection: sqlite3.Connection,
    store: Store,
    filed: Filing,
    options: Options = Options(),  # noqa: B008 - immutable
    progress: Progress | None = None,
) -> Summary:
    """Write one store as a new snapshot into the open transaction and count what was found."""
    snapshot_id = _begin(connection, store, filed, options.scope)
    summary = Summary(snapshot_id, _newer(connection, snapshot_id), Counter(), Counter(), Counter())
    with parts.gathering(connection):
        _write(connection, chain(filed.said, store.records()), summary)
        connection.execute(USERS, {"snapshot": snapshot_id, "layers": LAYERS})
        walked: dict[str, Listing] = {}
        if options.files:
            _write(connection, index_files(connection, snapshot_id, store, options, progress, walked), summary)
            (summary.rows["entries"],) = connection.execute(ENTRIES, {"snapshot": snapshot_id}).fetchone()
        _write(connection, disk_usage(connection, snapshot_id, store, options, walked), summary)
    _write(connection, missing_problems(connection, snapshot_id, store), summary)
    database.analyze(connection)
    connection.execute("UPDATE snapshots SET finished_at = ? WHERE snapshot_id = ?", (now(), snapshot_id))
    return summary


def now() -> str:
    """Return the time as the database holds times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _begin(connection: sqlite3.Connection, store: Store, filed: Filing, scope: str) -> int:
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
    return snapshot_id


def _newer(connection: sqlite3.Connection, snapshot_id: int) -> str | None:
    sql = "SELECT iif(ordered_at > started_at, ordered_at, NULL) FROM snapshots WHERE snapshot_id = ?"
    (found,) = connection.execute(sql, (snapshot_id,)).fetchone()
    return None if found is None else str(found)


def _write(connection: sqlite3.Connection, records: Iterable[Record], summary: Summary) -> None:
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


def _insert(kind: type[Record], snapshot_id: int) -> str:
    columns = [*(["problem_id"] if kind is Problem else []), *kind._fields]
    marks = ", ".join("?" * len(columns))
    into = f"{TABLES[kind]} (snapshot_id, {', '.join(columns)})"
    return f"INSERT INTO {into} VALUES ({snapshot_id}, {marks})"  # noqa: S608 - names of our own
