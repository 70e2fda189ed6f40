"""What a command sees inside of its container: mounts, user, home, variables; as the engine's API wants them.

The project is there under one path, mltrack's own few directories under the paths that they have here. Of this
machine's variables nothing enters but those of the run, those that move numbers, and those that the settings name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mltrack.environments.numbers import LOCAL, moving_numbers
from mltrack.errors import UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Request, StartRequest
    from mltrack.environments.docker.engine import Engine
    from mltrack.environments.docker.settings import Settings

INSIDE = Path(__file__).parents[2] / "inside"
"""What `import mltrack` finds inside of a run."""

STAYS_OUT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "VIRTUAL_ENV", "PYTHONHOME")
STAYS_OUT_STARTS = ("LD_", "DYLD_", "CONDA_", "XDG_", "DOCKER_", *LOCAL)
"""Variables of this machine that would be wrong in another file system, even where the run sets them here."""

NO_HOME = "/tmp"
NOBODY = "user"
"""The name of a user that the image has none for: programs that ask for one fail otherwise."""


@noun
class Place:
    """Where the project lies, here and inside."""

    root: Path
    at: str

    def inside(self, path: Path) -> str | None:
        """A path of this machine as it is inside of the mounted project; None if it is not part of that."""
        for root, place in ((self.root, path), (self.root.resolve(), path.resolve())):
            if place == root or root in place.parents:
                return str(PurePosixPath(self.at, place.relative_to(root).as_posix()))
        return None


@noun
class Person:
    """Who a command is inside."""

    user: str | None
    """None: whom the image says."""
    groups: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def find_place(request: StartRequest, settings: Settings) -> Place:
    root = request.request.project or request.request.cwd
    if root == Path(root.anchor):
        raise UsageError(
            "A project at / cannot be mounted in a container.", "Move it to a directory, or set environment.at."
        )
    return Place(root, settings.at or str(root))


# -- mounts


def mounts_of(request: StartRequest, settings: Settings, place: Place) -> list[dict[str, Any]]:
    """The project first; then what it does not hold. Raises UsageError for a mount whose source is not here."""
    mounts = [mount(str(place.root), place.at)]
    for path, is_fixed in ((request.run_dir, False), (INSIDE, True), *((path, True) for path in request.reads)):
        if place.inside(path) != str(path) and not any(str(path) == known["Target"] for known in mounts):
            mounts.append(mount(str(path), str(path), is_fixed))
    mounts += [mount(asked.source, asked.target, asked.read_only) for asked in settings.mounts]
    known_targets = [known["Target"] for known in mounts]
    return mounts + [
        mount(str(source), target, is_fixed=True)
        for target, source in request.binds.items()
        if not is_seen(target, source, known_targets, place)
    ]


def is_seen(target: str, source: Path, known: Iterable[str], place: Place) -> bool:
    """Is a path seen inside without a mount of its own? What the settings mount there comes first; below one of their
    mounts an engine would have to make a place in the user's directory."""
    if place.inside(Path(target)) == target:
        return os.path.exists(target) and os.path.samefile(target, source)
    return any(PurePosixPath(target).is_relative_to(mounted) for mounted in known)


def mount(source: str, target: str, is_fixed: bool = False) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": is_fixed}


def check_mounts(settings: Settings, address: str) -> None:
    """Raise UsageError for a source that is not there, where the engine sees this machine's files."""
    for asked in settings.mounts:
        if address.startswith("unix:") and not os.path.exists(asked.source):
            raise UsageError(f"environment.mounts: there is no {asked.source}.", "Make it, or mount something else.")


def unrecorded(request: StartRequest, settings: Settings, place: Place) -> list[str]:
    """The sources of mounts whose content is part of neither the project nor the declared inputs."""
    known = [place.root.resolve(), *(path.resolve() for path in request.reads)]
    return [
        asked.source
        for asked in settings.mounts
        if not any(path == Path(asked.source) or path in Path(asked.source).resolve().parents for path in known)
    ]


# -- the user


def find_person(engine: Engine, image: Mapping[str, Any], settings: Settings, asked: Request) -> Person:
    """The user that the settings ask for, with a home that it can write to. Raises EnvironmentFailed."""
    user = settings.user
    groups: tuple[str, ...] = ()
    if user == "image":
        return Person(None)
    if user in ("root", "caller") and (user == "root" or engine.has_security("rootless")):
        user = "0:0"  # a rootless engine's root is the caller
    elif user == "caller":
        user, groups = f"{os.getuid()}:{os.getgid()}", tuple(str(group) for group in own_groups())
    number = user.partition(":")[0]
    if not number.isdigit() or int(number) == 0:
        return Person(user, groups)
    return Person(user, groups, home_variables(engine, image, int(number), asked))


def own_groups() -> list[int]:
    return sorted(set(os.getgroups()) - {os.getgid()})


def home_variables(engine: Engine, image: Mapping[str, Any], uid: int, asked: Request) -> dict[str, str]:
    """HOME, and USER where the image has no name for the user; nothing where the image's own are right."""
    from mltrack.environments.docker.asides import aside
    from mltrack.environments.docker.notes import remembered

    identity = str(image["Id"])
    given = dict(pairs((image.get("Config") or {}).get("Env") or ())).get("HOME")
    config = {"Image": identity, "Cmd": ["-"]}

    def look() -> tuple[str | None, str | None]:
        with aside(engine, asked.variables, config) as container:
            return look_up(engine, container, uid, given)

    name, home = remembered(asked.cache, identity, ["home", uid, given], look)
    variables = {} if home else {"HOME": NO_HOME}
    return variables if name else {**variables, "USER": NOBODY, "LOGNAME": NOBODY}


def look_up(engine: Engine, container: str, uid: int, given: str | None) -> tuple[str | None, str | None]:
    """Name of a user in a container, which need not run, and its home if it may write there."""
    name, home = passwd_entry(engine.beginning_of(container, "/etc/passwd", 1 << 20), uid)
    home = given or home
    head = engine.beginning_of(container, home, 512) if home else None
    return name, home if head and may_write(head, uid) else None


def passwd_entry(archive: bytes | None, uid: int) -> tuple[str | None, str | None]:
    """(name, home) of a user, from a tar of /etc/passwd."""
    import io
    import tarfile

    if archive is None:
        return None, None
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            member = tar.next()
            file = tar.extractfile(member) if member is not None and member.isreg() else None
            text = file.read().decode(errors="replace") if file is not None else ""
    except tarfile.TarError:
        return None, None
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) > 5 and fields[2] == str(uid):
            return fields[0], fields[5] or None
    return None, None


def may_write(head: bytes, uid: int) -> bool:
    """May a user write to the directory that a tar begins with?"""
    import tarfile

    try:
        member = tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return member.isdir() and bool(member.mode & (0o200 if member.uid == uid else 0o002))


# -- variables


def variables_of(
    request: StartRequest, settings: Settings, place: Place, image: Mapping[str, Any], person: Person
) -> dict[str, str]:
    """All variables that are set on top of the image's."""
    outside = request.request.variables
    numbers = moving_numbers(outside)
    if settings.gpus is not None and settings.gpus.count != -1:
        numbers.pop("CUDA_VISIBLE_DEVICES", None)  # inside, the chosen ones count from 0
    own = {name: text for name, text in request.own.items() if may_enter(name)}
    given = {name: outside.get(name) if text is None else text for name, text in settings.env.items()}
    chosen = {name: text for name, text in given.items() if text is not None}
    its = dict(pairs((image.get("Config") or {}).get("Env") or ()))
    variables = {**numbers, **own, **person.variables, **chosen}
    variables["PYTHONPATH"] = python_path(request.own.get("PYTHONPATH", ""), place, chosen, its)
    return variables


def may_enter(name: str) -> bool:
    return name not in STAYS_OUT and not name.startswith(STAYS_OUT_STARTS)


def pairs(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`NAME=text` -> (NAME, text)."""
    for text in texts:
        name, _, value = text.partition("=")
        yield name, value


def python_path(own: str, place: Place, chosen: Mapping[str, str], its: Mapping[str, str]) -> str:
    """mltrack's `inside/`, what is there of the user's path in the project, and the settings' or the image's."""
    paths = [str(INSIDE)]
    for part in own.split(os.pathsep):
        below = place.inside(Path(part)) if os.path.isabs(part) else part
        if below and part != str(INSIDE):
            paths.append(below)
    last = chosen.get("PYTHONPATH", its.get("PYTHONPATH", ""))
    return ":".join(dict.fromkeys([*paths, *(part for part in last.split(":") if part)]))
