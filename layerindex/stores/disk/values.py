"""Reads values of small files and JSON objects, checking each one: a bad value is None and adds a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from layerindex.problems import Damage, Damages
from layerindex.stores.disk import ids

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from layerindex.stores.disk.files import Folder

T = TypeVar("T")


def word(folder: Folder, name: str, shape: re.Pattern[str], damages: list[Damage]) -> str | None:
    """Return the id in a small file, or None after adding the finding."""
    try:
        return ids.shaped(shape, folder.text(name))
    except Damage as found:
        damages.append(found)
    except ValueError as error:
        damages.append(Damage("bad-id", folder.where(name), f"{error}"))
    return None


class Fields:
    """The values of a JSON object; `damages` collects what is wrong with them."""

    def __init__(self, values: dict[str, Any], where: str, subject: str, damages: list[Damage] | None = None) -> None:
        self.values, self.where, self.subject = values, where, subject
        self.damages: list[Damage] = Damages() if damages is None else damages

    def get(self, key: str, check: Callable[[Any], T | None]) -> T | None:
        """Return the value of `key` as `check` returns it, None when it raises ValueError."""
        try:
            return check(self.values.get(key))
        except ValueError as error:
            self.damages.append(Damage("bad-value", self.where, f"{ids.shorten(key)}: {error}", self.subject))
            return None

    def below(self, key: str) -> Fields:
        """Return the values of an object within this one."""
        return Fields(self.get(key, ids.mapping) or {}, self.where, self.subject, self.damages)
