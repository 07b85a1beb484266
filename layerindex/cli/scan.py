"""`layerindex scan`."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from layerindex import database, progress, query, scan, stores
from layerindex.cli import options, streams
from layerindex.errors import (
    EmptyDatabaseError,
    LayerindexError,
    NoDatabaseError,
    NotAStoreError,
    OlderDatabaseError,
    UsageError,
)
from layerindex.interrupt import Interrupted
from layerindex.names import from_os, printable
from layerindex.render import plural

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from layerindex.records import Problem

    Found = tuple[stores.Store, Sequence[Problem]]


def note(text: str) -> None:
    """Print a message on standard error, with control characters escaped; data is never printed here."""
    click.echo("\n".join(streams.fitted(printable(line)) for line in text.split("\n")), err=True)


def filing(command: options.Command) -> options.Command:
    """Add --host and --label, which arrive as one `scan.Filing`."""

    @click.option("--host", metavar="NAME", help="File the snapshot under this host.  [default: this machine's name]")
    @click.option("--label", metavar="TEXT", help="A note to keep with the snapshot.")
    @functools.wraps(command)
    def wrapped(*args: Any, host: str | None, label: str | None, **others: Any) -> Any:  # noqa: ANN401
        return command(*args, filed=scan.Filing(scan.local_host(host), label), **others)

    return wrapped


def reading(command: options.Command) -> options.Command:
    """Add --walk, --no-files, --no-blobs and --jobs, which arrive as one `scan.Options`."""

    @click.option(
        "--walk",
        is_flag=True,
        help="Also walk the directories of layers, and record where they differ from the layer's tar.",
    )
    @click.option("--no-files", is_flag=True, help="Read no file listings.")
    @click.option(
        "--no-blobs",
        is_flag=True,
        help="List the files of containerd's layers from their directories: fast, without checksums.",
    )
    @click.option("--jobs", type=click.IntRange(1, 64), metavar="N", help="Processes to use.  [default: one per core]")
    @functools.wraps(command)
    def wrapped(
        *args: Any,  # noqa: ANN401
        walk: bool,
        no_files: bool,
        no_blobs: bool,
        jobs: int | None,
        **others: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if walk and no_files:
            raise UsageError("--walk reads files, --no-files does not: give one of them")
        chosen = scan.Options(not no_files, walk, jobs or len(os.sched_getaffinity(0)), not no_blobs)
        return command(*args, read=chosen, **others)

    return wrapped


@click.command(name="scan")
@click.argument("root", required=False, envvar="LAYERINDEX_ROOT")
@options.database
@filing
@reading
@click.option("--list", "only_list", is_flag=True, help="Only list the stores that would be scanned.")
@click.option("--strict", is_flag=True, help="Exit with 3 when a problem of severity error was found.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors on stderr.")
def command(  # noqa: PLR0913, PLR0917 - click hands over one for each option
    root: str | None, path: str, filed: scan.Filing, read: scan.Options, only_list: bool, strict: bool, quiet: bool
) -> None:
    """Index the stores under ROOT into a database, without a daemon and without writing to a store.

    ROOT is a data root of Docker, of containerd, or of Podman and its like (containers-storage). Without ROOT all
    stores of this host are indexed, also those of rootless engines, at the places that their settings name and at the
    default places. Each storage driver in a root, and each <uid>.<gid> root of Docker's userns-remap, becomes a
    snapshot of its own, written whole or not at all.

    With --db - a new database is written to standard output and no file is left, as in
    `ssh host layerindex scan --db - | layerindex import -`.
    """
    found, refused = ([(store, ()) for store in stores.open_stores(root)], 0) if root else host_stores()
    if only_list:
        show(found)
        return
    sent = path == options.STREAM
    if sent:
        options.refuse_terminal()
    else:
        prepare(path)
        if not quiet and database.is_open_to_others(path):
            note(f"{path}: others can read it, environment variables of images and containers included; run chmod 600")
    errors = refused
    try:
        with _to_standard_output() if sent else nullcontext(lambda: database.writing(path, note)) as writing:
            for store, said in found:
                with writing() as connection, progress.shown(quiet=quiet) as report:
                    summary = scan.scan(connection, store, filed._replace(said=said), read, report)
                errors += summary.severities["error"]
                if not quiet:
                    note(told(store, summary, path))
    except Interrupted:
        kept = f"{path} holds complete snapshots only, and nothing of the interrupted one"
        note(f"Interrupted; {kept if os.path.exists(path) else 'nothing was written'}.")
        raise
    if strict and errors:
        sys.exit(3)


def host_stores() -> tuple[Sequence[Found], int]:
    """Return the stores of this host, print why others cannot be read, and return how many these are.

    Raises NotAStoreError when there is no store.
    """
    found: list[Found] = []
    refused: list[NotAStoreError] = []
    for each in stores.host_stores(os.environ, root=os.geteuid() == 0):
        if isinstance(each, NotAStoreError):
            refused.append(each)
        else:
            found.append(each)
    if not found:
        raise (
            refused[0]
            if refused
            else NotAStoreError("this host", "no container store at the usual places; name its ROOT")
        )
    for each in refused:
        note(f"{each}")
    return found, len(refused)


def show(found: Sequence[Found]) -> None:
    """Print the stores that a scan would index."""
    rows = ((store.name, from_os(store.root), store.limits) for store, _ in found)
    options.Output(trunc=False).write(query.Result(["store", "root", "limits"], rows))


@contextmanager
def _to_standard_output() -> Iterator[Callable[[], AbstractContextManager[sqlite3.Connection]]]:
    """Yield transactions in a database that leaves no file, and write it to standard output when it is complete."""
    with database.passing() as (connection, file):

        @contextmanager
        def writing() -> Iterator[sqlite3.Connection]:
            with database.transaction(connection, "standard output"):
                yield connection

        yield writing
        from layerindex import exchange  # noqa: PLC0415 - what unpacks streams, which no other scan needs

        with database.transaction(connection, "standard output"):
            exchange.name_listings(connection)
        with options.standard_output() as output:
            shutil.copyfileobj(file, output)


def prepare(path: str) -> None:
    """Upgrade an older database, after a message; refuse a file that is not ours before the scan begins."""
    try:
        with database.reading(path):
            pass
    except (NoDatabaseError, EmptyDatabaseError):
        return
    except OlderDatabaseError:
        from layerindex import migrate  # noqa: PLC0415 - SQLAlchemy and Alembic take longer than a scan

        note(f"{path}: has an older schema; upgrading it to {database.REVISION}")
        migrate.upgrade(path, wait=note)


def describe(store: stores.Store, summary: scan.Summary, path: str) -> str:
    """Describe what one snapshot holds and what was wrong, in a few lines."""
    rows = summary.rows
    counted = (
        (rows["images"], "image"),
        (rows["layers"], "layer"),
        (rows["overlay_dirs"], "directory"),
        (rows["containers"], "container"),
        (rows["volumes"], "volume"),
        *([(rows["entries"], "file")] if "entries" in rows else []),
    )
    lines = [f"{store.root} ({store.name}): {', '.join(plural(*each) for each in counted)}"]
    if store.limits:
        lines.append(f"  {store.limits}")
    denied = summary.codes["permission-denied"]
    if denied:
        lines.append(f"  {plural(denied, 'place')} could not be read: permission denied; run the scan as root")
    if summary.codes:
        kinds = ", ".join(f"{code} {count}" for code, count in sorted(summary.codes.items()))
        lines.append(f"  {plural(sum(summary.codes.values()), 'problem')}: {kinds}")
    if summary.newer:
        lines.append(
            "  the clock is behind the newest snapshot of this store; this snapshot counts as newer all the same, "
            f"as if made at {summary.newer}"
        )
    lines.append(f"  written to {path} as snapshot {summary.snapshot_id}")
    return "\n".join(lines)


PATIENCE = 10
"""Most seconds that a scan, which is done, asks what can be freed."""


def told(store: stores.Store, summary: scan.Summary, path: str) -> str:
    """Return what is said of a snapshot that was written, with what of its store need not be there."""
    if path == options.STREAM:
        return describe(store, summary, "standard output")
    return f"{describe(store, summary, path)}\n  {advice(path, summary.snapshot_id)}"


def advice(path: str, snapshot_id: int) -> str:
    """Say in one sentence what of a store need not be there."""
    from layerindex.plan import steps, text  # noqa: PLC0415 - who is quiet scans without it

    try:
        with query.limited(PATIENCE), database.reading(path) as connection:
            query.choose(connection, [snapshot_id])
            (plan,) = steps.plans(connection)
    except LayerindexError as error:  # all is written: a plan may wait
        return f"what can be freed was not asked: {error}"
    more = f"; `layerindex plan --snapshot {snapshot_id}` says what" if plan.steps or plan.unknown else ""
    return f"{text.headline(plan)}{more}"
