"""One image in a store of each engine: every canned query says the same of it, but for ids of directories and sizes."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import catalog, database, query, scan, shipped
from layerindex.records import Features
from layerindex.stores import open_stores
from tests import containerd_root
from tests.containerd_root import ContainerdRoot
from tests.dataroot import DataRoot, Files, hardlink, opaque, regular, symlink, whiteout
from tests.rewrite import changing
from tests.storageroot import StorageRoot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

    from tests.dataroot import Layer

    Row = dict[str, Any]

BASE: Files = {
    "bin/sh": regular(b"#!" * 50, mode=0o4755),
    "bin/ash": hardlink("bin/sh"),
    "etc/conf": b"old",
    "etc/gone": b"gone",
    "usr/ping": regular(b"ping", xattrs={"security.capability": b"\1\0\0\2\0\x20\0\0" + bytes(12)}),
    "var/lib/a": b"below an opaque folder",
    "var/run": symlink("/run"),
}
TOP: Files = {
    "etc/conf": b"new",
    "etc/gone": whiteout(),
    "root/.ssh/id_rsa": b"secret",
    "srv/copy": regular(b"#!" * 50),
    "var/lib": opaque(),
    "var/lib/b": b"b",
}
OTHER: Files = {"srv/other": b"other"}
CHILD: Files = {"srv/child": b"child"}
CHANGED: Files = {"etc/conf": regular(b"mine"), "new": regular(b"n")}
NAMES = ("reg.example/app:1", "reg.example/other:1", "reg.example/child:1")
STORES = {
    "docker": "docker-overlay2",
    "containerd": "containerd-overlayfs",
    "podman": "containers-storage-overlay",
}
OWN = {
    # Names on one disk and in one database, and times: each store has its own.
    *(
        "cache_id",
        "directory",
        "link",
        "host",
        "namespace",
        "snapshot_id",
        "root",
        "store",
        "mount_id",
        "container_id",
        "location",
    ),
    *(
        "image_id",
        "a_image_id",
        "b_image_id",
        "other_image_id",
        "created_at",
        "last_updated_at",
        "last_used",
        "log_path",
    ),
    *(
        "seen_at",
        "started_at",
        "modified_at",
        "id",
        "init_id",
        "created",
        "pulled_as",
        "digests",
        "lower_count",
        "owners",
    ),
    # What each engine counts in its own way; the layers' listings are compared by other columns.
    *("size", "shared_size", "unique_size", "newest", "saved_bytes", "extra_bytes"),
    *("created_by", "age_days"),
}
PARAMS: dict[str, Row] = {
    "compare-images": {"a": NAMES[0], "b": NAMES[1]},
    "container-changes": {"container": "web"},
    "file-history": {"image": NAMES[0], "path": "/etc/conf"},
    "find-file": {"name": "conf"},
    "image-files": {"image": NAMES[0]},
}
ONLY = {
    "listing-conflicts",
    # What other stores do not have, or a scan like this one does not find.
    *("broken-links", "build-cache", "drift", "links", "logs", "volumes", "snapshots", "orphans", "stale-mounts"),
    *("missing-data", "problems", "incomplete-layers", "unreferenced-layers", "dangling-images", "children"),
    # What is said of a whole fleet is tested below; what follows from sizes is another thing in each store.
    *("fleet-sharing", "growth", "host-similarity", "outliers", "tag-drift", "disk-usage", "reclaim", "plan"),
    # A container's name, state and init layer are what its engine, or its client, writes.
    *("containers", "last-used", "dirs", "inodes", "largest-dirs", "largest-files", "owner", "layers"),
}


def blob(layer: Layer) -> containerd_root.Layer:
    """Return a layer of Docker's as containerd keeps it."""
    tar = layer.tar or b""
    return containerd_root.Layer({}, tar, gzip.compress(tar, 1, mtime=0), containerd_root.digest(tar))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database of three hosts, each with another engine, and all with the same two images and a container."""
    folder = tmp_path_factory.mktemp("alike")
    docker = DataRoot(folder / "docker")
    base = docker.layer(BASE)
    top, other = docker.layer(TOP, parent=base), docker.layer(OTHER, parent=base)
    child = docker.layer(CHILD, parent=top)
    images = [docker.image(layer, [name]) for layer, name in zip((top, other, child), NAMES, strict=True)]
    docker.container(images[0], name="web", files=CHANGED)

    podman = StorageRoot(folder / "podman")
    below = podman.layer(BASE)
    above = podman.layer(TOP, parent=below)
    app = podman.image(above, NAMES[:1])
    podman.image(podman.layer(OTHER, parent=below), NAMES[1:2])
    podman.image(podman.layer(CHILD, parent=above), NAMES[2:])
    podman.container(app, name="web", files=CHANGED)
    podman.save()

    containerd = ContainerdRoot(folder / "containerd")
    stacks = ((base, top), (base, other), (base, top, child))
    found = [containerd.image(name, list(map(blob, stack))) for name, stack in zip(NAMES, stacks, strict=True)]
    number = containerd.container("web", found[0])
    containerd.files[number] = {"etc/conf": b"mine", "new": b"n"}
    containerd.write()

    db = folder / "all.db"
    for host in STORES:
        for store in open_stores(str(folder / host)):
            with database.writing(str(db), print) as connection:
                scan.scan(connection, store, scan.Filing(scan.Host(host, None)))
    return db


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    """Give it as a query sees it."""
    with database.reading(str(path)) as opened:
        yield opened


def rows(db: Path, query_name: str, host: str | None = None, **params: object) -> list[Row]:
    """Return the rows of a query about one host, or all."""
    with database.reading(str(db)) as connection:
        if host:
            query.select_snapshots(connection, [host], [])
        defaults = {key: param.default for key, param in catalog.load(query_name).params.items()}
        result = query.run(connection, catalog.load(query_name).sql, defaults | params)
        return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def test_the_stores(connection: Connection) -> None:
    """They are three stores without a problem, of the same layers and files."""
    found = dict(connection.execute("SELECT h.name, s.store FROM snapshots AS s JOIN hosts AS h USING (host_id)"))
    assert found == STORES
    problems = "SELECT code, path, detail FROM problems WHERE severity <> 'info'"
    assert connection.execute(problems).fetchall() == []
    layers = "SELECT count(*), count(DISTINCT chain_id), count(DISTINCT listing_id) FROM layers"
    assert connection.execute(layers).fetchone() == (12, 4, 4)


@pytest.mark.parametrize("name", [name for name in catalog.names() if name not in ONLY])
def test_a_query_says_the_same(path: Path, name: str) -> None:
    """Of each store a query gives the same rows, but for what is each store's own."""
    answers = {}
    for host in STORES:
        found = rows(path, name, host, **PARAMS.get(name, {}))
        answers[host] = sorted(
            [{column: value for column, value in row.items() if column not in OWN} for row in found], key=repr
        )
    assert answers["docker"]
    assert answers["docker"] == answers["containerd"]
    assert answers["docker"] == answers["podman"]


def test_only_docker_counts_as_docker_does(path: Path) -> None:
    """Of Docker's store some rows are counted by docker system df; of the others' none is said to be, or not to be."""
    counted = {
        host: {row["category"]: row["counted_by_docker"] for row in rows(path, "disk-usage", host)} for host in STORES
    }
    some = {category: count for category, count in counted["docker"].items() if count != 0}
    assert {"image layer": 4, "container writable": 1, "total": 5} == some
    assert {None} == {*counted["containerd"].values(), *counted["podman"].values()}


def test_the_fleet(path: Path) -> None:
    """Hosts of different engines are compared by content: they share all, and no tag names another image."""
    assert rows(path, "tag-drift") == []
    assert rows(path, "outliers") == []
    (whole, *hosts) = rows(path, "fleet-sharing")
    assert (whole["stored_layers"], whole["distinct_layers"]) == (12, 4)
    assert [(each["stored_layers"], each["unique_layers"]) for each in hosts] == [(4, 0)] * 3
    similar = {(row["host"], row["other"], row["shared_layers"]) for row in rows(path, "host-similarity")}
    assert similar == {(a, b, 4) for a in STORES for b in STORES if a != b}
    contents = {(row["image"], row["content"]) for row in rows(path, "image-hosts")}
    assert {image for image, _ in contents} == set(NAMES)
    assert len(contents) == len(NAMES)


@pytest.mark.parametrize("host", STORES)
def test_owner_of_a_path(path: Path, host: str) -> None:
    """A path in any store leads to its directory, below the root and in a copy of it, and to no other host's."""
    (snapshot,) = [row for row in rows(path, "snapshots") if row["host"] == host]
    with database.reading(str(path)) as connection:
        sql = """SELECT s.root, s.folder, y.cache_id FROM snapshots AS s JOIN layers AS y USING (snapshot_id)
          WHERE s.snapshot_id = ? ORDER BY y.cache_id"""
        found = connection.execute(sql, (snapshot["snapshot_id"],)).fetchall()
    for root, folder, cache_id in found:
        for start in (f"{root}/", "/mnt/overlay/copy/", "/mnt/snapshots/1/"):
            thing = f"{start}{folder}/{cache_id}/fs/overlay2/x/overlay/y/snapshots/1"
            answer = {(row["host"], row["directory"]) for row in rows(path, "owner", thing=thing)}
            assert answer == {(host, cache_id)}


def test_owner_of_a_short_name(path: Path) -> None:
    """A short name leads to its directory in overlay2 and in Podman's overlay; a number is whole in containerd."""
    with database.reading(str(path)) as connection:
        links = connection.execute("SELECT link, cache_id FROM overlay_dirs WHERE link IS NOT NULL").fetchall()
    assert links
    for link, cache_id in links:
        for thing in (link, f"/mnt/overlay/l/{link}/etc", f"l/{link}"):
            assert {row["directory"] for row in rows(path, "owner", thing=thing)} == {cache_id}


@pytest.fixture
def spelt(path: Path, tmp_path: Path) -> Path:
    """Give the database where Docker's host has Docker Hub's image by its short name, and the others in full."""
    copy = Path(shutil.copy(path, tmp_path / "spelt.db"))
    with changing(copy) as connection:
        connection.execute(
            """UPDATE image_refs SET normalized = 'docker.io/library/child:latest', tag = 'latest',
            ref = iif(snapshot_id = 1, 'child:latest', 'docker.io/library/child:latest')
            WHERE ref = ?""",
            NAMES[2:],
        )
    return copy


@pytest.mark.parametrize("word", ["child", "child:latest", "library/child", "docker.io/library/child:latest"])
def test_a_reference_as_any_engine_spells_it(spelt: Path, word: str) -> None:
    """A name finds the image on every host, however that host's engine stores it."""
    everywhere = sorted(STORES)
    assert [row["host"] for row in rows(spelt, "image-hosts", image=word)] == everywhere
    assert [row["host"] for row in rows(spelt, "images", image=word)] == everywhere
    for name in ("first-seen", "last-seen"):
        assert [(row["kind"], row["host"]) for row in rows(spelt, name, image=word)] == [
            (kind, host) for host in everywhere for kind in ("image", "tag")
        ]
    gone = [(row["host"], row["exclusive_layers"], row["blocked_by"]) for row in rows(spelt, "reclaim", image=word)]
    assert gone == [(host, 1, None) for host in everywhere]
    with database.reading(str(spelt)) as connection:
        params: Row = {**dict.fromkeys(("kind", "root", "driver", "folder")), "word": word, "shortest": 2}
        found = query.run(connection, shipped.query("show", "find"), params)
        assert sorted(row[found.columns.index("host")] for row in found.rows) == everywhere
        # 4 is not there, so that all files of 1 are those of one side only.
        for other, differ in ((3, False), (4, True)):
            params = {"a": 1, "b": other, "image": word, "container": None}
            assert differ == bool(list(query.run(connection, shipped.query("compare", "tree"), params).rows))


# No query and no module outside stores/ asks which engine a store is of, or which driver ------------------------------

OPERATOR = r"(=|==|<>|!=|IS|(NOT )?(IN|GLOB|LIKE)|WHEN)"
ASKS = re.compile(rf"\b(driver|store|snapshotter)\)?\s*{OPERATOR}\s*\(?\s*['\"](?!local')", re.IGNORECASE)
ELSEWHERE = {"layerindex/listings/rules.py", "queries/plan.sql"}
"""How a driver's kernel module marks deletions is told by its name; and what logs can be cut, by their own driver."""
TEXTS = [*Path("queries").rglob("*.sql"), *Path("layerindex").rglob("*.py"), Path("layerindex/schema.sql")]


def test_nothing_asks_for_an_engine() -> None:
    """What differs between stores is a column of `snapshots`, or a method of the store."""
    outside = [path for path in TEXTS if path.parts[:2] != ("layerindex", "stores")]
    texts = {path.as_posix(): re.sub(r"^-- .*", "", path.read_text(), flags=re.MULTILINE) for path in outside}
    assert len(texts) > 100
    found = {path: match[0] for path, text in texts.items() if (match := ASKS.search(text))}
    assert found.keys() == ELSEWHERE
    assert all(ASKS.search(text) for text in ("s.store LIKE 'docker-%'", "s.driver IN ('overlay2')"))


@pytest.mark.parametrize(("host", "store"), STORES.items())
def test_features(path: Path, host: str, store: str) -> None:
    """A scan writes what the store says of itself, and a new feature is a column."""
    sql = f"SELECT {', '.join(Features._fields)} FROM snapshots JOIN hosts USING (host_id) WHERE name = ? AND store = ?"
    known = {"docker-overlay2": (1, 1, 1, 1, 0), "containers-storage-overlay": (1, 1, 0, 1, 0)}
    contained = (1, 0, 0, int(store.startswith("docker-")), 1)
    with database.reading(str(path)) as connection:
        assert connection.execute(sql, (host, store)).fetchall() == [known.get(store, contained)]
