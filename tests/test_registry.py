"""Another kind of store is a class and a line: this one has images in a JSON file, and nothing else asks what it is."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, NamedTuple

import pytest

from layerindex.listings.rules import Rules
from layerindex.problems import Damage
from layerindex.records import Features, Image, ImageLayer, ImageRef, Layer
from layerindex.stores import registry
from layerindex.stores.passes import told
from layerindex.stores.store import Holder
from tests.conftest import scanned, table
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from layerindex.records import Record
    from layerindex.stores.files import Folder

LAYER = "sha256:" + "b" * 64


class Shelf(NamedTuple):
    """A folder with a file `shelf.json`: names of images, each of one layer."""

    root: str
    driver: str = "shelf"
    folder: str = "shelf"
    name: str = "shelf-plain"
    limits: str | None = None
    walkable: bool = False
    rules: Rules = Rules.of("shelf")
    features: Features = Features(0, 0, 0, 0, 0)
    first: bool = True
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
            yield Image(
                image_id=image_id,
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
            yield ImageLayer(image_id, 0, LAYER, LAYER)
            yield ImageRef(f"{name}:1", name, "1", None, image_id, "", f"docker.io/library/{name}:1")
        yield Layer(LAYER, LAYER, None, None, 3, 1)

    def listed(self, *_: object) -> None:
        """Return nothing that lists a layer."""
        return

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
