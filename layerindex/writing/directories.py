"""Numbers the folders of entries in the table `directories`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

KNOWN_DIRECTORIES = 50_000
"""Most paths whose numbers are cached."""


class Directories:
    """The dictionary of directory paths; only the latest are kept in memory."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.known: dict[str, int] = {}
        self.next = database.execute("SELECT coalesce(max(directory_id), 0) + 1 FROM directories").fetchone()[0]

    def numbers(self, paths: Sequence[tuple[str, bytes | None]]) -> list[int]:
        """Return the directory_id of each path; those that are new are added."""
        if len(self.known) > KNOWN_DIRECTORIES:
            self.known.clear()
        new = [pair for pair in paths if pair[0] not in self.known]
        if new:
            rows = [(number, path, raw) for number, (path, raw) in enumerate(new, self.next)]
            added = self.database.executemany(
                "INSERT INTO directories (directory_id, path, path_raw) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows
            ).rowcount
            self.next += len(rows)
            if added == len(rows):
                self.known.update((path, number) for number, path, _ in rows)
            else:
                find = "SELECT directory_id FROM directories WHERE path = ?"
                self.known.update((path, self.database.execute(find, (path,)).fetchone()[0]) for path, _ in new)
        return [self.known[path] for path, _ in paths]
