"""What was done to a path -> what that makes it to the run, and the rule that says so.

The first rule that applies decides. Most are told by the directory alone, and are asked once for each directory.
Pure: what the disk says at the end is handed in as `Surroundings.look`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from typing import NamedTuple

from mltrack.git.exclusions import may_hold_secrets
from mltrack.nouns import noun
from mltrack.observe import Placed, Seen
from mltrack.observe.hidden import KEY, KEY_SIZES, NO_KEYS, SECRET_PLACE
from mltrack.observe.names import BYTECODE, CACHES, ENVIRONMENT_PARTS, LOCKS, TOOL_CACHES, TOOLS, suffix_of

INPUT, ARTIFACT, BOTH, LEFT_OUT = "input", "artifact", "both", "left out"

RULES: Mapping[str, str] = {
    "exclude": "left out: `observe.exclude` names it",
    "mltrack": "left out: mltrack's own",
    "device": "left out: a device, a socket, a pipe, or what the kernel shows as files",
    "git": "left out: git's own",
    "secret": "left out: its name, or what it begins with, says that it holds passwords or keys",
    "include": "data: `observe.include` names it",
    "declared": "recorded as what was declared",
    "system": "left out: part of the operating system",
    "environment": "left out: part of the environment, which is recorded as such",
    "cache": "left out: a tool's cache",
    "settings": "left out: a program's settings in the home directory",
    "not there": "left out: it was removed, and was never read or written",
    "listing": "left out: a directory that was only listed",
    "stand-in": "left out: only its name and size are known, of the run that this one repeats",
    "link": "left out: reached by a link that is code, and recorded by where that leads",
    "temporary": "left out: made by the run and gone at its end, or in a directory for temporary files",
    "untouched": "left out: opened for writing, but nothing was written",
    "unclear": "left out: what it is could not be found out",
    "intermediate": "an artifact: made by the run, and read by it later",
    "code": "left out: part of the code, which is kept whole",
    "library": "an input: a shared library from outside of the environment",
    "program": "an input: a program from outside of the environment that was executed",
    "data": "an input: it was read",
    "written": "an artifact: it was written",
    "rewritten": "an input as it was before, and an artifact as it is now: it was read, then written",
}
"""Name -> what it means, in the order in which they are asked."""

SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/etc", "/opt", "/var/lib", "/var/cache",
    "/var/log", "/snap", "/nix", "/gnu", "/boot", "/System", "/Library", "/Applications", "/private/etc",
    "/run/systemd", "/run/udev", "/run/dbus", "/run/NetworkManager", "/run/resolvconf", "/run/mount",
)  # fmt: skip
DEVICES = ("/dev", "/proc", "/sys")
CREDENTIALS = ("/run/secrets", "/run/credentials")
"""Where container engines and systemd put passwords for a service."""
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/private/tmp", "/private/var/folders")
HOME_CACHES = (
    ".cache",
    ".local/share/Trash",
    ".npm",
    ".ccache",
    ".cargo/registry",
    ".julia/logs",
    ".nv",
    "Library/Caches",
)
HOME_DATA = (
    ".keras/datasets", ".keras/models", ".mxnet", ".fastai", ".EasyOCR", ".insightface", ".torchvision", ".u2net",
    ".deepface", ".paddleocr", ".sklearn", ".seaborn-data", ".flair", ".stanza_resources", ".d4rl", ".minari",
)  # fmt: skip
"""Data that libraries keep among the settings."""
PYTHON_LIBRARY = re.compile(r"/lib(64)?/(python|pypy)[23]\.\d+(/|$)")
LIBRARY = re.compile(r"\.(so|dylib)(\.\d+)*$")
DVC = re.compile(r"/(\.dvc/(cache|tmp)|var/(tmp|cache)/dvc)(/|$)")


class Fact(NamedTuple):
    """What lies at a path at the end."""

    kind: str
    """`file`, `directory`, `link` (one that leads nowhere), `special`, `stand-in`; "" for nothing."""
    is_changed: bool = True
    """Its fields moved after the command's start."""
    real: str = ""
    """Where it lies, if a link leads there: its name says there what it is, too."""
    size: int = -1


ABSENT = Fact("")


@noun
class Surroundings:
    """What the rules know of the run's world. Paths are absolute and normal."""

    root: str
    look: Callable[[str], Fact]
    begins: Callable[[str], bytes] = lambda path: b""
    """The first bytes of a small file."""
    home: str = "/nonexistent"
    temporary: tuple[str, ...] = TEMPORARY
    environments: tuple[str, ...] = ()
    """Prefixes of interpreters, and directories of libraries of other languages."""
    own: tuple[str, ...] = ()
    """Directories of mltrack itself: the state of the project, `inside/`."""
    data: tuple[str, ...] = ()
    """Paths below those that are data all the same: `../data` of a copy of the project that lies there."""
    is_code: Callable[[str], bool] = lambda path: False
    """Is it in the captured tree, and what a person writes or tracks?"""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    """Declared paths and patterns. Metrics files are not among them: they are artifacts as others."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    was_there: Callable[[str], bool] = lambda path: False
    """Is a file that is gone known to have been there before the command?"""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Paths that were executed -> where they lie, links resolved."""
    tools: frozenset[str] = frozenset()
    """Directories in which programs are looked for by name (PATH)."""
    command: str = ""
    """The program of the command, if that was given by a path."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Paths that are recorded by another name."""


def place(seen: Seen, surroundings: Surroundings) -> Placed:
    """What a path is to the run. For many, make one `Placer`."""
    return Placer(surroundings).place(seen)


class Placer:
    """Places the paths of one run."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.world = surroundings
        self._directories: dict[str, str | None] = {}
        root = surroundings.root
        self._environments = tuple(
            place
            for place in surroundings.environments
            if place not in ("/", "/usr", "/usr/local", root, surroundings.home)
        )
        self._include = patterns(surroundings.include, surroundings)
        self._exclude = patterns(surroundings.exclude, surroundings)
        self._inputs = patterns(surroundings.inputs, surroundings)
        self._outputs = patterns(surroundings.outputs, surroundings)

    def place(self, seen: Seen) -> Placed:
        """What the path is to the run, and the rule that says so."""
        rule = self.rule_by_name(seen)
        is_included = rule == "include"
        if rule is not None and not is_included:
            return Placed(seen.path, LEFT_OUT, rule, seen)
        fact = self.world.look(seen.path)
        rule = self.rule_behind(fact) or self.rule_by_fact(seen, fact) or self.rule_of_use(seen, fact, is_included)
        made = MADE.get(rule, LEFT_OUT)
        if made != LEFT_OUT and self.is_key(seen.path, fact):
            rule, made = "secret", LEFT_OUT
        return Placed(seen.path, made, "include" if is_included and made != LEFT_OUT else rule, seen)

    def rule_by_name(self, seen: Seen) -> str | None:
        """The rule that the path alone calls for; None if what was done to it decides."""
        path = seen.path
        if self._exclude and matches(path, self._exclude):
            return "exclude"
        cut = path.rfind("/")
        parent, name = path[:cut] or "/", path[cut + 1 :]
        rule = self.known_rule(parent)
        if rule in FIRST and not (rule == "secret" and self.world.is_code(path)):
            return rule
        rule = None if rule == "secret" else rule
        if name == ".git":
            return "git"
        is_included = bool(self._include) and matches(path, self._include)
        if self.is_secret(path, name) and (is_included or rule not in ("system", "environment")):
            return "secret"
        if is_included:
            return "include"
        if self.is_declared(seen):
            return "declared"
        if rule is not None:
            return rule
        if name[:1] == "." and parent == self.world.home != self.world.root:
            return "settings"
        return "cache" if name.endswith(BYTECODE) or name in CACHES else None

    def is_secret(self, path: str, name: str) -> bool:
        """Does the name of a file say so? Not of code: that is in git already, and the run warns of it."""
        named = may_hold_secrets(name.encode("utf-8", "surrogateescape"))
        return (named or SECRET_PLACE.search(self.below_root(path)) is not None) and not self.world.is_code(path)

    def is_key(self, path: str, fact: Fact) -> bool:
        """Does a small file begin as a private key does?"""
        if fact.kind != "file" or fact.size not in KEY_SIZES or suffix_of(path) in NO_KEYS:
            return False
        return KEY in self.world.begins(path) and not self.world.is_code(path)

    def rule_behind(self, fact: Fact) -> str | None:
        """The rule that hides what a link leads to, whatever the link is called; None if there is none."""
        real = fact.real
        if not real:
            return None
        if self._exclude and matches(real, self._exclude):
            return "exclude"
        parent, _, name = real.rpartition("/")
        rule = self.known_rule(parent or "/")
        if name == ".git":
            return "git"
        is_hidden = rule in FIRST or self.is_secret(real, name)
        return None if not is_hidden or self.world.is_code(real) else rule if rule in FIRST else "secret"

    def below_root(self, path: str) -> str:
        """The part of a path below the root of the project, if it lies there: what the root is called says nothing."""
        return path[len(self.world.root) :] if is_below(path, self.world.root) else path

    def is_declared(self, seen: Seen) -> bool:
        """Is it a declared input? Or an output: one that was read before it was written is data as well."""
        if self._inputs and matches(seen.path, self._inputs):
            return True
        return bool(self._outputs) and not seen.is_read_first and matches(seen.path, self._outputs)

    def known_rule(self, directory: str) -> str | None:
        """`rule_of_directory`, asked once for each."""
        try:
            return self._directories[directory]
        except KeyError:
            rule = self._directories[directory] = self.rule_of_directory(directory)
            return rule

    def rule_of_directory(self, directory: str) -> str | None:
        """The rule for all that lies in a directory; None if there is none for all of it."""
        world = self.world
        in_root = is_below(directory, world.root)
        is_data = any(is_below(directory, place) or directory == place.rpartition("/")[0] for place in world.data)
        if not is_data and any(
            is_below(directory, own) and not (in_root and is_below(world.root, own)) for own in world.own
        ):
            return "mltrack"
        parts = directory[len(world.root) :].split("/") if in_root else directory.split("/")
        if ".git" in parts:
            return "git"
        if ".mltrack" in parts and not is_data:
            return "mltrack"
        if any(
            is_below(directory, place) for place in self._environments if not in_root or is_below(place, world.root)
        ):
            return "environment"
        if SECRET_PLACE.search("/".join(("", *parts))):
            return "secret"
        if not ENVIRONMENT_PARTS.isdisjoint(parts) or PYTHON_LIBRARY.search("/".join(("", *parts))):
            return "environment"
        rule = self.rule_of_place(directory, in_root)
        if rule is not None:
            return rule
        if not CACHES.isdisjoint(parts) or not TOOL_CACHES.isdisjoint(parts) or DVC.search("/".join(("", *parts))):
            return "cache"
        return None

    def rule_of_place(self, directory: str, in_root: bool) -> str | None:
        """The rule for a directory by where it lies: outside of the project, or in a home directory that is in it."""
        home = self.world.home
        if (not in_root or is_below(home, self.world.root)) and home != "/" and is_below(directory, home):
            return self.rule_at_home(directory[len(home) + 1 :])
        if in_root or any(is_below(directory, place) for place in self.world.temporary):
            return None
        directory = directory.removeprefix("/var") if is_below(directory, "/var/run") else directory
        if any(is_below(directory, place) for place in DEVICES):
            return "device"
        if any(is_below(directory, place) for place in CREDENTIALS):
            return "secret"
        return "system" if any(is_below(directory, place) for place in SYSTEM) else None

    def rule_at_home(self, below: str) -> str | None:
        """The rule for a directory in the home directory, given by its path below it."""
        if any(is_below(below, place) for place in HOME_CACHES):
            return "cache"
        if any(is_below(below, place) for place in HOME_DATA):
            return None
        return "settings" if below.startswith(".") else None

    def rule_by_fact(self, seen: Seen, fact: Fact) -> str | None:
        """The rule that what lies there at the end calls for; None for what is, or was, a file."""
        if fact.kind == "special":
            return "device"
        if fact.kind == "stand-in":
            return "stand-in"
        program = self.world.programs.get(seen.path)
        if program is not None and self.is_tool(seen.path):
            return "environment"
        if program is not None and program != seen.path:
            rule = self.rule_of_directory(program.rpartition("/")[0])
            if rule in ("system", "environment", "mltrack"):
                return rule
        if fact.kind == "directory" or not (seen.reads or seen.writes or seen.is_removed or seen.is_read_first):
            return "listing" if seen.path not in self.world.programs or fact.kind == "directory" else None
        return "link" if seen.path in self.world.aliases else None

    def rule_of_use(self, seen: Seen, fact: Fact, is_included: bool) -> str:
        """The rule for a file, by what the run did to it."""
        is_there = fact.kind != ""
        if seen.path.endswith(LOCKS) and self.is_temporary(seen.path) and not is_included:
            return "temporary"
        if seen.is_read_first:
            is_lost = not is_there and seen.before in (None, "-") and self.is_temporary(seen.path)
            return "temporary" if is_lost and not self.world.was_there(seen.path) else self.rule_of_read(seen, fact)
        is_own = seen.writes or seen.reads  # read, and not first: in a directory that the run made
        if is_own and (not is_there or (self.is_temporary(seen.path) and not is_included)):
            return "temporary"
        if seen.writes:
            if seen.updates and not fact.is_changed:
                return "untouched"
            return "intermediate" if seen.reads else "written"
        if seen.path in self.world.programs and is_there:
            return "code" if self.world.is_code(seen.path) else "program"
        return "not there" if not is_there else "data" if seen.reads else "listing"

    def rule_of_read(self, seen: Seen, fact: Fact) -> str:
        """The rule for a file that was there before the run wrote it, if it did."""
        path = seen.path
        is_written = seen.writes and fact.kind != "" and fact.is_changed
        if self.world.is_code(path):
            return "written" if is_written else "code"
        if is_written:
            return "rewritten"
        if path in self.world.programs:
            return "program"
        return "library" if LIBRARY.search(path) else "data"

    def is_tool(self, program: str) -> bool:
        """Does a program that was executed belong to the machine, as those do that are called by their names alone?"""
        if is_below(program, self.world.root):
            return False
        directory, _, name = program.rpartition("/")
        return name in TOOLS or (directory in self.world.tools and program != self.world.command)

    def is_temporary(self, path: str) -> bool:
        """Does it lie in a directory for temporary files? Not by the project's or the home directory's own place."""
        home, root = self.world.home, self.world.root
        return any(
            is_below(path, place)
            and not (is_below(root, place) and is_below(path, root))
            and not (is_below(home, place) and is_below(path, home))
            for place in self.world.temporary
        )


FIRST = frozenset(("mltrack", "device", "git", "secret"))
"""Rules of directories that come before what was declared."""

HIDDEN = FIRST | {"exclude"}
"""Rules of what is never kept, whatever else would have it kept."""

MADE: Mapping[str, str] = {
    "data": INPUT,
    "library": INPUT,
    "program": INPUT,
    "written": ARTIFACT,
    "intermediate": ARTIFACT,
    "rewritten": BOTH,
}


def is_below(path: str, directory: str) -> bool:
    """Is a path a directory, or below it? By their text."""
    return path.startswith(directory) and (
        len(path) == len(directory) or path[len(directory)] == "/" or directory.endswith("/")
    )


def patterns(given: tuple[str, ...], surroundings: Surroundings) -> tuple[str, ...]:
    """Patterns as absolute ones: relative to the root, `~` for the home directory."""
    found = []
    for pattern in given:
        pattern = pattern.rstrip("/") or "/"
        if pattern == "~" or pattern.startswith("~/"):
            pattern = surroundings.home + pattern[1:]
        elif not pattern.startswith(("/", "**/")):
            pattern = f"{surroundings.root}/{pattern.removeprefix('./')}" if pattern != "." else surroundings.root
        found.append(pattern)
    return tuple(found)


def matches(path: str, absolute: tuple[str, ...]) -> bool:
    """Is a path one of the patterns, or below one?"""
    return any(
        is_below(path, pattern) or fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")
        for pattern in absolute
    )
