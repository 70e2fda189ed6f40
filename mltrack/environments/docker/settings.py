"""The settings of a container, `environment:` in mltrack.yaml, checked: from plain options to a frozen `Settings`.

Looks at the disk only to see whether a Dockerfile is there. Speaks to no engine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import Any

from mltrack.errors import UsageError
from mltrack.nouns import noun
from mltrack.patterns import lazy

MODES = {"ro": True, "rw": False}
SPELLING = "HOST[:INSIDE[:ro]]"
REFERENCE = lazy(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]*")
ID = lazy(r"(sha256:)?[0-9a-f]{64}")
USER = lazy(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?")
VARIABLE = lazy(r"[^=\0]+")
PATH = lazy(r"[^\0\n]*")


@noun
class Mount:
    """A file or directory of this machine that is seen inside too."""

    source: str
    target: str
    read_only: bool = False


@noun
class Build:
    """An image that is built from a Dockerfile."""

    context: Path
    dockerfile: str
    """Below the context, with slashes."""
    args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None


@noun
class Gpus:
    """Which of the engine's GPUs are seen inside: `count` of them (-1: all), or those named."""

    count: int = 0
    devices: tuple[str, ...] = ()


@noun
class Settings:
    """How a container is made."""

    image: str | None = None
    """As the user wrote it."""
    pinned: str | None = None
    """The id of an image that is here: what `rebuild` brought back."""
    build: Build | None = None
    gpus: Gpus | None = None
    mounts: tuple[Mount, ...] = ()
    user: str = "caller"
    env: Mapping[str, str | None] = field(default_factory=dict)
    """None: passed on from outside, if it is set there."""
    at: str | None = None
    network: str | None = None
    shm_bytes: int | None = None
    entrypoint: tuple[str, ...] | None = None
    """None: the image's own."""


def read_settings(options: Mapping[str, Any], project: Path, home: str | None) -> Settings:
    """The checked settings. A build beats an image, and what is pinned beats both. Raises UsageError."""
    given = {key: value for key, value in options.items() if value is not None}
    if not {"image", "build", "pinned"} & set(given):
        raise UsageError(
            "The environment kind docker needs an image.",
            "Say which: --image python:3.11, or environment: {image: ...} or {build: ./Dockerfile} in mltrack.yaml.",
        )
    pinned = checked_text("pinned", given["pinned"], ID, "sha256:...") if "pinned" in given else None
    build = read_build(given["build"], project) if "build" in given and pinned is None else None
    return Settings(
        image=None if "build" in given else checked_text("image", given.get("image", pinned), REFERENCE, "python:3.11"),
        pinned=pinned,
        build=build,
        gpus=read_gpus(given["gpus"]) if "gpus" in given else None,
        mounts=tuple(read_mount(text, project, home) for text in listed("mounts", given.get("mounts", ()))),
        user=checked_text("user", str(given.get("user", "caller")), USER, "caller, root, image, 1000:1000"),
        env=read_variables(given.get("env", {})),
        at=read_at(given["at"]) if "at" in given else None,
        network=checked_text("network", given["network"], REFERENCE, "none") if "network" in given else None,
        shm_bytes=read_size(given["shm"]) if "shm" in given else None,
        entrypoint=read_entrypoint(given.get("options", {})),
    )


def wrong(key: str, value: object, example: str) -> UsageError:
    return UsageError(f"environment.{key}: {value!r} is not understood.", f"For example: {example}")


def checked_text(key: str, value: Any, pattern: Any, example: str) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise wrong(key, value, example)
    return value


def listed(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise wrong(key, value, f"[{SPELLING}]")
    return tuple(value)


def read_build(value: Any, project: Path) -> Build:
    """`./Dockerfile`, a directory that holds one, or a table; what is relative is below the project."""
    table = {"dockerfile": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or set(table) - {"context", "dockerfile", "args", "target"}:
        raise wrong("build", value, "./Dockerfile, or {context: ., dockerfile: Dockerfile, args: {A: b}}")
    name = str(table.get("dockerfile", "Dockerfile"))
    if "context" in table:
        context = project / str(table["context"])
        place = context / name
    else:
        place = project / name
        place = place / "Dockerfile" if place.is_dir() else place
        context = place.parent
    if not place.is_file():
        raise UsageError(f"environment.build: there is no file {place}.", "Name a Dockerfile.")
    context, below = context.resolve(), place.parent.resolve() / place.name
    if context not in below.parents:
        raise UsageError(f"environment.build: {name} lies outside of its context.", f"Move it below {context}.")
    args = table.get("args") or {}
    if not isinstance(args, Mapping):
        raise wrong("build.args", args, "{CUDA: 12.4}")
    target = table.get("target")
    given = {str(key): str(text) for key, text in args.items()}
    return Build(context, below.relative_to(context).as_posix(), given, None if target is None else str(target))


def read_gpus(value: Any) -> Gpus:
    """`all`, how many, or which: `device=0,2`, `0,2`, `GPU-3a23c669`, a list of these."""
    words = [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
    text = ",".join(words).removeprefix("device=")
    if text == "all":
        return Gpus(-1)
    if text.isdigit() and isinstance(value, (int, str)) and not isinstance(value, bool) and text == str(value):
        return Gpus(int(text))
    devices = tuple(word.strip() for word in text.split(","))
    if isinstance(value, bool) or not all(
        word and word.replace("-", "").replace(":", "").isalnum() for word in devices
    ):
        raise wrong("gpus", value, "all, 2 (how many), device=0,1 (which)")
    return Gpus(0, devices)


def read_mount(text: str, project: Path, home: str | None) -> Mount:
    """`HOST`, `HOST:INSIDE` or `HOST:INSIDE:ro`; HOST may be relative to the project, or begin with ~."""
    parts = text.split(":")
    if (
        PATH.fullmatch(text) is None
        or not 1 <= len(parts) <= 3
        or not parts[0]
        or (len(parts) == 3 and parts[2] not in MODES)
    ):
        raise wrong("mounts", text, SPELLING)
    source = parts[0]
    if source == "~" or source.startswith("~/"):
        source = (home or "/") + source[1:]
    path = os.path.normpath(project / source)
    target = parts[1] if len(parts) > 1 else path
    if not is_place(target):
        raise wrong("mounts", text, f"{SPELLING}, where INSIDE is an absolute path other than /")
    return Mount(path, target, len(parts) == 3 and MODES[parts[2]])


def is_place(path: str) -> bool:
    """An absolute path, not the root, without `..`."""
    return (
        PATH.fullmatch(path) is not None
        and path.startswith("/")
        and len(PurePosixPath(path).parts) > 1
        and ".." not in PurePosixPath(path).parts
    )


def read_at(value: Any) -> str:
    if not isinstance(value, str) or not is_place(value):
        raise wrong("at", value, "/code, an absolute path inside of the container")
    return str(PurePosixPath(value))


def read_variables(value: Any) -> dict[str, str | None]:
    if not isinstance(value, Mapping) or not all(VARIABLE.fullmatch(str(name)) for name in value):
        raise wrong("env", value, "{OMP_NUM_THREADS: 4}")
    variables = {str(name): None if text is None else str(text) for name, text in value.items()}
    if any("\0" in (text or "") for text in variables.values()):
        raise wrong("env", value, "{OMP_NUM_THREADS: 4}; a value holds no NUL")
    return variables


def read_size(value: Any) -> int:
    from mltrack.config import parse_size

    size = value if isinstance(value, int) and not isinstance(value, bool) else parse_size(value, "environment.shm")
    if size <= 0:
        raise wrong("shm", value, "2GiB")
    return int(size)


def read_entrypoint(value: Any) -> tuple[str, ...] | None:
    """`options: {entrypoint: ""}` goes without the image's own."""
    if not isinstance(value, Mapping) or set(value) - {"entrypoint"}:
        raise wrong("options", value, '{entrypoint: ""}')
    words = value.get("entrypoint")
    if words is None:
        return None
    if isinstance(words, str):
        return (words,) if words else ()
    return listed("options.entrypoint", words)
