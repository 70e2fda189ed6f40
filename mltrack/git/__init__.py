"""The one room that speaks to git: the snapshot of a worktree, packs, restore, patch text.

Import the submodules. Nothing here knows a store, a run or a project; the user's index, HEAD, branches, stash,
configuration and worktree are read and never written. Refs are written below `refs/mltrack/` only.
"""
