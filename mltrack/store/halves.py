"""Many small files by two processes: reading a small file is mostly Python, and Python runs one thread at a time.

The second process is the same interpreter with a store of its own on the same directory. It is told its files on
standard input and answers on standard output; what it did not answer, the first reads itself.

    to it     a line of JSON (sys.path; root and store in hex), then for every file: fields (`STAT`), LENGTH, path
    from it   for every file: ANSWER (its number, how it went, length of what follows), raw digest or reason
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mltrack.digest import from_raw, to_raw
from mltrack.store.reader import Done, Reader, batches, told_of
from mltrack.store.statcache import STAT, size_of
from mltrack.store.walk import Seen

if TYPE_CHECKING:
    import subprocess

    from mltrack.progress import Progress
    from mltrack.store.objects import Store

ENOUGH = 4000
"""Files from which a second process, which takes some 70 ms to start, is worth it."""

OVERHEAD = 32 << 10
"""What reading a file costs beside its bytes, as bytes."""

LENGTH = struct.Struct("<H")
ANSWER = struct.Struct("<IBH")
DIGEST, CHANGED, PROBLEM = 0, 1, 2

START = (
    "import json, sys; told = json.loads(sys.stdin.buffer.readline()); sys.path[:] = told['path'];"
    "from mltrack.store.halves import serve; serve(told, sys.stdin.buffer, sys.stdout.buffer)"
)


def read_in_two(reader: Reader, files: Sequence[Seen], progress: Progress | None) -> Iterator[Done]:
    """`Reader.batch` for all of the files, half of them by another process; in no particular order."""
    middle = halfway(files)
    other = OtherHalf(reader, files[middle:], progress)
    try:
        for batch in batches(files[:middle]):
            yield from told_of(reader.batch(batch), progress)
        if reader.store is not None:
            reader.store.flush()  # while the other, which began later, is still at work
        answered = held(reader.store, other.answers())
    finally:
        other.end()
    yield from answered
    done = {one.seen.path for one in answered}
    for batch in batches(seen for seen in files[middle:] if seen.path not in done):
        yield from told_of(reader.batch(batch), progress)


def halfway(files: Sequence[Seen]) -> int:
    """Where to part the files so that both halves are about as much work."""
    work = [size_of(seen.stat) + OVERHEAD for seen in files]
    half, number = sum(work) // 2, 0
    while half > 0:
        half -= work[number]
        number += 1
    return number


def held(store: Store | None, answered: list[Done]) -> list[Done]:
    """Those of the answers whose bytes are in the store, now held by this process too."""
    if store is None:
        return answered
    lacking = store.missing({digest for _, digest, _ in answered if digest is not None}, hold=True)
    return [one for one in answered if one.digest not in lacking]


class OtherHalf:
    """The second process, and the thread that talks to it."""

    def __init__(self, reader: Reader, files: Sequence[Seen], progress: Progress | None) -> None:
        import threading

        self._files = files
        self._progress = progress
        self._answers: list[Done] = []
        self._process = start()
        self._thread = threading.Thread(target=self._talk, args=(reader,), name="mltrack-other-half")
        if self._process is not None:
            self._thread.start()

    def answers(self) -> list[Done]:
        """What it read; all of it is safe in the store. Waits for its end."""
        if self._process is None:
            return []
        self._thread.join()
        return self._answers if self._process.wait() == 0 else []

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._thread.join()
            self._process.wait()

    def _talk(self, reader: Reader) -> None:
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        with self._process.stdout as answers:
            try:
                with self._process.stdin as questions:
                    questions.write(head_of(reader))
                    for seen in self._files:
                        questions.write(seen.stat + LENGTH.pack(len(seen.path)) + seen.path)
                while head := answers.read(ANSWER.size):
                    number, status, size = ANSWER.unpack(head)
                    self._take(number, status, answers.read(size))
            except (OSError, ValueError, struct.error):
                return  # it died; its share is read again

    def _take(self, number: int, status: int, text: bytes) -> None:
        seen = self._files[number]
        digest = from_raw(text) if status == DIGEST else None
        self._answers.append(Done(seen, digest, os.fsdecode(text) if status == PROBLEM else None))
        if self._progress is not None:
            self._progress(size_of(seen.stat))


def start() -> subprocess.Popen[bytes] | None:
    """The second process; None where the system has no room for it."""
    import subprocess

    command = [sys.executable, "-I", "-c", START]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, cwd="/")
    except OSError:
        return None


def head_of(reader: Reader) -> bytes:
    import json

    store = os.fsencode(reader.store.path).hex() if reader.store is not None else None
    path = [entry for entry in sys.path if isinstance(entry, str)]
    return json.dumps({"path": path, "root": reader.root.hex(), "store": store}).encode() + b"\n"


def serve(told: dict[str, str | None], questions: BinaryIO, answers: BinaryIO) -> None:
    """The second process: read the files that are asked for, then make all of them safe in the store."""
    import signal

    from mltrack.store.objects import Store

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides; without it a pipe breaks
    files = list(asked(questions))
    numbers = {seen.path: number for number, seen in enumerate(files)}
    store = Store.open(Path(os.fsdecode(bytes.fromhex(told["store"])))) if told["store"] is not None else None
    reader = Reader(bytes.fromhex(str(told["root"])), store)
    for batch in batches(files):
        for seen, digest, problem in reader.batch(batch):
            status = DIGEST if digest is not None else PROBLEM if problem is not None else CHANGED
            text = to_raw(digest) if digest is not None else os.fsencode(problem or "")
            answers.write(ANSWER.pack(numbers[seen.path], status, len(text)) + text)
        answers.flush()
    if store is not None:
        store.flush()
        store.close()


def asked(questions: BinaryIO) -> Iterator[Seen]:
    while fields := questions.read(STAT.size):
        yield Seen(questions.read(LENGTH.unpack(questions.read(LENGTH.size))[0]), fields, False)
