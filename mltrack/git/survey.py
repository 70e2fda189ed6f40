"""What of a worktree belongs in its tree: every path that git lists, looked at on the disk.

Decides path by path; runs no git and writes nothing. `capture.py` makes the tree of what is found here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from mltrack.git import exclusions
from mltrack.git.conversion import Attributes, is_lfs
from mltrack.git.listing import Listing
from mltrack.git.worktree import GITLINK, StatKey, Unstable, Worktree, git_mode, stat_key
from mltrack.nouns import noun
from mltrack.records import LeftOut

HASH_ALL_FILES = 1500
HASH_ALL_BYTES = 32 << 20
"""Up to here every file is hashed at each capture (30 ms); beyond, git's stat data is believed where it can be."""

CALM_NS = 2_000_000_000
"""A file changed later than this before the capture began may have changed again in the same tick: it is hashed."""

UNSTABLE = "it changes while it is being captured"
VANISHED = "it vanished"
NOT_REGULAR = "it is not a regular file"


@dataclass
class Found:
    """A file or link that belongs in the tree. `raw_id` is None where its stat proves that the index is right."""

    mode: bytes
    raw_id: str | None
    key: StatKey


@dataclass
class Survey:
    """All that was seen. Paths are relative to the root of this worktree."""

    found: dict[bytes, Found] = field(default_factory=dict)
    removed: set[bytes] = field(default_factory=set)
    """Paths of the index that are not, or not to be, in the tree."""
    nested: set[bytes] = field(default_factory=set)
    """Directories that may be repositories of their own: submodules and embedded ones."""
    files: dict[bytes, StatKey] = field(default_factory=dict)
    """Every file that was listed, captured or not."""
    left_out: dict[bytes, LeftOut] = field(default_factory=dict)
    lfs: set[bytes] = field(default_factory=set)
    """Paths whose content Git LFS keeps, of those whose stat may be believed."""

    def leave_out(self, path: bytes, size: int | None, reason: str) -> None:
        """Note that the path is not captured; it leaves the tree."""
        self.left_out[path] = LeftOut(os.fsdecode(path), size, reason)
        self.found.pop(path, None)
        self.removed.add(path)


@noun
class Rules:
    """What applies to untracked files."""

    budget: exclusions.Budget
    is_output: Callable[[bytes], bool]


Pending = dict[bytes, os.stat_result]
"""Files and links that belong in the tree and are still to be hashed."""


def survey_worktree(work: Worktree, listing: Listing, rules: Rules) -> tuple[Survey, Pending]:
    """Look at every path that git lists; `hash_files` reads what is pending."""
    survey = Survey()
    pending: Pending = {}
    for path in (*listing.entries, *listing.unmerged):
        # Someone's committed `.mltrack/` stays in the tree as the index has it; the live one is no code.
        if not exclusions.is_ours(path):
            _survey_tracked(work, listing, survey, pending, path)
    for path in sorted(listing.untracked):
        if path.endswith(b"/"):
            survey.nested.add(path[:-1])
        elif not exclusions.is_ours(path):
            survey_untracked(work, rules, survey, pending, path)
    for path in listing.unreadable:
        survey.left_out[path] = LeftOut(os.fsdecode(path.rstrip(b"/")), None, "the directory cannot be read")
    return survey, pending


def _survey_tracked(work: Worktree, listing: Listing, survey: Survey, pending: Pending, path: bytes) -> None:
    try:
        found = work.stat(path)
    except OSError as error:
        survey.leave_out(path, None, unreadable(error))
        return
    if found is None:
        # A path outside of a sparse checkout is not deleted: the tree keeps what the index says.
        if not (listing.is_sparse and path in listing.skipped):
            survey.removed.add(path)
    elif not stat.S_ISDIR(found.st_mode):
        survey.files[path] = stat_key(found)
        if git_mode(found):
            pending[path] = found
        else:
            survey.leave_out(path, None, NOT_REGULAR)
    elif listing.entries.get(path, (b"", ""))[0] == GITLINK:
        survey.nested.add(path)
    else:
        survey.removed.add(path)


def survey_untracked(work: Worktree, rules: Rules, survey: Survey, pending: Pending, path: bytes) -> None:
    """Decide of one untracked file whether it is captured."""
    try:
        found = work.stat(path)
    except OSError as error:
        survey.leave_out(path, None, unreadable(error))
        return
    if found is None or not git_mode(found):
        survey.leave_out(path, None, VANISHED if found is None else NOT_REGULAR)
        return
    survey.files[path] = stat_key(found)
    if rules.is_output(path):
        return
    reason = exclusions.refusal(path) or rules.budget.refusal(found.st_size)
    if reason is None:
        pending[path] = found
    else:
        survey.leave_out(path, found.st_size, reason)


def is_small(pending: Pending) -> bool:
    """Is everything hashed, whatever the index says of it?"""
    return len(pending) <= HASH_ALL_FILES and sum(item.st_size for item in pending.values()) <= HASH_ALL_BYTES


@noun
class Trust:
    """When the index may be believed without reading the file."""

    listing: Listing
    attributes: Attributes
    before_ns: int
    """Changes of a file up to this time were seen by git's status; zero: nothing is believed."""

    def covers(self, path: bytes, found: os.stat_result) -> bool:
        """Does the stat data prove that the file's blob is the one in the index?"""
        listing = self.listing
        if found.st_ctime_ns >= self.before_ns or path in listing.touched or path in listing.flagged:
            return False
        mode = listing.entries.get(path, (b"", ""))[0]
        if mode != git_mode(found) or not stat.S_ISREG(found.st_mode) or path in listing.intended:
            return False
        # git-lfs' pointers are as good as its own stat data; every other conversion can hide other bytes.
        return is_lfs(self.attributes, path) or not (path in self.attributes or listing.converts_line_ends)


def hash_files(work: Worktree, survey: Survey, pending: Pending, trust: Trust) -> None:
    """Fill `survey.found` with the object id of each pending file's own bytes."""
    for path, found in pending.items():
        if trust.covers(path, found):
            survey.found[path] = Found(git_mode(found), None, stat_key(found))
        else:
            hash_file(work, survey, path, found)


def hash_file(work: Worktree, survey: Survey, path: bytes, found: os.stat_result) -> None:
    """Read one file; it is left out where it cannot be read or does not hold still."""
    try:
        raw_id, key, mode = work.raw_id(path, found)
    except Unstable:
        survey.leave_out(path, found.st_size, UNSTABLE)
    except OSError as error:
        survey.leave_out(path, found.st_size, unreadable(error))
    else:
        survey.found[path] = Found(mode, raw_id, key)
        survey.files[path] = key


def unreadable(error: OSError) -> str:
    """The reason why a file that cannot be read is left out."""
    return f"it cannot be read: {error.strerror}"
