"""A small data root that a real engine made (`tools/make_demo.py`), packed so that anyone may unpack it.

Whiteouts are devices on disk, which only root can make: they are left out here, and tar-split still names them.
"""

from __future__ import annotations

import os
import tarfile
from importlib import resources

from layerindex.errors import LayerindexError


def unpack(folder: str) -> str:
    """Unpack the demo data root below a folder and return its path; raises LayerindexError where that fails."""
    root = os.path.join(folder, "docker")
    if os.path.lexists(root):
        raise LayerindexError(f"{root}: is there already; remove it, or name another folder")
    packed = resources.files("layerindex.demo").joinpath("root.tar.xz")
    try:
        os.makedirs(root)
        with packed.open("rb") as file, tarfile.open(fileobj=file, mode="r:xz") as archive:
            # The archive is our own; without this line Python 3.12 warns that it might not be.
            archive.extraction_filter = lambda member, _: member
            archive.extractall(root)  # noqa: S202 - our own archive
    except OSError as error:
        raise LayerindexError(f"{root}: {error.strerror or error}; name a folder you may write to") from error
    return root
