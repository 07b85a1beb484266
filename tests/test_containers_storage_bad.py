"""Whatever a graph root holds, its scan ends in time, says what is wrong, and reads all that is not."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from layerindex.stores.containers_storage import moment
from layerindex.stores.containers_storage import scan as storage_scan
from layerindex.stores.containers_storage.layers import Chains
from layerindex.stores.containers_storage.lists import file_name
from layerindex.stores.disk import ids
from tests.conftest import codes, nobody_special, problems, replaced, serious, table
from tests.storageroot import StorageRoot
from tests.test_containers_storage import FILES, roles, storage_scanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.storageroot import Container, Image, Layer


class World:
    """A graph root where all is well: `image` and what belongs to it is to be damaged, `other` is not."""

    def __init__(self, path: Path) -> None:
        self.root = root = StorageRoot(path)
        self.base: Layer = root.layer({"bin/sh": b"#!"})
        self.top: Layer = root.layer({"srv/app": b"app"}, parent=self.base)
        self.image: Image = root.image(self.top, ["localhost/web:1"])
        self.other_layer: Layer = root.layer({"etc/other": b"other"})
        self.other: Image = root.image(self.other_layer, ["localhost/other:1"])
        self.container: Container = root.container(self.image, name="web", volumes=["data:/d"], log=b"x")
        self.other_container: Container = root.container(self.other, name="spare", state="running")
        root.save()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a graph root where all is well."""
    return World(tmp_path / "storage")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Give a graph root where all is well, which each test leaves as it was."""
    return World(tmp_path_factory.mktemp("lasting") / "storage")


def test_world(world: World) -> None:
    """There all is well."""
    connection = storage_scanned(world.root.path, options=FILES)
    assert codes(connection) <= {"opaque-unknown"}
    assert set(roles(connection).values()) == {"layer", "container"}


@pytest.mark.parametrize("lost", ["overlay", "overlay-images", "overlay-layers"])
def test_folder_that_is_lost(world: World, lost: str) -> None:
    """A graph root without one of its three folders is still one, and no directory that is needed is an orphan."""
    before = roles(storage_scanned(world.root.path))
    shutil.rmtree(world.root.path / lost)
    connection = storage_scanned(world.root.path)
    assert (lost, None) in problems(connection, "missing")
    assert set(roles(connection).values()) <= {*before.values(), "unknown"}


# Every file in every way ---------------------------------------------------------------------------------------------


KINDS = ["layers", "images", "containers", "config", "manifest", "link", "lower", "tar-split", "bolt", "short"]


def files(world: World) -> dict[str, Path]:
    """Return each kind of file of a graph root."""
    root, top = world.root, world.root.directory(world.top)
    return {
        "layers": root.list_file("layers"),
        "images": root.list_file("images"),
        "containers": root.list_file("containers"),
        "config": root.data_file(world.image, world.image.image_id),
        "manifest": root.data_file(world.image, "manifest"),
        "link": top / "link",
        "lower": top / "lower",
        "tar-split": root.tar_split(world.top),
        "bolt": root.bolt_file,
        "short": root.path / "overlay/l" / world.top.link,
    }


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**41)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "gone": lambda _: None,
    "empty": lambda path: path.write_bytes(b""),
    "white": lambda path: path.write_bytes(b" \n"),
    "binary": lambda path: path.write_bytes(os.urandom(3000)),
    "number": lambda path: path.write_text("7"),
    "null": lambda path: path.write_text("null"),
    "list of wrong things": lambda path: path.write_text('[1, null, "x", [], {}, {"id": []}, {"id": ""}]'),
    "nested": lambda path: path.write_text("[" * 100_000),
    "nested objects": lambda path: path.write_text('{"a":' * 100_000),
    "folder": lambda path: path.mkdir(),
    "fifo": _fifo,
    "link to itself": lambda path: path.symlink_to(path.name),
    "link outside": lambda path: path.symlink_to("/etc/passwd"),
    "huge": _huge,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file(lasting: World, kind: str, damage: str) -> None:
    """A damaged file costs what it says, and no more."""
    root = lasting.root
    path = files(lasting)[kind]
    if kind == "short":
        target = os.readlink(path)
        path.unlink()
        try:
            DAMAGES[damage](path)
            connection = storage_scanned(root.path, options=FILES)
        finally:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            path.symlink_to(target)
    else:
        with replaced(path):
            DAMAGES[damage](path)
            connection = storage_scanned(root.path, options=FILES)
    found = roles(connection)
    assert found.keys() == {path.name for path in (root.path / "overlay").iterdir() if len(path.name) == 64}
    assert "orphan" not in found.values()
    if kind not in ("layers", "images", "containers"):
        assert (lasting.other.image_id,) in table(connection, "image_id", "images")
        assert found[lasting.other_layer.layer_id] == "layer"
        assert found[lasting.other_container.layer.layer_id] == "container"
    if not (damage == "gone" and kind in ("containers", "bolt", "tar-split", "images")):
        assert codes(connection) - {"opaque-unknown"} or (damage, kind) in QUIET


QUIET = {("gone", "lower")} | {("null", each) for each in ("layers", "images", "containers", "tar-split")}
"""Nothing is said of a list that is null, as of one that is not there."""


@pytest.mark.parametrize("cut", [1, 10, 100, -1])
@pytest.mark.parametrize("kind", ["layers", "images", "containers", "config", "manifest", "bolt"])
def test_torn_file(lasting: World, kind: str, cut: int) -> None:
    """A torn file is said."""
    path = files(lasting)[kind]
    with replaced(path) as content:
        path.write_bytes(content[:cut])
        connection = storage_scanned(lasting.root.path)
    assert codes(connection) & {"bad-json", "bad-bolt", "bolt-page"} or (kind, cut) == ("bolt", -1)
    assert "orphan" not in roles(connection).values()


HOSTILE: list[Any] = [
    "../../../etc",
    "..",
    ".",
    "",
    "a/b",
    "a\0b",
    "l",
    "staging",
    "tempdirs",
    "x" * 300,
    "\x1b[31m",
    7,
    -1,
    2**70,
    1e300,
    True,
    None,
    [],
    {},
    [[]],
    {"a": {"a": []}},
    ["x", 7],
]
"""Values of every type, and texts that would be paths."""


def said(kind: str, world: World) -> list[dict[str, Any]]:
    """Return what a list says."""
    found: list[dict[str, Any]] = json.loads(world.root.list_file(kind).read_text())
    return found


KEYS = {
    "layers": (
        *("id", "names", "parent", "created", "compressed-diff-digest", "compressed-size", "diff-digest"),
        *("diff-size", "toc-digest", "flags", "metadata", "big-data-names"),
    ),
    "images": ("id", "digest", "names", "layer", "mapped-layers", "metadata", "big-data-names", "created", "flags"),
    "containers": ("id", "names", "image", "layer", "metadata", "created", "flags", "big-data-names"),
}


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in KEYS.items() for key in keys])
def test_hostile_values(lasting: World, kind: str, key: str) -> None:
    """A hostile value in a list costs itself, and what is another's stays."""
    path = lasting.root.list_file(kind)
    for value in HOSTILE:
        with replaced(path) as content:
            values = json.loads(content)
            values[1 if kind == "layers" else 0][key] = value
            path.write_text(json.dumps(values))
            connection = storage_scanned(lasting.root.path)
        assert (lasting.other.image_id,) in table(connection, "image_id", "images")
        assert roles(connection)[lasting.other_layer.layer_id] == "layer"
        if kind != "layers" or key != "id":
            assert "orphan" not in roles(connection).values()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"[" + b"{}," * 100_000 + b"{}]", "more-problems"),
        (b"[" + b"[]," * 600_000 + b"[]]", "too-large"),
        (b'[{"id":"a","names":7,"parent":[],"created":"x"}' + b',{"id":"a"}' * 100_000 + b"]", "more-problems"),
    ],
)
@pytest.mark.parametrize("kind", ["layers", "images", "containers"])
def test_list_of_much(lasting: World, kind: str, content: bytes, code: str) -> None:
    """A list that is wrong in a hundred thousand places is told of in a thousand."""
    with replaced(lasting.root.list_file(kind)):
        lasting.root.list_file(kind).write_bytes(content)
        connection = storage_scanned(lasting.root.path)
    assert code in codes(connection)
    assert connection.execute("SELECT count(*) FROM problems").fetchone()[0] < 2000
    assert "orphan" not in roles(connection).values()


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_state(world: World, value: Any) -> None:  # noqa: ANN401 - of every type
    """A hostile value in Podman's state costs itself."""
    root, made = world.root, world.container
    wanted = ("name", "rootfsImageID", "rootfsImageName", "spec", "namedVolumes", "userVolumes", "createdTime", "pod")
    for key in (*wanted, "logDriver", "logPath", "overlayVolumes", "imageVolumes"):
        before = root.configs[made.container_id].get(key)
        root.configs[made.container_id][key] = value
        connection = storage_scanned(root)
        assert len(table(connection, "container_id", "containers")) == 2
        root.configs[made.container_id][key] = before
    for key in ("state", "exitCode", "startedTime", "finishedTime"):
        root.states[made.container_id] |= {key: value}
    root.volumes["data"] |= dict.fromkeys(("labels", "volumeDriver", "mountPoint", "volumeOptions"), value)
    root.configs["../../x"] = root.configs[made.container_id]
    root.states["../../x"] = {}
    connection = storage_scanned(root)
    assert len(table(connection, "container_id", "containers")) == 2
    assert (root.bolt_file.name, None) in [(path.split("/")[-1], None) for path, _ in problems(connection, "bad-id")]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_manifest(world: World, value: Any) -> None:  # noqa: ANN401 - of every type
    """A hostile manifest costs itself; the image's id then leads to the config."""
    for content in (
        value,
        {"config": value},
        {"config": {"digest": value}},
        {"mediaType": value},
        {"manifests": value},
    ):
        world.root.data_file(world.image, "manifest").write_text(json.dumps(content))
        connection = storage_scanned(world.root.path)
        assert (world.other.image_id,) in table(connection, "image_id", "images")
        assert (world.image.image_id,) in table(connection, "image_id", "images")


# Each finding --------------------------------------------------------------------------------------------------------


def test_layers_in_a_circle(world: World) -> None:
    """Layers that stand on each other have no chain, and end."""
    root = world.root
    root.layers[0]["parent"] = world.top.layer_id
    connection = storage_scanned(root)
    assert problems(connection, "layer-circle") != []
    assert table(connection, "cache_id", "layers") == [(world.other_layer.layer_id,)]
    assert roles(connection)[world.base.layer_id] == "layer"
    root.layers[0]["parent"] = world.base.layer_id
    assert problems(storage_scanned(root), "layer-circle") == [("overlay-layers/layers.json", world.base.layer_id)]


def test_long_chain() -> None:
    """Thousands of parents, and a circle at their end, take no stack and no time."""
    from layerindex.stores.containers_storage.layers import StoredLayer  # noqa: PLC0415

    def stored(number: int, parent: str | None) -> StoredLayer:
        diff_id = f"sha256:{number:064}"
        return StoredLayer(f"{number}", parent, [], None, diff_id, 1, None, None, None, False, False, 0, "")

    count = 50_000
    layers = {f"{number}": stored(number, f"{number - 1}" if number else None) for number in range(count)}
    assert Chains(layers).of[f"{count - 1}"] is not None
    layers["0"] = stored(0, f"{count - 1}")
    circle = Chains(layers)
    assert set(circle.of.values()) == {None}
    assert len(circle.circles) == 1


def test_missing_parent(world: World) -> None:
    """A layer whose parent is in no list has no chain."""
    del world.root.layers[0]
    connection = storage_scanned(world.root)
    assert problems(connection, "missing-parent") == [("overlay-layers/layers.json", world.top.layer_id)]
    assert problems(connection, "missing-layer") != []
    assert roles(connection)[world.base.layer_id] == "unknown"  # another's list of lowers names it


def test_missing_layer(world: World) -> None:
    """An image whose top layer is in no list is said, and one whose layers are not those of its config."""
    world.root.images[0]["layer"] = "d" * 64
    connection = storage_scanned(world.root)
    assert problems(connection, "missing-layer") == [("overlay-images/images.json", world.image.image_id)]
    world.root.images[0]["layer"] = world.other_layer.layer_id
    world.root.layers[1]["diff-digest"] = f"sha256:{'d' * 64}"
    connection = storage_scanned(world.root)
    assert problems(connection, "missing-layer") == [("overlay-images/images.json", world.image.image_id)]


def test_layer_in_two_lists(world: World) -> None:
    """The first of two layers with one id counts."""
    world.root.volatile_layers.append({**world.root.layers[0], "diff-digest": f"sha256:{'d' * 64}"})
    connection = storage_scanned(world.root)
    assert problems(connection, "duplicate-id") == [("overlay-layers/volatile-layers.json", world.base.layer_id)]
    assert (world.base.diff_id,) in table(connection, "diff_id", "layers")


def test_missing_directory(world: World) -> None:
    """A layer whose directory is gone is said."""
    shutil.rmtree(world.root.directory(world.top))
    connection = storage_scanned(world.root)
    assert problems(connection, "missing-directory") == [("overlay-layers/layers.json", world.top.chain_id)]
    assert problems(connection, "dangling-link") == [(f"overlay/l/{world.top.link}", world.top.layer_id)]


def test_list_of_layers_that_is_gone(world: World) -> None:
    """Without the list no directory is an orphan, though the engine takes it for empty."""
    world.root.list_file("layers").unlink()
    connection = storage_scanned(world.root.path)
    assert ("overlay-layers/layers.json", None) in problems(connection, "missing")
    found = roles(connection)
    assert found[world.base.layer_id] == "unknown"
    assert found[world.top.layer_id] == "layer"  # the image names it


def test_config_with_another_digest(world: World) -> None:
    """A config that is not what its name says is kept, and said."""
    file = world.root.data_file(world.image, world.image.image_id)
    file.write_bytes(world.image.config + b" ")
    connection = storage_scanned(world.root)
    assert problems(connection, "image-id-mismatch") == [
        (f"overlay-images/{world.image.storage_id}/{file.name}", world.image.image_id)
    ]
    assert table(connection, "verified", f"images WHERE image_id = '{world.image.image_id}'") == [(0,)]


def test_manifest_with_another_digest(world: World) -> None:
    """A manifest that is not what its name says is said."""
    digest = ids.sha256(world.image.manifest)
    file = world.root.data_file(world.image, f"manifest-{digest}")
    file.write_bytes(world.image.manifest + b" ")
    where = f"overlay-images/{world.image.storage_id}/{file.name}"
    assert problems(storage_scanned(world.root), "digest-mismatch") == [(where, digest)]


def test_image_without_its_folder(world: World) -> None:
    """An image whose files are gone is said; its name stays."""
    shutil.rmtree(world.root.path / "overlay-images" / world.image.storage_id)
    connection = storage_scanned(world.root)
    assert problems(connection, "missing") == [(f"overlay-images/{world.image.storage_id}", world.image.storage_id)]
    assert ("localhost/web:1", world.image.image_id) in table(connection, "ref, image_id", "image_refs")


def test_image_without_its_config(world: World) -> None:
    """An image whose config is not in its list of files is said."""
    world.root.images[0]["big-data-names"] = ["manifest"]
    found = problems(storage_scanned(world.root), "missing")
    assert found == [
        (f"overlay-images/{world.image.storage_id}/sha256:{world.image.storage_id}", world.image.storage_id)
    ]


def test_container_whose_image_or_layer_is_gone(world: World) -> None:
    """A container is there without its image, and without its layer."""
    del world.root.images[0]
    gone = world.root.layers.pop()
    connection = storage_scanned(world.root)
    where = "overlay-containers/containers.json"
    assert problems(connection, "missing-image") == [(where, world.container.container_id)]
    assert problems(connection, "container-without-mount") == [(where, world.other_container.container_id)]
    assert roles(connection)[gone["id"]] == "container"


def test_container_that_only_podman_knows(world: World) -> None:
    """A container that the storage has lost is said."""
    del world.root.containers[0]
    connection = storage_scanned(world.root)
    where = "overlay-containers/containers.json"
    assert problems(connection, "container-without-mount") == [(where, world.container.container_id)]


def test_logs_that_are_none(world: World) -> None:
    """A log that is no file is not one, and rotated ones are."""
    folder = world.root.userdata(world.container)
    (folder / "ctr.log").unlink()
    os.mkfifo(folder / "ctr.log")
    (folder / "ctr.log.1").write_bytes(b"12")
    (folder / "ctr.log.x").write_bytes(b"12")
    connection = storage_scanned(world.root)
    found = table(connection, "path, rotation, apparent_bytes", "container_logs")
    assert found == [(f"overlay-containers/{world.container.container_id}/userdata/ctr.log.1", 1, 2)]
    assert {path.split("/")[-1] for path, _ in problems(connection, "not-regular")} == {"ctr.log"}


def test_leftovers(world: World) -> None:
    """What an atomic write has left is said."""
    (world.root.path / "overlay-layers/.tmp-layers.json123").touch()
    assert problems(storage_scanned(world.root), "leftover") == [("overlay-layers/.tmp-layers.json123", None)]


@pytest.mark.parametrize("name", ["db.sql", "libpod/db.sql"])
def test_damaged_sqlite(world: World, name: str) -> None:
    """A database that is none is said, and the containers stay, in a state unknown."""
    world.root.save_sqlite(name).write_bytes(b"SQLite format 3\0" + bytes(2000))
    connection = storage_scanned(world.root.path)
    assert problems(connection, "bad-sqlite") == [(name, None)]
    assert set(table(connection, "state", "containers")) == {("unknown",)}


@pytest.mark.parametrize(
    "folder", ["overlay", "overlay-layers", "overlay-images", "overlay-containers", "volumes", "libpod"]
)
def test_folder_that_may_not_be_read(world: World, folder: str) -> None:
    """What we may not read is said, and nothing is called an orphan."""
    path = world.root.path / folder
    path.chmod(0)
    try:
        with nobody_special():
            connection = storage_scanned(world.root.path)
    finally:
        path.chmod(0o700)
    assert problems(connection, "permission-denied") != []
    assert "orphan" not in roles(connection).values()


@pytest.mark.parametrize("folder", ["overlay", "overlay-layers", "overlay-images", "overlay-containers", "volumes"])
def test_folder_that_is_a_symlink(world: World, folder: str) -> None:
    """A folder that is a symlink is not followed."""
    path = world.root.path / folder
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")
    try:
        connection = storage_scanned(world.root.path)
    except ValueError:
        pytest.fail("it must be read")
    assert "orphan" not in roles(connection).values()


# While an engine works -----------------------------------------------------------------------------------------------


def test_lists_that_change(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that are replaced between two readings are read again, for together they tell of one moment."""
    root = world.root
    before = moment.Reader._read_lists  # noqa: SLF001 - where an engine comes between
    states: Iterator[int] = iter(range(100))

    def changing(self: moment.Reader) -> moment.Lists:
        found = before(self)
        if next(states) == 0:
            root.image(root.layer({"new": b"1"}), ["localhost/new:1"])
            root.save()
        return found

    monkeypatch.setattr(moment.Reader, "_read_lists", changing)
    connection = storage_scanned(root.path)
    assert codes(connection) == set()
    assert ("localhost/new:1",) in table(connection, "ref", "image_refs")


def test_lists_that_always_change(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that never come to rest are read as they are, with that said."""
    monkeypatch.setattr(moment.Reader, "_identity", lambda _: [(int.from_bytes(os.urandom(7)),)])
    assert "inconsistent" in codes(storage_scanned(world.root.path))


def test_layer_that_is_pulled_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What seems to be nobody's, and a moment later is not, is not spoken against."""
    root = world.root
    lost = root.layer({"new": b"1"})
    root.save()
    before = storage_scan.Scan._leftovers  # noqa: SLF001 - after the first look

    def pulled(self: storage_scan.Scan) -> Any:  # noqa: ANN401 - as it is
        root.image(lost, ["localhost/new:1"])
        root.save()
        return before(self)

    monkeypatch.setattr(storage_scan.Scan, "_leftovers", pulled)
    assert codes(storage_scanned(root.path)) == set()


def test_image_that_is_removed_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that goes while it is read has vanished."""
    root = world.root
    before = storage_scan.Scan._leftovers  # noqa: SLF001 - after the first look

    def removed(self: storage_scan.Scan) -> Any:  # noqa: ANN401 - as it is
        shutil.rmtree(root.path / "overlay-images" / world.image.storage_id)
        del root.images[0]
        root.save()
        return before(self)

    monkeypatch.setattr(storage_scan.Scan, "_leftovers", removed)
    assert serious(storage_scanned(root.path)) == set()


# Names of big data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("manifest", "manifest"),
        ("a.b-", "a.b-"),  # the last character is not looked at
        ("sha256:ab", "=c2hhMjU2OmFi"),
        ("manifest-x", "=bWFuaWZlc3QteA=="),
    ],
)
def test_file_name(key: str, name: str) -> None:
    """A key that is no plain word is a file in base64."""
    assert file_name(key) == name


@pytest.mark.parametrize("key", ["", ".", "..", "a/", "/", "\0", "k" * 256, "\xff?>\xff?>"])
def test_key_that_is_no_file(key: str) -> None:
    """A key that would be a path, or no name, is refused."""
    with pytest.raises(ValueError, match="big data"):
        file_name(key)
