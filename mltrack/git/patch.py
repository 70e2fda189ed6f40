"""The difference of two trees, for people: names, and a patch.

Never runs an external diff or a text conversion; what the user's settings would change is set by hand.
"""

from __future__ import annotations

import os
from pathlib import Path

from mltrack.git.repository import git, object_store

EMPTY_TREES = {40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}
EMPTY_TREES[64] = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
"""The id of a tree with nothing in it, by the length of ids; git knows it without having it."""

PLAIN = ("-c", "core.attributesFile=/dev/null")


def changed_names(git_dir: Path, tree_a: str, tree_b: str) -> list[tuple[str, str]]:
    """(A, M, D or R; path) of each difference, by path. A renamed file's path is `old -> new`."""
    output = git(object_store(git_dir), *PLAIN, "diff-tree", "-r", "-z", "-M", "--name-status", tree_a, tree_b)
    words = iter(output.split(b"\0")[:-1])
    changes = []
    for word in words:
        status = word[:1].decode()
        path = os.fsdecode(next(words))
        if status == "R":
            path = f"{path} -> {os.fsdecode(next(words))}"
        changes.append(("M" if status == "T" else status, path))
    return changes


def patch_text(git_dir: Path, tree_a: str, tree_b: str) -> str:
    """The patch from one tree to the other. Binary files are named only; bytes that are not UTF-8 are replaced."""
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    output = git(object_store(git_dir), *PLAIN, "diff-tree", "-r", "-p", "-M", *options, tree_a, tree_b)
    return output.decode("utf-8", "replace")
