"""Options that several commands share; each bundle is defined once and arrives as one value."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

from layerindex import query, render, screen
from layerindex.catalog import near
from layerindex.errors import QueryError, UsageError
from layerindex.names import typed
from layerindex.screen import table as tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

Command = Callable[..., Any]
Completion = Callable[[click.Context, click.Parameter, str], list[str]]

STREAM = "-"
"""The file name that means standard input or output."""


def _file(_: click.Context, __: click.Parameter, path: str) -> str:
    """Refuse names that SQLite does not take for a file."""
    if path == ":memory:":
        raise UsageError(
            "--db :memory: would be lost when the command ends; name a file, such as /dev/shm/layerindex.db"
        )
    return path


def complete(what: str, *kind: str) -> Completion:
    """Return what offers words for a parameter: a function of `cli.complete`, which nothing else imports."""

    def words(ctx: click.Context, _: click.Parameter, begun: str) -> list[str]:
        from layerindex.cli import complete as offers  # noqa: PLC0415 - of a completion only

        return offers.OFFERS[what](ctx, *kind, begun)

    return words


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
    """The snapshots that a query sees: the named ones, or the newest of each store."""

    hosts: tuple[str, ...]
    references: tuple[str, ...]

    def select(self, connection: sqlite3.Connection) -> None:
        """Select them on a connection."""
        if self.hosts or self.references:
            query.select_snapshots(connection, *([typed(word) for word in words] for words in self))


class Output(NamedTuple):
    """How an answer is written; `ways` are the options that show what a narrow terminal leaves out."""

    format: str = "table"
    trunc: bool = True
    wide: bool = False
    vertical: bool = False
    columns: tuple[str, ...] = ()
    ways: Sequence[str] = ()

    def write(self, result: query.Result, *, first: Sequence[str] = (), whole: Sequence[str] = ()) -> None:
        """Write an answer to standard output while it is read from the database; colour codes in it are not removed.

        On a narrow terminal the columns of `first` stay, where some are named, and texts of `whole` are not cut.

        Pipes and files are not written line by line with click.echo: that often takes longer than SQLite takes for the
        answer.
        """
        if self.columns:
            result = only(result, self.columns)
        look = self.look()._replace(fixed=bool(self.columns), first=first, whole=whole)
        try:
            for line in self._lines(result, look):
                sys.stdout.write(f"{line}\n")
        except QueryError:
            sys.stdout.flush()  # rows that came before the error are written before it
            raise
        sys.stdout.flush()  # before what is said on standard error

    def say(self, label: str, text: str) -> None:
        """Write a text behind its label, wrapped and indented where the terminal is narrower."""
        lines = [label + text]
        if (seen := screen.current()) is not None:
            from layerindex.screen.text import hanging, spelt  # noqa: PLC0415 - what is piped starts without it

            lines = hanging(label, spelt(text, seen.encoding), seen.width)
        sys.stdout.write("".join(f"{line}\n" for line in lines))

    def look(self) -> screen.Look:
        """Return how tables are shown on this terminal, if standard output is one."""
        return screen.Look(screen.current(), self.trunc, self.wide, self.vertical, ways=self.ways)

    def _lines(self, result: query.Result, look: screen.Look) -> Iterable[str]:
        if self.format != "table":
            return render.FORMATS[self.format](result, trunc=self.trunc)
        return tables.lines(result, look)


def only(result: query.Result, columns: Sequence[str]) -> query.Result:
    """Return some columns of an answer, in the given order; raises UsageError."""
    for column in columns:
        if column not in result.columns:
            known = ", ".join(result.columns)
            raise UsageError(f"no column {column!r}{near(column, result.columns)}; the answer has {known}")
    places = [result.columns.index(column) for column in columns]
    return query.Result(list(columns), (tuple(row[place] for place in places) for row in result.rows))


def written(help_: str) -> Callable[[Command], Command]:
    """Return what adds --format for an answer that is a table or JSON, which arrives as `format_`."""
    choice = click.Choice(["table", "json"])
    return click.option("--format", "format_", type=choice, default="table", show_default=True, help=help_)


def snapshots(command: Command) -> Command:
    """Add --host and --snapshot, which arrive as one `Snapshots`."""

    @click.option(
        "--host",
        "hosts",
        multiple=True,
        metavar="HOST",
        shell_complete=complete("names", "host"),
        help="Ask about this host only; may be repeated.",
    )
    @click.option(
        "--snapshot",
        "references",
        multiple=True,
        metavar="REF",
        shell_complete=complete("names", "snapshot"),
        help="A snapshot's number, HOST, or HOST~1 for the one before.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, hosts: tuple[str, ...], references: tuple[str, ...], **options: Any) -> Any:  # noqa: ANN401
        return command(*args, snapshots=Snapshots(hosts, references), **options)

    return wrapped


def timeout(command: Command) -> Command:
    """Add --timeout, which limits all SQL that the command runs."""

    @click.option(
        "--timeout",
        type=click.FloatRange(0),
        default=query.LIMIT.get(),
        show_default=True,
        metavar="SECONDS",
        help="Stop a query that keeps SQLite busy for longer; 0: no limit.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, timeout: float, **options: Any) -> Any:  # noqa: ANN401
        with query.limited(timeout or None):
            return command(*args, **options)

    return wrapped


def output(command: Command) -> Command:
    """Add --format and how tables look, which arrive as one `Output`; what is longer than the screen is paged."""

    @click.option(
        "--format",
        "format_",
        type=click.Choice(list(render.FORMATS)),
        default="table",
        show_default=True,
        help="How the answer is written. csv is the unchanged data, in which a text may begin like a formula: csv-safe "
        "is for spreadsheets.",
    )
    @click.option(
        "--columns",
        metavar="A,B",
        callback=_columns,
        shell_complete=complete("columns"),
        help="Only these columns, in this order.",
    )
    @table
    @functools.wraps(command)
    def wrapped(*args: Any, format_: str, columns: tuple[str, ...], output: Output, **options: Any) -> Any:  # noqa: ANN401
        return command(*args, output=output._replace(format=format_, columns=columns, ways=screen.WAYS), **options)

    return wrapped


def pager(command: Command) -> Command:
    """Add --no-pager, and the pager."""

    @click.option("--no-pager", is_flag=True, help="Do not page what is longer than the screen.")
    @functools.wraps(command)
    def wrapped(*args: Any, no_pager: bool, **options: Any) -> Any:  # noqa: ANN401
        with _paging(wanted=not no_pager):
            return command(*args, **options)

    return wrapped


def table(command: Command) -> Command:
    """Add the options of tables, which arrive as one `Output`, and the pager."""

    @click.option("--no-trunc", is_flag=True, help="Show whole ids, whole texts, exact bytes and all rows in tables.")
    @click.option("--wide", is_flag=True, help="Show all columns of a table, also where the terminal is narrower.")
    @click.option(
        "--vertical", is_flag=True, help="Show a table's rows one below the other, with a line for each field."
    )
    @pager
    @functools.wraps(command)
    def wrapped(*args: Any, no_trunc: bool, wide: bool, vertical: bool, **options: Any) -> Any:  # noqa: ANN401
        return command(
            *args, output=Output("table", not no_trunc, wide, vertical, ways=("--wide", "--format json")), **options
        )

    return wrapped


def _paging(*, wanted: bool) -> AbstractContextManager[None]:
    if not wanted or not sys.stdout.isatty():
        return nullcontext()
    from layerindex.screen.pager import paging  # noqa: PLC0415 - what is piped starts without it

    return paging()


def _columns(_: click.Context, __: click.Parameter, words: str | None) -> tuple[str, ...]:
    return tuple(typed(word.strip()) for word in words.split(",") if word.strip()) if words else ()


def refuse_terminal() -> None:
    """Raise where standard output is a terminal, which cannot show a database."""
    if sys.stdout.isatty():
        raise UsageError("a terminal cannot show a database: redirect standard output, or name a file")


@contextmanager
def standard_output() -> Iterator[IO[bytes]]:
    """Yield standard output to write a database to, and flush it at the end; raises OutputError."""
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
