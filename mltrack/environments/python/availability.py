"""Asks uv whether pinned distributions can be had from the indexes, as a build would: all of them at once.

uv names one that is not there at a time. It is noted, and the rest is asked again in two halves, so that many missing
ones cost few rounds. What the configured indexes lack is asked of the index that the lock names.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mltrack.environments import silent
from mltrack.environments.python import indexes
from mltrack.environments.python.distributions import Distribution, normalise, without_credentials
from mltrack.environments.python.indexes import Settings
from mltrack.environments.python.resolve import last_line, said_missing
from mltrack.nouns import noun
from mltrack.redact import Redactor

SECONDS = 120.0
"""For one question; a server that is slow is not gone."""

AT_ONCE = 4

NO_ANSWER = re.compile(r"Failed to fetch: `?(\S+?)`?$|[Rr]equest failed|error sending request|timed out", re.MULTILINE)
REFUSED = re.compile(r"An index URL \(?(\S+?)\)? could not be queried")
YANKED = re.compile(r"`([A-Za-z0-9._-]+)==[^`]*` is yanked(?: \(reason: \"(.*?)\"\))?")
AS_SOURCE = "building from source is disabled"


@noun
class Question:
    """What is asked for, and how."""

    pins: tuple[Distribution, ...]
    python: str
    """The version of the recorded interpreter."""
    base: str | None
    """An interpreter that it would be built on; it says what wheels fit."""
    uv: str
    settings: Settings
    cwd: Path
    tell: Callable[[str], None] = silent


@noun
class Offer:
    """What is known of one distribution."""

    place: str | None = None
    hashes: tuple[str, ...] = ()
    """Of all files of this version that the index lists."""
    yanked: str | None = None
    """The reason, where its authors have withdrawn it; a pinned version is installed all the same."""
    problem: str | None = None


@noun
class Said:
    """An answer of uv: what it found, what it called missing, why it gave up without either."""

    offers: Mapping[str, Offer]
    missing: Mapping[str, str]
    error: str | None = None


def find_offers(question: Question) -> tuple[dict[str, Offer], dict[str, str]]:
    """What is known of each pin, and, by the name of an index, why it could not be asked."""
    if not question.pins:
        return {}, {}
    question.tell(f"asking the package indexes for {len(question.pins)} distributions")
    pins = {one.name: one for one in question.pins}
    settings = indexes.any_index(question.settings)
    offers, problems = ask_all(question, settings, list(pins))
    for index in dict.fromkeys(one.index for one in question.pins):
        gone = [name for name, one in pins.items() if one.index == index and is_gone(offers.get(name))]
        if index is None or not gone or indexes.is_configured(settings, index):
            continue
        more, trouble = ask_all(question, indexes.first_from(question.settings, index), gone)
        offers |= {name: offer for name, offer in more.items() if not is_gone(offer)}
        problems |= trouble
    problems |= refusals(question, [name for name in pins if is_gone(offers.get(name))])
    return offers, problems


def is_gone(offer: Offer | None) -> bool:
    return offer is None or offer.problem is not None


def ask_all(question: Question, settings: Settings, names: Sequence[str]) -> tuple[dict[str, Offer], dict[str, str]]:
    """The offers of these settings' indexes; and the indexes that do not answer, with the reason."""
    from concurrent.futures import ThreadPoolExecutor

    offers: dict[str, Offer] = {}
    problems: dict[str, str] = {}
    groups = [list(names)]
    while groups and not problems:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda group: ask(question, settings, group), groups))
        pending: list[str] = []
        for group, said in zip(groups, answers, strict=True):
            offers |= said.offers
            offers |= {name: Offer(problem=text) for name, text in said.missing.items()}
            rest = [name for name in group if name not in offers]
            if said.error is not None and not said.missing and not said.offers:
                if len(group) == 1 and not NO_ANSWER.search(said.error):
                    offers[group[0]] = Offer(problem=f"uv says: {last_line(said.error)}")
                    continue
                if NO_ANSWER.search(said.error):
                    problems |= index_problem(settings, said.error)
                    continue
            pending += rest
        groups = halves(pending, len(groups) * 2)
    return offers, problems


def halves(names: Sequence[str], parts: int) -> list[list[str]]:
    """The names in so many groups, as even as can be; none empty."""
    parts = max(1, min(parts, len(names)))
    return [list(group) for group in (names[start::parts] for start in range(parts)) if group]


def ask(question: Question, settings: Settings, names: Iterable[str]) -> Said:
    """One question to uv."""
    pins = {one.name: one for one in question.pins}
    lines = [f"{name}=={pins[name].version}" for name in names]
    code, out, talk = resolve(question, settings, lines)
    if code == 0:
        return Said(read_offers(out, talk), {})
    why = Redactor(settings.variables).text(talk)
    gone = [name for name in said_missing(talk) if name in names]
    if AS_SOURCE in talk:
        source = Offer(place="the index, as source that must be built")
        return Said(dict.fromkeys(gone, source), {}, why)
    flat = " ".join(why.split())
    return Said({}, {name: problem_of(name, flat) for name in gone}, why)


def resolve(question: Question, settings: Settings, lines: Sequence[str]) -> tuple[int, str, str]:
    """uv's exit code, its resolution, and its talk. Nothing is installed, nothing but metadata fetched or built."""
    words = [question.uv, "pip", "compile", "--no-deps", "--no-build", "--generate-hashes", "--emit-index-annotation"]
    words += ["--no-header", "--no-annotate", "--refresh", *settings.options]
    words += ["--python", question.base] if question.base else ["--python-version", question.python]
    cwd = question.cwd if question.cwd.is_dir() else None
    try:
        done = subprocess.run(
            [*words, "-"],
            input="\n".join(lines).encode(),
            cwd=cwd,
            env={"UV_HTTP_RETRIES": "1", **settings.variables, "NO_COLOR": "1"},
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"timed out: the indexes did not answer within {SECONDS:.0f} s"
    except OSError as error:
        return 1, "", f"uv does not start: {error}"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def problem_of(name: str, said: str) -> str:
    """Why one cannot be had, in a sentence, from what uv said of it."""
    if f"{name} was not found" in said:
        return "Gone: no index that is configured here knows it."
    if f"no version of {name}" in said or f"no versions of {name}" in said or f"versions of {name}" in said:
        return "Gone: no index that is configured here has this version."
    found = re.search(rf"{re.escape(name)}==\S+ (has no [^.,(]*?)(?: \(| and | so |,|\.)", said)
    return f"It {found[1]} here." if found else "Gone: the indexes that are configured here do not offer it."


def index_problem(settings: Settings, said: str) -> dict[str, str]:
    """Which index does not answer, and what happens instead."""
    found = NO_ANSWER.search(said)
    url = without_credentials(found[1]) if found is not None and found[1] else "the package index"
    page = re.sub(r"/[^/]+/?$", "/", url)
    return {page: f"It cannot be asked: {last_line(said)}."}


def refusals(question: Question, names: Sequence[str]) -> dict[str, str]:
    """Indexes that want a password: uv says so only where it asks them one after the other."""
    if not names:
        return {}
    first = replace(question.settings, variables={**question.settings.variables, "UV_INDEX_STRATEGY": "first-index"})
    pins = {one.name: one for one in question.pins}
    _, _, talk = resolve(question, first, [f"{name}=={pins[name].version}" for name in names])
    text = "It wants credentials that are not known here, or refuses them."
    return {without_credentials(found[1]): text for found in REFUSED.finditer(" ".join(talk.split()))}


def read_offers(out: str, talk: str) -> dict[str, Offer]:
    """A resolution in the form of a requirements file: names, hashes, and `# from URL`."""
    offers: dict[str, Offer] = {}
    name = ""
    for line in out.splitlines():
        text = line.strip()
        if not line.startswith(" ") and "==" in text and not text.startswith("#"):
            name = normalise(text.partition("==")[0])
            offers[name] = Offer(place="a directory of wheels")
        elif text.startswith("--hash=sha256:") and name:
            one = text.removeprefix("--hash=sha256:").split()[0]
            offers[name] = replace(offers[name], hashes=(*offers[name].hashes, one))
        elif text.startswith("# from ") and name:
            offers[name] = replace(offers[name], place=without_credentials(text.removeprefix("# from ")))
    for found in YANKED.finditer(talk):
        key = normalise(found[1])
        if key in offers:
            offers[key] = replace(offers[key], yanked=found[2] or "no reason given")
    return offers
