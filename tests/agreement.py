"""Every file query about the images of a store, held against the model of their layers."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests import overlay_model as model
from tests.overlay_model import Entry, Image
from tests.test_file_queries import ask

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    Row = tuple[Any, ...]

PATHS = 5
"""Of how many paths of an image each the history is asked."""


def key(row: Row) -> list[tuple[bool, Any]]:
    """Order rows in which something may be NULL."""
    return [(value is None, str(value)) for value in row]


def same(what: object, expected: list[Row], found: list[Row]) -> None:
    """Compare rows in no order; say which image and query it is."""
    missing = sorted(set(expected) - set(found), key=key)
    extra = sorted(set(found) - set(expected), key=key)
    assert ([], [], len(expected)) == (missing, extra, len(found)), (what, missing, extra)


def seconds(text: str | None) -> int | None:
    """Return a time that a query printed."""
    return None if text is None else int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def listing(connection: sqlite3.Connection, tag: str) -> tuple[dict[str, Entry], set[frozenset[str]]]:
    """Return what `image-files` shows, hard links as what they name, and the sets of names of one file."""
    columns = "path type mode uid gid size modified_at link_target crc64"
    found: dict[str, Entry] = {}
    sets: dict[str, set[str]] = {}
    links = {}
    for path, kind, mode, uid, gid, size, time, link, crc in ask(connection, "image-files", columns, image=tag):
        bits = None if mode is None else int(mode, 8)
        number = None if crc is None else int(crc, 16)
        found[path] = Entry(kind, bits, uid, gid, size, seconds(time), link, None, number)
        if kind == "hardlink":
            links[path] = link
    for path, first in links.items():
        sets.setdefault(first, {first}).add(path)
        own, named = found[path], found[first]
        found[path] = own._replace(kind=named.kind, size=named.size, link=named.link, crc=named.crc)
    return found, {frozenset(names) for names in sets.values()}


def image_agrees(connection: sqlite3.Connection, tag: str, image: Image) -> None:
    """Compare what is asked of one image."""
    tree = {path: entry._replace(device=None, capability=None, opaque=False) for path, entry in image.tree().items()}
    found, sets = listing(connection, tag)
    assert tree == found, tag
    assert image.names() == sets, tag
    positions = ask(connection, "image-files", "path position", image=tag)
    assert image.shown == dict(positions), tag

    columns = "path type size mode position visible hidden_by"
    rows = [row for row in ask(connection, "find-file", columns, name="*", image=tag) if row[0] != "/"]
    rows = [(*row[:3], None if row[1] == "whiteout" else row[3], *row[4:]) for row in rows]
    rows = [row if row[2] is not None else (*row[:2], 0, *row[3:]) for row in rows]
    same((tag, "find-file"), image.find_file(), rows)
    same(
        (tag, "deleted-files"),
        image.deleted_files(),
        ask(connection, "deleted-files", "path size how position hidden_in", image=tag),
    )
    same(
        (tag, "wasted-space"),
        image.wasted_space(),
        ask(connection, "wasted-space", "path copies total_bytes wasted_bytes shows", image=tag),
    )
    secrets = ask(connection, "secrets", "what path pattern size position visible", image=tag, all="yes")
    same((tag, "secrets"), image.secrets(), [row[1:] for row in secrets if row[0] == "file"])
    for path in sorted({path for path, _, _ in image.entries()})[:PATHS]:
        history = ask(connection, "file-history", "position path type", path=path, image=tag)
        same((tag, "file-history", path), image.file_history(path), history)


def container_agrees(connection: sqlite3.Connection, name: str, image: Image) -> None:
    """Compare what a container shows: which of a file's names is the first is the disk's order."""
    sql = """SELECT path, type, size, link_target, position FROM container_files WHERE container = ? AND path <> '/'"""
    rows = connection.execute(sql, (name,)).fetchall()
    kinds = {path: (kind, size) for path, kind, size, _, _ in rows}
    kinds |= {path: kinds[link] for path, kind, _, link, _ in rows if kind == "hardlink"}
    assert {path: (entry.kind, entry.size) for path, entry in image.tree().items()} == kinds, name
    assert image.shown == {path: position for path, _, _, _, position in rows}, name
    sets: dict[str, set[str]] = {}
    for path, kind, _, link, _ in rows:
        if kind == "hardlink":
            sets.setdefault(link, {link}).add(path)
    assert image.names() == {frozenset(names) for names in sets.values()}, name


def pairs_agree(connection: sqlite3.Connection, images: Mapping[str, Image]) -> int:
    """Compare each image with the next; return how many differences there were."""
    tags = list(images)
    total = 0
    for a, b in pairwise(tags):
        expected = model.compared(images[a], images[b])
        same((a, b, "compare-images"), expected, ask(connection, "compare-images", "kind path", a=a, b=b))
        total += len(expected)
    return total


PER_LAYER = {
    "suid": ("path mode uid gid size", {}),
    "capabilities": ("path mode capability size", {}),
    "inodes": ("inodes files dirs symlinks hardlinks others", {"top": 10**6}),
    "largest-files": ("size path", {"top": 10**6}),
    "largest-dirs": ("bytes files path", {"top": 10**6, "depth": 99}),
}


def layers_agree(connection: sqlite3.Connection, images: Mapping[str, Image], chains: Mapping[str, list[str]]) -> None:
    """Compare what is asked of single layers; `chains` are the chain ids of each image's layers."""
    layers = {
        chain: layer for tag, image in images.items() for chain, layer in zip(chains[tag], image.layers, strict=True)
    }
    sql = "SELECT chain_id, cache_id FROM layers"
    places = {chain: cache for chain, cache in connection.execute(sql) if chain in layers}
    assert layers.keys() == places.keys()
    rows = {chain: model.of_layer(layer) for chain, layer in layers.items()}
    for name, (columns, params) in PER_LAYER.items():
        expected = [(*row, places[chain]) for chain in layers for row in rows[chain][name]]
        found = ask(connection, name, f"{columns} cache_id", **params)
        same(name, expected, [row for row in found if row[-1] in places.values()])
    copies = ask(connection, "duplicates", "crc64 size copies layers", top=0)
    same("duplicates", model.duplicates(list(layers.values())), copies)
