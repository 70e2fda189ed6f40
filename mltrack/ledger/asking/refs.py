"""From what a person types to a run: an exact id, a name, a tag, the beginning of an id, `@` and `@~N`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.digest import plain
from mltrack.errors import Ambiguous, NotFound
from mltrack.ledger.asking.choosing import REPETITION
from mltrack.nouns import noun
from mltrack.patterns import lazy

if TYPE_CHECKING:
    import sqlite3

SHORTEST_PREFIX = 4
MOST_CANDIDATES = 10
NEWEST = lazy(r"@(?:~(\d{0,9}))?")

Live = tuple[str, "str | None"] | tuple[str, "str | None", str]
"""A run that is still alive, known to its directory only: id, name, and, if it is known, when it was created."""


@noun
class Candidate:
    """A run that a ref may mean. `story` is one line for a person who has to choose."""

    id: str
    name: str | None
    created_at: str
    story: str


def resolve(db: sqlite3.Connection, ref: str, live: Sequence[Live], replicas: Sequence[str]) -> str:
    """The id of the run that `ref` means; `replicas`: the ids this checkout has had.

    Raises NotFound, or Ambiguous with the candidates.
    """
    ref = plain(ref)  # as names and tags are kept
    if db.execute("SELECT 1 FROM run_row WHERE id = ?", (ref,)).fetchone() or any(item[0] == ref for item in live):
        return ref
    alive = [living(item) for item in live]
    newest = NEWEST.fullmatch(ref)
    if newest:
        back = newest.group(1)
        return newest_here(db, alive, replicas, 0 if back is None else int(back or 1))
    named = [run for run in alive if run.name == ref] + finished(db, "run.name = ?", ref)
    if named:
        return max(named, key=lambda run: (run.created_at, run.id)).id
    tagged = finished(db, "run.number IN (SELECT run FROM tag_row WHERE tag = ?)", ref)
    if tagged:
        return only_one(ref, tagged, "is a tag of")
    prefix = ref.lower()
    if len(prefix) >= SHORTEST_PREFIX and prefix.isascii() and prefix.isalnum():
        fitting = [run for run in alive if run.id.startswith(prefix)]
        fitting += finished(db, "run.id >= ? AND run.id < ?", prefix, prefix + "~")
        if fitting:
            return only_one(ref, fitting, "begins the ids of")
    raise nothing(db, ref, alive)


def living(item: Live) -> Candidate:
    created = item[2] if len(item) == 3 else "~"  # after every year
    return Candidate(item[0], item[1], created, "running")


def finished(db: sqlite3.Connection, condition: str, *values: str) -> list[Candidate]:
    """Runs that were not deleted and for which `condition` holds, newest first."""
    rows = db.execute(
        "SELECT id, name, created_at, status, (SELECT words FROM command_fact WHERE id = run.command)"
        " FROM run_row AS run"
        f" WHERE NOT deleted AND {condition} ORDER BY created_at DESC, id DESC",
        values,
    )
    return [Candidate(id, name, created, tell(created, status, command)) for id, name, created, status, command in rows]


def tell(created_at: str, status: str, command: str) -> str:
    import json

    words = " ".join(json.loads(command))
    words = "".join(letter if letter.isprintable() else "?" for letter in words)
    return f"{created_at[:19]} {status} {words[:60]}"


def newest_here(db: sqlite3.Connection, alive: list[Candidate], replicas: Sequence[str], back: int) -> str:
    """The newest run created in this checkout, or the one `back` before it; repetitions of calibrations aside."""
    rows = db.execute(
        f"SELECT id, created_at FROM run_row AS run WHERE NOT deleted AND replica IN ({', '.join('?' * len(replicas))})"
        " AND parent_kind IS NOT ? ORDER BY created_at DESC, id DESC LIMIT ?",
        (*replicas, REPETITION, back + 1),
    )
    known = {run.id: run.created_at for run in alive} | dict(rows.fetchall())
    order = sorted(known, key=lambda id: (known[id], id), reverse=True)
    if back >= len(order):
        some = f"Only {len(order)} run{'s were' if len(order) != 1 else ' was'}"
        count = some if order else "There is no run yet that was"
        newest = db.execute(
            "SELECT id FROM run_row WHERE NOT deleted AND parent_kind IS NOT ?"
            " ORDER BY created_at DESC, id DESC LIMIT 1",
            (REPETITION,),
        ).fetchone()
        hint = f"The newest of all is {newest[0]}; `mltrack ls` shows all runs." if newest else "`mltrack ls` is empty."
        raise NotFound(f"{count} created in this checkout.", hint)
    return order[back]


def only_one(ref: str, fitting: list[Candidate], how: str) -> str:
    if len({run.id for run in fitting}) == 1:
        return fitting[0].id
    lines = [f"  {run.id}  {run.story}" for run in fitting[:MOST_CANDIDATES]]
    if len(fitting) > MOST_CANDIDATES:
        lines.append(f"  and {len(fitting) - MOST_CANDIDATES} more")
    raise Ambiguous(f"{ref} {how} {len(fitting)} runs:\n" + "\n".join(lines), "Give more of the id.")


def nothing(db: sqlite3.Connection, ref: str, alive: list[Candidate]) -> NotFound:
    """What to say when no run fits: the nearest name or tag, or what the prefix of an id must be."""
    import difflib

    words = {str(row[0]) for row in db.execute("SELECT name FROM run_row WHERE name IS NOT NULL AND NOT deleted")}
    words |= {str(row[0]) for row in db.execute("SELECT DISTINCT tag FROM tag_row")}
    words |= {run.name for run in alive if run.name}
    near = difflib.get_close_matches(ref, sorted(words), 1)
    if near:
        hint = f"Did you mean {near[0]}?"
    elif len(ref) < SHORTEST_PREFIX:
        hint = f"The beginning of an id needs at least {SHORTEST_PREFIX} characters; `mltrack ls` shows the runs."
    else:
        hint = "`mltrack ls` shows the runs; `mltrack pull` brings those of a remote."
    return NotFound(f"There is no run {ref}." if ref else "An empty text names no run.", hint)
