"""Every file query over random images and containers agrees with a plain model of the overlay; no engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from layerindex import database
from tests import agreement
from tests.dataroot import INIT_FILES, DataRoot, make_tar
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and opaque folders on disk")
@pytest.mark.parametrize("first", [0, 1000])
def test_random_containers(tmp_path: Path, first: int) -> None:
    """What a container shows of its own directory, which was walked, its init layer and its image."""
    root = DataRoot(tmp_path / "docker", privileged=True)
    shown: dict[str, Image] = {}
    for tag, (*below, own) in stacks(range(first, first + IMAGES)).items():
        top = None
        for content in below:
            top = root.layer(tar=content, parent=top)
        name = tag.replace(":", "-")
        root.container(root.image(top or (), [tag]), name=name, tar=own)
        shown[name] = Image([read_layer(content) for content in (*below, make_tar(INIT_FILES), own)])
    scanned(str(tmp_path / "random.db"), root.path)

    with database.reading(str(tmp_path / "random.db")) as connection:
        for name, image in shown.items():
            agreement.container_agrees(connection, name, image)
