"""Tar files made in memory: layers, and the archives that `docker load` reads."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EPOCH = 1_700_000_000
CREATED = "2023-11-14T22:13:20Z"


@dataclass(frozen=True)
class Member:
    """One entry of a layer; a path that ends in `/` is a directory."""

    path: str
    content: bytes = b""
    mode: int | None = None
    symlink: str | None = None
    hardlink: str | None = None
    mtime: int = EPOCH
    uid: int = 0
    gid: int = 0

    def header(self) -> tarfile.TarInfo:
        """Return the tar header of this entry."""
        info = tarfile.TarInfo(self.path.rstrip("/"))
        info.mtime, info.uid, info.gid = self.mtime, self.uid, self.gid
        if self.path.endswith("/"):
            info.type, info.mode = tarfile.DIRTYPE, 0o755
        elif self.symlink is not None:
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, self.symlink
        elif self.hardlink is not None:
            info.type, info.mode, info.linkname = tarfile.LNKTYPE, 0o644, self.hardlink  # chmods the first name too
        else:
            info.mode, info.size = 0o644, len(self.content)
        if self.mode is not None:
            info.mode = self.mode
        return info


def pack(members: Iterable[Member]) -> bytes:
    """Return the tar file of these members, in their order; none give the two zero blocks alone."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            archive.addfile(member.header(), io.BytesIO(member.content))
    return stream.getvalue()


EMPTY_LAYER = bytes(1024)
"""The layer that moby calls empty: two zero blocks without padding."""


@dataclass(frozen=True)
class Step:
    """One entry of an image's history; without a layer it is an empty step."""

    created_by: str
    layer: bytes | None = None
    comment: str = ""
    created: str = CREATED


@dataclass(frozen=True)
class ImageSource:
    """An image for `docker load`: its references, its steps from the base up, and its `config` object."""

    refs: Sequence[str]
    steps: Sequence[Step]
    config: Mapping[str, Any] = field(default_factory=dict)
    created: str = CREATED


def archive(images: Iterable[ImageSource]) -> bytes:
    """Return the archive that `docker load` reads, as `docker save` would lay it out."""
    files: dict[str, bytes] = {}
    manifest = []
    for image in images:
        layers = [step.layer for step in image.steps if step.layer is not None]
        names = []
        for layer in layers:
            names.append(f"{hashlib.sha256(layer).hexdigest()}/layer.tar")
            files[names[-1]] = layer
        config = json.dumps(_config(image, layers), separators=(",", ":"), sort_keys=True).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        files[config_name] = config
        manifest.append({"Config": config_name, "RepoTags": list(image.refs), "Layers": names})
    files["manifest.json"] = json.dumps(manifest).encode()
    return pack(Member(name, content) for name, content in files.items())


def _config(image: ImageSource, layers: Sequence[bytes]) -> dict[str, Any]:
    history = []
    for step in image.steps:
        entry: dict[str, Any] = {"created": step.created, "created_by": step.created_by}
        if step.comment:
            entry["comment"] = step.comment
        if step.layer is None:
            entry["empty_layer"] = True
        history.append(entry)
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": image.created,
        "config": dict(image.config),
        "history": history,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
    }
