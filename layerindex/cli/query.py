"""`layerindex query`."""

from __future__ import annotations

import sys
from itertools import chain
from typing import NamedTuple

import click

from layerindex import catalog, database, query, screen
from layerindex.cli import options
from layerindex.errors import UsageError
from layerindex.names import typed

SQL_LIMIT = 1_000_000
"""Most bytes of SQL read from standard input: SQLite's own limit for a statement."""


class Question(NamedTuple):
    """SQL to run, the values of its parameters, the canned query that it comes from, if any, and what was given."""

    sql: str
    values: dict[str, str | int | None]
    canned: catalog.Query | None
    given: dict[str, str]


@click.command(name="query", add_help_option=False)
@click.argument("name", required=False, shell_complete=options.complete("queries"))
@click.option("--sql", metavar="SQL", help="Run this SELECT instead of a canned query; - reads it from standard input.")
@click.option(
    "-p",
    "--param",
    "words",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=options.complete("parameters"),
    help="Set a parameter of the query.",
)
@options.database
@options.snapshots
@options.output
@options.timeout
@click.option("--show-sql", is_flag=True, help="Print the SQL instead of running it.")
@click.option("-h", "--help", "help_", is_flag=True, help="Show this message, or with NAME explain that query.")
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - click hands over one for each option
    ctx: click.Context,
    name: str | None,
    sql: str | None,
    words: tuple[str, ...],
    path: str,
    snapshots: options.Snapshots,
    output: options.Output,
    show_sql: bool,
    help_: bool,
) -> None:
    """Answer the canned query NAME from the database; without NAME list the queries.

    NAME may be - to read SQL from standard input. SQL can only read, whatever it says.
    """
    if help_:
        click.echo(explain(catalog.load(name)) if name and name != "-" else ctx.get_help())
    elif name is None and sql is None:
        titles = [(each, catalog.load(each).title) for each in catalog.names()]
        output.write(query.Result(["name", "title"], iter(titles)), whole=["title"])
    else:
        question = _question(name, sql, words)
        if show_sql:
            click.echo(question.sql.rstrip())
            return
        with database.reading(path) as connection:
            snapshots.select(connection)
            values = query.resolved(connection, question.canned, question.values)
            answer = query.run(connection, question.sql, values)
            first = next(answer.rows, None)
            if question.canned and first is None:
                query.check_there(connection, question.canned, question.given)
            answer = answer._replace(rows=answer.rows if first is None else chain([first], answer.rows))
            output.write(answer, first=question.canned.first if question.canned else ())


def _question(name: str | None, sql: str | None, words: tuple[str, ...]) -> Question:
    given = {}
    for word in words:
        key, equals, value = typed(word).partition("=")
        if not equals or not key:
            raise UsageError(f"-p takes KEY=VALUE, not {word!r}")
        given[key] = value
    if name is not None and sql is not None:
        raise UsageError("give a NAME or --sql, not both")
    if name not in (None, "-"):
        canned = catalog.load(str(name))
        return Question(canned.sql, catalog.values(canned, given), canned, given)
    text = _standard_input() if sql in (None, "-") else typed(str(sql))
    # A number is bound as a number: in SQLite an integer expression is never greater than a text.
    numbers = {key: catalog.whole(word) for key, word in given.items()}
    values = {key: word if numbers[key] is None else numbers[key] for key, word in given.items()}
    return Question(text, values, None, given)


def _standard_input() -> str:
    return typed(sys.stdin.buffer.read(SQL_LIMIT).decode(errors="surrogateescape"))


def explain(canned: catalog.Query) -> str:
    """Return what a canned query answers, its parameters and its columns."""
    lines = [f"Usage: layerindex query {canned.name} [-p KEY=VALUE]...", "", ""]
    seen = screen.current()
    formatter = click.HelpFormatter(width=100 if seen is None else min(100, seen.width))
    with formatter.indentation():
        formatter.write_text(canned.title)
        formatter.write_paragraph()
        formatter.write_text(canned.description)
    if canned.params:
        with formatter.section("Parameters"):
            formatter.write_dl([(key, _param(param)) for key, param in canned.params.items()])
    with formatter.section("Columns"):
        formatter.write_dl(list(canned.columns.items()))
    if canned.first:
        with formatter.section("On a narrow terminal"):
            formatter.write_text(", ".join(canned.first))
    return "\n".join(lines) + formatter.getvalue().rstrip()


def _param(param: catalog.Param) -> str:
    notes = ["required"] if param.required else []
    notes += [f"one of: {', '.join(param.values)}"] if param.values else []
    notes += [f"default: {param.default}"] if param.default is not None else []
    return f"{param.help}  [{'; '.join(notes)}]" if notes else param.help
