"""The bytes between a container and the client's standard streams.

Without a terminal the engine sends frames: one byte that says which stream, three zeros, four bytes of length, then the
bytes. With one, everything is one stream.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

HEADER = 8
BUFFER = 1 << 18
TYPED = 1 << 12
INTERRUPT, SUSPEND = b"\x03", b"\x1a"
"""What a raw terminal sends for Ctrl-C and Ctrl-Z."""


class Sink:
    """Standard output or error. A reader that goes away is told once; what comes then is dropped."""

    def __init__(self, fd: int, on_broken: Callable[[], None]) -> None:
        self.fd = fd
        self.on_broken = on_broken
        self.is_open = True

    def write(self, data: memoryview) -> None:
        while self.is_open and data:
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:
                self.wait()
            except OSError as error:
                self.is_open = False
                if isinstance(error, BrokenPipeError):
                    self.on_broken()

    def wait(self) -> None:
        """Somebody made the descriptor one that does not block."""
        import select

        select.select([], [self.fd], [])


def receive(stream: socket.socket, out: Sink, err: Sink | None) -> None:
    """Pass on what a container writes, to its end. With `err` it comes in frames, without all goes to `out`."""
    buffer = bytearray(BUFFER)
    view = memoryview(buffer)
    frames = Frames({1: out, 2: err}) if err is not None else None
    while True:
        try:
            size = stream.recv_into(buffer)
        except InterruptedError:
            continue
        except OSError:
            return
        if size == 0:
            return
        if frames is None:
            out.write(view[:size])
        else:
            frames.take(view[:size])


class Frames:
    """Cuts a stream into frames, whichever way it arrives."""

    def __init__(self, sinks: dict[int, Sink]) -> None:
        self.sinks = sinks
        self.head = b""
        self.left = 0
        self.sink: Sink | None = None

    def take(self, data: memoryview) -> None:
        while data:
            if not self.left:
                missing = HEADER - len(self.head)
                self.head += bytes(data[:missing])
                data = data[missing:]
                if len(self.head) < HEADER:
                    return
                self.left = int.from_bytes(self.head[4:], "big")
                self.sink = self.sinks.get(self.head[0])
                self.head = b""
                continue
            part = data[: self.left]
            if self.sink is not None:
                self.sink.write(part)
            self.left -= len(part)
            data = data[len(part) :]


def send(stream: socket.socket, source: int) -> None:
    """Pass standard input on, and its end too."""
    try:
        while data := os.read(source, BUFFER):
            stream.sendall(data)
    except OSError:
        pass  # the container has ended, or nobody may read here
    close_half(stream)


def close_half(stream: socket.socket) -> None:
    """Tell the other side that nothing more comes, and go on reading from it."""
    try:
        stream.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def send_keys(stream: socket.socket, source: int, special: Callable[[bytes], bytes]) -> None:
    """Pass on what is typed, and let `special` take keys out of it."""
    try:
        while data := os.read(source, TYPED):
            stream.sendall(special(data))
    except OSError:
        pass
