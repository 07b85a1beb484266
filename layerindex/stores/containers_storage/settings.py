"""Finds where graph roots may be, from defaults and storage.conf, for root and for every user.

Format: containers/storage `types/options.go`, docs/containers-storage.conf.5.md.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from layerindex.stores.host import Account, Settings, accounts, is_below

SYSTEM = ("usr/share/containers/storage.conf", "etc/containers/storage.conf")
"""Settings files for all users; the later one counts."""
ROOTFUL = "var/lib/containers/storage"
RUN_ROOTFUL = "run/containers/storage"
RUN_ROOTLESS = "/run/user/{uid}/containers"
ROOTLESS = ".local/share/containers/storage"
OWN = ".config/containers/storage.conf"
"""A user's own settings, below the home."""
LENT = 100
"""Most image stores that one settings file may name."""
VARIABLE = re.compile(r"\$(?:\{(HOME|UID|USER)\}|(HOME|UID|USER)\b)")


class GraphRoot(NamedTuple):
    """A folder that may be a graph root, its additional image stores, the user whose settings name it, its runroot.

    The user is None for the system.
    """

    root: str
    additional: tuple[str, ...] = ()
    user: Account | None = None
    run_root: str | None = None


def graph_roots(host: str = "/", settings: Settings | None = None) -> list[GraphRoot]:
    """Return where stores of containers-storage may be on the host whose files lie below `host`.

    None of them need exist. Each folder is returned once, by its path without symlinks. Places that a user's settings
    name are ignored unless they are the user's own: else a user could give the store of root, or of another user, a
    second name and other settings.
    """
    reader = _Reader(host, settings or Settings())
    system: dict[str, Any] = {}
    for path in SYSTEM:
        system |= reader.storage(os.path.join(host, path))
    where = os.path.join(host, SYSTEM[-1])
    root = reader.settings.path(system, "graphroot", where) or f"/{ROOTFUL}"
    run_root = reader.settings.path(system, "runroot", where) or f"/{RUN_ROOTFUL}"
    reader.take(GraphRoot(root, reader.lent(system, where), run_root=run_root))
    for user in accounts(os.path.join(host, "etc/passwd")):
        if user.uid != "0":  # root's store is the system's
            reader.take(reader.rootless(user, system))
    return list(reader.found.values())


def is_own(path: str, user: Account, home: str) -> bool:
    """Say whether a path without symlinks is in a user's home, belongs to the user, or does not exist."""
    if is_below(path, os.path.realpath(home)):
        return True
    try:
        return f"{os.stat(path).st_uid}" == user.uid
    except FileNotFoundError:
        return True
    except OSError:
        return False


class _Reader:
    """Reads the settings of a host, and collects the places that they name."""

    def __init__(self, host: str, settings: Settings) -> None:
        self.host, self.settings = host, settings
        self.found: dict[str, GraphRoot] = {}

    def take(self, place: GraphRoot) -> None:
        """Add a place and its additional image stores, if the user may name them."""
        user, others = place.user, []
        for other in place.additional:
            path = self._real(other)
            if os.path.isabs(other) and (user is None or self._is_shared(path, user)):
                others.append(path)
        if os.path.isabs(place.root):
            path = self._real(place.root)
            if user is None or self._is_own(path, user):
                run_root = self._run_root(place)
                self.found.setdefault(path, GraphRoot(path, tuple(others), user, run_root))
        for path in others:
            self.found.setdefault(path, GraphRoot(path, (), user))

    def _run_root(self, place: GraphRoot) -> str | None:
        """Return the runroot, if the user may name it."""
        if place.run_root is None or not os.path.isabs(place.run_root):
            return None
        path, user = self._real(place.run_root), place.user
        return path if user is None or is_own(path, user, self._home(user)) else None

    def _real(self, path: str) -> str:
        return os.path.realpath(os.path.join(self.host, path.lstrip("/")))

    def _home(self, user: Account) -> str:
        return os.path.join(self.host, user.home.lstrip("/"))

    def _is_own(self, path: str, user: Account) -> bool:
        if is_own(path, user, self._home(user)):
            return True
        if path not in self.found:  # else it is the system's or another's, and scanned as that
            self.settings.note(path, f"it is not {user.name}'s, whose settings or home name it; not scanned", user)
        return False

    def _is_shared(self, path: str, user: Account) -> bool:
        """Say whether a folder may be an image store for a user: one of root outside of other roots, or an own one."""
        try:
            shared = os.stat(path).st_uid == 0 and not any(is_below(path, root) for root in self.found)
        except OSError:
            shared = False
        return shared or self._is_own(path, user)

    def rootless(self, user: Account, system: dict[str, Any]) -> GraphRoot:
        """Return the place of a user's store."""
        where = os.path.join(self._home(user), OWN)
        own = self.storage(where, user)
        said = self.settings.path(own, "graphroot", where, user)
        said = said or self.settings.path(system, "rootless_storage_path", os.path.join(self.host, SYSTEM[-1]))
        root = _expanded(said, user) if said else f"{user.home}/{ROOTLESS}"
        run_root = self.settings.path(own, "runroot", where, user) or RUN_ROOTLESS.format(uid=user.uid)
        lent = tuple(_expanded(each, user) for each in self.lent(own, where, user))
        return GraphRoot(root, lent, user, _expanded(run_root, user))

    def storage(self, path: str, user: Account | None = None) -> dict[str, Any]:
        """Return the section [storage] of a settings file, its options beside it; empty for what cannot be read."""
        home = None if user is None else self._home(user)
        storage = self.settings.toml(path, user, home).get("storage")
        if not isinstance(storage, dict):
            return {}
        options = storage.get("options")
        return {**(options if isinstance(options, dict) else {}), **storage}

    def lent(self, values: dict[str, Any], where: str, user: Account | None = None) -> tuple[str, ...]:
        """Return the image stores beside the graph root."""
        lists = values.get("additionalimagestores")
        named = [*(lists[:LENT] if isinstance(lists, list) else []), values.get("imagestore")]
        found = (self.settings.path({"image store": each}, "image store", where, user) for each in named)
        return tuple(dict.fromkeys(each for each in found if each is not None))


def _expanded(path: str, user: Account) -> str:
    values = {"HOME": user.home, "UID": user.uid, "USER": user.name}
    return VARIABLE.sub(lambda match: values[match[1] or match[2]], path)
