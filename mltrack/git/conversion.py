"""Bytes of the worktree -> the blobs that git would make of them, written to the object database.

Filters, line ends, encodings and `$Id$` are git's work (`git hash-object`). Git LFS is bypassed: its pointers are
made here, so that nothing is written to the user's `.git/lfs` and git-lfs need not be installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mltrack.git.repository import Repository, answers, ask, failure, git, is_disk_failure
from mltrack.git.worktree import Worktree

CONVERTING = frozenset((b"text", b"crlf", b"eol", b"ident", b"working-tree-encoding", b"filter"))
"""Attributes that can make a blob differ from the file."""

POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_LIMIT = 1024
"""Bytes; git-lfs takes no longer file for a pointer."""

REFUSALS = 20
"""After so many refusals (a required filter that is not installed, say) the rest is written raw without asking."""

Attributes = Mapping[bytes, Mapping[bytes, bytes]]
"""path -> attribute -> value, only those that can convert and are not unset."""


def read_attributes(repo: Repository, paths: Iterable[bytes], index: Path) -> Attributes:
    """The converting attributes of each path that has any."""
    output = git(
        repo, "check-attr", "-z", "-a", "--stdin", input=b"".join(path + b"\0" for path in paths),
        env={"GIT_INDEX_FILE": os.fspath(index)},
    )  # fmt: skip
    words = output.split(b"\0")[:-1]
    found: dict[bytes, dict[bytes, bytes]] = {}
    for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=True):
        if name in CONVERTING and value != b"unset":
            found.setdefault(path, {})[name] = value
    return found


def attributes_apply(config: Mapping[str, str], common_dir: Path) -> bool:
    """Is there an attributes file outside of the worktree: the repository's, the user's, the system's?"""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME", ""), ".config")
    files = (
        common_dir / "info" / "attributes",
        Path(config.get("core.attributesfile") or f"{home}/git/attributes").expanduser(),
        Path("/etc/gitattributes"),
    )
    return any(file.exists() for file in files)


def is_lfs(attributes: Attributes, path: bytes) -> bool:
    """Does Git LFS keep this path's content?"""
    return attributes.get(path, {}).get(b"filter") == b"lfs"


def is_pointer(work: Worktree, path: bytes, size: int) -> bool:
    """Is the file itself what git-lfs would commit: a pointer, or empty?"""
    if size == 0:
        return True
    return size < POINTER_LIMIT and work.read_start(path, len(POINTER)) == POINTER


def write_converted(repo: Repository, paths: Sequence[bytes]) -> dict[bytes, str]:
    """Path -> id of the blob that git makes of the file with its filters. What a filter refuses is written raw.

    Paths that cannot be read even so are not in the answer. Raises StorageError where objects cannot be written.
    """
    done: dict[bytes, str] = {}
    refused: list[bytes] = []
    rest = list(paths)
    while rest and len(refused) < REFUSALS:
        names, error = _hash_objects(repo, rest)
        done.update(zip(rest, names, strict=False))
        # One file stopped git: a required filter failed, an encoding did not fit, or the file has gone.
        refused += rest[len(names) : len(names) + 1] if error else ()
        rest = rest[len(names) + 1 :]
    return {**done, **write_raw(repo, refused + rest)}


def write_raw(repo: Repository, paths: Sequence[bytes]) -> dict[bytes, str]:
    """Path -> id of the blob that holds the file's own bytes; without those that cannot be read.

    Raises StorageError where objects cannot be written.
    """
    done: dict[bytes, str] = {}
    rest = list(paths)
    while rest:
        names, _ = _hash_objects(repo, rest, "--no-filters")
        done.update(zip(rest, names, strict=False))
        rest = rest[len(names) + 1 :]
    return done


def _hash_objects(repo: Repository, paths: Sequence[bytes], *options: str) -> tuple[list[str], str | None]:
    """The ids of as many files as git got through, and why it stopped before the last one, if it did."""
    answer = answers(ask(repo, "hash-object", "-w", *options, "--stdin-paths", input=_lines(paths)))[0]
    names = answer.output.decode().split()
    error = answer.error
    if error is not None and (len(names) == len(paths) or (is_disk_failure(error) and "for reading" not in error)):
        raise failure(error)
    return names, error


def write_texts(repo: Repository, texts: Mapping[bytes, bytes], scratch: Path) -> dict[bytes, str]:
    """Path -> id of the blob of the given bytes: the texts of symbolic links, LFS pointers."""
    files = {path: os.fsencode(scratch / f"text-{number}") for number, path in enumerate(texts)}
    for path, file in files.items():
        Path(os.fsdecode(file)).write_bytes(texts[path])
    names = write_raw(repo, list(files.values()))
    return {path: names[file] for path, file in files.items()}


def keeps_crlf(repo: Repository, paths: Iterable[bytes], index: Path) -> set[bytes]:
    """Those of the paths whose line ends git leaves alone, because the index already holds them with CRLF.

    `git hash-object` does not know this rule of `git add`; without it an edit of one line would change every line.
    """
    wanted, kept = set(paths), set()
    output = git(repo, "ls-files", "--eol", "-z", env={"GIT_INDEX_FILE": os.fspath(index)})
    for line in output.split(b"\0"):
        facts, _, path = line.partition(b"\t")
        if path in wanted and facts.startswith((b"i/crlf", b"i/mixed")):
            attribute = facts.partition(b"attr/")[2].strip()
            if not attribute or attribute.startswith(b"text=auto"):
                kept.add(path)
    return kept


def _lines(paths: Iterable[bytes]) -> bytes:
    return b"".join(_quoted(path) + b"\n" for path in paths)


def _quoted(path: bytes) -> bytes:
    """A path as git reads it from a line: in C's quotes where it holds a newline, or starts like a quoted one."""
    if b"\n" not in path and b"\r" not in path and not path.startswith(b'"'):
        return path
    for plain, escaped in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\r", b"\\r")):
        path = path.replace(plain, escaped)
    return b'"' + path + b'"'
