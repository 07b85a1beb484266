"""A fleet of any size in one database: hosts that share base images, whose tags drift, and that have layers apart.

What there is to have - layers, images, tags - is made once, in Python, and goes into temporary tables. What each host
has of it is drawn with a seed; the rows of all hosts then come from the joins of `fleet.sql`, so that a thousand hosts
take minutes. Ids are SHA-256 of what they are about: chain ids are those of their diff_ids, and one seed gives the same
rows each time.

An application has three versions, on one of the base stacks. Hosts share most applications; a tag `app-7:latest` names
version 1 on most hosts, the older 0 on some and the newer 2 on few. A directory, a link and a container id are a host's
own. Every host was scanned on each of `days`; on the last day one of its tags has moved, or on each day that of a few
hosts.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import database
from layerindex.writing import equal_listings as listings
from layerindex.writing import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = 3
COMMON = 0.6
"""The part of a host's images that every host has."""
CONTAINERS = 20
BATCH = 25
"""Hosts whose rows are made at a time: they are in memory until they are parts."""
STEPS = 8
"""Build steps of an image that make no layer."""


class Plan(NamedTuple):
    """How large a fleet is to be."""

    hosts: int
    images: int = 100
    """On each host."""
    layers: int = 600
    """On each host, about."""
    distinct: int = 2000
    """Layers in the whole fleet, about."""
    own: int = 5
    """Layers of each image that no other image has."""
    base: int = 4
    """Layers of each base stack."""
    days: int = 1
    """Snapshots of each host."""
    turns: int = 0
    """On each day one host of so many has a tag moved; 0: on the last day every host has."""
    entries: int = 0
    """Files of each layer."""
    seed: int = 1
    first: int = 1
    """Number of the first host: a host is the same in each fleet of a seed, whatever its size."""


class Layer(NamedTuple):
    """A layer at one place."""

    chain_id: str
    diff_id: str
    parent: str | None
    size: int
    depth: int


class App(NamedTuple):
    """A version of an application: an image."""

    number: int
    version: int
    image_id: str
    config: str
    layers: list[Layer]


def sha256(text: str) -> str:
    """Return the digest of a text as Docker prints it."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make(path: Path | str, plan: Plan) -> None:
    """Write the database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("hex_of", 1, _hex, deterministic=True)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        database.create(connection)
        apps = list(_apps(plan, random.Random(plan.seed)))
        _world(connection, plan, apps)
        statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n")
        for first in range(plan.first, plan.first + plan.hosts, BATCH):
            _hosts(connection, plan, apps, range(first, min(first + BATCH, plan.first + plan.hosts)))
            with parts.gathering(connection):
                for statement in statements:
                    connection.execute(statement, {"steps": STEPS, "containers": CONTAINERS})
        listings.name(connection)  # as in what hosts export
        database.analyze(connection)
        connection.execute("COMMIT")


def names(path: Path | str) -> dict[str, str]:
    """Return a name for each id of a fleet: `image:APP.VERSION`, and of a layer what image has it and where."""
    found: dict[str, str] = {}
    with closing(sqlite3.connect(path)) as connection:
        for image_id, config in connection.execute("SELECT DISTINCT image_id, config FROM images ORDER BY 1"):
            labels = json.loads(config)["config"]["Labels"]
            found[image_id] = f"image:{labels['app']}.{labels['version']}"
        for image_id, position, diff_id, chain_id in connection.execute(
            "SELECT DISTINCT image_id, position, diff_id, chain_id FROM image_layers ORDER BY position, image_id"
        ):
            name = f"{found[image_id].removeprefix('image:')}/{position}"
            found.setdefault(diff_id, f"diff:{name}")
            found.setdefault(chain_id, f"chain:{name}")
    return found


# What there is to have ------------------------------------------------------------------------------------------------


def _apps(plan: Plan, rng: random.Random) -> Iterator[App]:
    """Yield the versions of all applications."""
    stacks = max(1, (plan.layers - plan.images * plan.own) // plan.base)
    bases = [_stack(f"base {number}", plan.base, [], rng) for number in range(stacks)]
    for number in range(max(1, (plan.distinct - stacks * plan.base) // plan.own // VERSIONS)):
        for version in range(VERSIONS):
            layers = _stack(f"app {number} version {version}", plan.own, bases[number % stacks], rng)
            config = _config(number, version, layers)
            yield App(number, version, sha256(config), config, layers)


def _stack(name: str, count: int, below: list[Layer], rng: random.Random) -> list[Layer]:
    layers = list(below)
    for place in range(count):
        diff_id = sha256(f"{name} layer {place}")
        parent = layers[-1].chain_id if layers else None
        chain_id = sha256(f"{parent} {diff_id}") if parent else diff_id
        layers.append(Layer(chain_id, diff_id, parent, int(10 ** rng.uniform(2, 8)), len(layers)))
    return layers


def _config(number: int, version: int, layers: list[Layer]) -> str:
    """Return an image's config of a usual size: some 3 kB."""
    steps = [f"ENV SETTING_{step}=some value that is as long as such values are" for step in range(STEPS)]
    history = [{"created": "2024-01-01T00:00:00Z", "created_by": step, "empty_layer": True} for step in steps]
    history += [
        {"created": "2024-01-01T00:00:00Z", "created_by": f"RUN /bin/sh -c make {layer.depth} of {number} # buildkit"}
        for layer in layers
    ]
    content = {
        "architecture": "amd64",
        "config": {"Env": steps, "Cmd": ["/app"], "Labels": {"app": str(number), "version": str(version)}},
        "created": f"2024-0{version + 1}-01T00:00:00Z",
        "history": history,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    return json.dumps(content, separators=(",", ":"))


WORLD = """
CREATE TEMP TABLE world_layers (chain_id TEXT PRIMARY KEY, diff_id, parent, size, depth, listing_id) WITHOUT ROWID;
CREATE TEMP TABLE world_below (chain_id, position, below, PRIMARY KEY (chain_id, position)) WITHOUT ROWID;
CREATE TEMP TABLE world_images (image_id TEXT PRIMARY KEY, app, version, config, size, layer_count, top) WITHOUT ROWID;
CREATE TEMP TABLE world_places (image_id, position, diff_id, chain_id, PRIMARY KEY (image_id, position)) WITHOUT ROWID;
CREATE TEMP TABLE chosen (snapshot_id, app, image_id, PRIMARY KEY (snapshot_id, app)) WITHOUT ROWID"""

ENTRIES = """
WITH RECURSIVE places (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM places WHERE n + 1 < :entries)
INSERT INTO entries (listing_id, directory_id, name, type, mode, uid, gid, size, mtime, content_crc64)
SELECT listing_id, n % :folders + 1, 'file ' || n, 'file', 420, 0, 0, 100, 1700000000, listing_id * 1000003 + n
FROM listings CROSS JOIN places ORDER BY 1, 2, 3"""


def _world(connection: sqlite3.Connection, plan: Plan, apps: list[App]) -> None:
    """Write what there is to have into temporary tables, and the listing of each layer, which all hosts share."""
    for statement in WORLD.split(";\n"):
        connection.execute(statement)
    placed = [(app, layer) for app in apps for layer in app.layers]
    layers = {layer.chain_id: layer for _, layer in placed}
    diff_ids = sorted({layer.diff_id for layer in layers.values()})
    listings = {diff_id: number for number, diff_id in enumerate(diff_ids, 1)}
    below = {
        (layer.chain_id, place): app.layers[layer.depth - 1 - place].chain_id
        for app, layer in placed
        for place in range(layer.depth)
    }
    images = [
        (
            *(app.image_id, app.number, app.version, app.config),
            *(sum(layer.size for layer in app.layers), len(app.layers), app.layers[-1].chain_id),
        )
        for app in apps
    ]
    size = 100 * plan.entries
    _fill(connection, "world_layers", [(*layer, listings[layer.diff_id]) for layer in layers.values()])
    _fill(connection, "world_below", [(*key, chain_id) for key, chain_id in below.items()])
    _fill(connection, "world_images", images)
    _fill(connection, "world_places", [(app.image_id, y.depth, y.diff_id, y.chain_id) for app, y in placed])
    rest = ("tar-split", None, 1, plan.entries, size, size, None, None, 0)
    _fill(connection, "listings", [(number, diff_id, *rest) for diff_id, number in listings.items()])
    if plan.entries:
        folders = max(1, plan.entries // 10)
        _fill(connection, "directories", [(number, f"/folder/{number}", None) for number in range(1, folders + 1)])
        connection.execute(ENTRIES, {"entries": plan.entries, "folders": folders})


def _fill(connection: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    if rows:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


# What each host has ---------------------------------------------------------------------------------------------------


def _hosts(connection: sqlite3.Connection, plan: Plan, apps: list[App], some: range) -> None:
    """Write some hosts, their snapshots and what each has; the rest follows in SQL."""
    count = max(app.number for app in apps) + 1
    ids = {(app.number, app.version): app.image_id for app in apps}
    wanted = min(plan.images, count)
    common = int(wanted * COMMON)
    hosts, snapshots, chosen = [], [], []
    for host in some:
        rng = random.Random(f"{plan.seed} {host}")
        hosts.append((host, f"host-{host:04}", _hex(f"machine {host}")[:32]))
        numbers = [*range(common), *rng.sample(range(common, count), wanted - common)]
        versions = {number: rng.choices(range(VERSIONS), (10, 85, 5))[0] for number in numbers}
        moved = rng.choice(numbers)
        for day in range(plan.days):
            snapshot = (host - 1) * plan.days + day + 1
            if day and ((host + day) % plan.turns == 0 if plan.turns else day == plan.days - 1):
                versions[moved] = (versions[moved] + 1) % VERSIONS
            time = f"2024-03-{day + 1:02}T0{host % 10}:00:00.000Z"
            uid = _hex(f"snapshot {plan.seed} {snapshot}")[:32]
            root = ("docker-overlay2", "docker", "/var/lib/docker", "overlay2", "overlay2")
            said = (time, time, time, None, "complete", "files", 1, 1, 1, 1, 0, "0")
            snapshots.append((snapshot, uid, host, *root, None, None, *said))
            chosen += [(snapshot, number, ids[number, version]) for number, version in versions.items()]
    _fill(connection, "hosts", hosts)
    _fill(connection, "snapshots", snapshots)
    connection.execute("DELETE FROM temp.chosen")
    _fill(connection, "chosen", chosen)
