"""`layerindex compare`: rows worked out by hand, both directions, random stacks of layers, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import shutil
import sqlite3
import subprocess
import tomllib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from layerindex import compare, database, query
from layerindex.cli import group
from tests import exhibits, fleet, layer_tars
from tests.dataroot import DataRoot, regular, symlink
from tests.rewrite import changing, rewriting
from tests.test_file_queries import ask, random_layer, scanned, tar_of
from tests.test_queries import Asked, is_phrase, is_title, shuffled

if TYPE_CHECKING:
    from tests.dataroot import Files, Layer

    Row = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[1] / "queries" / "compare"
FILES = sorted(path.stem for path in FOLDER.glob("*.sql"))
SWAPPED = {"only a": "only b", "only b": "only a", "grew": "shrank", "shrank": "grew"}

each_file = pytest.mark.parametrize("name", FILES)
each_section = pytest.mark.parametrize("name", list(compare.SECTIONS))


# Two hosts whose differences are known -------------------------------------------------------------------------------

BASE: Files = {"etc/passwd": b"root", "srv/app": b"v1", "srv/old": b"old", "link": symlink("a"), "mode": b"x"}


def two_hosts(folder: Path) -> str:
    """Scan `one` and `two`, `two` on two days, into a database and return its path."""
    path = str(folder / "two.db")
    one, two = DataRoot(folder / "one", seed=1), DataRoot(folder / "two", seed=2)
    for root, version in ((one, b"one"), (two, b"two!")):
        base = root.layer(BASE)
        shared = root.image(base, ["base:1"], created="2024-01-01T00:00:00Z")
        app = root.layer({"srv/app": version}, parent=base)
        changed = root.image(app, ["app:1"], created="2024-01-01T00:00:00Z")
        step = root.layer({"step": b"same"}, parent=base if root is one else app)
        root.image(step, ["step:1"])
        root.image(base, ["again:1"], created=f"2024-01-0{len(version)}T00:00:00Z")
        root.image(root.layer({root.path.name: b"1"}), [f"only-{root.path.name}:1"])
        root.container(shared, name="same", files={"x": b"x"})
        root.container(changed, name="app", files={"x": b"x"})
        root.container(shared, name="busy", state="running" if root is one else "exited", files={"y": version})
        root.container(shared, name=f"c-{root.path.name}")
        root.volume("data", {"rows": version})
        root.volume(f"v-{root.path.name}")
    scanned(path, one.path, "one")
    scanned(path, two.path, "two")
    two.container(shared, name="fresh")
    (two.path / "volumes/data/_data/rows").write_bytes(b"many more rows")
    two.untag("base:1")
    scanned(path, two.path, "two")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give that database."""
    return two_hosts(tmp_path_factory.mktemp("compare"))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the database with an example of every case, of two hosts, one of them scanned twice."""
    return exhibits.build(tmp_path_factory.mktemp("exhibits")).path


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a fleet."""
    file = tmp_path_factory.mktemp("fleet") / "fleet.db"
    fleet.make(file, fleet.Plan(hosts=4, images=10, layers=60, distinct=150, days=2))
    return str(file)


def rows(path: str, name: str, a: int, b: int, **params: str | None) -> list[Row]:
    """Return the rows of a file of queries/compare/ for two snapshots of a database."""
    with database.reading(path) as connection:
        return rows_of(connection, name, a=a, b=b, **params)


def rows_of(connection: sqlite3.Connection, name: str, **params: int | str | None) -> list[Row]:
    """Return the rows of a file of queries/compare/."""
    given = {"image": None, "container": None, **params}
    result = query.run(connection, (FOLDER / f"{name}.sql").read_text(encoding="utf-8"), given)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def cut(found: list[Row], columns: str) -> list[tuple[Any, ...]]:
    """Return some columns."""
    return [tuple(row[column] for column in columns.split()) for row in found]


def test_images(path: str) -> None:
    """An image of the same layers and another id is one of the same content."""
    expected = [
        *(("only a", "app:1"), ("only a", "only-one:1"), ("only a", "step:1")),
        *(("only b", "app:1"), ("only b", "only-two:1"), ("only b", "step:1"), ("same content", "again:1")),
    ]
    found = rows(path, "images", 1, 2)

    assert expected == cut(found, "change image")
    assert found[-1]["a_image_id"] != found[-1]["b_image_id"]
    assert found[-1]["a_size"] == found[-1]["b_size"]


def test_tags(path: str) -> None:
    """The same tag may name different images, or the same content."""
    expected = [
        *(("only a", "only-one:1"), ("only b", "only-two:1"), ("other image", "app:1"), ("other image", "step:1")),
        ("same content", "again:1"),
    ]
    assert expected == cut(rows(path, "tags", 1, 2), "change tag")
    assert [("only a", "base:1")] == cut(rows(path, "tags", 2, 3), "change tag")


def test_layers(path: str) -> None:
    """A layer is known by its content, and has places."""
    found = rows(path, "layers", 1, 2)

    assert [
        *(("only a", "app:1", 1, 0, 3, None), ("only a", "only-one:1", 1, 0, 1, None)),
        *(("only b", "app:1", 0, 1, None, 4), ("only b", "only-two:1", 0, 1, None, 1)),
        ("other place", "step:1", 1, 1, 4, 4),
    ] == cut(found, "change image a_places b_places a_size b_size")
    assert found[-1]["a_chain_ids"] != found[-1]["b_chain_ids"]


def test_containers(path: str) -> None:
    """Containers of one name differ in image, state and what they wrote."""
    expected = [
        *(("image", "app"), ("state, writable layer", "busy"), ("only a", "c-one"), ("only b", "c-two")),
    ]
    assert expected == cut(rows(path, "containers", 1, 2), "change container")
    assert [("only b", "fresh")] == cut(rows(path, "containers", 2, 3), "change container")


def test_a_container_over_time(tmp_path: Path) -> None:
    """One container is told from another of its name, and what it changed since shows by time too."""
    path = str(tmp_path / "one.db")
    root = DataRoot(tmp_path / "one")
    image = root.image(root.layer(BASE), ["base:1"])
    quiet, busy = (root.container(image, name=name, files={"x": b"x"}, log=b"1") for name in ("quiet", "busy"))
    gone = root.container(image, name="again")
    scanned(path, root.path)
    (root.content_dir(busy.mount.mount_id) / "x").write_bytes(b"y")
    (root.content_dir(busy.mount.mount_id) / "z").write_bytes(b"")
    root.container_file(quiet, f"{quiet.container_id}-json.log").write_bytes(b"123")
    shutil.rmtree(root.container_file(gone).parent)
    root.container(image, name="again")
    scanned(path, root.path)

    expected = [("recreated", "again"), ("writable layer", "busy"), ("log", "quiet")]
    assert expected == cut(rows(path, "containers", 1, 2), "change container")


def test_volumes(path: str) -> None:
    """Volumes grow."""
    expected = [("grew", "data"), ("only a", "v-one"), ("only b", "v-two")]
    assert expected == cut(rows(path, "volumes", 1, 2), "change volume")
    (grown,) = rows(path, "volumes", 2, 3)
    assert ("grew", "data") == (grown["change"], grown["volume"])
    assert len(b"many more rows") - len(b"two!") == grown["b_apparent_bytes"] - grown["a_apparent_bytes"]
    assert [("shrank", "data")] == cut(rows(path, "volumes", 3, 2), "change volume")


def test_files(path: str) -> None:
    """Of tags that name other layers the layers are counted that the other side lacks."""
    expected = [("app:1", 1, 1, 2, 2, 3, 4), ("step:1", 0, 1, 0, 2, 0, 4)]
    assert expected == cut(rows(path, "files", 1, 2), "tag a_layers b_layers a_entries b_entries a_size b_size")


def test_problems(known: str) -> None:
    """What was not there before is new; orphans count as problems."""
    with database.reading(known) as connection:
        count = connection.execute("SELECT count(*) FROM problems WHERE snapshot_id = 2").fetchone()
        found = rows_of(connection, "problems", a=1, b=2)
        assert [count[0]] == [len(found)]
        assert {"only b"} == {row["change"] for row in found}
        assert 2 == sum(row["code"] == "orphan" for row in rows_of(connection, "problems", a=2, b=3))


def test_sizes(path: str) -> None:
    """What holds the bytes, on both sides; a snapshot without such figures is summed up."""
    found = {row["category"]: row for row in rows(path, "sizes", 1, 2)}
    assert found["image layer"]["grown_bytes"] == 4 - 3

    with closing(sqlite3.connect(path)) as connection:
        copy = sqlite3.connect(":memory:")
        connection.backup(copy)
    with rewriting(copy):
        copy.execute("DELETE FROM disk_usage")
    (row,) = (row for row in rows_of(copy, "sizes", a=1, b=2) if row["category"] == "image layer")
    assert (4 - 3, "grew") == (row["grown_bytes"], row["change"])
    copy.close()


def test_build_cache() -> None:
    """Records are matched by id, then by what BuildKit says of them."""
    connection = sqlite3.connect(":memory:")
    database.create(connection)
    connection.execute("INSERT INTO hosts VALUES (1, 'h', NULL)")
    for number in (1, 2):
        connection.execute(
            "INSERT INTO snapshots VALUES (?, ?, 1, 'docker-overlay2', 'docker', '/', 'overlay2', 'overlay2',"
            " NULL, NULL, 't', 't', 't', NULL, 'complete', 'files', 1, 1, 1, 1, 0, '1')",
            (number, f"{number:032}"),
        )
    records = [
        *((1, "kept", "a", 1, 1), (2, "kept", "a", 1, 1), (1, "used", "b", 1, 1), (2, "used", "b", 2, 2)),
        *((1, "gone", "c", 1, 1), (1, "mine", "d", 5, 1), (2, "theirs", "d", 5, 7), (2, "new", "e", 1, 1)),
    ]
    for snapshot, record, description, size, used in records:
        connection.execute(
            "INSERT INTO build_cache (snapshot_id, record_id, description, record_type, size, usage_count, deleting)"
            " VALUES (?, ?, ?, 'regular', ?, ?, 0)",
            (snapshot, record, description, size, used),
        )
    expected = [("only a", "gone", None), ("only b", None, "new"), ("size, used", "used", "used")]
    assert expected == cut(rows_of(connection, "build-cache", a=1, b=2), "change a_record_id b_record_id")
    # Two records of one data are counted once, in the part as in the whole.
    for record, equal, size in (("mutable", None, 30), ("frozen", "mutable", 30)):
        connection.execute(
            "INSERT INTO build_cache (snapshot_id, record_id, description, record_type, size, equal_mutable, deleting)"
            " VALUES (1, ?, ?, 'regular', ?, ?, 0)",
            (record, record, size, equal),
        )
    (row,) = compare.summary(connection, {"a": 1, "b": 2}, ["build-cache"]).rows
    assert (3, 31, 38) == (row[1], row[5], row[7])
    connection.close()


def test_tree(path: str) -> None:
    """Files of an image or a container as each side shows them."""
    columns = "change path a_size b_size"
    assert [("size, content", "/srv/app", 3, 4)] == cut(rows(path, "tree", 1, 2, image="app:1"), columns)
    assert [("size, content", "/srv/app", 2, 4)] == cut(rows(path, "tree", 1, 2, image="step:1"), columns)
    assert [] == rows(path, "tree", 1, 2, image="again:1")
    assert [("size", "/y", 3, 4)] == cut(rows(path, "tree", 1, 2, container="busy"), columns)
    assert [("size, content", "/srv/app", 3, 4)] == cut(rows(path, "tree", 1, 2, container="app"), columns)


def test_every_difference_of_a_file(tmp_path: Path) -> None:
    """Type, mode, owner, size, link and content; not the time."""
    path = str(tmp_path / "two.db")
    other: Files = {
        "etc/passwd": regular(b"toor", mtime=9),
        "srv/app": regular(b"v1", uid=5, mtime=7),
        "srv/old": symlink("x"),
        "link": symlink("b"),
        "mode": regular(b"x", mode=0o600),
        "new": b"n",
    }
    for seed, (host, files) in enumerate((("one", BASE), ("two", other))):
        root = DataRoot(tmp_path / host, seed=seed)
        root.image(root.layer(files), ["x:1"])
        scanned(path, root.path, host)

    assert [
        *(("content", "/etc/passwd"), ("link", "/link"), ("mode", "/mode"), ("only b", "/new"), ("owner", "/srv/app")),
        ("type", "/srv/old"),
    ] == cut(rows(path, "tree", 1, 2, image="x:1"), "change path")


# What holds of every comparison --------------------------------------------------------------------------------------

PAIRS = [("path", 1, 2), ("path", 2, 3), ("known", 1, 2), ("known", 2, 3), ("simulated", 1, 2), ("simulated", 1, 4)]
each_pair = pytest.mark.parametrize(("store", "a", "b"), PAIRS)


@pytest.mark.parametrize(
    "word", ["app", "app:latest", "library/app", "docker.io/library/app", "docker.io/library/app:latest"]
)
def test_files_of_a_reference_as_either_side_spells_it(tmp_path: Path, word: str) -> None:
    """One host's engine stores it in short and another's in full: it is one reference, in one file or in two."""
    for host, content in (("one", b"1"), ("two", b"2")):
        root = DataRoot(tmp_path / host)
        root.image(root.layer({"x": content}, parent=root.layer({"base": b"b"})), ["app:latest"])
        for path in (f"{host}.db", "both.db"):
            scanned(str(tmp_path / path), root.path, host)
    for path, snapshot in (("two.db", 1), ("both.db", 2)):
        with changing(tmp_path / path) as connection:
            connection.execute("UPDATE image_refs SET ref = normalized WHERE snapshot_id = ?", (snapshot,))
    apart = (tmp_path / "one.db", tmp_path / "two.db", "--db", tmp_path / "none.db")
    for sides in (apart, ("one", "two", "--db", tmp_path / "both.db")):
        (found,) = json.loads(answer(*sides, "--files", word, "--format", "json"))
        assert [("content", "/x")] == [(row["change"], row["path"]) for row in found["files-of"]]


def test_a_file_against_a_folder_that_a_tar_implies(tmp_path: Path) -> None:
    """It is of another type there, not missing."""
    path = str(tmp_path / "types.db")
    for host, name in (("one", "f"), ("two", "f/x/y")):
        root = DataRoot(tmp_path / host)
        root.image(root.layer(tar=layer_tars.tar(layer_tars.Member(name, data=b"q"))), ["app:1"])
        scanned(path, root.path, host)
    (found,) = json.loads(answer("one", "two", "--db", path, "--files", "app:1", "--format", "json"))
    changes = [(row["change"], row["path"]) for row in found["files-of"]]
    assert changes == [("type", "/f"), ("only b", "/f/x"), ("only b", "/f/x/y")]


def test_files_of_an_exact_name(tmp_path: Path) -> None:
    """A container's name goes before the beginning of an image's id; of two exact names an error lists both."""
    root = DataRoot(tmp_path / "docker")
    image = root.image(root.layer({"x": b"1"}), ["web:latest"])
    short = image.image_id.removeprefix("sha256:")[:4]
    containers = [root.container(image, name=name, files={"mine": b"1"}) for name in (short, "web")]
    path = str(tmp_path / "names.db")
    for content in (b"1", b"22"):
        for container in containers:
            (root.content_dir(container.mount.mount_id) / "mine").write_bytes(content)
        scanned(path, root.path)
    with closing(sqlite3.connect(path)) as connection:
        host = connection.execute("SELECT name FROM hosts").fetchone()[0]
    sides = (f"{host}~1", host, "--db", path, "--files")

    def changes(word: str) -> list[str]:
        (found,) = json.loads(answer(*sides, word, "--format", "json"))
        return [row["path"] for row in found["files-of"]]

    assert ["/mine"] == changes(short)
    assert ["/mine"] == changes(containers[1].container_id)
    assert [] == changes(f"sha256:{short}") == changes("web:latest")
    both = f"the image {image.image_id} or the container {containers[1].container_id}"
    assert both in refusal(*sides, "web", status=2)


def test_a_host_called_as_a_snapshot_is_numbered(tmp_path: Path) -> None:
    """Which of them is meant is not guessed."""
    root = DataRoot(tmp_path / "docker")
    root.image(root.layer({"x": b"1"}), ["web:latest"])
    path = str(tmp_path / "names.db")
    for host in ("a", "1"):
        scanned(path, root.path, host)

    assert "'1' is a snapshot and a host; for the host's newest say 1~0" == refusal("1", "2", "--db", path, status=2)
    assert "problems" in answer("1~0", "a", "--db", path)


def swapped(row: Row) -> Row:
    """Return a row as the other direction has it."""
    other = {f"{'ba'['ab'.index(key[0])]}{key[1:]}" if key[:2] in ("a_", "b_") else key: row[key] for key in row}
    other["change"] = SWAPPED.get(row["change"], row["change"])
    if row.get("grown_bytes") is not None:
        other["grown_bytes"] = -row["grown_bytes"]
    return other


@each_pair
@each_section
def test_both_directions_agree(request: pytest.FixtureRequest, store: str, a: int, b: int, name: str) -> None:
    """Whatever is compared with whatever, the other way round it is the same."""
    path = request.getfixturevalue(store)
    there, back = rows(path, name, a, b), [swapped(row) for row in rows(path, name, b, a)]
    for row in (*there, *back):
        if name in ("images", "build-cache") and row["change"] not in ("only a", "only b"):
            row.pop("image", None)  # of an image that both have under other tags, those in a

    assert sorted(there, key=repr) == sorted(back, key=repr)


@pytest.mark.parametrize(("store", "a"), [("path", 1), ("known", 2), ("simulated", 3)])
@each_section
def test_nothing_differs_from_itself(request: pytest.FixtureRequest, store: str, a: int, name: str) -> None:
    """A snapshot is equal to itself."""
    assert [] == rows(request.getfixturevalue(store), name, a, a)


@each_pair
def test_summary_counts_the_rows(request: pytest.FixtureRequest, store: str, a: int, b: int) -> None:
    """The summary has as many things as the sections have rows, and all there are."""
    path = request.getfixturevalue(store)
    with database.reading(path) as connection:
        result = compare.summary(connection, {"a": a, "b": b}, list(compare.SECTIONS))
        summary = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
        totals = {row["section"]: row for row in rows_of(connection, "totals", a=a, b=b)}
    assert list(compare.SECTIONS) == [row["section"] for row in summary]
    for row in summary:
        changes = [found["change"] for found in rows(path, row["section"], a, b)]
        assert row["only_a"] == changes.count("only a")
        assert row["only_b"] == changes.count("only b")
        assert row["differing"] == len(changes) - row["only_a"] - row["only_b"]
        for side in "ab":
            whole = row["same"] + row["differing"] + row[f"only_{side}"]
            assert whole == totals[row["section"]][f"{side}_things"], row


# The files -----------------------------------------------------------------------------------------------------------


def given(name: str, a: int, b: int) -> dict[str, Any]:
    """Return values for the parameters of a file."""
    return {"a": a, "b": b} | ({"image": "app:1", "container": None} if name == "tree" else {})


@each_file
def test_header(path: str, name: str) -> None:
    """The header names title, parameters and columns as they are."""
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    lines = text.partition("\n\n")[0].splitlines()
    header = tomllib.loads("\n".join(line.removeprefix("--").removeprefix(" ") for line in lines))
    asked = Asked()
    with closing(sqlite3.connect(path)) as connection:
        columns = [column for column, *_ in connection.execute(text, asked).description]

    assert {"title", "description", "first", "params", "columns"} == set(header)
    assert header["columns"].keys() >= set(header["first"])
    assert is_title(header["title"])
    assert header["description"].endswith(".")
    assert list(header["columns"]) == columns
    assert set(header["params"]) == set(asked)
    assert all(is_phrase(text) for text in header["columns"].values())


def test_each_section_has_a_file() -> None:
    """No file is forgotten."""
    assert sorted([*compare.SECTIONS, "totals", "tree"]) == FILES


@each_pair
@each_file
def test_order_is_total(request: pytest.FixtureRequest, store: str, a: int, b: int, name: str) -> None:
    """Rows come in one order, from tables without any key or index, filled in any order."""
    path = request.getfixturevalue(store)
    expected = rows(path, name, **given(name, a, b))
    for seed in range(2):
        with closing(shuffled(path, seed)) as other:
            assert expected == rows_of(other, name, **given(name, a, b))


@each_file
def test_runs_in_the_sqlite3_shell(path: str, name: str) -> None:
    """`sqlite3 FILE < queries/compare/NAME.sql` gives the same rows."""
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed")
    command = ["sqlite3", "-readonly", "-bail", "-csv", "-header", path]
    for key, value in given(name, 1, 2).items():
        if value is not None:
            command[1:1] = ["-cmd", f".parameter set :{key} {value!r}"]
    sql = (FOLDER / f"{name}.sql").read_bytes()
    shell = subprocess.run(command, input=sql, capture_output=True, check=True).stdout.decode()
    expected = [
        ["" if cell is None else str(cell) for cell in row.values()] for row in rows(path, name, **given(name, 1, 2))
    ]

    assert expected == list(csv.reader(io.StringIO(shell)))[1:]


# Random stacks -------------------------------------------------------------------------------------------------------

STACKS = 120


def followed(tree: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Return a tree of (type, mode, uid, size, link_target, crc64) with each hard link as the file that it names."""
    return {path: tree[row[4]] if row[0] == "hardlink" else row for path, row in tree.items()}


def test_random_stacks(tmp_path: Path) -> None:
    """The files that differ are those in which the merged trees of image-files do, whatever lies on whatever."""
    rng = random.Random(5)
    path = str(tmp_path / "random.db")
    roots = [DataRoot(tmp_path / host, seed=seed) for seed, host in enumerate(("one", "two"))]
    for number in range(STACKS):
        stacks = random_pair(rng)
        for root, stack in zip(roots, stacks, strict=True):
            top: Layer | None = None
            for tar in stack:
                top = root.layer(tar=tar, parent=top)
            image = root.image(top or (), [f"random:{number}"])
            if number % 10 == 0:
                root.container(image, name=f"box-{number}", files={"a/new": b"1" * rng.randint(1, 2)})
    for root, host in zip(roots, ("one", "two"), strict=True):
        scanned(path, root.path, host)

    differing = 0
    with database.reading(path) as connection:
        for number in range(STACKS):
            trees: dict[str, dict[str, tuple[Any, ...]]] = {}
            for row in ask(
                connection, "image-files", "host path type mode uid size link_target crc64", image=f"random:{number}"
            ):
                trees.setdefault(row[0], {})[row[1]] = row[2:]
            one, two = (followed(trees.get(host, {})) for host in ("one", "two"))
            expected = sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))
            found = rows_of(connection, "tree", a=1, b=2, image=f"random:{number}")
            assert expected == sorted(row["path"] for row in found)
            differing += len(found)
            if number % 10 == 0:
                inside = {row["path"] for row in rows_of(connection, "tree", a=1, b=2, container=f"box-{number}")}
                assert inside - {"/a/new", "/a"} == set(expected) - {"/a/new", "/a"}
    assert differing > STACKS


def random_pair(rng: random.Random) -> list[list[bytes]]:
    """Return two stacks of tars that have some layers in common, mostly at the bottom."""
    shared = [tar_of(random_layer(rng), rng) for _ in range(rng.randint(0, 3))]
    stacks = [[*shared, *(tar_of(random_layer(rng), rng) for _ in range(rng.randint(0, 2)))] for _ in range(2)]
    if rng.random() < 0.2:
        tail = tar_of(random_layer(rng), rng)
        stacks = [[*stack, tail] for stack in stacks]
    return stacks


# The command ---------------------------------------------------------------------------------------------------------


def run(*arguments: str | Path) -> Result:
    """Run the program within this process."""
    return CliRunner().invoke(group, ["compare", *(str(word) for word in arguments)], prog_name="layerindex")


def answer(*arguments: str | Path) -> str:
    """Return what a comparison prints, when all is well."""
    result = run(*arguments)
    assert (None, "", 0) == (result.exception, result.stderr, result.exit_code)
    return result.stdout


def refusal(*arguments: str | Path, status: int) -> str:
    """Return the sentence with which a comparison ends."""
    result = run(*arguments)
    assert (status, "") == (result.exit_code, result.stdout)
    return result.stderr.rpartition("Error: ")[2].rstrip("\n")


@pytest.mark.parametrize("table", ["hosts", "snapshots"])
def test_a_database_that_lost_a_table(path: str, tmp_path: Path, table: str) -> None:
    """It is said of the file, and what to do next."""
    copy = str(tmp_path / "copy.db")
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(f"DROP TABLE {table}")

    said = refusal("one", "two", "--db", copy, status=1)

    lost = f"it has no table {table}, it has no index {table}_{'name' if table == 'hosts' else 'host'}"
    assert said == f"{copy}: is not as layerindex writes it: {lost}; name another with --db"


def without_places(text: str) -> list[Row]:
    """Return JSON without what only tells where the snapshots were found."""
    found: list[Row] = json.loads(text)
    for pair in found:
        for side in "ab":
            del pair[side]["path"], pair[side]["snapshot_id"]
    return found


ALL = [word for name in compare.SECTIONS for word in ("--only", name)]


def split(path: str, folder: Path) -> list[Path]:
    """Return files that hold one host each."""
    files = []
    for host in ("one", "two"):
        file = Path(shutil.copy(path, folder / f"{host}.db"))
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("DELETE FROM hosts WHERE name <> ?", (host,))
            kept = "SELECT listing_id FROM layers UNION SELECT listing_id FROM overlay_dirs"
            connection.execute(
                f"DELETE FROM listings WHERE listing_id NOT IN (SELECT * FROM ({kept}) WHERE listing_id IS NOT NULL)"
            )
        files.append(file)
    return files


def test_other_files(path: str, tmp_path: Path) -> None:
    """Two files are compared as one database with both would be, and neither is changed."""
    one, two = split(path, tmp_path)
    before = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (one, two)]
    words = [*ALL, "--files", "app:1", "--format", "json"]
    expected = without_places(answer("one", "two", *words, "--db", path))

    assert expected == without_places(answer(one, two, *words, "--db", tmp_path / "none.db"))
    assert expected == without_places(answer("one", f"{two}:two", *words, "--db", path))
    assert expected == without_places(answer(f"{one}:1", "two", *words, "--db", two))
    assert expected == without_places(answer(f"{path}:one", f"{path}:two", *words, "--db", one))
    assert before == [hashlib.sha256(file.read_bytes()).hexdigest() for file in (one, two)]
    assert {"one.db", "two.db"} == {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("container", ["busy", "app", "same"])
def test_containers_of_other_files(path: str, tmp_path: Path, container: str) -> None:
    """The files of a container come along."""
    one, two = split(path, tmp_path)
    words = ["--files", container, "--format", "json"]

    assert without_places(answer("one", "two", *words, "--db", path)) == without_places(
        answer(one, two, *words, "--db", one)
    )


def test_references(path: str) -> None:
    """A snapshot is named by its number, the beginning of its uid, its host, and how many were after it."""
    with closing(sqlite3.connect(path)) as connection:
        uids = [uid for (uid,) in connection.execute("SELECT uid FROM snapshots ORDER BY snapshot_id")]
    expected = answer("2", "3", "--db", path, "--format", "json")

    assert expected == answer("two~1", "two", "--db", path, "--format", "json")
    if not uids[2][:12].isdecimal():
        assert expected == answer("2", uids[2][:12], "--db", path, "--format", "json")


def test_a_host_goes_before_a_uid(path: str, tmp_path: Path) -> None:
    """A host may be called like the beginning of a snapshot's uid, or like a file."""
    copy = shutil.copy(path, tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE snapshots SET uid = 'abcdef' || substr(uid, 7) WHERE snapshot_id = 1")
        connection.execute("UPDATE snapshots SET uid = 'abcdee' || substr(uid, 7) WHERE snapshot_id = 2")
    assert 1 == json.loads(answer("abcdef", "3", "--db", copy, "--format", "json"))[0]["a"]["snapshot_id"]
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE hosts SET name = 'abcdef' WHERE name = 'two'")
    assert 3 == json.loads(answer("abcdef", "3", "--db", copy, "--format", "json"))[0]["a"]["snapshot_id"]
    file = tmp_path / "two"
    file.write_text("not a database")
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE hosts SET name = ? WHERE name = 'abcdef'", (str(file),))
    assert 3 == json.loads(answer(file, "3", "--db", copy, "--format", "json"))[0]["a"]["snapshot_id"]


def test_table(path: str) -> None:
    """People see which snapshots they are, the summary, and sections under their names."""
    lines = answer("one", "two~1", "--only", "tags", "--db", path).splitlines()

    assert lines[0].startswith("a: one, snapshot 1, docker-overlay2 at /")
    assert lines[1].startswith("b: two, snapshot 2, docker-overlay2 at /")
    assert ["SECTION", "ONLY", "A", "ONLY", "B", "DIFFERING", "SAME"] == lines[3].split()
    assert ["tags", "1", "1", "3", "1"] == lines[4].split()
    assert "tags" == lines[6]
    assert ["only", "a", "only-one:1"] == lines[8].split()[:3]
    assert "no differences" == answer("one", "one", "--only", "tags", "--db", path).splitlines()[-1]


def test_machine_formats(path: str) -> None:
    """CSV has one head for all sections, JSON lines have each their own; whole ids and integers."""
    words = ("one", "two~1", "--only", "tags", "--only", "volumes", "--db", path)
    cells = list(csv.DictReader(io.StringIO(answer(*words, "--format", "csv"))))
    objects = [json.loads(line) for line in answer(*words, "--format", "jsonl").splitlines()]
    (whole,) = json.loads(answer(*words, "--format", "json"))

    assert [row["section"] for row in cells] == [row["section"] for row in objects] == ["tags"] * 5 + ["volumes"] * 3
    assert {"section", "a_snapshot_id", "b_snapshot_id", "change", "tag"} <= cells[0].keys()
    assert "volume" not in objects[0]
    assert whole["tags"] == rows(path, "tags", 1, 2)
    assert whole["volumes"] == rows(path, "volumes", 1, 2)
    assert ["tags", "volumes"] == [row["section"] for row in whole["summary"]]
    assert 9 == len(answer("one", "two", "--db", path, "--format", "tsv").splitlines()) - 1
    assert "### tags" in answer(*words, "--format", "markdown")


def test_exit_code(path: str) -> None:
    """Differences are an exit status only for who asks."""
    assert 0 == run("one", "two", "--db", path).exit_code
    assert 3 == run("one", "two", "--db", path, "--exit-code").exit_code
    assert 0 == run("one", "one", "--db", path, "--exit-code").exit_code
    assert 0 == run("two~1", "two", "--db", path, "--exit-code", "--only", "images").exit_code
    assert 3 == run("two~1", "two", "--db", path, "--exit-code", "--only", "tags").exit_code
    assert 3 == run("one", "two", "--db", path, "--exit-code", "--files", "app:1").exit_code
    assert 0 == run("one", "two", "--db", path, "--exit-code", "--files", "again:1").exit_code


def test_stores_of_a_host(tmp_path: Path) -> None:
    """Stores are compared one by one; what has no counterpart is said, and is a difference."""
    path = str(tmp_path / "h.db")
    for host, drivers in (("one", ("overlay2", "vfs")), ("two", ("overlay2", "vfs")), ("three", ("overlay2",))):
        for driver in drivers:
            root = DataRoot(tmp_path / host / driver, driver=driver)
            root.image(root.layer({"x": b"x"}), ["x:1"])
            scanned(path, root.path, host)

    assert 2 == len(json.loads(answer("one", "two", "--db", path, "--format", "json")))
    result = run("one", "three", "--db", path, "--exit-code", "--only", "images")
    assert 3 == result.exit_code
    assert "Not compared" in result.stderr
    assert "docker-vfs" in result.stderr


def test_unclear_stores(tmp_path: Path) -> None:
    """Two stores of one kind on one side and others elsewhere: the user has to say which."""
    path = str(tmp_path / "h.db")
    for host, names in (("one", ("a", "b")), ("two", ("c", "d"))):
        for name in names:
            root = DataRoot(tmp_path / host / name)
            root.image(root.layer({"x": b"x"}), ["x:1"])
            scanned(path, root.path, host)
    said = refusal("one", "two", "--db", path, status=2)

    assert "by their numbers" in said
    assert "snapshot 4" in said
    assert 0 == run("1", "3", "--db", path).exit_code


def test_wrong_words(path: str, tmp_path: Path) -> None:
    """What is not there is said, with what is near."""
    assert "did you mean one" in refusal("onw", "two", "--db", path, status=2)
    assert "no snapshot 99" in refusal("99", "two", "--db", path, status=2)
    assert "no snapshot 5 before" in refusal("one~5", "two", "--db", path, status=2)
    assert "no such database" in refusal("one", "two", "--db", tmp_path / "none.db", status=1)
    assert "no such database" in refusal("one", tmp_path / "none.db", "--db", path, status=1)
    assert "none.db: no such database" in refusal("one", "none.db:two", "--db", path, status=1)
    assert "no image or container 'nginx'" in refusal("one", "two", "--files", "nginx", "--db", path, status=2)
    assert "no image or container" in refusal("one", "two", "--files", "only-one:1", "--db", path, status=2)


def test_a_file_of_several_hosts(path: str, tmp_path: Path) -> None:
    """A file alone is a host only where it has but one."""
    said = refusal(path, "1", "--db", shutil.copy(path, tmp_path / "own.db"), status=2)

    assert f"{path}:one, {path}:two" in said


def test_files_that_are_not_indexed(tmp_path: Path) -> None:
    """Files that were not read are not called equal."""
    path = str(tmp_path / "h.db")
    root = DataRoot(tmp_path / "docker")
    root.image(root.layer({"x": b"x"}), ["x:1"])
    scanned(path, root.path, "one")
    exhibits.scan_into(path, root.path, exhibits.WEB, None)

    assert "not indexed" in refusal("one", "web-1", "--files", "x:1", "--db", path, status=2)
    assert "the scan of a read files, that of b metadata" in run("one", "web-1", "--db", path).stderr
    assert "" == run("one", "one", "--db", path).stderr


HOSTILE = {
    "view": ("DROP TABLE volumes; CREATE VIEW volumes AS SELECT * FROM images", "volumes"),
    "column": ("ALTER TABLE volumes ADD COLUMN extra TEXT", "volumes"),
    "missing": ("DROP TABLE volumes", "volumes"),
    "newer": ("UPDATE alembic_version SET version_num = '9999'", "newer"),
    "older": ("UPDATE alembic_version SET version_num = '0001'", "is another"),
    "foreign": ("PRAGMA application_id = 1", "not a layerindex database"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_are_not_ours(path: str, tmp_path: Path, case: str) -> None:
    """What only looks like ours ends the comparison with a sentence."""
    _, two = split(path, tmp_path)
    sql, word = HOSTILE[case]
    with closing(sqlite3.connect(two)) as connection:
        connection.executescript(sql)

    assert word in refusal("one", two, "--db", path, status=1)


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"x" * 5000])
def test_random_files(path: str, tmp_path: Path, content: bytes) -> None:
    """A file that is no database ends the comparison with a sentence."""
    file = tmp_path / "other.db"
    file.write_bytes(content)

    assert str(file) in refusal("one", file, "--db", path, status=1)


def test_a_cut_file(path: str, tmp_path: Path) -> None:
    """Half a database ends the comparison with a sentence."""
    _, two = split(path, tmp_path)
    two.write_bytes(two.read_bytes()[: two.stat().st_size // 2])

    assert str(two) in refusal("one", two, "--db", path, status=1)


def test_views_of_a_file_are_not_run(path: str, tmp_path: Path) -> None:
    """Views beside ours are not asked; a trigger on ours is refused."""
    one, two = split(path, tmp_path)
    expected = without_places(answer(one, two, *ALL, "--db", path, "--format", "json"))
    with closing(sqlite3.connect(two)) as connection:
        connection.execute("CREATE VIEW current_lie AS SELECT load_extension('x')")

    assert expected == without_places(answer(one, two, *ALL, "--db", path, "--format", "json"))
    with closing(sqlite3.connect(two)) as connection:
        connection.execute("CREATE TRIGGER lie AFTER INSERT ON volumes BEGIN DELETE FROM volumes; END")
    assert "a trigger lie is on its table volumes" in refusal(one, two, "--db", path, status=1)


def test_text_is_printed_safely(tmp_path: Path) -> None:
    """Names of a store cannot move the cursor."""
    path = str(tmp_path / "h.db")
    root = DataRoot(tmp_path / "docker")
    scanned(path, root.path, "one")
    root.image(root.layer({"x\x1b[31m": b"x"}), ["x\x1b[2J:1"])
    scanned(path, root.path, "t\x1b[2Jwo")

    assert "\x1b" not in answer("1", "2", *ALL, "--db", path)
