"""containerd's files: bolt databases, the values in them, manifests, and what Kubernetes' plugin keeps."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cache

from layerindex import shapes
from layerindex.problems import Damage
from layerindex.records import Container
from layerindex.stores.containerd import encoding
from layerindex.stores.containerd.content import Content
from layerindex.stores.containerd.cri import FOLDER, NAME, with_status
from layerindex.stores.containerd.images import Images
from layerindex.stores.containerd.metadata import Metadata, Namespace, read_metadata
from layerindex.stores.containerd.metadata import Target as Named
from layerindex.stores.containerd.reachable import expires_at, reachable
from layerindex.stores.disk.bolt import Bolt, Bucket, key_text
from layerindex.stores.disk.files import Folder
from tests.bolt_writer import bolt
from tools.fuzz import checks, given, scratch
from tools.fuzz.checks import taken
from tools.fuzz.target import Target, hold
from tools.fuzz.targets.docker import CONFIG, DIGEST, ID, JSON_WORDS

PAGE = 1024


def _bolt(data: bytes) -> None:
    """Read all of a bolt database; what it holds twice cannot be read twice."""
    try:
        database = Bolt(data, "meta.db")
    except Damage as found:
        checks.held(found)
        return
    held, waiting = 0, [database.root]
    while waiting:
        for key, value in waiting.pop().items():
            held += len(key)
            if isinstance(value, Bucket):
                waiting.append(value)
            else:
                held += len(value)
            hold(held <= len(data), "more than the file holds", held)
    taken(database.damages, len(data))


def _metadata(data: bytes) -> None:
    """Read containerd's database, and see what its garbage collection keeps."""
    path = scratch.folder("metadata")
    scratch.write(f"{path}/meta.db", data)
    with scratch.confined(), Folder(path) as folder:
        try:
            found = read_metadata(folder)
        except Damage as damage:
            checks.held(damage)
            return
    taken(found.damages, len(data))
    for namespace in found.namespaces.values():
        kept = reachable(namespace)
        hold(len(kept) <= len(data), "more kept than there is", len(kept))
        for image in namespace.images.values():
            hold(shapes.DIGEST.fullmatch(image.digest), "no digest", image)


def _values(data: bytes) -> None:
    """Read one value as each kind; a number that is read is written so."""
    for read in (encoding.signed, encoding.moment, encoding.digest):
        with suppress(ValueError):
            read(data)
    with suppress(ValueError):
        found = encoding.unsigned(data)
        hold(_written(found, data), "a number that is not what stands there", found, data)
    with suppress(ValueError):
        hold(0 <= encoding.size(data) < 2**63, "no size", data)
    labels = {f"containerd.io/gc.{key_text(part)}": key_text(data) for part in data.split(b"\0", 8)}
    expires_at(labels)


def _written(number: int, data: bytes) -> bool:
    """Say whether the beginning of some bytes is that number, as Go's Uvarint reads it."""
    total = 0
    for place, byte in enumerate(data):
        total += (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return total == number


def _images(data: bytes) -> None:
    """Follow a name through blobs that stand with NULs between: `@1` is the digest of the second, and so on."""
    blobs: list[bytes] = data.split(b"\0", 5)
    names: list[str] = [""] * len(blobs)
    for place in range(len(blobs) - 1, -1, -1):
        for other in range(place + 1, len(blobs)):
            blobs[place] = blobs[place].replace(b"@%d" % other, b"sha256:" + names[other].encode())
        names[place] = hashlib.sha256(blobs[place]).hexdigest()
    size = sum(map(len, blobs))
    target = Named(f"sha256:{names[0]}", None, None, None, None, {})
    namespace = Namespace({"docker.io/library/web:1": target}, {}, {}, {}, {}, {})
    with given.files("blobs", dict(zip(names, blobs, strict=True))) as folder:
        content = Content(folder)
        reader = Images(Metadata({"default": namespace}, []), content, folder)
        found = taken(reader.read(), size, each=2)
        found += taken(reader.images({}), size, each=2)
    taken(content.damages, size)
    images = [row.image_id for row in found if type(row).__name__ == "Image"]
    hold(len(images) == len(set(images)), "one image twice", images)
    hold(all(row.ref for row in found if type(row).__name__ == "ImageRef"), "a name that is none", found)


def _status(data: bytes) -> None:
    with given.files("cri", {f"{'/'.join((*FOLDER, ID))}/{NAME}": data}) as folder:
        found = taken(with_status(folder, UNKNOWN), len(data))
    hold(sum(isinstance(item, Container) for item in found) == 1, "not one container", found)


UNKNOWN = Container(container_id=ID, namespace="k8s.io")
TREE = {
    "v1": {
        "default": {
            "images": {"web": {"target": {"digest": DIGEST.encode(), "mediatype": b"m", "size": b"\x02"}}},
            "content": {"blob": {DIGEST: {"size": b"\x02", "labels": {"containerd.io/gc.root": b"1"}}}},
            "leases": {"l": {"labels": {"containerd.io/gc.expire": b"2023"}, "content": {DIGEST: {}}}},
            "snapshots": {"overlayfs": {"k": {"name": b"default/1/k", "parent": b"p"}}},
            "containers": {ID: {"image": b"web", "snapshotter": b"overlayfs", "spec": b'\n{"mounts":[]}'}},
        }
    }
}
MANIFESTS = b'{"manifests":[{"digest":"@1","mediaType":"m","size":1,"platform":{"os":"linux","architecture":"arm64"}}]}'
MANIFEST = (
    b'{"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"@2",'
    b'"mediaType":"application/vnd.oci.image.config.v1+json"},"layers":[{"digest":"%s"},{"digest":"@3"}]}'
    % DIGEST.encode()
)
STATUS = b'{"Version":"v1","CreatedAt":1700000000123456789,"StartedAt":1,"FinishedAt":0,"ExitCode":1}'
MOMENT = b"\x01\x00\x00\x00\x0e\xdc\xe5\x8d\x84\x07\x5b\xcd\x15\xff\xff"


@cache
def _bolts() -> list[bytes]:
    """Return databases without checksums of their headers, which any change would make wrong."""
    many = {"many": {f"{number:03}": b"x" * 30 for number in range(40)}, "v1": {"a": {"b": b"c"}}}
    shapes_ = ({"page_size": PAGE}, {"page_size": PAGE, "inline": False}, {"page_size": PAGE, "fill": 4, "order": ">"})
    return [bolt(tree, checksum=False, **shape) for tree in (TREE, many) for shape in shapes_]


WORDS = (*JSON_WORDS, b'"digest":"@1"', b'"manifests":[', b'"layers":[', b'"config":{', b'"mediaType":"', b"\0", b"@2")

TARGETS = (
    Target(
        "bolt",
        "A bolt database is read once, within its size, and gives values or Damage.",
        _bolts,
        _bolt,
        (b"\1\0\0\0", b"\2\0", b"\3\0\0\0\0\0\0\0", b"\xff\xff\xff\xff", b"\x10\0\0\0"),
        32768,
    ),
    Target(
        "containerd-metadata",
        "meta.db gives namespaces within its size, what is reachable ends, or Damage.",
        _bolts,
        _metadata,
        (b"\1\0\0\0", b"\2\0", b"containerd.io/gc.ref.content", b"labels", b"size"),
        32768,
    ),
    Target(
        "containerd-values",
        "Values of containerd's databases raise ValueError only, and numbers are what stands there.",
        lambda: [MOMENT, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80\x01", DIGEST.encode()],
        _values,
        (),
        128,
    ),
    Target(
        "containerd-images",
        "Indexes and manifests end, in rows within their size, each image once, or Damage.",
        lambda: [b"\0".join((MANIFESTS, MANIFEST, CONFIG)), b'{"manifests":[{"digest":"@1"},{"digest":"@1"}]}\0{}'],
        _images,
        WORDS,
        4096,
    ),
    Target(
        "cri-status",
        "A container's status of Kubernetes' plugin gives one container.",
        lambda: [STATUS],
        _status,
        (*JSON_WORDS, b'"FinishedAt":', b'"StartedAt":'),
        512,
    ),
)
