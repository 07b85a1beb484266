"""`layerindex snapshots`."""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from layerindex import catalog, database, query, snapshots
from layerindex.cli import options
from layerindex.cli.scan import note
from layerindex.errors import DatabaseError, FullDiskError, UsageError
from layerindex.names import typed
from layerindex.render import plural
from layerindex.writing import removal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from click.shell_completion import CompletionItem

MOST = 10**9
"""The largest number that --keep takes."""
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class _ListsByDefault(click.Group):
    """A group whose default command is `list`, so that each option belongs to one command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `list` where no command is named; a shell that asks for one may get any."""
        if (not args and not ctx.resilient_parsing) or (
            args and args[0].startswith("-") and args[0] not in ctx.help_option_names
        ):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, or the options of `list`."""
        return (
            list_.shell_complete(ctx, incomplete)
            if incomplete.startswith("-")
            else super().shell_complete(ctx, incomplete)
        )


@click.group(name="snapshots", cls=_ListsByDefault)
def command() -> None:
    """List the snapshots of the database, or remove some; the default is to list."""


@command.command(name="list")
@options.database
@click.option(
    "--host", metavar="HOST", shell_complete=options.complete("names", "host"), help="Only those of this host."
)
@options.output
@options.timeout
def list_(path: str, host: str | None, output: options.Output) -> None:
    """List snapshots, newest first: `layerindex query snapshots`, whose columns it has."""
    with database.reading(path) as connection:
        values = {"host": None if host is None else typed(host)}
        canned = catalog.load("snapshots")
        output.write(query.run(connection, canned.sql, values), first=canned.first)


@command.command()
@click.argument(
    "references", nargs=-1, required=True, metavar="REF...", shell_complete=options.complete("names", "snapshot")
)
@options.database
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def rm(references: tuple[str, ...], path: str, dry_run: bool) -> None:
    """Remove snapshots, and the listings that no other snapshot needs.

    REF is a snapshot's number, HOST (its newest) or HOST~1 (the one before). The file is written anew to shrink it,
    which for a moment takes up to twice its new size more.
    """

    def chosen(connection: sqlite3.Connection) -> list[int]:
        query.select_snapshots(connection, [], [typed(word) for word in references])
        return [number for (number,) in connection.execute("SELECT snapshot_id FROM temp.selected_snapshots")]

    _remove(path, chosen, dry_run=dry_run)


@command.command()
@options.database
@click.option(
    "--keep", type=click.IntRange(0, MOST), metavar="N", help="Keep the N newest of each host, store and root."
)
@click.option("--older-than", "age", metavar="AGE", help="Remove only what is older: 90m, 12h, 30d or 8w.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune(path: str, keep: int | None, age: str | None, dry_run: bool) -> None:
    """Remove old snapshots of each host, store and root, and the listings that no other snapshot needs.

    With both options what is older goes, but never one of the N newest; with --older-than alone the newest one stays.
    The file is written anew to shrink it, which for a moment takes up to twice its new size more.
    """
    if keep is None and age is None:
        raise UsageError("say what to remove: --keep N, --older-than AGE, or both")
    limit = None if age is None else _age(age)
    _remove(path, lambda connection: snapshots.old(connection, 1 if keep is None else keep, limit), dry_run=dry_run)


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,5})([mhdw])", text, re.ASCII)
    if match is None:
        raise UsageError(f"--older-than takes an age such as 90m, 12h, 30d or 8w, not {text!r}")
    return int(match[1]) * UNITS[match[2]]


def _remove(path: str, choose: Callable[[sqlite3.Connection], Sequence[int]], *, dry_run: bool) -> None:
    with database.rehearsing(path) if dry_run else _writing(path, choose) as connection:
        numbers = choose(connection)
        canned = catalog.load("snapshots")
        shown = query.run(connection, canned.sql, {"host": None})
        going = [row for row in shown.rows if row[0] in set(numbers)]
        removed = removal.remove(connection, numbers)
    if going:
        options.Output().write(query.Result(shown.columns, iter(going)), first=canned.first)
    before = snapshots.size(path)
    if not dry_run:
        snapshots.shrink(path, note)
    freed = removed.freed if dry_run else before - snapshots.size(path)
    note(_describe(path, removed, freed, dry_run=dry_run))


@contextmanager
def _writing(path: str, choose: Callable[[sqlite3.Connection], Sequence[int]]) -> Iterator[sqlite3.Connection]:
    """Open a database that is there to remove what is chosen.

    On a full disk SQLite cannot note what it takes away: say how what stays is written elsewhere and put back.
    """
    # Whoever names none that is there shall not get an empty one made.
    with database.reading(path):
        pass
    try:
        with database.writing(path, note) as connection:
            yield connection
    except FullDiskError as error:
        with database.reading(path) as connection:
            going = choose(connection)
            everything = connection.execute("SELECT snapshot_id FROM snapshots ORDER BY 1").fetchall()
        kept = " ".join(f"--snapshot {number}" for (number,) in everything if number not in going)
        file = shlex.quote(path)
        there = f"layerindex export /dev/shm/kept.db {kept} --db {file} && mv /dev/shm/kept.db {file}"
        raise DatabaseError(
            path,
            f"nothing was removed: to do so takes a little room on its disk, which is full; free some, or {there}"
            if kept
            else "nothing was removed: its disk is full; to keep no snapshot remove the file",
        ) from error


def _describe(path: str, removed: removal.Removed, freed: int, *, dry_run: bool) -> str:
    what = ", ".join(
        (
            plural(removed.snapshots, "snapshot"),
            f"{removed.facts} rows about them",
            f"{plural(removed.listings, 'listing')} with {plural(removed.entries, 'file')}",
        )
    )
    return f"{path}: {'would remove' if dry_run else 'removed'} {what}; {'about ' if dry_run else ''}{freed} bytes less"
