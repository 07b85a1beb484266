"""Reads accounts and engine settings of this host; a user may have put anything in place of a file.

Homes are hostile to root: a user's settings file that leads out of the home is not read, the content of a file is never
shown, and the cost of a file is bounded.
"""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from layerindex.guard import reading
from layerindex.names import from_os, printable
from layerindex.problems import Damage

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 1024 * 1024
"""Most bytes of a settings file of the system, and of files such as /etc/passwd."""
OWN_LIMIT = 64 * 1024
"""Most bytes of a user's settings file; real ones have some hundred."""
OWN_LINE = 1024
"""Longest line of a user's settings file: Python's parser takes minutes for a key of ten thousand parts."""
PATH = 4096
"""Longest path that the system takes."""


class Account(NamedTuple):
    """A user of the host."""

    name: str
    uid: str
    home: str


class Said(NamedTuple):
    """A problem of settings, and whose they are: None for those of the system."""

    user: str | None
    damage: Damage


class Settings:
    """Reads settings files, and collects their problems in `said`."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    def toml(self, path: str, user: Account | None = None, home: str | None = None) -> dict[str, Any]:
        """Return the settings in a file; none when it is not there, or cannot be read.

        `home` is where the home of `user` is, whose settings they are; None for the system's.
        """
        return self._values(path, user, home, "TOML", lambda content: tomllib.loads(content.decode()))

    def json(self, path: str, user: Account | None = None, home: str | None = None) -> dict[str, Any]:
        """Return the settings in a JSON file; none when it does not exist, or cannot be read."""
        return self._values(path, user, home, "JSON", orjson.loads)

    def path(self, values: dict[str, Any], key: str, where: str, user: Account | None = None) -> str | None:
        """Return the path in a setting of the file `where`; None for no path, and for values that cannot be paths."""
        value = values.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, str) and "\0" not in value and len(os.fsencode(value.encode(errors="replace"))) < PATH:
            return value
        self.note(where, f"{key} is no path", user)
        return None

    def note(self, where: str, detail: str, user: Account | None = None) -> None:
        """Record a problem of a file once: two users may have one home."""
        found = Damage("bad-settings", printable(from_os(where)), detail)
        if all(each.damage.problem != found.problem for each in self.said):
            self.said.append(Said(user.name if user else None, found))

    def _values(
        self, path: str, user: Account | None, home: str | None, kind: str, parse: Callable[[bytes], Any]
    ) -> dict[str, Any]:
        try:
            with reading(path):
                content = _content(path, home)
            if content is None:
                return {}
            with reading(path):
                values = parse(content)
        except Damage as found:
            if found.problem.code == "bad-settings":
                detail = found.problem.detail or ""
            else:  # only the kind of the exception, as its message may quote the file
                detail = f"it is no {kind}: {(found.problem.detail or '').partition(':')[0]}"
            self.note(path, detail, user)
            return {}
        if isinstance(values, dict):
            return values
        self.note(path, f"it is no {kind} object", user)
        return {}


def _content(path: str, home: str | None) -> bytes | None:
    """Return what a file has; None when it is not there. Raises Damage."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)  # has no effects, whatever the file is
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _bad(path, os.strerror(error.errno or 0).lower()) from None
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise _bad(path, "it is no file; not opened")
        reached = f"/proc/self/fd/{place}"
        if home is not None and not is_below(os.readlink(reached), os.path.realpath(home)):
            raise _bad(path, "it leads out of the home; not read")
        handle = os.open(reached, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise _bad(path, os.strerror(error.errno or 0).lower()) from None
    finally:
        os.close(place)
    limit = LIMIT if home is None else OWN_LIMIT
    try:
        content = os.read(handle, limit + 1)
    finally:
        os.close(handle)
    if len(content) > limit:
        raise _bad(path, f"it has more than {limit} bytes; not read")
    if home is not None and max(map(len, content.splitlines()), default=0) > OWN_LINE:
        raise _bad(path, f"it has a line of more than {OWN_LINE} bytes; not read")
    return content


def _bad(path: str, detail: str) -> Damage:
    return Damage("bad-settings", path, detail)


def is_below(path: str, folder: str) -> bool:
    """Say whether a path without symlinks lies below another."""
    return path.startswith(f"{folder.rstrip('/')}/")


def read(path: str) -> bytes:
    """Return the beginning of a file of the system; empty if it cannot be read or is not a regular file."""
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


def accounts(passwd: str = "/etc/passwd") -> list[Account]:  # noqa: S107 - a file of accounts, without passwords
    """Return the users of the host whose homes may have stores; several may have one home."""
    found = []
    for line in read(passwd).decode(errors="surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) > 5 and os.path.isabs(fields[5]) and fields[5].strip("/") and "\0" not in line:
            found.append(Account(fields[0], fields[2], fields[5].rstrip("/")))
    return found
