"""A small TCP proxy that counts, cuts, stalls and answers in the server's place: the trouble that networks make."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

METHODS = (b"GET ", b"PUT ", b"HEAD ", b"POST ", b"DELETE ", b"MOVE ", b"MKCOL ", b"PROPFIND ")
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on `port` and passes everything to the server's. Its rules may be changed at any time."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.up = self.down = 0
        """Bytes passed to the server, and from it."""
        self.connections = 0
        self.refuse = False
        """Drop connections as they come."""
        self.cut_up: int | None = None
        """Reset a connection after so many more bytes to the server."""
        self.cut_down: int | None = None
        self.cuts = 0
        """How many connections were reset so; rules of one use: see `cut_times`."""
        self.cut_times = 1 << 30
        self.stalled = threading.Event()
        """While set, nothing passes."""
        self.errors: list[int] = []
        """Statuses with which the next HTTP requests are answered instead of the server."""
        self.slow_s = 0.0
        """Waited before each piece from the server."""
        self.asked: list[bytes] = []
        """The first lines of HTTP requests."""
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(10)

    def drop(self) -> None:
        """Reset every connection."""
        with self._lock:
            sockets = list(self._sockets)
        for one in sockets:
            reset(one)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refuse:
                reset(client)
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 10)
            except OSError:
                reset(client)
                client.close()
                continue
            server.settimeout(None)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            self._start(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(server, client, False), daemon=True)
        back.start()
        self._pump(client, server, True)
        back.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                while self.stalled.is_set() and not self._end.wait(0.02):
                    pass
                if up and data.startswith(METHODS):
                    self.asked.append(data.split(b"\r\n", 1)[0])
                    if self._answer(source):
                        break
                if not up and self.slow_s:
                    self._end.wait(self.slow_s)
                if self._cut(data, up):
                    break
                target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            reset(one) if self._end.is_set() else finish(one)

    def _answer(self, client: socket.socket) -> bool:
        """Answer with an error, if one is due, and close."""
        with self._lock:
            if not self.errors:
                return False
            status = self.errors.pop(0)
        client.sendall(b"HTTP/1.1 %d Trouble\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        return True

    def _cut(self, data: bytes, up: bool) -> bool:
        with self._lock:
            left = self.cut_up if up else self.cut_down
            if up:
                self.up += len(data)
            else:
                self.down += len(data)
            if left is None or self.cuts >= self.cut_times:
                return False
            left -= len(data)
            if left <= 0:
                self.cuts += 1
                left = 0
            if up:
                self.cut_up = left
            else:
                self.cut_down = left
            return left == 0


def finish(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        one.shutdown(socket.SHUT_RDWR)
