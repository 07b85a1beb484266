"""What leaves: chosen snapshots as a small database of their own, to a file or a stream, whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from layerindex import database, genuine, scratch, trust
from layerindex.errors import DatabaseError
from layerindex.exchange import compression
from layerindex.failures import RAISED, failure
from layerindex.held import held
from layerindex.writing import equal_listings as listings
from layerindex.writing import merge

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence


def export(path: str, snapshots: Sequence[int], target: IO[bytes], name: str, *, files: bool) -> merge.Plan:
    """Write chosen snapshots of a database as a database, compressed as the end of `name` says."""
    with database.passing() as (connection, file):
        try:
            with held(path) as source:
                connection.execute("ATTACH ? AS src", (source.uri,))
                source.opened()
                with database.transaction(connection, path):
                    if genuine.revision(connection, path, "src") != genuine.REVISION:
                        raise DatabaseError(path, "was changed while it was read; try again")
                    plan = _fill(connection, path, snapshots, files=files)
                connection.execute("DETACH src")
            # Inserts leave pages a sixth empty; VACUUM fills them, and the file compresses better.
            connection.execute("VACUUM main")
        except RAISED as error:
            raise failure(path, error) from error
        compression.send(file, target, name)
    return plan


def _fill(connection: sqlite3.Connection, path: str, snapshots: Sequence[int], *, files: bool) -> merge.Plan:
    plan = merge.plan(connection, snapshots, files=files)
    merge.copy(connection, files=files)
    listings.name(connection)
    if plan.snapshots != len(snapshots) or merge.dangling(connection):
        raise DatabaseError(path, "is not whole: `layerindex db check` says what is wrong")
    database.analyze(connection)
    return plan


@contextmanager
def new_file(path: str, *, force: bool) -> Iterator[IO[bytes]]:
    """Give a file to write that gets its name when it is whole, and is gone if it never is.

    Only its owner can read it: images' configs hold what nobody else shall see.
    """
    if os.path.lexists(path) and not force:
        raise DatabaseError(path, "is there already; --force replaces it")
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        # Renamed over a device, a file would stand in its place.
        raise DatabaseError(path, "is no regular file; export to - and redirect standard output")
    try:
        with scratch.file(os.path.dirname(path)) as (temporary, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            trust.give_to_invoker(file.fileno(), os.path.dirname(path))
            os.replace(temporary, path)
    except OSError as error:
        raise DatabaseError(path, f"cannot be written: {error.strerror or error}") from error
