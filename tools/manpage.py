"""Make the man page from what the program says of itself.

    python -m tools.manpage

`man/layerindex.1` is in the wheel; a test holds it to the program's help.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from layerindex import catalog
from layerindex.cli import COMMANDS, EPILOG, group

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).resolve().parents[1] / "man" / "layerindex.1"


def page() -> str:
    """Return the man page."""
    lines = ['.TH LAYERINDEX 1 "" "layerindex" "User Commands"', ".SH NAME"]
    lines += ["layerindex \\- what is in a container host's layer store, in one SQLite file"]
    lines += [".SH SYNOPSIS", ".B layerindex", ".I COMMAND", "[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]"]
    lines += [".SH DESCRIPTION", *_paragraphs(group.help or "")]
    lines += [".SH COMMANDS"]
    context = click.Context(group, info_name="layerindex", **group.context_settings)
    for name in COMMANDS:
        command = group.get_command(context, name)
        if command is not None:
            lines += _command(name, command, context)
    lines += [".SH QUERIES", "What", ".B layerindex query", "answers by name:"]
    for name in catalog.names():
        lines += [".TP", f".B {_escaped(name)}", _escaped(catalog.load(name).title)]
    lines += [".SH EXIT STATUS AND ENVIRONMENT", *_paragraphs(EPILOG)]
    lines += [".SH SEE ALSO", ".BR sqlite3 (1)"]
    return "\n".join(lines) + "\n"


def _command(name: str, command: click.Command, above: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=above)
    yield f".SS layerindex {name} {_escaped(' '.join(command.collect_usage_pieces(context)))}"
    yield from _paragraphs(command.help or "")
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from _command(f"{name} {below}", found, context)
        return
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(record[1]))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        kept = paragraph.startswith("\b") or "\b\n" in paragraph
        lines = [line.strip() for line in paragraph.replace("\b", "").splitlines() if line.strip()]
        if kept:
            yield from (".nf", *map(_escaped, lines), ".fi")
        else:
            yield _escaped(" ".join(lines))


def _escaped(text: str) -> str:
    """Return a text in which roff reads no request: no dot or quote begins a line, hyphens can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
