"""The command line: parse, call, render. A command is imported only when it is called, so that queries start fast."""

from __future__ import annotations

import sys
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING

import click

from layerindex import __version__, interrupt
from layerindex.cli import streams
from layerindex.errors import LayerindexError, UsageError
from layerindex.names import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "scan": "Index a container host's layer store into a database.",
    "query": "Answer a canned question, or your own SQL, from the database.",
    "show": "Explain any id, name, path or mount line: what it is and who owns it.",
    "tree": "Show images by the layers that they share, with sizes and containers.",
    "plan": "Say what can be freed, the safest first, with the commands for it.",
    "find": "Find files by name or path in images, containers and other directories.",
    "snapshots": "List, remove and prune snapshots.",
    "import": "Bring in the snapshots of other databases.",
    "export": "Write chosen snapshots as a small database of their own.",
    "compare": "Compare two hosts, two days or two databases.",
    "schema": "Explain the database's tables and columns, and the problem codes.",
    "db": "Upgrade or check a database.",
    "completion": "Print what completes commands, queries, parameters and names in a shell.",
    "demo": "Unpack a small data root, scan it and query it.",
}
"""The commands that `layerindex --help` lists, each a module of this package, and what they do."""


class _Failure(click.ClickException):
    """One of our errors, as click prints it."""

    def __init__(self, error: LayerindexError) -> None:
        # The message may quote the content of a hostile file.
        super().__init__(streams.fitted(printable(str(error)), len("Error: ")))
        self.exit_code = error.exit_status  # type: ignore[misc]  # click declares it for the class, reads it from self


class Commands(click.Group):
    """The group that imports a command when it is called and turns our errors into a sentence and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which people usually need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"layerindex.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; raises UsageError with the near ones, or for a query's name with how to ask it."""
        word = args[0]
        if word in COMMANDS or word.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from layerindex import catalog  # noqa: PLC0415 - who types well starts without it

        if word in catalog.names():
            raise UsageError(f"no command {word!r}: it is a query; ask it with `layerindex query {word}`")
        near = catalog.near(word, list(COMMANDS))
        raise UsageError(f"no command {word!r}{near}; `layerindex --help` lists them all")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, without importing them."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - of a completion only

        begun = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*begun, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except LayerindexError as error:
            interrupt.check()
            raise _Failure(error) from error


EPILOG = """\b
Exit status: 0 done; 1 error; 2 usage; 3 a requested check failed
(scan --strict, compare --exit-code); 128 + the number of the
signal that ended it, so 130 after Ctrl-C; an unfinished write is undone.
\b
Environment: LAYERINDEX_DB names the database, LAYERINDEX_ROOT the data root.
DOCKER_HOST is never used: layerindex reads disks and asks no daemon.
"""


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="layerindex")
def group() -> None:
    """Index a container host's layer store into one SQLite file, offline, and answer questions from it."""


def main() -> None:
    """Run the program: whatever ends it prints at most one sentence and sets the exit status."""
    streams.install()
    status = _run()
    streams.drop()
    sys.exit(status)


def _run() -> int:
    """Run a command and return its exit status; it ends quietly when the reader of its output stops reading."""
    try:
        status = _command()
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except LayerindexError as error:  # of a help text, for example, which click writes before it calls a command
        failure = _Failure(error)
        failure.show()
        return failure.exit_code
    except BrokenPipeError:
        return 1
    return status


def _command() -> int:
    try:
        done = group.main(prog_name="layerindex", standalone_mode=False)
    except SystemExit as ended:
        done = ended.code
    return done if isinstance(done, int) else 0
