"""`layerindex demo`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
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
    file = shlex.quote(os.path.abspath(path))
    note(f"\nAsk more:\n  export LAYERINDEX_DB={file}\n  {_program()} query\nor:\n  sqlite3 {file} .schema")


def _program() -> str:
    """Return what to type for this program, so that it is found."""
    called = sys.argv[0]
    if os.path.basename(called) == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m layerindex"
    found = shutil.which("layerindex")
    known = not os.path.isfile(called) or (found is not None and os.path.samefile(found, called))
    return "layerindex" if known else shlex.quote(called)
