"""Files of a store as readers get them: mostly in memory, which is some ten times faster, and now and then on disk."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerindex.problems import Damage
from layerindex.stores.disk.files import Folder
from tools.fuzz import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ON_DISK = 16
"""Of so many sizes of input one is read from a real folder, where all that is opened is looked at."""


class Memory(Folder):
    """A folder of regular files and folders that are none: only their names and contents count."""

    def __init__(self, files: Mapping[str, bytes], path: str = "") -> None:  # a real one opens, and lists
        self.path, self.files = path, files
        self.handle = _any_folder()
        self.entries = dict.fromkeys(name.partition("/")[0] for name in files)  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def folder(self, *names: str) -> Memory:
        """Return a folder below this one."""
        start = "/".join(names) + "/"
        below = {name.removeprefix(start): content for name, content in self.files.items() if name.startswith(start)}
        if not below:
            raise Damage("missing", self.where(names[0]), "it is not there")
        return Memory(below, self.where("/".join(names)))

    def has_folder(self, name: str) -> int:
        """Return 1 for a folder."""
        return int(any(each.startswith(f"{name}/") for each in self.files))

    def exists(self, *names: str) -> bool:
        """Say whether something is there."""
        return "/".join(names) in self.files or self.has_folder("/".join(names)) == 1

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a file."""
        if name not in self.files:
            raise Damage("missing", self.where(name), "it is not there")
        return self.files[name][:limit]


def _any_folder() -> int:
    global _HANDLE  # noqa: PLW0603 - opened once, for what only asks for its inode
    if _HANDLE < 0:
        _HANDLE = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return _HANDLE


_HANDLE = -1


@contextmanager
def files(name: str, contents: Mapping[str, bytes]) -> Iterator[Folder]:
    """Give a folder that holds these files, by their paths in it; `name` tells one target's from others'."""
    if sum(map(len, contents.values())) % ON_DISK:
        yield Memory(contents)
        return
    path = scratch.folder(name)
    for file, content in contents.items():
        os.makedirs(os.path.dirname(f"{path}/{file}"), exist_ok=True)
        scratch.write(f"{path}/{file}", content)
    try:
        with scratch.confined(), Folder(path) as folder:
            yield folder
    finally:
        for file in contents:
            os.unlink(f"{path}/{file}")
