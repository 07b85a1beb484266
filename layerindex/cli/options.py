"""Options that several commands share, each written once."""

from __future__ import annotations

import click

database = click.option(
    "--db",
    "path",
    envvar="LAYERINDEX_DB",
    default="layerindex.db",
    show_default="$LAYERINDEX_DB, else ./layerindex.db",
    metavar="FILE",
    help="The database.",
)
