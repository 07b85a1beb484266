"""The builder of data roots keeps to the format, so that the tests which stand on it mean something."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import stat
import tarfile
from pathlib import Path

import pytest

from tests import tarsplit_writer
from tests.dataroot import (
    EMPTY_TAR,
    NEVER,
    NOW,
    DataRoot,
    Files,
    Image,
    Layer,
    big_store,
    block,
    char,
    content_size,
    directory,
    fifo,
    hardlink,
    make_tar,
    opaque,
    regular,
    repository_of,
    symlink,
    whiteout,
)

FORMATS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}
EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
LATIN1 = os.fsdecode(b"etc/caf\xe9")

EVERY_KIND: Files = {
    "bin": directory(mode=0o711),
    "bin/busybox": regular(b"ELF" * 400, mode=0o4755),
    "bin/cat": hardlink("bin/busybox"),
    "bin/sh": symlink("busybox"),
    "etc/exactly-a-block": b"x" * 512,
    "etc/empty": b"",
    'etc/<a>&"b"\t\\c': b"odd",
    "etc/gr\u00fc\u00df \u2028": b"text",
    LATIN1: b"latin-1",
    "etc/motd": whiteout(),
    "run/pipe": fifo(mode=0o600),
    "dev/null": char(1, 3),
    "dev/sda": block(8, 0),
    "var/cache": opaque(mode=0o700),
    f"deep/{'d' * 90}/{'f' * 90}": b"a name for the ustar prefix, for GNU's L, for a PAX path",
    "old": regular(b"old", mtime=1),
}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """An empty overlay2 root."""
    return DataRoot(tmp_path / "docker")


def read(path: Path) -> str:
    """The text of a small file, newlines and all."""
    return path.read_bytes().decode()


def digest(data: bytes) -> str:
    """The digest of bytes as Docker writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def rebuilt(root: DataRoot, layer: Layer) -> str:
    """The diff_id of the stream that tar-split and directory give together."""
    packed = root.layer_file(layer, "tar-split.json.gz").read_bytes()
    return digest(tarsplit_writer.unpack(packed, tarsplit_writer.reader(root.content_dir(layer.cache_id))))


def lines(packed: bytes) -> list[dict[str, object]]:
    """The entries of a tar-split."""
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


def with_blocking(tar: bytes) -> bytes:
    """A tar padded to 10 KiB records, as tar(1) and Python end it."""
    return tar + bytes(-len(tar) % 10240)


# tar-split


def test_crc64_is_go_iso() -> None:
    """The check value of the CRC catalogue."""
    assert tarsplit_writer.crc64(b"123456789") == 0xB90956C775A41001
    assert tarsplit_writer.crc64(b"") == 0


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_every_layer_is_rebuilt_to_its_diff_id(root: DataRoot, tar_format: int) -> None:
    """Directory and tar-split together give the tar again, in each format."""
    layer = root.layer(EVERY_KIND, tar_format=tar_format)
    assert rebuilt(root, layer) == layer.diff_id == digest(make_tar(EVERY_KIND, tar_format=tar_format))


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_names_are_the_bytes_of_the_tar(tar_format: int) -> None:
    """`name` holds UTF-8, `name_raw` the rest, whatever the tar keeps long and odd names in."""
    entries = lines(tarsplit_writer.pack(make_tar(EVERY_KIND, tar_format=tar_format)))
    names = [entry["name"] for entry in entries if "name" in entry]
    assert f"deep/{'d' * 90}/{'f' * 90}" in names
    assert {"bin/", "etc/.wh.motd", "var/cache/.wh..wh..opq", "etc/gr\u00fc\u00df \u2028"} <= set(names)
    assert [entry["name_raw"] for entry in entries if "name_raw" in entry] == [
        base64.b64encode(b"etc/caf\xe9").decode()
    ]


def test_tar_split_lines_are_go_json() -> None:
    """Key order, escapes, omitted sizes and the CRC, byte for byte."""
    packed = tarsplit_writer.pack(make_tar({"<&>\u2028\x01": b"123456789", "e": b""}))
    files = [line for line in gzip.decompress(packed).splitlines() if line.startswith(b'{"type":1')]
    assert files == [
        b'{"type":1,"name":"\\u003c\\u0026\\u003e\\u2028\\u0001","size":9,"payload":"uQlWx3WkEAE=","position":1}',
        b'{"type":1,"name":"e","payload":null,"position":3}',
    ]


def test_segments_begin_with_the_padding_before_them() -> None:
    """A member of 4 bytes leaves 508 of padding to the next segment; the last has the two zero blocks too."""
    tar = make_tar({"a": b"1234", "b": b"12345678"}, tar_format=tarfile.USTAR_FORMAT)
    sizes = [len(base64.b64decode(str(e["payload"]))) for e in lines(tarsplit_writer.pack(tar)) if e["type"] == 2]
    assert sizes == [512, 508 + 512, 504 + 1024]


def test_the_end_of_a_tar_is_kept(root: DataRoot) -> None:
    """Blocking padding in chunks of at most 1 MiB, junk, a missing end, and the empty last segment of old tar-split."""
    tar = make_tar({"a": b"1234"})
    for end in (b"", bytes(9000), bytes(2_500_000), b"junk"):
        layer = root.layer(tar=tar + end)
        assert rebuilt(root, layer) == layer.diff_id == digest(tar + end)
    endless = root.layer(tar=tar[:-1024])
    assert rebuilt(root, endless) == endless.diff_id
    padded = tarsplit_writer.entries(tar + bytes(2**20 + 5))
    assert [len(entry.payload) for entry in padded if isinstance(entry, tarsplit_writer.Segment)][-2:] == [2**20, 5]
    assert lines(tarsplit_writer.pack(tar, last_empty=True))[-1] == {"type": 2, "payload": "", "position": 3}


def test_a_global_pax_header_is_a_file_without_content(root: DataRoot) -> None:
    """As git archive writes it: an entry in tar-split, nothing on disk."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c0ffee"}) as tar:
        tar.addfile(tarfile.TarInfo("a"))
    layer = root.layer(tar=buffer.getvalue())
    names = [entry.get("name") for entry in lines(root.layer_file(layer, "tar-split.json.gz").read_bytes())]
    assert names[:4] == [None, "././@PaxHeader", None, "a"]
    assert os.listdir(root.content_dir(layer.cache_id)) == ["a"]
    assert rebuilt(root, layer) == layer.diff_id


def test_a_changed_file_does_not_rebuild(root: DataRoot) -> None:
    """The CRC is really looked at."""
    layer = root.layer({"a": b"1234"})
    (root.content_dir(layer.cache_id) / "a").write_bytes(b"4321")
    with pytest.raises(ValueError, match="CRC-64"):
        rebuilt(root, layer)


# A layer on disk


def test_the_directory_shows_what_the_tar_says(root: DataRoot) -> None:
    """Types, modes, times and links of an overlay2 directory."""
    diff = root.content_dir(root.layer(EVERY_KIND).cache_id)
    assert stat.S_IMODE((diff / "bin").stat().st_mode) == 0o711
    assert stat.S_IMODE((diff / "bin/busybox").stat().st_mode) == 0o4755
    assert (diff / "bin/cat").stat().st_ino == (diff / "bin/busybox").stat().st_ino
    assert os.readlink(diff / "bin/sh") == "busybox"
    assert stat.S_ISFIFO((diff / "run/pipe").lstat().st_mode)
    assert (diff / LATIN1).read_bytes() == b"latin-1"
    assert (diff / "bin").stat().st_mtime == (diff / "var/cache").stat().st_mtime == NOW
    assert (diff / "old").stat().st_mtime == 1
    assert os.listdir(diff / "var/cache") == []


def test_whiteouts_and_opaque_directories_are_overlay2s_own(root: DataRoot) -> None:
    """A 0:0 device and an extended attribute, which nobody needs to be root for."""
    layer = root.layer({"etc/motd": whiteout(), "var/cache": opaque(), "dev/null": char(1, 3)})
    diff = root.content_dir(layer.cache_id)
    made = (diff / "etc/motd").lstat()
    assert stat.S_ISCHR(made.st_mode)
    assert made.st_rdev == 0
    attributes = os.listxattr(diff / "var/cache")
    assert [name for name in attributes if name.endswith(".overlay.opaque")]
    assert layer.skipped == ("dev/null",)
    assert os.listdir(diff / "dev") == []


def test_fuse_overlayfs_keeps_whiteout_files(tmp_path: Path) -> None:
    """That driver's directories hold the names of the tar."""
    root = DataRoot(tmp_path / "docker", "fuse-overlayfs")
    layer = root.layer({"etc/motd": whiteout(), "var/cache": opaque()})
    diff = root.content_dir(layer.cache_id)
    assert (diff / "etc/.wh.motd").is_file()
    assert (diff / "var/cache/.wh..wh..opq").is_file()
    assert (tmp_path / "docker/fuse-overlayfs/l" / layer.link).is_symlink()


def test_times_are_clamped_and_exact(root: DataRoot) -> None:
    """Nanoseconds survive; what moby's extraction cannot say becomes 1970."""
    files: Files = {
        "exact": regular(mtime=NOW, nanoseconds=123_456_789),
        "before": regular(mtime=-1000),
        "after": regular(mtime=99_999_999_999),
    }
    diff = root.content_dir(root.layer(files).cache_id)
    assert (diff / "exact").stat().st_mtime_ns == NOW * 10**9 + 123_456_789
    assert (diff / "before").stat().st_mtime == (diff / "after").stat().st_mtime == 0


def test_extended_attributes_travel_in_pax_headers(root: DataRoot) -> None:
    """As SCHILY.xattr records, and onto the disk where the file system has them."""
    layer = root.layer({"a": regular(b"x", xattrs={"user.note": b"caf\xe9"})})
    assert layer.tar is not None
    assert b"SCHILY.xattr.user.note=caf\xe9\n" in layer.tar
    path = root.content_dir(layer.cache_id) / "a"
    assert layer.skipped == ("a user.note",) or os.getxattr(path, "user.note") == b"caf\xe9"


def test_a_hostile_tar_cannot_leave_the_directory(root: DataRoot) -> None:
    """The builder runs as root in CI: it refuses what would write elsewhere."""
    with pytest.raises(ValueError, match="leaves the layer"):
        root.layer({"../../etc/passwd": b"x"})
    with pytest.raises(ValueError, match="symlink is in the way"):
        root.layer({"etc": symlink("/etc"), "etc/passwd": b"x"}, tar_format=tarfile.GNU_FORMAT)


# layerdb and overlay2


def test_chain_ids_follow_the_rule(root: DataRoot) -> None:
    """The base's chain id is its diff_id; the others hash parent and diff."""
    base = root.layer({"a": b"1"})
    top = root.layer({"a": b"1"}, parent=base)
    assert base.diff_id == base.chain_id == top.diff_id
    assert top.chain_id == digest(f"{base.chain_id} {top.diff_id}".encode())
    assert top.chain == [base, top]


def test_layerdb_files_have_no_newline(root: DataRoot) -> None:
    """cache-id, diff, parent and size, to the byte."""
    base = root.layer({"a": b"12345", "b": symlink("usr/lib")})
    top = root.layer(parent=base, cache_id=root.buildkit_id(), size=7)
    assert read(root.layer_file(base, "cache-id")) == base.cache_id
    assert read(root.layer_file(base, "size")) == "12"
    assert not root.layer_file(base, "parent").exists()
    assert read(root.layer_file(top, "parent")) == base.chain_id
    assert read(root.layer_file(top, "diff")) == top.diff_id
    assert read(root.layer_file(top, "size")) == "7"
    assert re.fullmatch("[0-9a-z]{25}", top.cache_id)
    assert root.layer_dir(top).name == top.chain_id.removeprefix("sha256:")


def test_size_counts_contents_once_and_targets_of_symlinks() -> None:
    """What moby's walk of `diff/` sums up."""
    files: Files = {"a": b"1" * 120, "b": hardlink("a"), "lib": symlink("usr/lib"), "c": whiteout(), "d/e": b""}
    assert content_size(make_tar(files)) == 127


def test_links_and_lowers_are_consistent(root: DataRoot) -> None:
    """One link for each directory, and `lower` is the parent's link before the parent's `lower`."""
    base = root.layer()
    middle = root.layer(parent=base)
    top = root.layer(parent=middle)
    root.mount(parent=top)
    overlay = root.file("overlay2")
    links = {link.name: os.readlink(link) for link in (overlay / "l").iterdir()}
    folders = [folder for folder in overlay.iterdir() if folder.name != "l"]
    assert {read(f / "link"): f"../{f.name}/diff" for f in folders} == links
    assert all(re.fullmatch("[A-Z2-7]{26}", link) for link in links)
    assert read(root.overlay_file(top, "lower")) == f"l/{middle.link}:l/{base.link}"
    assert not root.overlay_file(base, "lower").exists()
    assert not root.overlay_file(base, "work").exists()
    assert root.overlay_file(middle, "work").is_dir()
    assert root.overlay_file(top, "committed").read_bytes() == b""


def test_files_none_differ_and_files_empty_is_the_empty_tar(root: DataRoot) -> None:
    """Layers nobody describes are not the same layer by chance."""
    assert root.layer().diff_id != root.layer().diff_id
    assert root.layer({}).diff_id == EMPTY_DIFF_ID == digest(EMPTY_TAR)


def test_the_same_layer_in_the_same_place_is_one_layer(root: DataRoot) -> None:
    """As in moby; asking for another directory of it is a mistake of the test."""
    base = root.layer({"a": b"1"})
    assert root.layer({"a": b"1"}) is base
    with pytest.raises(ValueError, match="already"):
        root.layer({"a": b"1"}, cache_id=root.hex_id())


def test_seeds_are_hosts(tmp_path: Path) -> None:
    """Same seed, same bytes; another seed has the same contents under other ids of the host."""

    def build(name: str, seed: int) -> tuple[DataRoot, Image]:
        root = DataRoot(tmp_path / name, seed=seed)
        image = root.image([root.layer({"a": b"1"}), root.layer(metadata_only=True)], ["a:1"])
        root.container(image, volumes=["data:/data"])
        return root, image

    (first, image), (second, same), (third, other) = build("1", 1), build("2", 1), build("3", 2)
    assert image == same
    assert listing(first) == listing(second) != listing(third)
    assert image.image_id == other.image_id
    assert image.layers[0].cache_id != other.layers[0].cache_id
    assert first.path != third.path


def listing(root: DataRoot) -> list[str]:
    """Every path below a root."""
    return sorted(str(path.relative_to(root.path)) for path in root.path.rglob("*"))


def test_layers_being_removed_and_written(root: DataRoot) -> None:
    """The two states in between, and directories that nothing refers to."""
    layer = root.layer()
    moved = root.removing(layer)
    assert re.fullmatch("[0-9a-f]{64}-[0-9a-f]{64}-removing", moved.name)
    assert read(moved / "cache-id") == layer.cache_id
    assert root.overlay_dir(layer).is_dir()
    written = root.write_set(12, named=True)
    assert read(root.file("image/overlay2/layerdb/tmp/write-set-12/cache-id")) == written.cache_id
    assert re.fullmatch("[0-9a-z]{25}", root.buildkit_dir(parent=layer).cache_id)
    assert root.overlay_file(root.orphan(cache_id="x-init"), "link").exists()


def test_other_drivers_have_no_links(tmp_path: Path) -> None:
    """vfs: the same layerdb, one directory for each layer."""
    root = DataRoot(tmp_path / "231072.231072", "vfs")
    layer = root.layer({"a": b"1"})
    root.container(root.image(layer))
    assert (tmp_path / "231072.231072/vfs/dir" / layer.cache_id / "a").read_bytes() == b"1"
    assert read(root.layer_file(layer, "cache-id")) == layer.cache_id


# Images


def test_an_image_is_the_sha256_of_its_config(root: DataRoot) -> None:
    """One sorted line of JSON with the layers' diff_ids."""
    base = root.layer()
    image = root.image([base, root.layer(parent=base)], ["acme/web"], config={"Labels": {"a": "b"}})
    assert digest(root.config_file(image).read_bytes()) == image.image_id
    content = json.loads(image.config)
    assert list(content) == sorted(content)
    assert content["rootfs"] == {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]}
    assert content["config"]["Labels"] == {"a": "b"}
    assert len(content["history"]) == 2
    assert image.size == sum(layer.size for layer in image.layers)


def test_an_image_can_be_odd(root: DataRoot) -> None:
    """No layers, no keys, other keys, or somebody else's bytes."""
    bare = root.image(without=["history", "created"], extra={"variant": "v8"})
    assert json.loads(bare.config)["rootfs"] == {"type": "layers"}
    assert json.loads(bare.config)["variant"] == "v8"
    assert not {"history", "created"} & json.loads(bare.config).keys()
    assert root.config_file(root.image(raw=b"{}")).read_bytes() == b"{}"
    assert root.image().image_id != root.image().image_id


def test_references_accumulate_in_mobys_form(root: DataRoot) -> None:
    """Familiar repository names, whole references, ports and digests; a moved tag leaves the old image dangling."""
    old, new = root.image(tags=["acme/web:1.0", "localhost:5000/x/y:1"]), root.image()
    by_digest = f"debian@{EMPTY_DIFF_ID}"
    for reference in ("acme/web:1.0", by_digest, "busybox"):
        root.tag(new, reference)
    root.tag(f"sha256:{'0' * 64}", "gone:1")
    root.untag("gone:1")
    assert json.loads(root.repositories_file.read_bytes()) == {
        "Repositories": {
            "acme/web": {"acme/web:1.0": new.image_id},
            "busybox": {"busybox:latest": new.image_id},
            "debian": {by_digest: new.image_id},
            "localhost:5000/x/y": {"localhost:5000/x/y:1": old.image_id},
        }
    }
    root.remove_image(new)
    assert list(root.references) == ["localhost:5000/x/y:1"]
    assert not root.config_file(new).exists()


def test_repositories_of_references() -> None:
    """The last colon counts only if no slash follows."""
    assert repository_of("localhost:5000/x/y") == "localhost:5000/x/y"
    assert repository_of("localhost:5000/x/y:1") == "localhost:5000/x/y"
    assert repository_of("a:5000/b@sha256:00") == "a:5000/b"


def test_image_metadata_and_distribution(root: DataRoot) -> None:
    """parent, lastUpdated, builtLocally; digests of blobs, oldest first."""
    layer = root.layer()
    base = root.image(layer)
    child = root.image(layer, parent=base, last_updated="2024-01-02T03:04:05+02:00", built_locally=True)
    assert read(root.metadata_file(child, "parent")) == base.image_id
    assert read(root.metadata_file(child, "lastUpdated")) == "2024-01-02T03:04:05+02:00"
    assert root.metadata_file(child, "builtLocally").read_bytes() == b"\x01"
    blob = root.distribution(layer)
    root.distribution(layer, digest=blob, repositories=["ghcr.io/x/y"])
    folder = root.file("image/overlay2/distribution")
    by_diff = folder / "v2metadata-by-diffid/sha256" / layer.diff_id.removeprefix("sha256:")
    assert [entry["SourceRepository"] for entry in json.loads(by_diff.read_bytes())] == [
        "docker.io/library/debian",
        "ghcr.io/x/y",
    ]
    assert read(folder / "diffid-by-digest/sha256" / blob.removeprefix("sha256:")) == layer.diff_id


# Containers


def test_a_container_has_its_mount_and_directories(root: DataRoot) -> None:
    """containers/<id>, layerdb/mounts/<id>, overlay2/<mount-id> and its -init."""
    layer = root.layer()
    image = root.image(layer, ["acme/web:1.0"])
    made = root.container(
        image, name="web", state="running", volumes=["data:/data", "/srv:/srv:ro"], log=b"{}\n", files={"tmp/x": b"1"}
    )
    config = json.loads(root.container_file(made).read_bytes())
    assert (config["ID"], config["Name"], config["Image"]) == (made.container_id, "/web", image.image_id)
    assert config["Config"]["Image"] == "acme/web:1.0"
    assert config["MountPoints"]["/data"]["Source"] == str(root.file("volumes/data/_data"))
    assert config["MountPoints"]["/srv"]["RW"] is False
    assert Path(config["LogPath"]).read_bytes() == b"{}\n"
    mount = made.mount
    assert read(root.mount_file(mount, "mount-id")) == mount.mount_id
    assert read(root.mount_file(mount, "init-id")) == mount.init_id == f"{mount.mount_id}-init"
    assert read(root.mount_file(mount, "parent")) == layer.chain_id
    init_link = read(root.overlay_file(f"{mount.mount_id}-init", "link"))
    assert read(root.overlay_file(mount, "lower")) == f"l/{init_link}:l/{layer.link}"
    assert os.readlink(root.overlay_file(f"{mount.mount_id}-init", "diff/etc/mtab")) == "/proc/mounts"
    assert root.overlay_file(mount, "diff/tmp/x").read_bytes() == b"1"
    assert root.overlay_file(mount, "merged").is_dir()


@pytest.mark.parametrize(
    ("state", "true"),
    [
        ("running", {"Running"}),
        ("paused", {"Running", "Paused"}),
        ("restarting", {"Running", "Restarting"}),
        ("dead", {"Dead"}),
        ("created", set()),
        ("exited", set()),
    ],
)
def test_states_of_containers(root: DataRoot, state: str, true: set[str]) -> None:
    """The flags moby derives the state from."""
    made = root.container(root.image(), state=state, exit_code=3)
    said = json.loads(root.container_file(made).read_bytes())["State"]
    assert {key for key, value in said.items() if value is True} == true
    assert (said["StartedAt"] == NEVER) == (state == "created")
    assert not root.mount_file(made.mount, "parent").exists()


def test_an_unknown_state_is_refused(root: DataRoot) -> None:
    """A typing error in a test does not become an exited container."""
    with pytest.raises(ValueError, match="no such state"):
        root.container(root.image(), state="runing")


# Many


def test_a_big_store_is_a_sound_store(tmp_path: Path) -> None:
    """Right counts, shared bases, chains of at most 25, every image's layers there."""
    root = big_store(tmp_path / "docker", images=40, layers=200)
    entries = os.listdir(root.file("image/overlay2/layerdb/sha256"))
    configs = list(root.file("image/overlay2/imagedb/content/sha256").iterdir())
    assert (len(entries), len(configs)) == (200, 40)
    assert len(os.listdir(root.file("overlay2/l"))) == 200
    lengths = []
    for path in configs:
        chain = ""
        diff_ids = json.loads(path.read_bytes())["rootfs"]["diff_ids"]
        for diff_id in diff_ids:
            chain = digest(f"{chain} {diff_id}".encode()) if chain else diff_id
            assert chain.removeprefix("sha256:") in entries
        lengths.append(len(diff_ids))
    assert max(lengths) <= 25
    assert sum(lengths) > 300
    assert json.loads(root.repositories_file.read_bytes())["Repositories"]
