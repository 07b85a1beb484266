"""Where a database is: one file, found once, and the files that SQLite looks for beside it.

A path is resolved before anything is looked at, and what is looked at is what is opened. SQLite resolves it too: a look
beside a symbolic link is a look at other files than SQLite's.
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
"""How the names of the files end that SQLite may have, or look for, beside a database."""

_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""So that no symbolic link leads elsewhere, and no fifo makes us wait for who writes to it."""


def resolve(path: str) -> str:
    """Return the one name of a file that is there, or that could be made there, without symbolic links.

    Raises DatabaseError for a symbolic link that leads nowhere: what it names is another's choice.
    """
    real = "/" + os.path.realpath(path).lstrip("/")
    if os.path.islink(path) and not os.path.exists(path):
        raise DatabaseError(path, f"is a symbolic link to {real}, where nothing is; name the file itself with --db")
    return real


@contextmanager
def opened(real: str, path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """Open a resolved path, called `path` to the user, if it is a regular file.

    Raises NoDatabaseError where there is none, DatabaseError where it is something else or may not be read.
    """
    try:
        # A device is not even opened: to some that alone means something.
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
    if not stat.S_ISREG(status.st_mode):
        raise DatabaseError(path, "is no regular file, and was not opened; name another with --db")


def open_file(real: str, flags: int) -> int:
    """Open a file that is itself what the name leads to, and never wait for it."""
    return os.open(real, flags | _SAFELY, 0o600)


def beside(real: str, path: str) -> dict[str, os.stat_result]:
    """Return what is there of `-journal`, `-wal` and `-shm`; raises DatabaseError where one is no regular file."""
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
    """Say whether a name is still that of an open file."""
    try:
        return os.path.samestat(os.lstat(real), os.fstat(handle))
    except OSError:
        return False


def uri(path: str, *options: str) -> str:
    """Return the name by which SQLite opens a file with options such as mode=ro, whatever bytes its path has."""
    name = "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02x}" for byte in os.fsencode(path))
    return f"file:{name}?{'&'.join(options)}"


_PLAIN = frozenset("/-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
