"""Why a line of an import cannot be taken over."""

from __future__ import annotations


class Refused(Exception):
    """A record that cannot be taken over: the reason goes on a sentence that names the line, the hint is one."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
