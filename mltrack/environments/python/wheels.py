"""Wheels: made again from what is installed, and fetched by hash.

An installed distribution is its wheel unpacked, with a RECORD of what belongs to it. Packed again (in the layout of the
binary distribution format, https://packaging.python.org/specifications/binary-distribution-format/), it installs the
same files; the archive's own bytes, and so its hash, differ from the original's, but are the same each time. Nothing is
compressed: the store does that, and shares what two versions have in common.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from mltrack.environments.python.distributions import Distribution, File, normalise
from mltrack.environments.python.resolve import expanded, wheel_tags
from mltrack.errors import EnvironmentFailed
from mltrack.nouns import noun

OWN = frozenset(("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"))
"""Files of a .dist-info that the installer writes."""

WHEN = (1980, 1, 1, 0, 0, 0)
BLOCK = 1 << 20


@noun
class Member:
    """One file of a wheel."""

    name: str
    """Its path in the archive."""
    path: Path
    script: bool = False
    """Its first line names an interpreter, to be filled in by the installer."""
    is_summed: bool = True
    """RECORD has its hash; where the original had none, the copy has none, so that both install alike."""


def fitting(found: Distribution) -> File | None:
    """The wheel of an index that was installed: the one whose name shares most tags with what is installed (a repaired
    wheel's name has more than its metadata). None if it can have been none of them."""
    tags = expanded(found.tags)
    shared = [(len(tags & wheel_tags(file.name)), file) for file in found.wheels]
    best = max((count for count, _ in shared), default=0)
    return next((file for count, file in shared if best and count == best), None)


def pack_installed(found: Distribution, info: Path, prefix: Path, directory: Path) -> Path:
    """Pack an installed distribution into a wheel in `directory`; the same bytes each time.

    `info` is its .dist-info directory, `prefix` that of its environment. Raises EnvironmentFailed if RECORD is absent,
    or names a file that is gone or is another than was installed.
    """
    members = sorted(members_of(info, prefix), key=lambda member: member.name)
    target = directory / file_name(found, info)
    directory.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
            rows = [add(archive, member) for member in members]
            record = f"{info.name}/RECORD"
            text = "".join(f"{line}\n" for line in [*rows, f"{record},,"])
            with archive.open(entry(record, 0o644), "w") as file:
                file.write(text.encode())
        aside.replace(target)
    except OSError as error:
        raise EnvironmentFailed(f"{found.name} {found.version} cannot be packed: {error}.") from error
    finally:
        aside.unlink(missing_ok=True)
    return target


def file_name(found: Distribution, info: Path) -> str:
    """The wheel's name: the tags of one that had several are compressed again."""
    tags = [tag.split("-", 2) for tag in found.tags] or [["py3", "none", "any"]]
    parts = [".".join(dict.fromkeys(tag[place] for tag in tags)) for place in range(3)]
    name, _, version = info.name.removesuffix(".dist-info").partition("-")
    build = re.search(r"^Build: *(\d\w*)", text_of(info / "WHEEL"), re.MULTILINE)
    return "-".join([name, version or found.version, *([build[1]] if build else []), *parts]) + ".whl"


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def members_of(info: Path, prefix: Path) -> Iterator[Member]:
    """The files that belong into the wheel. Raises EnvironmentFailed."""
    record = text_of(info / "RECORD")
    if not record:
        raise EnvironmentFailed(f"{info.name} has no RECORD of its files.", "It was not installed from a wheel.")
    generated = console_scripts(info)
    data = f"{info.name.removesuffix('.dist-info')}.data"
    for row in csv.reader(record.splitlines()):
        if not row:
            continue
        name, sums = row[0], row[1] if len(row) > 1 else ""
        path = info.parent / name
        is_own = name.startswith(f"{info.name}/") and name.rpartition("/")[2] in OWN
        if is_own or name.endswith(".pyc") or os.path.isabs(name):
            continue
        place = Path(os.path.normpath(path))
        if not name.startswith("../"):
            member = Member(name, path, False, bool(sums))
        elif place.parent.name in ("bin", "Scripts"):
            if place.name in generated:
                continue
            member = Member(f"{data}/scripts/{place.name}", place, script=True)
        elif prefix in place.parents:
            member = Member(outside_site(data, place.relative_to(prefix)), place, False, bool(sums))
        else:
            continue
        if not member.path.is_file():
            raise EnvironmentFailed(f"{name} of {info.name} is gone.", "The environment was changed by hand.")
        if not member.script and sums and not has_sum(member.path, sums):
            raise EnvironmentFailed(f"{name} of {info.name} was changed after it was installed.")
        yield member


def outside_site(data: str, place: Path) -> str:
    """Where a file outside of site-packages lies in a wheel: headers, or data relative to the prefix."""
    parts = place.parts
    if parts[:2] == ("include", "site") and len(parts) > 4:
        return "/".join([data, "headers", *parts[4:]])
    return "/".join([data, "data", *parts])


def console_scripts(info: Path) -> set[str]:
    """The names of programs that an installer makes from entry points."""
    names, is_ours = set(), False
    for line in text_of(info / "entry_points.txt").splitlines():
        if line.startswith("["):
            is_ours = line.strip() in ("[console_scripts]", "[gui_scripts]")
        elif is_ours and "=" in line:
            names.add(line.partition("=")[0].strip())
    return names | {f"{name}.exe" for name in names}


def has_sum(path: Path, sums: str) -> bool:
    """Are the bytes of a file those that RECORD lists?"""
    kind, _, wanted = sums.partition("=")
    if kind not in hashlib.algorithms_available:
        return True
    state = hashlib.new(kind)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return base64.urlsafe_b64encode(state.digest()).rstrip(b"=").decode() == wanted.rstrip("=")


def add(archive: zipfile.ZipFile, member: Member) -> str:
    """Add a file; its line in RECORD."""
    mode = 0o755 if member.script or os.access(member.path, os.X_OK) else 0o644
    state, size = hashlib.sha256(), 0
    with member.path.open("rb") as source, archive.open(entry(member.name, mode), "w", force_zip64=True) as target:
        for block in blocks(source, member.script):
            state.update(block)
            size += len(block)
            target.write(block)
    total = base64.urlsafe_b64encode(state.digest()).rstrip(b"=").decode()
    name = f'"{member.name}"' if "," in member.name else member.name
    return f"{name},sha256={total},{size}" if member.is_summed else f"{name},,"


def blocks(source: IO[bytes], is_script: bool) -> Iterator[bytes]:
    """The bytes of a file; a script's interpreter is written as wheels have it, `#!python`."""
    if is_script:
        first = source.readline()
        yield b"#!python\n" if first.startswith(b"#!") and b"python" in first else first
    while block := source.read(BLOCK):
        yield block


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    """A file's header in the archive, without a time."""
    info = zipfile.ZipInfo(name, WHEN)
    info.external_attr = (0o100000 | mode) << 16
    return info


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as hex."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def info_directories(answer: Mapping[str, object]) -> dict[str, Path]:
    """Name -> .dist-info directory, for the distributions of a probe's answer that have one."""
    found: dict[str, Path] = {}
    for one in answer["distributions"]:  # type: ignore[attr-defined]
        if one.get("entry", "").endswith(".dist-info"):
            found.setdefault(normalise(one["name"]), Path(one["place"]) / one["entry"])
    return found
