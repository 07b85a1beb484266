"""`layerindex tree`: every layer stands once in a forest, whatever a store says, and all of it fits a terminal."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from layerindex import catalog, database, query, scan, screen, shipped, stores
from layerindex.cli import group
from layerindex.screen.text import width
from layerindex.tree import forest, text
from layerindex.tree.things import Container, Image, Layer, Store
from tests import exhibits, terminal
from tests.containerd_root import ContainerdRoot
from tests.dataroot import DataRoot, big_store
from tests.rewrite import rewriting
from tests.storageroot import StorageRoot
from tests.test_containers_storage_bad import World as GraphRoot
from tests.test_owner_queries import METADATA

if TYPE_CHECKING:
    from pathlib import Path

STORE = Store(1, "one", "docker-overlay2", "/r", "overlay2", "2026-01-01T00:00:00.000Z", None, None)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database with rows in it, not to be changed."""
    return exhibits.build(tmp_path_factory.mktemp("exhibits")).path


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Give an empty data root."""
    return DataRoot(tmp_path / "docker", privileged=os.geteuid() == 0)


def scanned(root: DataRoot | StorageRoot | ContainerdRoot, *, name: str = "one") -> str:
    """Scan a root into a database beside it and return that."""
    path = str(root.path.parent / "tree.db")
    with database.writing(path, lambda _: None) as connection:
        for store in stores.open_stores(str(root.path)):
            scan.scan(connection, store, scan.Filing(scan.Host(name, None)), METADATA)
    return path


def tree(path: str, *words: str) -> list[str]:
    """Return the lines that the command prints below its heading of each store."""
    result = CliRunner().invoke(group, ["tree", "--db", path, *words])
    assert 0 == result.exit_code, result.output
    return result.stdout.splitlines()


def trees(path: str, *words: str) -> list[dict[str, Any]]:
    """Return what the command says as JSON."""
    found: list[dict[str, Any]] = json.loads("\n".join(tree(path, "--format", "json", *words)))
    return found


def named(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the images of a forest by their first tag, each with the number of its node."""
    return {
        (image["tags"] or [image["image_id"]])[0]: image | {"node": node["node"]}
        for node in found["nodes"]
        for image in node["images"]
    }


def sized(root: DataRoot, size: int, *parent: Any, **more: Any) -> Any:  # noqa: ANN401 - what layer takes and returns
    """Add a layer without files."""
    below = parent[0] if parent else None
    return root.layer(parent=below, size=size, metadata_only=True, diff_id=f"sha256:{size:064x}", **more)


# What is shown ------------------------------------------------------------------------------------------------------


def test_a_forest(root: DataRoot) -> None:
    """Layers that nothing parts are one line; images, containers and what else stands on it hang below, in order."""
    base = sized(root, 3_000_000, sized(root, 1_000_000))
    middle = sized(root, 500_000, base)
    app = sized(root, 20_000, sized(root, 200_000, middle))
    debian = root.image(base, ["debian:12"], history=[{"created_by": "ADD a"}, {"created_by": "ADD b"}])
    root.image(app, ["app:1", "app:latest"], history=[{"created_by": f"RUN {number}"} for number in range(5)])
    copy = root.image(app, ["copy:1"], config={"Labels": {"a": "b"}})
    other = root.image(sized(root, 7000, middle))
    root.container(debian, name="shell", state="running")
    root.container(copy, name="web", state="exited")
    cached = sized(root, 900, base)
    root.build_record(cached, record_id="a" * 25, cache_description="RUN make")
    root.image(sized(root, 42), ["alone:1"])
    root.image((), ["empty:1"])

    names = {
        middle.chain_id: "middle------", app.chain_id: "app---------", cached.chain_id: "cached------",
        other.image_id: "other-------",
    }  # fmt: skip
    told = "\n".join(tree(scanned(root))).replace(str(root.path), "/r")
    for id_, name in names.items():
        told = told.replace(id_[7:19], name)
    assert EXPECTED.strip() == told


EXPECTED = """
one · /r
6 images, 8 layers of 4.728MB; without sharing the images would take 17.95MB

IMAGES AND LAYERS                                  LAYERS    OWN    TOTAL  IMAGES
debian:12                                               2    4MB      4MB       4
├─ container shell, running
├─ middle------ /bin/sh -c #(nop) COPY layer 2          1  500kB    4.5MB       3
│  ├─ app--------- /bin/sh -c #(nop) COPY layer 4       2  220kB   4.72MB       2
│  │  ├─ app:1, app:latest                                         4.72MB
│  │  └─ copy:1                                                    4.72MB
│  │     └─ container web, exited
│  └─ image other------- (untagged)                     1    7kB  4.507MB       1
└─ build cache: cached------ RUN make                   1   900B  4.001MB       0
alone:1                                                 1    42B      42B       1
empty:1                                                 0     0B       0B       1
"""


def test_what_an_image_stands_on_and_carries(db: str) -> None:
    """Asked for an image, there is its branch alone, with figures of the whole; other hosts are left out."""
    (found,) = trees(db, "acme/web:1.0")
    assert ["debian:12", "stray:1", "acme/web:1.0", "acme/web:debug"] == [
        name for name in named(found) if not name.startswith("sha256:")
    ]
    whole = next(one for one in trees(db) if one["host"] == "web-1")
    assert [node["images_with_it"] for node in found["nodes"]] == [8, 2, 2, 1]
    assert 8 == whole["nodes"][0]["images_with_it"]
    assert "Other branches are not shown." in tree(db, "acme/web:debug")


def test_images_of_every_size_are_what_images_says(db: str) -> None:
    """The size of an image, and what of it others have and what it has alone, is what `query images` says."""
    with database.reading(db) as connection:
        canned = catalog.load("images")
        result = query.run(connection, canned.sql, dict.fromkeys(canned.params))
        rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    figures = ("size", "shared_size", "unique_size")
    expected = {(row["host"], row["image_id"]): [row[figure] for figure in figures] for row in rows if row["layers"]}
    assert expected == {
        (one["host"], image["image_id"]): [image[figure] for figure in figures]
        for one in trees(db)
        for node in one["nodes"]
        for image in node["images"]
        if image["listed"] and node["layers"]
    }
    assert len(expected) > 10


def test_layers_of_no_image(db: str) -> None:
    """They say what needs them, or that this is not known; those of a kind are one line unless all are wanted."""
    folded, each = (tree(db, "--host", "web-1", *words) for words in ([], ["--all"]))
    assert any(line.startswith("├─ build cache: ") and " RUN make " in line for line in folded)
    assert any(line.startswith("└─ unknown: no image (--all shows each)   ") for line in folded)
    assert (1, 4) == tuple(sum("─ unknown: " in line for line in lines) for lines in (folded, each))
    assert any(line.startswith("? whether 4 layers that no image has may go is unknown: ") for line in folded)


def test_an_orphaned_layer_is_unused_only_where_all_was_read(root: DataRoot) -> None:
    """A doubt anywhere makes it unknown."""
    root.container(root.image(sized(root, 10), ["a:1"]), name="c")
    lost = sized(root, 20)
    (node,) = [node for node in trees(scanned(root))[0]["nodes"] if node["chain_id"] == lost.chain_id]
    assert ("unused", None, None) == (node["standing"], node["because"], node["needed_by"])
    config = next(root.path.glob("containers/*/config.v2.json"))
    config.write_bytes(b"{")
    (node,) = [node for node in trees(scanned(root))[0]["nodes"] if node["chain_id"] == lost.chain_id]
    assert "unknown" == node["standing"]
    assert "config.v2.json" in node["because"]


def test_untagged_parents(db: str) -> None:
    """Untagged images that others were built on part no chain unless all are wanted, or a container runs from one."""
    shown, every = ({image for one in trees(db, *words) for image in named(one)} for words in ([], ["--all"]))
    assert len(every - shown) == 1
    assert shown < every


def test_containers(root: DataRoot) -> None:
    """They hang below what they run from; where that is gone, below the layer that they stand on, or at the end."""
    base = sized(root, 10)
    image = root.image(base, ["a:1"])
    removed = root.image(sized(root, 20, base), ["removed:1"])
    root.container(image, name="stays")
    root.container(removed, name="survivor", state="exited")
    lost = root.container(image, name="lost", state="exited")
    root.remove_image(removed)
    for name in ("mount-id", "init-id", "parent"):
        root.mount_file(lost.mount, name).unlink(missing_ok=True)
    config = root.container_file(lost)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"Image": "sha256:" + "7" * 64}))

    (found,) = trees(scanned(root))
    first, second = found["nodes"]
    assert ["stays"] == [one["name"] for one in first["images"][0]["containers"]]
    assert ("survivor", "container") == (second["containers"][0]["name"], second["needed_by"])
    assert ["lost"] == [one["name"] for one in found["containers"]]
    assert tree(scanned(root))[-1].startswith("?") or any("container lost" in line for line in tree(scanned(root)))


def test_namespaces_have_trees_of_their_own(tmp_path: Path) -> None:
    """In containerd nothing is shared between namespaces, and a layer may be unpacked in one of them only."""
    root = ContainerdRoot(tmp_path / "containerd")
    base = root.layer({"a": b"1" * 9000})
    image = root.image("docker.io/library/app:1", [base, root.layer({"b": b"1"})])
    root.name("docker.io/library/app:1", image.target, namespace="k8s.io")
    root.container("c", image)
    root.write()

    here, there = trees(scanned(root))
    assert ("default", "k8s.io") == (here["namespace"], there["namespace"])
    assert [[16384]] == [[node["size"]] for node in here["nodes"]]
    assert [[None, [0, 0]]] == [[node["size"], [one["in_store"] for one in node["layers"]]] for node in there["nodes"]]
    lines = tree(scanned(root))
    assert f"one · {root.path} · namespace k8s.io" in lines
    assert "docker.io/library/app:1 (2 of 2 layers not here) 2 ? ? 1" in [" ".join(line.split()) for line in lines]


def test_podman(tmp_path: Path) -> None:
    """Its images and containers are a forest too."""
    (found,) = trees(scanned(GraphRoot(tmp_path / "storage").root))
    assert ["localhost/web:1", "localhost/other:1"] == list(named(found))
    assert [["web"], ["spare"]] == [[one["name"] for one in image["containers"]] for image in named(found).values()]


def test_manifest_lists(tmp_path: Path) -> None:
    """An untagged image says which list names it, and the list's name asks for it."""
    root = StorageRoot(tmp_path / "storage")
    image = root.image(root.layer({"a": b"1"}))
    root.image(root.layer({"b": b"1"}), ["localhost/other:1"])
    platform = {"os": "linux", "architecture": "arm64"}
    digest = f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"
    root.manifest_list(["localhost/many:1"], [{"digest": digest, "platform": platform}])
    root.save()

    path = scanned(root)
    (found,) = trees(path, "many:1")
    assert [(image.image_id, ["localhost/many:1"])] == [
        (each["image_id"], each["lists"]) for each in named(found).values()
    ]
    assert any(line.startswith(f"image {image.image_id[7:19]} (in localhost/many:1) ") for line in tree(path))


# Names ---------------------------------------------------------------------------------------------------------------


def test_names_that_are_not_there(db: str) -> None:
    """A near name is proposed, and the exit status is 1; the name of a missing image is no image."""
    for word, said in (("acme/wob:1.0", "did you mean acme/web:1.0"), ("ghost:1", "is not in the store")):
        result = CliRunner().invoke(group, ["tree", word, "--db", db])
        assert 1 == result.exit_code
        assert said in result.stderr
        assert "" == result.stdout


def test_hostile_names(root: DataRoot) -> None:
    """No name of a store moves the cursor, and none ends its line."""
    image = root.image(sized(root, 10), ["a:1"], history=[{"created_by": "\x1b[2J\nRUN"}])
    root.image(sized(root, 20, image.layers[-1]), ["b:1"])
    root.container(image, name="x\x1b[31m\n", state="exited")
    path = scanned(root)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE containers SET name = 'x' || char(27, 10) || 'y', state = char(27), image_ref = char(10)"
        )
        connection.commit()
    lines = tree(path)
    assert any("container x\\x1b\\ny, \\x1b" in line for line in lines)
    assert all(line.isprintable() for line in lines)
    ascii_lines = tree(path, "--ascii")
    assert any(line.startswith("|- container") for line in ascii_lines)
    assert all(line.isascii() for line in ascii_lines)


# What a damaged store says -------------------------------------------------------------------------------------------


def test_missing_layers_are_said(root: DataRoot) -> None:
    """What is known is a least size; a layer that only another one names is shown as missing."""
    base, top = sized(root, 1000), sized(root, 500, sized(root, 50))
    image = root.image(base, ["a:1"])
    root.image(sized(root, 70, base), ["b:1"])
    root.image(top, ["c:1"])
    child = sized(root, 30, sized(root, 400))
    for layer in (image.layers[0], top, child.chain[0]):
        for file in root.layer_dir(layer).iterdir():
            file.unlink()
        root.layer_dir(layer).rmdir()

    path = scanned(root)
    lines = [" ".join(line.split()) for line in tree(path)]
    assert "a:1 (1 of 1 layers not here) 1 ? ? 2" in lines
    assert "└─ b:1 1 70B ≥70B 1" in lines
    assert "c:1 (1 of 2 layers not here) 2 ≥50B ≥50B 1" in lines
    assert any(line.startswith("? 3 layers not in this store; what is missing: ") for line in lines)
    (found,) = trees(path)
    assert {"a:1": None, "b:1": None, "c:1": None} == {
        name: image["unique_size"] for name, image in named(found).items()
    }


def test_circles_are_cut(root: DataRoot) -> None:
    """Layers that stand on themselves end no command, and none is lost."""
    for number in (1, 2, 3):
        sized(root, number)
    path = scanned(root)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, rewriting(connection):
        ids = [name for (name,) in connection.execute("SELECT chain_id FROM layers ORDER BY 1")]
        for name, parent in zip(ids, [*ids[1:], ids[0]], strict=True):
            connection.execute("UPDATE layers SET parent_chain_id = ? WHERE chain_id = ?", (parent, name))
    (found,) = trees(path)
    assert ids == sorted(layer["chain_id"] for node in found["nodes"] for layer in node["layers"])
    assert ids[:1] == found["circles"]
    assert any(line.startswith("? layers that would stand on themselves") for line in tree(path, "--no-trunc"))


NAMES = st.sampled_from([f"sha256:{letter * 64}" for letter in "abcdefgh"])
LAYERS = st.dictionaries(
    NAMES,
    st.tuples(
        st.none() | NAMES,
        st.none() | st.integers(0, 2**62),
        st.sampled_from([(None, "sha256:i"), ("unused", None), ("unknown", None), ("used", None)]),
    ),
)
IMAGES = st.lists(st.tuples(st.none() | NAMES, st.integers(0, 1)), max_size=5)
CONTAINERS = st.lists(st.tuples(st.none() | st.integers(0, 6), st.none() | NAMES), max_size=5)


@given(LAYERS, IMAGES, CONTAINERS, st.booleans(), st.integers(20, 200))
def test_every_layer_is_in_one_node(layers: Any, images: Any, containers: Any, every: bool, columns: int) -> None:  # noqa: ANN401 - strategies give them
    """Own sizes add up to those of all layers, totals to the way down; each image and container is shown once."""
    given_layers = [
        Layer(1, "", name, parent, size, 1, "RUN", image, standing, None, None)
        for name, (parent, size, (standing, image)) in layers.items()
    ]
    given_images = [
        Image(1, "", f"sha256:{number}", None, f'["{number}:1"]', "[]", "[]", "used", None, 1, 1, chain, listed)
        for number, (chain, listed) in enumerate(images)
    ]
    given_containers = [
        Container(1, "", f"{number}", None, "exited", None if image is None else f"sha256:{image}", None, chain, 1)
        for number, (image, chain) in enumerate(containers)
    ]
    made = forest.Forest(STORE, "", None)
    forest.plant(made, given_layers, given_images, given_containers, every=every)
    nodes = list(made.walk())
    inside = [layer.chain_id for node in nodes for layer in node.layers if layer.in_store]
    assert sorted(layers) == sorted(inside)
    assert sum(size or 0 for _, size, _ in layers.values()) == sum(node.size.bytes for node in nodes)
    for node in nodes:
        assert node.total == (node.parent.total.plus(node.size) if node.parent else node.size)
    shown = [image for node in nodes for image in node.images]
    assert len(shown) == len(set(shown)) >= sum(image.listed for image in given_images)
    standing = [one for node in nodes for some in (node.containers, *node.by_image.values()) for one in some]
    assert sorted(given_containers) == sorted([*standing, *made.lost], key=lambda one: one.container_id)

    look = screen.Look(screen.Screen(columns, 24))
    for drawn in (text.marks("utf-8", plain=False), text.marks("utf-8", plain=True)):
        assert all(width(line) <= columns for line in text.Writer(made, look, drawn, every=every).lines())


def test_a_deep_chain_of_branches() -> None:
    """Nothing recurses, and a deep place leaves room for its name."""
    names = [f"{number:064x}" for number in range(3000)]
    layers = [
        Layer(1, "", name, names[number - 1] if number else None, 1, 1, None, "sha256:i", None, None, None)
        for number, name in enumerate(names)
    ]
    images = [
        Image(1, "", f"sha256:{number}", None, f'["deep:{number}"]', "[]", "[]", "used", None, 1, 1, name, 1)
        for number, name in enumerate(names)
    ]
    made = forest.Forest(STORE, "", None)
    forest.plant(made, layers, images, [], every=False)
    look = screen.Look(screen.Screen(80, 24))
    lines = list(text.Writer(made, look, text.marks("utf-8", plain=None), every=False).lines())
    assert all(width(line) <= 80 for line in lines)
    assert " deep:2999 " in lines[-1]
    piped = list(text.Writer(made, screen.Look(None), text.marks("utf-8", plain=None), every=False).lines())
    assert piped[-1].startswith("…2999 ")
    assert max(map(len, piped)) < 800


# The queries ---------------------------------------------------------------------------------------------------------

QUERIES = ("stores", "layers", "images", "containers", "asked")


@pytest.mark.parametrize("name", QUERIES)
def test_the_queries_explain_their_columns(db: str, name: str) -> None:
    """Each has a head that names what it selects, and its order is total."""
    canned = catalog.parsed(name, shipped.query("tree", name))
    with database.reading(db) as connection:
        result = query.run(connection, canned.sql, {**dict.fromkeys(canned.params), "name": "debian:12"})
        rows = list(result.rows)
        assert list(canned.columns) == result.columns
        assert rows
        assert len(rows) == len({row[:3] for row in rows})
        assert re.search(r"\nORDER BY [^\n]*;\n$", canned.sql)


def test_known_rows(root: DataRoot) -> None:
    """What the queries say of a small store."""
    base = sized(root, 10)
    top = sized(root, 5, base)
    image = root.image(top, ["a:1", "b:1"], history=[{"created_by": "ADD x"}, {"created_by": "RUN y"}])
    container = root.container(image, name="c", state="running")
    cached = sized(root, 7, base)
    root.build_record(cached, record_id="r" * 25, cache_description="RUN z")
    with database.reading(scanned(root)) as connection:
        rows = {name: list(query.run(connection, shipped.query("tree", name), {}).rows) for name in QUERIES[:-1]}
    assert [(1, "one", "docker-overlay2", str(root.path), "overlay2", None, None)] == [
        (*row[:5], *row[6:]) for row in rows["stores"]
    ]
    assert {
        (1, "", base.chain_id, None, 10, 1, "ADD x", image.image_id, None, None, None),
        (1, "", top.chain_id, base.chain_id, 5, 1, "RUN y", image.image_id, None, None, None),
        (1, "", cached.chain_id, base.chain_id, 7, 1, "RUN z", None, "used", None, "build cache"),
    } == set(rows["layers"])
    expected = (1, "", image.image_id, None, '["a:1","b:1"]', "[]", "[]", "used", image.created, 2, 15, top.chain_id, 1)
    assert [expected] == rows["images"]
    assert [(1, "", container.container_id, "c", "running", image.image_id, "a:1", top.chain_id, None)] == [
        (*row[:6], "a:1", *row[7:]) for row in rows["containers"]
    ]


@pytest.mark.parametrize("seed", range(3))
def test_sizes_add_up(tmp_path: Path, seed: int) -> None:
    """Own sizes are those of all layers of the store, each once, also where images were removed."""
    root = big_store(tmp_path / "docker", images=40, layers=200, seed=seed)
    images = sorted((root.path / "image" / "overlay2" / "imagedb" / "content" / "sha256").iterdir())
    for config in images[::3]:
        config.unlink()
    path = scanned(root)
    (found,) = trees(path)
    with closing(sqlite3.connect(path)) as connection:
        (expected,) = connection.execute("SELECT sum(size) FROM layers").fetchone()
    assert expected == sum(node["size"] for node in found["nodes"])
    assert len(images) - len(images[::3]) == sum(len(node["images"]) for node in found["nodes"])


# The terminal --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "words", "drawn"),
    [("utf-8", [], "├─ "), ("utf-8", ["--ascii"], "|- "), ("ascii", [], "|- "), ("latin-1", [], "|- ")],
)
def test_what_lines_are_drawn_with(db: str, encoding: str, words: list[str], drawn: str) -> None:
    """Lines of Unicode need an encoding that has them."""
    result = terminal.run("tree", "--db", db, "--host", "web-1", *words, env={"PYTHONIOENCODING": encoding})
    assert 0 == result.status
    assert any(line.startswith(drawn) for line in result.lines)
    assert encoding == "utf-8" or result.text.isascii()


def test_colour_and_columns(db: str) -> None:
    """What is unknown has its colour; a narrow terminal says which columns it leaves out, --wide leaves none out."""
    done = terminal.run("tree", "--db", db, "--host", "web-1", env={"NO_COLOR": ""})
    assert "└─ \x1b[33munknown\x1b[0m: no image" in done.text
    narrow = terminal.run("tree", "--db", db, "--host", "web-1", width=40)
    assert "left out: layers, total, images (--wide)" in narrow.text
    assert all(width(line) <= 40 for line in narrow.lines)
    wide = terminal.run("tree", "--db", db, "--host", "web-1", "--wide", width=40)
    assert "container 00cc10cc5ab0, unknown (image not known)" in wide.text
    assert any(line.endswith("LAYERS     OWN   TOTAL  IMAGES") for line in wide.lines)


def test_whole_texts(db: str) -> None:
    """With --no-trunc ids, names and bytes are whole."""
    lines = tree(db, "--no-trunc", "--host", "web-1")
    assert any("acme/web:1.0, acme/web:latest, localhost:5000/acme/web:1.0 " in line for line in lines)
    assert any(
        line.split()[:1] == ["sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2"]
        for line in lines
    )
    assert any(" 100000000 " in line for line in lines)


def test_an_empty_store(root: DataRoot) -> None:
    """Is said to be one."""
    assert [f"one · {root.path}", "no images"] == tree(scanned(root))[:2]
