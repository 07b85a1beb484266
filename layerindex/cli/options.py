"""Options that several commands share, each bundle written once and delivered as one value."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

from layerindex import query, render
from layerindex.errors import QueryError, UsageError
from layerindex.names import typed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

Command = Callable[..., Any]

STREAM = "-"
"""The file that is standard input or output."""


def _file(_: click.Context, __: click.Parameter, path: str) -> str:
    """Refuse what SQLite takes for no file at all."""
    if path == ":memory:":
        raise UsageError("--db :memory: would be gone with the command; name a file, as in /dev/shm/layerindex.db")
    return path


database = click.option(
    "--db",
    "path",
    envvar="LAYERINDEX_DB",
    default="layerindex.db",
    show_default="$LAYERINDEX_DB, else ./layerindex.db",
    metavar="FILE",
    callback=_file,
    help="The database.",
)


class Snapshots(NamedTuple):
    """Which snapshots a query sees; none named: the newest of each store."""

    hosts: tuple[str, ...]
    references: tuple[str, ...]

    def select(self, connection: sqlite3.Connection) -> None:
        """Make the choice on a connection."""
        if self.hosts or self.references:
            query.select_snapshots(connection, *([typed(word) for word in words] for words in self))


class Output(NamedTuple):
    """How an answer is written."""

    format: str
    trunc: bool

    def write(self, result: query.Result) -> None:
        """Write an answer to standard output as it is read from the database; what looks like a colour in it stays.

        Not line by line to a pipe or file: click.echo, which does that, takes longer than SQLite for many an answer.
        """
        try:
            for line in render.FORMATS[self.format](result, trunc=self.trunc):
                sys.stdout.write(f"{line}\n")
        except QueryError:
            sys.stdout.flush()  # the rows that came before it
            raise


def snapshots(command: Command) -> Command:
    """Add --host and --snapshot, which arrive as one `Snapshots`."""

    @click.option("--host", "hosts", multiple=True, metavar="HOST", help="Ask about this host only; may be repeated.")
    @click.option(
        "--snapshot",
        "references",
        multiple=True,
        metavar="REF",
        help="A snapshot's number, HOST, or HOST~1 for the one before.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, hosts: tuple[str, ...], references: tuple[str, ...], **options: Any) -> Any:  # noqa: ANN401
        return command(*args, snapshots=Snapshots(hosts, references), **options)

    return wrapped


def timeout(command: Command) -> Command:
    """Add --timeout, which holds for all SQL that the command asks."""

    @click.option(
        "--timeout",
        type=click.FloatRange(0),
        default=query.LIMIT.get(),
        show_default=True,
        metavar="SECONDS",
        help="Stop a query that keeps SQLite busy for longer; 0: never.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, timeout: float, **options: Any) -> Any:  # noqa: ANN401
        with query.limited(timeout or None):
            return command(*args, **options)

    return wrapped


def output(command: Command) -> Command:
    """Add --format and --no-trunc, which arrive as one `Output`."""

    @click.option(
        "--format",
        "format_",
        type=click.Choice(list(render.FORMATS)),
        default="table",
        show_default=True,
        help="How the answer is written. csv is data as it is, in which a text may begin like a formula: csv-safe is "
        "for spreadsheets.",
    )
    @click.option("--no-trunc", is_flag=True, help="Show whole ids, whole texts and exact bytes in tables.")
    @functools.wraps(command)
    def wrapped(*args: Any, format_: str, no_trunc: bool, **options: Any) -> Any:  # noqa: ANN401
        return command(*args, output=Output(format_, not no_trunc), **options)

    return wrapped


def refuse_terminal() -> None:
    """Raise where standard output is a terminal: a database there helps nobody."""
    if sys.stdout.isatty():
        raise UsageError("a database is not for a terminal: redirect standard output, or name a file")


@contextmanager
def standard_output() -> Iterator[IO[bytes]]:
    """Give standard output to write a database to, all of which is written in the end; raises OutputError."""
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
