"""Podman's files: the lists of containers-storage, images beside them, and the state in SQLite with its log."""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing
from functools import cache
from typing import Any

from layerindex import shapes
from layerindex.problems import Damage
from layerindex.stores.containers_storage import containers, images, layers
from layerindex.stores.containers_storage.libpod import TABLES, PodmanState, mounted, state
from layerindex.stores.containers_storage.lists import read_list
from layerindex.stores.disk.files import Folder
from layerindex.stores.disk.sqlite import read_rows
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.logs import Logs
from tools.fuzz import given, scratch
from tools.fuzz.checks import held, taken
from tools.fuzz.target import Target, hold
from tools.fuzz.targets.docker import CONFIG, DIGEST, ID, JSON_WORDS

PAGE = 512
WAL_HEADER, FRAME = 32, 24


def _two(name: str, data: bytes) -> dict[str, bytes]:
    """Return a list and, behind a NUL, its volatile twin."""
    first, nul, second = data.partition(b"\0")
    return {name: first, **({f"volatile-{name}": second} if nul else {})}


def _layers(data: bytes) -> None:
    with given.files("layers", _two(layers.LIST, data)) as folder:
        found = taken(layers.read_layers(folder), len(data))
    known = {item.layer_id: item for item in found if not isinstance(item, Damage)}
    chains = layers.Chains(known)
    hold(chains.of.keys() == known.keys(), "layers without a word on their chain", chains.of)
    hold(all(each is None or shapes.DIGEST.fullmatch(each) for each in chains.of.values()), "no chain", chains.of)
    rows = taken(layers.layer_records(known, chains, set(known)), len(data), each=3)
    hold(sum(type(row).__name__ == "StorageLayer" for row in rows) == len(known), "layers without a row", rows)


def _containers(data: bytes) -> None:
    with given.files("containers-storage", _two(containers.LIST, data)) as folder:
        found = taken(containers.read_containers(folder), len(data))
    ids = [item.container_id for item in found if not isinstance(item, Damage)]
    hold(len(ids) == len(set(ids)), "one container twice", ids)


def _images(data: bytes) -> None:
    """Read images.json, and for the image of one id a manifest and a config, with NULs between."""
    listed, manifest, config = (*data.split(b"\0", 2), b"", b"")[:3]
    contents = {images.LIST: listed, f"{ID}/manifest": manifest, f"{ID}/={CONFIG_KEY}": config}
    with given.files("images", contents) as folder:
        items = [item for item in taken(read_list(folder, images.LIST), len(data)) if not isinstance(item, Damage)]
        found = taken(images.read_items(folder, items), len(data))
    stored = [item for item in found if isinstance(item, images.StoredImage)]
    hold([item.storage_id for item in stored] == [item.id for item in items], "images without a word", stored)
    for item in stored:
        taken(images.references(item, DIGEST), len(data))


CONFIG_KEY = "c2hhMjU2OmExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTFhMWExYTE="
"""The name of the file with the config: its digest in base64."""


def _state(data: bytes) -> None:
    """Make rows of what Podman says of a container, its state and a volume, with NULs between."""
    texts = (*data.split(b"\0", 2), b"", b"")[:3]
    known = PodmanState({}, {}, {}, {}, [], found=True)
    with given.files("state", {f"{place}": text for place, text in enumerate(texts)}) as folder:
        for place, into in enumerate((known.containers, known.states, known.volumes)):
            try:
                into[ID if place < 2 else "v"] = Fields(folder.json(f"{place}"), "db.sql", ID)
            except Damage:
                continue
    container = containers.StoredContainer(ID, [], None, None, {}, None)
    row = containers.container_record(container, known, None, Logs([], []), "overlay")
    taken([row, *containers.container_volumes(ID, known)], len(data))
    hold(state(known, ID) == row.state, "two states", row)
    for config in known.containers.values():
        hold(len(mounted(config)) <= len(data), "more mounts than bytes")


# SQLite -------------------------------------------------------------------------------------------------------------


def _sqlite(data: bytes) -> None:
    """Read a database of so many pages, and behind that its log, whose checksums are put right."""
    pages, content = data[:1], data[1:]
    size = (pages[0] if pages else 0) * PAGE
    with given_files(content[:size], _summed(content[size:])) as folder:
        rows: list[tuple[str, tuple[Any, ...]]] = []
        try:
            rows.extend(read_rows(folder, "db.sql", TABLES))
        except Damage as found:
            held(found)
    hold({table for table, _ in rows} <= TABLES.keys(), "tables that nobody asked for", rows)
    room = sum(len(value) for _, row in rows for value in row if isinstance(value, str))
    hold(room <= 64 * len(data) + 4096, "rows that are larger than the input allows", room)


def given_files(database: bytes, log: bytes) -> Folder:
    """Return a folder with a database and its log on disk: what opens them wants files."""
    path = scratch.folder("sqlite")
    scratch.write(f"{path}/db.sql", database)
    if log:
        scratch.write(f"{path}/db.sql-wal", log)
    elif os.path.exists(f"{path}/db.sql-wal"):
        os.unlink(f"{path}/db.sql-wal")
    return Folder(path)


def _summed(log: bytes) -> bytes:
    """Return a log with right checksums, in the order of bytes that it says: sqlite.org/fileformat2.html 4.2."""
    if len(log) < WAL_HEADER:
        return log
    order = ">" if log[3] & 1 else "<"
    state = _sum(log[:24], (0, 0), order)
    summed = log[:24] + struct.pack(">2I", *state)
    size = WAL_HEADER
    while size + FRAME + PAGE <= len(log):
        frame = log[size : size + 8]
        page = log[size + FRAME : size + FRAME + PAGE]
        state = _sum(page, _sum(frame, state, order), order)
        summed += frame + log[16:24] + struct.pack(">2I", *state) + page
        size += FRAME + PAGE
    return summed + log[size:]


def _sum(data: bytes, state: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = state
    for first, second in struct.iter_unpack(f"{order}2I", data):
        one = one + first + two & 0xFFFFFFFF
        two = two + second + one & 0xFFFFFFFF
    return one, two


@cache
def _databases() -> tuple[bytes, ...]:
    """Return Podman's state as a database and its log, made by SQLite."""
    path = f"{scratch.folder('made')}/db.sql"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (f"PRAGMA page_size = {PAGE}", "PRAGMA journal_mode = WAL", "PRAGMA wal_autocheckpoint = 0"):
            connection.execute(statement)
        for table, (key, value) in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({key} TEXT PRIMARY KEY, {value} TEXT)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for table in TABLES:
            connection.execute(f"INSERT INTO {table} VALUES (?, ?)", (ID, '{"state": 3}'))  # noqa: S608 - our own names
        contents = []
        for name in (path, f"{path}-wal"):
            with open(name, "rb") as file:
                contents.append(file.read())
    return tuple(contents)


def _sqlite_seeds() -> list[bytes]:
    database, log = _databases()
    return [bytes([len(database) // PAGE]) + database + tail for tail in (log, b"")]


LISTS = b'[{"id":"%s","names":["n"],"created":"2023-11-14T22:15:00Z",%%s}]\0[]' % ID.encode()
LAYERS = LISTS % (b'"parent":"","diff-digest":"%s","diff-size":5,"flags":{"incomplete":true}' % DIGEST.encode())
TWO_LAYERS = (
    b'[{"id":"a","diff-digest":"%s"},{"id":"b","parent":"a","diff-digest":"%s","compressed-diff-digest":"%s",'
    b'"compressed-size":1,"toc-digest":"%s"},{"id":"c","parent":"c"}]' % ((DIGEST.encode(),) * 4)
)
IMAGES = LISTS[:-3] % (b'"layer":"a","mapped-layers":["b"],"big-data-names":["manifest","%s"]' % DIGEST.encode())
MANIFEST = b'{"schemaVersion":2,"mediaType":"m","config":{"digest":"%s"},"layers":[]}' % DIGEST.encode()
CONTAINERS = LISTS % rb'"image":"a","layer":"b","metadata":"{\"image-name\":\"i\",\"pod-id\":\"p\"}"'
STATE = (
    b'{"name":"web","rootfsImageName":"i","createdTime":"2023-11-14T22:15:00Z","logDriver":"k8s-file","pod":"p",'
    b'"namedVolumes":[{"dest":"/d","volumeName":"v","options":["ro"]}],"userVolumes":["/m"],'
    b'"imageVolumes":[{"dest":"/i","source":"s","rw":true}],"overlayVolumes":[{"dest":"/o","source":"s"}],'
    b'"spec":{"mounts":[{"destination":"/m","type":"bind","source":"/s","options":["rw"]}]}}\0'
    b'{"state":4,"exitCode":1,"startedTime":"2023-11-14T22:15:00Z"}\0{"volumeDriver":"local","mountPoint":"/v"}'
)
WORDS = (*JSON_WORDS, b'"id":"', b'"parent":"', b"\0", b'"names":[', b'"flags":{', b'"layer":"')

TARGETS = (
    Target(
        "storage-layers",
        "layers.json gives a row and a chain or none for each layer, or Damage.",
        lambda: [LAYERS, TWO_LAYERS],
        _layers,
        WORDS,
        2048,
    ),
    Target(
        "storage-images",
        "images.json with a manifest and a config gives one image for each record, or Damage.",
        lambda: [b"\0".join((IMAGES, MANIFEST, CONFIG))],
        _images,
        (*WORDS, b'"big-data-names":["'),
        4096,
    ),
    Target(
        "storage-containers",
        "containers.json gives each container once, or Damage.",
        lambda: [CONTAINERS],
        _containers,
        WORDS,
        2048,
    ),
    Target(
        "podman-state",
        "What Podman says of a container gives one row and its mounts, whatever it is.",
        lambda: [STATE],
        _state,
        (*WORDS, b'"spec":{', b'"state":'),
        2048,
    ),
    Target(
        "podman-sqlite",
        "Podman's database and its log give rows within their size, or Damage.",
        _sqlite_seeds,
        _sqlite,
        (b"CREATE TABLE ", b" AS (", b" GENERATED ALWAYS AS ", b"VIRTUAL", b"zeroblob(9)"),
        16384,
    ),
)
