"""Readers of `containers/<id>/` and `volumes/`.

Format: moby `daemon/container/{container,state}.go`, `daemon/volume/local/local.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerindex.names import listed
from layerindex.problems import Damage
from layerindex.records import Container, ContainerVolume, Volume
from layerindex.stores import ids
from layerindex.stores.files import JSON
from layerindex.stores.values import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.files import Folder

CONFIG = "config.v2.json"


def read_container(containers: Folder, name: str) -> Iterator[Container | ContainerVolume | Damage]:
    """Yield the container of one folder, what is mounted into it, and what is wrong with it.

    A config that cannot be read leaves a row in state unknown: the folder proves that the container is there.
    """
    with containers.folder(name) as folder:
        log_driver, log_damage = _log_driver(folder)
        yield from log_damage
        try:
            config = folder.json(CONFIG)
        except Damage as found:
            yield found
            yield Container(
                name,
                None,
                None,
                None,
                "unknown",
                None,
                None,
                None,
                None,
                None,
                None,
                log_driver,
                None,
                _log_bytes(folder),
            )
            return
        field = Fields(config, folder.where(CONFIG), name)
        found_id = field.get("ID", ids.text)
        if found_id != name:
            yield Damage("container-id-mismatch", field.where, f"it says {ids.shorten(f'{found_id}')}", name)
        yield _container(name, field, log_driver, _log_bytes(folder))
        yield from _volumes(name, field)
        yield from field.damages


def _container(name: str, field: Fields, log_driver: str | None, log_bytes: int | None) -> Container:
    state = field.below("State")
    image_id = field.get("Image", ids.text)
    if image_id is not None and not ids.DIGEST.fullmatch(image_id):
        field.damages.append(Damage("bad-id", field.where, f"Image: {ids.shorten(image_id)} is no digest", name))
        image_id = None
    return Container(
        name,
        (field.get("Name", ids.text) or "").removeprefix("/") or None,
        image_id,
        field.below("Config").get("Image", ids.text),
        _state(state),
        field.get("Created", ids.timestamp),
        state.get("StartedAt", ids.timestamp),
        state.get("FinishedAt", ids.timestamp),
        state.get("ExitCode", ids.number),
        field.get("Driver", ids.text),
        None,
        log_driver,
        field.get("LogPath", ids.text),
        log_bytes,
    )


def _state(state: Fields) -> str:
    """Return the state in moby's order of precedence (State.StateString)."""
    flags = state.values
    if flags.get("Running"):
        return "paused" if flags.get("Paused") else "restarting" if flags.get("Restarting") else "running"
    if flags.get("RemovalInProgress"):
        return "removing"
    if flags.get("Dead"):
        return "dead"
    try:
        return "exited" if ids.timestamp(flags.get("StartedAt")) else "created"
    except ValueError:
        return "unknown"


def _volumes(name: str, field: Fields) -> Iterator[ContainerVolume]:
    points: dict[str, Any] = field.get("MountPoints", ids.mapping) or {}
    for destination in points:
        point = Fields(points, field.where, name, field.damages).below(destination)
        read_write = point.values.get("RW")
        yield ContainerVolume(
            name,
            destination,
            point.get("Type", ids.text),
            point.get("Name", ids.text),
            point.get("Source", ids.text),
            point.get("Driver", ids.text),
            None if read_write is None else int(bool(read_write)),
        )


def _log_driver(folder: Folder) -> tuple[str | None, list[Damage]]:
    """Return the logging driver that hostconfig.json names."""
    if "hostconfig.json" not in folder:
        return None, []
    try:
        field = Fields(folder.json("hostconfig.json"), folder.where("hostconfig.json"), "")
    except Damage as found:
        return None, [found]
    return field.below("LogConfig").get("Type", ids.text), field.damages


def _log_bytes(folder: Folder) -> int | None:
    """Return the bytes of the json-file or local driver's logs, rotations included."""
    name = folder.path.rpartition("/")[2]
    try:
        total = sum(folder.sizes((f"{name}-json.log",)))
        if folder.has_folder("local-logs"):
            with folder.folder("local-logs") as logs:
                total += sum(logs.sizes(("container.log",)))
    except (Damage, OSError):
        return None
    return total if total < 2**63 else None  # sparse files can claim more than SQLite holds


def read_volume(volumes: Folder, name: str) -> Iterator[Volume | Damage]:
    """Yield the volume of one folder and what is wrong with its opts.json."""
    options = None
    with volumes.folder(name) as folder:
        if "opts.json" in folder:
            try:
                content = folder.read("opts.json", JSON)
                folder.parsed("opts.json", content)
                options = content.decode()
            except Damage as found:
                yield found
    yield Volume(listed(name), "local", options, None, 1)
