"""`layerindex demo`."""

from __future__ import annotations

import os
import tempfile

import click

from layerindex import catalog, database, demo, query, scan, stores
from layerindex.cli import options
from layerindex.cli.scan import describe, note


@click.command(name="demo")
@click.argument("folder", required=False, metavar="[DIR]")
def command(folder: str | None) -> None:
    """Unpack a small data root below DIR, scan it and show which layers its images share.

    Needs neither Docker nor root. DIR is a new temporary folder by default; it is kept, to look around in.
    """
    folder = folder or tempfile.mkdtemp(prefix="layerindex-demo-")
    root = demo.unpack(folder)
    path = os.path.join(folder, "layerindex.db")
    [store] = stores.open_stores(root)
    with database.writing(path, note) as connection:
        filed = scan.Filing(scan.Host("demo", None), "made by layerindex demo")
        summary = scan.scan(connection, store, filed)
    note(describe(store, summary, path))
    note("\nlayerindex query shared-layers\n")
    with database.reading(path) as connection:
        canned = catalog.load("shared-layers")
        options.Output().write(query.run(connection, canned.sql, {"image": None}), first=canned.first)
    note(f"\nAsk more: layerindex query --db {path}\nor:       sqlite3 {path} .schema")
