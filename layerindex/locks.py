"""Takes SQLite's locks on a database file, so that a file can be read or claimed before SQLite opens it.

They are locks of an open file description: closing another descriptor of the same file does not drop them, and they
conflict with those of SQLite, also in this process. Format: https://www.sqlite.org/lockingv3.html
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PENDING = 0x40000000
RESERVED = PENDING + 1
SHARED, SHARED_LENGTH = PENDING + 2, 510
ALL = 2 + SHARED_LENGTH
"""How many bytes SQLite's locks are, from PENDING on."""
WRITER = SHARED + SHARED_LENGTH
"""A byte that SQLite does not use: the layerindex process that writes has locked it."""
CHECKPOINT = 121
"""The byte of a -shm file that a process locks while it moves pages from the write-ahead log into the database."""

PAUSE = 0.02
"""Seconds between two attempts."""

_FLOCK = struct.Struct("hhqqi4x")
_HELD = (errno.EAGAIN, errno.EACCES)


def share(handle: int) -> bool:
    """Lock an open database against writing, as a reader does; False while another process commits to it."""
    if not take(handle, PENDING, exclusive=False):
        return False
    try:
        return take(handle, SHARED, SHARED_LENGTH, exclusive=False)
    finally:
        _set(handle, fcntl.F_UNLCK, PENDING, 1)


def take(handle: int, start: int, length: int = 1, *, exclusive: bool) -> bool:
    """Lock bytes of an open file until it is closed; False where another has them.

    True also where the file system has no locks.
    """
    try:
        _set(handle, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, start, length)
    except OSError as error:
        return error.errno not in _HELD
    return True


def is_reserved(handle: int) -> bool:
    """Say whether a process has begun to write to an open database and has not begun to commit."""
    question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, RESERVED, 1, 0)
    try:
        answer = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, question)
    except OSError:
        return False
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def within(seconds: float, attempt: Callable[[], bool], waiting: Callable[[], None] = lambda: None) -> bool:
    """Call `attempt` until it succeeds or the time is over; `waiting` is called once, before the first pause."""
    deadline = None
    while not attempt():
        if deadline is None:
            deadline = time.monotonic() + seconds
            waiting()
        elif time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def _set(handle: int, kind: int, start: int, length: int) -> None:
    fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
