"""The road between two projects: push and pull over any fsspec filesystem, without a server.

`remote.py` is one remote; `transfer.py` has the verbs; `check.py` looks a remote over. Nothing is ever rewritten on a
remote but `heads/`, so there is nothing to lock. The format is in `docs/reference/format-remote.md`.
"""
