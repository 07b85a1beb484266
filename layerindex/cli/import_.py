"""`layerindex import`."""

from __future__ import annotations

import sys
from functools import partial

import click

from layerindex import exchange, interrupt
from layerindex.cli import options
from layerindex.cli.scan import note, prepare
from layerindex.errors import NewerDatabaseError, RefusedFileError, UsageError
from layerindex.names import from_os
from layerindex.render import plural


@click.command(name="import")
@click.argument("sources", nargs=-1, required=True, metavar="FILE...")
@options.database
@click.option(
    "--max-size",
    type=click.IntRange(min=1),
    metavar="BYTES",
    help="The most bytes that a stream may unpack to.  [default: 1 GiB or 256 times what comes in, at most 64 GiB]",
)
@click.option(
    "--as-host",
    metavar="NAME",
    help="File the snapshots under this host, as the sender of a file can write any name into it.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors on stderr.")
def command(sources: tuple[str, ...], path: str, max_size: int | None, as_host: str | None, quiet: bool) -> None:
    """Bring the snapshots of other databases into this one.

    FILE is a database of layerindex, plain or compressed with gzip or zstd; - is standard input, as in
    `ssh host layerindex scan --db - | layerindex import -`. Snapshots that are in the database already are skipped, and
    equal listings and directories are shared. Each FILE is imported whole or not at all; a FILE that is refused does
    not stop the others, and the exit status is then 1. A snapshot dated in the future counts as made now.
    """
    if path == options.STREAM:
        raise UsageError("--db names the database to import into; a stream cannot be one")
    prepare(path)
    taking = partial(_take, path, limit=max_size, as_host=None if as_host is None else from_os(as_host), quiet=quiet)
    try:
        taken = [taking(source) for source in sources]
    except interrupt.Interrupted:
        note("Interrupted; only the files reported above were imported.")
        raise
    if not all(taken):
        sys.exit(1)


def _take(path: str, source: str, *, limit: int | None, as_host: str | None, quiet: bool) -> bool:
    """Import one file and report the result; return whether it was accepted."""
    try:
        came = exchange.import_file(path, source, note, limit, as_host)
    except (RefusedFileError, NewerDatabaseError) as error:
        interrupt.check()
        note(f"Error: {error}")
        return False
    if not quiet:
        note(f"{'standard input' if source == options.STREAM else source}: {describe(came)}")
    return True


def describe(came: exchange.Imported) -> str:
    """Describe what was imported from one file."""
    parts = [f"{plural(came.snapshots, 'snapshot')} imported"]
    if came.snapshots:
        parts[0] += f", {plural(came.listings, 'new listing')} with {plural(came.entries, 'file')}"
    if came.known > came.clashing:
        parts.append(f"{came.known - came.clashing} already in the database")
    if came.clashing:
        parts.append(f"{came.clashing} skipped: the database has another snapshot with the same uid")
    if came.incomplete:
        parts.append(f"{came.incomplete} skipped: not complete")
    return "; ".join(parts)
