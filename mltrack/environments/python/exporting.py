"""A lock as a text for other programs: `pylock.toml`, `requirements.txt`, `environment.yml`, a `Dockerfile`.

What such a file cannot name stands in it as a comment that says why, so that nothing is silently missing. Relative
paths in it (`wheels/`, `sources/`) are those of `companions`: files that were kept with the run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.environments.python.distributions import Distribution, by_name
from mltrack.environments.python.indexes import default_index
from mltrack.environments.python.listing import PROBLEMS, all_hashes
from mltrack.environments.python.lock import SOURCES, WHEELS, Lock, load_toml, read_lock
from mltrack.errors import Damaged, EnvironmentFailed
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.environments import Recorded

HASHED, UNHASHED = "requirements.txt", "requirements-unhashed.txt"
HOLLOW = {
    **PROBLEMS,
    "project": "the project's own code",
    "outside": "a directory that is kept with the run",
    "file": "a local file",
}
"""Source -> why a distribution cannot be named, where it cannot."""


@noun
class Line:
    """How a requirements file names a distribution, or, as a comment, why it cannot."""

    text: str
    is_hashed: bool = False
    is_comment: bool = False


def export_lock(recorded: Recorded, format: str) -> str:
    """The text. Raises EnvironmentFailed if there is no lock, Damaged."""
    lock, kept = lock_of(recorded), kept_wheels(recorded)
    if format == "pylock":
        return pylock(recorded.lock or b"", lock, kept, recorded.tell)
    write = {"requirements": requirements, "conda": conda, "dockerfile": dockerfile}[format]
    text = write(lock, kept)
    if not all(line.isprintable() for line in text.encode("utf-8", "replace").decode().split("\n")):
        raise Damaged("The lock of this environment names something with control characters.", "Run `mltrack verify`.")
    return text


def companions_of(recorded: Recorded, format: str) -> Mapping[str, bytes | Path]:
    """The files that an export names, by relative path."""
    lock, kept = lock_of(recorded), kept_wheels(recorded)
    found: dict[str, bytes | Path] = {}
    if format != "conda":
        found |= {f"{WHEELS}/{name}": path for name, path in kept.items()}
    if format in ("pylock", "dockerfile"):
        found |= kept_sources(recorded, lock)
    if format == "dockerfile":
        hashed, unhashed, _ = parted(lock, kept)
        found |= {name: text.encode() for name, text in ((HASHED, hashed), (UNHASHED, unhashed)) if text}
    return found


def lock_of(recorded: Recorded) -> Lock:
    if recorded.lock is None:
        raise EnvironmentFailed(
            "There is no lock of this environment, so that it cannot be exported.",
            "It was not captured; see the run's warnings: mltrack show RUN",
        )
    return read_lock(recorded.lock)


def kept_wheels(recorded: Recorded) -> dict[str, Path]:
    """The wheels that the lock says are kept: file name -> where it lies now."""
    names = [found.stored for found in lock_of(recorded).distributions if found.stored]
    place = recorded.lay_out(WHEELS) if names else None
    return {} if place is None else {name: place / name for name in names if (place / name).is_file()}


def kept_sources(recorded: Recorded, lock: Lock) -> dict[str, Path]:
    """Every file of the directories that are kept: path below `sources/`, with that in front -> where it lies now."""
    names = [found.tree for found in lock.distributions if found.tree]
    place = recorded.lay_out(SOURCES) if names else None
    if place is None:
        return {}
    top = place.resolve()
    files = (path for name in names for path in sorted((place / name).rglob("*")) if is_file_within(path, top))
    return {f"{SOURCES}/{path.relative_to(place).as_posix()}": path for path in files}


def is_file_within(path: Path, top: Path) -> bool:
    """Is this a file, and none that a link brings from elsewhere?"""
    return path.is_file() and path.resolve().is_relative_to(top)


def pylock(text: bytes, lock: Lock, kept: Mapping[str, Path], tell: Callable[[str], None]) -> str:
    """The lock in the standard form, without what only mltrack reads."""
    import tomli_w

    document = load_toml(text.decode())
    document.pop("tool", None)
    own = {found.name for found in lock.distributions if found.source == "project"}
    named = [one for one in document["packages"] if one["name"] not in own]
    packages = [package for one in named if (package := portable(one, kept)) is not None]
    document["packages"] = packages
    present = {package["name"] for package in packages}
    absent = [found for found in lock.distributions if found.name not in present]
    local = sorted({package["name"] for package in packages if is_local(package)})
    lines = [*title(lock), "Install it with: uv pip sync THIS_FILE"]
    if local:
        lines.append(f"Only the machine that it was made on has the files of: {', '.join(local)}")
    lines += [f"Not in here: {comment_of(found)}" for found in absent]
    uncertain = sum(1 for found in absent if found.source in ("index", "url"))
    if uncertain:
        tell(
            f"{uncertain} of {len(lock.distributions)} packages have no hash and cannot stand in a pylock.toml; "
            "get them with `mltrack env lock`, or use --format requirements"
        )
    return commented(lines) + "\n" + tomli_w.dumps(document)


def portable(package: dict[str, Any], kept: Mapping[str, Path]) -> dict[str, Any] | None:
    """A package without files that are nowhere; None if nothing is left of it."""
    if "wheels" not in package and "sdist" not in package:
        return package if {"vcs", "archive", "directory"} & package.keys() else None
    wheels = [file for file in package.get("wheels", ()) if "url" in file or file["name"] in kept]
    sdist = package.get("sdist", {})
    rest = {key: value for key, value in package.items() if key not in ("wheels", "sdist")}
    if "url" in sdist:
        rest["sdist"] = sdist
    if wheels:
        rest["wheels"] = wheels
    return rest if wheels or "sdist" in rest else None


def is_local(package: dict[str, Any]) -> bool:
    files = [*package.get("wheels", ()), package.get("sdist", {}), package.get("archive", {})]
    return bool(files) and any(str(file.get("url", "")).startswith("file:") for file in files)


def requirements(lock: Lock, kept: Mapping[str, Path]) -> str:
    """A requirements file with every hash of the lock."""
    hashed, unhashed, comments = parted(lock, kept)
    head = [*title(lock), "Install it with: pip install --no-deps -r THIS_FILE    (or with uv: uv pip install ...)"]
    if hashed and unhashed:
        head.append("Some have no hash, which pip does not take beside those that have one; uv does.")
    parts = [commented(head), hashed, unhashed and f"# Without hashes:\n{unhashed}", commented(comments)]
    return "\n".join(part for part in parts if part)


def parted(lock: Lock, kept: Mapping[str, Path]) -> tuple[str, str, list[str]]:
    """What is named with hashes, what without, and what cannot be named, each in the order of names."""
    lines = [line_of(found, kept) for found in sorted(lock.distributions, key=by_name)]
    options = "".join(f"--extra-index-url {index}\n" for index in other_indexes(lock))
    places = f"--find-links {WHEELS}\n" if kept else ""
    hashed = "".join(f"{line.text}\n" for line in lines if line.is_hashed)
    unhashed = "".join(f"{line.text}\n" for line in lines if not (line.is_hashed or line.is_comment))
    return (
        options + places + hashed if hashed else "",
        (options if not hashed else "") + unhashed if unhashed else "",
        [line.text for line in lines if line.is_comment],
    )


def line_of(found: Distribution, kept: Mapping[str, Path]) -> Line:
    """How a requirements file names this distribution."""
    pinned = f"{found.name}=={found.version}"
    if found.source == "vcs":
        return Line(f"{found.name} @ {found.url}")
    if found.source == "url":
        return Line(*with_hashes(f"{found.name} @ {found.url}", [found.sha256] if found.sha256 else []))
    if found.source in ("index", "file") and found.stored is not None and found.stored in kept:
        return Line(*with_hashes(pinned, [*all_hashes(found), sha256_of(kept[found.stored])]))
    if found.source == "index":
        return Line(*with_hashes(pinned, all_hashes(found)))
    return Line(comment_of(found), is_comment=True)


def comment_of(found: Distribution) -> str:
    """Why it is not named, and what to do."""
    what = f"{found.name}=={found.version}" if found.version else found.name
    why = HOLLOW.get(found.source, "no file of it is known")
    if found.source == "project":
        below = "" if found.place in (None, ".") else f"/{found.place}"
        return f"{what}: {why}; in its root: pip install --no-deps {'-e ' if found.is_editable else ''}.{below}"
    if found.source == "outside":
        return f"{what}: {why if found.tree else PROBLEMS['outside']}"
    if found.source == "file" and found.url:
        return f"{what}: {why}, {found.url}" + (f", sha256 {found.sha256}" if found.sha256 else "")
    if found.source == "index" and found.hashes:
        why = "its hashes are known, but not its files"
    return f"{what}: {why}"


def with_hashes(requirement: str, hashes: list[str]) -> tuple[str, bool]:
    lines = [requirement, *(f"    --hash=sha256:{sha256}" for sha256 in sorted(set(hashes)))]
    return " \\\n".join(lines), bool(hashes)


def sha256_of(path: Path) -> str:
    from hashlib import sha256

    state = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def other_indexes(lock: Lock) -> list[str]:
    """The indexes that another machine must be told of: not the one that most come from, which is the user's to set,
    unless it has local versions (`2.1+cpu`), which no other index has."""
    found = [(one.index, "+" in one.version) for one in lock.distributions if one.source == "index" and one.index]
    counts = Counter(index for index, _ in found)
    usual = {index for index, _ in counts.most_common(1)} - {index for index, is_special in found if is_special}
    passed = usual | {index for index in counts if index.rstrip("/") == default_index() or index.startswith("file:")}
    return sorted(counts.keys() - passed)


def conda(lock: Lock, kept: Mapping[str, Path]) -> str:
    """An `environment.yml`: the interpreter from conda, everything else by pip."""
    lines = [line_of(found, {}) for found in sorted(lock.distributions, key=by_name)]
    named = [line.text.partition(" \\\n")[0] for line in lines if not line.is_comment]
    comments = [line.text for line in lines if line.is_comment]
    head = [*title(lock), "Make it with: conda env create -n NAME -f THIS_FILE", "Hashes: see the format requirements."]
    text = commented(head) + "channels:\n  - conda-forge\ndependencies:\n"
    text += f"  - {'pypy' if lock.implementation == 'pypy' else 'python'}={lock.python}\n"
    if lock.implementation.endswith("+freethreaded"):
        text += "  - python-freethreading\n"
    options = [f"--extra-index-url {index}" for index in other_indexes(lock)]
    if named:
        text += "  - pip\n  - pip:\n" + "".join(f"    - {json.dumps(line)}\n" for line in [*options, *named])
    return text + commented(comments)


def dockerfile(lock: Lock, kept: Mapping[str, Path]) -> str:
    """A Dockerfile that builds the environment in the directory of its companions."""
    hashed, unhashed, comments = parted(lock, kept)
    minor = ".".join(lock.python.split(".")[:2])
    image = f"pypy:{minor}-slim" if lock.implementation == "pypy" else f"python:{lock.python}-slim"
    head = [*title(lock), "Build it in this directory: docker build -t NAME .", "The image's Python is another build."]
    if lock.implementation not in ("cpython", "pypy"):
        head.append(f"No official image has {lock.implementation}: this one does not.")
    parts = [f"{commented(head)}FROM {image}\nWORKDIR /environment"]
    copied = [f"COPY {WHEELS}/ {WHEELS}/\n" if kept else "", "RUN pip install --no-cache-dir --no-deps"]
    if hashed:
        parts.append(f"COPY {HASHED} .\n{copied[0]}{copied[1]} --require-hashes -r {HASHED}")
    if unhashed:
        if "git+" in unhashed:
            tool = "apt-get install -y --no-install-recommends git"
            parts.append(f"RUN apt-get update && {tool} && rm -rf /var/lib/apt/lists/*")
        parts.append(f"# By commit, or without a hash:\nCOPY {UNHASHED} .\n{copied[1]} -r {UNHASHED}")
    trees = {found.name: found.tree for found in lock.distributions if found.source == "outside" and found.tree}
    if trees:
        places = " ".join(f"./{SOURCES}/{tree}" for tree in sorted(trees.values()))
        names = ", ".join(sorted(trees))
        parts.append(
            f"# Directories that were kept with the run: {names}.\nCOPY {SOURCES}/ {SOURCES}/\n{copied[1]} {places}"
        )
    comments = [text for text in comments if not text.endswith(HOLLOW["outside"])]
    if comments:
        parts.append(commented(["Not in this image:", *comments]).rstrip("\n"))
    return "\n\n".join(parts) + "\n"


def title(lock: Lock) -> list[str]:
    where = f", {lock.platform}" if lock.platform else ""
    return [f"An environment that mltrack recorded: {lock.implementation} {lock.python}{where}."]


def commented(lines: list[str]) -> str:
    """Comments; no text of a lock may end the line of its comment."""
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)
