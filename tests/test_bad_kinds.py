"""Every code that can stand in `problems.code` is given for the thing it means, at the right place."""

from __future__ import annotations

import json
import os
import resource
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from layerindex.problems import KINDS
from layerindex.records import Layer, Problem
from layerindex.stores import open_stores
from tests.bolt_writer import bolt
from tests.conftest import World, nobody_special, problems, scanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Case = Callable[[World], str | list[Problem]]

CASES: dict[str, Case] = {}


def case(code: str) -> Callable[[Case], Case]:
    """Note a function as the one that makes a store with a problem of that code.

    It returns the path at which it must be found, or the problems themselves where they need a scan of their own.
    """

    def note(make: Case) -> Case:
        assert code not in CASES
        CASES[code] = make
        return make

    return note


OF_LISTINGS = {code for code in KINDS if code.startswith(("tar-", "pax-", "blob-"))} | {
    "other-filesystem",
    "too-deep",
    "no-xattrs",
    "opaque-unknown",
    "more-problems",
    "lossy-copy",
}
"""Codes of file listings: test_tarsplit, test_blob, test_walk and test_snapshot_files give them."""


OF_STORAGE = {
    "additional-layer",
    "bad-sqlite",
    "composefs",
    "dangling-layer",
    "digest-mismatch",
    "duplicate-id",
    "incomplete-layer",
    "layer-circle",
    "rotated-diff",
}
"""Codes of containers-storage: test_containers_storage and test_containers_storage_bad give them."""
OF_CONTAINERD = {"blob-size", "manifest-depth", "missing-blob", "unknown-media-type", "unknown-snapshot"}
"""Codes of containerd's store: test_containerd gives them."""
OF_ALL = {"reader-failed", "bad-settings"}
"""Codes of any reader, and of what names stores: test_guard and test_places give them."""
OF_DOUBT = {"missing-log", "elsewhere", "not-mounted", "moved-root"}
"""Codes of what tests/test_doubt.py damages."""
OF_USAGE = {"own-filesystem"}
"""Codes of what tests/test_usage.py mounts."""
ELSEWHERE = OF_USAGE | OF_DOUBT | OF_LISTINGS | OF_STORAGE | OF_CONTAINERD | OF_ALL


def test_every_code_has_a_case() -> None:
    """No code is promised that nothing gives."""
    assert set(KINDS) == set(CASES) | ELSEWHERE


@pytest.mark.parametrize("code", sorted(KINDS.keys() - ELSEWHERE))
def test_code(world: World, code: str) -> None:
    """Each code is given at the path of the damage, and only where there is some."""
    assert not problems(scanned(world.root), code)
    made = CASES[code](world)
    if isinstance(made, str):
        assert made in [path for path, _ in problems(scanned(world.root), code)]
    else:
        assert code in [problem.code for problem in made]


def at(world: World, path: Path) -> str:
    """Return a path as problems name it."""
    return str(path.relative_to(world.root.path))


def written(world: World, path: Path, content: bytes) -> str:
    """Write a file and return its path as problems name it."""
    path.write_bytes(content)
    return at(world, path)


def problems_of(world: World) -> list[Problem]:
    """Return all problems of the one store."""
    (store,) = open_stores(str(world.root.path))
    return [record for record in store.records() if isinstance(record, Problem)]


@case("permission-denied")
def denied(world: World) -> list[Problem]:
    """A folder that only others may open."""
    folder = world.root.layer_dir(world.top)
    folder.chmod(0)
    with nobody_special():
        found = problems_of(world)
    folder.chmod(0o700)
    return found


@contextmanager
def few_files_more(count: int) -> Iterator[None]:
    """Let the process open only a few files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@case("unreadable")
def unreadable(world: World) -> list[Problem]:
    """More nested folders than the system lets the process open at once."""
    world.root.mount("/".join(["deep"] * 30), init=False)
    with few_files_more(20):
        return problems_of(world)


@case("vanished")
def vanished(world: World) -> list[Problem]:
    """A layer that is removed after layerdb was listed."""
    (store,) = open_stores(str(world.root.path))
    found = []
    layers = [world.base, world.top, world.other.layers[0]]
    for record in store.records():
        if isinstance(record, Layer) and layers:
            for layer in layers:
                if layer.chain_id != record.chain_id:
                    shutil.rmtree(world.root.layer_dir(layer))
            layers.clear()
        if isinstance(record, Problem):
            found.append(record)
    return found


@case("missing")
def missing(world: World) -> str:
    """A layer without its diff file."""
    path = world.root.layer_file(world.top, "diff")
    path.unlink()
    return at(world, path)


@case("not-regular")
def not_regular(world: World) -> str:
    """A fifo in the place of a file."""
    path = world.root.layer_file(world.top, "diff")
    path.unlink()
    os.mkfifo(path)
    return at(world, path)


@case("not-a-folder")
def not_a_folder(world: World) -> str:
    """A symlink in the place of a folder."""
    path = world.root.layer_dir(world.top)
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    return at(world, path)


@case("too-large")
def too_large(world: World) -> str:
    """An id of five thousand characters."""
    return written(world, world.root.layer_file(world.top, "cache-id"), b"a" * 5000)


@case("empty")
def empty(world: World) -> str:
    """A file that lost its content."""
    return written(world, world.root.layer_file(world.top, "size"), b"")


@case("bad-text")
def bad_text(world: World) -> str:
    """A file that is not UTF-8."""
    return written(world, world.root.overlay_file(world.top, "link"), b"\xff")


@case("bad-json")
def bad_json(world: World) -> str:
    """A file of brackets."""
    return written(world, world.root.container_file(world.container), b"[" * 100_000)


@case("bad-value")
def bad_value(world: World) -> str:
    """A size below zero."""
    return written(world, world.root.layer_file(world.top, "size"), b"-1")


@case("bad-id")
def bad_id(world: World) -> str:
    """A cache-id that is a path."""
    return written(world, world.root.layer_file(world.top, "cache-id"), b"../../etc")


@case("image-id-mismatch")
def image_id_mismatch(world: World) -> str:
    """An image config that was edited by hand."""
    path = world.root.config_file(world.image)
    return written(world, path, world.image.config.replace(b"amd64", b"arm64"))


@case("chain-id-mismatch")
def chain_id_mismatch(world: World) -> str:
    """A layer with the diff_id of another."""
    world.root.layer_file(world.top, "diff").write_text(world.base.diff_id)
    return at(world, world.root.layer_dir(world.top))


@case("container-id-mismatch")
def container_id_mismatch(world: World) -> str:
    """A container's folder that was copied."""
    path = world.root.container_file(world.container)
    return written(world, path, json.dumps({**world.container.config, "ID": "a" * 64}).encode())


@case("missing-image")
def missing_image(world: World) -> str:
    """A tag of an image that was deleted by hand."""
    world.root.config_file(world.image).unlink()
    return at(world, world.root.repositories_file)


@case("missing-layer")
def missing_layer(world: World) -> str:
    """An image whose layer was deleted by hand."""
    shutil.rmtree(world.root.layer_dir(world.top))
    return at(world, world.root.config_file(world.image))


@case("missing-parent")
def missing_parent(world: World) -> str:
    """A layer whose parent was deleted by hand."""
    shutil.rmtree(world.root.layer_dir(world.base))
    return at(world, world.root.layer_dir(world.top))


@case("missing-directory")
def missing_directory(world: World) -> str:
    """A layer whose directory was deleted by hand."""
    shutil.rmtree(world.root.overlay_dir(world.top))
    return at(world, world.root.layer_dir(world.top))


@case("shared-cache-id")
def shared_cache_id(world: World) -> str:
    """A layer that names another's directory."""
    world.root.layer_file(world.top, "cache-id").write_text(world.base.cache_id)
    return at(world, world.root.overlay_dir(world.base))


@case("history-mismatch")
def history_mismatch(world: World) -> str:
    """An image with more steps than layers."""
    image = world.root.image(world.base, history=[{"created_by": "one"}, {"created_by": "two"}])
    return at(world, world.root.config_file(image))


@case("stale-mount")
def stale_mount(world: World) -> str:
    """A writable layer of nobody."""
    mount = world.root.mount(parent=world.top)
    return at(world, world.root.mount_file(mount, "mount-id").parent)


@case("container-without-mount")
def container_without_mount(world: World) -> str:
    """A container whose writable layer's entry was deleted by hand."""
    shutil.rmtree(world.root.mount_file(world.container.mount, "mount-id").parent)
    return at(world, world.root.container_file(world.container).parent)


@case("removing-layer")
def removing_layer(world: World) -> str:
    """A layer whose removal was interrupted."""
    return at(world, world.root.removing(world.root.layer()))


@case("write-set")
def write_set(world: World) -> str:
    """A pull that was interrupted."""
    world.root.write_set(12345)
    return "image/overlay2/layerdb/tmp/write-set-12345"


@case("leftover")
def leftover(world: World) -> str:
    """A temporary file of a write that was interrupted."""
    return written(world, world.root.repositories_file.with_name(".tmp-repositories.json123"), b"{")


@case("unexpected-entry")
def unexpected_entry(world: World) -> str:
    """A file of somebody else's."""
    return written(world, world.root.file("containers/lost+found"), b"")


@case("bad-bolt")
def bad_bolt(world: World) -> str:
    """A file of zeros, as power cuts leave it."""
    world.root.build_record(world.root.buildkit_dir())
    return written(world, world.root.file("buildkit/snapshots.db"), bytes(16384))


@case("bolt-page")
def bolt_page(world: World) -> str:
    """A database whose last page was never written."""
    world.root.build_record(world.root.buildkit_dir())
    path = world.root.file("buildkit/snapshots.db")
    return written(world, path, path.read_bytes()[:-4096])


@case("inconsistent")
def inconsistent(world: World) -> list[Problem]:
    """A database that is another each time its headers are looked at."""
    world.root.build_record(world.root.buildkit_dir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layerindex.stores.disk.bolt.PAUSE", 0)
        patch.setattr("os.pread", lambda *_: b"")
        return problems_of(world)


@case("missing-snapshot")
def missing_snapshot(world: World) -> str:
    """A record whose snapshot was deleted."""
    world.root.build_record(world.root.buildkit_dir())
    world.root.database("buildkit/snapshots.db", {})
    return "buildkit/metadata_v2.db"


@case("parent-circle")
def parent_circle(world: World) -> str:
    """A record that is its own parent."""
    record_id = world.root.buildkit_id()
    world.root.build_record(world.root.buildkit_dir(), record_id=record_id, parent=record_id)
    return "buildkit/metadata_v2.db"


@case("missing-link")
def missing_link(world: World) -> str:
    """A directory whose short name was deleted."""
    world.root.link_file(world.top.link).unlink()
    return at(world, world.root.overlay_file(world.top, "link"))


@case("dangling-link")
def dangling_link(world: World) -> str:
    """A short name whose directory was deleted."""
    shutil.rmtree(world.root.overlay_dir(world.top))
    return at(world, world.root.link_file(world.top.link))


@case("outside-link")
def outside_link(world: World) -> str:
    """A short name that leads out of the store."""
    path = world.root.link_file(world.top.link)
    path.unlink()
    path.symlink_to("/etc")
    return at(world, path)


@case("not-a-link")
def not_a_link(world: World) -> str:
    """A short name that a copy made a folder of."""
    path = world.root.link_file(world.top.link)
    path.unlink()
    path.mkdir()
    return at(world, path)


@case("duplicate-link")
def duplicate_link(world: World) -> str:
    """Two short names of one directory."""
    path = world.root.link_file("Z" * 26)
    path.symlink_to(f"../{world.top.cache_id}/diff")
    return at(world, path)


@case("broken-lower")
def broken_lower(world: World) -> str:
    """A lower list with a short name that is not there."""
    return written(world, world.root.overlay_file(world.top, "lower"), b"l/" + b"Z" * 26)


@case("lower-mismatch")
def lower_mismatch(world: World) -> str:
    """A layer that stands on another directory than its parent's."""
    other = world.other.layers[0]
    return written(world, world.root.overlay_file(world.top, "lower"), f"l/{other.link}".encode())


@case("missing-volume")
def missing_volume(world: World) -> str:
    """A local volume that the engine knows and whose folder is gone."""
    world.root.file("volumes/metadata.db").write_bytes(bolt({"volumes": {"gone": b'{"Name":"gone","Driver":"local"}'}}))
    return "volumes/gone"


@case("other-driver")
def other_driver(world: World) -> str:
    """A store of a driver that is not read."""
    world.root.file("btrfs/subvolumes").mkdir(parents=True)
    return "btrfs"


@case("other-store")
def other_store(world: World) -> str:
    """An engine that keeps images in a containerd elsewhere."""
    world.root.file("rootfs/overlayfs").mkdir(parents=True)
    return "containerd"
