"""What a half-typed word may become: runs, names, fields, queries. For shells, so it is quick, and says nothing rather
than an error: a project that cannot be read has no proposals. Nothing is written, folded or judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.errors import MltrackError
from mltrack.ledger.asking import prefixes
from mltrack.ledger.asking.prefixes import Brief
from mltrack.nouns import noun
from mltrack.project import Project

if TYPE_CHECKING:
    import sqlite3

MOST = 50
"""Proposals of one kind."""
MOST_NAMES = 15
"""Names, and tags, beside the ids of runs."""
SHORT = 8
"""Characters of an id, where they tell it from all others."""


@noun
class Proposal:
    """A whole word that the typed one may become."""

    value: str
    story: str = ""
    run: Brief | None = None
    metric: tuple[str, Any] | None = None
    """Of the run: what tells best how good it is."""
    goes_on: bool = False
    """More is to be typed behind it."""


@noun
class Here:
    """The project around the current directory, and its ledger, as far as there are any."""

    project: Project | None = None
    db: sqlite3.Connection | None = None


@contextmanager
def here(start: Path) -> Iterator[Here]:
    """What can be read from a directory."""
    import sqlite3
    from contextlib import ExitStack

    project = Project.find(start)
    with ExitStack() as opened:
        db = None
        if project is not None:
            try:
                db = opened.enter_context(prefixes.reading(project.state / "ledger.db"))
            except sqlite3.Error:
                pass  # there is none yet, or it is damaged; commands and settings are still there
        yield Here(project, db)


def proposals(place: Here, kind: str, typed: str) -> list[Proposal]:
    """What a word of a kind (one of KINDS) that begins like this may become; of an unknown kind nothing."""
    import sqlite3

    if kind not in KINDS:
        return []
    try:
        return [one for one in KINDS[kind](place, typed) if one.value.startswith(typed)]
    except (sqlite3.Error, MltrackError, ValueError, OSError):
        return []


# -- runs


def runs(place: Here, typed: str) -> list[Proposal]:
    """`@`, ids, names and tags."""
    found = newest(typed)
    briefs = {one.id: one for one in living(place, typed)}
    if place.db is not None and not typed.startswith("@"):
        briefs |= {one.id: one for one in prefixes.runs_by_id(place.db, typed.lower(), MOST - len(briefs))}
    found += [Proposal(short(place, one.id, typed), run=one) for one in briefs.values()]
    found += [Proposal(one.name, run=one) for one in briefs.values() if one.name and one.status == "running" and typed]
    if place.db is not None and not typed.startswith("@"):
        found += named(place.db, typed)
    return told(place, found[: MOST + 2 * MOST_NAMES])


def newest(typed: str) -> list[Proposal]:
    """`@`, and the ones before where somebody has begun so."""
    if not "@~".startswith(typed[:2]):
        return []
    story = "the newest run made here"
    first = [Proposal("@", story), Proposal("@~1", "the one before the newest")]
    return first + ([Proposal(f"@~{back}", f"{back} before the newest") for back in range(2, 10)] if typed else [])


def living(place: Here, typed: str) -> list[Brief]:
    """The runs that have no record yet, by their directories, whose ids or names begin like this."""
    import os

    from mltrack.live.rundir import RunDir

    if place.project is None or typed.startswith("@"):
        return []
    try:
        ids = sorted(one for one in os.listdir(place.project.runs) if not one.startswith("."))[:MOST]
    except OSError:
        return []
    found = []
    for one in ids:
        run = (RunDir(place.project.runs / one).read("start") or {}).get("run")
        if isinstance(run, dict) and (one.startswith(typed.lower()) or str(run.get("name")).startswith(typed)):
            words = tuple(map(str, run.get("command") or ()))
            found.append(Brief(one, run.get("name"), "running", str(run.get("created_at")), words, run.get("why")))
    return found


def short(place: Here, id: str, typed: str) -> str:
    """The beginning of an id, or all of it where that is not enough."""
    if place.db is None or len(typed) >= SHORT or len(prefixes.runs_by_id(place.db, id[:SHORT], 2)) > 1:
        return id
    return id[:SHORT]


def named(db: sqlite3.Connection, typed: str) -> list[Proposal]:
    """Names, each with its newest run, and tags that only one run has."""
    found = []
    for name in prefixes.names(db, "run", typed, MOST_NAMES):
        found.append(Proposal(name, run=prefixes.run_of_name(db, name)))
    for tag in prefixes.names(db, "tag", typed, MOST_NAMES):
        tagged = prefixes.runs_of_tag(db, tag, 2)
        if len(tagged) == 1:
            found.append(Proposal(tag, run=tagged[0]))
    return found


def told(place: Here, found: Sequence[Proposal]) -> list[Proposal]:
    """Proposals of runs, with the metric that tells best of each."""
    if place.db is None:
        return list(found)
    telling = telling_metrics(place.db)
    return [with_metric(place.db, one, telling) for one in found]


def telling_metrics(db: sqlite3.Connection) -> list[str]:
    """Names of metrics of which it is known what is better: those of validation and tests first, accuracies first."""
    from mltrack.compare.goals import goal_of

    known = [(name, goal_of(name, {})) for name in prefixes.names(db, "metric", "", MOST)]
    good = [(name, goal) for name, goal in known if goal is not None and "[" not in name and "time" not in name]
    held_out = ("val", "test", "eval", "dev")
    good.sort(key=lambda one: (not one[0].lower().startswith(held_out), one[1] != "max", len(one[0]), one[0]))
    return [name for name, _ in good[:3]]


def with_metric(db: sqlite3.Connection, proposal: Proposal, telling: Sequence[str]) -> Proposal:
    if proposal.run is None:
        return proposal
    for name in telling:
        value = prefixes.last_value(db, proposal.run.id, name)
        if value is not None:
            return replace(proposal, metric=(name, value))
    return proposal


def hidden(place: Here, typed: str) -> list[Proposal]:
    """Ids of hidden runs, whole, as `restore` wants them."""
    if place.db is None:
        return []
    return told(place, [Proposal(one.id, run=one) for one in prefixes.runs_by_id(place.db, typed, MOST, deleted=True)])


def contents(place: Here, ref: str, typed: str) -> list[Proposal]:
    """The paths of what a run made and read that begin like this; nothing of one that is alive."""
    import sqlite3

    from mltrack.ledger.asking.refs import resolve
    from mltrack.ledger.replica import all_replicas

    try:
        if place.db is None or place.project is None:
            return []
        found = prefixes.contents(place.db, resolve(place.db, ref, (), all_replicas(place.project.state)), typed, MOST)
        return [Proposal(path, what) for path, what in found]
    except (sqlite3.Error, MltrackError, ValueError, OSError):
        return []


# -- words of other kinds


def tags(place: Here, typed: str) -> list[Proposal]:
    return [Proposal(one, "tag") for one in from_ledger(place, "tag", typed)]


def run_names(place: Here, typed: str) -> list[Proposal]:
    return [Proposal(one, "name") for one in from_ledger(place, "run", typed)]


def metric_names(place: Here, typed: str) -> list[Proposal]:
    from mltrack.operations.completion.queries import reach

    return [Proposal(one, reach(place, one)) for one in from_ledger(place, "metric", typed)]


def assignments(place: Here, typed: str) -> list[Proposal]:
    """`lr=`, and behind it the values that runs had."""
    name, equals, value = typed.partition("=")
    if place.db is None or not equals:
        return [Proposal(f"{one}=", goes_on=True) for one in from_ledger(place, "param", typed)]
    return [Proposal(f"{name}={one}") for one in prefixes.values(place.db, name, value, MOST)]


def packages(place: Here, typed: str) -> list[Proposal]:
    return [Proposal(one) for one in from_ledger(place, "package", typed)]


def from_ledger(place: Here, view: str, typed: str) -> list[str]:
    return [] if place.db is None else prefixes.names(place.db, view, typed, MOST)


def of_field(field: str) -> Callable[[Here, str], list[Proposal]]:
    """The values that recent runs have of a field."""
    return lambda place, typed: [] if place.db is None else list(map(Proposal, prefixes.recent(place.db, field, MOST)))


def remotes(place: Here, typed: str) -> list[Proposal]:
    """Remotes by name; the settings may be broken, and then there are none."""
    if place.project is None:
        return []
    return [Proposal(name, url) for name, url in sorted(place.project.config.remotes.items())]


def environment_kinds(place: Here, typed: str) -> list[Proposal]:
    from mltrack.plugins import names

    return list(map(Proposal, ["auto", *names("environments")]))


def query(place: Here, typed: str) -> list[Proposal]:
    from mltrack.operations.completion.queries import query as of_query

    return of_query(place, typed)


def runs_or_query(place: Here, typed: str) -> list[Proposal]:
    """Where both may stand: runs first, as long as nothing says that it is a query."""
    found = runs(place, typed) if not any(sign in typed for sign in " =<>~(!") else []
    return found[:MOST] + query(place, typed)


def field(place: Here, typed: str) -> list[Proposal]:
    from mltrack.operations.completion.queries import single_fields

    return single_fields(place, typed)


def sort_field(place: Here, typed: str) -> list[Proposal]:
    """A field, or `-` and a field."""
    sign = typed[:1] if typed.startswith("-") else ""
    return [replace(one, value=sign + one.value) for one in field(place, typed[len(sign) :])]


def fields(place: Here, typed: str) -> list[Proposal]:
    """Fields with commas between them."""
    head, comma, last = typed.rpartition(",")
    return [replace(one, value=head + comma + one.value) for one in field(place, last)]


def columns(place: Here, typed: str) -> list[Proposal]:
    """As `fields`, and what only stands in tables."""
    head, comma, last = typed.rpartition(",")
    more = [Proposal("age", "column"), Proposal("params", "every one"), Proposal("metrics", "every one")]
    return [replace(one, value=head + comma + one.value) for one in (*more, *field(place, last))]


def times(place: Here, typed: str) -> list[Proposal]:
    known = {"today": "since midnight", "yesterday": "", "1h": "an hour ago", "2d": "two days ago", "1w": "a week ago"}
    return [Proposal(one, story) for one, story in known.items()]


def statuses(place: Here, typed: str) -> list[Proposal]:
    from mltrack.ledger.language.fields import STATUSES

    return list(map(Proposal, STATUSES))


KINDS: Mapping[str, Callable[[Here, str], list[Proposal]]] = {
    "run": runs,
    "run or query": runs_or_query,
    "query": query,
    "hidden": hidden,
    "tag": tags,
    "name": run_names,
    "metric": metric_names,
    "package": packages,
    "assignment": assignments,
    "experiment": of_field("experiment"),
    "branch": of_field("code.branch"),
    "remote": remotes,
    "environment": environment_kinds,
    "field": field,
    "sort": sort_field,
    "fields": fields,
    "columns": columns,
    "time": times,
    "status": statuses,
}
"""Kinds of words -> what finds those that begin like the typed one."""
