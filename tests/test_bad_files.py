"""Each file of a store in each kind of damage: the scan ends, says so with the right code, and keeps the rest."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerindex.records import TABLES
from tests.conftest import World, codes, nobody_special, replaced, scanned

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path


class File(NamedTuple):
    """A file of the store: where it is, and the damages that have another code here, or None for no problem."""

    path: Callable[[World], Path]
    codes: dict[str, str | None]


OPTIONAL: dict[str, str | None] = {"missing": None}
"""A file that an engine does not always write."""

FILES = {
    "repositories.json": File(lambda w: w.root.repositories_file, {"torn": "bad-json"}),
    "image config": File(lambda w: w.root.config_file(w.image), {"torn": "bad-json", "missing": "missing-image"}),
    "metadata parent": File(lambda w: w.root.metadata_file(w.image, "parent"), {"torn": "bad-id", **OPTIONAL}),
    "lastUpdated": File(lambda w: w.root.metadata_file(w.image, "lastUpdated"), {"torn": "bad-value", **OPTIONAL}),
    # Any name may be a directory's, so the half of a cache-id shows by what is not there.
    "cache-id": File(lambda w: w.root.layer_file(w.top, "cache-id"), {"torn": "missing-directory"}),
    "diff": File(lambda w: w.root.layer_file(w.top, "diff"), {"torn": "bad-id"}),
    # A base layer has no parent file: a lost one shows by the chain id.
    "parent": File(lambda w: w.root.layer_file(w.top, "parent"), {"torn": "bad-id", "missing": "chain-id-mismatch"}),
    # Half of a number is a number.
    "size": File(lambda w: w.root.layer_file(w.base, "size"), {"torn": None}),
    "link": File(lambda w: w.root.overlay_file(w.top, "link"), {"torn": "bad-id"}),
    "lower": File(lambda w: w.root.overlay_file(w.top, "lower"), {"torn": "bad-id"}),
    "lower of a container": File(lambda w: w.root.overlay_file(w.container.mount, "lower"), {"torn": "bad-id"}),
    "config.v2.json": File(lambda w: w.root.container_file(w.container), {"torn": "bad-json"}),
    "hostconfig.json": File(
        lambda w: w.root.container_file(w.container, "hostconfig.json"), {"torn": "bad-json", **OPTIONAL}
    ),
    "mount-id": File(lambda w: w.root.mount_file(w.container.mount, "mount-id"), {"torn": "bad-id"}),
    "init-id": File(lambda w: w.root.mount_file(w.container.mount, "init-id"), {"torn": "bad-id", **OPTIONAL}),
    # An image may have no layers.
    "mount parent": File(lambda w: w.root.mount_file(w.container.mount, "parent"), {"torn": "bad-id", **OPTIONAL}),
    "diffid-by-digest": File(
        lambda w: w.root.file(f"image/overlay2/distribution/diffid-by-digest/sha256/{w.blob[7:]}"),
        {"torn": "bad-id", **OPTIONAL},
    ),
    "v2metadata-by-diffid": File(
        lambda w: w.root.file(f"image/overlay2/distribution/v2metadata-by-diffid/sha256/{w.base.diff_id[7:]}"),
        {"torn": "bad-json", **OPTIONAL},
    ),
    "opts.json": File(lambda w: w.root.file("volumes/data/opts.json"), {"torn": "bad-json", **OPTIONAL}),
}


class Damage(NamedTuple):
    """What happens to a file: what is done at its path, where nothing is any more, and the code this usually gives."""

    do: Callable[[Path, bytes], object]
    code: str


def sparse(path: Path, _: bytes) -> None:
    """Write 100 MB that use no disk."""
    path.touch()
    os.truncate(path, 100_000_000)


def null_device(path: Path, _: bytes) -> None:
    """Make a device like /dev/null."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make a device")


def unreadable(path: Path, content: bytes) -> None:
    """Write the file for nobody to read."""
    path.write_bytes(content)
    path.chmod(0)


DAMAGES = {
    "missing": Damage(lambda *_: None, "missing"),
    "empty": Damage(lambda path, _: path.touch(), "empty"),
    "blank": Damage(lambda path, _: path.write_bytes(b" \n\t "), "empty"),
    "torn": Damage(lambda path, content: path.write_bytes(content[: (len(content) + 1) // 2]), ""),
    "not UTF-8": Damage(lambda path, content: path.write_bytes(b"\xff\xfe" + content), "bad-text"),
    "huge": Damage(sparse, "too-large"),
    "fifo": Damage(lambda path, _: os.mkfifo(path), "not-regular"),
    "folder": Damage(lambda path, _: path.mkdir(), "not-regular"),
    "symlink": Damage(lambda path, _: path.symlink_to("/etc/passwd"), "not-regular"),
    "device": Damage(null_device, "not-regular"),
    "for nobody": Damage(unreadable, "permission-denied"),
}

CODES = {file: {damage: FILES[file].codes.get(damage, DAMAGES[damage].code) for damage in DAMAGES} for file in FILES}


@pytest.fixture(scope="module")
def before(lasting: World) -> set[tuple[object, ...]]:
    """Give what must be there whatever is damaged."""
    return facts(scanned(lasting.root), lasting.others)


def facts(connection: sqlite3.Connection, ids: set[str]) -> set[tuple[object, ...]]:
    """Return all rows of facts that name one of the ids; names of images are left out, as one file holds all."""
    names = set(TABLES.values()) - {"image_refs", "problems"}
    rows = [(name, *row) for name in names for row in connection.execute(f"SELECT * FROM {name}")]
    return {row for row in rows if not ids.isdisjoint(row)}


def test_nothing_is_wrong_with_the_store_itself(lasting: World) -> None:
    """The store that the others damage has no problem."""
    assert set() == codes(scanned(lasting.root))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_damaged_file(lasting: World, before: set[tuple[object, ...]], file: str, damage: str) -> None:
    """A damaged file is a problem with its code and its path, and what other files say is there all the same."""
    path = FILES[file].path(lasting)
    with replaced(path) as content:
        DAMAGES[damage].do(path, content)
        with nobody_special() if damage == "for nobody" else nullcontext():
            connection = scanned(lasting.root)
    code = CODES[file][damage]
    assert ({code} if code else set()) <= codes(connection)
    if code is None:
        assert set() == codes(connection)
    if code == DAMAGES[damage].code:
        where = path.relative_to(lasting.root.path)
        assert (str(where),) in connection.execute("SELECT path FROM problems WHERE code = ?", (code,)).fetchall()
    assert len(before) > 10
    assert before == facts(connection, lasting.others)


_opened: list[str] | None = None


def _note_open(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str):
        _opened.append(arguments[0])


sys.addaudithook(_note_open)  # it cannot be taken away, so it only listens while there is a list


@contextmanager
def opened() -> Iterator[list[str]]:
    """Give the list of all names that Python opens meanwhile."""
    global _opened  # noqa: PLW0603 - an audit hook has no other way to know
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.mark.parametrize("damage", ["fifo", "symlink", "device"])
def test_what_is_no_file_is_not_opened(lasting: World, damage: str) -> None:
    """A fifo, a symlink and a device are told apart before they are opened: opening a device can do something."""
    path = lasting.root.repositories_file
    with opened() as names:
        scanned(lasting.root)
    assert path.name in names
    with replaced(path) as content:
        DAMAGES[damage].do(path, content)
        with opened() as names:
            scanned(lasting.root)
    assert path.name not in names


@given(file=st.sampled_from(sorted(FILES)), content=st.binary(max_size=200))
def test_any_bytes(lasting: World, file: str, content: bytes) -> None:
    """Whatever bytes a file holds, the scan comes to its end."""
    path = FILES[file].path(lasting)
    with replaced(path):
        path.write_bytes(content)
        scanned(lasting.root)
