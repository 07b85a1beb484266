"""Scans one store into a new snapshot, in one transaction."""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING

from layerindex import database
from layerindex.indexing.snapshot import Options as Options  # noqa: PLC0414 - part of what a scan is called with
from layerindex.indexing.snapshot import index_files
from layerindex.missing import missing_problems
from layerindex.names import from_os
from layerindex.usage.attribution import disk_usage
from layerindex.writing import parts
from layerindex.writing.records import Filing as Filing  # noqa: PLC0414 - likewise
from layerindex.writing.records import Host as Host  # noqa: PLC0414 - likewise
from layerindex.writing.records import Summary as Summary  # noqa: PLC0414 - what a scan returns
from layerindex.writing.records import begin, finish, write, write_users

if TYPE_CHECKING:
    import sqlite3

    from layerindex.indexing.production import Report
    from layerindex.stores.store import Store
    from layerindex.writing.listings import Listing

ENTRIES = """
SELECT coalesce(
  (SELECT sum(entry_count) FROM overlay_dirs WHERE snapshot_id = :snapshot),
  (SELECT sum(entry_count) FROM listings WHERE listing_id IN (
    SELECT listing_id FROM layers WHERE snapshot_id = :snapshot)), 0)"""
"""The files of all directories; of a store whose directories are not read, those of its layers."""


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
    report: Report | None = None,
) -> Summary:
    """Write one store as a new snapshot into the open transaction and count what was found."""
    summary = begin(connection, store, filed, options.scope)
    snapshot_id = summary.snapshot_id
    with parts.gathering(connection):
        write(connection, chain(filed.said, store.records()), summary)
        write_users(connection, snapshot_id)
        walked: dict[str, Listing] = {}
        if options.files:
            write(connection, index_files(connection, snapshot_id, store, options, report, walked), summary)
            (summary.rows["entries"],) = connection.execute(ENTRIES, {"snapshot": snapshot_id}).fetchone()
        write(connection, disk_usage(connection, snapshot_id, store, options, walked), summary)
    write(connection, missing_problems(connection, snapshot_id, store), summary)
    database.analyze(connection)
    finish(connection, snapshot_id)
    return summary
