"""Does a program use random numbers, and does it set a seed? A look at the text of its own files.

Follows imports through the files of the project. Words are looked for, nothing is parsed or started: it runs before
every start of a command, so that it must be cheap, and may be wrong where a seed comes from a place of its own.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Sequence

from mltrack.nouns import noun

SOURCES = (".py", ".ipynb", ".r", ".rmd", ".jl")
LARGEST = 256 << 10
"""Bytes of one file that are looked at."""

PYTHON = (
    *(b"random.ra", b"random.sh", b"random.ch", b"random.sa", b"random.un", b"random.ga", b"random.no", b"random.be"),
    *(b"random.pe", b"random.de", b"random.ex", b"random.po", b"random.bi", b"from random ", b"import random as"),
    *(b"import torch", b"from torch", b"tensorflow", b"keras", b"train_test_split", b"KFold(", b"RandomForest"),
    *(b"ExtraTrees", b"KMeans", b"MLPClassifier", b"MLPRegressor", b"SGDClassifier", b"SGDRegressor", b"import gym"),
    *(b"from gym", b"stable_baselines"),
)
"""Uses of `random` and `numpy.random` by how their functions begin, so that a sentence on something random is none."""
R = (b"rnorm(", b"runif(", b"rbinom(", b"sample(", b"randomForest(", b"kmeans(")
JULIA = (b"rand(", b"randn(", b"shuffle(")
USES = {".py": PYTHON, ".ipynb": (*PYTHON, *R), ".r": R, ".rmd": R, ".jl": JULIA}
"""Suffix -> what shows that random numbers are used."""

SEEDED = (
    *(b"seed(", b"seed=", b"seed =", b"seed!(", b'seed"', b"seed'", b"seed:", b"seed_everything", b"--seed"),
    *(b"random_state", b"RandomState(", b"default_rng(", b"Generator(", b"MLTRACK_SEED"),
)
UNSEEDED = (b"default_rng()", b"seed()", b"seed=None", b"random_state=None", b"RandomState()")
"""These set none, though they look like it."""


@noun
class Randomness:
    """What the files of a program say of random numbers."""

    used_in: str | None
    """The first file that uses them."""
    is_seeded: bool
    is_whole: bool
    """Were all files looked at that the program imports from the project?"""

    @property
    def unseeded_in(self) -> str | None:
        """A file that uses random numbers of a program that sets no seed; None if there is none, or it is not sure."""
        return None if self.is_seeded or not self.is_whole else self.used_in


@noun
class Program:
    """Whose files to look at."""

    root: str
    cwd: str
    """Relative to the root, `.` for itself."""
    command: tuple[str, ...]
    files: Collection[bytes]
    """Those that git lists, relative to the top of the repository."""
    prefix: str = ""
    """The project's root below that, with a closing slash."""

    def has(self, path: str) -> bool:
        return os.fsencode(self.prefix + path) in self.files


def look(program: Program, most: int) -> Randomness:
    """Look at up to `most` files, beginning with the scripts that the command names."""
    pending = list(dict.fromkeys(scripts(program)))
    seen: set[str] = set()
    used_in: str | None = None
    while pending and len(seen) < most:
        name = pending.pop(0)
        if name in seen:
            continue
        seen.add(name)
        text = code_of(os.path.join(program.root, name))
        suffix = posixpath.splitext(name)[1].lower()
        if is_seeded(text):
            return Randomness(used_in or name, True, True)
        if used_in is None and any(word in text for word in USES[suffix]):
            used_in = name
        if suffix == ".py":
            pending += [found for found in imports(text, name, program) if found not in seen]
    return Randomness(used_in, False, not pending)


def scripts(program: Program) -> Iterator[str]:
    """The files of source code that a command names: as paths, or as modules after `-m`."""
    for at, word in enumerate(program.command):
        below = posixpath.normpath(posixpath.join(program.cwd, word))
        if word.startswith("/"):
            below = os.path.relpath(word, program.root)
        if word.lower().endswith(SOURCES) and program.has(below):
            yield below
        elif at and program.command[at - 1] == "-m":
            path = word.replace(".", "/")
            ends = (f"{path}.py", f"{path}/__main__.py")
            yield from first(ends, (program.cwd, "", "src"), program)


def code_of(path: str) -> bytes:
    """The beginning of a file, without lines that are comments; nothing where it cannot be read."""
    text = beginning(os.fsencode(path), LARGEST)
    if b"#" not in text:
        return text
    return b"\n".join(line for line in text.split(b"\n") if not line.lstrip().startswith(b"#"))


def beginning(path: bytes, size: int) -> bytes:
    """The first bytes of a regular file; nothing of anything else. A pipe in a file's place must not hold us."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, size) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


def is_seeded(text: bytes) -> bool:
    """Does it set a seed, or take one?"""
    if not any(word in text for word in SEEDED):
        return False
    for word in UNSEEDED:
        text = text.replace(word, b"")
    return any(word in text for word in SEEDED)


def imports(text: bytes, name: str, program: Program) -> Iterator[str]:
    """The files of the project that a Python file imports."""
    here = posixpath.dirname(name)
    for line in text.split(b"\n"):
        if b"import" not in line:
            continue
        words = os.fsdecode(line).replace(",", " ").replace("(", " ").replace(")", " ").split()
        if len(words) < 2 or words[0] not in ("import", "from"):
            continue
        module = words[1]
        dots = len(module) - len(module.lstrip("."))
        places: tuple[str, ...] = (here, "", "src")
        if dots:
            places = (posixpath.normpath(posixpath.join(here, *[".."] * (dots - 1))),)
        for path in named(words, module.lstrip(".")):
            yield from first((f"{path}.py", f"{path}/__init__.py"), places, program)


def named(words: Sequence[str], module: str) -> Iterator[str]:
    """The paths that an import statement may mean: the module, and for `from a import b` also `a/b`."""
    path = module.replace(".", "/")
    if words[0] == "import":
        yield from (word.replace(".", "/") for word in words[1:])
        return
    if path:
        yield path
    yield from (posixpath.join(path, word) for word in words[3:])


def first(ends: Sequence[str], places: Sequence[str], program: Program) -> Iterator[str]:
    """The first of the paths that is a file of the project."""
    for place in places:
        for end in ends:
            path = posixpath.normpath(posixpath.join(place, end))
            if program.has(path):
                yield path
                return
