"""Asks the package indexes that the user configured which files they have of pinned distributions, through uv.

One question for all pins at once. Where uv says that one is not there, it is noted and the rest is asked again. Answers
are remembered in the user's cache directory: files on an index do not change, and what was missing is asked for again
after a while.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mltrack.digest import digest_json
from mltrack.environments import silent
from mltrack.environments.answers import recall, remember
from mltrack.environments.python.configuring import configuration, settings_of, without_configuration
from mltrack.environments.python.distributions import Distribution, File, index_url, normalise, without_credentials
from mltrack.environments.python.indexes import Settings, main_index
from mltrack.environments.python.lock import load_toml
from mltrack.noun_json import to_dict
from mltrack.nouns import noun
from mltrack.redact import Redactor

SECONDS = 20.0
"""How long indexes are asked, in all; a run may wait for it when its command has ended."""

ROUNDS = 30
"""Questions at most: each finds one distribution that is not there."""

MISSING_S, SILENT_S = 3600.0, 600.0
"""For how long it is remembered that something is on no index, and that the indexes do not answer."""

LOCKED = ("--format", "pylock.toml", "--generate-hashes")
PINNED = ("--no-deps", "--universal")
"""`--universal` asks for the files of every platform, so that another machine can build it too."""
ANNOTATED = ("--emit-index-annotation", "--no-annotate")

SAYS_MISSING = (
    re.compile(r"there (?:is|are) no versions? of ([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*==\s*([^\s,]+)"),
    re.compile(r"([A-Za-z0-9._-]+) was not found in the (?:package registry|provided package locations|cache)"),
    re.compile(
        r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==\S+ (?:has no (?:usable )?wheels|has no wheels with|is unusable|was yanked)"
    ),
    re.compile(r"only the following versions of ([A-Za-z0-9._-]+)"),
    re.compile(r"[Ff]ailed to (?:download and build|build|download|fetch|read)[^`]*`([A-Za-z0-9._-]+)\s*==[^`]*`"),
)
"""How uv names a distribution that cannot be had."""


@noun
class Offer:
    """What an index has of one version of one distribution."""

    index: str | None
    wheels: tuple[File, ...]
    sdist: File | None = None


@noun
class Asked:
    """A question: which files are there?"""

    pins: tuple[Distribution, ...]
    python: str
    uv: str
    settings: Settings
    project: Path
    """Where uv looks for settings of the project's own."""
    cache: Path
    tell: Callable[[str], None] = silent
    """Told when the index is asked, which takes a while."""


@noun
class Answer:
    """`offers` and `missing` by name. `error` says why nobody answered; then what is in neither is not known."""

    offers: Mapping[str, Offer]
    missing: Mapping[str, str]
    """Name -> what uv said."""
    error: str | None = None
    local: Mapping[str, str] = field(default_factory=dict)
    """File name -> path on this machine, of files that a directory of wheels (`--find-links`) offered."""


def resolve(asked: Asked) -> Answer:
    """The files that indexes have of these pins. Never raises: an index that does not answer is an `error`."""
    if not asked.pins:
        return Answer({}, {})
    path = asked.cache / "locks" / f"{key_of(asked)}.json"
    kept = recall(path)
    if kept is not None and (kept["until"] is None or time.time() < kept["until"]):
        return recalled(kept["answer"])
    many = len(asked.pins)
    asked.tell(
        f"asking the package index for the hashes of {many} package{'s' * (many > 1)}, once for this environment"
    )
    answer = ask_all(asked)
    until = time.time() + SILENT_S if answer.error else time.time() + MISSING_S if answer.missing else None
    remember(path, {"until": until, "answer": to_dict(answer)})
    return answer


def recalled(data: Mapping[str, Any]) -> Answer:
    """The answer that was remembered."""
    offers = {
        name: Offer(
            offer["index"],
            tuple(File(**file) for file in offer["wheels"]),
            File(**offer["sdist"]) if offer["sdist"] else None,
        )
        for name, offer in data["offers"].items()
    }
    return Answer(offers, data["missing"], data["error"], data["local"])


def key_of(asked: Asked) -> str:
    """The name of an answer: what was asked, and whom."""
    settings = {name: text for name, text in asked.settings.variables.items() if name.startswith(("UV_", "PIP_"))}
    identity = {
        "pins": sorted(f"{pin.name}=={pin.version}" for pin in asked.pins),
        "python": asked.python,
        "settings": settings,
        "options": list(asked.settings.options),
        "configured": settings_of(asked.project, asked.settings.variables, is_foreign=False),
    }
    return digest_json(identity).partition(":")[2][:32]


def ask_all(asked: Asked) -> Answer:
    """What uv finds of these pins, in as many rounds as there are distributions that it does not find, and one."""
    pins = {pin.name: f"{pin.name}=={pin.version}" for pin in asked.pins}
    missing: dict[str, str] = {}
    redactor = Redactor(asked.settings.variables)
    deadline = time.monotonic() + SECONDS
    for _ in range(ROUNDS):
        if not pins:
            return Answer({}, missing)
        done = ask_uv(asked, list(pins.values()), (*PINNED, *LOCKED), deadline - time.monotonic())
        if isinstance(done, bytes):
            return answer_of(asked, done, pins, missing, deadline)
        why = redactor.text(last_line(done))
        gone = [name for name in said_missing(done) if name in pins]
        if not gone:
            return Answer({}, missing, why)
        missing |= dict.fromkeys(gone, why)
        pins = {name: pin for name, pin in pins.items() if name not in gone}
    return Answer({}, missing, "too many distributions are on no index")


def answer_of(
    asked: Asked, lock: bytes, pins: Mapping[str, str], missing: Mapping[str, str], deadline: float
) -> Answer:
    """The answer that a lock of uv's is. Where there are several indexes, uv is asked once more which has what."""
    is_configured = bool(settings_of(asked.project, asked.settings.variables, is_foreign=False))
    index = None if is_configured else index_of(asked.settings)
    indexes = dict.fromkeys(pins, index)
    if index is None:
        listed = ask_uv(asked, list(pins.values()), (*PINNED, *ANNOTATED), deadline - time.monotonic())
        indexes = read_annotated(listed.decode()) if isinstance(listed, bytes) else {}
    try:
        return read_document(load_toml(lock.decode()), pins, indexes, find_links(asked.settings), missing)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Answer({}, missing, f"uv wrote a lock that cannot be read: {error}")


def resolve_needs(asked: Asked, requirements: Sequence[str]) -> Answer:
    """The files of these requirements and of all that they need, for this platform; `asked.pins` does not matter."""
    done = ask_uv(asked, requirements, LOCKED, SECONDS)
    if isinstance(done, str):
        return Answer({}, {}, Redactor(asked.settings.variables).text(last_line(done)))
    document = load_toml(done.decode())
    pins = {normalise(one["name"]): f"{normalise(one['name'])}=={one['version']}" for one in document["packages"]}
    return read_document(document, pins, {}, find_links(asked.settings), {})


def ask_uv(asked: Asked, lines: Sequence[str], form: Sequence[str], seconds: float) -> bytes | str:
    """What uv resolves these lines to, or what it said when it failed. Its configuration says where to look only."""
    words = [asked.uv, "pip", "compile", "--no-header", "--quiet", "--python-version", asked.python]
    variables = {"UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "10", **asked.settings.variables}
    try:
        with configuration(asked.project, variables, is_foreign=False) as configured:
            done = subprocess.run(
                [*words, *form, *asked.settings.options, *configured, "-"],
                input="\n".join(lines).encode(),
                cwd=asked.project if asked.project.is_dir() else None,
                env=without_configuration(variables),
                capture_output=True,
                timeout=max(seconds, 0.1),
            )
    except subprocess.TimeoutExpired:
        return "the package index did not answer in time"
    except OSError as error:
        return f"uv does not start: {error}"
    return done.stderr.decode(errors="replace") if done.returncode else done.stdout


def read_annotated(text: str) -> dict[str, str | None]:
    """`name==version` -> the index that the line below it names."""
    indexes: dict[str, str | None] = {}
    pin = None
    for line in text.splitlines():
        if line.startswith("    # from "):
            indexes[pin or ""] = index_url(line[len("    # from ") :].strip())
        elif "==" in line:
            name, _, version = line.partition(" ")[0].partition("==")
            pin = f"{normalise(name)}=={version}"
    return indexes


def said_missing(text: str) -> list[str]:
    """The distributions that uv calls missing."""
    flat = " ".join(text.split())
    return list(dict.fromkeys(normalise(found[0] if isinstance(found, tuple) else found)
                              for pattern in SAYS_MISSING for found in pattern.findall(flat)))  # fmt: skip


def last_line(text: str) -> str:
    """What an error comes to, in one line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    cause = [line for line in lines if line.lower().startswith(("cause:", "caused by:"))]
    return (cause or lines or ["no reason was given"])[-1][:400]


def index_of(settings: Settings) -> str | None:
    """The one index that is asked; None where there are several."""
    variables = settings.variables
    if any(variables.get(name) for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")):
        return None
    return index_url(re.sub(r"^[A-Za-z0-9_-]+=", "", main_index(settings)))


def find_links(settings: Settings) -> tuple[str, ...]:
    """The directories of this machine that wheels are taken from besides the indexes."""
    words = settings.variables.get("UV_FIND_LINKS", "").split(",")
    return tuple(os.path.abspath(word) for word in words if word and "://" not in word)


def read_document(
    document: Mapping[str, Any],
    pins: Mapping[str, str],
    indexes: Mapping[str, str | None],
    directories: Sequence[str],
    missing: Mapping[str, str],
) -> Answer:
    """What uv's lock offers of each distribution. `2.13.0` also brings `2.13.0+cpu`: only the pinned version counts."""
    offers: dict[str, Offer] = {}
    local: dict[str, str] = {}
    for package in document.get("packages", ()):
        name = normalise(package["name"])
        pin = f"{name}=={package['version']}"
        if plain_version(pins.get(name, "")) != plain_version(pin):
            continue
        wheels = tuple(file_of(table) for table in package.get("wheels", ()))
        sdist = file_of(package["sdist"]) if "sdist" in package else None
        here = {file.name: path for file in wheels if (path := path_in(file.url, directories))}
        local |= here
        wheels = tuple(replace(file, url=None) if file.name in here else file for file in wheels)
        index = indexes.get(pin, indexes.get(name))
        offers[name] = Offer(index if len(here) < len(wheels) or sdist else None, wheels, sdist)
    return Answer(offers, missing, None, local)


def plain_version(pin: str) -> str:
    """`x==v1.0-RC1` and `x==1.0.0rc1`, which are one version, as one text."""
    release = re.sub(r"[-_]", "", pin.lower()).replace("==v", "==")
    return re.sub(r"(?:\.0)+(?=$|[a-z+])", "", release)


def path_in(url: str | None, directories: Sequence[str]) -> str | None:
    """The path of a file in one of these directories, if the URL is of one."""
    if url is None or not url.startswith("file:"):
        return None
    path = unquote(urlsplit(url).path)
    return path if os.path.dirname(path) in directories else None


def file_of(table: Mapping[str, Any]) -> File:
    """A wheel or sdist of a lock in the standard's form."""
    url = table.get("url")
    name = table.get("name") or unquote(Path(urlsplit(url or table.get("path", "")).path).name)
    sha256 = (table.get("hashes") or {}).get("sha256")
    return File(name, sha256, without_credentials(url) if url else None, table.get("size"))


def expanded(tags: Iterable[str]) -> frozenset[str]:
    """`py2.py3-none-any` -> `py2-none-any`, `py3-none-any`."""
    found = set()
    for tag in tags:
        python, _, rest = tag.partition("-")
        abi, _, platform = rest.partition("-")
        found |= {f"{a}-{b}-{c}" for a in python.split(".") for b in abi.split(".") for c in platform.split(".")}
    return frozenset(found)


def wheel_tags(name: str) -> frozenset[str]:
    """The tags of a wheel's file name; none if it is not one."""
    parts = os.path.basename(name).removesuffix(".whl").split("-")
    return expanded(["-".join(parts[-3:])]) if name.endswith(".whl") and len(parts) >= 5 else frozenset()
