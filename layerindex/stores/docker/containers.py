"""Reads `containers/<id>/`: the container, its mounts, and its log files.

Format: moby `daemon/container/{container,state}.go`, `daemon/logger/{jsonfilelog,local,loggerutils}`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from layerindex import shapes
from layerindex.guard import each, reading
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Container, ContainerLog, ContainerVolume
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.logs import LogKind, Logs, take_logs
from layerindex.stores.store import Holder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.disk.files import Folder

CONFIG = "config.v2.json"
HOST_CONFIG = "hostconfig.json"

LOCAL_LOGS = "local-logs"
"""The folder of the local log driver in that of a container."""

CACHED = "container-cached.log"
"""What the engine keeps of a log that goes to a remote one, in the local driver's form (moby `loggerutils/cache`)."""

LOCAL_NAMES = (f"{LOCAL_LOGS}/container.log", CACHED)
"""How the names of files of the local driver begin."""

LOG_FILES = {"json-file": "{}-json.log", "local": f"{LOCAL_LOGS}/container.log"}
"""The current log file of each driver that keeps one in the container's folder."""

ROTATION = re.compile(r"(?:\.([0-9]{1,9}))?(?:\.gz)?")
"""Suffixes of log files: none for the current one, a number for older ones, and .gz for compressed ones."""


def read_container(containers: Folder, name: str) -> Iterator[Container | ContainerVolume | ContainerLog | Damage]:
    """Yield the container of one folder, what is mounted into it, its log files, and what is wrong with it.

    A container whose config cannot be read gets a row in state unknown: its folder proves that it exists.
    """
    with containers.folder(name) as folder:
        host, host_damages = _host_config(folder, name)
        log_driver = host.below("LogConfig").get("Type", ids.text)
        yield from host_damages
        logs = _read_logs(folder, name)
        yield from logs.files
        yield from logs.damages
        try:
            config = list(each(lambda: _read_config(folder, name, log_driver, logs.size), folder.where(CONFIG), name))
        except Damage as found:
            yield found
            yield _unreadable(name, log_driver, logs.size)
            yield from each(lambda: _asked_for(name, host), host.where, name)
        else:
            for item in config:
                if isinstance(item, Container) and (lost := _lost_log(folder, item, logs)) is not None:
                    yield lost
                    yield item._replace(log_bytes=None)
                else:
                    yield item
        yield from host.damages


def _read_config(
    folder: Folder, name: str, log_driver: str | None, log_bytes: int | None
) -> Iterator[Container | ContainerVolume | Damage]:
    field = Fields(folder.json(CONFIG), folder.where(CONFIG), name)
    found_id = field.get("ID", ids.text)
    if found_id != name:
        yield Damage("container-id-mismatch", field.where, f"it says {ids.shorten(f'{found_id}')}", name)
    yield _container(name, field, log_driver, log_bytes)
    yield from _volumes(name, field)
    yield from field.damages


def _unreadable(name: str, log_driver: str | None, log_bytes: int | None) -> Container:
    return Container(container_id=name, namespace="", state="unknown", log_driver=log_driver, log_bytes=log_bytes)


def _container(name: str, field: Fields, log_driver: str | None, log_bytes: int | None) -> Container:
    state = field.below("State")
    image_id = field.get("Image", ids.text)
    if image_id is not None and not shapes.DIGEST.fullmatch(image_id):
        field.damages.append(Damage("bad-id", field.where, f"Image: {ids.shorten(image_id)} is no digest", name))
        image_id = None
    return Container(
        container_id=name,
        namespace="",
        name=(field.get("Name", ids.text) or "").removeprefix("/") or None,
        image_id=image_id,
        target_digest=field.below("ImageManifest").get("digest", ids.digest),
        image_ref=field.below("Config").get("Image", ids.text),
        state=_state(state),
        created_at=field.get("Created", ids.timestamp),
        started_at=state.get("StartedAt", ids.timestamp),
        finished_at=state.get("FinishedAt", ids.timestamp),
        exit_code=state.get("ExitCode", ids.number),
        driver=field.get("Driver", ids.text),
        log_driver=log_driver,
        log_path=field.get("LogPath", ids.text),
        log_bytes=log_bytes,
    )


def _lost_log(folder: Folder, container: Container, logs: Logs) -> Damage | None:
    """Return the finding that the log of a running container was removed: its bytes stay in use."""
    base = LOG_FILES.get(container.log_driver or "")
    if base is None or container.log_path is None or container.state not in ("running", "paused") or not logs.whole:
        return None
    if logs.damages or any(file.rotation == 0 for file in logs.files):
        return None
    where = folder.where(base.format(container.container_id))
    detail = "the log was removed while the container runs; what the engine wrote is freed when it is restarted"
    return Damage("missing-log", where, detail, container.container_id)


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


def _host_config(folder: Folder, name: str) -> tuple[Fields, list[Damage]]:
    """Return the content of hostconfig.json, empty where it does not exist, and why it could not be read."""
    where = folder.where(HOST_CONFIG)
    if HOST_CONFIG not in folder:
        return Fields({}, where, name), []
    try:
        with reading(where, name):
            return Fields(folder.json(HOST_CONFIG), where, name), []
    except Damage as found:
        return Fields({}, where, name), [found]


def _asked_for(name: str, host: Fields) -> Iterator[ContainerVolume]:
    """Yield the mounts that the user asked for: nothing else is known of a container whose config cannot be read.

    `Binds` are of `-v source:destination[:mode]`, `Mounts` of `--mount`; a source that is no path is a volume's name.
    """
    found: dict[str, ContainerVolume] = {}
    for bind in host.get("Binds", ids.sequence) or []:
        source, _, rest = f"{bind}".partition(":")
        destination, _, mode = rest.partition(":")
        if source and destination:
            found[destination] = _mount(name, destination, source, read_only="ro" in mode.split(","))
    for mount in host.get("Mounts", ids.sequence) or []:
        point = Fields({"mount": mount}, host.where, name, host.damages).below("mount")
        asked, target = point.get("Source", ids.text), point.get("Target", ids.text)
        if asked and target and point.values.get("Type") in ("volume", "bind"):
            found[target] = _mount(name, target, asked, read_only=bool(point.values.get("ReadOnly")))
    yield from found.values()


def _mount(name: str, destination: str, source: str, *, read_only: bool) -> ContainerVolume:
    if source.startswith("/"):
        return ContainerVolume(name, destination, "bind", None, source, None, int(not read_only))
    return ContainerVolume(name, destination, "volume", source, None, None, int(not read_only))


def log_driver_of(name: str, container_id: str) -> str | None:
    """Return the driver that writes files of this name into a container's folder or, with a slash, below it."""
    if name.startswith(f"{container_id}-json.log"):
        return "json-file"
    return "local" if name.startswith(LOCAL_NAMES) else None


def container_holder(path: tuple[str, ...], *, is_folder: bool) -> Holder:
    """Return the holder of a path in containers/."""
    if len(path) == 2:
        return Holder("container files", from_os(path[1]), apart=True) if is_folder else Holder("container files")
    container_id, inside = path[1], "/".join(path[2:])
    if not is_folder and log_driver_of(inside, container_id):
        return Holder("container logs", from_os(container_id))
    return Holder("container files", from_os(container_id), apart=is_folder and inside == LOCAL_LOGS)


def _read_logs(folder: Folder, container_id: str) -> Logs:
    """Return the log files of the json-file and local drivers, rotated ones too; none is opened."""
    logs = Logs([], [])
    try:
        with reading(folder.path, container_id):
            take_logs(logs, folder, container_id, lambda name: _kind(name, container_id))
        if LOCAL_LOGS not in folder:
            return logs
        with reading(folder.where(LOCAL_LOGS), container_id), folder.folder(LOCAL_LOGS) as below:
            take_logs(logs, below, container_id, lambda name: _kind(f"{LOCAL_LOGS}/{name}", container_id))
    except Damage as found:
        return logs._replace(damages=[*logs.damages, found], whole=False)
    return logs


def _kind(name: str, container_id: str) -> LogKind | None:
    driver = log_driver_of(name, container_id)
    if driver is None:
        return None
    base = next(each for each in (f"{container_id}-json.log", *LOCAL_NAMES) if name.startswith(each))
    match = ROTATION.fullmatch(name.removeprefix(base))
    return LogKind(driver, None if match is None else int(match[1] or 0))
