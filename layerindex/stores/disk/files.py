"""Reads the files of a store without trusting any of them.

Everything is reached relative to an open folder, one name at a time: no symlink is followed, nothing but a regular file
is opened, and no file is read beyond its bound.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from layerindex.names import from_os, printable
from layerindex.problems import Damage, not_regular, vanished

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

WORD = 4096
"""Most bytes of a file that holds one id, digest or number."""
LOWER = 65536
"""Most bytes of a lower file: 500 short names, the deepest chain any engine allows, are 14,499."""
JSON = 16 * 1024 * 1024
"""Most bytes of a config: registries refuse manifests over 4 MiB, and no config comes near."""
REPOSITORIES = 64 * 1024 * 1024
"""Most bytes of repositories.json: some 300,000 references."""
VALUES = 1_000_000
"""Most values of a JSON file with fewer than VALUE_BYTES for each: `[[],[],…` takes forty times its bytes of memory."""
VALUE_BYTES = 8
"""Fewest bytes of a value in a large file: values that engines write have 15 and more."""
ENTRIES = 2_000_000
"""Most names in one folder of metadata."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _open(name: str, flags: int, folder: int | None) -> int:
    """Open without changing the access time, which is evidence; only the owner and root may ask for that."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder)


def open_folder(name: str, folder: int | None = None) -> int:
    """Open a folder that is no symlink, relative to an open one; raises OSError."""
    return _open(name, _FOLDER, folder)


def open_below(root: str, *names: str, folder: bool = False) -> int:
    """Open a regular file or folder below a root, following no symlink on the way; the caller closes it.

    Raises Damage.
    """
    where = printable("/".join(from_os(name) for name in names))
    handle = -1
    try:
        handle = open_folder(root)
        for name in names if folder else names[:-1]:
            below = open_folder(name, handle)
            os.close(handle)
            handle = below
        if folder:
            return handle
        opened = _open_regular(names[-1], handle)
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        raise damage(error, where) from error
    os.close(handle)
    if opened is None:
        raise not_regular(where)
    return opened


def _open_regular(name: str, folder: int) -> int | None:
    """Open a regular file; None for anything else, of which a device is not opened at all."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return None
    opened = _open(name, _FILE, folder)
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    return None


def damage(error: OSError, path: str) -> Damage:
    """Return the error of the system about `path` as a finding."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return Damage("permission-denied", path, "permission denied")
    if error.errno == errno.ENOENT:
        return Damage("missing", path, "it is not there")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Damage("not-a-folder", path, "it is not a folder")
    return Damage("unreadable", path, os.strerror(error.errno or 0))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _elsewhere(name: str, parent: Folder | None, path: str) -> Damage | None:
    """Return the finding that a symlink is in the place of a folder of the root, as after moving the folder."""
    if parent is None or parent.path:
        return None
    try:
        target = os.readlink(name, dir_fd=parent.handle)
    except OSError:
        return None
    return Damage("elsewhere", path, f"a symlink leads to {printable(from_os(target))}; it is not followed")


class Folder:
    """A folder of a store, held open and listed once.

    `path` is relative to the store's root and safe to print. Opening raises Damage.
    """

    def __init__(self, name: str, parent: Folder | None = None) -> None:
        self.path: str = "" if parent is None else parent.where(name)
        try:
            self.handle: int = open_folder(name, None if parent is None else parent.handle)
        except OSError as error:
            raise _elsewhere(name, parent, self.path) or damage(error, self.path) from error
        try:
            self.entries = self._list()
        except BaseException:
            os.close(self.handle)
            raise

    def _list(self) -> dict[str, os.DirEntry[str]]:
        entries = {}
        try:
            with os.scandir(self.handle) as listing:
                for entry in listing:
                    entries[entry.name] = entry
                    if len(entries) > ENTRIES:
                        raise Damage("too-large", self.path, f"more than {ENTRIES} entries")
        except OSError as error:
            raise damage(error, self.path) from error
        return entries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.handle)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def folder(self, *names: str) -> Folder:
        """Open a folder below this one."""
        folder = Folder(names[0], self)
        if len(names) == 1:
            return folder
        with folder:
            return folder.folder(*names[1:])

    def optional(self, *names: str) -> Folder | None:
        """Open a folder below this one that need not exist: None when only the last folder of the path is absent."""
        if len(names) > 1:
            with self.folder(*names[:-1]) as above:
                return above.optional(names[-1])
        return self.folder(names[0]) if names[0] in self else None

    def where(self, name: str) -> str:
        """Return the printable path of an entry."""
        shown = printable(from_os(name))
        return f"{self.path}/{shown}" if self.path and not os.path.isabs(name) else shown

    def keep(self, names: Iterable[str]) -> None:
        """Keep only these entries."""
        wanted = set(names)
        self.entries = {name: entry for name, entry in self.entries.items() if name in wanted}

    def has_folder(self, name: str) -> int:
        """Return 1 when `name` is a folder here, else 0."""
        entry = self.entries.get(name)
        try:
            return int(entry is not None and entry.is_dir(follow_symlinks=False))
        except OSError:
            return 0

    def is_symlink(self, name: str) -> bool:
        """Say whether `name` is a symlink here."""
        entry = self.entries.get(name)
        return entry is not None and entry.is_symlink()

    def exists(self, *names: str) -> bool:
        """Check whether something exists now, following no symlink on the way.

        What we may not look at counts as existing: reading it will report that, and its absence would prove nothing.
        """
        return self._there(names, denied=True)

    def shows(self, *names: str) -> bool:
        """Check the same, but what we may not look at counts as absent."""
        return self._there(names, denied=False)

    def _there(self, names: tuple[str, ...], *, denied: bool) -> bool:
        try:
            self._status(names)
        except PermissionError:
            return denied
        except OSError:
            return False
        return True

    def changed(self, *names: str) -> float | None:
        """Return when this folder or a path below it last changed, following no symlink; None if unknown."""
        try:
            return (self._status(names) if names else os.fstat(self.handle)).st_mtime
        except OSError:
            return None

    def _status(self, names: tuple[str, ...]) -> os.stat_result:
        """Return the status of a path below, one component at a time; raises OSError."""
        opened: list[int] = []
        try:
            for name in names[:-1]:
                opened.append(open_folder(name, opened[-1] if opened else self.handle))
            return os.stat(names[-1], dir_fd=opened[-1] if opened else self.handle, follow_symlinks=False)
        finally:
            for handle in opened:
                os.close(handle)

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a regular file of at most `limit` bytes; raises Damage."""
        with self.opened(name) as handle:
            return self.content(name, handle, limit)

    @contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """Hold a regular file open; raises Damage, also for errors of the system while it is held."""
        entry = self.entries.get(name)
        if entry is None:
            raise Damage("missing", self.where(name), "it is not there")
        try:
            if not entry.is_file(follow_symlinks=False):
                raise not_regular(self.where(name))
            handle = _open(name, _FILE, self.handle)
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise not_regular(self.where(name))
                yield handle
            finally:
                os.close(handle)
        except FileNotFoundError as error:
            raise vanished(self.where(name)) from error
        except OSError as error:
            where, is_other = self.where(name), error.errno in (errno.ELOOP, errno.ENXIO)
            raise not_regular(where) if is_other else damage(error, where) from error

    def content(self, name: str, handle: int, limit: int) -> bytes:
        """Return the bytes of an open file of at most `limit` bytes; raises Damage."""
        size = os.fstat(handle).st_size
        if size > limit:
            raise Damage("too-large", self.where(name), f"{size} bytes, at most {limit} are read")
        room = min(size + LOWER, limit) + 1  # a small file may be written just now
        content = os.read(handle, room)
        while 0 < len(content) < size and (more := os.read(handle, room - len(content))):
            content += more
        if len(content) > limit:
            raise Damage("too-large", self.where(name), f"it grew beyond {limit} bytes while it was read")
        return content

    def text(self, name: str, limit: int = WORD) -> str:
        """Return a small text file without the white space around it, as moby reads it; raises Damage."""
        content = self.read(name, limit)
        try:
            text = content.decode().strip()
        except UnicodeDecodeError as error:
            raise Damage("bad-text", self.where(name), f"not UTF-8 at byte {error.start}") from error
        if not text:
            raise Damage("empty", self.where(name), "the file has no content")
        return text

    def json(self, name: str, limit: int = JSON) -> dict[str, Any]:
        """Return a JSON file that must hold an object; raises Damage."""
        return self.parsed(name, self.read(name, limit))

    def parsed(self, name: str, content: bytes) -> dict[str, Any]:
        """Return the JSON object that a file's content is; raises Damage."""
        value = self.value(name, content)
        if not isinstance(value, dict):
            raise Damage("bad-value", self.where(name), "an object was expected")
        return value

    def value(self, name: str, content: bytes) -> Any:  # noqa: ANN401 - whatever JSON held
        """Return the JSON value that a file's content is; raises Damage."""
        if not content.strip():
            raise Damage("empty", self.where(name), "the file has no content")
        values = sum(map(content.count, (b",", b"[", b"{")))
        if values > max(VALUES, len(content) // VALUE_BYTES):
            raise Damage(
                "too-large", self.where(name), f"{values} values in {len(content)} bytes, which no engine writes"
            )
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            code = "bad-json" if _is_utf8(content) else "bad-text"
            raise Damage(code, self.where(name), f"not JSON: {error}") from error

    def target(self, name: str) -> str:
        """Return the target of a symlink here without following it; raises Damage."""
        try:
            return os.readlink(name, dir_fd=self.handle)
        except FileNotFoundError as error:
            raise vanished(self.where(name)) from error
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise Damage("not-a-link", self.where(name), "it is not a symlink") from error
            raise damage(error, self.where(name)) from error

    def sizes(self, prefixes: tuple[str, ...]) -> Iterator[int]:
        """Yield the size of each regular file here whose name begins with one of `prefixes`."""
        for name, entry in self.entries.items():
            if name.startswith(prefixes) and entry.is_file(follow_symlinks=False):
                yield entry.stat(follow_symlinks=False).st_size
