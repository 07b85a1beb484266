"""Prepares standard input, output and error for a command, also where the shell closed some of them.

A failure to write standard output is an error of ours, wherever it happens; what cannot be written to standard error is
lost, and only the exit status shows the error.
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
    """Standard output; a reader that stops reading is not an error.

    Only this layer is replaced, not the file below: a signal handled there would make the last data be written twice.
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
        """Write what is left; on failure drop it and everything that comes later."""
        try:
            super().flush()
        except OSError:
            _lose(self.fileno())
            super().flush()


def install() -> None:
    """Put these streams in place."""
    # A closed stream is opened on /dev/null, so that no file of ours gets its number; writing to this standard output
    # fails.
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.set_blocking(number, True)  # another process that shares them may have made them non-blocking
        except OSError:
            os.open(os.devnull, mode)
    if sys.stdin is None:  # where the shell closed the stream
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process
    sys.stdout, sys.stderr = _text(_Output(_file(1))), _text(_Notes(_file(2)))


def _file(number: int) -> io.FileIO:
    return io.FileIO(number, "w", closefd=False)


def _text(buffer: io.BufferedWriter) -> io.TextIOWrapper:
    encoding = getattr(sys.__stdout__, "encoding", None)
    return io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=buffer.isatty())


def fitted(line: str, before: int = 0) -> str:
    """Return a line for standard error, folded at spaces where that is a terminal; `before` it come so many columns."""
    from layerindex import screen  # noqa: PLC0415 - a quiet command starts without it

    seen = screen.of(sys.stderr)
    if seen is None:
        return line
    from layerindex.screen import text  # noqa: PLC0415 - what is piped starts without it

    later = " " * (len(line) - len(line.lstrip(" ")) + 2)
    first, *others = text.folded(" " * before + text.spelt(line, seen.encoding), seen.width, later)
    return "\n".join([first[before:], *others])


def drop() -> None:
    """Redirect unwritten data to /dev/null, or Python would report the error again when it flushes at exit."""
    _lose(sys.stdout.fileno())


def _lose(number: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
