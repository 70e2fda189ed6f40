"""Other processes that share a work out between the cores: batches of bytes go out, plain values come back in order.

Made by `fork`, so they start at once and know what the parent knew. What goes over their pipes is `marshal`, of this
program and for this program; nothing of it is kept.
"""

from __future__ import annotations

import fcntl
import gc
import marshal
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

MOST = 6
"""Processes: more do not help the one that writes the ledger."""

PIPE = 1 << 20
"""Bytes that a pipe holds, if it may."""

SIZE = 8
"""Bytes before each message that say how long it is."""

Work = Callable[[Sequence[bytes]], Any]


class Worker:
    """One process. It answers each batch before it is given the next."""

    fds: tuple[int, int]

    def __init__(self, work: Work, others: Sequence[Worker]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        there, to_worker = wide_pipe()
        from_worker, back = wide_pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for fd in (to_worker, from_worker, *(fd for other in others for fd in other.fds)):
                os.close(fd)
            serve(work, there, back)
        os.close(there)
        os.close(back)
        self.fds = (to_worker, from_worker)
        self.out: IO[bytes] = os.fdopen(to_worker, "wb")
        self.back: IO[bytes] = os.fdopen(from_worker, "rb")

    def give(self, batch: Sequence[bytes]) -> None:
        send(list(batch), self.out)

    def answer(self) -> Any:
        return receive(self.back)

    def close(self) -> None:
        for file in (self.back, self.out):  # in this order: a worker that is answering still hears that nobody listens
            try:
                file.close()
            except BrokenPipeError:
                pass
        os.waitpid(self.pid, 0)


def wide_pipe() -> tuple[int, int]:
    """A pipe that holds more than the usual 64 KiB, where the system lets it: fewer turns from process to process."""
    ends = os.pipe()
    if sys.platform == "linux":
        try:
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE)
        except OSError:  # this user's pipes are as large as they may be
            pass
    return ends


def send(value: Any, pipe: IO[bytes]) -> None:
    text = marshal.dumps(value)
    pipe.write(len(text).to_bytes(SIZE, "big"))
    pipe.write(text)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read at once: `marshal.load` would ask the pipe for each value in it. Raises EOFError."""
    size = int.from_bytes(pipe.read(SIZE), "big")
    text = pipe.read(size)
    if not size or len(text) < size:
        raise EOFError
    return marshal.loads(text)


def serve(work: Work, there: int, back: int) -> None:
    """The life of a worker; it ends with its parent's pipe, and never comes back."""
    import signal

    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and closes the pipe
        with os.fdopen(there, "rb") as batches, os.fdopen(back, "wb") as answers:
            while True:
                try:
                    batch = receive(batches)
                except EOFError:
                    break
                send(work(batch), answers)
        status = 0
    finally:
        os._exit(status)


class Crew:
    """Some workers, as a context manager. `work` must not raise: what it has to say, it returns; what it returns is of
    plain tuples, lists, texts, bytes and numbers."""

    def __init__(self, work: Work, size: int | None = None) -> None:
        self.work = work
        self.size = min(MOST, os.cpu_count() or 1) if size is None else size
        self.workers: list[Worker] = []
        self.collects = False

    def __enter__(self) -> Crew:
        # Answers are many small tuples, none of them part of a ring; the collector would look through them all again
        # and again, which takes as long as reading them.
        self.collects = gc.isenabled()
        gc.disable()
        for _ in range(self.size):
            self.workers.append(Worker(self.work, self.workers))
        return self

    def __exit__(self, *exc: object) -> None:
        if self.collects:
            gc.enable()
        for worker in self.workers:
            worker.close()

    def answers(self, batches: Iterable[Sequence[bytes]]) -> Iterator[Any]:
        """The answer to each batch, in order; as many batches are on their way as there are workers.

        Raises EOFError or BrokenPipeError when a worker died.
        """
        free, busy = deque(self.workers), deque[Worker]()
        for batch in batches:
            ready = []
            if not free:
                free.append(busy.popleft())
                ready.append(free[0].answer())
            busy.append(free.popleft())
            busy[-1].give(batch)  # before what is ready is looked at, so that nobody waits
            yield from ready
        for worker in busy:
            yield worker.answer()
