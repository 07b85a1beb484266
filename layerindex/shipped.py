"""Where the folders are that lie beside the package in a checkout and inside it when installed."""

from __future__ import annotations

import os


def folder(name: str) -> str:
    """Return the path of `queries` or `migrations`: `layerindex/_NAME` in a wheel, else `../NAME`."""
    here = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(here, f"_{name}")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(here), name)
