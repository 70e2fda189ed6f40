"""The snapshot: a commit whose tree is the worktree as it is, made without touching anything of the user's.

A private index gets what differs from the user's; `git write-tree` makes the tree; a commit with a fixed author on
top of HEAD holds it, and `refs/mltrack/<commit>` keeps it until the store has it. The same tree on the same commit
always gives the same snapshot. Nested repositories are captured likewise, each with a snapshot of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mltrack.errors import MltrackError
from mltrack.git.blobs import RawFile, Site, settle
from mltrack.git.conversion import is_lfs, write_raw
from mltrack.git.exclusions import Budget, may_hold_secrets
from mltrack.git.listing import Listing, find_origin, private_index, read_listing
from mltrack.git.repository import Repository, find_repository, git, is_private
from mltrack.git.survey import CALM_NS, Pending, Rules, Trust, hash_files, is_small, survey_untracked, survey_worktree
from mltrack.git.worktree import GITLINK, StatKey, Worktree
from mltrack.nouns import noun
from mltrack.records import CodeState, LeftOut, NestedCode

AUTHOR = "mltrack <mltrack@localhost>"
REFS = "refs/mltrack/"
NOT_HERE = "its content is not in this partial clone"


@noun
class Limits:
    """Sizes up to which untracked files are captured: each of them, and together; bytes."""

    untracked_limit: int
    untracked_total: int


@noun
class Captured:
    """What `capture` found. Paths in `files` are relative to the top of the outermost repository."""

    code: CodeState
    """Its `packs` are empty and its `raw` is None: `snapshot/code.py` fills them."""
    files: Mapping[bytes, StatKey]
    """Every file that git lists, nested repositories included, as it was at capture; left out and outputs too."""
    objects: tuple[tuple[str, Path], ...]
    """(path of a nested repository, "" for the outermost; its git directory), which hold the objects."""
    raw: Mapping[str, tuple[RawFile, ...]]
    """The files kept raw, by the same paths of repositories; their own paths are relative to their repository."""

    def tracked_secrets(self) -> list[str]:
        """Captured files whose names say that they hold secrets; only tracked ones can be among them."""
        left_out = {os.fsencode(item.path) for item in self.code.left_out}
        return [os.fsdecode(path) for path in sorted(self.files) if may_hold_secrets(path) and path not in left_out]


@noun
class Task:
    """What the caller of `capture` asked for, and how deep in nested repositories we are."""

    budget: Budget
    is_output: Callable[[bytes], bool]
    keep_raw: Callable[[bytes, Path], str]
    prefix: bytes = b""


def capture(
    repo: Repository,
    limits: Limits,
    is_output: Callable[[bytes], bool],
    keep_raw: Callable[[bytes, Path], str],
) -> Captured:
    """The exact tree of the whole repository, kept by a snapshot commit.

    Untracked files of which `is_output(path)` holds are not code. `keep_raw(path, file)` is called for each file whose
    bytes a filter converts, and returns the digest they are kept under. What could not be captured is in `left_out`.
    Raises MltrackError where git fails, StorageError where the disk does.
    """
    return _capture(repo, Task(Budget(limits.untracked_limit, limits.untracked_total), is_output, keep_raw))


def _capture(repo: Repository, task: Task) -> Captured:
    started_ns = time.time_ns()
    with private_index(repo) as scratch:
        listing = read_listing(repo, scratch / "index")
        with Worktree(repo.root, listing.algorithm) as work:
            rules = Rules(task.budget, lambda path: task.is_output(task.prefix + path))
            survey, pending = survey_worktree(work, listing, rules)
            site = Site(
                repo, work, listing, survey, scratch,
                lambda path, file: task.keep_raw(task.prefix + path, file),
            )  # fmt: skip
            places = _find_nested(site, rules, pending)
            _hash(site, pending, started_ns)
            nested = _capture_nested(site, places, task)
            ids, raws = settle(site)
            changes = _changes(site, ids, nested)
            tree = _write_tree(site, changes)
            if listing.is_partial:
                _note_missing(site, tree, ids)
        snapshot = _write_snapshot(repo, listing, tree)
    own = _code_state(site, nested, changes, (tree, snapshot))
    return _assemble(site, own, raws, nested)


def _hash(site: Site, pending: Pending, started_ns: int) -> None:
    trust = Trust(site.listing, {}, 0)
    if not is_small(pending):
        attributes = site.read_attributes(pending)
        site.survey.lfs.update(path for path in attributes if is_lfs(attributes, path))
        trust = Trust(site.listing, attributes, started_ns - CALM_NS)
    hash_files(site.work, site.survey, pending, trust)


def _find_nested(site: Site, rules: Rules, pending: Pending) -> dict[bytes, Repository]:
    """The repositories inside this one. Files in a submodule's directory that has no repository become pending."""
    places = {}
    for path in sorted(site.survey.nested):
        place = site.work.place(path)
        try:
            inner = find_repository(place) if os.path.lexists(place / ".git") else None
        except MltrackError as error:
            site.survey.left_out[path] = LeftOut(os.fsdecode(path), None, error.message)
            continue
        if inner is not None and inner.root.samefile(place):
            places[path] = inner
        else:
            _survey_directory(site, rules, pending, path)
    return places


def _survey_directory(site: Site, rules: Rules, pending: Pending, path: bytes) -> None:
    """git does not look into the directory of a submodule that is not there; what lies in it is code all the same."""
    for directory, names, files in os.walk(os.fsencode(site.work.place(path))):
        names[:] = sorted(name for name in names if name not in (b".git", b".mltrack"))
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        for name in sorted(files + links):
            file = os.path.relpath(os.path.join(directory, name), os.fsencode(site.repo.root))
            survey_untracked(site.work, rules, site.survey, pending, file)
            site.survey.removed.add(path)


def _capture_nested(site: Site, places: Mapping[bytes, Repository], task: Task) -> dict[bytes, Captured]:
    nested = {}
    for path, inner in places.items():
        try:
            nested[path] = _capture(inner, replace(task, prefix=task.prefix + path + b"/"))
        except MltrackError as error:
            site.survey.left_out[path] = LeftOut(os.fsdecode(path), None, error.message)
    return nested


def _changes(site: Site, ids: Mapping[bytes, str], nested: Mapping[bytes, Captured]) -> dict[bytes, tuple[bytes, str]]:
    """What the private index must be told: path -> (mode, id); an empty mode takes the path away."""
    listing, survey = site.listing, site.survey
    forced = listing.unmerged | listing.intended
    changes = {path: (b"", "") for path in survey.removed if path in listing.entries or path in listing.unmerged}
    wanted = {path: (found.mode, ids[path]) for path, found in survey.found.items()}
    for path, inner in nested.items():
        if inner.code.commit is not None:
            wanted[path] = (GITLINK, inner.code.commit)
        elif path in listing.entries:
            changes[path] = (b"", "")
    changes.update({path: item for path, item in wanted.items() if path in forced or listing.entries.get(path) != item})
    return changes


def _write_tree(site: Site, changes: Mapping[bytes, tuple[bytes, str]]) -> str:
    listing = site.listing
    if listing.commit_tree is not None and not (changes or listing.staged or listing.unmerged):
        return listing.commit_tree
    env = {"GIT_INDEX_FILE": os.fspath(site.index)}
    if changes:
        # What goes, goes first: a file may have become a directory, or the reverse.
        lines = [b"0 %b\t%b\0" % (b"0" * _id_length(listing), path) for path, item in changes.items() if not item[0]]
        lines += [b"%b %b\t%b\0" % (item[0], item[1].encode(), path) for path, item in changes.items() if item[0]]
        git(site.repo, "update-index", "-z", "--index-info", input=b"".join(lines), env=env)
    return git(site.repo, "write-tree", "--missing-ok", env=env).decode().strip()


def _id_length(listing: Listing) -> int:
    return 64 if listing.algorithm == "sha256" else 40


def _note_missing(site: Site, tree: str, ids: Mapping[bytes, str]) -> None:
    """In a partial clone: write the blobs that we have the bytes of, list the others as left out."""
    output = git(site.repo, "rev-list", "--objects", "--no-walk", "--missing=print", tree)
    missing = {line[1:].decode() for line in output.split(b"\n") if line.startswith(b"?")}
    present = [path for path, name in ids.items() if name in missing and site.survey.found[path].raw_id == name]
    missing -= set(write_raw(site.repo, present).values())
    for path, (_, name) in site.listing.entries.items():
        if name in missing and path not in site.survey.removed:
            site.survey.left_out[path] = LeftOut(os.fsdecode(path), None, NOT_HERE)


def _write_snapshot(repo: Repository, listing: Listing, tree: str) -> str:
    """The snapshot's commit, by plumbing that signs nothing and knows no user; its ref is there when this returns."""
    who = f"{AUTHOR} {listing.commit_seconds} +0000"
    parent = f"parent {listing.commit}\n" if listing.commit else ""
    text = f"tree {tree}\n{parent}author {who}\ncommitter {who}\n\nmltrack snapshot\n"
    snapshot = git(repo, "hash-object", "-t", "commit", "-w", "--stdin", input=text.encode()).decode().strip()
    git(repo, "update-ref", REFS + snapshot, snapshot)
    return snapshot


def _code_state(
    site: Site, nested: Mapping[bytes, Captured], changes: Mapping[bytes, object], written: tuple[str, str]
) -> CodeState:
    listing = site.listing
    private = listing.commit is None and is_private(site.repo)
    changed = set(changes) | listing.staged | listing.unmerged | listing.intended
    changed |= {path for path, inner in nested.items() if inner.code.dirty}
    if private:
        # Nothing to compare with: a directory that is no repository is neither clean nor dirty.
        changed = set()
    return CodeState(
        commit=listing.commit,
        branch=None if private else listing.branch,
        dirty=bool(changed),
        tree=written[0],
        snapshot=written[1],
        origin=find_origin(listing),
        changed=tuple(os.fsdecode(path) for path in sorted(changed)),
        left_out=tuple(item for _, item in sorted(site.survey.left_out.items())),
        nested=tuple(NestedCode(os.fsdecode(path), inner.code) for path, inner in sorted(nested.items())),
    )


def _assemble(site: Site, code: CodeState, raws: list[RawFile], nested: Mapping[bytes, Captured]) -> Captured:
    """One answer of this repository's and the nested ones'."""
    files = dict(site.survey.files)
    objects = [("", site.repo.git_dir)]
    raw = {"": tuple(raws)} if raws else {}
    for path, inner in sorted(nested.items()):
        files.update((path + b"/" + name, key) for name, key in inner.files.items())
        objects += [(_below(path, deeper), git_dir) for deeper, git_dir in inner.objects]
        raw.update({_below(path, deeper): kept for deeper, kept in inner.raw.items()})
    return Captured(code, files, tuple(objects), raw)


def _below(path: bytes, deeper: str) -> str:
    return os.fsdecode(path) + (f"/{deeper}" if deeper else "")
