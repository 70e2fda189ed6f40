"""Is what lies at a path what lay there when it was read? The fields of the file alone do not say.

A link on the way may lead elsewhere now, a directory may have taken another's place: the file found there has old
fields and other bytes. Each name on the way is looked at, and what the run did to each of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mltrack.operations.observing.surroundings import lies_at

if TYPE_CHECKING:
    from mltrack.operations.request import Place
    from mltrack.store.statcache import StatKey

CLOCK_STEP_NS = 10**7
"""A filesystem's clock goes in steps, of at most so much."""
SERVERS_STEP_NS = 60 * 10**9
"""So much may the clock of a file's server be off ours."""
MOST_LINKS = 40
"""What the kernel follows."""


class Way(NamedTuple):
    """How a path led to a file."""

    names: tuple[str, ...]
    """Every path that was gone through, links and directories, and where they lead."""
    links: tuple[tuple[str, int], ...]
    """The links among them, each with when it was made, in nanoseconds by the clock of its filesystem."""
    real: str
    """Where the file lies; "" if there is none."""


class Ways:
    """Finds ways; those to directories once each, so that it is made anew for each time of looking."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._directories: dict[str, Way] = {}

    def to(self, path: str) -> Way:
        """The way to what lies at a path as the command names it."""
        here = lies_at(self.place, path)
        parent, _, name = here.rpartition("/")
        above = self._directories.get(parent)
        if above is None:
            names = () if here == path else prefixes_of(path.rpartition("/")[0])
            above = way_to(parent)
            above = self._directories[parent] = above._replace(names=(*names, *above.names))
        if not above.real:
            return above
        place = f"{above.real.rstrip('/')}/{name}"
        try:
            is_link = stat.S_ISLNK(os.lstat(place).st_mode)
        except (OSError, ValueError):
            return Way(above.names, above.links, "")
        if not is_link:
            return Way(above.names, above.links, place)
        rest = way_to(place)
        return Way((*above.names, *rest.names), (*above.links, *rest.links), rest.real)


def way_to(path: str) -> Way:
    """The way to an absolute path, each link on it followed."""
    names: dict[str, None] = {}
    links: dict[str, int] = {}
    waiting = path.split("/")[::-1]
    now, steps = "", 0
    try:
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                now = now.rpartition("/")[0]
                continue
            following = f"{now}/{part}"
            names[following] = None
            found = os.lstat(following)
            if not stat.S_ISLNK(found.st_mode):
                now = following
                continue
            steps += 1
            if steps > MOST_LINKS:
                return Way(tuple(names), tuple(links.items()), "")
            links[following] = found.st_ctime_ns
            target = os.readlink(following)
            waiting += target.split("/")[::-1]
            now = "" if target.startswith("/") else now
    except (OSError, ValueError):
        return Way(tuple(names), tuple(links.items()), "")
    return Way(tuple(names), tuple(links.items()), now or "/")


def prefixes_of(path: str) -> tuple[str, ...]:
    """An absolute path and the directories above it."""
    found = []
    while path:
        found.append(path)
        path = path.rpartition("/")[0]
    return tuple(found)


class Disturbed:
    """What a run did to names of paths: of each when first and when last."""

    def __init__(self, *told: Mapping[str, tuple[int, int]]) -> None:
        self.times: dict[str, tuple[int, int]] = {}
        directories: dict[str, str] = {}
        for times in told:
            for path, (first, last) in times.items():
                parent, _, name = path.rpartition("/")
                if parent not in directories:
                    directories[parent] = os.path.realpath(parent or "/").rstrip("/")
                for place in {path, f"{directories[parent]}/{name}"}:
                    known = self.times.get(place, (first, last))
                    self.times[place] = (min(known[0], first), max(known[1], last))
        self._ways: dict[int, tuple[Way, list[tuple[int, int]]]] = {}

    def leads_there(self, path: str, way: Way, between: tuple[int, int], start_ns: int) -> bool:
        """Did a path lead to the same all the while between two times, as far as is known?"""
        at_ns, read_ns = between
        for link, made_ns in way.links:
            known = self.times.get(link)
            is_known = known is not None and known[1] + CLOCK_STEP_NS >= made_ns  # nobody else made it since
            if not (is_known or made_ns < start_ns or made_ns + CLOCK_STEP_NS < at_ns):
                return False
        if not self.times:
            return True
        times = (self.times.get(name) for name in (path, way.real, *way.names))
        return not any(one is not None and one[0] <= read_ns and one[1] > at_ns for one in times)


class Clocks:
    """Compares the times of files with ours: they are those of the machine that has the files."""

    def __init__(self, own: Path) -> None:
        """`own`: what the start of the run was told by lies here."""
        self._own = own
        self._own_device: int | None = None
        self._steps: dict[int, int] = {}

    def is_of_then(self, key: StatKey, at_ns: int, start_ns: int) -> bool:
        """Was a file so already when it was first touched, by its fields?"""
        step = self._steps.get(key.device)
        if step is None:
            step = self._steps[key.device] = self._step_of(key.device)
        is_foreign = step == SERVERS_STEP_NS and key.device != self._own_device
        return key.ctime_ns < start_ns - (step if is_foreign else 0) or key.ctime_ns + step < at_ns

    def _step_of(self, device: int) -> int:
        from mltrack.store.filesystems import mount_of_device

        if self._own_device is None:
            try:
                self._own_device = os.stat(self._own).st_dev
            except OSError:
                self._own_device = -1
        return SERVERS_STEP_NS if mount_of_device(device).is_network else CLOCK_STEP_NS
