"""Docker's files: image configs, names, containers, and what lies in the driver's folder."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.problems import Damage
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import Folder
from layerindex.stores.docker.containers import read_container
from layerindex.stores.docker.imagedb import read_blob, read_references, read_sources
from layerindex.stores.shared.configs import Config, read_config
from layerindex.stores.shared.graphdriver import LOWERS, read_directory, read_link
from tools.fuzz import given, scratch
from tools.fuzz.checks import taken
from tools.fuzz.target import Target, hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.records import Record

ID = "a1" * 32
DIGEST = f"sha256:{ID}"
LINK = "A" * 26
JSON_WORDS = (
    b'{"', b'":', b'",', b"[]", b"{}", b"null", b"true", b"[[", b'"\\ud800"', b'"2023-11-14T22:15:00.123456789+01:00"',
    b'"0001-01-01T00:00:00Z"', b"sha256:", DIGEST.encode(), b"9223372036854775808", b"-1", b"1e999", b"1.5",
)  # fmt: skip


def _config(data: bytes) -> None:
    """Read an image config, and hold its layers to its own diff_ids."""
    with given.files("config", {ID: data}) as folder:
        found = taken(_rows(read_config(folder, ID, DIGEST)), len(data), each=2)
    layers = [each for each in found if type(each).__name__ == "ImageLayer"]
    chains = ids.chain_ids([layer.diff_id for layer in layers])
    hold(chains == [layer.chain_id for layer in layers], "chain ids that are others", layers)


def _rows(items: Iterator[Config | Damage]) -> Iterator[Record | Damage]:
    for item in items:
        if isinstance(item, Config):
            yield item.image
            yield from item.layers
            yield from item.history
        else:
            yield item


def _references(data: bytes) -> None:
    with given.files("references", {"repositories.json": data}) as folder:
        found = taken(read_references(folder), len(data))
    names = [item.ref for item in found if not isinstance(item, Damage)]
    hold(len(names) == len(set(names)), "one reference twice", names)


def _distribution(data: bytes) -> None:
    """Read what `distribution/` remembers of a layer, from one file as both of its kinds."""
    with given.files("distribution", {ID: data}) as folder:
        for read in (read_blob, read_sources):
            for item in taken(read(folder, ID), len(data)):
                hold(isinstance(item, Damage) or shapes.DIGEST.fullmatch(item.digest), "no digest", item)


def _container(data: bytes) -> None:
    """Read config.v2.json and, behind a NUL, hostconfig.json."""
    config, _, host = data.partition(b"\0")
    with given.files("containers", {f"{ID}/config.v2.json": config, f"{ID}/hostconfig.json": host}) as folder:
        found = taken(read_container(folder, ID), len(data))
    rows = [item for item in found if type(item).__name__ == "Container"]
    hold([row.container_id for row in rows] == [ID], "a folder that is not one container", rows)
    hold(rows[0].image_id is None or shapes.DIGEST.fullmatch(rows[0].image_id), "an id that is none", rows)


def _directory(data: bytes) -> None:
    """Read link, lower and lower-layers, with NULs between."""
    contents = (*data.split(b"\0", 2), b"", b"", b"")
    files = (f"{ID}/{name}" for name in ("link", "lower", "lower-layers", "diff/a"))
    with given.files("overlay2", dict(zip(files, contents, strict=False))) as folder:
        found = read_directory(folder, ID)
    hold(found.link is None or shapes.LINK.fullmatch(found.link), "no link", found.link)
    for names, shape in ((found.lowers, shapes.LINK), (found.lower_ids, shapes.CACHE_ID)):
        hold(len(names or []) <= LOWERS, "too many lowers", names)
        hold(all(shape.fullmatch(name) for name in names or []), "a lower that is none", names)
    taken(found.damages, len(data))


def _link(data: bytes) -> None:
    """Read a short name that points anywhere; it is never followed."""
    path = scratch.folder("l")
    with suppress(FileNotFoundError):
        os.unlink(f"{path}/{LINK}")
    try:
        os.symlink(data.replace(b"\0", b"") or b".", f"{path}/{LINK}")
    except OSError:
        return  # longer than a target can be
    with scratch.confined(), Folder(path) as folder:
        link, damages = read_link(folder, LINK)
    hold((link.cache_id is None) is bool(damages), "a target that is neither taken nor told", link)
    hold(link.cache_id is None or shapes.CACHE_ID.fullmatch(link.cache_id), "no directory", link)


CONFIG = (
    b'{"created":"2023-11-14T22:15:00.123456789+01:00","architecture":"arm64","os":"linux","variant":"v8",'
    b'"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]},"history":[{"created":"2023-11-14T22:15:00Z",'
    b'"created_by":"RUN x","comment":"c","author":"a"},{"empty_layer":true},{}]}' % (ID.encode(), b"0f" * 32)
)
REPOSITORIES = b'{"Repositories":{"acme/web":{"acme/web:1":"%s","acme/web@%s":"%s"}}}' % ((DIGEST.encode(),) * 3)
SOURCES = b'[{"Digest":"%s","SourceRepository":"docker.io/library/debian","HMAC":""}]' % DIGEST.encode()
CONTAINER = (
    b'{"ID":"%s","Name":"/web","Image":"%s","State":{"Running":true,"Paused":false,"ExitCode":0,'
    b'"StartedAt":"2023-11-14T22:15:00Z","FinishedAt":"0001-01-01T00:00:00Z"},"Created":"2023-11-14T22:15:00Z",'
    b'"Config":{"Image":"web"},"ImageManifest":{"digest":"%s"},"MountPoints":{"/d":{"Type":"volume","Name":"v",'
    b'"Source":"/s","Driver":"local","RW":true}},"LogPath":"/x","Driver":"overlay2"}\0{"LogConfig":{"Type":"local"}}'
    % (ID.encode(), DIGEST.encode(), DIGEST.encode())
)

TARGETS = (
    Target(
        "image-config",
        "An image config gives rows within its size, or Damage, and right chain ids.",
        lambda: [CONFIG, b'{"rootfs":{"diff_ids":null}}'],
        _config,
        (*JSON_WORDS, b'"history":[', b'"empty_layer":true', b'"diff_ids":[', b'"rootfs":'),
        4096,
    ),
    Target(
        "repositories",
        "repositories.json gives each reference once, or Damage.",
        lambda: [REPOSITORIES],
        _references,
        (*JSON_WORDS, b'"Repositories":', b"@sha256:", b":latest"),
        2048,
    ),
    Target(
        "distribution",
        "What remembers a layer's blobs gives digests, or Damage.",
        lambda: [DIGEST.encode(), SOURCES],
        _distribution,
        (*JSON_WORDS, b'"Digest":', b'"SourceRepository":'),
        1024,
    ),
    Target(
        "container",
        "config.v2.json and hostconfig.json give one container, whatever they hold.",
        lambda: [CONTAINER, b"\0"],
        _container,
        (*JSON_WORDS, b'"MountPoints":{', b'"State":{', b'"Image":', b'"LogConfig":', b"\0"),
        4096,
    ),
    Target(
        "lower",
        "link, lower and lower-layers give ids of their shape, or Damage.",
        lambda: [LINK.encode() + b"\0l/" + b"B" * 26 + b":l/" + b"C" * 26 + b"\0" + ID.encode() + b":x"],
        _directory,
        (b"l/", b":", b"\0", b"A" * 26, b"../"),
        2048,
    ),
    Target(
        "link",
        "A short name is read as text, and gives a directory's name or Damage.",
        lambda: [f"../{ID}/diff".encode(), b"/etc/passwd"],
        _link,
        (b"../", b"/diff", b"\n", b"//"),
        512,
    ),
)
