"""A folder in memory for targets that read files, gone at the end; and the promise that nothing else is opened."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from layerindex import shipped
from tools.fuzz.target import BrokenPromise

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own is made in it


def made() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder, in memory unless TMPDIR says where."""
    in_memory = "TMPDIR" not in os.environ and os.path.isdir(MEMORY)
    return tempfile.TemporaryDirectory(prefix="layerindex-fuzz-", dir=MEMORY if in_memory else None)


@cache
def _made() -> tempfile.TemporaryDirectory[str]:
    return made()


@cache
def folder(name: str) -> str:
    """Return an empty folder of that name, the same one at each call."""
    path = os.path.join(_made().name, name)
    os.makedirs(path)
    return path


def write(path: str, content: bytes) -> None:
    """Write a file anew."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(handle, left) :]
    finally:
        os.close(handle)


class _Guard:
    """Looks at all that is opened; an audit hook cannot be removed, so that it is there once and mostly asleep."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        sys.addaudithook(self.see)

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or self.allowed is None:
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else ""
        if path.startswith("/") and not path.startswith(self.allowed):
            raise BrokenPromise(f"it opens {path!r}")
        if not path.startswith("/") and ("/" in path or path == ".."):
            raise BrokenPromise(f"it opens {path!r} relative to a folder, by more than a name")


@cache
def _guard() -> _Guard:
    return _Guard()


@contextmanager
def confined() -> Iterator[None]:
    """Raise BrokenPromise where anything is opened outside the scratch folder, or by more than one name at a time."""
    guard = _guard()
    guard.allowed = (_made().name, os.fspath(shipped.folder("queries")))
    try:
        yield
    finally:
        guard.allowed = None
