"""Where a database is: its resolved path, and the files that SQLite looks for beside it.

A path is resolved once, before anything is checked, and the checked file is the one that is opened. SQLite resolves
symbolic links too, and looks for a journal beside the file, not beside the link.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerindex.errors import DatabaseError, NoDatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

JOURNAL, LOG, INDEX = BESIDE = ("-journal", "-wal", "-shm")
"""Suffixes of the files that SQLite may make, or look for, beside a database."""

_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags that keep us from following a symbolic link, and from waiting for a writer of a fifo."""


def resolve(path: str) -> str:
    """Return the path without symbolic links of a file that exists or could be made.

    Raises DatabaseError for a symbolic link that leads nowhere: somebody else could choose what we would make there.
    """
    real = "/" + os.path.realpath(path).lstrip("/")
    if os.path.islink(path) and not os.path.exists(path):
        raise DatabaseError(path, f"is a symbolic link to {real}, where nothing is; name the file itself with --db")
    return real


@contextmanager
def opened(real: str, path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """Open a resolved path, called `path` to the user, if it is a regular file.

    Raises NoDatabaseError where there is none, DatabaseError where it is not a regular file or cannot be opened.
    """
    try:
        # A device is not even opened: opening some devices has effects.
        _refuse_special(os.lstat(real), path)
        handle = open_file(real, flags)
    except FileNotFoundError as error:
        raise NoDatabaseError(path) from error
    except OSError as error:
        raise DatabaseError(path, f"cannot be opened: {error.strerror}") from error
    try:
        _refuse_special(os.fstat(handle), path)
        yield handle
    finally:
        os.close(handle)


def _refuse_special(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise DatabaseError(path, "is a folder; name the database's file with --db, such as layerindex.db in it")
    if not stat.S_ISREG(status.st_mode):
        raise DatabaseError(path, "is no regular file, and was not opened; name another with --db")


def open_file(real: str, flags: int) -> int:
    """Open a file without following a symbolic link and without waiting."""
    return os.open(real, flags | _SAFELY, 0o600)


def beside(real: str, path: str) -> dict[str, os.stat_result]:
    """Return which of `-journal`, `-wal` and `-shm` exist; raises DatabaseError where one is not a regular file."""
    found = {}
    for end in BESIDE:
        try:
            status = os.lstat(real + end)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DatabaseError(path, f"{real}{end} cannot be looked at: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            raise DatabaseError(path, f"was not opened: {real}{end} is no regular file; remove it")
        found[end] = status
    return found


def leads_to(real: str, handle: int) -> bool:
    """Say whether a name still leads to an open file."""
    try:
        return os.path.samestat(os.lstat(real), os.fstat(handle))
    except OSError:
        return False


def uri(path: str, *options: str) -> str:
    """Return the URI for SQLite of a file, with options such as mode=ro; the path may have any bytes."""
    name = "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02x}" for byte in os.fsencode(path))
    return f"file:{name}?{'&'.join(options)}"


_PLAIN = frozenset("/-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
