"""What is lost, torn or reached in another way, one case each: who may need a thing is said, and nothing is unused."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import query
from layerindex.errors import LayerindexError
from layerindex.show import answers, things
from tests.conftest import World, scanned, table
from tests.test_file_queries import ask

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from tests.dataroot import Layer, Mount

CONFIG, HOST_CONFIG = "config.v2.json", "hostconfig.json"


@pytest.fixture
def torn(world: World) -> World:
    """Give a store where the config of a container is empty, as a power cut leaves it."""
    world.root.container_file(world.container).write_bytes(b"")
    return world


def standing(connection: sqlite3.Connection, kind: str, thing: str) -> tuple[str, str | None]:
    """Return what is said of a thing, and why."""
    [found] = table(connection, "standing, because", f"standings WHERE kind = '{kind}' AND id = '{thing}'")
    return found[0], found[1]


def directory(connection: sqlite3.Connection, owner: Layer | Mount) -> str:
    """Return why the directory of a layer or container is unknown."""
    name = str(getattr(owner, "mount_id", "") or getattr(owner, "cache_id", ""))
    found, because = standing(connection, "directory", name)
    assert found == "unknown"
    return because or ""


def bound(world: World, **said: object) -> None:
    """Write what the user asked for when the container was made."""
    path = world.root.container_file(world.container, HOST_CONFIG)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"Binds": None} | said))


def shown(connection: sqlite3.Connection, thing: str) -> dict[str, Any]:
    """Return what `show` says of a thing."""
    [asked] = things.things(thing, answers.roots(connection))
    [answer] = answers.answers(connection, asked)
    return answers.as_json(answer)


def test_lost_mount_record(world: World) -> None:
    """The container's config tells whose writable layer the directory probably is, by what it stands on."""
    shutil.rmtree(world.root.mount_file(world.container.mount, "mount-id").parent)
    connection, mount = scanned(world.root), world.container.mount
    assert directory(connection, mount).startswith("probably the writable layer of container web; ")
    (_, because) = standing(connection, "directory", f"{mount.mount_id}-init")
    assert str(because).startswith("probably below the writable layer of container web; ")


@pytest.mark.parametrize("damage", ["removed", "emptied"])
def test_lost_layer_record(world: World, damage: str) -> None:
    """An image tells that a directory must be its layer's."""
    top = world.root.layer({"srv/lone": b"lone"}, parent=world.base)
    image = world.root.image(top, ["lone:1"])
    folder = world.root.layer_dir(top)
    shutil.rmtree(folder)
    if damage == "emptied":
        folder.mkdir()
    connection = scanned(world.root)
    name = image.image_id.removeprefix("sha256:")[:12]
    assert directory(connection, top).startswith(f"probably layer 1 of image {name}; ")


def test_all_layer_records_lost(world: World) -> None:
    """Without layerdb no directory is an orphan."""
    shutil.rmtree(world.root.layer_dir(world.top).parent.parent)
    assert "layerdb" in directory(scanned(world.root), world.top)


def test_torn_config(torn: World) -> None:
    """What a container may name is unknown: its image, and volumes beyond those that hostconfig.json has."""
    torn.root.volume("other")
    connection = scanned(torn.root)
    because = f"containers/{torn.container.container_id}/{CONFIG} (damaged: the file has no content)"
    assert standing(connection, "image", torn.image.image_id) == ("unknown", because)
    assert standing(connection, "volume", "other") == ("unknown", because)
    assert standing(connection, "volume", "data") == ("used", None)
    found = ask(connection, "containers", "name because", container=torn.container.container_id)
    assert found == [(None, because)]
    assert ask(connection, "containers", "name because", container="spare") == [("spare", None)]
    [(blocked,)] = ask(connection, "reclaim", "blocked_by", image="acme/web:1.0")
    assert f"users unknown: {because}" in str(blocked)
    for kind, name in (("image", "acme/web:1.0"), ("volume", "other"), ("volume", "data")):
        found = shown(connection, name)[kind]
        said = ("used", None) if name == "data" else ("unknown", because)
        assert (found.get("standing", found.get("status")), found["because"]) == said


@pytest.mark.parametrize(
    "said",
    [
        {"Binds": ["x:/d:ro"]},
        {"Mounts": [{"Type": "volume", "Source": "x", "Target": "/d", "ReadOnly": True}]},
    ],
)
def test_volumes_that_were_asked_for(torn: World, said: dict[str, object]) -> None:
    """Where the config is torn, hostconfig.json still tells the volumes."""
    torn.root.volume("x")
    bound(torn, **said)
    connection = scanned(torn.root)
    assert standing(connection, "volume", "x") == ("used", None)
    columns = "destination, type, name, source, read_write"
    mounts = f"container_volumes WHERE container_id = '{torn.container.container_id}'"
    assert table(connection, columns, mounts) == [("/d", "volume", "x", None, 0)]


def test_binds_that_say_nothing(torn: World) -> None:
    """What is no mount is a finding, or none of ours."""
    bound(torn, Binds=["", "/only", 7], Mounts=[None, 7, {"Type": "tmpfs", "Target": "/t", "Source": "x"}])
    where = f"containers/{torn.container.container_id}/{HOST_CONFIG}"
    found = table(scanned(torn.root), "path, detail", "problems WHERE code = 'bad-value'")
    assert found == [(where, "'mount': 7 is no object")]


@pytest.mark.parametrize("damage", ["none", "torn"])
def test_volume_reached_by_its_path(world: World, damage: str) -> None:
    """A bind of a folder in volumes/ is a use of the volume, also as only hostconfig.json has it."""
    source = str(world.root.volume("shared"))
    world.root.container(world.image, name="backup", volumes=[f"{source}:/s"])
    if damage == "torn":
        for path in world.root.path.glob(f"containers/*/{CONFIG}"):
            path.write_bytes(b"")
    connection = scanned(world.root)
    assert standing(connection, "volume", "shared") == ("used", None)
    found = shown(connection, "shared")
    assert (found["volume"]["status"], found["volume"]["containers"]) == ("used", 1)
    [mount] = found["volume_containers"]
    assert (mount["container"] == "backup", mount["destination"]) == (damage == "none", "/s")


def test_torn_names(world: World) -> None:
    """Where the list of names is torn, no image is said to have none."""
    path = world.root.repositories_file
    path.write_bytes(path.read_bytes()[:40])
    connection = scanned(world.root)
    assert {standing for (standing,) in ask(connection, "dangling-images", "standing")} == {"unknown"}
    assert {dangling for (dangling,) in ask(connection, "images", "dangling")} == {None}
    unread = r"; it may be in what was not read: image/overlay2/repositories\.json \(damaged\)$"
    with pytest.raises(LayerindexError, match=unread):
        shown(connection, "acme/web:1.0")
    with pytest.raises(LayerindexError, match=f"no image 'acme/web:1.0' in the selected snapshots{unread}"):
        query.resolve(connection, "image", "acme/web:1.0")
    [(detail,)] = table(connection, "detail", "problems")
    assert detail.endswith("the engine does not start with it")
    [(blocked,)] = ask(connection, "reclaim", "blocked_by", image=world.other.image_id)
    assert "names unknown: image/overlay2/repositories.json (damaged: not JSON" in str(blocked)


def test_lost_links(world: World) -> None:
    """Where l/ is lost, the link files tell each target, and the repair that makes it again."""
    for path in world.root.link_file("x").parent.iterdir():
        path.unlink()
    connection = scanned(world.root)
    link, cache_id = world.top.link, world.top.cache_id
    repair = f"ln -s ../{cache_id}/diff l/{link}"
    assert ask(connection, "links", "cache_id target repair", link=link) == [(cache_id, None, repair)]
    broken = [row for row in ask(connection, "broken-links", "object link target repair") if row[0] == cache_id]
    assert broken == [(cache_id, link, f"../{cache_id}/diff", repair)]


def test_links_that_were_copied(world: World) -> None:
    """Where a copy followed the symlinks of l/, the link files tell what each was; lowers lead there as before."""
    for path in world.root.link_file("x").parent.iterdir():
        path.unlink()
        path.mkdir()
    connection = scanned(world.root)
    link, cache_id = world.top.link, world.top.cache_id
    repair = f"mv l/{link} {link}.copy && ln -s ../{cache_id}/diff l/{link}"
    broken = [row for row in ask(connection, "broken-links", "link problem target repair") if row[0] == link]
    assert broken == [(link, "not a symlink", f"../{cache_id}/diff", repair)]
    assert table(connection, "count(*)", "overlay_lowers WHERE lower_cache_id IS NULL") == [(0,)]
    assert ask(connection, "orphans", "cache_id") == []


def test_link_of_two_directories(world: World) -> None:
    """A short name that two link files have tells nothing."""
    world.root.link_file(world.top.link).unlink()
    world.root.overlay_file(world.base, "link").write_text(world.top.link)
    connection = scanned(world.root)
    assert ask(connection, "links", "cache_id repair", link=world.top.link) == []
    repairs = {row[0] for row in ask(connection, "broken-links", "repair")}
    assert repairs == {None}


def test_log_of_a_remote_driver(world: World) -> None:
    """What the engine keeps of a log that goes elsewhere is a log."""
    folder = world.root.container_file(world.container).parent
    (folder / f"{folder.name}-json.log").unlink()
    for name in ("container-cached.log", "container-cached.log.2.gz"):
        (folder / name).write_bytes(b"line")
    logs = table(
        scanned(world.root), "driver, rotation, apparent_bytes", f"container_logs WHERE path LIKE '%{folder.name}%'"
    )
    assert logs == [("local", 0, 4), ("local", 2, 4)]


@pytest.mark.parametrize("state", ["running", "exited"])
def test_removed_log(world: World, state: str) -> None:
    """Of a container that runs, a log that is gone holds its bytes until a restart."""
    container = world.root.container(world.image, name="held", state=state)
    path: Path = world.root.container_file(container, f"{container.container_id}-json.log")
    path.unlink()
    connection = scanned(world.root)
    rows = ask(connection, "logs", "files path", container="held")
    where = f"containers/{container.container_id}/{path.name}"
    assert rows == ([(0, where)] if state == "running" else [])
    [(size,)] = ask(connection, "containers", "log_bytes", container="held")
    assert size == (None if state == "running" else 0)


@pytest.mark.parametrize("damage", ["lost", "torn"])
def test_parent_of_a_lost_child(world: World, damage: str) -> None:
    """The record of its parent tells of a child whose config is lost or torn: the parent is not dangling."""
    parent = world.root.image(world.base)
    child = world.root.image(world.root.layer(parent=world.base), parent=parent)
    path = world.root.file("image/overlay2/imagedb/content/sha256") / child.image_id.removeprefix("sha256:")
    path.unlink() if damage == "lost" else path.write_bytes(b"")
    connection = scanned(world.root)
    assert standing(connection, "image", parent.image_id)[0] != "unused"
    assert parent.image_id not in [image for (image,) in ask(connection, "dangling-images", "image_id")]
    assert {row[1] for row in ask(connection, "images", "image_id dangling") if row[0] == parent.image_id} <= {0}


@pytest.mark.parametrize("name", ["volumes", "overlay2"])
def test_folder_moved_to_another_disk(world: World, name: str) -> None:
    """A symlink in its place is named, with its target; nothing is missing, unused or an orphan."""
    place, target = world.root.file(name), world.root.path.parent / "disk2"
    place.rename(target)
    place.symlink_to(target)
    connection = scanned(world.root)
    [(path, detail)] = table(connection, "path, detail", "problems WHERE severity <> 'info'")
    assert (path, f"leads to {target};" in detail, "no container starts" in detail) == (name, True, name == "overlay2")
    found = ask(connection, "volumes", "name status because")
    assert found == [
        ("data", *(("unknown", f"volumes (elsewhere: {detail})") if name == "volumes" else ("used", None)))
    ]
    volume = shown(connection, "data")["volume"]
    assert [("data", volume["status"], volume["because"])] == found
    assert ask(connection, "orphans", "cache_id") == []
    assert [row for row in ask(connection, "missing-data", "because") if row[0] is None] == []


@pytest.mark.parametrize("name", ["volumes", "overlay2"])
def test_folder_that_is_not_mounted(world: World, name: str) -> None:
    """Where metadata names what is in an empty folder, its filesystem may not be mounted: nothing of it is missing."""
    place = world.root.file(name)
    shutil.rmtree(place)
    place.mkdir()
    connection = scanned(world.root)
    [(code, detail)] = table(connection, "code, detail", "problems WHERE severity <> 'info'")
    assert (code, detail.endswith("is its filesystem not mounted?")) == ("not-mounted", True)
    assert {row[0] for row in ask(connection, "volumes", "status")} == {"unknown" if name == "volumes" else "used"}
    assert [row for row in ask(connection, "missing-data", "because") if row[0] is None] == []


def test_root_that_was_moved(world: World) -> None:
    """Mounts whose source is where the root was keep their containers from starting."""
    new = world.root.path.parent / "newdisk"
    world.root.path.rename(new)
    [(code, path, detail)] = table(scanned(new), "code, path, detail", "problems")
    assert (code, path) == ("moved-root", f"containers/{world.container.container_id}/{CONFIG}")
    assert detail.startswith(f"'/var/lib/data' has the source '{world.root.path}")


def test_lost_and_found(world: World) -> None:
    """What a filesystem makes for itself is neither a volume nor a directory of the driver."""
    for name in ("volumes", "overlay2"):
        world.root.file(f"{name}/lost+found").mkdir()
    connection = scanned(world.root)
    assert table(connection, "name", "volumes") == [("data",)]
    assert standing(connection, "directory", "lost+found")[0] == "unknown"
    assert {path for path, _ in table(connection, "path, code", "problems")} == {
        "overlay2/lost+found",
        "volumes/lost+found",
    }
    world.root.file("volumes/lost+found/_data").mkdir()
    assert ("lost+found",) in table(scanned(world.root), "name", "volumes")
