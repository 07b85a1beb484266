"""The errors that end a command: each class builds its sentence from its parts, and only the command line prints it.

Damage in a store is never an error: it is a row in `problems` (`layerindex.problems`).
"""

from __future__ import annotations

from typing import ClassVar


class LayerindexError(Exception):
    """A sentence for the user: what is wrong, where, and what to do next."""

    exit_status: ClassVar[int] = 1


class UsageError(LayerindexError):
    """The command was called with invalid arguments."""

    exit_status = 2


class NotThereError(UsageError):
    """The selected snapshots do not have the named thing; the call itself was correct."""

    exit_status = 1


class NotAStoreError(LayerindexError):
    """The folder to scan holds no store."""

    def __init__(self, root: str, reason: str) -> None:
        super().__init__(f"{root}: {reason}")


class DatabaseError(LayerindexError):
    """The database cannot be opened, read or written."""

    def __init__(self, path: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class NoDatabaseError(DatabaseError):
    """There is no database to read."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "no such database; make it with `layerindex scan`, or name another with --db")


class EmptyDatabaseError(DatabaseError):
    """The database file exists but is empty."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "is empty: no scan has been written to it yet; run `layerindex scan`")


class NewerDatabaseError(DatabaseError):
    """The database was written by a later version of the program."""

    def __init__(self, path: str, revision: str) -> None:
        super().__init__(
            path, f"has schema {revision}, written by a newer layerindex; use that version, or another --db"
        )


class OlderDatabaseError(DatabaseError):
    """The database needs an upgrade."""

    def __init__(self, path: str, revision: str) -> None:
        self.revision = revision
        super().__init__(path, f"has the older schema {revision}; run `layerindex db upgrade` or `layerindex scan`")


class NotOursError(DatabaseError):
    """A file that was named as a database was not written by layerindex."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, f"{reason}; name another with --db")


class RefusedFileError(DatabaseError):
    """A file to import is not what layerindex writes."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, f"{reason}; nothing of it was imported")


class FullDiskError(DatabaseError):
    """There is no room for what was to be written."""

    def __init__(self, path: str, where: str) -> None:
        elsewhere = "write to another disk, as with --db /dev/shm/layerindex.db or `scan --db - > FILE`"
        super().__init__(path, f"no room is left in {where}; the database is as it was; free some, or {elsewhere}")


class DatabaseBusyError(DatabaseError):
    """Another process is writing the database."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "another process is writing to it; nothing was changed, try again when it is done")


class CatalogError(LayerindexError):
    """The header of a canned query is incomplete or wrong, as after an edit of the file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the header of the query {name}.sql cannot be read ({reason}); install layerindex again")


class OutputError(LayerindexError):
    """Standard output cannot be written, or no longer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"standard output: cannot be written: {reason}")


class QueryError(LayerindexError):
    """A query that SQLite refused or that took too long."""
