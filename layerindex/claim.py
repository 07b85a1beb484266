"""The file of a database that this process writes: opened or made once, locked, and identified by its inode."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from layerindex import held, locks, place, trust
from layerindex.errors import DatabaseBusyError, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60
"""Seconds a scan waits for another that is writing."""


class Claim:
    """An open database file that no other layerindex can write."""

    def __init__(self, real: str, path: str, handle: int, *, made: bool) -> None:
        self.real, self.path, self._handle, self._made = real, path, handle, made

    @property
    def empty(self) -> bool:
        """Whether nothing was ever written to it."""
        return not os.fstat(self._handle).st_size

    def check(self, what: str) -> None:
        """Raise DatabaseError where the name leads to another file now, or to none; `what` became of our changes."""
        if not place.leads_to(self.real, self._handle):
            raise DatabaseError(self.path, f"was removed or replaced meanwhile; {what}, scan again")

    def hold_journal(self) -> None:
        """Make sure that the journal SQLite finds is an empty one of ours, or that of a killed scan.

        An existing journal is kept: only a process that has locked the database may remove one.
        """
        journal = self.real + place.JOURNAL
        try:
            handle = place.open_file(journal, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            self._give_away(handle)
            os.close(handle)
        except FileExistsError:
            trust.check_files(self.real, self.path, self._handle)
        except OSError as error:
            raise DatabaseError(self.path, f"{journal} cannot be made: {error.strerror}") from error
        held.refuse_forged(self.real, self.real, self.path)

    def _give_away(self, journal: int) -> None:
        """Give the journal to the owner of the database, as SQLite does: the owner may have to roll it back."""
        owner = os.fstat(self._handle)
        if os.geteuid() == 0 and owner.st_uid:
            with suppress(OSError):
                os.fchown(journal, owner.st_uid, owner.st_gid)

    def release_journal(self, *, locked: bool) -> None:
        """Remove the journal of a database unless it is needed to roll back, or another program may be writing it.

        `locked` says that SQLite still has the database locked for us.
        """
        with suppress(OSError):
            free = locked or locks.take(self._handle, locks.PENDING, locks.ALL, exclusive=True)
            if free and not held.is_hot(self.real):
                os.unlink(self.real + place.JOURNAL)

    def withdraw(self) -> None:
        """Remove the file if this process made it and its name still leads to it, and no other locked or wrote it."""
        alone = self._made and locks.take(self._handle, locks.PENDING, locks.ALL, exclusive=True)
        if alone and self.empty and place.leads_to(self.real, self._handle):
            with suppress(OSError):
                os.unlink(self.real)


@contextmanager
def claimed(path: str, wait: Callable[[str], None], *, make: bool) -> Iterator[Claim]:
    """Open the file of a database to write it, or make it, when no other layerindex writes it.

    `wait` is called when another process does. Raises NoDatabaseError, and DatabaseError where that is impossible or
    unsafe.
    """
    real = place.resolve(path)
    trust.check_place(real, path)
    while True:
        handle, made = _open(real, path, make=make)
        try:
            _lock(handle, path, wait)
            if place.leads_to(real, handle):
                with _withdrawn(Claim(real, path, handle, made=made)) as claim:
                    trust.check_files(real, path, handle)
                    yield claim
                return
            if not (make and not os.fstat(handle).st_size):
                reason = "was removed or replaced while this waited for it; nothing was written, try again"
                raise DatabaseError(path, reason)
        finally:
            os.close(handle)


@contextmanager
def _withdrawn(claim: Claim) -> Iterator[Claim]:
    try:
        yield claim
    except BaseException:
        claim.withdraw()
        raise


def _open(real: str, path: str, *, make: bool) -> tuple[int, bool]:
    """Return the file, and whether this made it."""
    if make:
        with suppress(FileExistsError):
            return _make(real, path), True
    with place.opened(real, path, os.O_RDWR) as handle:
        return os.dup(handle), False


def _make(real: str, path: str) -> int:
    try:
        handle = place.open_file(real, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        raise
    except OSError as error:
        raise DatabaseError(path, f"cannot be made: {error.strerror}") from error
    trust.give_to_invoker(handle, os.path.dirname(real))
    return handle


def _lock(handle: int, path: str, wait: Callable[[str], None]) -> None:
    def say() -> None:
        wait(f"{path}: another process is writing to it; waiting up to {PATIENCE} s")

    if not locks.within(PATIENCE, lambda: locks.take(handle, locks.WRITER, exclusive=True), say):
        raise DatabaseBusyError(path)
