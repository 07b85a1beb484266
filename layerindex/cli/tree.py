"""`layerindex tree`."""

from __future__ import annotations

import sys

import click

from layerindex import database, query, screen
from layerindex.cli import options
from layerindex.errors import NotThereError
from layerindex.names import typed
from layerindex.tree import forest, plain, text


@click.command(name="tree")
@click.argument("image", required=False, shell_complete=options.complete("names", "image"))
@options.database
@options.snapshots
@options.timeout
@click.option(
    "--all", "every", is_flag=True, help="Show untagged images that have children, and each layer of no image."
)
@click.option(
    "--ascii/--unicode", "ascii_", default=None, help="What lines are drawn with; else what the terminal has."
)
@options.written("How the trees are written.")
@click.option("--no-trunc", is_flag=True, help="Show whole ids, all names and exact bytes.")
@click.option("--wide", is_flag=True, help="Show whole names and all columns, also where the terminal is narrower.")
@options.pager
def command(  # noqa: PLR0913, PLR0917 - click hands over one for each option
    image: str | None, path: str, snapshots: options.Snapshots, every: bool, ascii_: bool | None, format_: str,
    no_trunc: bool, wide: bool,
) -> None:  # fmt: skip
    """Show images by the layers that they share, with their sizes, and the containers that run from them.

    A line is an image, or layers that several have: what stands on it is indented below it. LAYERS and OWN are how many
    layers it adds and their bytes, TOTAL is with all below, IMAGES how many images have them. Of a container OWN is
    what it wrote. Layers that no image has say what needs them, unused, or unknown where that cannot be told. A size
    after ≥ is without that of layers whose size is not known. What removing an image frees is in `query reclaim`.

    With IMAGE, a reference or id, there is only what it stands on and what stands on it. Exit status 1: there is none.

    With --format json the answer is an array of objects, one for each store, in containerd for each namespace. Their
    nodes are a flat list: node (a number), parent (the node that it stands on), layers (the lowest first), size (NULL
    when one is not known), known_size, total_size, images_with_it, images, containers. Other keys are columns of the
    files of queries/tree.
    """
    with database.reading(path) as connection:
        snapshots.select(connection)
        name = None if image is None else query.resolve(connection, "image", typed(image))
        found = forest.forests(connection, name, every=every)
    if name is not None and not found:
        raise NotThereError(f"{image!r} names an image that is not in the store; `layerindex show` says what is known")
    if format_ == "json":
        click.echo(plain.as_json(found))
        return
    seen = screen.current()
    look = screen.Look(seen, not no_trunc, wide)
    drawn = text.marks(seen.encoding if seen else sys.stdout.encoding, plain=ascii_)
    for number, one in enumerate(found):
        if number:
            click.echo("")
        for line in text.Writer(one, look, drawn, every=every).lines():
            click.echo(line, color=True)  # where none is wanted there is none
