"""Where graph roots may be: the defaults, and what storage.conf says; of root and of every user.

Format: containers/storage `types/options.go`, docs/containers-storage.conf.5.md.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex.stores.host import accounts, toml

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM = ("usr/share/containers/storage.conf", "etc/containers/storage.conf")
"""Settings of all users; the later counts."""
ROOTFUL = "var/lib/containers/storage"
ROOTLESS = ".local/share/containers/storage"
OWN = ".config/containers/storage.conf"
"""A user's own settings, below the home."""
VARIABLE = re.compile(r"\$(?:\{(HOME|UID|USER)\}|(HOME|UID|USER)\b)")


class GraphRoot(NamedTuple):
    """A folder that may be a graph root, and those that lend it images."""

    root: str
    additional: tuple[str, ...] = ()


class _User(NamedTuple):
    name: str
    uid: str
    home: str


def graph_roots(host: str = "/") -> list[GraphRoot]:
    """Return where stores of containers-storage may be on the host whose files lie below `host`.

    None of them need be there. What stands in settings is taken as it is found; a folder is named once, by the path
    that no symlink is on.
    """
    system: dict[str, Any] = {}
    for path in SYSTEM:
        system |= _storage(os.path.join(host, path))
    found: dict[str, GraphRoot] = {}
    root = _text(system, "graphroot") or f"/{ROOTFUL}"
    lent = _lent(system)
    for place in (GraphRoot(root, lent), *(_rootless(host, user, system) for user in _users(host))):
        others = tuple(_real(host, other) for other in place.additional if os.path.isabs(other))
        if os.path.isabs(place.root):
            path = _real(host, place.root)
            found.setdefault(path, GraphRoot(path, others))
        for other in others:
            found.setdefault(other, GraphRoot(other))
    return list(found.values())


def _real(host: str, path: str) -> str:
    return os.path.realpath(os.path.join(host, path.lstrip("/")))


def _rootless(host: str, user: _User, system: dict[str, Any]) -> GraphRoot:
    own = _storage(os.path.join(host, user.home.lstrip("/"), OWN))
    said = _text(own, "graphroot") or _text(system, "rootless_storage_path")
    root = _expanded(said, user) if said else f"{user.home.rstrip('/')}/{ROOTLESS}"
    return GraphRoot(root, tuple(_expanded(each, user) for each in _lent(own)))


def _expanded(path: str, user: _User) -> str:
    values = {"HOME": user.home, "UID": user.uid, "USER": user.name}
    return VARIABLE.sub(lambda match: values[match[1] or match[2]], path)


def _users(host: str) -> Iterator[_User]:
    """Yield the users of the host but root, whose store is the system's."""
    for fields in accounts(os.path.join(host, "etc/passwd")):
        if len(fields) == 7 and fields[2] != "0" and os.path.isabs(fields[5]) and fields[5] != "/":
            yield _User(fields[0], fields[2], fields[5])


def _storage(path: str) -> dict[str, Any]:
    """Return the section [storage] of a settings file, its options beside it; empty for what cannot be read."""
    storage = toml(path).get("storage")
    if not isinstance(storage, dict):
        return {}
    options = storage.get("options")
    return {**(options if isinstance(options, dict) else {}), **storage}


def _lent(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the image stores beside the graph root."""
    lists = settings.get("additionalimagestores")
    found = [*(lists if isinstance(lists, list) else []), settings.get("imagestore")]
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str) and each and "\0" not in each))


def _text(settings: dict[str, Any], key: str) -> str | None:
    value = settings.get(key)
    return value if isinstance(value, str) and value and "\0" not in value else None
