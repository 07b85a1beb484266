"""`layerindex find`."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from layerindex import catalog, database, query
from layerindex.cli import options
from layerindex.errors import NotThereError, UsageError
from layerindex.names import from_os, typed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

TYPES = ("file", "dir", "symlink", "hardlink", "char", "block", "fifo", "socket", "whiteout")
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
"""Factors of --size: decimal, as in all sizes that are shown."""


@click.command(name="find")
@click.argument("pattern")
@click.option(
    "--image",
    metavar="IMAGE",
    shell_complete=options.complete("names", "image"),
    help="Only in this image: a reference, or an id.",
)
@click.option(
    "--container",
    metavar="NAME",
    shell_complete=options.complete("names", "container"),
    help="Only in this container and the layers below it.",
)
@click.option("--type", "type_", type=click.Choice(TYPES), help="Only entries of this type.")
@click.option("--size", metavar="[+-]N[kMG]", help="Only of N bytes; +N: at least, -N: at most.")
@options.database
@options.snapshots
@options.output
@options.timeout
def command(  # noqa: PLR0913, PLR0917 - click hands over one for each option
    pattern: str,
    image: str | None,
    container: str | None,
    type_: str | None,
    size: str | None,
    path: str,
    snapshots: options.Snapshots,
    output: options.Output,
) -> None:
    """Find files by name or path in images, containers and the other directories of a store.

    PATTERN is a name (passwd), a glob for names ('*.jar'), a path (/etc/passwd) or a glob for paths ('/usr/*.so'),
    where * also matches across folders; a name that equals PATTERN character by character is found too. Names may be
    written as layerindex prints them, or as they are on disk. The columns are those of
    `layerindex query find-file --help`. Exit status 1: nothing found.
    """
    canned = catalog.load("find-file")
    smallest, largest = _size(size)
    values: dict[str, str | int | None] = {
        "type": type_,
        "min_size": smallest,
        "max_size": largest,
        "image": image and typed(image),
        "container": container and typed(container),
    }
    with database.reading(path) as connection:
        snapshots.select(connection)
        try:
            whole = query.resolved(connection, canned, {**dict.fromkeys(canned.params), **values})
        except NotThereError as error:  # status 1 is for a search that found nothing
            raise UsageError(str(error)) from error
        for wanted in _wanted(pattern):
            answer = query.run(connection, canned.sql, {**whole, **wanted})
            first = next(answer.rows, None)
            if first is not None:
                output.write(query.Result(answer.columns, _again(first, answer.rows)), first=canned.first)
                return
        _nothing(connection)


def _wanted(pattern: str) -> list[dict[str, str | None]]:
    r"""Return the wanted name or path: as names are printed, and as they are on disk where that differs.

    A file whose name is the four characters `\xff` is printed with two backslashes; with one it is the byte 0xff.
    """
    if "/" not in pattern:
        return [{"name": name, "path": None} for name in dict.fromkeys((typed(pattern), from_os(pattern)))]
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    paths = ("/" + "/".join(map(text, parts)) for text in (typed, from_os))
    return [{"name": None, "path": path} for path in dict.fromkeys(paths)]


def _size(text: str | None) -> tuple[int | None, int | None]:
    """Return the bounds that --size sets."""
    if text is None:
        return None, None
    match = re.fullmatch(r"([+-]?)(\d{1,15})([kMG]?)", text)
    if match is None:
        raise UsageError(f"--size takes a number of bytes such as 100, +10M or -1k, not {text!r}")
    number = min(int(match[2]) * UNITS[match[3]], database.LARGEST)
    return {"+": (number, None), "-": (None, number), "": (number, number)}[match[1]]


def _nothing(connection: sqlite3.Connection) -> NoReturn:
    """End with status 1, as grep does; explain it where no file could have been found."""
    if connection.execute("SELECT 1 FROM listings LIMIT 1").fetchone() is None:
        click.echo("The database has no file listings: scan without --no-files.", err=True)
    sys.exit(1)


def _again(first: tuple[object, ...], rows: Iterator[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    yield first
    yield from rows
