"""Checks, before a database is written, whether another user could replace it or put a file beside it.

SQLite rolls back the journal that it finds beside a file, and deletes the file that the journal names. So nobody except
root and the user may be able to put a journal there: neither into the file's folder, nor by replacing a folder above
it.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from typing import NamedTuple

from layerindex import place
from layerindex.errors import DatabaseError

OVERFLOW = 65534
"""The owner that a user namespace shows for files whose owner has no number in it: root of the host, and strangers."""


class _Trusted(NamedTuple):
    """The users who may own the file, and the groups without other members."""

    users: frozenset[int]
    groups: frozenset[int]


def _trusted() -> _Trusted:
    user = os.geteuid()
    users, groups = {0, user}, {0}
    if user:
        groups.add(os.getegid())
    elif sudo := invoker():
        # The user who ran sudo has root's power already.
        users.add(sudo[0])
        with suppress(KeyError):
            if pwd.getpwuid(sudo[0]).pw_name == grp.getgrgid(sudo[1]).gr_name:
                groups.add(sudo[1])
    return _Trusted(frozenset(users), frozenset(groups))


def invoker() -> tuple[int, int] | None:
    """Return the uid of the user who became root with sudo, and the gid of that user."""
    numbers = [os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if os.geteuid() or not all(len(number) < 11 and number.isascii() and number.isdecimal() for number in numbers):
        return None
    return int(numbers[0]), int(numbers[1])


def give_to_invoker(handle: int, folder: str) -> None:
    """Give a new file to the user who ran sudo if the folder is that user's, so that it can be read without sudo."""
    user = invoker()
    if user and os.stat(folder or ".").st_uid == user[0]:
        with suppress(OSError):
            os.fchown(handle, *user)


def check_place(real: str, path: str) -> None:
    """Raise DatabaseError where another user could replace the file at a resolved path or put one beside it."""
    folder = os.path.dirname(real)
    chain = [folder]
    while chain[-1] != "/":
        chain.append(os.path.dirname(chain[-1]))
    for each in chain:
        try:
            status = os.lstat(each)
        except OSError as error:
            raise DatabaseError(path, f"cannot be made: {each}: {error.strerror}") from error
        who = _other(each, status)
        if who and not _is_of_the_host(each, status, above=each != folder):
            raise DatabaseError(path, _refusal(each, who))


def check_files(real: str, path: str, handle: int) -> None:
    """Raise DatabaseError where another user owns or could change an open database or a file beside it."""
    found = {"": os.fstat(handle), **place.beside(real, path)}
    for end, status in found.items():
        who = _other(real + end, status)
        if who:
            raise DatabaseError(path, _refusal(real + end, who))
        if end and status.st_nlink > 1:
            raise DatabaseError(path, f"was not opened to write: {real}{end} has a second name; remove it")


def _other(name: str, status: os.stat_result) -> str | None:
    """Say who besides us and root could change a file, or the contents of a folder."""
    if status.st_uid not in _trusted().users:
        return f"belongs to {_called(status.st_uid)}"
    is_folder = stat.S_ISDIR(status.st_mode)
    if _writable(name, status) and not (is_folder and status.st_mode & stat.S_ISVTX):
        return "can be written by others"
    return None


def _writable(name: str, status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP:
        return False
    # With an access list the group bits are the most that anybody on the list may do.
    return status.st_gid not in _trusted().groups or _has_list(name)


def _has_list(name: str) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(name, follow_symlinks=False)
    except OSError:
        return False


def _is_of_the_host(name: str, status: os.stat_result, *, above: bool) -> bool:
    """Say whether a folder belongs to the host around our user namespace, which cannot name its owner, as of /tmp."""
    sticky = bool(status.st_mode & stat.S_ISVTX)
    if status.st_uid != OVERFLOW or not (sticky or (above and not _writable(name, status))):
        return False
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return file.read().split() != ["0", "0", "4294967295"]
    except OSError:
        return False


def _called(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _refusal(name: str, who: str) -> str:
    return (
        f"was not opened to write: {name} {who}, who could have any file of yours deleted; "
        "name a place of your own with --db, or use --db - > FILE"
    )
