"""The docs are run: every block of output is what the program prints, and their commands are the ones CI uses."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from layerindex import catalog
from layerindex.cli import COMMANDS, group
from tests import fleet
from tools import manpage

CHECKOUT = Path(__file__).resolve().parents[1]
README = CHECKOUT / "README.md"
PAGES = [README, CHECKOUT / "SECURITY.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
PROSE = {
    "SECURITY.md",
    "bounds.md",
    "doubt.md",
    "faults.md",
    "fuzzing.md",
    "performance.md",
    "real-engines.md",
    "threat-model.md",
    "walks.md",
}
"""Pages without output of the program."""
BLOCK = re.compile(r"(<!-- run: (layerindex .*?) -->\n```\n)(.*?)(```\n)", re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the database of `layerindex demo`."""
    folder = tmp_path_factory.mktemp("demo")
    result = CliRunner().invoke(group, ["demo", str(folder)])
    assert 0 == result.exit_code, result.output
    assert "acme/web:1.0" in result.stdout
    return folder / "layerindex.db"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the fleet that the page about fleets asks."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.db"
    fleet.make(path, fleet.Plan(hosts=12, images=5, layers=14, distinct=52, own=2, base=2, days=3, entries=4))
    return path


@pytest.fixture
def asked(request: pytest.FixtureRequest, page: Path) -> Path:
    """Give the database that a page asks."""
    chosen: Path = request.getfixturevalue("simulated" if page.name == "fleet.md" else "demo")
    return chosen


def _printed(command: str, database: Path) -> str:
    words = shlex.split(command)[1:]
    result = CliRunner(env={"LAYERINDEX_DB": str(database)}).invoke(group, words)
    assert 0 == result.exit_code, f"{command}: {result.output}"
    # The pages name a place and a time of their own.
    text = re.sub(r"as of \S+", "as of 2026-03-02T04:00:00.000Z", result.stdout.replace(str(database.parent), "/demo"))
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_what_the_program_prints(asked: Path, page: Path) -> None:
    """Each block of a page is the output of the command in the comment above it."""
    text = page.read_text(encoding="utf-8")
    assert BLOCK.search(text) or page.name in PROSE
    expected = BLOCK.sub(lambda match: match[1] + _printed(match[2], asked) + match[4], text)
    if os.environ.get("LAYERINDEX_REWRITE_GOLDEN"):
        page.write_text(expected, encoding="utf-8")

    assert expected == page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page names a file that is here."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_man_page() -> None:
    """The man page is what the program says of itself."""
    if os.environ.get("LAYERINDEX_REWRITE_GOLDEN"):
        manpage.main()

    assert manpage.page() == manpage.PAGE.read_text(encoding="utf-8")


def test_questions_are_answered(demo: Path) -> None:
    """Each command of the table of questions runs."""
    section = README.read_text(encoding="utf-8").partition("## Eleven questions")[2].partition("## ")[0]
    questions = [line for line in section.splitlines() if line.startswith("| ") and "`layerindex" in line]
    assert 11 == len(questions)
    for line in questions:
        answer = line.rpartition("|")[0].rpartition("| ")[2]
        for command in re.findall(r"`(layerindex (?:query|find|show|plan)[^`]*)`", answer):
            _printed(command, demo)


def test_commands_and_queries_are_documented() -> None:
    """The README names every command and every canned query."""
    text = README.read_text(encoding="utf-8")

    assert [] == [name for name in COMMANDS if f"layerindex {name}" not in text]
    assert [] == [name for name in catalog.names() if name not in text]
