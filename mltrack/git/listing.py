"""What git says of a worktree, asked in one breath: its index, its status, HEAD and the settings.

The questions go to a private copy of the index, so that nothing of the user's is locked, refreshed or rewritten.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mltrack.errors import MltrackError, StorageError
from mltrack.git.repository import Answer, Repository, answers, ask, credential_free, failure

STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames", "--no-ahead-behind")

TRUE = ("true", "yes", "on", "1", "")


@dataclass
class Listing:
    """The index and git's opinion of the worktree. Paths are bytes relative to the root."""

    entries: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)
    """Path -> (mode, object id) of every merged entry."""
    flagged: set[bytes] = field(default_factory=set)
    """Entries that git does not look at: assume-unchanged and skip-worktree."""
    skipped: set[bytes] = field(default_factory=set)
    """Entries with skip-worktree, as a sparse checkout sets it."""
    unmerged: set[bytes] = field(default_factory=set)
    intended: set[bytes] = field(default_factory=set)
    """Entries made by `git add --intent-to-add`."""
    staged: set[bytes] = field(default_factory=set)
    touched: set[bytes] = field(default_factory=set)
    """Entries whose file looked changed to git; its filters may explain that away."""
    untracked: list[bytes] = field(default_factory=list)
    """Not ignored; an embedded repository ends with a slash."""
    unreadable: list[bytes] = field(default_factory=list)
    commit: str | None = None
    commit_tree: str | None = None
    commit_seconds: int = 0
    branch: str | None = None
    config: dict[str, str] = field(default_factory=dict)

    @property
    def algorithm(self) -> str:
        """The repository's object format."""
        return self.config.get("extensions.objectformat", "sha1").lower()

    @property
    def converts_line_ends(self) -> bool:
        """Does core.autocrlf convert files that no attribute speaks of?"""
        return self.config.get("core.autocrlf", "false").lower() in (*TRUE, "input")

    @property
    def is_sparse(self) -> bool:
        """Is it a sparse checkout, in which files are absent on purpose?"""
        return self.config.get("core.sparsecheckout", "false").lower() in TRUE

    @property
    def is_partial(self) -> bool:
        """Is it a partial clone, in which objects may be missing?"""
        return "extensions.partialclone" in self.config or any(
            name.startswith("remote.") and name.endswith(".promisor") and value.lower() in TRUE
            for name, value in self.config.items()
        )


@contextmanager
def private_index(repo: Repository) -> Iterator[Path]:
    """A directory that holds a copy of the repository's index, `index`, and is removed at the end. Raises
    StorageError."""
    top = Path(os.environ.get("TMPDIR") or "/tmp")
    directory = top / f"mltrack-{os.getpid()}-{os.urandom(8).hex()}"
    try:
        try:
            directory.mkdir(mode=0o700)
            copy_index(repo.git_dir / "index", directory / "index")
        except OSError as error:
            raise StorageError(
                f"A copy of git's index cannot be written in {top}: {error.strerror}.",
                "Free some space there, or set TMPDIR to another directory.",
            ) from error
        yield directory
    finally:
        if directory.exists():
            for file in directory.iterdir():
                file.unlink()
            directory.rmdir()


def copy_index(index: Path, copy: Path) -> None:
    """Copy git's index, if there is one. With a later time than the original's, files that changed in the same tick
    would count as unchanged."""
    if index.exists():
        found = index.stat()
        copy.write_bytes(index.read_bytes())
        os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def read_listing(repo: Repository, index: Path) -> Listing:
    """Ask git everything at once. Raises MltrackError where git fails."""
    for _ in range(3):
        listing = Listing()
        env = {"GIT_INDEX_FILE": os.fspath(index)}
        status, files, config, head = answers(
            ask(repo, *STATUS, "--ignore-submodules=dirty", env=env),
            ask(repo, "ls-files", "-s", "-v", "-z", env=env),
            ask(repo, "config", "-z", "--list"),
            ask(repo, "cat-file", "commit", "HEAD"),
        )
        listing.config = parse_config(_output(config))
        parse_status(_output(status), listing)
        parse_entries(_output(files), listing)
        listing.unreadable = parse_warnings(status.talk)
        if listing.commit is None or _is_commit(listing, head):
            return listing
        # HEAD moved between two of the questions; ask again.
    raise MltrackError("HEAD cannot be read, or moves all the time.", "Check the repository with `git fsck`.")


def parse_status(output: bytes, listing: Listing) -> None:
    """Fill in what `git status --porcelain=v2 --branch -z --no-renames` says."""
    for line in output.split(b"\0"):
        kind = line[:2]
        if kind == b"1 ":
            _, staged_worktree, _, _, _, _, _, _, path = line.split(b" ", 8)
            if staged_worktree[:1] != b".":
                listing.staged.add(path)
            if staged_worktree[1:] != b".":
                listing.touched.add(path)
            if staged_worktree == b".A":
                listing.intended.add(path)
        elif kind == b"? ":
            listing.untracked.append(line[2:])
        elif kind == b"u ":
            listing.unmerged.add(line.split(b" ", 10)[10])
        elif line.startswith(b"# branch.oid ") and not line.endswith(b"(initial)"):
            listing.commit = line[13:].decode()
        elif line.startswith(b"# branch.head ") and not line.endswith(b"(detached)"):
            listing.branch = os.fsdecode(line[14:])


def parse_entries(output: bytes, listing: Listing) -> None:
    """Fill in what `git ls-files -s -v -z` says."""
    for line in output.split(b"\0"):
        if not line:
            continue
        facts, _, path = line.partition(b"\t")
        tag, mode, name, stage = facts.split(b" ")
        if stage != b"0":
            continue
        listing.entries[path] = (mode, name.decode())
        if tag != b"H":
            listing.flagged.add(path)
            if tag in b"Ss":
                listing.skipped.add(path)


def parse_config(output: bytes) -> dict[str, str]:
    """`git config -z --list` as a mapping, the last value of a name wins."""
    settings = {}
    for item in os.fsdecode(output).split("\0"):
        name, _, value = item.partition("\n")
        settings[name] = value
    return settings


def parse_warnings(talk: bytes) -> list[bytes]:
    """The directories that git could not look into."""
    start, end = b"warning: could not open directory '", b"': "
    return [
        line[len(start) : line.rindex(end)]
        for line in talk.split(b"\n")
        if line.startswith(start) and end in line[len(start) :]
    ]


def find_origin(listing: Listing) -> str | None:
    """The URL of the branch's remote, else of `origin`, else of the first one; without credentials."""
    config = listing.config
    named = config.get(f"branch.{listing.branch}.remote", "origin")
    urls = {name[7:-4]: value for name, value in config.items() if name.startswith("remote.") and name.endswith(".url")}
    url = urls.get(named) or urls.get("origin") or next(iter(urls.values()), None)
    return credential_free(url) if url else None


def _is_commit(listing: Listing, head: Answer) -> bool:
    """Does the text of HEAD's commit belong to the id that status gave? Then note its tree and time."""
    import hashlib

    text = head.output
    state = hashlib.new(listing.algorithm, b"commit %d\0" % len(text) + text, usedforsecurity=False)
    if state.hexdigest() != listing.commit:
        return False
    for line in text.split(b"\n"):
        if line.startswith(b"tree "):
            listing.commit_tree = line[5:].decode()
        elif line.startswith(b"committer "):
            words = line.rsplit(b" ", 2)
            listing.commit_seconds = int(words[1]) if len(words) == 3 and words[1].isdigit() else 0
        elif not line:
            break
    return True


def _output(answer: Answer) -> bytes:
    if answer.error is not None:
        raise failure(answer.error)
    return answer.output
