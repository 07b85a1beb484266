"""Readers of `containers/<id>/`: the container, what is mounted into it, and its log files.

Format: moby `daemon/container/{container,state}.go`, `daemon/logger/{jsonfilelog,local,loggerutils}`.
"""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.guard import each, reading
from layerindex.names import listed
from layerindex.problems import Damage, vanished
from layerindex.records import Container, ContainerLog, ContainerVolume
from layerindex.stores import ids
from layerindex.stores.files import damage
from layerindex.stores.store import Held
from layerindex.stores.values import Fields

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from layerindex.stores.files import Folder

CONFIG = "config.v2.json"

LOCAL_LOGS = "local-logs"
"""The local driver's folder in a container's."""

ROTATION = re.compile(r"(?:\.([0-9]{1,9}))?(?:\.gz)?")
"""How the names of log files end: the current one has nothing, older ones a number, packed ones .gz too."""


def read_container(containers: Folder, name: str) -> Iterator[Container | ContainerVolume | ContainerLog | Damage]:
    """Yield the container of one folder, what is mounted into it, its log files, and what is wrong with it.

    A config that cannot be read leaves a row in state unknown: the folder proves that the container is there.
    """
    with containers.folder(name) as folder:
        log_driver, log_damage = _log_driver(folder)
        yield from log_damage
        logs = _read_logs(folder, name)
        yield from logs.files
        yield from logs.damages
        try:
            config = list(each(lambda: _read_config(folder, name, log_driver, logs.size), folder.where(CONFIG), name))
        except Damage as found:
            yield found
            yield _unreadable(name, log_driver, logs.size)
            return
        yield from config


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
    return Container(
        name, "", None, None, None, None, "unknown", None, None, None, None, None, None, log_driver, None, log_bytes
    )


def _container(name: str, field: Fields, log_driver: str | None, log_bytes: int | None) -> Container:
    state = field.below("State")
    image_id = field.get("Image", ids.text)
    if image_id is not None and not shapes.DIGEST.fullmatch(image_id):
        field.damages.append(Damage("bad-id", field.where, f"Image: {ids.shorten(image_id)} is no digest", name))
        image_id = None
    return Container(
        name,
        "",
        (field.get("Name", ids.text) or "").removeprefix("/") or None,
        image_id,
        field.below("ImageManifest").get("digest", ids.digest),
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
    where = folder.where("hostconfig.json")
    try:
        with reading(where):
            field = Fields(folder.json("hostconfig.json"), where, "")
            return field.below("LogConfig").get("Type", ids.text), field.damages
    except Damage as found:
        return None, [found]


class Logs(NamedTuple):
    """The log files of a container; `whole` is False when some may be there that could not be seen."""

    files: list[ContainerLog]
    damages: list[Damage]
    whole: bool = True

    @property
    def size(self) -> int | None:
        """The bytes of all; None when they are not known, or, as sparse files can claim, more than SQLite holds."""
        total = sum(file.apparent_bytes for file in self.files)
        return total if self.whole and total < 2**63 else None


class LogKind(NamedTuple):
    """What the name of a log file says: the driver that writes it, and how often it was rotated; None if it is odd."""

    driver: str
    rotation: int | None


def log_driver_of(name: str, container_id: str) -> str | None:
    """Return the driver that writes files of this name into a container's folder or, with a slash, below it."""
    if name.startswith(f"{container_id}-json.log"):
        return "json-file"
    return "local" if name.startswith(f"{LOCAL_LOGS}/container.log") else None


def container_place(path: tuple[str, ...], *, is_folder: bool) -> Held:
    """Return who holds what lies in containers/."""
    if len(path) == 2:
        return Held("container files", listed(path[1]), apart=True) if is_folder else Held("container files")
    container_id, inside = path[1], "/".join(path[2:])
    if not is_folder and log_driver_of(inside, container_id):
        return Held("container logs", listed(container_id))
    return Held("container files", listed(container_id), apart=is_folder and inside == LOCAL_LOGS)


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
    base = f"{container_id}-json.log" if driver == "json-file" else f"{LOCAL_LOGS}/container.log"
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
                # A full log gets another name while we look.
                found = vanished(folder.where(name))
            logs.damages.append(found)
            continue
        if not stat.S_ISREG(status.st_mode):
            logs.damages.append(Damage("not-regular", folder.where(name), "no log file", container_id))
            continue
        # The path is a key, so that it is the name itself: what is made fit to print may be two names' text.
        path = f"{folder.path}/{listed(name)}"
        sizes = (status.st_size, min(512 * status.st_blocks, 2**63 - 1))
        logs.files.append(ContainerLog(container_id, path, *kind, *sizes, _modified(status)))


def _modified(status: os.stat_result) -> str | None:
    """Return when a file was last written; None for what is no year of ours."""
    seconds, rest = divmod(status.st_mtime_ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment.replace(tzinfo=None).isoformat()}.{rest:09}Z"
