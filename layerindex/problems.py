"""The kinds of problems of a store: each has a code, a severity and a sentence.

Damage in a store is a row; only errors of our own output are exceptions that end a command.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from layerindex.records import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PER_FILE = 100
"""Most findings about one file that get a row each, in any case: as many as for a listing."""
MORE = 10_000
"""How many further findings of a store get a row each, from files with more of them: a list of all images may have
thousands."""


class Kind(NamedTuple):
    """How bad a kind of problem is, and what it means."""

    severity: str
    meaning: str


KINDS = {
    "reader-failed": Kind("error", "layerindex failed to read this file; its content is not known."),
    "bad-settings": Kind(
        "error", "A settings file of an engine is not what it must be, or names what is not the user's; not followed."
    ),
    "permission-denied": Kind("error", "Permission denied; run the scan as root to read it."),
    "unreadable": Kind("error", "The system gave an error when it was read."),
    "vanished": Kind("info", "It was listed and then gone; usual while an engine runs."),
    "missing": Kind("error", "A file that must be there is not."),
    "not-regular": Kind("error", "A folder, symlink, fifo, socket or device stands where a file must be; not opened."),
    "not-a-folder": Kind("error", "Something else stands where a folder must be; not followed, not opened."),
    "elsewhere": Kind("error", "A symlink stands in the place of a folder of the root; what it leads to is not read."),
    "not-mounted": Kind("error", "A folder is empty, and metadata names what is in it: perhaps not mounted."),
    "own-filesystem": Kind("info", "A folder of the root has a filesystem of its own; its bytes are counted apart."),
    "moved-root": Kind(
        "info", "A container's mount has its source where the data root was, which keeps it from starting."
    ),
    "too-large": Kind("error", "It exceeds the limit for such a file; not read."),
    "empty": Kind("error", "The file has no content, as power cuts leave it."),
    "bad-text": Kind("error", "The file is not the UTF-8 text it must be."),
    "bad-json": Kind("error", "The file is not JSON, is torn, or is nested too deeply."),
    "bad-value": Kind("error", "A value has the wrong type, is out of range or is no valid date."),
    "bad-id": Kind("error", "An id, digest or link does not look like one; never used as a path."),
    "bad-bolt": Kind("error", "A database is no bolt file, or both of its headers are damaged; not read."),
    "bolt-page": Kind("error", "A page of a bolt database is torn or out of place; what it held is not read."),
    "inconsistent": Kind("warning", "A database was written each time it was read; the parts may not fit together."),
    "missing-snapshot": Kind("warning", "A build-cache record has no snapshot, or one whose layer is gone."),
    "parent-circle": Kind("error", "Build-cache records are each other's parents."),
    "image-id-mismatch": Kind("error", "The SHA-256 of an image config is not the name of its file."),
    "chain-id-mismatch": Kind("error", "A layer's name is not the digest of its parent and diff_id."),
    "container-id-mismatch": Kind("error", "A container's config names another id than its folder."),
    "missing-image": Kind("warning", "A tag or container names an image that the store does not have."),
    "missing-layer": Kind("error", "An image needs a layer that the store does not have."),
    "missing-parent": Kind("error", "A layer's or mount's parent is not in the store."),
    "missing-directory": Kind("error", "Metadata names a directory that the driver's folder does not have."),
    "missing-volume": Kind("error", "The engine's database names a local volume whose folder is gone."),
    "shared-cache-id": Kind("error", "Two layers name the same directory."),
    "history-mismatch": Kind("info", "An image's history makes more layers than the image has."),
    "stale-mount": Kind("info", "A writable layer of no container: an image mount, a build, or left by a crash."),
    "container-without-mount": Kind("warning", "A container has no writable layer."),
    "missing-log": Kind(
        "warning", "A log is not where the engine keeps it: a symlink, or removed, its bytes held until a restart."
    ),
    "removing-layer": Kind("warning", "A layer whose removal did not finish; its directory may still use space."),
    "write-set": Kind("info", "A layer that is being written, or was when the engine died."),
    "leftover": Kind("info", "A temporary file of an atomic write that did not finish."),
    "unexpected-entry": Kind("info", "A name that does not belong here."),
    "missing-link": Kind("warning", "A directory's short name is not in l/."),
    "dangling-link": Kind("warning", "A short name in l/ leads to a directory that is not there."),
    "outside-link": Kind("error", "A short name in l/ does not point to ../<directory>/diff; not followed."),
    "not-a-link": Kind("error", "An entry of l/ is not a symlink, as after a copy that followed symlinks."),
    "duplicate-link": Kind(
        "warning", "Several short names in l/ lead to one directory, or one name stands in several."
    ),
    "broken-lower": Kind("error", "A directory's lower list names a short name that leads nowhere."),
    "lower-mismatch": Kind(
        "info",
        "A lower list is not the parent's directory and then that one's; BuildKit does so when it built a layer twice.",
    ),
    "dangling-layer": Kind(
        "warning", "No image and no container needs a layer: a pull in progress or an end it never came to."
    ),
    "incomplete-layer": Kind(
        "info", "A layer that is being made, or was when its engine died; the engine will remove it."
    ),
    "layer-circle": Kind("error", "Layers are each other's parents."),
    "duplicate-id": Kind("error", "Two objects of a list have one id; the first counts."),
    "digest-mismatch": Kind("error", "The SHA-256 of a manifest or blob is not what names it."),
    "composefs": Kind(
        "warning", "A layer whose file names are in a composefs image; listed only where a tar-split is."
    ),
    "additional-layer": Kind(
        "warning", "A layer whose files an additional layer store keeps; listed only where a tar-split is."
    ),
    "rotated-diff": Kind("warning", "A layer that was made anew in place; files of its older folders are not listed."),
    "bad-sqlite": Kind("error", "A database is no SQLite file, or damaged; not read."),
    "tar-split-gzip": Kind("error", "A tar-split is not gzip, or damaged; its files up to there are listed."),
    "tar-split-truncated": Kind("error", "A tar-split ends in the middle; its files up to there are listed."),
    "tar-split-bomb": Kind("error", "A tar-split unpacks to more than the limit for its size; not read further."),
    "tar-split-noise": Kind("error", "A tar-split has too many lines that say nothing; not read further."),
    "tar-split-read": Kind("error", "The system gave an error while a tar-split was read."),
    "tar-split-line": Kind("error", "A line of a tar-split is not what it must be."),
    "tar-split-position": Kind("error", "The lines of a tar-split are not numbered in order: some are missing."),
    "tar-split-size": Kind("error", "The size of a file in a tar-split is no size."),
    "tar-split-crc": Kind("error", "The checksum of a file in a tar-split is no checksum."),
    "tar-split-payload": Kind("error", "The raw bytes in a tar-split are not base64."),
    "tar-header-missing": Kind("error", "A file in a tar-split has no tar header; not listed."),
    "tar-header-checksum": Kind("error", "A tar header does not match its checksum; its file is not listed."),
    "tar-header-number": Kind("error", "A number in a tar header is none, or beyond 64 bits; its file is not listed."),
    "tar-header-size": Kind("error", "An extended tar header is longer than what is there; its file is not listed."),
    "pax-record": Kind("error", "A PAX header is malformed; its file is not listed."),
    "pax-value": Kind("error", "A PAX header holds an impossible value; its file is not listed."),
    "tar-name": Kind("error", "A tar member's name climbs out of the layer or cannot exist; not listed."),
    "tar-link": Kind("error", "A tar member's link target cannot exist; not listed."),
    "tar-type": Kind("error", "A tar member is of an unknown type; not listed."),
    "tar-duplicate": Kind("error", "A layer has two files of one path, which Docker refuses; the first is listed."),
    "blob-digest": Kind("error", "The SHA-256 of a blob's bytes is not its name; not believed."),
    "blob-diff-id": Kind("error", "A layer's blob holds another tar than its image says; its files are not listed."),
    "blob-size": Kind("warning", "A blob has another size than containerd's database says."),
    "blob-format": Kind("warning", "A layer's blob is no tar, plain or packed with gzip or zstd; not listed from it."),
    "blob-packing": Kind("error", "A layer's blob is damaged within; its files are not listed from it."),
    "blob-truncated": Kind("error", "A layer's blob ends in the middle; its files are not listed from it."),
    "blob-bomb": Kind("error", "A layer's blob unpacks to more than the limit for its size; not read further."),
    "blob-read": Kind("error", "The system gave an error while a layer's blob was read."),
    "missing-blob": Kind("error", "containerd's database knows a blob that its content store does not have."),
    "unknown-media-type": Kind("warning", "What an image's name or index leads to is neither an index nor a manifest."),
    "manifest-depth": Kind("warning", "Indexes lie within one another more deeply than is followed."),
    "unknown-snapshot": Kind("error", "meta.db names a snapshot that its snapshotter does not know."),
    "other-filesystem": Kind("warning", "Another filesystem is mounted inside a directory; not entered."),
    "too-deep": Kind("warning", "A folder whose path is longer than is read; it is listed, not entered."),
    "no-xattrs": Kind("info", "The filesystem has no extended attributes, so opaque folders cannot be told."),
    "opaque-unknown": Kind("warning", "Opaque marks can be read by root only: walked folders have opaque NULL."),
    "lossy-copy": Kind("error", "The marks by which layers delete files are gone, as after a copy without them."),
    "more-problems": Kind("error", "A file, or one source of files, had more problems than are kept."),
    "other-driver": Kind("warning", "Layers of a storage driver or snapshotter whose directories are not read."),
    "other-store": Kind("warning", "The images and layers of these containers are in a store elsewhere."),
}
"""Every code that can stand in `problems.code`."""


class Damage(Exception):  # noqa: N818 - it is a finding about the store, not an error of ours
    """One finding: something in a store that could not be read or is wrong."""

    def __init__(self, code: str, path: str, detail: str, subject: str | None = None) -> None:
        super().__init__(code, path, detail)
        self.problem = Problem(KINDS[code].severity, code, path, subject, detail)
        self.more = 0
        """How many findings about the same file it stands for, not counting itself where it is not one of them."""


class Damages(list[Damage]):
    """Collected findings: those that get a row, and how many more there are of each file."""

    def __init__(self, found: Iterable[Damage] = ()) -> None:
        super().__init__()
        self._beyond: dict[str, Damage] = {}
        self.extend(found)

    def append(self, found: Damage) -> None:
        """Take one."""
        path = found.problem.path
        if len(self) - len(self._beyond) < MORE:
            super().append(found)
        elif path in self._beyond:
            self._beyond[path].more += found.more or 1
        else:
            more = self._beyond[path] = Damage("more-problems", path, "")
            more.more = found.more or 1
            super().append(more)

    def extend(self, found: Iterable[Damage]) -> None:
        """Take some."""
        for each in found:
            self.append(each)


class Told:
    """Decides which findings about a store get a row each, and counts the others by file."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._beyond: Counter[str] = Counter()
        self._left = MORE

    def take(self, found: Damage) -> Iterator[Problem]:
        """Yield the row of a finding, if it gets one."""
        path = found.problem.path
        if found.more:
            self._beyond[path] += found.more
            return
        self._seen[path] += 1
        if self._seen[path] > PER_FILE:
            if not self._left:
                self._beyond[path] += 1
                return
            self._left -= 1
        yield found.problem

    def rest(self) -> Iterator[Problem]:
        """Yield for each file how many more findings there were."""
        for path, count in self._beyond.items():
            yield Damage("more-problems", path, f"{count} more like these").problem


def not_regular(path: str, subject: str | None = None) -> Damage:
    """Return the finding that something other than a regular file is where a file must be."""
    return Damage("not-regular", path, "it is not a regular file", subject)


def vanished(path: str, subject: str | None = None) -> Damage:
    """Return the finding that something disappeared while it was read, as is usual while an engine runs."""
    return Damage("vanished", path, "it was listed and then gone", subject)
