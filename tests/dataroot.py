"""Build Docker data roots on disk as moby writes them, from small calls, without an engine and without root.

    root = DataRoot(tmp_path / "docker")
    base = root.layer({"etc/hosts": b"127.0.0.1 localhost", "bin/sh": symlink("busybox")})
    top = root.layer({"etc/hosts": whiteout()}, parent=base)
    image = root.image([base, top], tags=["acme/web:1.0", "localhost:5000/x/y:1"])
    root.container(image, name="web", state="exited", exit_code=3, volumes=["data:/var/lib/data"])

Every id comes from `random.Random(seed)` and a counter, so a root is the same in every run. Contents depend on the
calls only; the ids of a host (cache-id, link, mount-id, container id) depend on the seed too: two roots with different
seeds are two hosts with the same images. Damage is done by the test: `root.layer_file(top, "size").write_bytes(b"")`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypedDict, Unpack

from tests import bolt_writer, tarsplit_writer

NOW = 1_700_000_000  # what files, images and containers are dated by, unless a test says otherwise
NEVER = "0001-01-01T00:00:00Z"
EMPTY_TAR = bytes(1024)
OVERLAY_DRIVERS = ("overlay2", "fuse-overlayfs")
NANOSECONDS = 1_000_000_000


# What a layer holds


class Meta(TypedDict, total=False):
    """What every entry may be given: `regular(b"x", mode=0o600, uid=33)`."""

    mode: int
    uid: int
    gid: int
    owner: str
    group: str
    mtime: int
    nanoseconds: int
    xattrs: Mapping[str, bytes]


@dataclass(frozen=True)
class Node:
    """One entry of a layer; the functions below make them."""

    kind: str
    data: bytes = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    owner: str = ""
    group: str = ""
    mtime: int = NOW
    nanoseconds: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


# Path -> entry. Bytes are a regular file, None is a directory; a name that is not UTF-8 is `os.fsdecode(b"...")`.
Files = Mapping[str, Node | bytes | None]


def regular(data: bytes = b"", **meta: Unpack[Meta]) -> Node:
    """A regular file."""
    return Node("file", data=data, **meta)


def directory(**meta: Unpack[Meta]) -> Node:
    """A directory."""
    return Node("dir", **_with_mode(0o755, meta))


def symlink(target: str, **meta: Unpack[Meta]) -> Node:
    """A symbolic link, its target stored as it is."""
    return Node("symlink", target=target, **_with_mode(0o777, meta))


def hardlink(target: str) -> Node:
    """A second name of a file that comes earlier in the same layer, and has that one's mode, owner and time."""
    return Node("hardlink", target=target)


def fifo(**meta: Unpack[Meta]) -> Node:
    """A named pipe, on disk too."""
    return Node("fifo", **meta)


def char(major: int, minor: int, **meta: Unpack[Meta]) -> Node:
    """A character device, on disk only in a privileged root."""
    return Node("char", device=(major, minor), **meta)


def block(major: int, minor: int, **meta: Unpack[Meta]) -> Node:
    """A block device, on disk only in a privileged root."""
    return Node("block", device=(major, minor), **meta)


def whiteout() -> Node:
    """Hides the name it stands for: `.wh.<name>` in the tar, a 0:0 device on overlay2's disk."""
    return Node("whiteout")


def opaque(**meta: Unpack[Meta]) -> Node:
    """A directory that hides everything below it in lower layers."""
    return Node("opaque", **_with_mode(0o755, meta))


def _with_mode(mode: int, meta: Meta) -> Meta:
    return {**meta, "mode": meta.get("mode", mode)}


# A layer as a tar


_TAR_TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "opaque": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "whiteout": tarfile.REGTYPE,
}


def make_tar(files: Files, *, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """The layer tar of a files mapping, directories above an entry included, ending in two zero blocks like Go's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format, encoding="utf-8", errors="surrogateescape") as tar:
        for name, node in _with_parents(files):
            for member, data in _members(name, node, tar_format):
                tar.addfile(member, io.BytesIO(data))
        length = tar.offset
    return buffer.getvalue()[:length] + EMPTY_TAR


def _with_parents(files: Files) -> Iterator[tuple[str, Node]]:
    """Every entry as (name, node), each after the directories it needs."""
    given = {name.rstrip("/"): _as_node(value) for name, value in files.items()}
    for name, node in given.items():
        if node.kind == "hardlink" and node.target in given:
            given[name] = replace(given[node.target], kind="hardlink", data=b"", target=node.target)
    seen: set[str] = set()
    for name, node in given.items():
        parts = name.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent and parent not in seen:
                seen.add(parent)
                yield parent, given.get(parent, directory())
        if name not in seen:
            seen.add(name)
            yield name, node


def _as_node(value: Node | bytes | None) -> Node:
    if value is None:
        return directory()
    return regular(value) if isinstance(value, bytes) else value


def _members(name: str, node: Node, tar_format: int) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The tar members one entry needs: two for an opaque directory, one for the others."""
    if node.kind == "whiteout":
        head, _, tail = name.rpartition("/")
        name = f"{head}/.wh.{tail}" if head else f".wh.{tail}"
    yield _tar_info(name, node, tar_format), node.data
    if node.kind == "opaque":
        yield _tar_info(f"{name}/.wh..wh..opq", whiteout(), tar_format), b""


def _tar_info(name: str, node: Node, tar_format: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = _TAR_TYPES[node.kind]
    info.size = len(node.data)
    info.mode, info.uid, info.gid, info.uname, info.gname = node.mode, node.uid, node.gid, node.owner, node.group
    info.mtime = node.mtime
    info.linkname = node.target
    info.devmajor, info.devminor = node.device
    if tar_format == tarfile.PAX_FORMAT:
        info.pax_headers = _pax_headers(node)
    return info


def _pax_headers(node: Node) -> dict[str, str]:
    """What only an extended header can say: fractions of a second and extended attributes."""
    headers = {f"SCHILY.xattr.{name}": _text(value) for name, value in node.xattrs.items()}
    if node.nanoseconds:
        headers["mtime"] = f"{node.mtime}.{node.nanoseconds:09d}"
    return headers


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


# A tar as a directory


class _Extraction:
    """Puts a layer tar below a `diff` directory, as the driver does, with what the user may make."""

    def __init__(self, diff: Path, driver: str, *, privileged: bool) -> None:
        self.diff = os.fsencode(diff)
        self.driver = driver
        self.privileged = privileged
        self.skipped: list[str] = []
        self.directories: list[tuple[bytes, tarfile.TarInfo]] = []

    def run(self, tar: bytes) -> None:
        """Make every entry; modes and times of directories come last, when nothing is added to them any more."""
        with _open_tar(tar) as members:
            for member in members:
                self._make(member, members)
        for path, member in reversed(self.directories):
            self._finish(path, member)

    def _make(self, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        path = self._path(member.name)
        if os.path.basename(path).startswith(b".wh.") and self.driver == "overlay2":
            self._whiteout(path)
        elif self._make_node(path, member, tar):
            self._finish(path, member)

    def _path(self, name: str) -> bytes:
        """Where a member goes; directories the tar does not list are made, symlinks on the way refused."""
        parts = tarsplit_writer.clean(_bytes(name)).split(b"/")
        path = self.diff
        for part in parts[:-1]:
            path = os.path.join(path, part)
            if os.path.islink(path):
                raise ValueError(f"a symlink is in the way of {name!r}")
            if not os.path.isdir(path):
                os.mkdir(path)
        return os.path.normpath(os.path.join(path, parts[-1]))

    def _make_node(self, path: bytes, member: tarfile.TarInfo, tar: tarfile.TarFile) -> bool:
        """Make the thing itself; False if its mode and times are not to be set now."""
        if member.isdir():
            if not os.path.isdir(path):
                os.mkdir(path)
            self.directories.append((path, member))
            return False
        if member.isreg():
            content = tar.extractfile(member)
            _write(path, content.read() if content else b"")
        elif member.issym():
            os.symlink(_bytes(member.linkname), path)
        elif member.islnk():
            os.link(self._path(member.linkname), path, follow_symlinks=False)
        elif member.isfifo():
            os.mkfifo(path)
        else:
            return self._device(path, member)
        return True

    def _device(self, path: bytes, member: tarfile.TarInfo) -> bool:
        if not self.privileged:
            self.skipped.append(member.name)
            return False
        kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        os.mknod(path, kind | 0o600, os.makedev(member.devmajor, member.devminor))
        return True

    def _whiteout(self, path: bytes) -> None:
        """A 0:0 device, which Linux 5.8 lets everybody make, or the mark of an opaque directory."""
        head, tail = os.path.split(path)
        name = tail.removeprefix(b".wh.")
        try:
            if name == b".wh..opq":
                _mark_opaque(head)
            elif not name.startswith(b".wh."):
                os.mknod(os.path.join(head, name), stat.S_IFCHR, os.makedev(0, 0))
        except OSError:
            self.skipped.append(_text(os.path.relpath(path, self.diff)))

    def _finish(self, path: bytes, member: tarfile.TarInfo) -> None:
        if self.privileged:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not os.path.islink(path):
            os.chmod(path, member.mode & 0o7777)
        for key, value in member.pax_headers.items():
            if key.startswith("SCHILY.xattr."):
                self._set_xattr(path, key.removeprefix("SCHILY.xattr."), _bytes(value))
        nanoseconds = _mtime(member)
        os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)

    def _set_xattr(self, path: bytes, name: str, value: bytes) -> None:
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        except OSError:
            self.skipped.append(f"{_text(os.path.relpath(path, self.diff))} {name}")


def _open_tar(tar: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="surrogateescape")


def _mark_opaque(path: bytes) -> None:
    """`trusted.` where the kernel lets us, as a daemon run by root; else `user.`, as a rootless one."""
    try:
        os.setxattr(path, "trusted.overlay.opaque", b"y")
    except PermissionError:
        os.setxattr(path, "user.overlay.opaque", b"y")


def _mtime(member: tarfile.TarInfo) -> int:
    """The modification time in nanoseconds, exact, and 1970 where moby's extraction falls back to it."""
    nanoseconds = int(Decimal(member.pax_headers.get("mtime", str(member.mtime))) * NANOSECONDS)
    return nanoseconds if 0 <= nanoseconds < 2**63 else 0


def content_size(tar: bytes) -> int:
    """What layerdb's `size` says of a tar: file contents once, symlinks by the length of their target."""
    with _open_tar(tar) as members:
        return sum(len(_bytes(m.linkname)) if m.issym() else m.size if m.isreg() else 0 for m in members)


# What the calls return


@dataclass(frozen=True)
class Layer:
    """One layer of the store, below its parents."""

    diff_id: str
    chain_id: str
    cache_id: str
    link: str
    size: int
    parent: Layer | None = None
    lower: str = ""
    tar: bytes | None = field(default=None, repr=False)
    skipped: tuple[str, ...] = ()

    @property
    def chain(self) -> list[Layer]:
        """The layers from the base up to this one."""
        layers: list[Layer] = []
        layer: Layer | None = self
        while layer is not None:
            layers.append(layer)
            layer = layer.parent
        return layers[::-1]


@dataclass(frozen=True)
class Image:
    """One image; `config` is the bytes its id is the sha256 of."""

    image_id: str
    layers: tuple[Layer, ...]
    tags: tuple[str, ...]
    created: str | None
    config: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """What `docker images` prints: the sum over the layers."""
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True)
class OverlayDir:
    """One directory of the driver that is no layer."""

    cache_id: str
    link: str
    lower: str


@dataclass(frozen=True)
class Mount:
    """One entry of layerdb/mounts with its read-write directory and its init directory."""

    name: str
    mount_id: str
    init_id: str | None
    parent: Layer | None
    link: str
    lower: str


@dataclass(frozen=True)
class Container:
    """One container; `config` is what config.v2.json says."""

    container_id: str
    name: str
    image: Image
    mount: Mount
    config: Mapping[str, object] = field(repr=False)


# The root


class DataRoot:
    """A Docker data root of one graph driver, written as moby writes it."""

    def __init__(self, path: Path, driver: str = "overlay2", *, seed: int = 1, privileged: bool = False) -> None:
        self.path = path
        self.driver = driver
        self.privileged = privileged
        self.references: dict[str, str] = {}
        self._random = random.Random(seed)
        self._layers: dict[str, Layer] = {}
        self._count = 0
        self._hold_references = False
        self._records: dict[str, dict[str, bytes]] = {}
        self._snapshots: dict[str, dict[str, bytes]] = {}
        self._meta = os.path.join(path, "image", driver)
        self._data = os.path.join(path, driver)
        self._make_skeleton()

    def _make_skeleton(self) -> None:
        for name in ("distribution", "imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb"):
            os.makedirs(os.path.join(self._meta, name), exist_ok=True)
        os.makedirs(os.path.join(self._data, "l") if self.is_overlay else self._data, exist_ok=True)
        for name in ("containers", "volumes", "tmp", "buildkit", "plugins", "network/files", "swarm", "runtimes"):
            os.makedirs(os.path.join(self.path, name), exist_ok=True)
        self._save_references()

    @property
    def is_overlay(self) -> bool:
        """Whether the driver keeps `link`, `lower` and `l/`."""
        return self.driver in OVERLAY_DRIVERS

    # ids

    def hex_id(self) -> str:
        """64 random hex digits: a cache-id, mount-id or container id."""
        return f"{self._random.getrandbits(256):064x}"

    def buildkit_id(self) -> str:
        """25 random base36 digits, as BuildKit names its directories."""
        return "".join(self._random.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=25))

    def short_link(self) -> str:
        """26 random base32 digits, as overlay2 names its links."""
        return "".join(self._random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=26))

    def _next(self) -> int:
        self._count += 1
        return self._count

    # layers

    def layer(
        self,
        files: Files | None = None,
        *,
        parent: Layer | None = None,
        tar: bytes | None = None,
        tar_format: int = tarfile.PAX_FORMAT,
        cache_id: str | None = None,
        size: int | None = None,
        metadata_only: bool = False,
        diff_id: str | None = None,
        last_empty: bool = False,
    ) -> Layer:
        """Add a layer of `files`, of a ready `tar`, or (`metadata_only`) of nothing but its ids.

        Without files the content is a file of its own, so that layers differ; `files={}` is the empty tar. `diff_id` is
        for `metadata_only`. `last_empty` ends the tar-split as tar-split before 0.11.4 did.
        """
        if not metadata_only:
            tar = self._content(files, tar, tar_format)
            diff_id = _sha256(tar)
        diff_id = diff_id or _sha256(b"layer %d" % self._next())
        chain_id = chain_of(diff_id, parent)
        if chain_id in self._layers:
            if cache_id is not None:
                raise ValueError(f"the store has {chain_id} already")
            return self._layers[chain_id]
        size = size if size is not None else content_size(tar) if tar is not None else 1000 + self._next()
        layer = self._add_layer(Layer(diff_id, chain_id, cache_id or self.hex_id(), "", size, parent, tar=tar))
        if tar is not None:
            packed = tarsplit_writer.pack(tar, last_empty=last_empty)
            _write(os.path.join(self._layer_dir(layer), "tar-split.json.gz"), packed)
        return layer

    def _content(self, files: Files | None, tar: bytes | None, tar_format: int) -> bytes:
        if tar is not None:
            return tar
        if files is None:
            files = {f"layer-{self._next()}": b"%d" % self._count}
        return make_tar(files, tar_format=tar_format)

    def _add_layer(self, layer: Layer) -> Layer:
        """Write the directory and the entry in layerdb of a layer whose link is not known yet."""
        parent, cache_id = layer.parent, layer.cache_id
        below = self._below(parent)
        link = self._driver_dir(cache_id, below, below_id=parent.cache_id if parent else None)
        skipped = self._extract(layer.tar, cache_id) if layer.tar is not None else ()
        layer = replace(layer, link=link, lower=below, skipped=skipped)
        folder = self._layer_dir(layer)
        os.makedirs(folder)
        _write(os.path.join(folder, "cache-id"), cache_id.encode())
        _write(os.path.join(folder, "diff"), layer.diff_id.encode())
        _write(os.path.join(folder, "size"), b"%d" % layer.size)
        if parent is not None:
            _write(os.path.join(folder, "parent"), parent.chain_id.encode())
        self._layers[layer.chain_id] = layer
        return layer

    def _extract(self, tar: bytes, cache_id: str) -> tuple[str, ...]:
        extraction = _Extraction(self.content_dir(cache_id), self.driver, privileged=self.privileged)
        extraction.run(tar)
        return tuple(extraction.skipped)

    def _below(self, parent: Layer | OverlayDir | Mount | None) -> str:
        """The `lower` of a directory made on top of another one."""
        if parent is None or not self.is_overlay:
            return ""
        return f"l/{parent.link}:{parent.lower}" if parent.lower else f"l/{parent.link}"

    def _driver_dir(self, cache_id: str, lower: str, *, below_id: str | None = None) -> str:
        """Make the driver's directory in moby's order; returns its link."""
        if not self.is_overlay:
            os.makedirs(self.content_dir(cache_id))
            return ""
        folder = os.path.join(self._data, cache_id)
        link = self.short_link()
        os.mkdir(folder)
        os.mkdir(f"{folder}/diff")
        os.symlink(f"../{cache_id}/diff", f"{self._data}/l/{link}")
        _write(f"{folder}/link", link.encode())
        if lower:
            os.mkdir(f"{folder}/work")
            _write(f"{folder}/lower", lower.encode())
        if below_id is not None:
            with suppress(FileNotFoundError):
                _write(f"{self._data}/{below_id}/committed", b"")
        return link

    def removing(self, layer: Layer) -> Path:
        """Begin to delete a layer: its entry is renamed to `<chain>-<64 hex>-removing`, its directory still there."""
        folder = Path(self._layer_dir(layer))
        del self._layers[layer.chain_id]
        return folder.rename(f"{folder}-{self.hex_id()}-removing")

    def write_set(self, number: int, *, cache_id: str | None = None, named: bool = False) -> OverlayDir:
        """A layer being registered: a directory nobody refers to yet, or (`named`) one whose cache-id is written."""
        folder = os.path.join(self._meta, "layerdb", "tmp", f"write-set-{number}")
        os.makedirs(folder)
        _write(os.path.join(folder, "tar-split.json.gz"), tarsplit_writer.pack(EMPTY_TAR))
        made = self.orphan(cache_id=cache_id)
        if named:
            _write(os.path.join(folder, "diff"), _sha256(EMPTY_TAR).encode())
            _write(os.path.join(folder, "size"), b"0")
            _write(os.path.join(folder, "cache-id"), made.cache_id.encode())
        return made

    # directories without a layer

    def orphan(
        self,
        *,
        cache_id: str | None = None,
        parent: Layer | OverlayDir | None = None,
        files: Files | None = None,
        tar: bytes | None = None,
    ) -> OverlayDir:
        """A directory of the driver that nothing refers to, with `files` or what is in a ready `tar`."""
        cache_id = cache_id or self.hex_id()
        lower = self._below(parent)
        link = self._driver_dir(cache_id, lower, below_id=parent.cache_id if parent else None)
        if files or tar:
            self._extract(tar or make_tar(files or {}), cache_id)
        return OverlayDir(cache_id, link, lower)

    def buildkit_dir(self, *, parent: Layer | OverlayDir | None = None, files: Files | None = None) -> OverlayDir:
        """A directory as BuildKit's cache has them: 25 base36 digits, in no layerdb."""
        return self.orphan(cache_id=self.buildkit_id(), parent=parent, files=files)

    def build_record(
        self,
        data: OverlayDir | Layer | None,
        *,
        record_id: str | None = None,
        committed: bool = True,
        parent: str | None = None,
        equal_mutable: str | None = None,
        **values: object,
    ) -> str:
        """A record of the build cache and its snapshot; returns its id.

        What can still be written to has the id of its directory. What is committed has one of its own, and so has what
        is a layer of an image; with `equal_mutable`, another record's id, its data is still that one's. Other values
        are keys of the record, `cache_description="x"` for `cache.description`.
        """
        named = data.cache_id if isinstance(data, OverlayDir) and not committed else self.buildkit_id()
        record_id = record_id or named
        moment = (NOW + self._next()) * NANOSECONDS
        said: dict[str, object] = {"cache.createdAt": moment, "snapshot.size": -1, "snapshot.committed": committed}
        said["cache.snapshot"] = data.chain_id if isinstance(data, Layer) else record_id
        said |= {"cache.parent": parent} if parent else {}
        said |= {"cache.equalMutable": equal_mutable} if equal_mutable else {}
        said |= {key.replace("_", ".", 1): value for key, value in values.items()}
        self._records[record_id] = {key: _compact({"value": value}) for key, value in said.items()}
        below = self._records.get(parent or "", {}).get("cache.snapshot", _compact({"value": ""}))
        if isinstance(data, Layer):
            self._snapshots |= {data.chain_id: {}, record_id: {"chainid": data.chain_id.encode()}}
        elif data is not None and equal_mutable is None:
            self._snapshots[data.cache_id] = {"parent": str(json.loads(below)["value"]).encode()}
            if committed:
                self._snapshots[data.cache_id]["iscommitted"] = b""
                self._snapshots[record_id] = {"committed": data.cache_id.encode()}
        self.database("buildkit/metadata_v2.db", {"_main": self._records} if self._records else {})
        self.database("buildkit/snapshots.db", self._snapshots)
        return record_id

    # images

    def image(
        self,
        layers: Sequence[Layer] | Layer = (),
        tags: Iterable[str] = (),
        *,
        history: Sequence[Mapping[str, object]] | None = None,
        created: str | None = None,
        config: Mapping[str, object] | None = None,
        parent: Image | None = None,
        last_updated: str | None = None,
        built_locally: bool = False,
        extra: Mapping[str, object] | None = None,
        without: Iterable[str] = (),
        raw: bytes | None = None,
    ) -> Image:
        """Add an image of `layers` (base first; one layer stands for its whole chain).

        `config` is the part called so in the JSON, `extra` overrides top-level keys, `without` drops some, `raw` is the
        whole file as a registry might have sent it. Images differ by their time of creation unless `created` is given.
        """
        chain = tuple(layers.chain if isinstance(layers, Layer) else layers)
        created = created or stamp(self._next())
        content = _image_config(chain, created, config or {}, history) | dict(extra or {})
        raw = raw if raw is not None else _image_bytes(content, without)
        image_id = _sha256(raw)
        _write(os.path.join(self._meta, "imagedb/content/sha256", _hex(image_id)), raw)
        if parent is not None:
            self._image_metadata(image_id, "parent", parent.image_id.encode())
        if last_updated is not None:
            self._image_metadata(image_id, "lastUpdated", last_updated.encode())
        if built_locally:
            self._image_metadata(image_id, "builtLocally", b"\x01")
        references = tuple(self.tag(image_id, tag) for tag in tags)
        return Image(image_id, chain, references, created, raw)

    def _image_metadata(self, image_id: str, name: str, value: bytes) -> None:
        folder = os.path.join(self._meta, "imagedb/metadata/sha256", _hex(image_id))
        os.makedirs(folder, exist_ok=True)
        _write(os.path.join(folder, name), value)

    def tag(self, image: Image | str, reference: str) -> str:
        """Let a reference mean this image (given as an id: it need not exist); returns the reference as stored."""
        reference = reference if repository_of(reference) != reference else f"{reference}:latest"
        self.references[reference] = image if isinstance(image, str) else image.image_id
        self._save_references()
        return reference

    def untag(self, reference: str) -> None:
        """Forget a reference; its image stays."""
        del self.references[reference]
        self._save_references()

    @contextmanager
    def references_at_the_end(self) -> Iterator[None]:
        """Write repositories.json once, after many images."""
        self._hold_references = True
        yield
        self._hold_references = False
        self._save_references()

    def _save_references(self) -> None:
        if self._hold_references:
            return
        repositories: dict[str, dict[str, str]] = {}
        for reference in sorted(self.references):
            repositories.setdefault(repository_of(reference), {})[reference] = self.references[reference]
        _write(os.path.join(self._meta, "repositories.json"), _compact({"Repositories": repositories}))

    def remove_image(self, image: Image) -> None:
        """Delete an image by force: its config, its metadata, its references; its layers stay."""
        self.config_file(image).unlink()
        shutil.rmtree(self.file(f"image/{self.driver}/imagedb/metadata/sha256/{_hex(image.image_id)}"), True)
        self.references = {name: id_ for name, id_ in self.references.items() if id_ != image.image_id}
        self._save_references()

    def distribution(
        self,
        layer: Layer | str,
        *,
        digest: str | None = None,
        repositories: Sequence[str] = ("docker.io/library/debian",),
        hmac: str = "",
    ) -> str:
        """Remember that a layer (or a diff_id without layer) was pulled as `digest` from `repositories`."""
        diff_id = layer if isinstance(layer, str) else layer.diff_id
        digest = digest or _sha256(f"blob of {diff_id}".encode())
        known = Path(self._meta, "distribution/v2metadata-by-diffid/sha256", _hex(diff_id))
        entries = json.loads(known.read_bytes()) if known.exists() else []
        entries += [{"Digest": digest, "SourceRepository": name, "HMAC": hmac} for name in repositories]
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_bytes(_compact(entries))
        by_digest = Path(self._meta, "distribution/diffid-by-digest/sha256", _hex(digest))
        by_digest.parent.mkdir(parents=True, exist_ok=True)
        by_digest.write_bytes(diff_id.encode())
        return digest

    # mounts and containers

    def mount(
        self,
        name: str | None = None,
        *,
        parent: Layer | None = None,
        init: bool = True,
        files: Files | None = None,
        tar: bytes | None = None,
        merged: bool = False,
    ) -> Mount:
        """A read-write layer: its directory with `files` or `tar`, its init directory, its entry in layerdb/mounts."""
        name = name or self.hex_id()
        mount_id = self.hex_id()
        below: Layer | OverlayDir | None = parent
        if init:
            below = self.orphan(cache_id=f"{mount_id}-init", parent=parent, files=INIT_FILES)
        made = self.orphan(cache_id=mount_id, parent=below, files=files, tar=tar)
        if merged and self.is_overlay:
            os.mkdir(os.path.join(self._data, mount_id, "merged"))
        mount = Mount(name, mount_id, f"{mount_id}-init" if init else None, parent, made.link, made.lower)
        self._write_mount(mount)
        return mount

    def _write_mount(self, mount: Mount) -> None:
        folder = os.path.join(self._meta, "layerdb/mounts", mount.name)
        os.makedirs(folder)
        _write(os.path.join(folder, "mount-id"), mount.mount_id.encode())
        if mount.init_id is not None:
            _write(os.path.join(folder, "init-id"), mount.init_id.encode())
        if mount.parent is not None:
            _write(os.path.join(folder, "parent"), mount.parent.chain_id.encode())

    def container(
        self,
        image: Image,
        *,
        name: str | None = None,
        state: str = "exited",
        exit_code: int = 0,
        volumes: Sequence[str] = (),
        log: bytes | None = None,
        container_id: str | None = None,
        image_ref: str | None = None,
        files: Files | None = None,
        tar: bytes | None = None,
        labels: Mapping[str, str] | None = None,
        command: Sequence[str] = ("/bin/sh",),
        extra: Mapping[str, object] | None = None,
    ) -> Container:
        """A container of `image` in a `state`; `volumes` as `docker run -v` takes them, `files` or `tar` its own."""
        container_id = container_id or self.hex_id()
        number = self._next()
        parent = image.layers[-1] if image.layers else None
        mount = self.mount(container_id, parent=parent, files=files, tar=tar, merged=state in ("running", "paused"))
        name = name or f"container_{number}"
        folder = self.path / "containers" / container_id
        (folder / "checkpoints").mkdir(parents=True)
        log_path = folder / f"{container_id}-json.log"
        if state != "created":
            log_path.write_bytes(log or b"")
        config: dict[str, object] = {
            "StreamConfig": {},
            "State": _state(state, exit_code, number),
            "ID": container_id,
            "Created": stamp(number),
            "Managed": False,
            "Path": command[0],
            "Args": list(command[1:]),
            "Config": _container_config(container_id, image_ref or _reference(image), command, labels),
            "Image": image.image_id,
            "NetworkSettings": {"Bridge": "", "SandboxID": "", "Networks": {"none": {"NetworkID": ""}}},
            "LogPath": "" if state == "created" else str(log_path),
            "Name": f"/{name}",
            "Driver": self.driver,
            "OS": "linux",
            "MountLabel": "",
            "ProcessLabel": "",
            "RestartCount": 0,
            "HasBeenStartedBefore": state != "created",
            "HasBeenManuallyStopped": False,
            "MountPoints": {point["Destination"]: point for point in map(self._mount_point, volumes)},
            "SecretReferences": None,
            "ConfigReferences": None,
            "HostnamePath": "" if state == "created" else str(folder / "hostname"),
            "HostsPath": "" if state == "created" else str(folder / "hosts"),
            "ResolvConfPath": "" if state == "created" else str(folder / "resolv.conf"),
        } | dict(extra or {})
        (folder / "config.v2.json").write_bytes(_compact(config) + b"\n")
        (folder / "hostconfig.json").write_bytes(_compact(_host_config(volumes)) + b"\n")
        if state != "created":
            _write_network_files(folder, container_id)
        return Container(container_id, name, image, mount, config)

    def _mount_point(self, volume: str) -> dict[str, object]:
        """The MountPoints value for `name:/path[:ro]` or `/host:/path[:ro]`; a missing volume is made."""
        source, destination, *mode = volume.split(":")
        is_bind = source.startswith("/")
        kind = "bind" if is_bind else "volume"
        return {
            "Source": source if is_bind else str(self.volume(source)),
            "Destination": destination,
            "RW": "ro" not in mode,
            "Name": "" if is_bind else source,
            "Driver": "" if is_bind else "local",
            "Type": kind,
            "Relabel": ":".join(mode),
            "Spec": {"Type": kind, "Source": source, "Target": destination} | ({"ReadOnly": True} if mode else {}),
            "SkipMountpointCreation": False,
        }

    def volume(self, name: str, files: Files | None = None, *, options: Mapping[str, str] | None = None) -> Path:
        """A local volume; returns its `_data`. What metadata.db says of volumes is for `database` to write."""
        data = self.path / "volumes" / name / "_data"
        data.mkdir(parents=True, exist_ok=True)
        if options is not None:
            (data.parent / "opts.json").write_bytes(_compact(options))
        if files:
            _Extraction(data, self.driver, privileged=self.privileged).run(make_tar(files))
        return data

    def database(self, relative: str, tree: bolt_writer.Tree) -> Path:
        """A bolt database: `root.database("volumes/metadata.db", {"volumes": {"data": b"{}"}})`."""
        path = self.path / relative
        path.write_bytes(bolt_writer.bolt(tree))
        return path

    # paths, for damage

    def file(self, relative: str) -> Path:
        """Any path below the root."""
        return self.path / relative

    @property
    def repositories_file(self) -> Path:
        """repositories.json."""
        return Path(self._meta, "repositories.json")

    def _layer_dir(self, layer: Layer) -> str:
        return os.path.join(self._meta, "layerdb/sha256", _hex(layer.chain_id))

    def layer_dir(self, layer: Layer) -> Path:
        """A layer's directory in layerdb."""
        return Path(self._layer_dir(layer))

    def layer_file(self, layer: Layer, name: str) -> Path:
        """One of cache-id, diff, parent, size, tar-split.json.gz."""
        return Path(self._layer_dir(layer), name)

    def overlay_dir(self, owner: Layer | OverlayDir | Mount | str) -> Path:
        """The driver's directory of a layer, of a mount, or of a cache-id."""
        if isinstance(owner, str):
            return Path(self._data, owner)
        return Path(self._data, owner.mount_id if isinstance(owner, Mount) else owner.cache_id)

    def overlay_file(self, owner: Layer | OverlayDir | Mount | str, name: str) -> Path:
        """One of link, lower, committed, diff, work, merged."""
        return self.overlay_dir(owner) / name

    def content_dir(self, cache_id: str) -> Path:
        """Where the driver keeps the files of a directory."""
        if self.is_overlay:
            return Path(self._data, cache_id, "diff")
        return Path(self._data, {"vfs": "dir", "btrfs": "subvolumes", "aufs": "diff"}.get(self.driver, "."), cache_id)

    def link_file(self, link: str) -> Path:
        """The symlink overlay2/l/<link>."""
        return Path(self._data, "l", link)

    def config_file(self, image: Image) -> Path:
        """The config of an image in imagedb."""
        return Path(self._meta, "imagedb/content/sha256", _hex(image.image_id))

    def metadata_file(self, image: Image, name: str) -> Path:
        """One of parent, lastUpdated, builtLocally."""
        return Path(self._meta, "imagedb/metadata/sha256", _hex(image.image_id), name)

    def mount_file(self, mount: Mount, name: str) -> Path:
        """One of mount-id, init-id, parent."""
        return Path(self._meta, "layerdb/mounts", mount.name, name)

    def container_file(self, container: Container, name: str = "config.v2.json") -> Path:
        """One of the files of a container."""
        return self.path / "containers" / container.container_id / name


# What moby's files say


def chain_of(diff_id: str, parent: Layer | None) -> str:
    """The chain id of a layer on top of its parent."""
    return diff_id if parent is None else _sha256(f"{parent.chain_id} {diff_id}".encode())


def repository_of(reference: str) -> str:
    """The repository of a familiar reference: the part before `@`, or before the last `:` that is no port's."""
    name, at, _ = reference.partition("@")
    if at:
        return name
    head, colon, tail = reference.rpartition(":")
    return head if colon and "/" not in tail else reference


def stamp(number: int) -> str:
    """A time of its own for each number, one minute apart, with Go's nanoseconds."""
    moment = datetime.fromtimestamp(NOW, UTC) + timedelta(minutes=number)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{number:09d}Z".replace(".000000000Z", "Z")


def _image_config(
    layers: Sequence[Layer], created: str, config: Mapping[str, object], history: Sequence[Mapping[str, object]] | None
) -> dict[str, object]:
    """What an image config says before a test overrides parts of it."""
    if history is None:
        history = [{"created": created, "created_by": f"/bin/sh -c #(nop) COPY layer {i}"} for i in range(len(layers))]
    rootfs: dict[str, object] = {"type": "layers"}
    if layers:
        rootfs["diff_ids"] = [layer.diff_id for layer in layers]
    return {
        "architecture": "amd64",
        "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"], "Labels": None} | dict(config),
        "created": created,
        "docker_version": "20.10.24",
        "history": list(history),
        "os": "linux",
        "rootfs": rootfs,
    }


def _image_bytes(content: Mapping[str, object], without: Iterable[str]) -> bytes:
    """An image config as moby writes a local one: one line, top-level keys sorted."""
    return _compact({key: content[key] for key in sorted(content.keys() - set(without))})


def _reference(image: Image) -> str:
    """What the user typed to make a container of the image."""
    return image.tags[0] if image.tags else image.image_id


def _state(state: str, exit_code: int, number: int) -> dict[str, object]:
    """The `State` of a container, whose order of precedence is moby's."""
    if state not in ("running", "paused", "restarting", "dead", "removing", "created", "exited"):
        raise ValueError(f"no such state: {state}")
    is_alive = state in ("running", "paused")
    return {
        "Running": is_alive or state == "restarting",
        "Paused": state == "paused",
        "Restarting": state == "restarting",
        "OOMKilled": False,
        "RemovalInProgress": state == "removing",
        "Dead": state == "dead",
        "Pid": 4242 if is_alive else 0,
        "ExitCode": exit_code,
        "Error": "",
        "StartedAt": NEVER if state == "created" else stamp(number + 1),
        "FinishedAt": NEVER if is_alive or state == "created" else stamp(number + 2),
        "Health": None,
    }


def _container_config(
    container_id: str, image_ref: str, command: Sequence[str], labels: Mapping[str, str] | None
) -> dict[str, object]:
    return {
        "Hostname": container_id[:12],
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": ["PATH=/usr/bin:/bin"],
        "Cmd": list(command),
        "Image": image_ref,
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": dict(labels or {}),
    }


def _host_config(volumes: Sequence[str]) -> dict[str, object]:
    return {
        "Binds": list(volumes) or None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": "none",
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "VolumeDriver": "",
        "VolumesFrom": None,
        "IpcMode": "private",
        "Privileged": False,
        "ReadonlyRootfs": False,
        "ShmSize": 67108864,
        "Runtime": "runc",
        "Memory": 0,
        "NanoCpus": 0,
    }


def _write_network_files(folder: Path, container_id: str) -> None:
    (folder / "mounts").mkdir()
    (folder / "hostname").write_text(f"{container_id[:12]}\n")
    (folder / "hosts").write_text("127.0.0.1\tlocalhost\n")
    (folder / "resolv.conf").write_text("nameserver 192.0.2.1\n")


INIT_FILES: Files = {
    ".dockerenv": regular(mode=0o755),
    "dev/console": regular(mode=0o755),
    "dev/pts": None,
    "dev/shm": None,
    "etc/hostname": regular(mode=0o755),
    "etc/hosts": regular(mode=0o755),
    "etc/mtab": symlink("/proc/mounts"),
    "etc/resolv.conf": regular(mode=0o755),
    "proc": None,
    "sys": None,
}


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _write(path: str | bytes, data: bytes) -> None:
    """Write a whole file with plain calls: thousands of tiny ones are what a big store is made of."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


# A store as large as a busy build host's


def big_store(path: Path, images: int = 1000, layers: int = 5000, seed: int = 1) -> DataRoot:
    """A store of metadata only: trees of layers that share their bases, images of 5 to 25 layers, tags, history."""
    root = DataRoot(path, seed=seed)
    rng = random.Random(seed)
    forest: list[list[Layer]] = [[] for _ in range(26)]  # the layers by the length of their chain
    made = 0
    with root.references_at_the_end():
        for number in range(images):
            new = layers * (number + 1) // images - made
            made += new
            _big_image(root, rng, number, _grow(root, rng, forest, new))
    return root


def _grow(root: DataRoot, rng: random.Random, forest: list[list[Layer]], new: int) -> Layer:
    """Put `new` layers on a layer of the forest, on the ground at first, and prefer the oldest: they are the bases."""
    depth = rng.randint(max(5, new), 25)
    start = next((d for d in range(depth - new, 0, -1) if forest[d]), 0)
    candidates = forest[start]
    top = candidates[int(len(candidates) * rng.random() ** 2)] if candidates else None
    for above in range(start + 1, start + new + 1):
        top = root.layer(parent=top, metadata_only=True, size=int(10 ** rng.uniform(2, 8)))
        forest[above].append(top)
    if top is None:
        raise ValueError("more images than layers: the first image has none to stand on")
    return top


def _big_image(root: DataRoot, rng: random.Random, number: int, top: Layer) -> Image:
    """One image in a store of many: history with empty steps, and no, one or two references."""
    created = stamp(number)
    history: list[Mapping[str, object]] = []
    for step in range(len(top.chain)):
        history.append({"created": created, "created_by": f"RUN /bin/sh -c step-{step} # buildkit"})
        if rng.random() < 0.3:
            history.append({"created": created, "created_by": f"ENV STEP={step}", "empty_layer": True})
    tags = [f"registry.example:5000/team-{number % 40}/app-{number % 200}:{number}"][: rng.random() < 0.9]
    if number % 10 == 0:
        tags.append(f"app-{number}:latest")
    return root.image(top, tags, created=created, history=history, config={"Labels": {"build": str(number)}})
