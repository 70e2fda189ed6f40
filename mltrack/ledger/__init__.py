"""Facts in SQLite: sealed records, the events that came later, and what both fold into.

`ledger.py` has the class, one open file; `schema.py` its tables and migrations; `events.py` the fold, which is pure.
Other rooms hand it records and get records back: no SQL leaves this room, and no object of the store enters it.
"""
