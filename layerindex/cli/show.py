"""`layerindex show`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from layerindex import database
from layerindex.cli import options, streams
from layerindex.errors import LayerindexError, UsageError
from layerindex.show import answers, text, things

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 20
"""Most errors that are printed."""


@click.command(name="show")
@click.argument("thing", nargs=-1, required=True, shell_complete=options.complete("names", "thing"))
@options.database
@options.snapshots
@options.timeout
@options.written("How the answer is written.")
@options.table
def command(
    thing: tuple[str, ...], path: str, snapshots: options.Snapshots, format_: str, output: options.Output
) -> None:
    """Explain any id, name or path of a store: what it is, what it consists of, and what needs it.

    THING is an image reference or id, a diff_id, chain_id, cache-id, link or mount id, a container's id or name, a
    build-cache record, a volume, or any path in the store: on the host, in a copy of it, through merged or diff. Ids
    may be shortened.

    It may be what alerts and logs contain: docker://ID, cri-containerd-ID.scope, /kubepods/…/ID, a path in
    /run/containerd/…/ID/rootfs, a manifest digest, or a line with whole ids in it. It may be a lowerdir=… string, lines
    of /proc/mounts, /proc/PID/mountinfo or /proc/PID/cgroup, or what docker inspect prints; - reads lines of any of
    these from standard input.

    With --format json the answer is an array of objects, one for each thing in each snapshot, with whole ids and
    integers: asked (which THING names it, from 1), thing, part, kind, id, matched, found, path, merged, snapshot, and a
    key for each section of its kind. The columns are explained in the files of queries/show. Exit status 1: the
    database has nothing of that name; other things are still shown.
    """
    found: list[list[answers.Answer]] = []
    errors: list[LayerindexError] = []
    with database.reading(path) as connection:
        snapshots.select(connection)
        roots = answers.roots(connection)
        for word in thing:
            try:
                told, failed = answers.told(connection, _things(word, roots), roots)
            except UsageError as error:
                told, failed = [], [error]
            found.append(told)
            errors += failed
    if not any(found) and len(errors) == 1:
        raise errors[0]
    _print(found, format_, output)
    _complain(errors)


def _things(word: str, roots: Sequence[str]) -> list[things.Thing]:
    """Return what a word of the command line names, or standard input in its place."""
    if word != "-":
        return things.things(word, roots)
    read = sys.stdin.buffer.read(things.LIMIT + 1)
    if len(read) > things.LIMIT:
        raise UsageError(f"standard input has more than {things.LIMIT} bytes")
    return things.things(read.decode(errors="surrogateescape"), roots, listed=True)


def _print(found: Sequence[Sequence[answers.Answer]], format_: str, output: options.Output) -> None:
    if format_ == "json":
        rows = [answers.as_json(each, asked) for asked, told in enumerate(found, 1) for each in told]
        click.echo(json.dumps(rows, indent=1, default=bytes.hex))
        return
    for number, told in enumerate(filter(None, found)):
        if number:
            click.echo()
        for line in text.lines(told, output.look()):
            click.echo(line, color=True)  # where none is wanted there is none


def _complain(errors: Sequence[LayerindexError]) -> None:
    """Print what is not there or ambiguous, and end with the status of the worst; nothing where all is well."""
    for number, error in enumerate(errors[:SHOWN], 1):
        said = error.brief if isinstance(error, answers.NotFoundError) and number < len(errors[:SHOWN]) else error
        click.echo(streams.fitted(f"Error: {said}"), err=True)
    if len(errors) > SHOWN:
        click.echo(f"and {len(errors) - SHOWN} more", err=True)
    if errors:
        sys.exit(max(error.exit_status for error in errors))
