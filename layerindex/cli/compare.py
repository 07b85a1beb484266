"""`layerindex compare`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from layerindex import catalog, compare, query, shipped
from layerindex.cli import options
from layerindex.cli.scan import note
from layerindex.errors import UsageError
from layerindex.names import printable, typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUMMARY = "summary"
FILES = "files-of"
"""The name of the section with the rows of --files."""


class Answer(NamedTuple):
    """The answers for two snapshots: the rows of the summary, of sections and of files, by name."""

    pair: compare.Pair
    parts: dict[str, Part]


class Part(NamedTuple):
    """The rows of one section, all of them."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    @property
    def result(self) -> query.Result:
        """The rows in the form that output formats take."""
        return query.Result(self.columns, iter(self.rows))


@click.command(name="compare")
@click.argument("a", shell_complete=options.complete("names", "snapshot"))
@click.argument("b", shell_complete=options.complete("names", "snapshot"))
@click.option(
    "--only",
    "sections",
    multiple=True,
    type=click.Choice(list(compare.SECTIONS)),
    help="List what differs in this section; may be repeated.",
)
@click.option(
    "--files",
    "thing",
    metavar="TAG_OR_CONTAINER",
    shell_complete=options.complete("names", "held"),
    help="Compare the files of this image or container on both sides.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 3 when there are differences.")
@options.database
@options.output
@options.timeout
def command(  # noqa: PLR0913, PLR0917 - click hands over one for each option
    a: str,
    b: str,
    sections: tuple[str, ...],
    thing: str | None,
    exit_code: bool,
    path: str,
    output: options.Output,
) -> None:
    """Show how two hosts, two days or two databases differ.

    A and B are each a host (its newest snapshot), HOST~1 (the one before), a snapshot's number or the beginning of its
    uid; or another database file, FILE or FILE:HOST. Hosts with several stores are compared store by store. Layers and
    images are compared by content. Without --only or --files there is a summary of all sections.
    """
    pairs, alone = compare.paired(compare.find(typed(a), path), compare.find(typed(b), path))
    for snapshot in alone:
        note(f"Not compared, as the other side has no such store: {snapshot.name}")
    for pair in pairs:
        if pair.a.scope != pair.b.scope:
            detail = "things that only one of the scans read or measured count as differing"
            note(f"Note: the scan of a read {pair.a.scope}, that of b {pair.b.scope}: {detail}")
    answers = [_answer(pair, path, sections, thing and typed(thing)) for pair in pairs]
    differ = alone or any(_differs(answer) for answer in answers)
    if output.columns:
        answers = _only(answers, output.columns)
        output = output._replace(columns=())
    {"json": _write_json, "table": _write_headed, "markdown": _write_headed}.get(output.format, _write_flat)(
        answers, output
    )
    if exit_code and differ:
        sys.exit(3)


def _answer(pair: compare.Pair, path: str, sections: Sequence[str], thing: str | None) -> Answer:
    files = compare.files_of(pair, path, thing) if thing else None
    chosen = [name for name in compare.SECTIONS if name in sections or not (sections or files)]
    parts = {}
    with compare.opened(pair, path, files) as (connection, numbers):
        if chosen:
            parts[SUMMARY] = _part(compare.summary(connection, numbers, chosen))
        for name in chosen if sections else ():
            parts[name] = _part(compare.section(connection, numbers, name))
        if files:
            parts[FILES] = _part(compare.tree(connection, numbers, files))
    return Answer(pair, parts)


def _part(result: query.Result) -> Part:
    return Part(result.columns, list(result.rows))


def _differs(answer: Answer) -> bool:
    """Say whether anything differs between the sides."""
    summary = answer.parts.get(SUMMARY, Part([], []))
    places = [place for place, name in enumerate(summary.columns) if name in ("only_a", "only_b", "differing")]
    files = answer.parts.get(FILES, Part([], []))
    return bool(files.rows) or any(row[place] for row in summary.rows for place in places)


def _only(answers: Sequence[Answer], columns: Sequence[str]) -> list[Answer]:
    """Return of each section the columns that are named and that it has; raises UsageError for one that none has."""
    known = list(
        dict.fromkeys(column for answer in answers for part in answer.parts.values() for column in part.columns)
    )
    for column in columns:
        if column not in known:
            raise UsageError(f"no column {column!r}{catalog.near(column, known)}; the answer has {', '.join(known)}")
    found = []
    for pair, parts in answers:
        kept = {}
        for name, part in parts.items():
            places = [part.columns.index(column) for column in columns if column in part.columns]
            if places:
                rows = [tuple(row[place] for place in places) for row in part.rows]
                kept[name] = Part([part.columns[place] for place in places], rows)
        found.append(Answer(pair, kept))
    return found


# Formats -------------------------------------------------------------------------------------------------------------


def _write_headed(answers: Sequence[Answer], output: options.Output) -> None:
    """Write for people: which snapshots are compared, the summary, and each section under its name."""
    head = "### {}\n" if output.format == "markdown" else "{}"
    for number, (pair, parts) in enumerate(answers):
        if number:
            click.echo()
        for side, each in zip("ab", pair, strict=True):
            output.say(f"{side}: ", printable(each.name))
        for name, part in parts.items():
            click.echo()
            if name != SUMMARY:
                click.echo(head.format(name))
            if part.rows:
                output.write(_for_people(part), first=_first(name))
            else:
                click.echo("no differences")


def _first(name: str) -> Sequence[str]:
    """Return the columns of a section that stay on a narrow terminal; of the summary all."""
    if name == SUMMARY:
        return ()
    file = "tree" if name == FILES else name
    return catalog.parsed(file, shipped.query("compare", file)).first


def _for_people(part: Part) -> query.Result:
    """Remove the columns that are empty in every row."""
    kept = [place for place in range(len(part.columns)) if any(row[place] is not None for row in part.rows)]
    return query.Result(
        [part.columns[place] for place in kept], (tuple(row[place] for place in kept) for row in part.rows)
    )


def _write_flat(answers: Sequence[Answer], output: options.Output) -> None:
    """Write rows for machines, of the summary or of the named sections and files, each with its section's name.

    CSV has one header with the columns of all sections; in JSON lines each row has only its own keys.
    """
    asked = [
        (answer.pair, name, part)
        for answer in answers
        for name, part in answer.parts.items()
        if name != SUMMARY or len(answer.parts) == 1
    ]
    if output.format == "jsonl":
        for pair, name, part in asked:
            output.write(query.Result([*KEYS, *part.columns], _keyed(pair, name, part, part.columns)))
        return
    columns = list(dict.fromkeys(column for _, _, part in asked for column in part.columns))
    rows = (row for pair, name, part in asked for row in _keyed(pair, name, part, columns))
    output.write(query.Result([*KEYS, *columns], rows))


KEYS = ("section", "a_snapshot_id", "b_snapshot_id")
"""The first columns of each row for machines: the section's name, and the snapshots' numbers in their databases."""


def _keyed(pair: compare.Pair, name: str, part: Part, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    places = [part.columns.index(column) if column in part.columns else None for column in columns]
    for row in part.rows:
        yield name, pair.a.snapshot_id, pair.b.snapshot_id, *(None if place is None else row[place] for place in places)


def _write_json(answers: Sequence[Answer], output: options.Output) -> None:  # noqa: ARG001 - all formats are called alike
    """Write an array with an object for each pair of stores: the snapshots, and the rows of each section."""
    import orjson  # noqa: PLC0415 - a table starts without it

    found = [
        {"a": answer.pair.a.facts, "b": answer.pair.b.facts}
        | {
            name: [dict(zip(part.columns, row, strict=True)) for row in part.rows]
            for name, part in answer.parts.items()
        }
        for answer in answers
    ]
    click.echo(orjson.dumps(found, default=bytes.hex).decode(), color=True)
