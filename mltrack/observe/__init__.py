"""While a run lives: which files it opens, writes and renames, what it asks of the network, what it uses.

Four sources watch, each for what the others miss; all but `directories` write into one journal:

    library      a preloaded C library (`preload.c`): what goes through the C library, Python's own opens too
    hook         Python's audit events (`inside/_mltrack_watch.py`): URLs; and files where the library is not
    directories  inotify on the project (`directories.py`): for programs that neither can enter; tells no process
    trace        strace, on request (`trace.py`): every process, at a price

Data flows one way: sources -> journal (`journal.py`) -> what was done to each path (`folding.py`) -> what that makes it
(`rules.py`). Only `operations/observing/sources.py` knows a project. Nothing here changes what a program does or sees.

The journal is `<run directory>/observed/<host>.log`; `MLTRACK_OBSERVE` names the directory. A line an event, each
written by one call to a file opened for appending, in the order of what happened:

    LETTER PID NANOSECONDS TAB PATH [TAB PATH OR TEXT] NEWLINE

NANOSECONDS are those of CLOCK_REALTIME. Paths are raw bytes, absolute, not resolved; in them a backslash, a tab and a
newline stand as `\\\\`, `\\t` and `\\n`. A process tells of the same thing once. Letters:

    r  opened for reading                          l  a link (hard or symbolic) was made at PATH
    w  made, or opened for writing and emptied     s  a directory was listed
    u  an existing file opened to change it: what  b  before the first write that we saw, PATH was copied to
       was in it counts (r+, a, a database)           `observed/before/TEXT`; TEXT is `-` where it could not be
    m  renamed: from PATH to the second PATH       p  this process is watched by the library; PATH is its program
    d  removed; TEXT `/` if it is a directory      h  this process is watched by the hook; PATH is its interpreter
    n  PATH is a URL, or `tcp://host:port`         x  PATH is executed next and cannot be watched (static, set-uid)
    k  a directory was made
    !  the rest of this process is not told: TEXT  i  a Python that was started without the hook in it (-I, -E, -S)

TEXT of `b` is `NAME CTIME_NS`: the copy's name, and when what was copied had last been changed (its ctime, asked just
before), for it may have been changed between the read and the copy. The size of `observed/kept` in bytes is the sum of
what the processes of the run keep in `before/`, in units of 4 KiB.
"""

from __future__ import annotations

from typing import NamedTuple

SOURCES = ("library", "hook", "directories", "trace")
DIRECTORY = "observed"
"""Below the run directory."""
BEFORE = "before"
"""Below that: contents of files before they were changed."""
VARIABLE = "MLTRACK_OBSERVE"
HOOK = "MLTRACK_HOOK"
"""`off` where the settings leave the hook out, and the library is to tell all the same."""

COPY_LIMIT = 64 << 20
"""Bytes of a file up to which it is copied before it is changed, where it cannot be cloned at no cost."""


class Event(NamedTuple):
    """One line of a journal."""

    letter: str
    pid: int
    at_ns: int
    path: str
    other: str = ""
    """The second path or text."""


class Seen(NamedTuple):
    """What was done to one path, by everything that watched."""

    path: str
    """Absolute, normalised, not resolved."""
    reads: bool = False
    writes: bool = False
    updates: bool = False
    """It was changed, not made new: what was in it before counts."""
    is_read_first: bool = False
    """It was read, or opened to be changed, before anything of this run wrote it."""
    is_removed: bool = False
    """The last that was done to it was to remove it, or rename it away."""
    before: str | None = None
    """The name in `observed/before/` of what was in it before it was changed; `-` where that could not be kept."""
    pids: frozenset[int] = frozenset()
    at_ns: int = 0
    """When it was first touched."""


class Placed(NamedTuple):
    """What a path is to a run, and the rule that says so."""

    path: str
    made: str
    """`input`, `artifact`, `both` (read, then changed), or `left out`."""
    rule: str
    """A name of `rules.RULES`."""
    seen: Seen
