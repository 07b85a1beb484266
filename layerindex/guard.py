"""Guards readers of strangers' files: whatever a reader raises becomes a finding and ends only its source.

This is the only place that catches every exception. It wraps reading, never the writing of what was read: errors of our
own output (`LayerindexError`, or anything raised outside of the reader) and those that end the program are passed on.
"""

from __future__ import annotations

from functools import partial, wraps
from inspect import isgeneratorfunction
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from layerindex.errors import LayerindexError
from layerindex.names import printable
from layerindex.problems import Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from layerindex.stores.disk.files import Folder

T = TypeVar("T")
P = ParamSpec("P")

FAILED = "reader-failed"
"""The code of these findings."""

SHOWN = 200
"""Most characters of an exception's message that are shown."""


def failure(error: Exception, where: str, subject: str | None = None) -> Damage:
    """Return the finding that a reader raised an exception; its text is bounded and printable."""
    said = f"{error}"[:SHOWN]
    return Damage(
        FAILED, where, printable(f"{type(error).__name__}: {said}" if said else type(error).__name__), subject
    )


class reading:  # noqa: N801 - it reads as the function that it could be
    """Context that turns whatever the reading of a source raises into Damage; `where` is the source, printable.

    `where` may also be a function, called only when something was raised, as most reading raises nothing.
    """

    def __init__(self, where: str | Callable[[], str], subject: str | None = None) -> None:
        self.where, self.subject = where, subject

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; raises Damage."""
        if not isinstance(error, Exception) or isinstance(error, Damage | LayerindexError):
            return
        where = self.where if isinstance(self.where, str) else self.where()
        found = failure(error, where, self.subject)
        # With its traceback, a finding that is kept would keep the files of its reader open.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        del error, traceback
        raise found


def each(read: Callable[[], Iterable[T]], where: str | Callable[[], str], subject: str | None = None) -> Iterator[T]:
    """Yield what a reader yields; raises Damage in place of whatever it raises.

    Exceptions of the consumer do not arrive here: the generator is only closed.
    """
    with reading(where, subject):
        yield from read()


def reader(read: Callable[Concatenate[Folder, str, P], T]) -> Callable[Concatenate[Folder, str, P], T]:
    """Decorate a reader of the file or folder with a given name in a folder: the result raises nothing but Damage."""
    if isgeneratorfunction(read):

        @wraps(read)
        def items(folder: Folder, name: str, *others: P.args, **named: P.kwargs) -> Iterator[object]:
            with reading(partial(folder.where, name)):
                yield from cast("Iterator[object]", read(folder, name, *others, **named))

        return cast("Callable[Concatenate[Folder, str, P], T]", items)

    @wraps(read)
    def value(folder: Folder, name: str, *others: P.args, **named: P.kwargs) -> T:
        with reading(partial(folder.where, name)):
            return read(folder, name, *others, **named)

    return cast("Callable[Concatenate[Folder, str, P], T]", value)
