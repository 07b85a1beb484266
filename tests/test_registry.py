"""Another kind of store is a class and a line: this one has images in a JSON file, and nothing else asks what it is."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from typing import TYPE_CHECKING, NamedTuple

import pytest

from layerindex import scan, stores
from layerindex.errors import NotAStoreError
from layerindex.listings.rules import Rules
from layerindex.problems import Damage
from layerindex.records import Features, Image, ImageLayer, ImageRef, Layer
from layerindex.stores import registry
from layerindex.stores.disk import ids
from layerindex.stores.shared.passes import told
from layerindex.stores.store import Holder, Listed, Wanted
from tests.conftest import HOST, scanned, table
from tests.packing import member, pack
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from layerindex.records import Record
    from layerindex.stores.disk.files import Folder

LAYER = "sha256:" + "b" * 64
IMAGE = Image(
    image_id="sha256:" + "c" * 64,
    created_at=None,
    architecture="amd64",
    os="linux",
    variant=None,
    target_digest=None,
    size=3,
    layer_count=1,
    parent_image_id=None,
    last_updated_at=None,
    verified=1,
    config="{}",
)


class Shelf(NamedTuple):
    """A folder with a file `shelf.json`: names of images, each of one layer."""

    root: str
    driver: str = "shelf"
    folder: str = "shelf"
    name: str = "shelf-plain"
    engine: str = "shelf"
    limits: str | None = None
    walkable: bool = False
    rules: Rules = Rules.of("shelf")
    features: Features = Features(0, 0, 0, 0, 0)
    first: bool = True
    counted_by_docker: bool = False
    disk_sizes: bool = False

    def engine_id(self) -> str | None:
        """Return no id."""
        return None

    def recorded(self, kind: str, name: str) -> str:  # noqa: ARG002
        """Return the one file."""
        return "shelf.json"

    def records(self) -> Iterator[Record]:
        """Yield what the file says."""
        return told(self.root, self._read)

    def _read(self, root: Folder) -> Iterator[Record | Damage]:
        for name in root.json("shelf.json"):
            image_id = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
            yield IMAGE._replace(image_id=image_id)
            yield ImageLayer(image_id, 0, LAYER, LAYER)
            yield ImageRef(f"{name}:1", name, "1", None, image_id, "", f"docker.io/library/{name}:1")
        yield Layer(LAYER, LAYER, None, None, 3, 1)

    def listed(self, layer: Wanted) -> Listed | None:  # noqa: ARG002
        """Return nothing that lists a layer."""
        return None

    def tree(self, cache_id: str) -> str:
        """Return no folder of its own."""
        return cache_id

    def open_tree(self, cache_id: str) -> int:
        """Open nothing."""
        raise Damage("missing", cache_id, "it has no directories")

    def holder(self, path: tuple[str, ...], is_folder: bool) -> Holder:  # noqa: ARG002
        """Return that nobody in particular holds it."""
        return Holder("other", self.driver)


def shelves(root: str) -> Sequence[Shelf]:
    """Return the store under a folder, if there is one."""
    return [Shelf(root)] if os.path.exists(f"{root}/shelf.json") else []


class Crate(Shelf):
    """A store in one file, like an archive: a line of JSON with the sizes of layers, then the layers."""

    folder = ""
    name = "crate-archive"

    def records(self) -> Iterator[Record]:
        """Yield an image of all layers."""
        chains = ids.chain_ids([layer.diff_id for layer in self.layers()])
        for position, (layer, chain_id) in enumerate(zip(self.layers(), chains, strict=True)):
            yield ImageLayer(IMAGE.image_id, position, layer.diff_id, chain_id)
            yield Layer(chain_id, layer.diff_id, chains[position - 1] if position else None, None, layer.size, 1)
        yield IMAGE._replace(layer_count=len(chains))
        yield ImageRef("crate:1", "crate", "1", None, IMAGE.image_id, "", "docker.io/library/crate:1")

    def layers(self) -> list[Packed]:
        """Return the layers in the file."""
        with open(self.root, "rb") as file:
            head = file.readline()
            start, found = len(head), []
            for diff_id, size in json.loads(head):
                found.append(Packed(diff_id, size, start))
                start += size
        return found

    def listed(self, layer: Wanted) -> Listed:
        """Return the layer in the file."""
        found = next(each for each in self.layers() if each.diff_id == layer.diff_id)
        return Listed("blob", found.diff_id, found.size, lambda: os.open(self.root, os.O_RDONLY), offset=found.offset)


class Packed(NamedTuple):
    """A layer in a file."""

    diff_id: str
    size: int
    offset: int


def crates(path: str) -> Sequence[Crate]:
    """Return the store that a file is."""
    return [Crate(path)] if path.endswith(".crate") else []


@pytest.mark.parametrize("changed", [False, True])
def test_store_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool) -> None:
    """A root may be a file, and a layer a part of it that ends where the next one begins."""
    monkeypatch.setattr("layerindex.stores.FINDERS", [*registry.FINDERS, crates])
    contents: list[dict[str, bytes]] = [{"a": b"1", "b": b"22"}, {"c": b"333"}, {}]
    members = [[member(name, content=content) for name, content in files.items()] for files in contents]
    tars = [pack(each, tarfile.GNU_FORMAT) for each in members]
    diff_ids = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    tars[1] = gzip.compress(tars[1])
    head = json.dumps([[diff_id, len(tar)] for diff_id, tar in zip(diff_ids, tars, strict=True)]).encode() + b"\n"
    path = tmp_path / "images.crate"
    tars[0] = tars[0].replace(b"22\0", b"23\0") if changed else tars[0]
    path.write_bytes(head + b"".join(tars) + b"what follows")
    connection = scanned(path, scan.Options(files=True, walk=True))

    assert [diff_ids[0]] * changed == [subject for (subject,) in table(connection, "subject", "problems")]
    found = connection.execute("SELECT path, size, position FROM image_files WHERE image = 'crate:1'").fetchall()
    assert found == [*([] if changed else [("/a", 1, 0), ("/b", 2, 0)]), ("/c", 3, 1)]
    usage = sorted(table(connection, "category, apparent_bytes", "disk_usage"))
    assert usage == [("other", path.stat().st_size), ("unaccounted", 0)]
    (store,) = stores.open_stores(str(path))
    again = scan.scan(connection, store, scan.Filing(HOST), scan.Options(files=True, walk=True))
    assert again.rows["entries"] == len(found)


def test_file_that_is_no_store(tmp_path: Path) -> None:
    """A file that no kind of store takes is refused as before."""
    (tmp_path / "a").write_text("")
    with pytest.raises(NotAStoreError, match="not a folder"):
        stores.open_stores(str(tmp_path / "a"))


@pytest.mark.parametrize("damaged", [False, True])
def test_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool) -> None:
    """It is found, indexed and asked as any other; what is wrong with it is a row in `problems`."""
    monkeypatch.setattr(registry, "FINDERS", [*registry.FINDERS])
    registry.FINDERS.append(shelves)
    monkeypatch.setattr("layerindex.stores.FINDERS", registry.FINDERS)
    (tmp_path / "shelf.json").write_text("{" if damaged else json.dumps({"red": {}, "blue": {}}))
    connection = scanned(tmp_path)

    assert table(connection, "store, driver", "snapshots") == [("shelf-plain", "shelf")]
    codes = [code for (code,) in table(connection, "code", "problems")]
    assert codes == (["bad-json"] if damaged else [])
    assert len(ask(connection, "images", "repository")) == (0 if damaged else 2)
    if not damaged:
        assert [images for (images,) in ask(connection, "shared-layers", "images")] == [2]
        assert ask(connection, "image-layers", "position diff_id", image="red:1") == [(0, LAYER)]
        assert ask(connection, "missing-data", "code") == []
