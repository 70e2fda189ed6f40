"""The user's terminal: its size, raw mode, and who is in its foreground.

Every change is undone by the one who made it; `put_back` touches nothing when somebody else changed the terminal since.
"""

from __future__ import annotations

import os
from typing import Any

Settings = list[Any]


def is_foreground(terminal: int) -> bool:
    """May this process group use the terminal? True too for a terminal that does not control us."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return True


def copy_size(source: int, target: int) -> None:
    """Give one terminal the window size of another; the programs in its foreground get a SIGWINCH if it changed."""
    import fcntl
    import termios

    try:
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(target, termios.TIOCSWINSZ, size)
    except OSError:
        pass


def copy_settings(source: int, target: int, process_output: bool) -> None:
    """Give one terminal the settings of another; without `process_output`, newlines pass as they are."""
    import termios

    try:
        settings = termios.tcgetattr(source)
        if not process_output:
            settings[1] &= ~termios.OPOST
        termios.tcsetattr(target, termios.TCSANOW, settings)
    except termios.error:
        pass


def settings_of(terminal: int) -> Settings | None:
    import termios

    try:
        return termios.tcgetattr(terminal)
    except termios.error:
        return None


def raw_form(settings: Settings) -> Settings:
    """The settings that let every key and every byte through as it is."""
    import termios as t

    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = settings
    iflag &= ~(t.IGNBRK | t.BRKINT | t.PARMRK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL | t.IXON)
    lflag &= ~(t.ECHO | t.ECHONL | t.ICANON | t.ISIG | t.IEXTEN)
    cflag = cflag & ~(t.CSIZE | t.PARENB) | t.CS8
    characters = list(characters)
    characters[t.VMIN], characters[t.VTIME] = 1, 0
    return [iflag, oflag & ~t.OPOST, cflag, lflag, ispeed, ospeed, characters]


def make_raw(terminal: int, before: Settings) -> None:
    """Let every key through as a byte; `before` is what `settings_of` said."""
    import termios

    try:
        termios.tcsetattr(terminal, termios.TCSANOW, raw_form(before))
    except termios.error:
        pass


def put_back(terminal: int, before: Settings) -> None:
    """Undo `make_raw`, unless the settings are no longer those that it made: then a shell has seen to it."""
    import termios

    try:
        if termios.tcgetattr(terminal) == raw_form(before):
            termios.tcsetattr(terminal, termios.TCSANOW, before)
    except termios.error:
        pass


def processes_output(terminal: int) -> bool:
    """Does the terminal turn a newline into a return and a newline?"""
    import termios

    settings = settings_of(terminal)
    return settings is not None and bool(settings[1] & termios.OPOST)


def sends_interrupt(terminal: int, typed: bytes) -> bool:
    """Will the line discipline of a pseudo-terminal (given by its master) make a SIGINT of what was typed?"""
    import termios

    try:
        settings = termios.tcgetattr(terminal)
    except termios.error:
        return False
    return bool(settings[3] & termios.ISIG) and settings[6][termios.VINTR] in typed
