"""Finding a repository, and calling git without being misled by its surroundings.

Every git process of mltrack starts here: with a cleaned environment, with the settings of `PROTECTIONS`, from a list
of arguments. Nothing here fetches, runs a hook, or asks a question on the terminal.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError, StorageError, UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from typing import IO

    Input = bytes | IO[bytes] | None
    """Standard input of a git command: bytes, or an open file that git reads by itself."""

SETTINGS = {
    # Each of these was seen to hide an edit, to run something of the user's, or to write where we may not.
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.splitIndex": "false",
    "core.hooksPath": "/dev/null",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "core.ignoreStat": "false",
    "core.checkStat": "default",
    "core.trustctime": "true",
    "core.safecrlf": "false",
    "core.quotePath": "false",
    "core.logAllRefUpdates": "false",
    "diff.external": "",
    "diff.noprefix": "false",
    "submodule.recurse": "false",
    "pack.packSizeLimit": "0",
    "gc.auto": "0",
    "maintenance.auto": "false",
    # git-lfs' clean filter would write into the user's .git/lfs; pointers are made in conversion.py.
    "filter.lfs.clean": "",
    "filter.lfs.process": "",
    "filter.lfs.smudge": "",
    "filter.lfs.required": "false",
}
PROTECTIONS = tuple(word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}"))

KEPT_VARIABLES = {
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_ATTR_NOSYSTEM",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
}
SET_VARIABLES = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # A missing object of a partial clone is reported, never fetched; older versions know only the second way.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}

MARK = "mltrack-private"
"""A file in the git directory of a private repository, which has no history to compare with."""

NO_WORKTREE = ("not a git repository (or any", "this operation must be run in a work tree")

DISK_FAILURES = (
    "No space left on device",
    "couldn't write",
    "Read-only file system",
    "Permission denied",
    "insufficient permission",
)


@noun
class Repository:
    """A worktree and where its git directory is. In a linked worktree `common_dir` is the main one's."""

    root: Path
    """The top of the worktree."""
    git_dir: Path
    common_dir: Path


@noun
class Asked:
    """A git process that has been started; `answers` waits for it."""

    process: subprocess.Popen[bytes]
    input: bytes | None


@noun
class Answer:
    """What a git process said. `error` is the first line of its complaint where it failed."""

    output: bytes
    talk: bytes
    error: str | None


def find_repository(start: Path) -> Repository | None:
    """The repository that directory `start` is in, or None outside of any (a bare one has no worktree: None too).

    Raises UsageError when there is a repository that git cannot or will not open, or no git.
    """
    start = Path(os.path.abspath(start))
    if not any(os.path.lexists(place / ".git") for place in (start, *start.parents)):
        return None
    names = ("--show-toplevel", "--absolute-git-dir", "--git-common-dir")
    answer = answers(_start(("rev-parse", *names), start))[0]
    if answer.error is not None:
        if answer.error.startswith(NO_WORKTREE) and not (answer.error.startswith(NO_WORKTREE[0]) and _is_broken(start)):
            return None
        raise _refusal(answer.error)
    lines = answer.output.split(b"\n")[:-1]
    if len(lines) != len(names):  # a newline in the name of a directory
        lines = [answers(_start(("rev-parse", name), start))[0].output[:-1] for name in names]
    root, git_dir, common_dir = (Path(os.path.normpath(start / os.fsdecode(line))) for line in lines)
    return Repository(root, git_dir, common_dir)


def private_repository(root: Path, git_dir: Path) -> Repository:
    """The repository in `git_dir`, made on first use; its worktree is `root`, which is in no repository."""
    if not (git_dir / MARK).exists():
        make_repository(git_dir, "--bare")
        (git_dir / "info").mkdir(exist_ok=True)
        (git_dir / "info" / "exclude").write_text(".mltrack/\n")
        (git_dir / MARK).touch()
    return Repository(root, git_dir, git_dir)


def make_repository(directory: Path, *options: str) -> None:
    """`git init` without hooks or anything else from a template. Raises StorageError where it cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{directory} cannot be made: {error.strerror}.", "Choose another place.") from error
    together(_start(("init", "-q", "--template=", *options, "--", os.fspath(directory)), directory))


def is_private(repo: Repository) -> bool:
    """Was this made by `private_repository`?"""
    return (repo.git_dir / MARK).exists()


def object_store(git_dir: Path) -> Repository:
    """A git directory whose objects and refs are used, and no worktree."""
    return Repository(git_dir, git_dir, git_dir)


def git_environment() -> dict[str, str]:
    """The environment for git: ours, less every GIT_* that a hook or alias sets and that would redirect it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_")
        or name in KEPT_VARIABLES
        or name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))
    }
    return {**kept, **SET_VARIABLES}


def git(repo: Repository, *args: str, input: Input = None, env: Mapping[str, str] | None = None) -> bytes:
    """The output of one git command in the repository; `env` adds to the cleaned environment.

    Raises StorageError where the disk refused, else MltrackError, with git's own first line.
    """
    return together(ask(repo, *args, input=input, env=env))[0]


def ask(repo: Repository, *args: str, input: Input = None, env: Mapping[str, str] | None = None) -> Asked:
    """Start a git command and do not wait; give everything started to `together` or `answers`, in one call."""
    where: tuple[str, ...] = ()
    if repo.root == repo.git_dir:
        where = (f"--git-dir={repo.git_dir}",)
    elif not _is_found_from_root(repo):
        where = (f"--git-dir={repo.git_dir}", f"--work-tree={repo.root}")
    # Where git would find the repository by itself it does, so that its check of the owner is made.
    return _start((*where, *args), repo.root, input, env)


def together(*asked: Asked) -> list[bytes]:
    """The outputs of commands that run at the same time. Raises as `git` does, after all have ended."""
    done = answers(*asked)
    for answer in done:
        if answer.error is not None:
            raise failure(answer.error)
    return [answer.output for answer in done]


def answers(*asked: Asked) -> list[Answer]:
    """What each command said, failed or not."""
    done = []
    for one in asked:
        output, talk = one.process.communicate(one.input)
        done.append(Answer(output, talk, _complaint(talk) if one.process.returncode else None))
    return done


def failure(complaint: str) -> MltrackError:
    """The error to raise for git's complaint."""
    if is_disk_failure(complaint):
        return StorageError(f"git could not write: {complaint}.", "Free some space, or check who owns the repository.")
    return MltrackError(f"git failed: {complaint}.", "Run `git status` and `git fsck` to see what git says of it.")


def is_disk_failure(complaint: str) -> bool:
    """Does git complain of the disk, or of permissions on it?"""
    return any(words in complaint for words in DISK_FAILURES)


def credential_free(url: str) -> str:
    """A remote's URL without password, token, query and fragment; the user name stays only where ssh needs it."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    if scheme.lower() not in ("file", "ssh", "git+ssh", "ssh+git"):
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    if at and "ssh" in scheme.lower():
        host = user.partition(":")[0] + at + host
    return scheme + separator + host + slash + path


def _start(args: tuple[str, ...], cwd: Path, input: Input = None, env: Mapping[str, str] | None = None) -> Asked:
    source: int | IO[bytes] = subprocess.DEVNULL
    if isinstance(input, bytes):
        source = subprocess.PIPE
    elif input is not None:
        source, input = input, None
    try:
        process = subprocess.Popen(
            ["git", *PROTECTIONS, *args],
            cwd=cwd,
            env={**git_environment(), **(env or {})},
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as error:
        if error.filename == "git":
            raise UsageError("git is not on PATH.", "Install git, or put it on PATH.") from error
        raise
    return Asked(process, input)


def _complaint(talk: bytes) -> str:
    lines = os.fsdecode(talk).splitlines()
    telling = [line for line in lines if line.startswith(("fatal: ", "error: "))] or lines
    return telling[0].partition(": ")[2].strip().rstrip(".") or telling[0] if telling else "it said nothing"


def _refusal(complaint: str) -> UsageError:
    """The error where git will not open a repository that is there."""
    hint = "Check the repository with `git status`."
    if "dubious ownership" in complaint:
        hint = "If you trust it, run `git config --global --add safe.directory DIRECTORY`, as git advises."
    return UsageError(f"git does not open this repository: {complaint}.", hint)


def _is_broken(start: Path) -> bool:
    """Is the nearest `.git` what is left of a repository? (An empty directory of that name is none.)"""
    dot = next(place / ".git" for place in (start, *start.parents) if os.path.lexists(place / ".git"))
    return not dot.is_dir() or any((dot / name).exists() for name in ("HEAD", "objects", "refs"))


def _is_found_from_root(repo: Repository) -> bool:
    """Does git, started at the root, find this git directory without being told? (See core.worktree.)"""
    dot = repo.root / ".git"
    try:
        if dot.is_file():
            dot = repo.root / os.fsdecode(dot.read_bytes().partition(b":")[2].strip(b" \n"))
        return dot.samefile(repo.git_dir)
    except OSError:
        return False
