"""The queries over many hosts and many days: a simulated fleet against plain Python, and small cases by hand."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import catalog, database, query
from tests import fleet
from tests.dataroot import DataRoot
from tests.rewrite import changing
from tests.test_file_queries import ask, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Row = tuple[Any, ...]

PLAN = fleet.Plan(hosts=12, images=20, layers=120, distinct=400, days=3)
TAG = "registry.example/team/app-{}:latest"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a fleet of twelve hosts on three days."""
    file = tmp_path_factory.mktemp("fleet") / "fleet.db"
    fleet.make(file, PLAN)
    return str(file)


@pytest.fixture
def connection(path: str) -> Iterator[sqlite3.Connection]:
    """Give it as a query sees it."""
    with database.reading(path) as opened:
        yield opened


class Host:
    """What one host has on its last day, as the tables say."""

    def __init__(self, connection: sqlite3.Connection, snapshot: int) -> None:
        self.sizes: dict[str, int] = dict(
            connection.execute("SELECT diff_id, size FROM layers WHERE snapshot_id = ?", (snapshot,)).fetchall()
        )
        self.tags = dict(connection.execute("SELECT ref, image_id FROM image_refs WHERE snapshot_id = ?", (snapshot,)))
        stacks = defaultdict(list)
        sql = "SELECT image_id, diff_id FROM image_layers WHERE snapshot_id = ? ORDER BY image_id, position"
        for image_id, diff_id in connection.execute(sql, (snapshot,)):
            stacks[image_id].append(diff_id)
        self.stacks = {image_id: tuple(stack) for image_id, stack in stacks.items()}


@pytest.fixture
def hosts(connection: sqlite3.Connection) -> dict[str, Host]:
    """Give what each host has on its last day."""
    newest = connection.execute("SELECT host, max(snapshot_id) FROM snapshot_hosts GROUP BY host ORDER BY host")
    return {host: Host(connection, snapshot) for host, snapshot in newest.fetchall()}


# The simulator -------------------------------------------------------------------------------------------------------


def test_simulated_fleet(path: str, tmp_path: Path, hosts: dict[str, Host]) -> None:
    """A fleet has the size that was planned, one seed gives one fleet, and its parts fit together."""
    again = tmp_path / "again.db"
    fleet.make(again, PLAN)
    part = tmp_path / "part.db"
    fleet.make(part, PLAN._replace(hosts=1, first=5))
    with (
        closing(sqlite3.connect(path)) as one,
        closing(sqlite3.connect(again)) as two,
        closing(sqlite3.connect(part)) as five,
    ):
        assert list(one.iterdump()) == list(two.iterdump())
        assert [] == one.execute("PRAGMA foreign_key_check").fetchall()
        assert (
            []
            == one.execute(
                """SELECT * FROM image_layers AS l LEFT JOIN layers AS y USING (snapshot_id, chain_id)
               WHERE y.diff_id IS NOT l.diff_id"""
            ).fetchall()
        )
        sql = "SELECT chain_id, cache_id FROM layers WHERE snapshot_id = ? ORDER BY 1"
        assert one.execute(sql, (13,)).fetchall() == five.execute(sql, (13,)).fetchall()
        (distinct,) = one.execute("SELECT count(DISTINCT diff_id) FROM layers").fetchone()

    assert PLAN.hosts == len(hosts)
    assert all(PLAN.images == len(host.stacks) for host in hosts.values())
    assert all(PLAN.layers * 0.9 <= len(host.sizes) <= PLAN.layers for host in hosts.values())
    assert PLAN.layers < distinct <= PLAN.distinct


# Against plain Python ------------------------------------------------------------------------------------------------


def test_joins_of_current_views_stay_inside_a_snapshot(connection: sqlite3.Connection) -> None:
    """What is joined by snapshot and id is there once for each host, whatever hosts have the same image."""
    sql = "SELECT count(*) FROM current_images AS i JOIN current_image_layers AS l USING (snapshot_id, image_id)"
    layers = connection.execute("SELECT count(*) FROM current_image_layers").fetchone()

    assert layers == connection.execute(sql).fetchone()
    assert layers < connection.execute(sql.replace("snapshot_id, ", "")).fetchone()


def test_layer_hosts(connection: sqlite3.Connection, hosts: dict[str, Host]) -> None:
    """The hosts that carry a layer, and how many of their images have it."""
    counts = Counter(diff_id for host in hosts.values() for diff_id in host.sizes)
    for layer in (*counts.most_common(1)[0][:1], min(counts, key=lambda diff_id: (counts[diff_id], diff_id))):
        expected = [
            (name, host.sizes[layer], sum(layer in stack for stack in host.stacks.values()))
            for name, host in hosts.items()
            if layer in host.sizes
        ]
        assert expected == ask(connection, "layer-hosts", "host size images", layer=layer)


def test_layer_hosts_by_any_id(connection: sqlite3.Connection) -> None:
    """A chain or a directory leads to the content, which other hosts have under other names."""
    chain, diff, cache = connection.execute(
        """SELECT chain_id, diff_id, cache_id FROM layers WHERE snapshot_id = 3 AND chain_id <> diff_id
           ORDER BY chain_id LIMIT 1"""
    ).fetchone()
    expected = ask(connection, "layer-hosts", "host", layer=diff)

    assert len(expected) > 1
    assert (
        expected
        == ask(connection, "layer-hosts", "host", layer=chain)
        == ask(connection, "layer-hosts", "host", layer=cache)
    )


def test_image_hosts(connection: sqlite3.Connection, hosts: dict[str, Host]) -> None:
    """A tag is looked up on each host; an id is the same everywhere, in full or in short."""
    expected = [(name, host.tags[TAG.format(0)]) for name, host in hosts.items() if TAG.format(0) in host.tags]
    image = expected[0][1]
    owners = [(name,) for name, host in hosts.items() if image in host.stacks]

    assert expected == ask(connection, "image-hosts", "host image_id", image=TAG.format(0))
    assert expected == ask(connection, "image-hosts", "host image_id", image=TAG.format(0).removesuffix(":latest"))
    assert (
        owners
        == ask(connection, "image-hosts", "host", image=image)
        == ask(connection, "image-hosts", "host", image=image[7:19])
    )
    assert PLAN.hosts * PLAN.images == len(ask(connection, "image-hosts", "host"))


def test_tag_drift(connection: sqlite3.Connection, hosts: dict[str, Host]) -> None:
    """Each tag that names images of different layers, with how many hosts have which."""
    found: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for host in hosts.values():
        for ref, image_id in host.tags.items():
            found[ref][host.stacks[image_id]] += 1
    expected = sorted(
        (ref, -hosts, len(variants), sum(variants.values()))
        for ref, variants in found.items()
        if len(variants) > 1
        for hosts in variants.values()
    )

    assert expected
    assert expected == [
        (tag, -count, variants, all_)
        for tag, count, variants, all_ in ask(connection, "tag-drift", "tag hosts variants of_hosts")
    ]


def test_fleet_sharing(connection: sqlite3.Connection, hosts: dict[str, Host]) -> None:
    """The first row is the fleet, then each host."""
    counts = Counter(diff_id for host in hosts.values() for diff_id in host.sizes)
    sizes = {diff_id: size for host in hosts.values() for diff_id, size in host.sizes.items()}
    columns = "host stored_layers distinct_layers stored_bytes distinct_bytes unique_bytes"
    stored = sum(sum(host.sizes.values()) for host in hosts.values())
    alone = {diff_id for diff_id, count in counts.items() if count == 1}
    whole = (
        None,
        sum(counts.values()),
        len(counts),
        stored,
        sum(sizes.values()),
        sum(sizes[diff_id] for diff_id in alone),
    )
    rest = [
        (
            name,
            *([len(host.sizes)] * 2),
            *([sum(host.sizes.values())] * 2),
            sum(sizes[diff_id] for diff_id in alone & host.sizes.keys()),
        )
        for name, host in hosts.items()
    ]

    assert [whole, *rest] == ask(connection, "fleet-sharing", columns)


def test_host_similarity(connection: sqlite3.Connection, hosts: dict[str, Host]) -> None:
    """What each pair has in common, and what it has not."""
    expected = set()
    for name, host in hosts.items():
        for other_name, other in hosts.items():
            common = host.sizes.keys() & other.sizes.keys()
            if name != other_name and common:
                shared = sum(host.sizes[diff_id] for diff_id in common)
                mine, theirs = sum(host.sizes.values()) - shared, sum(other.sizes.values()) - shared
                similarity = round(100 * shared / (shared + mine + theirs), 1)
                expected.add((name, other_name, len(common), shared, mine, theirs, similarity))
    columns = "host other shared_layers shared_bytes own_bytes other_bytes similarity"
    rows = ask(connection, "host-similarity", columns)

    assert expected == set(rows)
    assert len(expected) == len(rows)


def test_a_size_that_is_not_known(path: str, tmp_path: Path) -> None:
    """Sums of which a part is not known are not known; where another host knows a layer's size, that counts."""
    database_file = shutil.copy(path, tmp_path / "copy.db")
    with changing(database_file) as made:
        (host, snapshot) = made.execute("SELECT host, max(snapshot_id) FROM snapshot_hosts GROUP BY host").fetchone()
        sql = "SELECT diff_id FROM layers GROUP BY diff_id HAVING count(DISTINCT snapshot_id) > 30"
        (common,) = made.execute(sql).fetchone()
        sql = "UPDATE layers SET size = NULL WHERE snapshot_id = ? AND diff_id = ?"
        made.execute(sql, (snapshot, common))
    with database.reading(str(database_file)) as opened:
        rows = {
            row[0]: row[1:] for row in ask(opened, "fleet-sharing", "host stored_bytes distinct_bytes unique_bytes")
        }
        assert (rows[None][0], rows[None][1] is None) == (None, False)
        assert rows[host][:2] == (None, None)
        assert all(None not in sums for name, sums in rows.items() if name not in (None, host))
        columns = "shared_bytes own_bytes other_bytes similarity"
        for shared, own, other, similarity in ask(opened, "host-similarity", columns, host=host):
            assert (shared is None, own, other is None, similarity) == (False, None, False, None)


@pytest.mark.parametrize("threshold", [50, 75, 80, 100])
def test_outliers(connection: sqlite3.Connection, hosts: dict[str, Host], threshold: int) -> None:
    """Hosts that lack a tag or have another image under it than most."""
    most = max(2, -(-len(hosts) * threshold // 100))
    expected = set()
    for ref in {ref for host in hosts.values() for ref in host.tags}:
        having = {name: host.stacks[host.tags[ref]] for name, host in hosts.items() if ref in host.tags}
        if len(having) < most:
            continue
        expected |= {("missing", ref, len(having), name) for name in hosts.keys() - having.keys()}
        for stack, count in Counter(having.values()).items():
            if count >= most:
                expected |= {("other image", ref, count, name) for name in having if having[name] != stack}
    rows = ask(connection, "outliers", "kind tag have_it host", threshold=threshold)

    assert expected == set(rows)
    assert len(expected) == len(rows)
    if threshold == 80:
        assert rows == ask(connection, "outliers", "kind tag have_it host")
    if threshold == 50:
        assert {"missing", "other image"} == {row[0] for row in rows}


def test_growth(connection: sqlite3.Connection) -> None:
    """All snapshots, whatever is selected, each with what it has more than the one before."""
    rows = ask(connection, "growth", "snapshot_id images layer_bytes grown_bytes", host="host-0002")

    assert [4, 5, 6] == [row[0] for row in rows]
    assert [None, 0] == [row[3] for row in rows][:2]
    assert rows[2][2] - rows[1][2] == rows[2][3]


# By hand -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give three days of one host: a tag moves on the second, and its old image goes on the third."""
    folder = tmp_path_factory.mktemp("days")
    path = str(folder / "days.db")
    root = DataRoot(folder / "docker")
    base = root.layer({"base": b"base"})
    old = root.image(root.layer({"old": b"old"}, parent=base), ["app:latest"])
    scanned(path, root.path)
    root.image(root.layer({"new": b"newer"}, parent=base), ["app:latest"])
    scanned(path, root.path)
    root.remove_image(old)
    scanned(path, root.path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE snapshots SET started_at = 'day ' || snapshot_id, ordered_at = snapshot_id")
    return path


def test_first_and_last_seen(days: str) -> None:
    """When a tag began to name an image and ended to; an image is there also when that tag is another's."""
    with database.reading(days) as connection:
        first = ask(connection, "first-seen", "kind seen_at absent_at snapshots", image="app")
        last = ask(connection, "last-seen", "kind seen_at gone_at snapshots", image="app:latest")
        layers = ask(connection, "last-seen", "kind seen_at gone_at")

    assert [
        ("image", "day 1", None, 2),
        ("image", "day 2", "day 1", 2),
        ("tag", "day 1", None, 1),
        ("tag", "day 2", "day 1", 2),
    ] == first
    assert [
        ("image", "day 2", "day 3", 2),
        ("image", "day 3", None, 2),
        ("tag", "day 1", "day 2", 1),
        ("tag", "day 3", None, 2),
    ] == last
    assert 3 == sum(kind == "layer" for kind, *_ in layers)
    assert 2 == sum(kind == "image" for kind, *_ in layers)


def test_seen_by_the_beginning_of_an_id(days: str) -> None:
    """What is gone can be named by the beginning of its id, though no selected snapshot has it."""
    with database.reading(days) as connection:
        image, layer = connection.execute(
            """SELECT image_id, diff_id FROM image_layers WHERE snapshot_id = 1 AND position = 1"""
        ).fetchone()
        for short in (image, image[:20], image[7:19]):
            assert [("image", "day 2", "day 3"), ("tag", "day 1", "day 2")] == ask(
                connection, "last-seen", "kind seen_at gone_at", image=short
            )
        for short in (layer, layer[:20], layer[7:19]):
            assert [("layer", "day 1")] == ask(connection, "first-seen", "kind seen_at", layer=short)


def test_seen_under_every_spelling(tmp_path: Path) -> None:
    """A tag that one snapshot has in short and another in full is one tag."""
    path = str(tmp_path / "spelt.db")
    root = DataRoot(tmp_path / "root")
    root.image(root.layer({"a": b"a"}), ["debian:12"])
    for _ in range(2):
        scanned(path, root.path, "one")
    with changing(path) as connection:
        connection.execute("UPDATE image_refs SET ref = normalized WHERE snapshot_id = 2")

    with database.reading(path) as connection:
        for name, shown in (("first-seen", "debian:12"), ("last-seen", "docker.io/library/debian:12")):
            for image in (None, "debian:12", "docker.io/library/debian:12"):
                rows = ask(connection, name, "kind name snapshots", **({"image": image} if image else {}))
                assert ("tag", shown, 2) in rows
                assert len([row for row in rows if row[0] == "tag"]) == 1


def test_same_content_is_no_drift(tmp_path: Path) -> None:
    """Hosts that built the same layers at other times have one variant."""
    path = str(tmp_path / "two.db")
    for day, host in enumerate(("one", "two", "three"), 1):
        root = DataRoot(tmp_path / host, seed=day)
        root.image(root.layer({"a": b"a"}), ["same:1"], created=f"2024-01-0{day}T00:00:00Z")
        root.image(root.layer({"a": b"a" if day < 3 else b"b"}), ["other:1"], created=f"2024-01-0{day}T00:00:00Z")
        root.image((), ["empty:1"], created=f"2024-01-0{min(day, 2)}T00:00:00Z")
        scanned(path, root.path, host)

    with database.reading(path) as connection:
        assert [("empty:1", 1, 2, 3), ("empty:1", 1, 1, 3), ("other:1", 2, 2, 3), ("other:1", 1, 1, 3)] == ask(
            connection, "tag-drift", "tag images hosts of_hosts"
        )
        assert [("other image", "other:1", 2, "three")] == [
            row for row in ask(connection, "outliers", "kind tag have_it host", threshold=60) if row[1] == "other:1"
        ]
        assert [] == ask(connection, "tag-drift", "tag", tag="same:1")


# Plans ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "tables"),
    [
        (
            "layer-hosts",
            {"layer": "sha256:" + "0" * 64},
            {"layers", "image_layers", "image_refs", "images", "y", "l", "i", "r"},
        ),
        ("image-hosts", {"image": "app:1"}, {"images", "image_layers", "image_refs", "containers", "i", "l", "r", "c"}),
        ("first-seen", {"layer": "sha256:" + "0" * 64}, {"image_layers"}),
    ],
)
def test_no_table_is_read_whole(
    connection: sqlite3.Connection, name: str, params: dict[str, str], tables: set[str]
) -> None:
    """A question about one thing looks it up on each host; it does not read what they have else."""
    canned = catalog.load(name)
    values = dict.fromkeys(canned.params) | params
    plan = [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {canned.sql}", values)]
    scans = [line for line in plan if line.startswith("SCAN ") and line.split()[1] in tables]

    assert [] == scans, plan
    assert query.run(connection, canned.sql, values).columns


def test_outliers_of_a_host_with_two_roots(tmp_path: Path) -> None:
    """Every root of a host counts: an odd image in one of them is found, and the host is still one host."""
    db = str(tmp_path / "fleet.db")
    for host in range(4):
        usual = DataRoot(tmp_path / f"usual-{host}")
        usual.image(usual.layer({"a": b"usual"}), ["app:1"])
        scanned(db, usual.path, f"host-{host}")
    odd = DataRoot(tmp_path / "odd")
    image = odd.image(odd.layer({"a": b"odd"}), ["app:1"])
    scanned(db, odd.path, "host-3")
    with database.reading(db) as connection:
        found = ask(connection, "outliers", "kind tag have_it hosts host image_id")

    assert [("other image", "app:1", 4, 4, "host-3", image.image_id)] == found
