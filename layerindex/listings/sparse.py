"""Sparse files in a tar: computes the CRC of their content with zeros for the holes.

Formats: GNU's old one, and PAX 0.1 and 1.0 (Go's ``archive/tar`` ``reader.go``; tar-split sums what that reads).
"""

from __future__ import annotations

from fastcrc.crc64 import go_iso

from layerindex.listings import tarheader
from layerindex.listings.tarheader import BLOCK, HeaderError

ZEROS = bytes(1 << 20)
MAP_BYTES = 1 << 20
"""Most bytes of a map within the content."""


class Holes:
    """The parts of one sparse file; the CRC is None when it cannot be computed, or would cost too much."""

    BUDGET = 4 << 30
    """Most bytes of holes that are summed up in one layer; a hole costs no more than a header."""

    def __init__(self, size: int, parts: list[tuple[int, int]] | None, *, extended: bool = False) -> None:
        self.size, self.extended = size, extended
        self.parts = parts
        """Offset and length of each part; None until the map has been read from the content."""
        self.map = bytearray()
        self.lines = self.due = 0
        """Lines of the map that have arrived, and how many must follow the first one, once that is known."""
        self.at = self.part = self.done = 0
        self.known = True
        self.budget = self.BUDGET

    @classmethod
    def of_gnu(cls, block: bytes) -> Holes:
        """Return the map of a header of type S; it may continue in more blocks."""
        return cls(
            tarheader.number(block[483:495]),
            _pairs(block[386:482]),
            extended=block[482:483] not in (b"\0", b""),
        )

    def more(self, block: bytes) -> bool:
        """Add another block of the map; return whether one more follows."""
        assert self.parts is not None  # noqa: S101 - of_gnu
        self.parts += _pairs(block[:504])
        self.extended = block[504:505] != b"\0"
        return self.extended

    @classmethod
    def of_pax(cls, pax: dict[bytes, bytes], size: int) -> Holes | None:
        """Return the map of PAX records; None when the file is not sparse."""
        if not any(key.startswith(b"GNU.sparse.") for key in pax):
            return None
        stated = pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size")
        whole = tarheader.pax_number(stated) if stated else size
        if pax.get(b"GNU.sparse.major") == b"1" and pax.get(b"GNU.sparse.minor") == b"0":
            return cls(whole, None)
        found = cls(whole, [])
        numbers = (pax.get(b"GNU.sparse.map") or b"").split(b",")
        if len(numbers) % 2 or not all(number.isdigit() and len(number) < 19 for number in numbers):
            found.known = False
        else:
            values = [int(number) for number in numbers]
            found.parts = list(zip(values[::2], values[1::2], strict=True))
        return found

    def crc(self, data: memoryview, crc: int | None) -> int | None:
        """Return the sum with some more of the content."""
        if self.parts is None:
            data = self._read_map(data)
        place = 0
        while crc is not None and self.known and self.parts is not None and place < len(data):
            if self.part == len(self.parts):
                break
            offset, length = self.parts[self.part]
            if not self.done:
                crc = self._hole(crc, offset)
            step = min(length - self.done, len(data) - place)
            if crc is not None:
                crc = go_iso(data[place : place + step], crc)
            place, self.done, self.at = place + step, self.done + step, self.at + step
            if self.done == length:
                self.part, self.done = self.part + 1, 0
        return crc if self.known else None

    def end(self, crc: int | None) -> int | None:
        """Return the sum of the whole file."""
        if crc is None or not self.known or self.parts is None:
            return None
        for offset, length in self.parts[self.part :]:
            if length:
                return None  # its content is incomplete
            crc = self._hole(crc, offset)
        return self._hole(crc, self.size)

    def _hole(self, crc: int | None, end: int) -> int | None:
        """Return the sum with zeros up to an offset."""
        left = end - self.at
        if crc is None or not 0 <= left <= self.budget:
            self.known = False
            return None
        self.budget -= left
        self.at = end
        while left > 0:
            crc = go_iso(ZEROS if left >= len(ZEROS) else ZEROS[:left], crc)
            left -= len(ZEROS)
        return crc

    def _read_map(self, data: memoryview) -> memoryview:
        """Read the map at the beginning of the content: lines of numbers, padded to a whole block."""
        if not self.known:
            return data[len(data) :]
        taken = len(self.map)
        self.map += data[: max(0, MAP_BYTES + BLOCK - taken)]
        self.lines += self.map.count(b"\n", taken)
        if self.lines <= self.due:  # blocks may be small: only complete lines are parsed
            self.known = len(self.map) <= MAP_BYTES
            return data[len(data) :]
        if not self.due:
            count = bytes(self.map.partition(b"\n")[0])
            self.known = count.isdigit() and len(count) <= 6
            self.due = 2 * int(count) if self.known else 0
            if not self.known or self.lines <= self.due:
                return data[len(data) :]
        lines = bytes(self.map).split(b"\n", self.due + 1)[: self.due + 1]
        used = sum(len(line) + 1 for line in lines)
        if used <= MAP_BYTES and all(number.isdigit() and len(number) < 19 for number in lines):
            values = [int(number) for number in lines[1:]]
            self.parts = list(zip(values[::2], values[1::2], strict=True))
            return data[min(len(data), -(-used // BLOCK) * BLOCK - taken) :]
        self.known = False
        return data[len(data) :]


def _pairs(field: bytes) -> list[tuple[int, int]]:
    """Return the parts that an old map lists, up to the first empty one."""
    found = []
    for place in range(0, len(field) - 23, 24):
        pair = field[place : place + 24]
        if not pair.strip(b"\0 "):
            break
        offset, length = tarheader.number(pair[:12]), tarheader.number(pair[12:])
        if offset < 0 or length < 0:
            raise HeaderError("tar-header-number", "a map with a negative number")
        found.append((offset, length))
    return found
