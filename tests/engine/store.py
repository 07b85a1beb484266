"""The store that the engine tests read: one of everything that a real host's store holds.

Only names stand here. What is true of them, the tests ask the engine.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .archives import EMPTY_LAYER, ImageSource, Member, Step, archive, pack
from .engine import BUSYBOX
from .registry import Registry

if TYPE_CHECKING:
    from .engine import Engine

BASE: Final = "base:1"
APP: Final = ("app:1", "app:stable", "localhost:5000/team/app:1")
MOVED: Final = "moved:latest"
NOTHING: Final = "nothing:1"
DEEP: Final = "deep:60"
DEEP_LAYERS: Final = 60
KIT_SCRATCH: Final = "kit:scratch"
KIT_APP: Final = "kit:app"
TRAVELLED: Final = "travelled:1"
GONE: Final = "gone:1"
VOLUME: Final = "named"
STATES: Final = {
    "runs": "running",
    "failed": "exited",
    "waits": "created",
    "sleeps": "paused",
    "bereft": "created",
    "hollow": "created",
}
EXIT_CODE: Final = 3
CLASSIC: Final = {"DOCKER_BUILDKIT": "0"}
BUILDKIT: Final = {"DOCKER_BUILDKIT": "1"}
# Nothing waits for a shell that ignores SIGTERM when the engine stops.
RUN: Final = ("--network", "none", "--stop-signal", "KILL")
FOREVER: Final = ("sleep", "100000")


@dataclass
class Store:
    """What the engine itself does not tell later: ids that lost their names, digests that a registry gave."""

    dangling: str = ""
    gone: str = ""
    gone_layers: list[str] = field(default_factory=list)
    """The diff_ids of the image that was removed by force, which no command shows any more."""
    pushed: str = ""
    blobs: dict[str, str] = field(default_factory=dict)
    """diff_id -> digest of the compressed layer, as the pushed manifest says."""


def build_store(engine: Engine) -> Store:
    """Fill an engine's store; three lanes run beside each other because each mostly waits for the disk."""
    store = Store()
    import_base(engine)
    with ThreadPoolExecutor() as pool:
        lanes = [pool.submit(_load_deep, engine), pool.submit(_use_buildkit, engine)]
        _build_images(engine, store)
        lanes.append(pool.submit(_push, engine, store))
        _make_containers(engine, store)
        for lane in lanes:
            lane.result()
    return store


def import_base(engine: Engine) -> None:
    """Make the image on which others are built, which has a shell."""
    engine.docker("import", "--change", 'CMD ["sh"]', "-", BASE, input=_base())


def build(engine: Engine, tag: str, dockerfile: str, files: dict[str, bytes], env: dict[str, str]) -> None:
    """Build an image from a context that goes in as a tar, with no network."""
    context = pack([Member("Dockerfile", dockerfile.encode()), *(Member(*item) for item in files.items())])
    engine.docker("build", "--network", "none", "-t", tag, "-", input=context, env=env)


def deep_image() -> ImageSource:
    """Return an image of 60 layers, one of them empty and one of them twice."""
    layers = [pack([Member(f"deep/{number}", f"{number}\n".encode())]) for number in range(DEEP_LAYERS)]
    layers[30] = EMPTY_LAYER
    layers[-1] = layers[0]
    steps = [Step(f"ADD file:{number} in /deep", layer) for number, layer in enumerate(layers)]
    return ImageSource([DEEP], [Step("ENV deep=yes"), *steps, Step('CMD ["sh"]', comment="not\ta layer")])


def _base() -> bytes:
    commands = [Member(f"bin/{name}", symlink="busybox") for name in ("sh", "sleep", "rm", "mkdir")]
    return pack(
        [
            Member("bin/"),
            Member("bin/busybox", BUSYBOX.read_bytes(), mode=0o755),
            *commands,
            Member("etc/"),
            Member("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        ]
    )


def _build_images(engine: Engine, store: Store) -> None:
    app = f"FROM {BASE}\nENV mode=test\nCOPY app /srv/app\nRUN echo built > /srv/log && rm /etc/passwd\nVOLUME /cache\n"
    build(engine, APP[0], app, {"app": b"the app\n"}, CLASSIC)
    for tag in APP[1:]:
        engine.docker("tag", APP[0], tag)
    for content in (b"first\n", b"second, longer\n"):
        build(engine, MOVED, f"FROM {BASE}\nCOPY app /srv/moved\n", {"app": content}, CLASSIC)
        store.dangling = store.dangling or _image_id(engine, MOVED)
    build(engine, NOTHING, "FROM scratch\nLABEL only=metadata\nENV layers=none\n", {}, CLASSIC)
    build(engine, GONE, f"FROM {BASE}\nCOPY app /srv/gone\n", {"app": b"going\n"}, CLASSIC)
    build(engine, TRAVELLED, f"FROM {APP[0]}\nCOPY app /srv/travelled\n", {"app": b"around\n"}, CLASSIC)
    saved = engine.folder / "saved.tar"
    engine.docker("save", "-o", saved, TRAVELLED)
    engine.docker("rmi", TRAVELLED)
    engine.docker("load", "-i", saved)


def _load_deep(engine: Engine) -> None:
    engine.docker("load", input=archive([deep_image()]))


def _use_buildkit(engine: Engine) -> None:
    scratch = "FROM scratch\nCOPY app /app\nCOPY conf /conf\n"
    build(engine, KIT_SCRATCH, scratch, {"app": b"kit\n", "conf": b""}, BUILDKIT)
    app = f"FROM {BASE}\nCOPY app /srv/kit\nRUN mkdir /srv/made && rm /etc/passwd\n"
    build(engine, KIT_APP, app, {"app": b"with a base\n"}, BUILDKIT)


def _push(engine: Engine, store: Store) -> None:
    """Push an image, remove it and pull it again, which leaves digests in its references and in `distribution/`."""
    with Registry() as registry:
        name = f"{registry.address}/team/moved"
        store.pushed = f"{name}:1"
        engine.docker("tag", MOVED, store.pushed)
        engine.docker("push", "-q", store.pushed)
        engine.docker("rmi", store.pushed)
        engine.docker("pull", "-q", store.pushed)
        body, _ = registry.manifest("team/moved", "1")
    digests = [layer["digest"] for layer in json.loads(body)["layers"]]
    [image] = engine.inspect(store.pushed)
    store.blobs = dict(zip(image["RootFS"]["Layers"], digests, strict=True))


def _make_containers(engine: Engine, store: Store) -> None:
    bound = engine.folder / "bound"
    bound.mkdir()
    mounts = ("-v", f"{VOLUME}:/named", "-v", "/anonymous", "-v", f"{bound}:/bound:ro", "--tmpfs", "/memory")
    talk = ("sh", "-c", "echo said; exec sleep 100000")
    engine.docker("run", "-d", *RUN, "--name", "runs", *mounts, APP[1], *talk)
    engine.docker("run", "-d", *RUN, "--name", "sleeps", BASE, *FOREVER)
    engine.docker("pause", "sleeps")
    engine.docker("create", *RUN, "--name", "failed", MOVED, "sh", "-c", f"exit {EXIT_CODE}")
    engine.docker("start", "failed")
    engine.docker("wait", "failed")
    engine.docker("create", *RUN, "--name", "waits", APP[2], "sh")
    engine.docker("create", *RUN, "--name", "hollow", NOTHING, "/none")
    engine.docker("create", *RUN, "--name", "bereft", GONE, "sh")
    [gone] = engine.inspect(GONE)
    store.gone, store.gone_layers = gone["Id"], gone["RootFS"]["Layers"]
    engine.docker("rmi", "-f", GONE)


def _image_id(engine: Engine, name: str) -> str:
    return engine.docker("image", "inspect", "-f", "{{.Id}}", name).strip()
