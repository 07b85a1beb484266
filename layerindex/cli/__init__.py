"""The command line: parse, call, render. A command is imported when it is called, so that a small query starts fast."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from keyword import iskeyword

import click

from layerindex import __version__
from layerindex.errors import LayerindexError
from layerindex.names import printable

COMMANDS = {
    "scan": "Index a container host's layer store into a database.",
    "query": "Answer a canned question, or your own SQL, from the database.",
    "show": "Explain any id, name, path or mount line: what it is and who owns it.",
    "find": "Find files by name or path in images, containers and other directories.",
    "snapshots": "List, remove and prune snapshots.",
    "import": "Bring in the snapshots of other databases.",
    "export": "Write chosen snapshots as a small database of their own.",
    "compare": "Set two hosts, two days or two databases side by side.",
    "schema": "Explain the database's tables and columns, and the problem codes.",
    "db": "Upgrade or check a database.",
    "demo": "Unpack a small data root, scan it and query it.",
}
"""What `layerindex --help` lists: a module of this package for each, and what it does."""


class _Failure(click.ClickException):
    """One of our errors, as click prints it."""

    def __init__(self, error: LayerindexError) -> None:
        super().__init__(printable(str(error)))  # it may quote what a hostile file holds
        self.exit_code = error.exit_status  # type: ignore[misc]  # click declares it for the class, reads it from self


class Commands(click.Group):
    """The group that imports a command when it is called and turns our errors into a sentence and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"layerindex.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except LayerindexError as error:
            raise _Failure(error) from error


EPILOG = """\b
Exit status: 0 done; 1 error; 2 usage; 3 a gate that was asked for
(scan --strict, compare --exit-code) did not hold.
\b
Environment: LAYERINDEX_DB names the database, LAYERINDEX_ROOT the data root.
DOCKER_HOST is never used: layerindex reads disks and asks no daemon.
"""


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="layerindex")
def group() -> None:
    """Say what is in a container host's layer store: offline, read-only, in one SQLite file."""


def main() -> None:
    """Run the program; a reader that closes our output early ends it quietly."""
    try:
        group(prog_name="layerindex")
    except BrokenPipeError:
        # Python would complain once more when it flushes the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
