"""What a ledger remembers of remotes, as its methods: which segments are there, what they hold and replace.

The tables and their SQL are in `segments.py`. Every method is one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.ledger import segments as known
from mltrack.ledger.telling import told

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.events import Event


class RemoteMemory:
    """The part of `Ledger` that the road between projects asks."""

    path: Path
    db: sqlite3.Connection

    @told
    def segment_names(self, remote: str) -> set[str]:
        """Names of the segments of that remote whose content is remembered here."""
        return known.names(self.db, remote)

    @told
    def remember_segment(self, remote: str, held: known.Held) -> None:
        """Remember what a segment holds."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            known.remember(self.db, remote, held)

    @told
    def forget_segments(self, remote: str, names: Iterable[str]) -> None:
        """Forget segments that are not on the remote any more, so that what they held is sent again."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            known.forget(self.db, remote, names)

    @told
    def recognise_segments(self, remote: str, names: Iterable[str]) -> set[str]:
        """Those of the names, found on that remote, whose content is known already; they are remembered as there."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            return known.recognise(self.db, remote, names)

    @told
    def unsent(self, remote: str, run_ids: Sequence[str] | None = None) -> known.Unsent:
        """Digests of the records and events that no remembered segment of that remote holds, oldest first."""
        return known.unsent(self.db, remote, run_ids)

    @told
    def runs_on(self, remote: str) -> set[str]:
        """Ids of the runs that the remembered segments of that remote say something about."""
        return known.runs(self.db, remote)

    @told
    def unread(self, remote: str, run_ids: Sequence[str] | None = None) -> set[str]:
        """Names of remembered segments that hold a record or event which is not in this ledger."""
        return known.unread(self.db, remote, run_ids)

    @told
    def replacing(self, remote: str) -> dict[str, set[str]]:
        """The remembered segments of that remote that replace others, each with those, as `<replica>/<file>`."""
        return known.replacing(self.db, remote)

    @told
    def replaced_by(self, segments: Iterable[str]) -> set[str]:
        """What these segments replace, as `<replica>/<file>`."""
        return known.replaced(self.db, segments)

    @told
    def segments_ended_at(self, replica: str, last: int) -> set[str]:
        """Every segment of that replica ever known, on any remote, that ends with that number."""
        return known.ended_at(self.db, replica, last)

    @told
    def segments_of(self, replica: str) -> set[str]:
        """Every segment of that replica ever known, on any remote."""
        return known.of_replica(self.db, replica)

    @told
    def segment_items(self, segments: Iterable[str]) -> Sequence[tuple[str, str]]:
        """Digest and run of each record and event that these segments hold, once."""
        return known.items_of(self.db, segments)

    @told
    def record_digests_on(self, remote: str) -> Sequence[str]:
        """Digests of the records here that the remembered segments of that remote hold."""
        return known.records(self.db, remote)

    @told
    def is_from_here(self, run_id: str, own: Collection[str]) -> bool:
        """Was the record of that run written here, under one of our ids, and by nobody else? A record that came from a
        remote may say anything of itself, its origin too."""
        found = self.db.execute(
            "SELECT segment.name FROM record JOIN segment_item ON item = digest JOIN segment ON segment.id = segment"
            " WHERE record.run = ?",
            (run_id,),
        )
        return all(name.partition("/")[0] in own for (name,) in found)

    @told
    def environment_events(self, remote: str | None = None) -> dict[str, list[Event]]:
        """By run, the events that add objects to it: all that are here, or those known to be on that remote."""
        found: dict[str, list[Event]] = {}
        for event in known.environment_events(self.db, remote):
            found.setdefault(event.run, []).append(event)
        return found

    @told
    def unconfirmed(self, remote: str) -> Sequence[str]:
        """Records that a push wrote there before it could look whether what they need is still there."""
        return known.unconfirmed(self.db, remote)

    @told
    def note_unconfirmed(self, remote: str, records: Iterable[str]) -> None:
        """Note records that a push is about to write there."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            known.note_unconfirmed(self.db, remote, records)

    @told
    def confirm(self, remote: str) -> None:
        """All that was written there was found to be whole."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            known.confirm(self.db, remote)
