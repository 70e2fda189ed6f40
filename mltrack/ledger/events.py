"""What happened to a run after it was sealed: events, their hybrid clock, and the fold of both into a run.

Pure: nothing here reads a clock, a file or the ledger. The same events in any order fold into the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from typing import Any

from mltrack.digest import digest_bytes, digest_json, is_digest, plain
from mltrack.errors import Damaged
from mltrack.ledger.keeping.shape import canonical, is_id, misfit
from mltrack.noun_json import from_dict
from mltrack.nouns import noun
from mltrack.records import Run
from mltrack.verdicts import Calibration, Verdict

LATEST_CLOCK = 1 << 53
"""Milliseconds; a clock beyond is refused, so that no event can carry the clocks of all others out of range."""


@noun
class Event:
    """One edit of one run. `value` is JSON; which one is right depends on `kind`."""

    id: str
    kind: str
    """`name`, `tag`, `untag`, `note`, `delete`, `restore`, `verdict`, `calibration`, `environment`; others come from a
    newer mltrack and are kept."""
    run: str
    value: Any
    clock: str
    """Hybrid clock, `<unix ms>.<counter>.<replica>`: orders events, and is never shown nor measured with."""
    at: str
    """Wall clock of the writer, ISO 8601 in UTC: for people."""
    replica: str
    user: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that this version does not know, kept for those that do."""


CARRIED = ("lock", "wheels", "image")
"""What an `environment` event may name."""

KNOWN = tuple(item.name for item in fields(Event) if item.name != "extra")


def event_json(event: Event) -> dict[str, Any]:
    """The event as its JSON object; its digest is that of the canonical JSON of this."""
    return {**event.extra, **{name: getattr(event, name) for name in KNOWN}}


def event_digest(event: Event) -> str:
    document = event_json(event)
    try:
        return digest_bytes(canonical(document))
    except ValueError:  # it holds what JSON cannot say
        return digest_json(document)


def event_from(data: Any) -> Event:
    """The event that `event_json` wrote, checked, since it may come from anywhere. Raises Damaged."""
    if not isinstance(data, dict):
        raise damaged("it is not an object")
    for name in KNOWN:
        if name not in data:
            raise damaged(f"it has no {name}")
        if name not in ("value", "user") and not isinstance(data[name], str):
            raise damaged(f"its {name} is not text")
    if not is_id(data["run"]):
        raise damaged(f"{data['run']!r} is not a run id")
    if not isinstance(data["user"], (str, type(None))):
        raise damaged("its user is not text")
    clock_key(data["clock"])
    extra = {key: value for key, value in data.items() if key not in KNOWN}
    return Event(**{name: plain(data[name]) for name in KNOWN}, extra=extra)


def damaged(why: str) -> Damaged:
    return Damaged(f"An event is damaged: {why}.", "It was not taken over. Run `mltrack verify`.")


def clock_key(clock: str) -> tuple[int, int, str]:
    """What a hybrid clock sorts by. Raises Damaged when it is not one."""
    parts = clock.split(".", 2)
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 16 for part in parts[:2]):
        raise damaged(f"{clock[:80]!r} is not a hybrid clock")
    if int(parts[0]) >= LATEST_CLOCK:
        raise damaged(f"its clock {clock[:80]!r} is out of range")
    return int(parts[0]), int(parts[1]), parts[2]


def next_clock(newest: str | None, now_ms: int, replica: str) -> str:
    """A clock after `newest` (the newest seen, from any replica), even if the wall clock was set back."""
    if newest is not None:
        ms, counter, _ = clock_key(newest)
        if ms >= now_ms:
            return f"{ms}.{counter + 1}.{replica}"
    return f"{now_ms}.0.{replica}"


def later(clocks: Iterable[str]) -> str | None:
    """The latest of some clocks; None of none."""
    return max(clocks, key=clock_key, default=None)


def in_order(events: Iterable[Event]) -> list[Event]:
    """Each event once, by hybrid clock; ties, which two copies of one replica can make, by digest."""
    every = list(events)
    if len(every) < 2:
        return every
    unique = {event_digest(event): event for event in every}
    return [event for _, event in sorted(unique.items(), key=lambda item: (clock_key(item[1].clock), item[0]))]


def fold(record: Run, events: Iterable[Event]) -> Run:
    """The run as its events left it. An event whose kind or value is not understood changes nothing."""
    name, verdict, kept = record.name, record.verdict, dict(record.environment_kept)
    tags, notes = list(record.tags), list(record.notes)
    calibrations = list(record.calibrations)
    for event in in_order(events):
        value = event.value
        if event.kind == "name" and isinstance(value, (str, type(None))):
            name = value
        elif event.kind == "tag" and isinstance(value, str):
            tags += [value] if value not in tags else []
        elif event.kind == "untag" and isinstance(value, str):
            tags = [tag for tag in tags if tag != value]
        elif event.kind == "note" and isinstance(value, str):
            notes.append(value)
        elif event.kind == "verdict" and misfit(Verdict, value) is None:
            verdict = from_dict(Verdict, value)
        elif event.kind == "calibration" and misfit(Calibration, value) is None:
            calibrations.append(from_dict(Calibration, value))
        elif event.kind == "environment":
            kept |= objects_added(event)
    return replace(
        record,
        name=name,
        tags=tuple(tags),
        notes=tuple(notes),
        verdict=verdict,
        calibrations=tuple(calibrations),
        environment_kept=kept,
    )


def objects_added(event: Event) -> dict[str, str]:
    """What an `environment` event adds to its run, name -> digest; what is not understood is left out."""
    if not isinstance(event.value, dict):
        return {}
    return {what: digest for what, digest in event.value.items() if what in CARRIED and is_digest(digest)}


def is_deleted(events: Iterable[Event]) -> bool:
    """Was the run deleted, and not restored since?"""
    deleted = False
    for event in in_order(events):
        if event.kind in ("delete", "restore"):
            deleted = event.kind == "delete"
    return deleted


def is_dropped(events: Iterable[Event]) -> bool:
    """Was the run's data let go by name, and the run not restored since?"""
    dropped = False
    for event in in_order(events):
        if event.kind in ("drop", "restore"):
            dropped = event.kind == "drop"
    return dropped
