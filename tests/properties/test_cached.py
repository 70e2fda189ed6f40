"""`run --cached` over all that it covers: with one bit changed anywhere, the past run is not taken; set right, it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mltrack.errors import UsageError
from tests.helpers import git_repository, write
from tests.operations.caching import Caching, caching

# Nothing is shrunk: an edit is small as it is, and each question takes its time.
SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))

TRAIN = """
import os, pathlib, subprocess, sys
from pkg import mod
sys.path.insert(0, "plain")
import odd
seen = [mod.A, odd.B, sys.stdin.read(), " ".join(sorted(os.listdir("listed")))]
for path in ("params.yaml", "data/in.csv", "data/sub/deep.bin", "given/x", "nested/inner.txt", "far.link", sys.argv[2]):
    seen.append(open(path, "rb").read().decode("latin-1"))
for name in sorted(os.listdir("many")):
    seen.append(open("many/" + name).read())
seen.append(subprocess.run(["./tool.sh"], capture_output=True, text=True).stdout)
os.makedirs("out", exist_ok=True)
open("out/result.txt", "w").write("|".join(map(str, seen)))
"""
IGNORED = "data/\nplain/\nlisted/\ngiven/\nmany/\nout/\ntool.sh\nfar.link\n"
CODE = ("train.py", "pkg/mod.py", "params.yaml", "nested/inner.txt", ".gitignore", "unused.md")
DATA = ("data/in.csv", "data/sub/deep.bin", "plain/odd.py", "tool.sh", "given/x", "many/7", "many/119")
OUTSIDE = ("far", "other", "stdin")
MODES = ("train.py", "pkg/mod.py", "data/in.csv", "given/x", "many/7")


@pytest.fixture
def asked(tmp_path: Path, command_path: str, monkeypatch: pytest.MonkeyPatch) -> Caching:
    """A project with every kind of thing that a fingerprint or an observation covers, and one run of it."""
    root = tmp_path / "work"
    write(tmp_path, {"far": "far far away\n", "other": "absolute\n", "stdin": "typed\n"})
    git_repository(root, {"train.py": TRAIN, "pkg/mod.py": "A = 1\n", ".gitignore": IGNORED, "unused.md": "# x\n"})
    git_repository(root / "nested", {"inner.txt": "nested\n"})
    write(root, {"params.yaml": "lr: 0.1\n", "data/in.csv": "1,2\n", "data/sub/deep.bin": bytes(range(256))})
    write(root, {"plain/odd.py": "B = 2\n", "listed/a": "a", "listed/b": "", "given/x": "given\n"})
    write(root, {f"many/{number}": f"{number}\n" for number in range(120)})
    write(root, {"tool.sh": "#!/bin/sh\necho tool\n"})
    (root / "tool.sh").chmod(0o755)
    (root / "far.link").symlink_to(tmp_path / "far")
    monkeypatch.setenv("DEPTH", "3")
    command = ("python", "train.py", "--size=4", str(tmp_path / "other"))
    found = caching(root, command_path, command, inputs=("given",), params=("params.yaml",), seed=7)
    found.stdin = tmp_path / "stdin"
    found.run()
    answer = found.ask()
    assert answer.run is not None, answer.said
    return found


class Edit:
    """A change of the world, and how it is taken back."""

    def __init__(self, name: str, do: Callable[[], None], undo: Callable[[], None]) -> None:
        self.name = name
        self.do = do
        self.undo = undo


def flip(path: Path, at: float, bit: int) -> Edit:
    """Another bit in a file, which else stays the same file with the same size."""
    before = path.read_bytes()
    place = int(at * len(before))
    after = before[:place] + bytes([before[place] ^ (1 << bit)]) + before[place + 1 :]
    return Edit(f"bit {bit} of byte {place} of {path.name}", lambda: put(path, after), lambda: put(path, before))


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def mode(path: Path) -> Edit:
    before = path.stat().st_mode
    return Edit(f"mode of {path.name}", lambda: path.chmod(before ^ 0o111), lambda: path.chmod(before))


def appears(path: Path) -> Edit:
    return Edit(f"{path.name} appears", lambda: put(path, b""), path.unlink)


def goes(path: Path) -> Edit:
    before, kind = path.read_bytes(), path.stat().st_mode

    def undo() -> None:
        put(path, before)
        path.chmod(kind)

    return Edit(f"{path.name} goes", path.unlink, undo)


def leads(link: Path, other: Path) -> Edit:
    before = os.readlink(link)

    def to(target: str | Path) -> None:
        link.unlink()
        link.symlink_to(target)

    return Edit("the link leads elsewhere", lambda: to(other), lambda: to(before))


def edits(asked: Caching) -> st.SearchStrategy[Edit]:
    """Every way to change something on the disk."""
    root, top = asked.root, asked.root.parent
    files = [root / name for name in (*CODE, *DATA)] + [top / name for name in OUTSIDE]
    return st.one_of(
        st.builds(flip, st.sampled_from(files), st.floats(0, 1, exclude_max=True), st.integers(0, 7)),
        st.builds(mode, st.sampled_from([root / name for name in MODES])),
        st.builds(appears, st.sampled_from([root / "new.py", root / "listed/c", root / "given/y", root / "nested/n"])),
        st.builds(goes, st.sampled_from([root / name for name in ("unused.md", *DATA)])),
        st.just(None).map(lambda _: leads(root / "far.link", top / "other")),
    )


def requests(asked: Caching) -> st.SearchStrategy[dict[str, object]]:
    """Every way to ask for something else."""
    words = asked.request.command
    return st.one_of(
        st.text("0123456789ab", min_size=1, max_size=3)
        .filter(lambda text: text != "4")
        .map(lambda text: {"command": (*words[:2], f"--size={text}", words[3])}),
        st.just({"command": (*words, "")}),
        st.integers(0, 2**40).filter(lambda seed: seed != 7).map(lambda seed: {"seed": seed}),
        st.just({"seed": None}),
        st.sampled_from([{"inputs": ()}, {"params": ()}, {"outputs": ("out",)}, {"cwd": asked.root / "pkg"}]),
    )


@settings(
    max_examples=18 * SOAK,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_run_is_taken_if_nothing_was_changed_and_never_if_one_bit_was(asked: Caching, data: st.DataObject) -> None:
    edit = data.draw(edits(asked))
    edit.do()
    try:
        with suppress(UsageError):  # a params file that cannot be read ends it before that
            assert asked.ask().run is None, f"taken in spite of: {edit.name}"
    finally:
        edit.undo()
    if data.draw(st.sampled_from([True, *[False] * 5]), label="ask again"):
        again = asked.ask()
        assert again.run is not None, f"not taken after {edit.name} was undone: {again.said}"


@settings(
    max_examples=8 * SOAK,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_run_is_never_taken_for_another_request(asked: Caching, data: st.DataObject) -> None:
    change = data.draw(requests(asked))
    if "cwd" in change:
        change = {**change, "params": (str(asked.root / "params.yaml"),), "inputs": (str(asked.root / "given"),)}
    assert asked.ask(replace(asked.request, **change)).run is None, change  # type: ignore[arg-type]
