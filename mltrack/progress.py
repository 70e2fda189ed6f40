"""How far a long piece of work is, in bytes: told by the rooms that do it, drawn by whoever wants to.

A room takes any function of the bytes done since its last call; `expect` tells the ones that can show a part of a
whole how much more is coming.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

Progress = Callable[[int], None]
"""Called with the bytes done since its last call; from any thread."""


class Drawn(Protocol):
    """What draws: see `views/progress.py`."""

    def __call__(self, size_bytes: int) -> None: ...

    def expect(self, size_bytes: int) -> None: ...

    def close(self) -> None: ...


def expect(progress: Progress | None, size_bytes: int) -> None:
    """Say that so many bytes more will come."""
    more = getattr(progress, "expect", None)
    if more is not None:
        more(size_bytes)


class Work:
    """Work that begins unseen, beside a command that has the terminal, and is drawn once `reveal` is called."""

    def __init__(self) -> None:
        self.draw: Callable[[], Drawn] | None = None
        """Makes what draws; without it nothing is."""
        self.say: Callable[[str], None] | None = None
        """Says a sentence to the person; without it nothing is said."""
        self._sentence = ""
        self._is_revealed = False
        self._drawn: Drawn | None = None
        self._expected = self._done = 0
        self._turn = threading.Lock()

    def expect(self, size_bytes: int) -> None:
        with self._turn:
            self._expected += size_bytes
            if self._drawn is not None:
                self._drawn.expect(size_bytes)

    def __call__(self, size_bytes: int) -> None:
        with self._turn:
            self._done += size_bytes
            if self._drawn is not None:
                self._drawn(size_bytes)

    def tell(self, sentence: str) -> None:
        """What is being done now that is not measured in bytes; said once it is seen. An empty one: it is done."""
        with self._turn:
            self._sentence = sentence
            self._speak()

    def _speak(self) -> None:
        if self._is_revealed and self._sentence and self.say is not None:
            self.say(self._sentence)
            self._sentence = ""

    def reveal(self) -> None:
        """The terminal is free: draw what is left to do."""
        with self._turn:
            self._is_revealed = True
            self._speak()
            if self.draw is not None and self._drawn is None:
                self._drawn = self.draw()
                self._drawn.expect(self._expected - self._done)

    def close(self) -> None:
        with self._turn:
            if self._drawn is not None:
                self._drawn.close()
                self._drawn = None
            self.draw = None
