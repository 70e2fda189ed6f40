"""The query language: from a text to the runs that it asks for.

`parser.py` makes a tree of nouns (`tree.py`) of a text; `sql.py` makes a condition of it that the ledger answers, and
`evaluate.py` says whether one run's JSON fits, for runs that are still alive. `fields.py` has what can be asked for.
Nothing here opens a file or a database. What the words mean is in `docs/reference/query.md`.
"""
