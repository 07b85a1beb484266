"""Standard input, output and error as a command needs them, whatever the shell left of them.

What cannot be written to standard output is an error of ours, wherever it happens; what cannot be said on standard
error is lost, and the exit status tells.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerindex.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer


class _Output(io.BufferedWriter):
    """Standard output; a reader that had enough is no failure of ours.

    Not the file below is ours: a signal that is met there would have what was just written be written again.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        """Write data; raises OutputError."""
        with _blamed():
            return super().write(data)

    def flush(self) -> None:
        """Write what is left; raises OutputError."""
        with _blamed():
            super().flush()


@contextmanager
def _blamed() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from error


class _Notes(io.BufferedWriter):
    """Standard error."""

    def flush(self) -> None:
        """Write what is left, or lose it and all that comes later."""
        try:
            super().flush()
        except OSError:
            _lose(self.fileno())
            super().flush()


def install() -> None:
    """Put these streams in place."""
    # No file of ours may get the number of a stream that is closed. Whoever writes to this standard output fails.
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.set_blocking(number, True)  # whoever shares them may have made them ones that take no more when full
        except OSError:
            os.open(os.devnull, mode)
    if sys.stdin is None:  # where the shell left none
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process
    sys.stdout, sys.stderr = _text(_Output(_file(1))), _text(_Notes(_file(2)))


def _file(number: int) -> io.FileIO:
    return io.FileIO(number, "w", closefd=False)


def _text(buffer: io.BufferedWriter) -> io.TextIOWrapper:
    encoding = getattr(sys.__stdout__, "encoding", None)
    return io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=buffer.isatty())


def drop() -> None:
    """Let what is still to be written go nowhere, or Python would complain once more when it writes it at exit."""
    _lose(sys.stdout.fileno())


def _lose(number: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
