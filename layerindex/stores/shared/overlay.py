"""Reads the whole folder of a driver: every directory, its short name, its lowers, and why it exists."""

from __future__ import annotations

import os
import re
import time
from collections import Counter, defaultdict
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from layerindex import shapes, standing
from layerindex.guard import FAILED
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Link, OverlayDir, OverlayLower, Record
from layerindex.stores.shared.claims import directory_use
from layerindex.stores.shared.graphdriver import NOT_LAYERS, Directory, identity, read_directory, read_link

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims, Need

PAUSE = 0.1
"""Seconds to wait for an engine that has made a folder but not yet the files in it, which takes some milliseconds."""

SETTLED = 2.0
"""Seconds after which a directory that an engine made has its metadata or will never get it."""

LATE, MOTION = 1.0, 10.0
"""Seconds until a third look, where directories appeared or disappeared within so many seconds: commits are slow under
load."""

MADE = re.compile(rf"{shapes.MOUNT_ID.pattern}|{shapes.BUILDKIT_ID.pattern}")
"""Names of the directories that engines make: others are foreign, unless something names them."""


def directory_names(root: Folder, driver: str) -> set[str]:
    """Return the names of the directories in the driver's folder at this moment."""
    try:
        with root.folder(driver) as folder:
            return {name for name in folder.entries if not NOT_LAYERS.fullmatch(name) and folder.has_folder(name)}
    except Damage:
        return set()


def read_overlay(  # noqa: PLR0913, PLR0917
    root: Folder,
    driver: str,
    before: set[str],
    claims: Claims,
    again: Callable[[float], Claims],
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Record | Damage]:
    """Yield the directories, lowers, links and owners of a driver's folder.

    `before` are the directories from before the metadata was read: a newer directory may only be waiting for its
    metadata, so nothing is reported about it. `again` reads the metadata once more, so many seconds later: a directory
    without owner may have got one. `elsewhere` are the short names of other stores, whose directories are lowers of
    ours.
    """
    with _opened(root, driver, claims) as folder:
        directories = yield from _all_directories(folder, claims)
        links = yield from _all_links(folder, directories, claims)
        before = look_again(folder, directories, before, claims, again)
        claims.sources.note("directories", driver, standing.READ)
        view = _View(directories, links, before, claims, elsewhere)
        for name in sorted(directories):
            yield from view.records(name)
        yield from _lasting(view.problems(), folder, directories)
        yield from (links or {}).values()


def _all_directories(folder: Folder, claims: Claims) -> Generator[Damage, None, dict[str, Directory]]:
    """Read the directories; an engine makes a directory before its files, so one without them is read once more."""
    directories: dict[str, Directory] = {}
    listed_now = sorted(name for name in folder.entries if not NOT_LAYERS.fullmatch(name))
    yield from _noted(_read_directories(folder, listed_now, directories, claims), claims)
    young = [
        name
        for name, found in directories.items()
        if MADE.fullmatch(name) and any(d.problem.code == "missing" for d in found.damages)
    ]
    if young:
        time.sleep(PAUSE)
        for name in young:
            del directories[name]
        yield from _noted(_read_directories(folder, young, directories, claims), claims)
    return directories


def _all_links(
    folder: Folder, directories: Mapping[str, Directory], claims: Claims
) -> Generator[Damage, None, dict[str, Link] | None]:
    """Read the short names; None where their folder could not be read."""
    links: dict[str, Link] = {}
    if "l" in folder:
        try:
            with folder.folder("l") as names:
                own = {name: found.link for name, found in directories.items()}
                yield from _noted(_read_links(names, folder, links, own), claims)
        except Damage as found:
            yield found
            claims.sources.damaged("links", found)
            return None
    return links


def _noted(items: Iterable[Damage], claims: Claims) -> Iterator[Damage]:
    """Yield findings; where a reader failed, it is in doubt which directory is below which."""
    for found in items:
        if found.problem.code == FAILED:
            claims.sources.damaged("links", found)
        yield found


def _opened(root: Folder, driver: str, claims: Claims) -> Folder:
    """Open a driver's folder; raises Damage, after recording that directories in it may exist."""
    try:
        return root.folder(driver)
    except Damage as found:
        claims.sources.damaged("directories", found)
        raise


def look_again(
    folder: Folder, here: Iterable[str], before: set[str], claims: Claims, again: Callable[[float], Claims]
) -> set[str]:
    """Read the metadata again where directories `here` have no owner; return those of `before` to report on."""
    strays = [name for name in here if name in before and name not in claims.owners]
    first = PAUSE if claims.doubts else max([PAUSE, *(_unsettled(folder, name) for name in strays)])
    for wait in (first, LATE):
        if not strays:
            break
        claims.merge(again(wait))
        # A directory that disappeared meanwhile was being removed, or was temporary.
        before = {name for name in before if name in claims.owners or folder.exists(name)}
        strays = [name for name in strays if name in before and name not in claims.owners] if in_motion(folder) else []
    return before


def in_motion(folder: Folder, *names: str) -> bool:
    """Say whether something changed there so recently that an engine under load may not have committed it yet."""
    changed = folder.changed(*names)
    return changed is not None and 0 <= time.time() - changed < MOTION


def _lasting(
    problems: Iterator[tuple[str, Damage]], folder: Folder, directories: dict[str, Directory]
) -> Iterator[Damage]:
    """Yield findings about directories that have not changed since: a running engine removes directories."""
    for number, (name, found) in enumerate(problems):
        if not number:
            time.sleep(PAUSE)
        try:
            status = os.stat(name, dir_fd=folder.handle, follow_symlinks=False)
        except PermissionError:
            yield found
        except OSError:
            continue
        else:
            if identity(status) == directories[name].identity:
                yield found


def _unsettled(folder: Folder, name: str) -> float:
    """Return how long to wait until a directory is old enough to be judged, in seconds."""
    try:
        changed = os.stat(name, dir_fd=folder.handle, follow_symlinks=False).st_ctime
    except OSError:
        return 0
    return SETTLED - age if 0 <= (age := time.time() - changed) < SETTLED else 0


def _read_directories(
    folder: Folder, names: list[str], directories: dict[str, Directory], claims: Claims
) -> Iterator[Damage]:
    """Read directories; a directory of the driver that cannot be read is in doubt, not missing."""
    for name in names:
        try:
            directories[name] = read_directory(folder, name)
        except Damage as damage:
            # A file, or a directory that was removed since the folder was listed.
            for found in _unless_gone(damage, folder, name):
                if MADE.fullmatch(name):
                    claims.sources.damaged("directories", found)
                yield found


def _unless_gone(found: Damage, folder: Folder, name: str) -> Iterator[Damage]:
    if found.problem.code == "not-a-folder":
        yield Damage("unexpected-entry", found.problem.path, "not a directory of a layer")
    elif folder.exists(name):
        yield found


def _read_links(
    names: Folder, driver: Folder, links: dict[str, Link], own: Mapping[str, str | None]
) -> Iterator[Damage]:
    """Read the short names; `own` is the one in each directory's link file, so that a second one is too many."""
    seen: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names.entries):
        try:
            link, damages = read_link(names, name)
        except Damage as found:
            yield found
            if found.problem.code == FAILED:
                links[name] = Link(name, None, None)
            continue
        yield from damages
        if link.cache_id is not None:
            seen[link.cache_id] = [*seen[link.cache_id], name][:2]  # more add no information
            if not _leads_somewhere(link.cache_id, driver):
                if names.exists(name):
                    detail = f"{link.cache_id} is not there"
                    yield Damage("dangling-link", names.where(name), detail, link.cache_id)
                link = link._replace(cache_id=None)
        links[name] = link
    for cache_id, leading in sorted(seen.items()):
        if len(leading) > 1:
            extra = leading[0] if leading[1] == own.get(cache_id) else leading[1]
            yield Damage("duplicate-link", names.where(extra), "another short name leads there too", cache_id)


def _leads_somewhere(cache_id: str, driver: Folder) -> bool:
    """Say whether a directory exists: listed, or made since then."""
    return driver.has_folder(cache_id) == 1 or (cache_id not in driver and driver.exists(cache_id))


class _View:
    """The directories, links and claims of a driver's folder."""

    def __init__(
        self,
        directories: dict[str, Directory],
        links: dict[str, Link] | None,
        before: set[str],
        claims: Claims,
        elsewhere: Mapping[str, str],
    ) -> None:
        """`links` is None when l/ could not be read: then nothing is reported about short names."""
        self.directories, self.before, self.claims, self.elsewhere = directories, before, claims, elsewhere
        self._others = frozenset(elsewhere.values())
        self.links, self.links_known = links or {}, links is not None
        self._unseen = claims.sources.unseen("layers")
        """Whether another store that was not read may have the directory that a lower names."""
        self._own_links = self._told_by_themselves()
        self._stacks = {each.cache_id: self._stack(each) for each in directories.values()}
        self._note_lost_lowers()
        self.named = self._named_by_live_directories()
        self._needs: dict[str | None, list[Need]] = defaultdict(list)
        for need in claims.needs:
            self._needs[need.below].append(need)
        strays = [name for name in directories if name not in claims.owners and not name.endswith("-init")]
        self._strays = Counter(map(self._below, strays)) if self._needs else Counter()

    def _told_by_themselves(self) -> dict[str, str]:
        """Return the directory of each short name according to link files, where only one directory has it."""
        counts = Counter(directory.link for directory in self.directories.values() if directory.link is not None)
        return {
            directory.link: name
            for name, directory in self.directories.items()
            if directory.link is not None and counts[directory.link] == 1
        }

    def _note_lost_lowers(self) -> None:
        """Record lowers that lead nowhere: each stands for an unknown directory that something needs."""
        for name, directory in self.directories.items():
            if name not in self.claims.owners:
                continue
            where = f"{directory.path}/lower"
            if directory.lowers is None:
                self.claims.sources.note("links", where, standing.DAMAGED)
            elif None in self._lower_ids(directory):
                self.claims.lost("links", where, f"directory {from_os(name)} stands on what it names, which")

    def _named_by_live_directories(self) -> dict[str, list[str]]:
        """Return for each directory without owner the owned directories whose lower names it."""
        named: dict[str, list[str]] = defaultdict(list)
        for name, directory in self.directories.items():
            if name in self.claims.owners:
                for lower in dict.fromkeys(self._lower_ids(directory)):  # a hostile list may name one twice
                    if lower is not None and lower not in self.claims.owners:
                        named[lower].append(name)
        return named

    def _lower_ids(self, directory: Directory) -> list[str | None]:
        """Return the directories below a directory, the nearest first, with None for names that lead nowhere."""
        return self._stacks[directory.cache_id]

    def _stack(self, directory: Directory) -> list[str | None]:
        if directory.lower_ids is not None:
            return [each if each in self.directories or each in self._others else None for each in directory.lower_ids]
        return [self._target(item) for item in directory.lowers or []]

    def _target(self, link: str) -> str | None:
        found = self.links.get(link)
        if found is not None and (found.cache_id or found.target):
            return found.cache_id
        # Where l/ lost a short name, or a copy replaced it, the link file of the directory still has it.
        return self.elsewhere.get(link) or self._own_links.get(link)

    @staticmethod
    def _lowers(directory: Directory) -> list[str | None]:
        """Return the short names of the lowers, where the lower file has one for each."""
        if directory.lower_ids is None:
            return list(directory.lowers or [])
        known = directory.lowers or []
        return list(known) if len(known) == len(directory.lower_ids) else [None] * len(directory.lower_ids)

    def records(self, name: str) -> Iterator[Record]:
        """Yield the rows of one directory."""
        directory, text = self.directories[name], from_os(name)
        there, named = name in self.before, name in self.named
        role = self.claims.role(name, was_there=there, own=MADE.fullmatch, named=named)
        yield OverlayDir(
            text,
            role,
            directory.link,
            self._lower_count(directory),
            directory.has_diff,
            directory.has_work,
            directory.has_merged,
            directory.committed,
            unknown_because=self._guess(name) if role == "unknown" and not named else None,
        )
        for kind, owner in dict.fromkeys(self.claims.owners.get(name, ())):
            yield directory_use(text, kind, owner)
        for owner in self.named.get(name, ()):
            yield directory_use(text, "lower", from_os(owner))
        lowers = zip(self._lowers(directory), self._lower_ids(directory), strict=True)
        for position, (link, lower) in enumerate(lowers):
            yield OverlayLower(text, position, link, lower)

    @staticmethod
    def _lower_count(directory: Directory) -> int | None:
        lowers = directory.lowers if directory.lower_ids is None else directory.lower_ids
        return None if lowers is None else len(lowers)

    def _guess(self, name: str) -> str | None:
        """Say which of the uses that lead nowhere fit a directory, by its lowers."""
        below = self._below(name)
        fit = self._needs.get(below, [])
        if not fit:
            return None
        sure = "probably" if len(fit) == 1 and self._strays[below] == 1 else "perhaps"
        if name.endswith("-init"):
            sure += " below"
        return f"{sure} {' or '.join(need.who for need in fit[: standing.TOLD])}"

    def _below(self, name: str) -> str | None:
        """Return the nearest lower of a directory; for the writable layer of a container that below its init layer."""
        lowers = self._lower_ids(self.directories[name])
        above = lowers[1:] if lowers[:1] == [f"{name}-init"] else lowers
        return above[0] if above else None

    def problems(self) -> Iterator[tuple[str, Damage]]:
        """Yield findings about the directories that existed all the time, each with the directory's name."""
        for name, directory in self.directories.items():
            if not MADE.fullmatch(name) and name not in self.claims.owners:
                yield name, Damage("unexpected-entry", directory.path, "the driver makes no directory of that name")
            elif name in self.before:
                found = (directory.damages, self._link_problems(directory), self._lower_problems(directory))
                yield from ((name, damage) for damage in chain(*found))

    def _link_problems(self, directory: Directory) -> Iterator[Damage]:
        if directory.link is None or not self.links_known:
            return
        where = f"{directory.path}/link"
        link = self.links.get(directory.link)
        if link is None:
            yield Damage("missing-link", where, f"l/{directory.link} is not there", directory.link)
        elif link.cache_id not in (None, directory.cache_id):
            detail = f"l/{directory.link} leads to {link.cache_id} instead"
            yield Damage("duplicate-link", where, detail, directory.link)

    def _lower_problems(self, directory: Directory) -> Iterator[Damage]:
        where = f"{directory.path}/lower"
        parent = self.claims.parents.get(directory.cache_id)
        if parent is not None and directory.lowers == [] and not directory.lower_ids:
            yield Damage("missing", where, f"it is not there, but the directory stands on {parent}")
        if not self.links_known:
            return
        lowers = self._lower_ids(directory)
        if directory.lower_ids is not None:
            named = [(each, f"{each} is not there") for each in directory.lower_ids]
        else:
            named = [(each, f"l/{each} leads nowhere") for each in directory.lowers or []]
        for (item, detail), lower in zip(named, lowers, strict=True):
            if lower is None and not self._unseen:
                yield Damage("broken-lower", where, detail, item)
        if parent is None or not lowers:
            return
        if lowers[0] not in (None, parent):
            yield Damage("lower-mismatch", where, f"it must be the parent's, {parent}", lowers[0])
        elif (below := self.directories.get(parent)) is not None and below.lowers is not None:
            rest = self._lower_ids(below)
            if len(rest) != len(lowers) - 1 or any(a != b for a, b in zip(rest, lowers[1:], strict=True) if a and b):
                yield Damage("lower-mismatch", where, f"after {parent} must follow what is in that one's", parent)
