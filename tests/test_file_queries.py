"""The queries over file listings: rows worked out by hand, and random stacks of layers against a plain model."""

from __future__ import annotations

import io
import os
import random
import tarfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import catalog, database, query, scan, stores
from tests.dataroot import DataRoot, Layer, directory, hardlink, make_tar, opaque, regular, symlink, whiteout

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.dataroot import Files, Node

    Row = tuple[Any, ...]

CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

BASE: Files = {
    "copy1": b"same",
    "copy2": b"same",
    "empty1": b"",
    "empty2": b"",
    "etc/passwd": b"root",
    "lib/x": b"lib!!!",
    "link": hardlink("copy1"),
    "root/.env": b"K=1",
    "root/id_rsa": b"KEY",
    "srv/app": b"v1",
    "srv/old": b"12345",
    "usr/ping": regular(b"ping?", xattrs={"security.capability": CAPABILITY}),
    "usr/su": regular(b"setuid!", mode=0o4755),
    "var/cache/a": b"aaaaaaaa",
    "var/cache/b": b"bbbbbbbbb",
}
MIDDLE: Files = {
    "lib": symlink("usr/lib"),
    "root/.env": whiteout(),
    "srv/app": b"v22",
    "srv/old": whiteout(),
    "var/cache": opaque(),
    "var/cache/c": b"c",
}
TOP: Files = {"srv/app": b"v333", "srv/old": b"back", "var": whiteout()}
OTHER: Files = {
    "copy1": regular(b"same", mode=0o600),
    "copy2": regular(b"same", uid=5),
    "etc/passwd": b"toor",
    "lib/x": symlink("y"),
    "new": b"new file",
    "srv/app": b"v1!",
    "srv/old": whiteout(),
}


def scanned(path: str, root: Path, host: str = "one") -> None:
    """Scan a data root with its files."""
    with database.writing(path, lambda _: None) as connection:
        (store,) = stores.open_stores(str(root))
        scan.scan(connection, store, scan.Filing(scan.Host(host, None)), scan.Options(files=True, jobs=1))


def build(folder: Path, seed: int = 1, *, privileged: bool = os.geteuid() == 0) -> DataRoot:
    """Build the store whose answers are known."""
    root = DataRoot(folder, seed=seed, privileged=privileged)
    base = root.layer(BASE)
    plain = root.image(base, ["plain:1"], created="2024-01-01T00:00:00Z")
    root.image(root.layer(OTHER, parent=base), ["other:1"], created="2024-01-01T00:00:00Z")
    top = root.layer(TOP, parent=root.layer(MIDDLE, parent=base))
    root.image(top, ["app:1"], created="2024-01-01T00:00:00Z")
    root.image((), ["empty:1"], created="2024-01-01T00:00:00Z")
    root.container(plain, name="box", files={"srv/app": b"changed", "srv/new": b"added"})
    if privileged:
        files: Files = {"srv/old": whiteout(), "var/cache": opaque(), "var/cache/z": b"z"}
        root.container(plain, name="wiper", files=files)
    return root


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database of that store, one host."""
    folder = tmp_path_factory.mktemp("files")
    scanned(str(folder / "files.db"), build(folder / "docker").path)
    return str(folder / "files.db")


@pytest.fixture
def connection(path: str) -> Iterator[sqlite3.Connection]:
    """Give that database as a query sees it."""
    with database.reading(path) as opened:
        yield opened


def ask(connection: sqlite3.Connection, query_name: str, columns: str, /, **params: str | int) -> list[Row]:
    """Return some columns of the rows of a canned query."""
    canned = catalog.load(query_name)
    result = query.run(connection, canned.sql, dict.fromkeys(canned.params) | params)
    places = [result.columns.index(column) for column in columns.split()]
    return [tuple(row[place] for place in places) for row in result.rows]


# Known rows ---------------------------------------------------------------------------------------------------------

KNOWN: list[tuple[str, str, dict[str, str | int], list[Row]]] = [
    ("find-file", "position visible hidden_by", {"name": "app", "image": "app:1"}, [
        (0, 0, 1), (1, 0, 2), (2, 1, None)]),
    ("find-file", "type position visible hidden_by", {"path": "/srv/old", "image": "app:1"}, [
        ("file", 0, 0, 1), ("whiteout", 1, 0, 2), ("file", 2, 1, None)]),
    ("find-file", "path visible hidden_by", {"path": "/lib/*", "image": "app:1"}, [("/lib/x", 0, 1)]),
    ("find-file", "path visible hidden_by", {"name": "[abc]", "image": "app:1"}, [
        ("/var/cache/a", 0, 1), ("/var/cache/b", 0, 1), ("/var/cache/c", 0, 2)]),
    ("find-file", "container position visible hidden_by", {"path": "/srv/app", "container": "box"}, [
        ("box", 0, 0, "container"), ("box", None, 1, None)]),
    ("image-files", "path type size position", {"image": "app:1", "under": "/srv"}, [
        ("/srv", "dir", 0, 2), ("/srv/app", "file", 4, 2), ("/srv/old", "file", 4, 2)]),
    ("image-files", "path type link_target", {"image": "app:1", "under": "/lib"}, [("/lib", "symlink", "usr/lib")]),
    ("image-files", "path", {"image": "app:1", "under": "/var"}, []),
    ("image-files", "type size link_target", {"image": "plain:1", "under": "/link"}, [("hardlink", 0, "/copy1")]),
    ("image-files", "type size link_target", {"image": "other:1", "under": "/link"}, [("file", 4, None)]),
    ("image-files", "path", {"image": "empty:1"}, []),
    ("deleted-files", "path size how position hidden_in", {"image": "app:1"}, [
        ("/var/cache/b", 9, "folder", 0, 1), ("/var/cache/a", 8, "folder", 0, 1), ("/lib/x", 6, "folder", 0, 1),
        ("/srv/old", 5, "whiteout", 0, 1), ("/root/.env", 3, "whiteout", 0, 1), ("/srv/app", 3, "overwritten", 1, 2),
        ("/srv/app", 2, "overwritten", 0, 1), ("/var/cache/c", 1, "folder", 1, 2)]),
    ("wasted-space", "path copies total_bytes wasted_bytes shows", {"image": "app:1"}, [
        ("/var/cache/b", 1, 9, 9, 0), ("/var/cache/a", 1, 8, 8, 0), ("/lib/x", 1, 6, 6, 0), ("/srv/app", 3, 9, 5, 1),
        ("/srv/old", 2, 9, 5, 1), ("/root/.env", 1, 3, 3, 0), ("/var/cache/c", 1, 1, 1, 0)]),
    ("duplicates", "size copies layers reclaimable_bytes example", {}, [(4, 4, 2, 12, "/copy1")]),
    ("duplicates", "size copies", {"min_size": 0}, [(4, 4), (0, 2)]),
    ("largest-files", "size path role", {"top": 2}, [(9, "/var/cache/b", "layer"), (8, "/new", "layer")]),
    ("largest-dirs", "bytes files path", {"top": 2, "depth": 1}, [(60, 14, "/"), (23, 5, "/")]),
    ("inodes", "inodes files dirs symlinks hardlinks others", {"top": 1}, [(21, 14, 7, 0, 1, 0)]),
    ("suid", "path mode images", {}, [("/usr/su", "4755", "app:1; other:1; plain:1")]),
    ("capabilities", "path capability", {}, [("/usr/ping", CAPABILITY.hex())]),
    ("compare-images", "kind path", {"a": "plain:1", "b": "other:1"}, [
        ("mode", "/copy1"), ("owner", "/copy2"), ("content", "/etc/passwd"), ("type", "/lib/x"), ("only b", "/new"),
        ("size, content", "/srv/app"), ("only a", "/srv/old")]),
    ("compare-images", "kind", {"a": "plain:1", "b": "plain:1"}, []),
    ("drift", "path", {}, []),
    ("secrets", "path pattern visible position", {"image": "app:1"}, [
        ("/root/.env", "environment file", 0, 0), ("/root/id_rsa", "private key", 1, 0)]),
    ("file-history", "position path type", {"image": "app:1", "path": "/srv/old"}, [
        (0, "/srv/old", "file"), (1, "/srv/old", "whiteout"), (2, "/srv/old", "file")]),
    ("file-history", "position path type", {"image": "app:1", "path": "/var/cache/a"}, [
        (0, "/var/cache/a", "file"), (1, "/var/cache", "dir"), (2, "/var", "whiteout")]),
    ("container-changes", "kind path", {"container": "box"}, [("C", "/srv"), ("C", "/srv/app"), ("A", "/srv/new")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "columns", "params", "rows"), KNOWN)
def test_known_rows(
    connection: sqlite3.Connection, name: str, columns: str, params: dict[str, str | int], rows: list[Row]
) -> None:
    """The rows are those that the definitions give by hand."""
    assert rows == ask(connection, name, columns, **params)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes whiteouts on disk")
def test_changes_that_hide(connection: sqlite3.Connection) -> None:
    """A whiteout deletes, an opaque folder deletes what the image shows in it, as docker diff says."""
    gone = [("C", "/var/cache"), ("D", "/var/cache/a"), ("D", "/var/cache/b"), ("A", "/var/cache/z")]
    expected = [("C", "/srv"), ("D", "/srv/old"), ("C", "/var"), *gone]

    assert expected == ask(connection, "container-changes", "kind path", container="wiper")


def test_two_hosts(tmp_path: Path) -> None:
    """An image on two hosts has its rows once for each."""
    file = str(tmp_path / "two.db")
    for seed, host in enumerate(("one", "two")):
        scanned(file, build(tmp_path / host, seed).path, host)

    with database.reading(file) as connection:
        rows = ask(connection, "image-files", "path host", image="app:1", under="/srv/app")
        assert [("/srv/app", "one"), ("/srv/app", "two")] == rows
        assert [(12, "one"), (12, "two")] == ask(connection, "duplicates", "reclaimable_bytes host")
        assert 14 == len(ask(connection, "compare-images", "path", a="plain:1", b="other:1"))


def test_hard_links_have_the_content_of_what_they_name(tmp_path: Path) -> None:
    """A link whose file is another one differs; which of its names comes first in the tar is no difference."""
    root = DataRoot(tmp_path / "docker")
    trees: dict[str, Files] = {
        "old": {"a": b"old", "b": hardlink("a"), "c": hardlink("a")},
        "new": {"a": b"newer", "b": hardlink("a"), "c": hardlink("a")},
        "turned": {"c": b"old", "a": hardlink("c"), "b": hardlink("c")},
    }
    layers = {name: root.layer(files) for name, files in trees.items()}
    for name, layer in layers.items():
        root.image(layer, [f"{name}:1"])
    root.image(root.layer({"a": whiteout()}, parent=layers["old"]), ["cut:1"])
    file = str(tmp_path / "links.db")
    scanned(file, root.path)

    with database.reading(file) as connection:
        differ = "size, content"
        expected = [(differ, f"/{name}", 3, 5) for name in "abc"]
        assert expected == ask(connection, "compare-images", "kind path size_a size_b", a="old:1", b="new:1")
        assert [] == ask(connection, "compare-images", "kind path size_a size_b", a="old:1", b="turned:1")
        crc = ask(connection, "image-files", "crc64", image="old:1", under="/a")[0][0]
        found = ask(connection, "image-files", "path type size link_target crc64", image="cut:1")
        assert [("/b", "file", 3, None, crc), ("/c", "hardlink", 0, "/b", None)] == [
            row for row in found if row[0] != "/"
        ]
        assert [] == ask(connection, "deleted-files", "path", image="cut:1")
        assert [] == ask(connection, "wasted-space", "path", image="cut:1")


# Random stacks ------------------------------------------------------------------------------------------------------

STACKS = 150
KINDS = ("file", "whiteout", "dir", "opaque", "implied")
FOLDERS = ("dir", "opaque", "implied")
LINK = "hard link to "


def random_layer(rng: random.Random) -> dict[str, str]:
    """Return what a layer says of each path: its kind, what it links to, or that its tar only implies the folder."""
    layer: dict[str, str] = {}

    def fill(prefix: str, depth: int) -> None:
        for name in "abc":
            if rng.random() < 0.5:
                continue
            path = f"{prefix}{name}"
            kind = rng.choice(KINDS if depth < 3 else KINDS[:2])
            before = len(layer)
            layer[path] = kind
            if kind not in ("file", "whiteout"):
                fill(f"{path}/", depth + 1)
                if kind == "implied" and len(layer) == before + 1:
                    layer[path] = "dir"

    fill("", 1)
    files = sorted(path for path, kind in layer.items() if kind == "file")
    for number, path in enumerate(files[1:], 1):
        first = rng.choice(files[:number])
        if layer[first] == "file" and rng.random() < 0.3:
            layer[path] = f"{LINK}{first}"
    return layer


def tar_of(layer: Mapping[str, str], rng: random.Random) -> bytes:
    """Return the tar of such a layer, without the folders that it only implies."""
    make = {"file": lambda: regular(b"x" * rng.randint(1, 9)), "whiteout": whiteout, "opaque": opaque}
    files: dict[str, Node | bytes | None] = {
        path: hardlink(kind.removeprefix(LINK)) if kind.startswith(LINK) else make.get(kind, directory)()
        for path, kind in layer.items()
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(make_tar(files))) as whole, tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in whole:
            if layer.get(member.name) != "implied":
                tar.addfile(member, whole.extractfile(member) if member.isreg() else None)
    return buffer.getvalue()


def merged(stack: list[dict[str, str]]) -> dict[str, tuple[int, str]]:
    """Return the merged tree of layers as overlayfs shows it: for each path its layer and kind.

    Of a hard link's names that show, the first one of the tar is the file, or else the first by path.
    """
    shown: dict[str, tuple[int, str]] = {}
    for position, layer in enumerate(stack):
        for path, kind in layer.items():
            for old in list(shown):
                replaced = old == path and (kind not in FOLDERS or shown[old][1] not in FOLDERS)
                if replaced or (old.startswith(f"{path}/") and kind not in ("dir", "implied")):
                    del shown[old]
        shown |= {path: (position, kind) for path, kind in layer.items() if kind != "whiteout"}
    tree: dict[str, tuple[int, str]] = {}
    heirs: dict[tuple[int, str], str] = {}
    for path, (position, kind) in sorted(shown.items()):
        first = kind.removeprefix(LINK)
        if kind in FOLDERS:
            tree[path] = (position, "dir")
        elif kind == "file" or (
            shown.get(first) != (position, "file") and heirs.setdefault((position, first), path) == path
        ):
            tree[path] = (position, "file")
        else:
            tree[path] = (position, "hardlink")
    return tree


def test_random_stacks(tmp_path: Path) -> None:
    """The queries agree with a plain merge of the layers, and with each other, on whatever lies on whatever."""
    rng = random.Random(3)
    root = DataRoot(tmp_path / "docker")
    images: dict[str, list[dict[str, str]]] = {}
    for number in range(STACKS):
        stack = [random_layer(rng) for _ in range(rng.randint(1, 5))]
        top: Layer | None = None
        for layer in stack:
            top = root.layer(tar=tar_of(layer, rng), parent=top)
        root.image(top or (), [f"random:{number}"])
        images[f"random:{number}"] = stack
    scanned(str(tmp_path / "random.db"), root.path)

    with database.reading(str(tmp_path / "random.db")) as connection:
        for tag, stack in images.items():
            agree(connection, tag, stack)


def agree(connection: sqlite3.Connection, tag: str, stack: list[dict[str, str]]) -> None:
    """Compare all queries about one image."""
    tree = merged(stack)
    expected = sorted((f"/{path}", position, kind) for path, (position, kind) in tree.items())
    shown = ask(connection, "image-files", "path position type", image=tag)
    assert expected == sorted(shown), stack

    listed = [(f"/{path}", position) for position, layer in enumerate(stack) for path in layer]
    files = [(path, position) for path, position in listed if stack[position][path[1:]] == "file"]
    deleted = ask(connection, "deleted-files", "path position size", image=tag)
    said = [(path, position, stack[position][path[1:]]) for path, position, kind in shown if kind != "dir"]
    visible = {(path if kind == "file" else f"/{kind.removeprefix(LINK)}", position) for path, position, kind in said}
    assert sorted(files) == sorted([*(row[:2] for row in deleted), *visible]), stack

    wasted: Counter[str] = Counter()
    for path, _, size in deleted:
        wasted[path] += size
    assert dict(wasted) == dict(ask(connection, "wasted-space", "path wasted_bytes", image=tag)), stack

    found = ask(connection, "find-file", "path position visible", name="[abc]", image=tag)
    assert sorted(listed) == sorted(row[:2] for row in found), stack
    assert sorted(row[:2] for row in shown) == sorted(row[:2] for row in found if row[2]), stack

    hidden = {
        row[:2]: row[2] for row in ask(connection, "find-file", "path position hidden_by", name="[abc]", image=tag)
    }
    for path, position, first in ask(connection, "deleted-files", "path position hidden_in", image=tag):
        assert hidden[path, position] == first, stack
