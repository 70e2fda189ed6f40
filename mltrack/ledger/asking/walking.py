"""Runs one after another, for lists that would not fit into memory: the ids first, then some records at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mltrack.ledger.asking.choosing import chosen
from mltrack.ledger.asking.queries import RunQuery, select_documents
from mltrack.ledger.language.fields import FIELDS, Asked
from mltrack.ledger.language.tree import Compare, Literal
from mltrack.ledger.telling import tell

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger

AT_ONCE = 200
"""Runs whose JSON is in memory at the same time."""


def each_document(ledger: Ledger, query: RunQuery) -> Iterator[dict[str, Any]]:
    """The machine interface's JSON values of the runs that a query asks for, without packages, in order.

    Raises UsageError on a field that cannot be sorted by, Damaged, StorageError.
    """
    import sqlite3

    asked = Asked("id", FIELDS["id"])
    try:
        ids = chosen(ledger.db, query)
        for start in range(0, len(ids), AT_ONCE):
            page = ids[start : start + AT_ONCE]
            where = Compare(asked, "=", tuple(Literal(one) for one in page))
            read = select_documents(ledger.db, RunQuery(where=where, include_deleted=True))
            found = {one["id"]: one for one in read}
            yield from (found[one] for one in page if one in found)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise tell(ledger.path, error) from error
