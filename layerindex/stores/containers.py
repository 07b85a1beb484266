"""Reads `containers/<id>/`: the container, its mounts, and its log files.

Format: moby `daemon/container/{container,state}.go`, `daemon/logger/{jsonfilelog,local,loggerutils}`.
"""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.guard import each, reading
from layerindex.names import from_os, printable
from layerindex.problems import Damage, vanished
from layerindex.records import Container, ContainerLog, ContainerVolume
from layerindex.stores import ids
from layerindex.stores.files import damage
from layerindex.stores.store import Holder
from layerindex.stores.values import Fields

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from layerindex.stores.files import Folder

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


class Logs(NamedTuple):
    """The log files of a container; `whole` is False when there may be some that could not be seen."""

    files: list[ContainerLog]
    damages: list[Damage]
    whole: bool = True

    @property
    def size(self) -> int | None:
        """The bytes of all; None when they are unknown or more than SQLite can hold, as sparse files can claim."""
        total = sum(file.apparent_bytes for file in self.files)
        whole = self.whole and all(found.problem.code != "missing-log" for found in self.damages)
        return total if whole and total < 2**63 else None


class LogKind(NamedTuple):
    """What the name of a log file says: its driver, and how often it was rotated; None for other names."""

    driver: str
    rotation: int | None


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


def take_logs(logs: Logs, folder: Folder, container_id: str, kind_of: Callable[[str], LogKind | None]) -> None:
    """Add the log files in a folder, by what `kind_of` says of their names; none is opened."""
    for name, entry in sorted(folder.entries.items()):
        kind = kind_of(name)
        if kind is None:
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            found = damage(error, folder.where(name))
            if found.problem.code == "missing":
                # A log may be rotated, and so renamed, while we look.
                found = vanished(folder.where(name))
            logs.damages.append(found)
            continue
        if stat.S_ISLNK(status.st_mode):
            logs.damages.append(_linked_log(folder, name, container_id))
            continue
        if not stat.S_ISREG(status.st_mode):
            logs.damages.append(Damage("not-regular", folder.where(name), "no log file", container_id))
            continue
        # The path is a key, so it is the exact name: two names may have the same printable text.
        path = f"{folder.path}/{from_os(name)}"
        sizes = (status.st_size, min(512 * status.st_blocks, 2**63 - 1))
        logs.files.append(ContainerLog(container_id, path, *kind, *sizes, _modified(status)))


def _linked_log(folder: Folder, name: str, container_id: str) -> Damage:
    """Return the finding that a log was moved elsewhere: a restart frees the file that the engine holds open."""
    try:
        target = printable(from_os(folder.target(name)))
    except Damage as found:
        return found
    detail = f"a symlink leads to {target}; it is not followed, and its bytes are not counted"
    return Damage("missing-log", folder.where(name), detail, container_id)


def _modified(status: os.stat_result) -> str | None:
    """Return when a file was last written; None for what is no year of ours."""
    seconds, rest = divmod(status.st_mtime_ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment.replace(tzinfo=None).isoformat()}.{rest:09}Z"
