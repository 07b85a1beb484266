"""`layerindex show`."""

from __future__ import annotations

import json
import sys

import click

from layerindex import database
from layerindex.cli import options
from layerindex.show import answers, text, things


@click.command(name="show")
@click.argument("thing", shell_complete=options.complete("names", "thing"))
@options.database
@options.snapshots
@options.timeout
@options.written("How the answer is written.")
@options.table
def command(thing: str, path: str, snapshots: options.Snapshots, format_: str, output: options.Output) -> None:
    """Explain any id, name or path of a store: what it is, what it consists of, and what needs it.

    THING is an image reference or id, a diff_id, chain_id, cache-id, link or mount id, a container's id or name, a
    build-cache record, a volume, or any path in the store: on the host, in a copy of it, through merged or diff. Ids
    may be shortened. It may be a lowerdir=… string, a whole line of /proc/mounts or /proc/self/mountinfo, or what
    docker inspect prints; - reads it from standard input.

    With --format json the answer is an array of objects, one for each thing in each snapshot, with whole ids and
    integers: thing, part, kind, id, matched, path, merged, snapshot, and a key for each section of its kind. The
    columns are explained in the files of queries/show. Exit status 1: the database has nothing of that name.
    """
    with database.reading(path) as connection:
        snapshots.select(connection)
        asked = things.things(_standard_input() if thing == "-" else thing, answers.roots(connection))
        found: list[answers.Answer] = []
        missing: list[answers.NotFoundError] = []
        for each in asked:
            try:
                found += answers.answers(connection, each)
            except answers.NotFoundError as error:
                missing.append(error)
    if not found:
        raise missing[0]
    if format_ == "json":
        click.echo(json.dumps([answers.as_json(each) for each in found], indent=1, default=bytes.hex))
    else:
        for line in text.lines(found, output.look()):
            click.echo(line)
    for unknown in missing:
        click.echo(f"Error: {unknown}", err=True)
    if missing:
        sys.exit(1)


def _standard_input() -> str:
    return sys.stdin.buffer.read(things.LIMIT + 1).decode(errors="surrogateescape")
