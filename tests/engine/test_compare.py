"""Two engines as two hosts, and one host on two days: what `compare` and the fleet queries say is what docker says."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .archives import Member, pack
from .conftest import new_engine
from .program import Index, layerindex
from .store import CLASSIC, FOREVER, RUN, build
from .test_files import STEPS, added, linked, make_tree, pack_tree, path_bytes, read_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .engine import Engine
    from .test_files import Entry

    Row = dict[str, Any]

pytestmark = pytest.mark.engine

BASE, APP, TREE, TRAVELLED, TWIN, LOCAL = "base:1", "app:1", "tree:1", "travelled:1", "twin:1", "local-{}:1"
TREES = {"one": STEPS, "two": [STEPS[0], STEPS[2], STEPS[3], STEPS[6]]}
WROTE = {
    "box": "echo same > /srv-{0} && rm -r /c/whole && chmod 600 /c/edit/file && echo {0} > /c/again && ln -s {0} /new",
    "like": "mkdir /made && rm /c/opened",
}
TALK = ("sh", "-c", "echo a line of the log")


@dataclass
class Said:
    """What docker says of one engine at one time."""

    images: list[Row]
    listed: set[str]
    containers: dict[str, Row]

    @property
    def tags(self) -> dict[str, str]:
        """Each tag with its image."""
        return {tag: image["Id"] for image in self.images for tag in image["RepoTags"] or ()}

    @property
    def stacks(self) -> dict[str, tuple[str, ...]]:
        """Each image with its diff_ids."""
        return {image["Id"]: tuple(image["RootFS"].get("Layers") or ()) for image in self.images}

    @property
    def chains(self) -> dict[str, set[str]]:
        """Each diff_id with its chain ids."""
        found: dict[str, set[str]] = {}
        for stack in self.stacks.values():
            chain = ""
            for diff_id in stack:
                chain = f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}" if chain else diff_id
                found.setdefault(diff_id, set()).add(chain)
        return found


def ask(engine: Engine) -> Said:
    """Ask an engine what it has."""
    everything = set(engine.docker("image", "ls", "-aq", "--no-trunc").split())
    listed = set(engine.docker("image", "ls", "-q", "--no-trunc").split())
    names = engine.docker("ps", "-aq", "--no-trunc").split()
    containers = {row["Name"].removeprefix("/"): row for row in engine.inspect(*names, kind="container")}
    return Said(engine.inspect(*sorted(everything)), listed, containers)


# The hosts -----------------------------------------------------------------------------------------------------------


def fill(one: Engine, two: Engine) -> None:
    """Let the two share a base, build on it what differs, and send one image from one to the other."""
    tree = one.folder / "tree"
    tree.mkdir()
    make_tree(tree)
    one.docker("import", "-", BASE, input=pack_tree(tree, "--format=gnu"))
    send(one, two, BASE)
    twin = pack([Member("twin", b"the same on both")])
    for name, engine in (("one", one), ("two", two)):
        engine.docker("import", "--message", name, "-", TWIN, input=twin)
        build(engine, APP, f"FROM {BASE}\nCOPY app /srv/app\n", {"app": f"made on {name}\n".encode()}, CLASSIC)
        build(
            engine,
            LOCAL.format(name),
            f"FROM {APP}\nENV host={name}\nCOPY app /srv/more\n",
            {"app": name.encode()},
            CLASSIC,
        )
        steps = [f"RUN {step}" for step in TREES[name]]
        build(engine, TREE, "\n".join([f"FROM {BASE}", *steps, ""]), {}, CLASSIC)
    build(one, TRAVELLED, f"FROM {APP}\nCOPY app /srv/travelled\n", {"app": b"around"}, CLASSIC)
    send(one, two, TRAVELLED)
    for name, engine in (("one", one), ("two", two)):
        for container, script in WROTE.items():
            engine.docker("run", *RUN, "--name", container, BASE, "sh", "-c", script.format(name))
        engine.docker("run", "-d", *RUN, "--name", "app", "-v", "data:/data", APP, *FOREVER)
        engine.docker("exec", "app", "sh", "-c", f"echo {name * 10} > /data/rows")
        engine.docker("create", *RUN, "--name", f"only-{name}", APP, "sh")
    one.docker("stop", "app")


def send(one: Engine, two: Engine, image: str) -> None:
    """Move an image as people do who have no registry."""
    path = one.folder / "sent.tar"
    one.docker("save", "-o", path, image)
    two.docker("load", "-i", path)
    path.unlink()


def change(two: Engine) -> None:
    """What a host goes through in a week."""
    two.docker("rm", "-f", "only-two")
    two.docker("rmi", LOCAL.format("two"))
    build(two, APP, f"FROM {BASE}\nCOPY app /srv/app\n", {"app": b"made again, and longer\n"}, CLASSIC)
    build(two, "new:1", f"FROM {TWIN}\nCOPY app /srv/new\n", {"app": b"new\n"}, CLASSIC)
    two.docker("run", *RUN, "--name", "talker", BASE, *TALK)
    two.docker("exec", "app", "sh", "-c", "echo more and more >> /data/rows; echo x > /written")
    two.docker("rm", "box")
    two.docker("run", *RUN, "--name", "box", BASE, "sh", "-c", "echo said; echo 1 > /other")


@dataclass
class World:
    """Two engines, what they said, and what was scanned: 1 is host one, 2 and 3 are host two before and after."""

    one: Engine
    two: Engine
    said: dict[int, Said]
    index: Index
    files: dict[int, Path]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give them; all in one database and each in a file of its own."""
    folder = tmp_path_factory.mktemp("compare")
    db = folder / "all.db"
    with new_engine() as one, new_engine() as two:
        fill(one, two)
        said, files = {}, {}
        for number, (host, engine) in enumerate((("one", one), ("two", two), ("two", two)), 1):
            if number == 3:
                change(two)
            said[number] = ask(engine)
            for path in (db, folder / f"{number}.db"):
                layerindex("scan", engine.root, "--db", path, "--host", host, "-q")
            files[number] = folder / f"{number}.db"
        yield World(one, two, said, Index(db), files)


def compared(world: World, a: int, b: int, *words: str) -> Row:
    """Return what the program says of two snapshots."""
    answer = layerindex("compare", str(a), str(b), *words, "--db", world.index.path, "--format", "json")
    (found,) = json.loads(answer.stdout)
    return dict(found)


def section(world: World, a: int, b: int, name: str) -> list[Row]:
    """Return the rows of a section."""
    rows: list[Row] = compared(world, a, b, "--only", name)[name]
    return rows


each_pair = pytest.mark.parametrize(("a", "b"), [(1, 2), (2, 1), (2, 3), (1, 3)])

# Sections ------------------------------------------------------------------------------------------------------------


@each_pair
def test_images(world: World, a: int, b: int) -> None:
    """Images only here or there, and those of the same content."""
    mine, theirs = (world.said[side].listed - world.said[other].listed for side, other in ((a, b), (b, a)))
    rows = section(world, a, b, "images")
    content = [Counter(world.said[side].stacks[image] for image in images) for side, images in ((a, mine), (b, theirs))]
    same = [row for row in rows if row["change"] == "same content"]

    assert {row["a_image_id"] for row in rows} - {None} == mine
    assert {row["b_image_id"] for row in rows} - {None} == theirs
    assert sum((content[0] & content[1]).values()) == len(same)
    for row in same:
        assert world.said[a].stacks[row["a_image_id"]] == world.said[b].stacks[row["b_image_id"]]
    if (a, b) == (1, 2):
        assert [TWIN] == [row["image"] for row in same]


@each_pair
def test_tags(world: World, a: int, b: int) -> None:
    """Tags only here or there, and those that name other images."""
    mine, theirs = world.said[a], world.said[b]
    expected: set[tuple[str, str, str | None, str | None]]
    expected = {(tag, "only a", mine.tags[tag], None) for tag in mine.tags.keys() - theirs.tags.keys()}
    expected |= {(tag, "only b", None, theirs.tags[tag]) for tag in theirs.tags.keys() - mine.tags.keys()}
    for tag in mine.tags.keys() & theirs.tags.keys():
        ids = mine.tags[tag], theirs.tags[tag]
        if ids[0] != ids[1]:
            same = mine.stacks[ids[0]] == theirs.stacks[ids[1]]
            expected.add((tag, "same content" if same else "other image", *ids))
    rows = section(world, a, b, "tags")

    assert expected == {(row["tag"], row["change"], row["a_image_id"], row["b_image_id"]) for row in rows}
    assert any(row["change"] == "other image" for row in rows)


@each_pair
def test_layers(world: World, a: int, b: int) -> None:
    """Layers only here or there, and at other places."""
    mine, theirs = world.said[a].chains, world.said[b].chains
    expected = {
        (diff_id, "only a" if diff_id not in theirs else "only b" if diff_id not in mine else "other place")
        for diff_id in mine.keys() | theirs.keys()
        if mine.get(diff_id) != theirs.get(diff_id)
    }
    rows = section(world, a, b, "layers")

    assert expected == {(row["diff_id"], row["change"]) for row in rows}
    for row in rows:
        assert len(mine.get(row["diff_id"], ())) == row["a_places"]
        assert len(theirs.get(row["diff_id"], ())) == row["b_places"]


@each_pair
def test_containers(world: World, a: int, b: int) -> None:
    """Containers only here or there, and what differs in those of one name."""
    mine, theirs = world.said[a].containers, world.said[b].containers
    rows = {row["container"]: row["change"].split(", ") for row in section(world, a, b, "containers")}

    assert {name for name, change in rows.items() if change == ["only a"]} == mine.keys() - theirs.keys()
    assert {name for name, change in rows.items() if change == ["only b"]} == theirs.keys() - mine.keys()
    for name in mine.keys() & theirs.keys():
        change = rows.get(name, [])
        assert (mine[name]["Image"] != theirs[name]["Image"]) == ("image" in change or "image config" in change)
        assert (mine[name]["State"]["Status"] != theirs[name]["State"]["Status"]) == ("state" in change)
        assert ({a, b} == {2, 3} and mine[name]["Id"] != theirs[name]["Id"]) == ("recreated" in change)
    written = {name for name, change in rows.items() if "writable layer" in change}
    assert written == ({"app", "box"} if (a, b) == (2, 3) else {"box"} if 3 not in (a, b) else written)


def test_logs_and_volumes_grow(world: World) -> None:
    """What a container said, and what its volume holds."""
    logs = {row["container"]: row for row in section(world, 2, 3, "containers")}
    (volume,) = section(world, 2, 3, "volumes")
    sizes = {row["category"]: row for row in section(world, 2, 3, "sizes")}
    talker = world.said[3].containers["talker"]["Id"]
    log = world.two.root / "containers" / talker / f"{talker}-json.log"

    assert log.stat().st_size == logs["talker"]["b_log_bytes"]
    assert ("grew", "data", len("more and more\n")) == (
        volume["change"],
        volume["volume"],
        volume["b_apparent_bytes"] - volume["a_apparent_bytes"],
    )
    assert sizes["container logs"]["grown_bytes"] > 0


@each_pair
def test_both_directions_and_the_summary(world: World, a: int, b: int) -> None:
    """The summary counts what the sections list, and turns round with the sides."""
    there, back = compared(world, a, b)["summary"], compared(world, b, a)["summary"]
    for row, turned in zip(there, back, strict=True):
        assert (row["section"], row["only_a"], row["only_b"], row["differing"], row["same"]) == (
            turned["section"],
            turned["only_b"],
            turned["only_a"],
            turned["differing"],
            turned["same"],
        )


def test_files_of_their_own(world: World) -> None:
    """Databases of one host each are compared like one that holds both; so is one that they were imported into."""
    words = ("--only", "images", "--only", "layers", "--only", "containers", "--files", TREE)
    names = ("summary", "images", "layers", "containers", "files-of")
    expected = compared(world, 1, 2, *words)
    apart = layerindex("compare", world.files[1], world.files[2], *words, "--db", world.files[3], "--format", "json")
    together = world.files[1].with_name("together.db")
    layerindex("import", world.files[1], world.files[2], "--db", together)
    merged = layerindex("compare", "one", "two", *words, "--db", together, "--format", "json")

    assert expected["files-of"]
    for answer in (apart, merged):
        (found,) = json.loads(answer.stdout)
        assert {name: expected[name] for name in names} == {name: found[name] for name in names}


# Files ---------------------------------------------------------------------------------------------------------------


def exported(engine: Engine, name: str) -> dict[bytes, Entry]:
    """Return what a container shows, less what the engine adds and what is not compared."""
    path = engine.folder / "exported.tar"
    engine.docker("export", "-o", path, name)
    entries, _ = linked(read_tar(path.read_bytes()))
    return {
        path: entry._replace(mtime=None, opaque=False, xattrs=(), capability=None)
        for path, entry in entries.items()
        if path not in {b"/", b"/dev"} and not added(path)
    }


def fresh(engine: Engine, image: str) -> dict[bytes, Entry]:
    """Return what a fresh container of an image shows."""
    engine.docker("create", *RUN, "--name", "fresh", image, "/none")
    try:
        return exported(engine, "fresh")
    finally:
        engine.docker("rm", "fresh")


def differing(one: dict[bytes, Entry], two: dict[bytes, Entry]) -> dict[bytes, tuple[bool, bool]]:
    """Return each path that differs, and on which sides it is."""
    paths = sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))
    return {path: (path in one, path in two) for path in paths}


def found(world: World, a: int, b: int, thing: str) -> dict[bytes, Row]:
    """Return what the program says, less what the engine adds."""
    rows = compared(world, a, b, "--files", thing)["files-of"]
    return {path_bytes(row["path"]): row for row in rows if not added(path_bytes(row["path"]))}


@pytest.mark.parametrize("image", [BASE, TREE, TRAVELLED, TWIN])
def test_files_of_an_image(world: World, image: str) -> None:
    """The files that differ are those that differ in `docker export` of fresh containers."""
    expected = differing(fresh(world.one, image), fresh(world.two, image))
    rows = found(world, 1, 2, image)

    assert expected == {path: (row["a_type"] is not None, row["b_type"] is not None) for path, row in rows.items()}
    assert bool(rows) == (image == TREE)


@pytest.mark.parametrize("image", [APP, TREE])
def test_files_of_an_image_later(world: World, image: str) -> None:
    """The same of the host as it is now."""
    expected = differing(fresh(world.one, image), fresh(world.two, image))
    rows = found(world, 1, 3, image)

    assert expected
    assert expected == {path: (row["a_type"] is not None, row["b_type"] is not None) for path, row in rows.items()}


@pytest.mark.parametrize("container", ["box", "like", "app"])
def test_files_of_a_container(world: World, container: str) -> None:
    """Those of containers too; content that nobody read is called unknown, not equal."""
    expected = differing(exported(world.one, container), exported(world.two, container))
    rows = found(world, 1, 3, container)
    certain = {path for path, row in rows.items() if row["change"] != "content unknown"}

    assert certain <= expected.keys() <= rows.keys()
    assert bool(expected) == bool(rows)


# Fleet queries -------------------------------------------------------------------------------------------------------


def test_layer_and_image_hosts(world: World) -> None:
    """Which host has what, as docker on each says."""
    hosts = {"one": world.said[1], "two": world.said[3]}
    for diff_id in hosts["one"].chains.keys() | hosts["two"].chains.keys():
        expected = {
            (host, len(said.chains[diff_id]), sum(diff_id in stack for stack in said.stacks.values()))
            for host, said in hosts.items()
            if diff_id in said.chains
        }
        rows = world.index.query("layer-hosts", layer=diff_id)
        assert expected == {(row["host"], row["places"], row["images"]) for row in rows}
    for tag in hosts["one"].tags.keys() | hosts["two"].tags.keys():
        rows = world.index.query("image-hosts", image=tag)
        assert {(host, said.tags[tag]) for host, said in hosts.items() if tag in said.tags} == {
            (row["host"], row["image_id"]) for row in rows
        }


def test_tag_drift(world: World) -> None:
    """Tags that name other layers on each host."""
    one, two = world.said[1], world.said[3]
    expected = {
        tag for tag in one.tags.keys() & two.tags.keys() if one.stacks[one.tags[tag]] != two.stacks[two.tags[tag]]
    }
    rows = world.index.query("tag-drift")

    assert {APP, TREE} <= expected
    assert expected == {row["tag"] for row in rows}
    assert all((row["variants"], row["hosts"], row["of_hosts"]) == (2, 1, 2) for row in rows)


def test_sharing_and_similarity(world: World) -> None:
    """What the hosts have in common."""
    one, two = (set(world.said[side].chains) for side in (1, 3))
    whole, *each = world.index.query("fleet-sharing")
    pairs = world.index.query("host-similarity")

    assert len(one | two) == whole["distinct_layers"]
    assert len(one ^ two) == whole["unique_layers"]
    assert [("one", len(one)), ("two", len(two))] == [(row["host"], row["distinct_layers"]) for row in each]
    assert [len(one & two)] * 2 == [row["shared_layers"] for row in pairs]


def test_first_and_last_seen(world: World) -> None:
    """A tag that moved, an image that went and one that came."""
    before, after = world.said[2], world.said[3]
    first = {(row["id"], row["host"]): row for row in world.index.query("first-seen") if row["kind"] == "image"}
    last = {(row["id"], row["host"]): row for row in world.index.query("last-seen") if row["kind"] == "image"}
    gone = before.stacks.keys() - after.stacks.keys()
    came = after.stacks.keys() - before.stacks.keys()
    moved = [row for row in world.index.query("last-seen", image=APP) if row["kind"] == "tag" and row["host"] == "two"]

    assert gone
    assert came
    assert gone == {image for (image, host), row in last.items() if host == "two" and row["gone_at"]}
    assert came == {image for (image, host), row in first.items() if host == "two" and row["absent_at"]}
    assert [(before.tags[APP], 2), (after.tags[APP], 3)] == [(row["id"], row["snapshot_id"]) for row in moved]


def test_growth(world: World) -> None:
    """Totals of each day."""
    rows = world.index.query("growth", host="two")

    assert [len(world.said[number].stacks) for number in (2, 3)] == [row["images"] for row in rows]
    assert [len(world.said[number].containers) for number in (2, 3)] == [row["containers"] for row in rows]
    assert [sum(map(len, world.said[number].chains.values())) for number in (2, 3)] == [row["layers"] for row in rows]
    assert rows[0]["log_bytes"] < rows[1]["log_bytes"]
    assert rows[0]["volume_bytes"] <= rows[1]["volume_bytes"]


def test_outliers(world: World, tmp_path: Path) -> None:
    """A host that lacks what two others have, or has another image under its tag."""
    db = tmp_path / "three.db"
    for host, engine in (("one", world.one), ("three", world.one), ("two", world.two)):
        layerindex("scan", engine.root, "--db", db, "--host", host, "-q", "--no-files")
    one, two = world.said[1], world.said[3]
    expected = {("missing", tag, "two") for tag in one.tags.keys() - two.tags.keys()}
    expected |= {
        ("other image", tag, "two")
        for tag in one.tags.keys() & two.tags.keys()
        if one.stacks[one.tags[tag]] != two.stacks[two.tags[tag]]
    }
    rows = Index(db).query("outliers", threshold="60")

    assert ("missing", LOCAL.format("one"), "two") in expected
    assert expected == {(row["kind"], row["tag"], row["host"]) for row in rows}
