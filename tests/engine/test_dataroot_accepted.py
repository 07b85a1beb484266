"""A real engine takes a built root for its own, and writes the same bytes for the same layers."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.dataroot import DataRoot, Files, Image, char, directory, fifo, hardlink, opaque, regular, symlink, whiteout
from tests.engine.engine import Engine, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

REASON = why_not()
pytestmark = [pytest.mark.engine, pytest.mark.skipif(REASON is not None, reason=str(REASON))]

BASE: Files = {
    "bin/busybox": regular(b"ELF" * 400, mode=0o4755, uid=33, gid=33),
    "bin/cat": hardlink("bin/busybox"),
    "bin/sh": symlink("busybox"),
    "dev/null": char(1, 3, mode=0o666),
    'etc/<a>&"b"\t\\c': b"odd",
    os.fsdecode(b"etc/caf\xe9"): b"latin-1",
    "etc/motd": b"x" * 512,
    f"deep/{'d' * 90}/{'f' * 90}": b"long",
    "run/pipe": fifo(mode=0o600),
    "var/cache/old": b"",
    "var/tmp": directory(mode=0o1777),
}
TOP: Files = {
    "etc/gr\u00fc\u00df \u2028": regular(b"text", nanoseconds=123_456_789),
    "etc/motd": whiteout(),
    "var/cache": opaque(mode=0o700),
    "var/cache/new": regular(b"n", xattrs={"user.note": b"x"}),
    "far/future": regular(mtime=7_000_000_000),
}


def build(path: Path) -> tuple[DataRoot, list[Image]]:
    """Make a root with images whose bases are tars of the three formats, and what an engine has beside images."""
    root = DataRoot(path, privileged=True)
    images = []
    for name, tar_format in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        base = root.layer(BASE, tar_format=tar_format)
        images.append(root.image(root.layer(TOP, parent=base), [f"acme/{name}:1.0", f"localhost:5000/x/{name}:1"]))
    images.append(root.image(tags=["acme/bare:1"]))
    images.append(root.image(root.layer({}, parent=images[-2].layers[-1]), parent=images[-2]))
    return root, images


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Engine, DataRoot, list[Image]]]:
    """Start an engine on a built root."""
    engine = Engine()
    root, images = build(engine.root)
    root.container(images[0], name="ended", state="exited", exit_code=3, volumes=["data:/data"], files={"tmp/x": b"1"})
    root.container(images[3], name="made", state="created")
    with engine:
        yield engine, root, images


def test_images_are_the_built_ones(started: tuple[Engine, DataRoot, list[Image]]) -> None:
    """Ids, layers, sizes, tags, parents and times as built."""
    engine, _, images = started
    for image, said in zip(images, engine.inspect(*(image.image_id for image in images)), strict=True):
        assert said["Id"] == image.image_id
        assert said["RootFS"].get("Layers", []) == [layer.diff_id for layer in image.layers]
        assert sorted(said["RepoTags"]) == sorted(image.tags)
        assert said["Created"] == image.created
        assert said["Size"] == image.size
    assert engine.inspect(images[4].image_id)[0]["Parent"] == images[2].image_id
    listed = {row["ID"] for row in engine.rows("images", "--all", "--no-trunc")}
    assert listed == {image.image_id for image in images}


def test_directories_are_where_the_engine_looks(started: tuple[Engine, DataRoot, list[Image]]) -> None:
    """The driver's own view of an image: its upper directory and the lowers below it."""
    engine, root, images = started
    for image, said in zip(images[:3], engine.inspect(*(image.image_id for image in images[:3])), strict=True):
        base, top = image.layers
        assert said["GraphDriver"]["Data"]["UpperDir"] == str(root.content_dir(top.cache_id))
        assert said["GraphDriver"]["Data"]["LowerDir"] == str(root.content_dir(base.cache_id))


def test_containers_are_the_built_ones(started: tuple[Engine, DataRoot, list[Image]]) -> None:
    """Names, states, exit code, image, changes and volumes."""
    engine, _, images = started
    ended, made = engine.inspect("ended", "made", kind="container")
    assert (ended["State"]["Status"], ended["State"]["ExitCode"], ended["Image"]) == ("exited", 3, images[0].image_id)
    assert (made["State"]["Status"], made["Image"]) == ("created", images[3].image_id)
    assert ended["Mounts"][0]["Name"] == "data"
    assert {"A /tmp", "A /tmp/x"} <= set(engine.docker("diff", "ended").splitlines())
    assert "data" in {row["Name"] for row in engine.rows("volume", "ls")}


def test_saved_layers_are_the_tars_they_were_built_from(
    started: tuple[Engine, DataRoot, list[Image]], tmp_path: Path
) -> None:
    """`docker save` reassembles each layer from tar-split and directory, and refuses what does not match."""
    engine, _, images = started
    for image in images[:3]:
        archive = tmp_path / "saved.tar"
        engine.docker("save", "--output", archive, image.image_id)
        with tarfile.open(archive) as saved:
            manifest = saved.extractfile("manifest.json")
            assert manifest is not None
            for name, layer in zip(json.load(manifest)[0]["Layers"], image.layers, strict=True):
                tar = saved.extractfile(name)
                assert tar is not None
                assert f"sha256:{hashlib.sha256(tar.read()).hexdigest()}" == layer.diff_id


def test_the_engine_writes_the_same_for_the_same_layers(tmp_path: Path) -> None:
    """Load the images into an empty engine: layerdb, tar-split and directories come out as the builder's."""
    root, images = build(tmp_path / "docker")
    with Engine() as engine:
        engine.docker("load", input=archive_of(images[:3]))
        engine.stop()
        for image in images[:3]:
            for layer in image.layers:
                theirs = engine.root / "image/overlay2/layerdb/sha256" / layer.chain_id.removeprefix("sha256:")
                assert facts(theirs) == facts(root.layer_dir(layer))
                cache_id = (theirs / "cache-id").read_text()
                assert tree(engine.root / "overlay2" / cache_id / "diff") == tree(root.content_dir(layer.cache_id))


def archive_of(images: Sequence[Image]) -> bytes:
    """Pack images as `docker load` reads them."""
    files: dict[str, bytes] = {}
    manifest = []
    for image in images:
        names = []
        for layer in image.layers:
            names.append(f"{layer.chain_id.removeprefix('sha256:')}.tar")
            files[names[-1]] = layer.tar or b""
        config = f"{image.image_id.removeprefix('sha256:')}.json"
        files[config] = image.config
        manifest.append({"Config": config, "RepoTags": list(image.tags), "Layers": names})
    files["manifest.json"] = json.dumps(manifest).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def facts(folder: Path) -> dict[str, bytes]:
    """Read the files of a layerdb entry, but for the cache-id; old engines end tar-split with an empty segment."""
    said = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "cache-id"}
    *lines, last = gzip.decompress(said["tar-split.json.gz"]).splitlines()
    said["tar-split.json.gz"] = b"\n".join(lines if b'"payload":""' in last else [*lines, last])
    return said


def tree(diff: Path) -> dict[str, object]:
    """Everything `lstat` and the attributes say of each path below a directory, with inodes as names that share one."""
    found: dict[str, object] = {}
    first: dict[int, str] = {}
    for path in sorted(diff.rglob("*")):
        name, at = str(path.relative_to(diff)), path.lstat()
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
        }
        content = path.read_bytes() if stat.S_ISREG(at.st_mode) else os.readlink(path) if path.is_symlink() else None
        time = None if stat.S_ISCHR(at.st_mode) and at.st_rdev == 0 else at.st_mtime_ns
        shared = first.setdefault(at.st_ino, name)
        found[name] = (at.st_mode, at.st_uid, at.st_gid, at.st_size * (content is not None), time, at.st_rdev)
        found[f"{name} more"] = (attributes, content, shared)
    return found
