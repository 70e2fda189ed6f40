"""Whatever a worktree looks like: what is restored is what was there, and nothing of the user's was touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.git.support import changed_paths, files_of, round_trip
from tests.helpers import git, git_repository

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))

NAMES = st.sampled_from(
    [
        *(b"a.py", b"B.py", b"b.py", b"with space", b"-dash", b'quo"te', b"new\nline", b"tab\t", b"not-\xff-utf8"),
        *(b"sub/x.py", b"sub/deep/y", b"sub dir/z", b"caf\xc3\xa9", b"back\\slash", b":(glob)*", b"*.txt", b"cr\r"),
        *(b"sub/keep.log", b"x.log", b"#hash", b"!bang", b"data/one.bin", b"data/two.bin", b"'single'", b"sub/deep"),
    ]
)
CONTENTS = st.one_of(
    st.sampled_from(
        [b"", b"\n", b"one\ntwo\n", b"one\r\ntwo\r\n", b"mixed\r\nends\n", b"\0\1\2\xff", b"$Id$\n", b"x" * 5000]
    ),
    st.binary(max_size=64),
)
ATTRIBUTES = st.sampled_from(
    [
        b"",
        b"* text=auto\n",
        b"*.py ident\n",
        b"* -text\n",
        b"*.txt text eol=crlf\n",
        b"*.bin filter=lfs -text\n",
        b"* filter=upper\n",
    ]
)

Step = Callable[[Path], None]


def place(root: Path, name: bytes) -> bytes:
    return os.path.join(os.fsencode(root), name)


def clear(path: bytes, root: Path) -> None:
    """Make room: a file or link where a directory is wanted goes, and the reverse."""
    parent = os.path.dirname(path)
    while len(parent) > len(os.fsencode(root)):
        if os.path.lexists(parent) and (os.path.islink(parent) or not os.path.isdir(parent)):
            os.unlink(parent)
        parent = os.path.dirname(parent)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)


def write(root: Path, name: bytes, content: bytes) -> None:
    clear(place(root, name), root)
    with open(place(root, name), "wb") as file:
        file.write(content)


def edit_in_place(root: Path, name: bytes, content: bytes) -> None:
    """Same length, same tick: what the racy rule is about."""
    path = place(root, name)
    if os.path.isfile(path) and not os.path.islink(path):
        with open(path, "r+b") as file:
            file.write(content[: os.path.getsize(path)])


def link(root: Path, name: bytes, target: bytes) -> None:
    clear(place(root, name), root)
    os.symlink(target, place(root, name))


def remove(root: Path, name: bytes) -> None:
    if os.path.lexists(place(root, name)):
        clear(place(root, name), root)


def rename(root: Path, name: bytes, other: bytes) -> None:
    if os.path.isfile(place(root, name)) and not other.startswith(name + b"/") and name != other:
        with open(place(root, name), "rb") as file:
            content = file.read()
        os.unlink(place(root, name))
        write(root, other, content)


def make_executable(root: Path, name: bytes) -> None:
    if os.path.isfile(place(root, name)) and not os.path.islink(place(root, name)):
        os.chmod(place(root, name), 0o755)


def index_flag(root: Path, name: bytes, flag: str) -> None:
    tracked = git(root, "ls-files", "-z", "--", ":(literal)" + os.fsdecode(name))
    if tracked == name + b"\0":
        git(root, "update-index", flag, "--", os.fsdecode(name))


def nest(root: Path, name: bytes, how: str) -> None:
    """A repository inside: with a commit and an edit, or without any commit."""
    inside = root / os.fsdecode(name)
    if os.path.lexists(inside) or any(os.path.lexists(root / os.fsdecode(part)) for part in (b"nested",)):
        return
    if how == "empty":
        inside.mkdir(parents=True)
        git(inside, "init", "-q")
    else:
        git_repository(inside, {"inner.py": "1\n", "same.py": "1\n"})
    (inside / "inner.py").write_text("edited\n")
    (inside / "new file").write_text("new\n")
    if how == "submodule":
        git(root, "-c", "advice.addEmbeddedRepo=false", "add", os.fsdecode(name))


def nested_ignore(root: Path, pattern: bytes) -> None:
    write(root, b"sub/.gitignore", pattern)


def ask(*args: str) -> Step:
    """A git command, which may fail."""

    def step(root: Path) -> None:
        git(root, *args, check=False)

    return step


def one(function: Callable[..., None], *strategies: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.tuples(*strategies).map(lambda values: lambda root: function(root, *values))


STEPS = st.one_of(
    one(write, NAMES, CONTENTS),
    one(write, NAMES, CONTENTS),
    one(write, st.just(b".gitattributes"), ATTRIBUTES),
    one(edit_in_place, NAMES, CONTENTS),
    one(link, NAMES, st.sampled_from([b"a.py", b"sub", b"/nonexistent", b"../outside", b"data", b"\xff"])),
    one(remove, NAMES),
    one(remove, st.sampled_from([b"sub", b"data"])),
    one(rename, NAMES, NAMES),
    one(make_executable, NAMES),
    one(index_flag, NAMES, st.sampled_from(["--assume-unchanged", "--skip-worktree"])),
    one(nested_ignore, st.sampled_from([b"*.log\n", b"!keep.log\n", b"x.py\n"])),
    one(nest, st.sampled_from([b"nested/repo", b"nested"]), st.sampled_from(["empty", "embedded", "submodule"])),
    st.just(ask("add", "-A")),
    st.just(ask("add", "-A", "-N")),
    st.just(ask("commit", "-qm", "more")),
    st.just(ask("config", "core.autocrlf", "true")),
    st.just(ask("config", "core.fileMode", "false")),
    st.just(ask("update-index", "--split-index")),
    st.just(ask("stash", "-q")),
)


@settings(max_examples=40 * SOAK, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(NAMES, CONTENTS, max_size=6),
    st.lists(STEPS, max_size=5),
    st.lists(STEPS, max_size=8),
)
def test_what_is_restored_is_what_was_there(files: dict[bytes, bytes], early: list[Step], late: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tmp = Path(directory)
        root = tmp / "project"
        root.mkdir()
        git(root, "init", "-q")
        git(root, "config", "filter.upper.clean", "tr a-z A-Z")
        for name, content in files.items():
            write(root, name, content)
        for step in early:
            step(root)
        git(root, "add", "-A", check=False)
        git(root, "commit", "-qm", "start", check=False)
        for step in late:
            step(root)

        trip = round_trip(root, tmp)

        assert trip.captured.code.left_out == ()
        assert files_of(trip.target) == without_ignored(root, files_of(root))
        assert git(trip.target, "fsck", "--no-dangling") == b""
        if trip.code.commit is not None:
            assert git(trip.target, "rev-parse", "HEAD").decode().strip() == trip.code.commit
            assert changed_paths(trip.target) <= {os.fsencode(path) for path in trip.code.changed} | nested_in(
                trip.code
            )


def nested_in(code: object) -> set[bytes]:
    return {os.fsencode(inner.path) + end for inner in code.nested for end in (b"", b"/")}  # type: ignore[attr-defined]


def without_ignored(root: Path, files: dict[bytes, tuple[str, bytes]]) -> dict[bytes, tuple[str, bytes]]:
    """Less what git ignores and does not track, in nested repositories too."""
    kept = dict(files)
    for directory in [root, *(git_dir.parent for git_dir in root.rglob(".git") if git_dir.parent != root)]:
        ignored = git(directory, "ls-files", "-o", "-i", "--exclude-standard", "-z").split(b"\0")[:-1]
        prefix = os.path.relpath(os.fsencode(directory), os.fsencode(root))
        for name in ignored:
            kept.pop(os.path.normpath(os.path.join(prefix, name)), None)
    return kept
