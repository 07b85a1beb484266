"""What files of this host say of its accounts and engines; a user may have put anything in the place of one."""

from __future__ import annotations

import os
import stat
import tomllib
from typing import Any

LIMIT = 1024 * 1024
"""Most bytes of a settings file, and of /etc/passwd's like."""


def read(path: str) -> bytes:
    """Return the beginning of a file; nothing for what cannot be read, or is no regular file, which is not opened."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(handle, LIMIT)
    except OSError:
        return b""
    finally:
        os.close(handle)


def toml(path: str) -> dict[str, Any]:
    """Return the settings in a file; none for what cannot be read."""
    try:
        return tomllib.loads(read(path).decode())
    except (ValueError, RecursionError):  # what is no text or no TOML, or has a number of thousands of digits
        return {}


def path(setting: Any) -> str | None:  # noqa: ANN401 - whatever the settings held
    """Return the absolute path that a setting is; None for anything else, and for one with a NUL."""
    return setting if isinstance(setting, str) and os.path.isabs(setting) and "\0" not in setting else None


def accounts(passwd: str = "/etc/passwd") -> list[list[str]]:  # noqa: S107 - a file of accounts, without passwords
    """Return the fields of each account; none when they cannot be read. A line with a NUL is no account."""
    lines = read(passwd).decode(errors="surrogateescape").splitlines()
    return [line.split(":") for line in lines if "\0" not in line]
