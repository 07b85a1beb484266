"""Every file query over random images agrees with a plain model of the overlay; no engine, no rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from layerindex import database
from tests import agreement
from tests.dataroot import DataRoot
from tests.overlay_model import Image, read_layer
from tests.random_layers import stacks
from tests.test_file_queries import scanned

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = 30
"""For each of the seeds below."""


@pytest.mark.parametrize("first", [0, 1000, 2000, 3000])
def test_random_images(tmp_path: Path, first: int) -> None:
    """Listings, what is hidden and by what, waste, histories, differences, and what is asked of single layers."""
    root = DataRoot(tmp_path / "docker")
    images: dict[str, Image] = {}
    chains: dict[str, list[str]] = {}
    for tag, tars in stacks(range(first, first + IMAGES)).items():
        top, chains[tag] = None, []
        for content in tars:
            top = root.layer(tar=content, parent=top)
            chains[tag].append(top.chain_id)
        root.image(top or (), [tag])
        images[tag] = Image([read_layer(content) for content in tars])
    scanned(str(tmp_path / "random.db"), root.path)

    with database.reading(str(tmp_path / "random.db")) as connection:
        for tag, image in images.items():
            agreement.image_agrees(connection, tag, image)
        assert agreement.pairs_agree(connection, images) > IMAGES
        agreement.layers_agree(connection, images, chains)
