"""Temporary files and folders, locked while their process lives, so that those of a killed process are recognised.

They hold copies of a database, or of what becomes one. What a killed process left is removed by the next one that makes
something in the same folder: what has such a name, is this user's and locked by nobody.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from layerindex import interrupt
from layerindex.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = ".layerindex-"

_NAME = re.compile(r"\.layerindex-[a-z0-9_]{8}")
_COPY = re.compile(r"[a-z]+\.db(-journal|-wal|-shm)?")
"""Names of files in our folders: databases, and what SQLite puts beside them."""

_SAFELY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def folder(where: str) -> Iterator[str]:
    """Yield a new folder for copies, accessible to this user alone and removed at the end; raises DatabaseError."""
    import shutil  # noqa: PLC0415 - as below
    import tempfile  # noqa: PLC0415

    path, handle = _made(where, lambda: _opened(tempfile.mkdtemp(prefix=PREFIX, dir=where)))
    try:
        with interrupt.undoing(lambda: shutil.rmtree(path, ignore_errors=True)):
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


@contextmanager
def file(where: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield a new file of this user alone, which is removed at the end unless it was renamed; raises DatabaseError."""
    import tempfile  # noqa: PLC0415 - what only reads a database, as most commands, starts without it

    path, handle = _made(where, lambda: tempfile.mkstemp(prefix=PREFIX, dir=where)[::-1])
    try:
        with open(handle, "r+b") as opened:
            yield path, opened
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def tidy(where: str) -> None:
    """Remove what killed processes of this user left in a folder that no other user can write to."""
    try:
        status = os.stat(where)
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
        if others or status.st_uid not in (0, os.geteuid()):
            return
        left = [name for name in os.listdir(where) if _NAME.fullmatch(name)]
    except OSError:
        return
    for name in left:
        with suppress(OSError):
            _remove(os.path.join(where, name))


def _made(where: str, make: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """Return the path of something new and an open file of it, locked."""
    tidy(where)
    while True:
        try:
            path, handle = make()
        except OSError as error:
            raise DatabaseError(where, f"nothing can be made in it: {error.strerror}") from error
        with suppress(OSError):  # where the file system has no locks, nothing is ever taken for left behind
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _leads_to(path, handle):
            return path, handle
        os.close(handle)  # taken for left behind before it was locked


def _opened(path: str) -> tuple[str, int]:
    return path, os.open(path, _SAFELY)


def _leads_to(path: str, handle: int) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    return False


def _remove(path: str) -> None:
    """Remove a file or folder that is ours and locked by nobody; raises OSError where it is not."""
    if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        return
    handle = os.open(path, _SAFELY)
    try:
        status = os.fstat(handle)
        if status.st_uid != os.geteuid():
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _leads_to(path, handle):
            return
        if stat.S_ISREG(status.st_mode):
            os.unlink(path)
        elif all(_COPY.fullmatch(name) for name in os.listdir(handle)):
            for name in os.listdir(handle):
                os.unlink(name, dir_fd=handle)
            os.rmdir(path)
    finally:
        os.close(handle)
