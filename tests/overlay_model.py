"""Layers as an overlay shows them, worked out plainly from their tars: what the file queries are held against.

Nothing of layerindex is used but the spelling of names.
"""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from fastcrc.crc64 import go_iso

from layerindex.names import as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = tuple[Any, ...]

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}
SECRETS = {"id_rsa": "private key", ".env": "environment file"}


class Entry(NamedTuple):
    """One name in a layer. A hard link's `link` is the first name of its file; `opaque` is a folder's."""

    kind: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int = 0
    mtime: int | None = None
    link: str | None = None
    device: str | None = None
    crc: int | None = None
    capability: bytes | None = None
    opaque: bool = False


Layer = dict[str, Entry]

IMPLIED = Entry("dir", 0o755, 0, 0)
"""A folder that a tar only leads through, as moby makes it in an empty directory."""


def spelt(path: str) -> str:
    """Return a tar's path as the index spells it."""
    parts = [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]
    return "/" + "/".join(as_text(part) for part in parts)


def above(path: str) -> Iterator[str]:
    """Yield the folders over a path, the nearest first, without the root."""
    while (path := posixpath.dirname(path)) != "/":
        yield path


def read_layer(content: bytes, *, ancient: bool = False) -> Layer:
    """Return what unpacking a layer's tar makes; `ancient`: times before 1970 are not clamped."""
    layer: Layer = {}
    marked = []
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            folder, _, name = info.name.rstrip("/").rpartition("/")
            if name == ".wh..wh..opq":
                marked.append(spelt(folder))
            elif name.startswith(".wh."):
                layer[spelt(f"{folder}/{name.removeprefix('.wh.')}")] = Entry("whiteout")
            elif (path := spelt(info.name)) != "/":
                data = archive.extractfile(info) if info.isreg() else None
                layer[path] = _entry(info, data.read() if data else b"", layer, ancient=ancient)
    for path in [*layer, *(f"{path}/" for path in marked)]:
        for folder in reversed([*above(path)]):
            setgid = (layer[parent].mode or 0) & 0o2000 if (parent := posixpath.dirname(folder)) in layer else 0
            layer.setdefault(folder, IMPLIED._replace(mode=0o755 | setgid))
    for path in marked:
        layer[path] = layer[path]._replace(opaque=True)
    return layer


def _entry(info: tarfile.TarInfo, content: bytes, layer: Layer, *, ancient: bool) -> Entry:
    kind = KINDS[info.type]
    seconds = int(float(info.pax_headers.get("mtime", info.mtime)) // 1)
    link = None
    if kind == "symlink":
        link = "/".join(as_text(part) for part in os.fsencode(info.linkname).split(b"/"))
    elif kind == "hardlink":
        link = spelt(info.linkname)
        link = layer[link].link if layer[link].kind == "hardlink" else link
    attribute = info.pax_headers.get("SCHILY.xattr.security.capability")
    return Entry(
        kind,
        info.mode & 0o7777,
        info.uid,
        info.gid,
        {"file": info.size, "symlink": len(os.fsencode(info.linkname))}.get(kind, 0),
        seconds if ancient or kind == "symlink" else max(seconds, 0),
        link,
        f"{info.devmajor}:{info.devminor}" if kind in ("char", "block") else None,
        go_iso(content) if kind == "file" else None,
        None if attribute is None else os.fsencode(attribute),
    )


def hides_below(entry: Entry) -> bool:
    """Say whether an entry hides what lower layers have below its path."""
    return entry.kind != "dir" or entry.opaque


class Image:
    """Layers, the base first, and all that queries say of them."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self.shown: dict[str, int] = {}
        for position, layer in enumerate(layers):
            hiding = {path for path, entry in layer.items() if hides_below(entry)}
            for path in list(self.shown):
                if not hiding.isdisjoint(above(path)):
                    del self.shown[path]
            self.shown |= dict.fromkeys(layer, position)
            for path, entry in layer.items():
                if entry.kind == "whiteout":
                    del self.shown[path]

    def at(self, path: str, position: int) -> Entry:
        """Return the file at a name: of a hard link the one that it names, with its own header's owner and mode."""
        own = self.layers[position][path]
        if own.kind != "hardlink":
            return own
        first = self.layers[position][own.link or ""]
        return own._replace(
            kind=first.kind,
            size=first.size,
            link=first.link,
            device=first.device,
            crc=first.crc,
            capability=first.capability,
        )

    def tree(self) -> dict[str, Entry]:
        """Return the file at each path that shows, hard links as what they name."""
        return {path: self.at(path, position) for path, position in self.shown.items()}

    def names(self) -> set[frozenset[str]]:
        """Return the sets of names that are one file."""
        sets: dict[tuple[int, str], set[str]] = defaultdict(set)
        for path, position in self.shown.items():
            own = self.layers[position][path]
            sets[position, own.link or "" if own.kind == "hardlink" else path].add(path)
        return {frozenset(names) for names in sets.values() if len(names) > 1}

    def hidden_in(self, path: str, position: int) -> tuple[int | None, int | None]:
        """Return the lowest layers above a position that have the path itself, and that hide a folder over it."""
        upper = list(enumerate(self.layers))[position + 1 :]
        own = next((place for place, layer in upper if path in layer), None)
        folders = list(above(path))
        folder = next(
            (place for place, layer in upper if any(name in layer and hides_below(layer[name]) for name in folders)),
            None,
        )
        return own, folder

    def entries(self) -> Iterator[tuple[str, int, Entry]]:
        """Yield all entries of all layers with their positions."""
        for position, layer in enumerate(self.layers):
            for path, entry in layer.items():
                yield path, position, entry

    def kept(self) -> set[tuple[str, int]]:
        """Return the files, by path and position, that show under their own name or another."""
        kept = set(self.shown.items())
        for path, position in self.shown.items():
            entry = self.layers[position][path]
            if entry.kind == "hardlink":
                kept.add((entry.link or "", position))
        return kept

    # What queries say, each row by what it is known by ----------------------------------------------------------------

    def find_file(self) -> list[Row]:
        """Rows of path, type, size, mode, position, visible, hidden_by."""
        rows = []
        for path, position, entry in self.entries():
            hidden = min((place for place in self.hidden_in(path, position) if place is not None), default=None)
            mode = None if entry.kind == "whiteout" else octal(entry.mode)
            visible = int(hidden is None and entry.kind != "whiteout")
            rows.append((path, entry.kind, entry.size, mode, position, visible, hidden))
        return rows

    def deleted_files(self) -> list[Row]:
        """Rows of path, size, how, position, hidden_in."""
        rows, kept = [], self.kept()
        for path, position, entry in self.entries():
            if entry.kind != "file" or (path, position) in kept:
                continue
            own, folder = self.hidden_in(path, position)
            first = min(place for place in (own, folder) if place is not None)
            if folder == first:
                how = "folder"
            else:
                how = "whiteout" if self.layers[first][path].kind == "whiteout" else "overwritten"
            rows.append((path, entry.size, how, position, first))
        return rows

    def wasted_space(self) -> list[Row]:
        """Rows of path, copies, total_bytes, wasted_bytes, shows."""
        sizes: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        kept = self.kept()
        for path, position, entry in self.entries():
            if entry.kind == "file":
                sizes[path].append((entry.size, (path, position) in kept))
        rows = []
        for path, copies in sizes.items():
            wasted = sum(size for size, shows in copies if not shows)
            if wasted:
                shows = int(any(shows for _, shows in copies))
                rows.append((path, len(copies), sum(size for size, _ in copies), wasted, shows))
        return rows

    def file_history(self, path: str) -> list[Row]:
        """Rows of position, path, type."""
        folders = list(above(path))
        rows = []
        for position, layer in enumerate(self.layers):
            rows += [(position, path, layer[path].kind)] if path in layer else []
            rows += [
                (position, name, layer[name].kind) for name in folders if name in layer and hides_below(layer[name])
            ]
        return rows

    def secrets(self) -> list[Row]:
        """Rows of path, pattern, size, position, visible."""
        rows = []
        for path, position, _ in self.entries():
            pattern, file = SECRETS.get(posixpath.basename(path)), self.at(path, position)
            if pattern is not None and file.kind == "file":
                rows.append((path, pattern, file.size, position, int(self.shown.get(path) == position)))
        return rows


def octal(mode: int | None) -> str | None:
    """Return a mode as queries print it."""
    return None if mode is None else f"{mode:04o}"


def compared(a: Image, b: Image) -> list[Row]:
    """Rows of kind, path for `compare-images` and `compare --files`."""
    mine, theirs = a.tree(), b.tree()
    rows = []
    for path in mine.keys() | theirs.keys():
        if path not in theirs or path not in mine:
            rows.append(("only a" if path in mine else "only b", path))
            continue
        x, y = mine[path], theirs[path]
        if x.kind != y.kind:
            rows.append(("type", path))
            continue
        differing = {
            "mode": x.mode != y.mode and x.kind != "symlink",
            "owner": (x.uid, x.gid) != (y.uid, y.gid),
            "size": x.size != y.size,
            "link": (x.link, x.device) != (y.link, y.device),
            "content": x.crc != y.crc,
        }
        if any(differing.values()):
            rows.append((", ".join(name for name, differs in differing.items() if differs), path))
    return rows


# Questions of single layers -----------------------------------------------------------------------------------------


def of_layer(layer: Layer) -> dict[str, list[Row]]:
    """Rows of `suid`, `capabilities`, `inodes`, `largest-files` and `largest-dirs` for one layer."""
    image = Image([layer])
    files = {path: image.at(path, 0) for path, entry in layer.items() if entry.kind in ("file", "hardlink")}
    files = {path: entry for path, entry in files.items() if entry.kind == "file"}
    own = [(path, entry.size) for path, entry in layer.items() if entry.kind == "file"]
    trees: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for path, size in own:
        for folder in ("/", *above(path)):
            trees[folder] += size
            numbers[folder] += 1
    kinds = Counter(entry.kind for entry in layer.values())
    known = [kinds[kind] for kind in ("file", "dir", "symlink", "hardlink")]
    inodes = (len(layer) - kinds["hardlink"], *known, len(layer) - sum(known))
    return {
        "suid": [
            (path, octal(entry.mode), entry.uid, entry.gid, entry.size)
            for path, entry in files.items()
            if (entry.mode or 0) & 0o6000
        ],
        "capabilities": [
            (path, octal(entry.mode), entry.capability.hex(), image.at(path, 0).size)
            for path, entry in layer.items()
            if entry.capability is not None
        ],
        "inodes": [inodes] if layer else [],
        "largest-files": [(size, path) for path, size in own],
        "largest-dirs": [(trees[path], numbers[path], path) for path in trees],
    }


def duplicates(layers: Sequence[Layer]) -> list[Row]:
    """Rows of crc64, size, copies, layers over all layers of a store."""
    copies: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, layer in enumerate(layers):
        for entry in layer.values():
            if entry.kind == "file" and entry.size:
                copies[f"{entry.crc:016x}", entry.size].append(number)
    return [(*key, len(places), len(set(places))) for key, places in copies.items() if len(places) > 1]
