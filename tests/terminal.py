"""The program on a terminal: a pseudo terminal of a size, and a real one, tmux, whose screen can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLAIN = {"TERM": "xterm", "NO_COLOR": "1", "PAGER": "cat"}
"""No colour and no pager, unless a test wants them."""
WITHOUT = ("COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE", "SUDO_UID", "LESS")


class Done(NamedTuple):
    """What a command wrote to its terminal, and its exit status."""

    text: str
    status: int

    @property
    def lines(self) -> list[str]:
        """The lines of it."""
        return self.text.splitlines()


def run(*words: str, width: int = 80, height: int = 24, keys: bytes = b"", env: Mapping[str, str] = {}) -> Done:
    """Run the program on a terminal of a size, whose user presses these keys."""
    environment = _environment(env)
    command = [sys.executable, "-m", "layerindex", *words]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, keys)
    said = b""
    try:
        while piece := os.read(ours, 1 << 16):
            said += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return Done(said.decode().replace("\r\n", "\n"), process.wait(60))


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in WITHOUT} | PLAIN | dict(env)


class Tmux:
    """A real terminal."""

    def __init__(self, socket: str, width: int, height: int, environment: Mapping[str, str]) -> None:
        self.shots = 0
        self.command = ["tmux", "-u", "-f", "/dev/null", "-S", socket]
        subprocess.run(
            [*self.command, "new-session", "-d", "-x", str(width), "-y", str(height), "sh"],
            env=_environment(environment),
            check=True,
            timeout=60,
        )

    def _do(self, *words: str) -> str:
        done = subprocess.run([*self.command, *words], capture_output=True, check=True, timeout=60)
        return done.stdout.decode()

    def type(self, line: str) -> None:
        """Type a line."""
        self._do("send-keys", "-l", line)
        self._do("send-keys", "Enter")

    def press(self, key: str) -> None:
        """Press a key."""
        self._do("send-keys", key)

    def screen(self) -> list[str]:
        """Return the lines that are on the screen."""
        return self._do("capture-pane", "-p").rstrip("\n").split("\n")

    def wait(self, text: str) -> list[str]:
        """Wait until a text is on the screen, and return its lines."""
        end = time.monotonic() + 30
        shown = self.screen()
        while not any(text in line for line in shown):
            assert time.monotonic() < end, "\n".join(shown)
            time.sleep(0.1)
            shown = self.screen()
        return shown

    def shot(self, *words: str) -> list[str]:
        """Run the program and return what it left on the screen."""
        self.shots += 1
        end = f"shot {self.shots} has status"
        self.type(
            f"clear; {shlex.join([sys.executable, '-m', 'layerindex', *words])}; echo shot {self.shots} 'has' status $?"
        )
        shown = self.wait(f"{end} 0")
        return shown[: next(number for number, line in enumerate(shown) if line.startswith(end))]

    def close(self) -> None:
        """End it."""
        subprocess.run([*self.command, "kill-server"], capture_output=True, check=False, timeout=60)


@contextmanager
def tmux(socket: str, width: int, height: int = 100, env: Mapping[str, str] = {}) -> Iterator[Tmux]:
    """Give a real terminal of a size; skips where there is no tmux."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: no screenshots of a real terminal")
    made = Tmux(socket, width, height, {"LC_ALL": "C.UTF-8", "PS1": "$ ", **env})
    try:
        yield made
    finally:
        made.close()
