"""`layerindex plan`."""

from __future__ import annotations

import re

import click

from layerindex import database
from layerindex.cli import options
from layerindex.errors import UsageError
from layerindex.plan import steps, text

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([kmgtp]?)(i?)b?", re.IGNORECASE)


def size(_: click.Context, __: click.Parameter, word: str | None) -> int | None:
    """Return the bytes that a word such as 20G means; KiB, MiB … are those of 1024. Raises UsageError."""
    if word is None:
        return None
    match = SIZE.fullmatch(word.strip())
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"--target takes a size such as 20G, 500MB or 1.5GiB, not {word!r}")
    unit = UNITS[match[2].lower()]
    if match[3]:
        unit = 1 << (10 * (len(str(unit)) // 3))
    return int(float(match[1]) * unit)


@click.command(name="plan")
@options.database
@options.snapshots
@options.timeout
@click.option("--target", metavar="SIZE", callback=size, help="Stop where so much is reached in a store, such as 20G.")
@click.option("--script", is_flag=True, help="Write a shell script that checks before each step.")
@options.written("How the plan is written.")
@click.option("--no-trunc", is_flag=True, help="Show all steps, and whole ids and commands.")
@options.pager
def command(  # noqa: PLR0913, PLR0917 - click hands over one for each option
    path: str, snapshots: options.Snapshots, target: int | None, script: bool, format_: str, no_trunc: bool
) -> None:
    """Say what can be freed, the safest first, with the commands that free it; nothing is changed.

    There is a plan for each store. What is unused is what `query orphans`, `volumes` and `unused-images` say. FREES is
    what goes when the steps before are done too; with --target a plan ends where that is enough.

    Classes: nothing is lost; can be rebuilt or pulled again; log lines are lost; data: look first, nothing else may
    have it; the engine does not know of it: directories that nothing names. What may be used is listed as unknown, with
    the reason.

    The script of --script does nothing by itself: it lists its steps, and runs those that it is given. Before each it
    asks the engine whether the thing is still unused. An orphan it moves aside, and says how to move it back.
    """
    with database.reading(path) as connection:
        snapshots.select(connection)
        found = steps.plans(connection)
    if target is not None:
        found = [steps.until(plan, target) for plan in found]
    if script:
        from layerindex.plan import script as scripts  # noqa: PLC0415 - a table starts without it

        click.echo(scripts.script(found), nl=False)
    elif format_ == "json":
        click.echo(text.as_json(found))
    else:
        for number, plan in enumerate(found):
            if number:
                click.echo("")
            for line in text.lines(plan, trunc=not no_trunc):
                click.echo(line, color=True)  # where none is wanted there is none
