"""Starts a pager for output longer than the screen: the user's own, or less.

Only PAGER names it, it is looked for only in absolute folders of PATH, and it is started without a shell: neither a
stranger's file nor the current folder can choose it. Under sudo only less is run, in its secure mode, in which it
starts nothing and writes nothing.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from layerindex import screen
from layerindex.screen import text

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

QUIET = ("", "cat")
"""The value of PAGER where no pager is wanted."""


class _EnoughError(Exception):
    """The user has left the pager before the end."""


@contextmanager
def paging() -> Iterator[None]:
    """Hold back output to a terminal until it is known whether it needs a pager."""
    seen = screen.current()
    command = None if seen is None else pager(os.environ)
    if seen is None or command is None:
        yield
        return
    before = sys.stdout
    sys.stdout = paper = _Paper(before, seen, command)
    try:
        with suppress(_EnoughError):
            yield
    finally:
        sys.stdout = before
        paper.end()


def pager(environment: Mapping[str, str]) -> list[str] | None:
    """Return the command of the pager, None for none."""
    named = environment.get("PAGER")
    found = _found("less", environment)
    less = found and [*found, "-R"]  # what LESS says may lack it, and colours would be shown as escapes
    if named is None and environment.get("TERM", "dumb") == "dumb":  # one that only adds lines, as in an editor
        return None
    if named is None or _raised(environment):
        return less
    import shlex  # noqa: PLC0415 - most have named none

    try:
        words = shlex.split(named)
    except ValueError:
        return less
    if not words or words[0] in QUIET:
        return None
    program = words[0] if os.path.isabs(words[0]) else next(iter(_found(words[0], environment) or ()), None)
    return less if program is None else [program, *words[1:]]


def _raised(environment: Mapping[str, str]) -> bool:
    """Say whether this process has more rights than the user who set the environment, as under sudo."""
    return "SUDO_UID" in environment or os.geteuid() != os.getuid()


def _found(name: str, environment: Mapping[str, str]) -> list[str] | None:
    """Return a program on the PATH; None for a relative path, which would depend on the current folder."""
    folders = [] if "/" in name else environment.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return [path]
    return None


class _Paper(io.TextIOBase):
    """Standard output that is replaced by a pager once there is more than a screen of it."""

    def __init__(self, out: TextIO, seen: screen.Screen, command: list[str]) -> None:
        self.out, self.seen, self.command = out, seen, command
        self.held: list[str] | None = []
        self.height = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property here, an attribute there
        """As standard output."""
        return self.out.encoding

    def isatty(self) -> bool:
        """Say that a terminal is at the end of it."""
        return True

    def fileno(self) -> int:
        """Return that of the terminal."""
        return self.out.fileno()

    def write(self, said: str, /) -> int:
        """Take text; start the pager when it is more than a screen."""
        if not isinstance(said, str):  # click asks so whether bytes are taken
            raise TypeError(f"a terminal takes text, not {type(said).__name__}")
        if self.held is None:
            self._send(said)
            return len(said)
        self.held.append(said)
        self.height += sum(-(-max(text.width(line), 1) // self.seen.width) for line in said.split("\n")) - 1
        if self.height >= self.seen.height - 1:
            self._start()
        return len(said)

    def _start(self) -> None:
        import subprocess  # noqa: PLC0415 - most answers fit a screen

        # Like git: short answers leave at once, colours pass, and the answer stays on the screen.
        defaults = {"LESS": "FRX", "LESSCHARSET": "utf-8" if self.encoding.lower() == "utf-8" else "iso8859"}
        environment = defaults | dict(os.environ) | ({"LESSSECURE": "1"} if _raised(os.environ) else {})
        with suppress(OSError, ValueError):
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                env=environment,
                encoding=self.encoding,
                errors="backslashreplace",
            )
        self._release()

    def _release(self) -> None:
        held, self.held = self.held or [], None
        self._send("".join(held))

    def _send(self, said: str) -> None:
        if self.process is None or self.process.stdin is None:
            self.out.write(said)
            return
        try:
            self.process.stdin.write(said)
        except BrokenPipeError as error:
            raise _EnoughError from error

    def flush(self) -> None:
        """Do nothing: output that is held back may still need a pager."""

    def end(self) -> None:
        """Write what is held back, or wait until the user leaves the pager."""
        if self.held is not None:
            self._release()
        if self.process is None:
            self.out.flush()
            return
        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pager has it now
        try:
            with suppress(BrokenPipeError):
                if self.process.stdin is not None:
                    self.process.stdin.close()
            self.process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
