"""Writes the listings of many sources into one database, using all cores.

One process writes; where there is enough to do, others produce. Batches come through pipes. A producer ends when its
pipe has no reader, so none outlives a parent that was killed; nothing is left in the file system. Where a producer is
killed, for example because a hostile source took too much memory, the listing of that source is incomplete; another
producer reads the others.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerindex import interrupt
from layerindex.errors import LayerindexError
from layerindex.guard import FAILED
from layerindex.indexing.tally import BYTES_PER_ENTRY, Progress, Tally
from layerindex.listings.batches import SMALL_BYTES, Batch, Source, ended
from layerindex.writing.listings import Listing, Writer

if TYPE_CHECKING:
    import sqlite3

# Bytes that a producer may be ahead of the writer, besides those in the pipe.
AHEAD_BYTES = 16 << 20
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
FRAME = struct.Struct("<qq")
"""The header of a message: its length and the source. An item of the queue: the source, and the number of the process
that took it."""
BATCH, DONE = range(2)

Report = Callable[[Progress], None]
"""Called with how far a scan is."""


class ProducerError(LayerindexError):
    """A producing process failed: a fault of this program or of the machine, not of the store."""


def index_listings(
    database: sqlite3.Connection,
    sources: Sequence[Source],
    jobs: int,
    report: Report | None = None,
    small: int = SMALL_BYTES,
) -> Iterator[Listing]:
    """Write the listings of all sources in the open transaction; yields each when it is done, in no order.

    Sources of at most `small` compressed bytes together are read in this process, line by line.
    """
    production = Production(sources, jobs, small)
    yield from production.write(database, report)


class Production:
    """Producers, which start at once; ``write`` writes what they make."""

    def __init__(self, sources: Sequence[Source], jobs: int, small: int = SMALL_BYTES) -> None:
        self.sources = sources
        self.weight = sum(source.weight for source in sources)
        self.fast = sum(source.weight for source in sources if source.source == "tar-split") > small
        self.workers: list[_Worker] = []
        self.started = 0
        self.queue: Queue | None = None
        if jobs > 1 and self.weight > small:
            if self.fast:
                _import_numpy()
            # Sources only for comparison come last: nothing of them can be written while they are read.
            order = sorted(range(len(sources)), key=lambda index: (not sources[index].kept, -sources[index].weight))
            self.queue = Queue(order)
            try:
                for _ in range(min(jobs, len(sources))):
                    self._start(self.queue)
            except BaseException:
                self.close()
                raise

    def _start(self, queue: Queue) -> None:
        inherited = [worker.pipe for worker in self.workers]
        self.started += 1
        self.workers.append(_Worker(self.started, self.sources, queue, self.fast, inherited))

    def write(self, database: sqlite3.Connection, report: Report | None = None) -> Iterator[Listing]:
        """Write everything; at the end, in any case, the producers are gone."""
        kept = [source.weight for source in self.sources if source.kept]
        writer, to_write = Writer(database, sum(kept) // BYTES_PER_ENTRY), len(kept)
        tally = Tally(self.sources)
        try:
            for index, batch in self._messages(writer):
                if index not in writer.open:
                    writer.start(index, self.sources[index])
                if batch is None:
                    listing = writer.finish(index)
                    tally.end(index, listing.entry_count)
                    to_write -= listing.source.kept
                    if not to_write:
                        writer.close()  # while other producers walk
                    yield listing
                else:
                    tally.add(index, writer.add(index, batch), batch.bytes_read)
                if report is not None:
                    report(tally.progress())
            writer.close()
            if tally.listings != len(self.sources):
                raise ProducerError(f"worker processes gave {tally.listings} listings of {len(self.sources)}")
        finally:
            self.close()

    def _messages(self, writer: Writer) -> Iterator[tuple[int, Batch | None]]:
        if self.queue is None:
            for index, source in enumerate(self.sources):
                for batch in source.read(self.fast):
                    yield index, batch
                yield index, None
            return
        whole: set[int] = set()
        while self.workers:
            pipes = {worker.pipe: worker for worker in self.workers}
            ready, _, _ = select.select(list(pipes), [], [])
            for pipe in ready:
                worker = pipes[pipe]
                message = worker.receive()
                if message is not None:
                    if message[1] is None:
                        whole.add(message[0])
                    yield message
                    continue
                self.workers.remove(worker)
                worker.close()
                if worker.status:
                    yield from self._died(worker, self.queue, whole, writer)

    def _died(
        self, worker: _Worker, queue: Queue, whole: set[int], writer: Writer
    ) -> Iterator[tuple[int, Batch | None]]:
        """Go on after a producer died: the listing that it was reading is incomplete, another one reads the rest.

        It was reading the last source that it took; sources that it had read but not sent are read again.
        """
        lost = [index for index in queue.taken(worker.number) if index not in whole]
        if not lost:
            if len(self.workers) == 0 and queue.waiting():
                raise ProducerError(f"a worker process ended before it read anything: {worker.ending}")
            return
        *unsent, reading = lost
        for index in unsent:
            if index in writer.open:
                writer.again(index)
        queue.put(unsent)
        found = writer.open[reading].problem_count if reading in writer.open else 0
        detail = f"the process that read it was ended: {worker.ending}"
        whole.add(reading)
        yield reading, ended(found, FAILED, detail)
        yield reading, None
        if queue.waiting():
            self._start(queue)

    def close(self) -> None:
        """End the producers."""
        for worker in self.workers:
            worker.close()
        self.workers = []
        if self.queue is not None:
            self.queue.close()
            self.queue = None


class Queue:
    """The waiting sources in order, and which process took each; shared by all processes."""

    def __init__(self, order: Sequence[int]) -> None:
        self.handle = os.memfd_create("layerindex", os.MFD_CLOEXEC)
        self.put(order)

    def put(self, indices: Sequence[int]) -> None:
        """Add sources at the end."""
        with self._locked():
            data = b"".join(FRAME.pack(index, 0) for index in indices)
            os.pwrite(self.handle, data, os.fstat(self.handle).st_size)

    def take(self, number: int) -> int | None:
        """Take the next source for the process of that number; None when all are taken.

        The shared file offset is the position in the queue. It moves on only after the item says who took it, so that a
        process killed in between loses nothing.
        """
        with self._locked():
            at = os.lseek(self.handle, 0, os.SEEK_CUR)
            item = os.pread(self.handle, FRAME.size, at)
            if not item:
                return None
            index, _ = FRAME.unpack(item)
            os.pwrite(self.handle, FRAME.pack(index, number), at)
            os.lseek(self.handle, at + FRAME.size, os.SEEK_SET)
        return int(index)

    def taken(self, number: int) -> list[int]:
        """Return the sources that a process took, in order."""
        data = os.pread(self.handle, os.fstat(self.handle).st_size, 0)
        return [index for index, taker in FRAME.iter_unpack(data) if taker == number]

    def waiting(self) -> bool:
        """Say whether a source is left."""
        return os.lseek(self.handle, 0, os.SEEK_CUR) < os.fstat(self.handle).st_size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from taking or adding, by a kernel lock that ends with its process."""
        import fcntl  # noqa: PLC0415 - only where there are workers

        fcntl.lockf(self.handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)


def _import_numpy() -> None:
    """Import numpy once for all workers, without the threads of OpenBLAS, which are not needed."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from layerindex.listings import blocks  # noqa: F401, PLC0415 - not for a small store


class _Worker:
    """A forked process that takes sources from the queue and sends their batches."""

    def __init__(self, number: int, sources: Sequence[Source], queue: Queue, fast: bool, inherited: list[int]) -> None:
        self.number = number
        self.pipe, end = os.pipe()
        # With the parent's signal handlers the child would undo the parent's work.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, interrupt.SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                for ignored in (signal.SIGINT, signal.SIGHUP):
                    signal.signal(ignored, signal.SIG_IGN)  # the parent decides
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
                for fd in (self.pipe, *inherited):
                    os.close(fd)
                _keep_memory()
                gc.disable()  # there are no reference cycles here
                _produce(number, sources, queue, fast, _Sender(end))
                status = 0
            except BrokenPipeError:
                pass
            finally:
                os._exit(status)
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        os.close(end)
        self.status: int | None = None

    def receive(self) -> tuple[int, Batch | None] | None:
        """Return the next message; None when the worker has ended, after all messages or in the middle of one."""
        head = self._read(FRAME.size)
        length, index = FRAME.unpack(head) if len(head) == FRAME.size else (1, 0)
        data = self._read(length)
        if len(data) < length:
            _, self.status = os.waitpid(self.pid, 0)
            return None
        return index, None if data[0] == DONE else Batch.unpack(data[1:])

    def _read(self, size: int) -> bytes:
        parts = []
        while size and (part := os.read(self.pipe, size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    @property
    def ending(self) -> str:
        """Say how it ended."""
        code = os.waitstatus_to_exitcode(self.status or 0)
        return f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"status {code}"

    def close(self) -> None:
        """End it."""
        os.close(self.pipe)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)


class _Sender:
    """Sends frames, and buffers some while the writer is busy."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.waiting: deque[memoryview] = deque()
        self.size = 0
        os.set_blocking(pipe, False)
        try:
            import fcntl  # noqa: PLC0415 - only where there are workers

            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # then it keeps its size

    def send(self, index: int, kind: int, data: bytes = b"") -> None:
        """Send, or buffer."""
        frame = FRAME.pack(len(data) + 1, index) + bytes([kind]) + data
        self.waiting.append(memoryview(frame))
        self.size += len(frame)
        self.flush(AHEAD_BYTES)

    def flush(self, leave: int = 0) -> None:
        """Write what the pipe takes; wait while more than ``leave`` bytes are buffered."""
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
    """Make malloc keep large blocks for reuse: returning each to the system costs a third more time, in page faults."""
    import ctypes  # noqa: PLC0415 - only where there are workers

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(-3, 64 << 20)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 128 << 20)  # M_TRIM_THRESHOLD


def _produce(number: int, sources: Sequence[Source], queue: Queue, fast: bool, sender: _Sender) -> None:
    while (index := queue.take(number)) is not None:
        for batch in sources[index].read(fast):
            sender.send(index, BATCH, batch.pack())
        sender.send(index, DONE)
    sender.flush()
