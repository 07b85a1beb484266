"""`layerindex export`."""

from __future__ import annotations

import os

import click

from layerindex import database, exchange
from layerindex.cli import options
from layerindex.cli.scan import note
from layerindex.errors import UsageError
from layerindex.exchange.outgoing import new_file
from layerindex.render import plural


@click.command(name="export")
@click.argument("target", metavar="FILE")
@options.database
@options.snapshots
@click.option("--no-files", is_flag=True, help="Leave the file listings out.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors on stderr.")
def command(  # noqa: PLR0913, PLR0917 - click hands over one for each option
    target: str, path: str, snapshots: options.Snapshots, no_files: bool, force: bool, quiet: bool
) -> None:
    """Write chosen snapshots, by default the newest of each store, as a database of their own to FILE.

    The file is compressed when its name ends in .zst or .gz; - is standard output. The file appears under its name only
    when it is complete.
    """
    if target == options.STREAM:
        options.refuse_terminal()
    elif os.path.exists(target) and os.path.exists(path) and os.path.samefile(target, path):
        raise UsageError(f"{target}: is the database itself")
    with database.reading(path) as connection:
        snapshots.select(connection)
        numbers = [number for (number,) in connection.execute("SELECT snapshot_id FROM selected_snapshots ORDER BY 1")]
    if not numbers:
        raise UsageError(f"{path}: no snapshots to export")
    whole = options.standard_output() if target == options.STREAM else new_file(target, force=force)
    with whole as file:
        plan = exchange.export(path, numbers, file, target, files=not no_files)
    if not quiet:
        where = "standard output" if target == options.STREAM else target
        note(f"{where}: {plural(plan.snapshots, 'snapshot')}, {plural(plan.listings, 'listing')}")
