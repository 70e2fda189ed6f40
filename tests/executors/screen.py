"""A terminal for tests: keys are typed into it, what it shows is read, its window can change."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from typing import Any


class Screen:
    """A pseudo-terminal that controls a new session with one program; a context that ends both."""

    def __init__(self, words: list[str], **streams: Any) -> None:
        """`streams`: stdin, stdout or stderr that are not the terminal."""
        self.master, self.slave = os.openpty()
        self.resize(30, 100)
        self.settings = termios.tcgetattr(self.slave)
        self.shown = b""
        slave = self.slave
        self.process = subprocess.Popen(
            words,
            **{"stdin": slave, "stdout": slave, "stderr": slave, **streams},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        for fd in {self.master, self.slave} - {-1}:
            os.close(fd)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def look(self, seconds: float) -> None:
        """Take in what is shown within that time, or until something is."""
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.shown += os.read(self.master, 65536)
            except OSError:
                time.sleep(seconds)

    def await_text(self, text: bytes, seconds: float = 30) -> None:
        """Until the text is shown; what was shown before and including it is then forgotten."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"
            self.look(0.1)
        self.shown = self.shown.partition(text)[2]

    def await_end(self, seconds: float = 30) -> int:
        """The exit code; all that is shown until then is in `shown`."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running; shown: {self.shown!r}"
            self.look(0.01)
        while select.select([self.master], [], [], 0.05)[0]:
            self.look(0)
        return self.process.returncode

    def hang_up(self) -> None:
        """The window is closed."""
        os.close(self.master)
        os.close(self.slave)
        self.master = self.slave = -1

    @property
    def is_restored(self) -> bool:
        return termios.tcgetattr(self.slave) == self.settings
