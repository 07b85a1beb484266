"""Finds the folders that are beside the package in a checkout and inside it when installed."""

from __future__ import annotations

import os
from functools import cache


def folder(name: str) -> str:
    """Return the path of `queries` or `migrations`: `layerindex/_NAME` in a wheel, else `../NAME`."""
    here = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(here, f"_{name}")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(here), name)


@cache
def query(*names: str) -> str:
    """Return the text of a file below `queries`; its name is given without `.sql`."""
    with open(f"{os.path.join(folder('queries'), *names)}.sql", encoding="utf-8") as file:
        return file.read()
