"""Counts what lies below a folder as `du -s -x` does: every inode once, on one filesystem, separately for each holder.

Nothing is opened but folders, each by one name relative to its parent's handle and never through a symlink. Depth is
not limited: only the last few folders of the current path are held open, and `..` leads back to the others.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from layerindex.listings.batches import PROBLEMS_KEPT
from layerindex.names import from_os, printable
from layerindex.problems import Damage, vanished
from layerindex.stores.disk.files import damage, open_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Key = tuple[str, str]

SMALL = 10_000
"""Most entries of a folder that is counted without --walk though it may be as large as the layers."""
HANDLES = 64
"""Most folders that are held open: two would be enough, but more save opening them again."""
BLOCK = 512
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_SHOWN = 4096


class Tree(NamedTuple):
    """What another walk has counted; `links` are its inodes with names elsewhere: inode, blocks, bytes."""

    items: int
    apparent_bytes: int
    disk_bytes: int
    links: Iterable[tuple[int, int, int]]
    whole: bool


class Attribution(NamedTuple):
    """The holder of an entry, and how it is counted with what is below it."""

    key: Key
    apart: bool = False
    """What is in it may belong to others: each entry is asked for."""
    tree: Tree | None = None
    """What a walk has already counted in it."""
    skipped: bool = False
    """It is counted only if it is small."""
    mounted: bool = False
    """Something that lies elsewhere is mounted on it."""
    left: bool = False
    """Another count has it; where it is `apart`, what is in it may be ours."""


class Account:
    """The sums of one holder; an inode with several names is counted where it is met first."""

    def __init__(self) -> None:
        self.items = self.apparent_bytes = self.disk_bytes = 0
        self.again_apparent = self.again_disk = 0
        """Bytes of inodes that were already counted for other holders."""
        self.met: set[int] = set()
        """Its inodes with several names."""
        self.whole = True
        """False when something existing could not be read."""
        self.foreign = False
        """Whether another filesystem is mounted in it."""
        self.skipped = False

    def add(self, items: int, apparent: int, disk: int) -> None:
        """Count."""
        self.items += items
        self.apparent_bytes += apparent
        self.disk_bytes += disk


class _Frame:
    __slots__ = ("attribution", "attributions", "below", "handle", "identity", "name")

    def __init__(self, name: str, handle: int, attribution: Attribution) -> None:
        status = os.fstat(handle)
        self.name, self.handle, self.attribution = name, handle, attribution
        self.identity = (status.st_dev, status.st_ino)
        self.below: list[str] = []
        self.attributions: dict[str, Attribution] = {}


class Count:
    """One count of the folder of an open handle, which the caller closes; `attribute` gives the holder of an entry.

    It is called with the names of a path and whether that is a folder, but not for the root. `above` is the path of the
    counted folder where that is not the root.
    """

    def __init__(
        self,
        handle: int,
        root: Attribution,
        attribute: Callable[[tuple[str, ...], bool], Attribution],
        above: tuple[str, ...] = (),
        most: int | None = None,
    ) -> None:
        """`most`: entries after which the count is given up, and `cut` set."""
        self.cut = False
        self._most = most
        self.accounts: dict[Key, Account] = defaultdict(Account)
        self.total = 0
        """Bytes of all blocks, summed apart from the accounts."""
        self.problems: list[Damage] = []
        self.problem_count = 0
        self._attribute, self._above = attribute, above
        self._seen: set[int] = set()
        status = os.fstat(handle)
        self._device = status.st_dev
        self._frames = [_Frame("", os.dup(handle), root)]
        self._first_held = 0
        self._way = {status.st_ino}
        """Inodes of the folders on the current path: a folder that is mounted below itself is skipped, as by du."""
        if not root.left:
            self._inode(self.accounts[root.key], status)
        try:
            self._run()
        finally:
            for frame in self._frames:
                if frame.handle >= 0:
                    os.close(frame.handle)

    def _run(self) -> None:
        self._scan(self._frames[0])
        while self._frames:
            if self._most is not None and sum(account.items for account in self.accounts.values()) > self._most:
                self.cut = True
                return
            top = self._frames[-1]
            if not top.below:
                self._leave()
            elif self._enter(top, top.below.pop()):
                self._scan(self._frames[-1])

    # Folders -------------------------------------------------------------------------------------------------------

    def _enter(self, top: _Frame, name: str) -> bool:
        attribution = top.attributions.pop(name, top.attribution)
        try:
            handle = open_folder(name, top.handle)
        except OSError as error:
            self._failed(attribution, error, name)
            return False
        frame = _Frame(name, handle, attribution)
        if frame.identity[0] != self._device:  # mounted between lstat and open
            os.close(handle)
            self.accounts[attribution.key].foreign = True
            return False
        self._frames.append(frame)
        self._way.add(frame.identity[1])
        if len(self._frames) - self._first_held > HANDLES:
            oldest = self._frames[self._first_held]
            os.close(oldest.handle)
            oldest.handle = -1
            self._first_held += 1
        return True

    def _leave(self) -> None:
        left = self._frames.pop()
        self._way.discard(left.identity[1])
        try:
            if self._frames and self._frames[-1].handle < 0:
                self._return(left)
        finally:
            os.close(left.handle)

    def _return(self, left: _Frame) -> None:
        """Open the parent folder again; where another folder is there now, everything above is lost."""
        top = self._frames[-1]
        try:
            handle = open_folder("..", left.handle)
        except OSError as error:
            self._lost(error)
            return
        top_now = _Frame(top.name, handle, top.attribution)
        if top_now.identity != top.identity:
            os.close(handle)
            self._lost(FileNotFoundError(errno.ENOENT, "moved while it was read"))
            return
        top.handle = handle
        self._first_held -= 1

    def _lost(self, error: OSError) -> None:
        for frame in self._frames:
            if frame.below:
                self.accounts[frame.attribution.key].whole = False
        self._failed(self._frames[-1].attribution, error)
        self._frames.clear()

    # Entries -------------------------------------------------------------------------------------------------------

    def _scan(self, frame: _Frame) -> None:
        try:
            with os.scandir(frame.handle) as listing:
                if frame.attribution.apart:
                    self._tell_apart(frame, listing)
                else:
                    self._take(frame, listing)
        except OSError as error:
            self._failed(frame.attribution, error)

    def _take(self, frame: _Frame, listing: Iterable[os.DirEntry[str]]) -> None:
        """Count entries of one holder; most time is spent in this loop."""
        account, device, below, way = self.accounts[frame.attribution.key], self._device, frame.below.append, self._way
        items = size = blocks = 0
        try:
            for entry in islice(listing, None if self._most is None else self._most + 1):
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    self._failed(frame.attribution, error, entry.name)
                    continue
                if status.st_dev != device:
                    account.foreign = True
                elif stat.S_ISDIR(status.st_mode):
                    if status.st_ino not in way:
                        items += 1
                        blocks += status.st_blocks
                        below(entry.name)
                elif status.st_nlink > 1:
                    self._inode(account, status)
                else:
                    items += 1
                    size += status.st_size
                    blocks += status.st_blocks
        finally:  # entries before the error count
            account.add(items, size, BLOCK * blocks)
            self.total += BLOCK * blocks

    def _tell_apart(self, frame: _Frame, listing: Iterable[os.DirEntry[str]]) -> None:
        """Count entries of several holders, in the order of their names, so that every count gives the same result."""
        path = (*self._above, *(frame.name for frame in self._frames[1:]))
        for entry in sorted(listing, key=lambda entry: entry.name):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                self._failed(frame.attribution, error, entry.name)
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            attribution = self._attribute((*path, entry.name), is_folder)
            if attribution.left:
                if attribution.apart and is_folder and status.st_dev == self._device:
                    frame.below.append(entry.name)
                    frame.attributions[entry.name] = attribution
                continue
            account = self.accounts[attribution.key]
            if status.st_dev != self._device or attribution.mounted:
                account.foreign = True
            elif attribution.skipped and is_folder:
                self._small(frame, attribution, entry.name)
            elif attribution.tree is not None:
                self._tree(account, attribution.tree)
            else:
                self._inode(account, status)
                if is_folder:
                    frame.below.append(entry.name)
                    frame.attributions[entry.name] = attribution
        frame.below.reverse()  # as they are popped from the end

    def _small(self, frame: _Frame, attribution: Attribution, name: str) -> None:
        """Count a folder of one holder unless it is large."""
        account = self.accounts[attribution.key]
        path = (*self._above, *(each.name for each in self._frames[1:]), name)
        try:
            handle = open_folder(name, frame.handle)
        except OSError as error:
            self._failed(attribution, error, name)
            return
        try:
            found = Count(handle, attribution._replace(apart=False), self._attribute, path, SMALL)
        finally:
            os.close(handle)
        if found.cut:
            account.skipped = True
            return
        counted = found.accounts[attribution.key]
        account.add(counted.items, counted.apparent_bytes, counted.disk_bytes)
        account.whole &= counted.whole
        account.foreign |= counted.foreign
        self.total += found.total
        self.problem_count += found.problem_count
        self.problems = [*self.problems, *found.problems][:PROBLEMS_KEPT]

    def _inode(self, account: Account, status: os.stat_result) -> None:
        size, disk = status.st_size, BLOCK * status.st_blocks
        if stat.S_ISDIR(status.st_mode):
            size = 0
        elif status.st_nlink > 1 and self._known(account, status.st_ino, size, disk):
            account.items += 1
            return
        account.add(1, size, disk)
        self.total += disk

    def _known(self, account: Account, inode: int, size: int, disk: int) -> bool:
        """Say whether an inode with several names was counted before."""
        known = inode in self._seen
        self._seen.add(inode)
        if inode not in account.met:
            account.met.add(inode)
            if known:
                account.again_apparent += size
                account.again_disk += disk
        return known

    def _tree(self, account: Account, tree: Tree) -> None:
        apparent, disk = tree.apparent_bytes, tree.disk_bytes
        for inode, blocks, size in tree.links:
            if self._known(account, inode, size, BLOCK * blocks):
                apparent -= size
                disk -= BLOCK * blocks
        account.add(tree.items, apparent, disk)
        account.whole &= tree.whole
        self.total += disk

    def _failed(self, attribution: Attribution, error: OSError, name: str | None = None) -> None:
        """Record an error of the system as a finding, unless we caused it ourselves."""
        if error.errno in _OURS:
            raise error
        names = [*self._above, *(frame.name for frame in self._frames[1:]), *([] if name is None else [name])]
        where = printable("/".join(from_os(part) for part in names))
        found = damage(error, where if len(where) <= _SHOWN else f"{where[:_SHOWN]}…")
        if error.errno in (errno.ENOENT, errno.ESTALE):
            found = vanished(found.problem.path)
        else:
            self.accounts[attribution.key].whole = False
        self.problem_count += 1
        if self.problem_count <= PROBLEMS_KEPT:
            self.problems.append(found)
