"""The difference of two trees, for people: names, counts of lines, and a patch.

Never runs an external diff or a text conversion; what the user's settings would change is set by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mltrack.git.repository import ask, git, object_store, together
from mltrack.nouns import noun

EMPTY_TREES = {40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}
EMPTY_TREES[64] = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
"""The id of a tree with nothing in it, by the length of ids; git knows it without having it."""

PLAIN = ("-c", "core.attributesFile=/dev/null")
COUNTED = ("--raw", "--numstat", "-z")
PATCH = ("-p", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")


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
    output = git(object_store(git_dir), *PLAIN, "diff-tree", "-r", "-M", *PATCH, tree_a, tree_b)
    return output.decode("utf-8", "replace")


@noun
class ChangedFile:
    """A file that differs. `status`: A, M, D or R; a renamed one has its path then in `before`. The numbers of lines
    are null for a binary file. `blobs` are the object ids then and now; null where there is no regular file."""

    status: str
    path: str
    before: str | None
    added: int | None
    removed: int | None
    blobs: tuple[str | None, str | None] = (None, None)


def compare_trees(git_dir: Path, tree_a: str, tree_b: str) -> tuple[list[ChangedFile], str]:
    """The files that differ between two trees, by path, and the patch. Binary files are only named in it; bytes that
    are not UTF-8 are replaced."""
    repo = object_store(git_dir)
    listed, patch = together(
        *(ask(repo, *PLAIN, "diff-tree", "-r", "-M", *form, tree_a, tree_b) for form in (COUNTED, PATCH))
    )
    return read_counted(listed), patch.decode("utf-8", "replace")


def read_counted(output: bytes) -> list[ChangedFile]:
    """What `--raw --numstat -z` gives: all files with their letters, then all with their numbers of lines."""
    words = iter(output.split(b"\0")[:-1])
    statuses: dict[str, tuple[str, str | None, tuple[str | None, str | None]]] = {}
    found = []
    for word in words:
        if word.startswith(b":"):
            letter = word.rpartition(b" ")[2][:1].decode()
            before, path = paths(words, is_renamed=letter == "R")
            statuses[path] = ("M" if letter == "T" else letter, before, blobs(word))
            continue
        added, removed, name = word.split(b"\t", 2)
        path = os.fsdecode(name) if name else paths(words, is_renamed=True)[1]
        letter, before, ids = statuses[path]
        found.append(ChangedFile(letter, path, before, lines(added), lines(removed), ids))
    return found


def blobs(word: bytes) -> tuple[str | None, str | None]:
    """The ids of `:100644 100644 OLD NEW M`, where they are those of regular files."""
    modes, ids = word[1:].split(b" ")[:2], word.split(b" ")[2:4]
    then, now = (name.decode() if mode.startswith(b"100") else None for mode, name in zip(modes, ids))
    return then, now


def blob_sizes(git_dir: Path, ids: Iterable[str]) -> dict[str, int]:
    """Object id -> size in bytes, without those that are not there."""
    asked = "".join(f"{one}\n" for one in ids).encode()
    told = git(object_store(git_dir), "cat-file", "--batch-check=%(objectname) %(objectsize)", input=asked)
    pairs = (line.split() for line in told.decode().splitlines())
    return {name: int(number) for name, number in pairs if number != "missing"}


def read_blobs(git_dir: Path, ids: Sequence[str]) -> list[bytes]:
    """What these objects hold. Raises MltrackError where one is not there."""
    repo = object_store(git_dir)
    return together(*(ask(repo, "cat-file", "blob", one) for one in ids))


def paths(words: Iterator[bytes], is_renamed: bool) -> tuple[str | None, str]:
    first = os.fsdecode(next(words))
    return (first, os.fsdecode(next(words))) if is_renamed else (None, first)


def lines(word: bytes) -> int | None:
    return None if word == b"-" else int(word)
