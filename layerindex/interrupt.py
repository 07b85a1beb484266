"""Signals end the program soon, wherever it is: unfinished work is undone, and the exit status is 128 + the signal.

Python handles a signal between two of its instructions, but SQLite may work on one statement for hours. So every
connection calls `Watch` every few milliseconds. Where that is not enough, because one step of SQLite may search a text
of a gigabyte or sleep until a lock is free, a thread ends commands that have nothing to undo (`impatient`).
"""

from __future__ import annotations

import math
import os
import select
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STEPS = 20_000
"""SQLite instructions between two calls of `Watch`: some milliseconds at most."""

GRACE = 0.25
"""Seconds after a signal until the thread ends a command that has not ended by itself."""


class Interrupted(BaseException):
    """A signal asks the process to end now."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


class _Arrived:
    """The signal that arrived, once one has."""

    number: int | None = None


def install() -> None:
    """Handle the signals from now on; an ignored signal stays ignored, as nohup wants."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _meet)


def _meet(number: int, _frame: object) -> NoReturn:
    _Arrived.number = number
    raise Interrupted(number)


def check() -> None:
    """Raise Interrupted where a signal has arrived; SQLite only reports that it was interrupted."""
    if _Arrived.number is not None:
        raise Interrupted(_Arrived.number)


class Watch:
    """Progress handler of SQLite: stops a statement when a signal has arrived, or after some seconds."""

    def __init__(self, connection: sqlite3.Connection, seconds: float | None = None) -> None:
        self.seconds = seconds
        self.end = math.inf if seconds is None else time.monotonic() + seconds
        connection.set_progress_handler(self, STEPS)

    def __call__(self) -> bool:
        """Say whether the statement is to end."""
        return _Arrived.number is not None or time.monotonic() > self.end


_undo: list[Callable[[], object]] = []


@contextmanager
def undoing(undo: Callable[[], object]) -> Iterator[None]:
    """Register a cleanup for the thread that ends the process, such as removing a temporary file."""
    _undo.append(undo)
    try:
        yield
    finally:
        _undo.remove(undo)


@contextmanager
def impatient() -> Iterator[None]:
    """End the process GRACE seconds after a signal if this block is still running; only for code that reads."""
    if all(signal.getsignal(number) is not _meet for number in SIGNALS):  # not our process
        yield
        return
    import threading  # noqa: PLC0415 - click has it, and a scan that was never asked to read does not need it

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_end, args=(reader,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        thread.join()
        os.close(reader)


def _end(reader: int) -> None:
    """Wait for a signal, then for the other end of the pipe to be closed; end the process if it is not."""
    while (arrived := os.read(reader, 1)) and arrived[0] not in SIGNALS:
        pass
    end = time.monotonic() + GRACE
    while arrived:
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            for undo in reversed(_undo):
                undo()
            os._exit(128 + arrived[0])
        if not os.read(reader, 1):
            return
