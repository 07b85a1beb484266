"""Two real hosts in one database: each answers, asked for alone, as its own database does."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from layerindex import catalog

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import new_engine
from .program import CHECKOUT, Index, layerindex
from .store import BASE, BUILDKIT, CLASSIC, FOREVER, RUN, _base, build

if TYPE_CHECKING:
    from pathlib import Path

    from .engine import Engine

pytestmark = pytest.mark.engine

HOSTS = ("web-6", "web-7")
ABOUT = {
    "compare-images": {"a": "app:1", "b": BASE},
    "file-history": {"path": "/etc/passwd"},
    "find-file": {"name": "[a-p]*"},
    "image-files": {"image": "app:1"},
}
"""What the queries must be told to say anything."""
OVER_ALL = {"first-seen", "last-seen"}
"""Queries over all snapshots of the database, whatever --host says."""
NUMBERS = {"snapshot_id", "listing_id", "selected", "received_at"}
"""Columns that are this database's own."""


class Fleet(NamedTuple):
    """Each host's own database, the one that imported both, and what the engines say."""

    own: dict[str, Index]
    fleet: Index
    images: dict[str, set[str]]


def fill(engine: Engine, host: str) -> None:
    """Give a host the base that all have, an image that both tag alike and build otherwise, and a container."""
    engine.docker("import", "--change", 'CMD ["sh"]', "-", BASE, input=_base())
    same = ImageSource(["common:1"], [Step("ADD common", pack([Member("common/"), Member("common/file", b"same\n")]))])
    engine.docker("load", input=archive([same]))
    app = f"FROM {BASE}\nCOPY app /srv/app\nRUN echo built > /srv/log && rm /etc/passwd\n"
    build(engine, "app:1", app, {"app": f"{host}\n".encode()}, CLASSIC if host == HOSTS[0] else BUILDKIT)
    engine.docker(
        "run", "-d", *RUN, "--name", "runs", "app:1", "sh", "-c", f"echo {host} > /changed; exec {' '.join(FOREVER)}"
    )
    if host == HOSTS[1]:
        engine.docker("create", *RUN, "--name", "waits", "common:1", "/none")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Fill two engines, scan each to a file of its own, one through a pipe, and import both."""
    folder = tmp_path_factory.mktemp("fleet")
    own, images = {}, {}
    for host in HOSTS:
        with new_engine() as engine:
            fill(engine, host)
            images[host] = {row["ID"] for row in engine.rows("image", "ls", "--no-trunc", "--format", "{{json .}}")}
            own[host] = Index(folder / f"{host}.db")
            if host == HOSTS[0]:
                layerindex("scan", engine.root, "--db", own[host].path, "--host", host, "-q")
            else:
                _piped(engine.root, own[host].path, host)
    fleet = Index(folder / "fleet.db")
    layerindex("import", own[HOSTS[0]].path, "--db", fleet.path)
    packed = folder / "packed.zst"
    layerindex("export", packed, "--db", own[HOSTS[1]].path)
    layerindex("import", packed, "--db", fleet.path)
    return Fleet(own, fleet, images)


def _piped(root: Path, target: Path, host: str) -> None:
    words = [sys.executable, "-m", "layerindex"]
    scan = [*words, "scan", str(root), "--db", "-", "--host", host, "-q"]
    with subprocess.Popen(scan, cwd=CHECKOUT, stdout=subprocess.PIPE) as scanning:
        subprocess.run([*words, "import", "-", "--db", str(target)], cwd=CHECKOUT, stdin=scanning.stdout, check=True)
    assert 0 == scanning.returncode


def ask(index: Index, name: str, host: str) -> list[dict[str, Any]]:
    """Ask about one host; columns with numbers of the database's own are left out."""
    words = [word for pair in ABOUT.get(name, {}).items() for word in ("-p", "=".join(pair))]
    if "host" in catalog.load(name).params:
        words += ["-p", f"host={host}"]
    answer = layerindex("query", name, *words, "--host", host, "--format", "json", "--db", index.path)
    return [{key: value for key, value in row.items() if key not in NUMBERS} for row in json.loads(answer.stdout)]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", [name for name in catalog.names() if name not in OVER_ALL])
def test_a_host_answers_as_before(hosts: Fleet, host: str, name: str) -> None:
    """Every canned query says of a host in the fleet's database what it says in the host's own."""
    expected = ask(hosts.own[host], name, host)

    assert expected == ask(hosts.fleet, name, host)
    if name in {"images", "layers", "containers", "find-file", "image-files", "container-changes", "file-history"}:
        assert expected


@pytest.mark.parametrize("host", HOSTS)
def test_images_are_the_engine_s(hosts: Fleet, host: str) -> None:
    """The images of each host are those that its engine named."""
    assert hosts.images[host] == {row["image_id"] for row in ask(hosts.fleet, "images", host)}


def test_what_both_have_is_there_once(hosts: Fleet) -> None:
    """The layers of the common images have one listing, which both hosts' layers point to."""
    shared = hosts.fleet.rows(
        """SELECT diff_id, count(DISTINCT snapshot_id), count(DISTINCT listing_id) FROM layers
           GROUP BY diff_id HAVING count(DISTINCT snapshot_id) = 2"""
    )
    assert len(shared) >= 2
    assert {(2, 1)} == {row[1:] for row in shared}
    assert [(1,)] == hosts.fleet.rows(
        """SELECT DISTINCT count(*) FROM listings WHERE source = 'tar-split' GROUP BY diff_id"""
    )
