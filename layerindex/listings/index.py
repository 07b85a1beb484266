"""Many sources of listings into one database, on the cores there are.

One process writes; where there is enough to do, others produce. Batches come through pipes. A producer ends when its
pipe has no reader, so none outlives a parent that was killed; nothing is left in the file system.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import struct
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from layerindex.errors import LayerindexError
from layerindex.listings.batches import Batch, Source
from layerindex.listings.writer import Listing, Writer

if TYPE_CHECKING:
    import sqlite3

# Below this much compressed tar-split, starting processes and numpy costs more than it saves.
SMALL_BYTES = 200_000
# What a producer may run ahead of the writer, beyond what the pipe holds.
AHEAD_BYTES = 16 << 20
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
BYTES_PER_ENTRY = 100  # of compressed tar-split, about
FRAME = struct.Struct("<qq")
BATCH, DONE, FAILED = range(3)

Progress = Callable[[int, int, int, int, int], None]
"""Told of listings done, of how many; entries; bytes read, of how many."""


class ProducerError(LayerindexError):
    """A producing process failed: a fault of this program or of the machine, not of the store."""


def index_listings(
    database: sqlite3.Connection, sources: Sequence[Source], jobs: int, progress: Progress | None = None
) -> Iterator[Listing]:
    """Write the listings of all sources in the open transaction; yields each as it is done, not in order."""
    production = Production(sources, jobs)
    yield from production.write(database, progress)


class Production:
    """Producers at work from the moment this is made; ``write`` takes what they have made."""

    def __init__(self, sources: Sequence[Source], jobs: int) -> None:
        self.sources = sources
        self.weight = sum(source.weight for source in sources)
        self.fast = sum(source.weight for source in sources if source.source == "tar-split") > SMALL_BYTES
        self.workers: list[_Worker] = []
        if jobs > 1 and self.weight > SMALL_BYTES:
            if self.fast:
                _import_numpy()
            # What is only to be compared comes last: there is nothing of it to write while it is read.
            order = sorted(range(len(sources)), key=lambda index: (not sources[index].kept, -sources[index].weight))
            queue = os.memfd_create("layerindex", os.MFD_CLOEXEC)
            os.pwrite(queue, b"".join(FRAME.pack(index, 0) for index in order), 0)
            try:
                for _ in range(min(jobs, len(sources))):
                    inherited = [worker.pipe for worker in self.workers]
                    self.workers.append(_Worker(sources, queue, self.fast, inherited))
            except BaseException:
                self.close()
                raise
            finally:
                os.close(queue)

    def write(self, database: sqlite3.Connection, progress: Progress | None = None) -> Iterator[Listing]:
        """Write everything; the producers are gone at the end, however it ends."""
        kept = [source.weight for source in self.sources if source.kept]
        writer, to_write = Writer(database, sum(kept) // BYTES_PER_ENTRY), len(kept)
        done = entries = bytes_read = 0
        try:
            for index, batch in self._messages():
                if index not in writer.open:
                    writer.start(index, self.sources[index])
                if batch is None:
                    done += 1
                    listing = writer.finish(index)
                    to_write -= listing.source.kept
                    if not to_write:
                        writer.close()  # while others walk
                    yield listing
                else:
                    entries += writer.add(index, batch)
                    bytes_read += batch.bytes_read
                if progress is not None:
                    progress(done, len(self.sources), entries, bytes_read, self.weight)
            writer.close()
            if done != len(self.sources):
                raise ProducerError(f"worker processes gave {done} listings of {len(self.sources)}")
        finally:
            self.close()

    def _messages(self) -> Iterator[tuple[int, Batch | None]]:
        if not self.workers:
            for index, source in enumerate(self.sources):
                for batch in source.batches(self.fast):
                    yield index, batch
                yield index, None
            return
        workers = {worker.pipe: worker for worker in self.workers}
        while workers:
            ready, _, _ = select.select(list(workers), [], [])
            for pipe in ready:
                message = workers[pipe].receive()
                if message is None:
                    del workers[pipe]
                else:
                    yield message

    def close(self) -> None:
        """End the producers."""
        for worker in self.workers:
            worker.close()
        self.workers = []


def _import_numpy() -> None:
    """Import what is large once for all workers; without OpenBLAS' threads, which cost time and which nobody needs."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from layerindex.listings import blocks  # noqa: F401, PLC0415 - not for a small store


class _Worker:
    """A forked process that takes sources from the queue and sends their batches."""

    def __init__(self, sources: Sequence[Source], queue: int, fast: bool, inherited: list[int]) -> None:
        self.pipe, end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                for fd in (self.pipe, *inherited):
                    os.close(fd)
                _keep_memory()
                gc.disable()  # nothing here refers back to itself
                _produce(sources, queue, fast, _Sender(end))
                status = 0
            except BrokenPipeError:
                pass
            finally:
                os._exit(status)
        os.close(end)
        self.finished = False

    def receive(self) -> tuple[int, Batch | None] | None:
        """Return the next message; None when all are sent."""
        head = self._read(FRAME.size)
        if not head:
            self._reap()
            return None
        length, index = FRAME.unpack(head)
        data = self._read(length)
        if len(data) < length:
            self._reap()
            raise ProducerError("a worker process ended in the middle of a batch")
        if data[0] == FAILED:
            raise ProducerError(f"a worker process failed:\n{data[1:].decode(errors='replace')}")
        return index, None if data[0] == DONE else Batch.unpack(data[1:])

    def _read(self, size: int) -> bytes:
        parts = []
        while size and (part := os.read(self.pipe, size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        self.finished = True
        if status:
            code = os.waitstatus_to_exitcode(status)
            raise ProducerError(f"a worker process ended with status {code}")

    def close(self) -> None:
        """End it."""
        os.close(self.pipe)
        if not self.finished:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.finished = True


class _Sender:
    """Sends frames, and keeps some back while the writer is busy."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.waiting: deque[memoryview] = deque()
        self.size = 0
        os.set_blocking(pipe, False)
        try:
            import fcntl  # noqa: PLC0415 - only where there are workers

            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # as large as it was made, then

    def send(self, index: int, kind: int, data: bytes = b"") -> None:
        """Send, or put by."""
        frame = FRAME.pack(len(data) + 1, index) + bytes([kind]) + data
        self.waiting.append(memoryview(frame))
        self.size += len(frame)
        self.flush(AHEAD_BYTES)

    def flush(self, leave: int = 0) -> None:
        """Write what the pipe takes; wait while more than ``leave`` bytes are kept back."""
        while self.waiting:
            try:
                written = os.write(self.pipe, self.waiting[0])
            except BlockingIOError:
                if self.size <= leave:
                    return
                select.select([], [self.pipe], [])
                continue
            self.size -= written
            self.waiting[0] = self.waiting[0][written:]
            if not self.waiting[0]:
                self.waiting.popleft()


def _keep_memory() -> None:
    """Have malloc reuse large blocks: giving each back to the system costs a third more time, in page faults."""
    import ctypes  # noqa: PLC0415 - only where there are workers

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(-3, 64 << 20)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 128 << 20)  # M_TRIM_THRESHOLD


def _taken(queue: int) -> bytes:
    """Take the next item of the queue, which all workers read through one file offset; nothing when all are taken.

    Linux lets only one at a time use the offset of a file that was opened, but not of a memfd: fs/file.c fdget_pos,
    mm/memfd.c. Without the lock two take the same item.
    """
    import fcntl  # noqa: PLC0415 - only where there are workers

    fcntl.lockf(queue, fcntl.LOCK_EX)
    try:
        return os.read(queue, FRAME.size)
    finally:
        fcntl.lockf(queue, fcntl.LOCK_UN)


def _produce(sources: Sequence[Source], queue: int, fast: bool, sender: _Sender) -> None:
    while item := _taken(queue):
        index, _ = FRAME.unpack(item)
        try:
            for batch in sources[index].batches(fast):
                sender.send(index, BATCH, batch.pack())
            sender.send(index, DONE)
        except BrokenPipeError:
            raise
        except Exception:  # noqa: BLE001  # whatever it is, the parent shall say it
            sender.send(index, FAILED, traceback.format_exc().encode())
            break
    sender.flush()
