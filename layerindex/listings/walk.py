"""Walks a directory on disk: the second witness of a layer, and the only one of a container.

Nothing is opened but directories, each by one name relative to its parent's handle and never through a symlink, so that
neither a path beyond PATH_MAX nor a directory that is replaced by a symlink during the walk leads elsewhere. Memory
does not grow with the number of files: files are yielded as they are read, only the names of subdirectories are kept.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from layerindex.listings import plain
from layerindex.listings.batches import BATCH_ROWS, PROBLEMS_KEPT, Batch, Entry, Finding
from layerindex.listings.override import OVERRIDE, replaced, stated
from layerindex.listings.rules import LABEL, Rules, trusted_readable, type_of
from layerindex.listings.times import NANOSECONDS
from layerindex.names import from_os_path
from layerindex.stores.disk.files import open_folder as open_folder  # noqa: PLC0414 - tests put another in its place

if TYPE_CHECKING:
    from collections.abc import Iterator

    Row = tuple[Any, ...]
    _Known = tuple[int | None, str | None, bytes | None]

HANDLES = 256
"""Most directories of the current path that are held open; a process can usually open 1024 files."""
PATH_LENGTH = 4096
"""Longest path that is entered: the whole path of each level is a row, so that unbounded depth would cost its square.
Engines extract up to PATH_MAX, which is the same; only containers that descend with chdir get deeper."""
CHUNK = 1024

_CAPABILITY = "security.capability"
_WHITEOUT = ".wh."
_AUFS = ".wh..wh."
_OPAQUE = ".wh..wh..opq"
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Totals:
    """Sums over a walk, each inode once; filesystems mounted in the tree are left out."""

    def __init__(self) -> None:
        self.entry_count = 0
        """Rows, the root's included."""
        self.apparent_bytes = 0
        """st_size of everything but directories; a symlink's is the length of its target."""
        self.file_bytes = 0
        """st_size of regular files: `listings.total_size`."""
        self.disk_bytes = 0
        """512 * st_blocks of everything, directories included: what `du -x --block-size=1` prints."""
        self.newest_mtime_ns: int | None = None
        self.vanished = 0
        self.problem_count = 0
        self.complete = True
        """False when something that is there could not be read."""


def _home() -> int | None:
    """Open the working directory, to leave it for a while; None where it must not be left."""
    if threading.active_count() > 1:
        return None
    try:
        home = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.fchdir(home)
    except OSError:  # as in root's home after sudo -u
        os.close(home)
        return None
    return home


class _Frame:
    """A directory on the way to the current one."""

    __slots__ = ("below", "handle", "inode", "name", "path")

    def __init__(self, name: str, handle: int, inode: int, path: int) -> None:
        self.name, self.handle, self.inode = name, handle, inode
        self.path = path  # the length of the walk's path up to here
        self.below: list[str] = []


class Walk:
    """One walk over the directory of an open handle, which the caller closes.

    Attributes are read with the directory as working directory, twice as fast as through /proc/self/fd; the old working
    directory is restored at every yield. Where other threads run, /proc/self/fd is used.

    `summed`: plain files are only summed into a fingerprint.
    """

    def __init__(self, handle: int, rules: Rules, *, trusted: bool | None = None, summed: bool = False) -> None:
        self.totals = Totals()
        self._summed = summed
        self._rules = rules
        self._opaque_known = not rules.need_trusted or (trusted_readable() if trusted is None else trusted)
        self._start = os.fstat(handle)
        self._frames = [_Frame("", handle, self._start.st_ino, 0)]
        self._held: deque[_Frame] = deque()
        self._path = ""
        self._links: dict[int, tuple[int, str, int, int]] = {}  # inode -> names still to come, first name, blocks, size
        self._xattrs_missing = False
        self._overridden = False
        self._home = _home()
        self._clear()

    def batches(self) -> Iterator[Batch]:
        """Yield all entries, those of a directory after its own row, else in the order of the disk."""
        try:
            self._root(self._frames[0].handle)
            yield from self._scan(self._frames[0])
            while self._frames:
                top = self._frames[-1]
                if not top.below:
                    self._ascend()
                elif (frame := self._enter(top, top.below.pop())) is not None:
                    yield from self._scan(frame)
            # The last batch has the totals.
            yield self._flush()._replace(totals=(self.totals.apparent_bytes, self.totals.disk_bytes, self._left()))
        finally:
            self.close()

    def close(self) -> None:
        """Close all open handles, also of an abandoned walk."""
        while self._held:
            self._release(self._held[-1])
        if self._home is not None:
            os.close(self._home)
            self._home = None

    # Directories ---------------------------------------------------------------------------------------------------

    def _enter(self, top: _Frame, name: str) -> _Frame | None:
        """Open a directory below the last one; None, with a problem, where it must not be entered."""
        if len(self._path) + len(name) >= PATH_LENGTH:
            self._problem("too-deep", name, f"its path is longer than {PATH_LENGTH} characters; not entered")
            return None
        if top.handle < 0 and not self._reopen():
            return None
        try:
            handle = open_folder(name, top.handle)
        except OSError as error:
            self._failed(name, error)
            return None
        status = os.fstat(handle)
        if status.st_dev != self._start.st_dev:  # mounted between lstat and open
            os.close(handle)
            self._problem("other-filesystem", name, "another filesystem is mounted here; not entered")
            return None
        if not top.below:
            self._release(top)  # it is not needed open any more
        self._path += f"/{name}"
        frame = _Frame(name, handle, status.st_ino, len(self._path))
        self._frames.append(frame)
        self._hold(frame)
        return frame

    def _ascend(self) -> None:
        self._release(self._frames.pop())
        if self._frames:
            self._path = self._path[: self._frames[-1].path]

    def _hold(self, frame: _Frame) -> None:
        self._held.append(frame)
        if len(self._held) > HANDLES:
            self._release(self._held[0])

    def _release(self, frame: _Frame) -> None:
        if frame.handle < 0 or not frame.name:  # the caller closes the first one
            return
        if self._held[-1] is frame:
            self._held.pop()
        else:
            self._held.remove(frame)
        os.close(frame.handle)
        frame.handle = -1

    def _reopen(self) -> bool:
        """Open the last directory of the path again, and some above it, from the deepest one that is still open.

        ".." would be one step, but leads elsewhere when a directory was moved; this finds the same directories or
        fails.
        """
        index = max(place for place, frame in enumerate(self._frames) if frame.handle >= 0)
        handle = os.dup(self._frames[index].handle)
        try:
            while index + 1 < len(self._frames):
                index += 1
                frame = self._frames[index]
                child = open_folder(frame.name, handle)
                os.close(handle)
                handle = child
                if os.fstat(child).st_ino != frame.inode:
                    raise FileNotFoundError(errno.ENOENT, "another directory took its place")
                if len(self._frames) - index <= max(1, HANDLES // 2):
                    frame.handle = os.dup(child)
                    self._hold(frame)
        except OSError as error:
            for frame in self._frames[index:]:
                frame.below.clear()
            self._failed(None, error)
            self.totals.complete = False  # what was listed below it was not read, whether or not it still exists
            return False
        finally:
            os.close(handle)
        return True

    # Entries -------------------------------------------------------------------------------------------------------

    def _scan(self, frame: _Frame) -> Iterator[Batch]:
        """Read a directory; yields also in the middle of a large one."""
        chunk: list[os.DirEntry[str]] = []
        try:
            with os.scandir(frame.handle) as listing:
                while True:
                    try:
                        chunk.extend(islice(listing, CHUNK))
                    finally:  # what came before an error counts
                        self._read(chunk, frame)
                    if len(self._files) + len(self._dirs) + len(self._rows) >= BATCH_ROWS:
                        yield self._flush()
                    if len(chunk) < CHUNK:
                        return
                    chunk.clear()
        except OSError as error:
            self._failed(None, error)

    def _read(self, chunk: list[os.DirEntry[str]], frame: _Frame) -> None:
        """Read the entries of a directory; the walk spends most of its time in this loop."""
        prefix = self._stand_in(frame.handle)
        device, listxattr = self._start.st_dev, os.listxattr
        number = hash(from_os_path(self._path or "/")[0]) if self._summed else self._place(self._path)
        files, dirs, below = self._files.append, self._dirs.append, frame.below.append
        try:
            for entry in chunk:
                name = entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    self._failed(name, error)
                    continue
                try:
                    xattrs: list[str] | None = listxattr(prefix + name, follow_symlinks=False)
                except OSError as error:
                    xattrs = self._unlisted(name, error)
                mode = status.st_mode
                kind, times = mode & 0o170000, status.st_mtime_ns
                if (
                    (xattrs and xattrs != LABEL)
                    or (kind != stat.S_IFDIR and (kind != stat.S_IFREG or status.st_nlink != 1))
                    or status.st_dev != device
                    or not name.isascii()
                    or "\\" in name
                    or name[:4] == _WHITEOUT
                    or (kind == stat.S_IFDIR and (xattrs is None or not self._opaque_known))
                ):
                    self._take(name, status, xattrs, prefix, frame)
                    continue
                owner = (number, name, mode & 0o7777, status.st_uid, status.st_gid)
                if kind == stat.S_IFREG:
                    files((*owner, status.st_size, times, status.st_blocks))
                else:
                    below(name)
                    dirs((self._place(self._path), *owner[1:], 0, times, status.st_blocks))
        finally:
            if self._home is not None:
                os.fchdir(self._home)

    def _stand_in(self, handle: int) -> str:
        """Make the directory the working directory; return the prefix for its names."""
        if self._home is not None:
            try:
                os.fchdir(handle)
            except PermissionError:  # it may be listed but not searched
                pass
            else:
                return ""
        return f"/proc/self/fd/{handle}/"

    def _take(self, name: str, status: os.stat_result, xattrs: list[str] | None, prefix: str, frame: _Frame) -> None:
        """Handle an entry that is not a plain file."""
        is_dir, first = stat.S_ISDIR(status.st_mode), None
        if status.st_dev != self._start.st_dev:
            self._problem("other-filesystem", name, "another filesystem is mounted here; not entered")
        else:
            first = None if is_dir or status.st_nlink < 2 else self._first(name, status)
            if first is None:
                self._count(status)
        if self._rules.markers and self._marker(name, status):
            return
        if is_dir and status.st_dev == self._start.st_dev:
            frame.below.append(name)
        status = self._owned(prefix + name, status, xattrs)
        known = self._attributes(prefix + name, xattrs, is_dir=is_dir)
        # The kernel uses one inode for all whiteouts of a mount: Linux:fs/overlayfs/dir.c ovl_whiteout.
        if first is not None and type_of(status) != "whiteout":
            self._row(name, status, known, "hardlink", first)
        elif stat.S_ISLNK(status.st_mode):
            self._row(name, status, known, "symlink", self._target(name, frame))
        else:
            self._row(name, status, known, type_of(status))

    def _count(self, status: os.stat_result) -> None:
        totals = self.totals
        totals.disk_bytes += 512 * status.st_blocks
        if not stat.S_ISDIR(status.st_mode):
            totals.apparent_bytes += status.st_size
        if stat.S_ISREG(status.st_mode):
            totals.file_bytes += status.st_size

    def _first(self, name: str, status: os.stat_result) -> str | None:
        """Return the first name of an inode; forget it after its last name."""
        path = f"{self._path}/{name}"
        new = (status.st_nlink, path, status.st_blocks, status.st_size)
        rest, first, blocks, size = self._links.pop(status.st_ino, new)
        if rest > 1:
            self._links[status.st_ino] = (rest - 1, first, blocks, size)
        return None if first == path else first

    def _left(self) -> list[tuple[int, int, int]]:
        """Return the inodes with names outside the tree, with their blocks and bytes."""
        links = self._links.items()
        return [(inode, blocks, size) for inode, (_, _, blocks, size) in links if blocks or size]

    def _target(self, name: str, frame: _Frame) -> str | None:
        try:
            return os.readlink(name, dir_fd=frame.handle)
        except OSError as error:
            self._failed(name, error)
            return None

    def _marker(self, name: str, status: os.stat_result) -> bool:
        """Handle a name that marks a deletion as in AUFS; go-archive/archive_linux.go and whiteouts.go."""
        if name == _OPAQUE:
            directory, _, base = self._path.rpartition("/")
            news = Entry(directory, None, base, None, "opaque", opaque=1)
            self._rows.append((self._place(directory), *from_os_path(base), *news[4:]))
            return True
        if name.startswith(_AUFS):
            return True
        if not name.startswith(_WHITEOUT) or len(name) == len(_WHITEOUT) or not stat.S_ISREG(status.st_mode):
            return False
        self._row(name.removeprefix(_WHITEOUT), status, (None, None, None), "whiteout")
        return True

    def _attributes(self, path: str, listed: list[str] | None, *, is_dir: bool) -> _Known:
        """Return whether a directory is opaque, the names of attributes that count as content, and the capability."""
        opaque = (0 if self._opaque_known and listed is not None else None) if is_dir else None
        if not listed:
            return opaque, None, None
        kept = []
        for name in listed:
            if name not in self._rules.opaque:
                if name not in self._rules.bookkeeping and not (self._overridden and name == OVERRIDE):
                    kept.append(from_os_path(name)[0])
            elif not is_dir:
                kept.append(name)
            else:
                value = self._value(path, name)
                if value == b"y":  # Linux:fs/overlayfs: x marks a directory that may hold whiteouts as attributes
                    opaque = 1
                else:
                    kept.append(name)
                    opaque = None if value is None else opaque
        names = json.dumps(sorted(kept), ensure_ascii=False) if kept else None
        return opaque, names, self._capability(path) if _CAPABILITY in listed else None

    def _capability(self, path: str) -> bytes | None:
        value, id_map = self._value(path, _CAPABILITY), self._rules.id_map
        return value if id_map is None or value is None else id_map.capability(value)

    def _owned(self, path: str, status: os.stat_result, xattrs: list[str] | None) -> os.stat_result:
        """Return the status of a file inside the user namespace: from its attribute, else with mapped owners."""
        if self._overridden and xattrs and OVERRIDE in xattrs:
            return stated(self._value(path, OVERRIDE), status)
        id_map = self._rules.id_map
        if id_map is None:
            return status
        ids = (id_map.inside(status.st_uid, id_map.uids), id_map.inside(status.st_gid, id_map.gids))
        return replaced(status, (status.st_mode, *status[1:4], *ids, *status[6:10]), status.st_rdev)

    def _value(self, path: str, name: str) -> bytes | None:
        try:
            return os.getxattr(path, name, follow_symlinks=False)
        except OSError as error:
            self._failed(os.path.basename(path), error)
            return None

    def _unlisted(self, name: str, error: OSError) -> list[str] | None:
        """Report that attributes could not be listed and are unknown; once where the filesystem has none."""
        if error.errno not in (errno.ENOTSUP, errno.ENOSYS):
            self._failed(name, error)
        elif not self._xattrs_missing:
            self._xattrs_missing = True
            self._problem("no-xattrs", name, "this filesystem has no extended attributes", whole=True)
        return None

    def _root(self, handle: int) -> None:
        """Add the root of the walk, whose name is empty."""
        try:
            listed: list[str] | None = os.listxattr(handle)
        except OSError as error:
            listed = self._unlisted("", error)
        self._count(self._start)
        self._overridden = self._rules.overridden and bool(listed and OVERRIDE in listed)
        path = f"/proc/self/fd/{handle}/."
        status = self._owned(path, self._start, listed)
        known = self._attributes(path, listed, is_dir=True)
        self._row("", status, known, "dir")

    # Batches -------------------------------------------------------------------------------------------------------

    def _row(self, name: str, status: os.stat_result, known: _Known, type_: str, target: str | None = None) -> None:
        text, raw = from_os_path(name)
        link, link_raw = (None, None) if target is None else from_os_path(target)
        size = status.st_size if type_ in ("file", "symlink") else 0
        device = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" if type_ in ("char", "block") else None
        seconds, rest = divmod(status.st_mtime_ns, NANOSECONDS)
        owner = (status.st_mode & 0o7777, status.st_uid, status.st_gid)
        fields = (*owner, size, seconds, rest or None, link, link_raw, device, None, *known, None)
        self._rows.append((self._place(self._path), text, raw, type_, *fields))
        self.totals.entry_count += 1
        self._newest(status.st_mtime_ns)

    def _newest(self, mtime_ns: int) -> None:
        newest = self.totals.newest_mtime_ns
        self.totals.newest_mtime_ns = mtime_ns if newest is None else max(newest, mtime_ns)

    def _place(self, path: str) -> int:
        """Return a directory's number in this batch."""
        number = self._numbers.setdefault(path, len(self._directories))
        if number == len(self._directories):
            self._directories.append(from_os_path(path or "/"))
        return number

    def _failed(self, name: str | None, error: OSError) -> None:
        """Record an error of the system as a finding, unless we caused it ourselves."""
        if error.errno in _OURS:
            raise error
        if error.errno in (errno.ENOENT, errno.ESTALE):
            self.totals.vanished += 1
            self._problem("vanished", name, "it was listed and then gone", whole=True)
        elif error.errno in (errno.EACCES, errno.EPERM):
            self._problem("permission-denied", name, "permission denied")
        elif error.errno in (errno.ELOOP, errno.ENOTDIR):
            self._problem("not-a-folder", name, "it was a folder when it was listed; not followed")
        else:
            self._problem("unreadable", name, os.strerror(error.errno or 0))

    def _problem(self, code: str, name: str | None, detail: str, *, whole: bool = False) -> None:
        """Count a problem, and keep it while there are few; `whole`: the listing is complete all the same."""
        self.totals.complete &= whole
        self.totals.problem_count += 1
        if self.totals.problem_count <= PROBLEMS_KEPT:
            path = f"{self._path}/{name}" if name else self._path or "/"
            self._problems.append(Finding(code, from_os_path(path)[0], detail))

    def _clear(self) -> None:
        self._numbers: dict[str, int] = {}
        self._directories: list[tuple[str, bytes | None]] = []
        self._files: list[plain.Row] = []
        self._dirs: list[plain.Row] = []
        self._rows: list[Row] = []
        self._problems: list[Finding] = []

    def _flush(self) -> Batch:
        columns, totals, alone = {}, self.totals, None
        for shape, rows in (("walked", self._files), ("dir", self._dirs)):
            totals.entry_count += len(rows)
            if rows:
                if self._summed and shape == "walked":
                    alone, size, blocks = plain.summed(rows, self._rules.id_map)
                else:
                    columns[shape], size, blocks = plain.columns(shape, rows, self._rules.id_map)
                totals.apparent_bytes += size
                totals.disk_bytes += 512 * blocks
                totals.file_bytes += size  # 0 for directories
                self._newest(max(row[6] for row in rows))
        batch = Batch(self._directories, columns, self._rows, self._problems, totals.problem_count, totals.complete, 0)
        self._clear()
        return batch if alone is None else batch._replace(plain=(alone.number, alone.seconds, alone.fractions))
