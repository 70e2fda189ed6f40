"""The id of this checkout, as the rest of the house asks for it. How it is minted stands in `ledger/replica.py`,
because events carry it."""

from __future__ import annotations

from mltrack.ledger.replica import known_replica, renew_replica, replica_id

__all__ = ["known_replica", "renew_replica", "replica_id"]
