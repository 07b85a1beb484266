"""A fleet of any size in one database: hosts that share base images, whose tags drift, and that have layers of their own.

What there is to have - layers, images, tags - is made once, in Python, and goes into temporary tables. What each host
has of it is drawn with a seed; the rows of all hosts then come from joins, so that a thousand hosts take minutes. Ids
are SHA-256 of what they are about: chain ids are those of their diff_ids, and two runs with one seed give the same rows.

An application has three versions, on one of the base stacks. Hosts share most applications; a tag `app-7:latest` names
version 1 on most hosts, the older 0 on some and the newer 2 on few. A directory, a link and a container id are a
host's own. Every host was scanned on each of `days`; on the last day one of its tags has moved.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSIONS = 3
COMMON = 0.6
"""The part of a host's images that every host has."""
CONTAINERS = 20
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
        _hosts(connection, plan, apps)
        for statement in FACTS.split(";\n"):
            connection.execute(statement)
        connection.execute("PRAGMA analysis_limit = 1000")
        connection.execute("ANALYZE")
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


# What there is to have -------------------------------------------------------------------------------------------------


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


def _world(connection: sqlite3.Connection, plan: Plan, apps: list[App]) -> None:
    """Write what there is to have into temporary tables, and the listing of each layer, which all hosts share."""
    connection.execute(
        "CREATE TEMP TABLE world_layers (chain_id TEXT PRIMARY KEY, diff_id, parent, size, depth, listing_id) WITHOUT ROWID"
    )
    connection.execute("CREATE TEMP TABLE world_below (chain_id, position, below, PRIMARY KEY (chain_id, position)) WITHOUT ROWID")
    connection.execute(
        "CREATE TEMP TABLE world_images (image_id TEXT PRIMARY KEY, app, version, config, size, layer_count, top) WITHOUT ROWID"
    )
    connection.execute(
        "CREATE TEMP TABLE world_places (image_id, position, diff_id, chain_id, PRIMARY KEY (image_id, position)) WITHOUT ROWID"
    )
    layers = {layer.chain_id: layer for app in apps for layer in app.layers}
    numbers = {diff_id: number for number, diff_id in enumerate(sorted({layer.diff_id for layer in layers.values()}), 1)}
    _fill(connection, "world_layers", ((*layer, numbers[layer.diff_id]) for layer in layers.values()))
    places = [(app.image_id, layer.depth, layer.diff_id, layer.chain_id) for app in apps for layer in app.layers]
    _fill(connection, "world_places", places)
    below = {(layer.chain_id, place): app.layers[layer.depth - 1 - place].chain_id
             for app in apps for layer in app.layers for place in range(layer.depth)}  # fmt: skip
    _fill(connection, "world_below", ((*key, chain_id) for key, chain_id in below.items()))
    _fill(
        connection,
        "world_images",
        (
            (app.image_id, app.number, app.version, app.config, sum(layer.size for layer in app.layers),
             len(app.layers), app.layers[-1].chain_id)  # fmt: skip
            for app in apps
        ),
    )
    _fill(
        connection,
        "listings",
        ((number, diff_id, "tar-split", None, 1, plan.entries, 100 * plan.entries, 100 * plan.entries, None)
         for diff_id, number in numbers.items()),  # fmt: skip
    )
    if plan.entries:
        folders = max(1, plan.entries // 10)
        _fill(connection, "directories", ((number, f"/folder/{number}", None) for number in range(1, folders + 1)))
        connection.execute(
            """WITH RECURSIVE places (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM places WHERE n + 1 < ?)
               INSERT INTO entries (listing_id, directory_id, name, type, mode, uid, gid, size, mtime, content_crc64, opaque)
               SELECT listing_id, n % ? + 1, 'file ' || n, 'file', 420, 0, 0, 100, 1700000000, listing_id * 1000003 + n, NULL
               FROM listings CROSS JOIN places ORDER BY 1, 2, 3""",
            (plan.entries, folders),
        )


def _fill(connection: sqlite3.Connection, table: str, rows: Any) -> None:  # noqa: ANN401 - any rows
    rows = list(rows)
    if rows:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


# What each host has ----------------------------------------------------------------------------------------------------


def _hosts(connection: sqlite3.Connection, plan: Plan, apps: list[App]) -> None:
    """Write hosts, snapshots and what each has; the rest follows in SQL."""
    count = max(app.number for app in apps) + 1
    ids = {(app.number, app.version): app.image_id for app in apps}
    wanted = min(plan.images, count)
    common = int(wanted * COMMON)
    connection.execute("CREATE TEMP TABLE chosen (snapshot_id, app, image_id, PRIMARY KEY (snapshot_id, app)) WITHOUT ROWID")
    hosts, snapshots, chosen = [], [], []
    for host in range(plan.first, plan.first + plan.hosts):
        rng = random.Random(f"{plan.seed} {host}")
        hosts.append((host, f"host-{host:04}", _hex(f"machine {host}")[:32]))
        numbers = [*range(common), *rng.sample(range(common, count), wanted - common)]
        versions = {number: rng.choices(range(VERSIONS), (10, 85, 5))[0] for number in numbers}
        moved = rng.choice(numbers)
        for day in range(plan.days):
            snapshot = (host - 1) * plan.days + day + 1
            if day and day == plan.days - 1:
                versions[moved] = (versions[moved] + 1) % VERSIONS
            time = f"2024-03-{day + 1:02}T0{host % 10}:00:00.000Z"
            uid = _hex(f"snapshot {plan.seed} {snapshot}")[:32]
            root = ("docker-overlay2", "/var/lib/docker", "overlay2")
            snapshots.append((snapshot, uid, host, *root, None, None, time, time, "complete", "files", "0"))
            chosen += [(snapshot, number, ids[number, version]) for number, version in versions.items()]
    _fill(connection, "hosts", hosts)
    _fill(connection, "snapshots", snapshots)
    _fill(connection, "chosen", chosen)


FACTS = f"""
INSERT INTO images
SELECT c.snapshot_id, c.image_id, '2024-0' || (w.version + 1) || '-01T00:00:00Z', 'amd64', 'linux', NULL, NULL, w.size, w.layer_count,
  NULL, NULL, 1, w.config
FROM chosen AS c CROSS JOIN world_images AS w USING (image_id) ORDER BY 1, 2;
INSERT INTO image_refs
SELECT c.snapshot_id, 'registry.example/team/app-' || c.app || ':latest', 'registry.example/team/app-' || c.app, 'latest', NULL, c.image_id,
  '', 'registry.example/team/app-' || c.app || ':latest', NULL
FROM chosen AS c ORDER BY 1, 2;
INSERT INTO image_layers
SELECT c.snapshot_id, c.image_id, p.position, p.diff_id, p.chain_id
FROM chosen AS c CROSS JOIN world_places AS p USING (image_id) ORDER BY 1, 2, 3;
INSERT INTO image_history
SELECT c.snapshot_id, c.image_id, h.key, h.value ->> 'created', h.value ->> 'created_by', NULL, NULL,
  coalesce(h.value ->> 'empty_layer', 0), CASE WHEN h.key >= {STEPS} THEN h.key - {STEPS} END
FROM (SELECT w.image_id, e.key, e.value FROM world_images AS w CROSS JOIN json_each(w.config, '$.history') AS e) AS h
JOIN chosen AS c USING (image_id) ORDER BY 1, 2, 3;
CREATE TEMP TABLE held AS
SELECT DISTINCT s.snapshot_id, s.host_id, y.chain_id, y.diff_id, y.parent, y.size, y.depth, y.listing_id,
  hex_of('cache ' || s.host_id || y.chain_id) AS cache_id
FROM chosen AS c CROSS JOIN snapshots AS s USING (snapshot_id) CROSS JOIN world_places AS p USING (image_id)
CROSS JOIN world_layers AS y USING (chain_id) ORDER BY 1, 3;
CREATE INDEX temp.held_chain ON held (snapshot_id, chain_id, cache_id);
INSERT INTO layers SELECT snapshot_id, chain_id, diff_id, parent, cache_id, size, 1, listing_id FROM held ORDER BY 1, 2;
INSERT INTO overlay_dirs
SELECT snapshot_id, cache_id, 'layer', substr(upper(cache_id), 1, 26), depth, 1, depth > 0, 0, 1, size, NULL, 100, listing_id, NULL
FROM held ORDER BY 1, 2;
INSERT INTO links SELECT snapshot_id, substr(upper(cache_id), 1, 26), '../' || cache_id || '/diff', cache_id FROM held ORDER BY 1, 2;
INSERT INTO overlay_lowers
SELECT h.snapshot_id, h.cache_id, b.position, substr(upper(o.cache_id), 1, 26), o.cache_id
FROM held AS h CROSS JOIN world_below AS b USING (chain_id)
CROSS JOIN held AS o ON o.snapshot_id = h.snapshot_id AND o.chain_id = b.below ORDER BY 1, 2, 3;
INSERT INTO disk_usage SELECT snapshot_id, 'image layer', cache_id, NULL, size, NULL, 1, 'apparent size as layerdb says it' FROM held ORDER BY 1, 3;
CREATE TEMP TABLE running AS
SELECT s.snapshot_id, s.host_id, c.app, c.image_id, w.top, w.layer_count, hex_of('container ' || s.host_id || ' ' || c.app) AS id,
  hex_of('mount ' || s.host_id || ' ' || c.app) AS mount_id
FROM (SELECT *, row_number() OVER (PARTITION BY snapshot_id ORDER BY app) AS place FROM chosen) AS c
JOIN snapshots AS s USING (snapshot_id) JOIN world_images AS w USING (image_id) WHERE c.place <= {CONTAINERS};
INSERT INTO containers
SELECT snapshot_id, id, '', 'app-' || app, image_id, NULL, 'registry.example/team/app-' || app || ':latest', 'running', '2024-02-01T00:00:00Z',
  '2024-02-01T00:00:00Z', NULL, 0, 'overlay2', mount_id, 'json-file', NULL, 1000 * snapshot_id, NULL
FROM running ORDER BY 1, 2;
INSERT INTO mounts SELECT snapshot_id, id, mount_id, mount_id || '-init', top, id FROM running ORDER BY 1, 2;
INSERT INTO overlay_dirs
SELECT snapshot_id, mount_id, 'container', substr(upper(mount_id), 1, 26), layer_count + 1, 1, 1, 1, 0, 5000, NULL, 10, NULL, NULL FROM running
UNION ALL
SELECT snapshot_id, mount_id || '-init', 'init', substr(upper(hex_of(mount_id)), 1, 26), layer_count, 1, 1, 0, 1, 0, NULL, 8, NULL, NULL
FROM running ORDER BY 1, 2;
INSERT INTO overlay_lowers
SELECT r.snapshot_id, r.mount_id || x.suffix, p.layer_count - 1 - l.position + (x.suffix = ''), substr(upper(h.cache_id), 1, 26), h.cache_id
FROM running AS r CROSS JOIN (SELECT '' AS suffix UNION ALL SELECT '-init') AS x CROSS JOIN world_images AS p USING (image_id)
CROSS JOIN world_places AS l USING (image_id) CROSS JOIN held AS h ON h.snapshot_id = r.snapshot_id AND h.chain_id = l.chain_id
UNION ALL
SELECT snapshot_id, mount_id, 0, substr(upper(hex_of(mount_id)), 1, 26), mount_id || '-init' FROM running ORDER BY 1, 2, 3;
INSERT INTO overlay_dir_owners
SELECT snapshot_id, cache_id, 'layer', chain_id FROM held
UNION ALL SELECT snapshot_id, mount_id, 'container', id FROM running
UNION ALL SELECT snapshot_id, mount_id || '-init', 'init', id FROM running
UNION ALL
SELECT c.snapshot_id, h.cache_id, 'image', c.image_id
FROM chosen AS c CROSS JOIN world_places AS p USING (image_id)
CROSS JOIN held AS h ON h.snapshot_id = c.snapshot_id AND h.chain_id = p.chain_id
UNION ALL
SELECT r.snapshot_id, h.cache_id, 'container-base', r.id
FROM running AS r CROSS JOIN world_places AS p USING (image_id)
CROSS JOIN held AS h ON h.snapshot_id = r.snapshot_id AND h.chain_id = p.chain_id
ORDER BY 1, 2, 3, 4;
INSERT INTO problems
SELECT snapshot_id, 1, 'warning', 'stale-mount', 'image/overlay2/layerdb/mounts/' || uid, uid, 'made for the simulation' FROM snapshots"""
"""The rows of all hosts; each statement writes a table in the order of its key."""
