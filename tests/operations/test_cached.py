"""`run --cached`: a past run is taken where nothing that it read has changed, and never else."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers import git, git_repository, write
from tests.operations.caching import Caching, caching

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))

TRAIN = """
import glob, os, pathlib, subprocess, sys
home = pathlib.Path.home()
def text(path):
    return open(path).read() if os.path.isfile(path) else ""
parts = [text(path) for path in sys.argv[1:]]
parts += [" ".join(sorted(os.listdir("listed"))) if os.path.isdir("listed") else ""]
if os.path.exists("plain.py"):
    sys.path.insert(0, os.getcwd())
    import plain
    parts.append(str(plain.VALUE))
if os.path.exists("tool.sh"):
    parts.append(subprocess.run(["./tool.sh"], capture_output=True, text=True).stdout)
os.makedirs("out", exist_ok=True)
open("out/result.txt", "w").write("|".join(parts))
"""
IGNORED = "data/\nlisted/\nout\nplain.py\ntool.sh\n.env\n*.link\nlater.txt\n__pycache__/\n.idea/\nempty/\n"


@pytest.fixture
def make(tmp_path: Path, command_path: str) -> Callable[..., Caching]:
    """A project with these files, in which `train.py` ran once with these words."""

    def made(files: dict[str, str], *words: str, **options: object) -> Caching:
        root = git_repository(tmp_path / "work", {"train.py": TRAIN, ".gitignore": IGNORED})
        write(root, files)
        asked = caching(root, command_path, ("python", "train.py", *words), **options)
        asked.run()
        return asked

    return made


def taken(asked: Caching) -> bool:
    return asked.ask().run is not None


def refusal(asked: Caching) -> str:
    """Why nothing is taken, in one sentence."""
    answer = asked.ask()
    assert answer.run is None, "it was taken"
    (sentence,) = answer.said
    return sentence


def test_what_did_not_change_is_taken_and_its_outputs_come_back_but_never_through_a_link(
    make: Callable[..., Caching], tmp_path: Path
) -> None:
    from mltrack.operations.running.put_back import Outputs
    from mltrack.project import Project

    asked = make({"data/a.csv": "1"}, "data/a.csv")
    first = asked.newest()
    assert asked.ask().run == first
    shutil.rmtree(asked.root / "out")
    answer, done = asked.take()
    assert answer.run == first and done is not None and (done.written, done.right) == (1, 0)
    assert (asked.root / "out/result.txt").read_text() == "1|"
    again = asked.take()[1]
    assert again is not None and (again.written, again.right, again.kept_aside) == (0, 1, None)
    assert git(asked.root, "for-each-ref", "refs/mltrack") == b"", "what a look leaves in git goes"
    assert list((asked.root / ".mltrack/work").glob("*")) == []
    with Project.get(asked.root) as project:
        gone = replace(first, artifacts=(replace(first.artifacts[0], digest="b3:" + "0" * 64),))
        assert "cannot be put back" in (Outputs(project, gone, asked.root).why_not() or "")
        shutil.rmtree(asked.root / "out")
        (tmp_path / "far").mkdir()
        (asked.root / "out").symlink_to(tmp_path / "far")
        assert "cannot be put back" in (Outputs(project, first, asked.root).why_not() or "")
    assert list((tmp_path / "far").iterdir()) == []


def test_what_nobody_declared_counts(make: Callable[..., Caching], tmp_path: Path) -> None:
    write(tmp_path, {"x": "1", "y": "2", "z": "1", "old": "old", "older": "", "moved/in": "1"})
    os.utime(tmp_path / "old", (1, 1))
    (tmp_path / "work/data").mkdir(parents=True)
    link = tmp_path / "work/data/in.link"
    link.symlink_to(tmp_path / "x")
    asked = make({"data/a.csv": "1", "listed/a": "1"}, "data/a.csv", "data/in.link", "later.txt")
    file = asked.root / "data/a.csv"
    file.write_text("2")
    assert "data/a.csv changed" in refusal(asked)
    file.write_text("1")
    assert taken(asked), "the same bytes again, whatever their times"
    file.chmod(0o755)
    assert "data/a.csv may be executed now" in refusal(asked)
    file.chmod(0o644)
    for target, same in (("y", False), ("z", True)):
        link.unlink()
        link.symlink_to(tmp_path / target)
        assert taken(asked) is same, asked.ask()
    write(asked.root, {"listed/c": ""})
    assert "listed/c is new" in refusal(asked)
    (asked.root / "listed/c").unlink()
    os.rename(tmp_path / "older", asked.root / "listed/c")
    assert "listed/c is new" in refusal(asked), "a file that is older than the run"
    (asked.root / "listed/c").unlink()
    write(asked.root, {".idea/workspace.xml": "1"})
    assert taken(asked), "an editor's own"
    write(asked.root, {"later.txt": "here now"})
    assert "later.txt, which git ignores" in refusal(asked)
    (asked.root / "later.txt").unlink()
    os.utime(tmp_path / "moved", (1, 1))
    os.rename(tmp_path / "moved", asked.root / "empty")
    assert "empty, which git ignores" in refusal(asked), "with all that is in it"
    shutil.rmtree(asked.root / "empty")
    (asked.root / "gap").mkdir()
    assert "gap is new" in refusal(asked), "git does not list it"
    (asked.root / "gap").rmdir()
    os.rename(tmp_path / "old", asked.root / "later.txt")
    assert "later.txt" in refusal(asked), "with an old time"
    (asked.root / "later.txt").unlink()
    assert taken(asked)
    (asked.root / "listed/a").unlink()
    assert "listed/a is not there" in refusal(asked)
    write(asked.root, {"listed/a": "12"})
    assert "listed/a changed" in refusal(asked)


def test_code_counts_by_its_source_even_where_only_its_bytecode_was_read(
    make: Callable[..., Caching], tmp_path: Path
) -> None:
    write(tmp_path, {"work/tool.sh": "#!/bin/sh\necho 1\n"})
    (tmp_path / "work/tool.sh").chmod(0o755)
    asked = make({"plain.py": "VALUE = 1\n", "mod.py": "A = 1\n", "train.py": TRAIN + "import mod\n"})
    asked.run()  # now the bytecode is read
    first = asked.newest()
    assert taken(asked), asked.ask().said
    write(asked.root, {"mod.py": "A = 2\n"})
    assert "code: mod.py" in refusal(asked)
    asked.run()
    write(asked.root, {"mod.py": "A = 1\n"})
    answer = asked.ask()
    assert answer.run is not None and answer.run.id == first.id, "the bytecode is another's now; the source is not"
    write(asked.root, {"tool.sh": "#!/bin/sh\necho 2\n"})
    assert "tool.sh" in refusal(asked)
    write(asked.root, {"tool.sh": "#!/bin/sh\necho 1\n"})
    assert taken(asked)
    write(asked.root, {"plain.py": "VALUE = 2\n"})
    assert "plain.py" in refusal(asked)


def test_another_request_is_not_answered_by_the_run(
    make: Callable[..., Caching], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = make({"data/a.csv": "1"}, "--lr", "0.1", seed=1)
    assert taken(asked)
    for change, sentence in (
        ({"command": ("python", "train.py", "--lr", "0.2")}, "params.lr 0.1 -> 0.2"),
        ({"seed": 2}, "seed 1 -> 2"),
        ({"metrics": ("m.json",)}, "other metrics are declared"),
        ({"outputs": ("out",)}, "other outputs are declared"),
        ({"inputs": ("data",)}, "data is declared by one of them only"),
    ):
        other = asked.ask(replace(asked.request, **change))  # type: ignore[arg-type]
        assert other.run is None and sentence in other.said[0]
    monkeypatch.setenv("SSH_TTY", "/dev/pts/9")
    monkeypatch.setenv("MLTRACK_RUN_ID", "of another shell")
    assert taken(asked)
    with monkeypatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "3")
        assert "the variable OMP_NUM_THREADS absent -> 3" in refusal(asked)
    for name in ("XDG_CONFIG_HOME", "MLTRACK_LR", "TERMINAL_REWARD"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "3")
            assert not taken(asked), name


@pytest.mark.parametrize("pattern", ["data/in.link", "data"] if SOAK > 1 else ["data"])
def test_a_declared_link_counts_with_what_it_leads_to(
    make: Callable[..., Caching], tmp_path: Path, pattern: str
) -> None:
    write(tmp_path, {"far/x": "1", "work/data/own": "1"})
    (tmp_path / "work/data/in.link").symlink_to(tmp_path / "far/x")
    asked = make({}, "data/in.link", inputs=(pattern,))
    assert taken(asked)
    write(tmp_path, {"far/x": "2"})
    assert "data/in.link was changed since" in refusal(asked)


def test_a_file_of_settings_or_secrets_counts_though_it_is_never_opened(
    make: Callable[..., Caching], walls: Path
) -> None:
    write(walls, {".config/app/app.ini": "depth=3"})
    asked = make({".env": "TOKEN=1"}, ".env", str(walls / ".config/app/app.ini"))
    assert taken(asked)
    write(walls, {".config/app/app.ini": "depth=4"})
    assert "app.ini was changed since" in refusal(asked)
    asked.run()
    assert taken(asked)
    write(asked.root, {".env": "TOKEN=2"})
    assert ".env was changed since" in refusal(asked)


def test_an_empty_directory_that_the_command_wrote_into_must_be_there(make: Callable[..., Caching]) -> None:
    train = TRAIN.replace('os.makedirs("out", exist_ok=True)', "")
    asked = make({"train.py": train, "out/.keep": ""})
    (asked.root / "out/.keep").unlink()
    shutil.rmtree(asked.root / "out")
    assert refusal(asked)


def test_standard_input_counts_by_its_bytes_and_a_pipe_is_never_known(
    make: Callable[..., Caching], tmp_path: Path
) -> None:
    write(tmp_path, {"in": "1", "same": "1", "other": "2"})
    asked = make({})
    assert asked.ask().run is not None
    assert asked.ask(stdin=tmp_path / "in").run is None, "the run had none"
    asked.stdin = tmp_path / "in"
    asked.run()
    assert taken(asked)
    assert asked.ask(stdin=tmp_path / "other").run is None
    write(tmp_path, {"in": "2"})
    assert not taken(asked)
    reading, writing = os.pipe()
    try:
        answer = asked.ask(stdin=Path(f"/proc/self/fd/{reading}"))
    finally:
        os.close(reading)
        os.close(writing)
    assert answer.run is None and "a pipe" in answer.said[0]


def test_a_run_that_is_in_doubt_failed_or_is_hidden_or_no_persons_own_is_not_taken(
    make: Callable[..., Caching],
) -> None:
    from mltrack.ledger.asking.likeness import with_fingerprint
    from mltrack.operations.run import plan_run
    from mltrack.operations.running.cached import look_ahead
    from mltrack.operations.running.unchanged import why_moved, why_not
    from mltrack.project import Project
    from mltrack.records import Artifact, Input, Parent, Rank, Run, Warning, new_id
    from tests.operations.caching import standing_in

    asked = make({"data/a.csv": "1"}, "data/a.csv")
    run = asked.newest()
    assert run.observation is not None
    changes: list[tuple[Run, str]] = [
        (replace(run, observation=None), "not known whole"),
        (replace(run, observation=replace(run.observation, complete=False)), "not known whole"),
        (replace(run, observation=replace(run.observation, paths="b3:" + "0" * 64)), "is not here"),
        (replace(run, host="elsewhere"), "it ran on elsewhere"),
        (replace(run, origin={**run.origin, "root": "/elsewhere"}), "root /elsewhere -> "),
        (replace(run, origin={**run.origin, "stdin_at": 3}), "stdin_at 3 -> None"),
        (replace(run, ranks=(Rank(1, host="elsewhere"),)), "it ran on"),
        (replace(run, hardware=replace(run.hardware, cores=99)), "the machine is not what it was: cores"),
        (replace(run, finished_at="2099-01-01T00:00:00.000000Z"), "the clock was set back"),
        (replace(run, warnings=(Warning("unwatched", "go could not be watched."),)), "go could not be watched"),
        (replace(run, warnings=(Warning("inputs-incomplete", "No."),)), "No"),
        (replace(run, inputs=(Input("https://example.org/x", "url", None),)), "it read the network"),
        (replace(run, inputs=(replace(run.inputs[0], changed_during_run=True),)), "is not known"),
        (replace(run, inputs=(replace(run.inputs[0], digest=None),)), "is not known"),
        (replace(run, artifacts=(Artifact("/tmp/x", "file", "b3:" + "0" * 64, 1),)), "outside of the project"),
        (replace(run, params={"key": "<redacted>"}, param_sources={"key": "p.yaml"}), "is a secret"),
        (replace(run, environment=replace(run.environment, options={"lock": 1})), "settings of the environment"),
        (replace(run, environment=replace(run.environment, libraries={"glibc": "1"})), "glibc 1 -> "),
        (replace(run, declared={**run.declared, "directories": ("gone",)}), "the directory gone"),
    ]
    path, os.environ["PATH"] = os.environ["PATH"], asked.path
    try:
        with standing_in(asked.root), Project.get(asked.root) as project:
            now = look_ahead(project, plan_run(project, asked.request)).now
            assert why_not(now, run) is None and why_moved(now) is None
            for other, sentence in changes:
                assert sentence in (why_not(now, other) or ""), sentence
            for name in ("train.py", "data/a.csv"):
                file = asked.root / name
                before = file.read_text()
                file.write_text("edited meanwhile")
                assert f"{name} was changed while it was compared" in (why_moved(now) or "")
                file.write_text(before)
                now = look_ahead(project, plan_run(project, asked.request)).now
                assert why_not(now, run) is None and why_moved(now) is None
    finally:
        os.environ["PATH"] = path
    with Project.get(asked.root) as project:
        ledger = project.ledger
        others = [
            replace(run, exit_code=1, status="failed"),
            replace(run, exit_code=None, status="interrupted", signal=2),
            replace(run, parent=Parent("reproduce", run.id)),
            replace(run, parent=Parent("calibrate", run.id)),
        ]
        for other in others:
            ledger.seal(replace(other, id=new_id(), created_at="2099-01-01T00:00:00.000000Z", record_digest=None))
        assert [one.id for one in with_fingerprint(ledger.db, run.fingerprint or "", 9)] == [run.id]
        ledger.add_event("delete", run.id, True)
        assert with_fingerprint(ledger.db, run.fingerprint or "", 9) == []


def test_a_file_of_a_person_that_is_in_the_way_is_kept_aside_and_one_of_a_run_is_not(
    make: Callable[..., Caching],
) -> None:
    asked = make({"data/a.csv": "1"}, "data/a.csv")
    result = asked.root / "out/result.txt"
    write(asked.root, {"data/a.csv": "2"})
    asked.run()
    write(asked.root, {"data/a.csv": "1"})
    answer, done = asked.take()
    assert answer.run is not None and done is not None
    assert (result.read_text(), done.written, done.kept_aside) == ("1|", 1, None), "the other run has what was there"
    result.write_text("mine")
    result.chmod(0o600)
    _, done = asked.take()
    assert result.stat().st_mode & 0o777 == 0o600, "nobody else may read what comes back in its place"
    assert done is not None and done.kept_aside is not None
    assert result.read_text() == "1|"
    kept = [path for path in done.kept_aside.rglob("*") if path.is_file()]
    assert [path.read_text() for path in kept] == ["mine"]


def test_a_package_that_is_edited_in_place_counts_and_a_second_link_to_it_does_not(
    tmp_path: Path, command_path: str
) -> None:
    root = git_repository(tmp_path / "work", {"train.py": "import thing\nopen('o.txt', 'w').write(str(thing.A))\n"})
    venv = tmp_path / "venv"
    base = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    os.system(f"'{base}' -m venv --without-pip '{venv}'")
    (place,) = venv.glob("lib/python*/site-packages")
    install(place, "A = 1\n")
    asked = caching(root, command_path, (str(venv / "bin/python"), "train.py"))
    asked.run()
    asked.run()
    assert taken(asked)
    os.link(place / "thing.py", tmp_path / "another")
    assert taken(asked), "its bytes are those that were installed"
    (place / "thing.py").write_text("A = 2\n")
    assert "thing.py was changed since" in refusal(asked)


def install(place: Path, text: str) -> None:
    """A distribution `thing` with one module, as an installer leaves it."""
    import base64
    import hashlib

    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    write(
        place,
        {
            "thing.py": text,
            "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
            "thing-1.0.dist-info/INSTALLER": "pip\n",
            "thing-1.0.dist-info/RECORD": f"thing.py,sha256={digest},{len(text)}\nthing-1.0.dist-info/RECORD,,\n",
        },
    )


def test_what_other_runs_made_counts_where_it_was_listed_and_is_kept_aside_once_it_was_edited(
    tmp_path: Path, command_path: str
) -> None:
    train = "import os, sys\nnames = os.listdir('made')\nopen('made/' + sys.argv[1], 'w').write(str(len(names)))\n"
    root = git_repository(tmp_path / "work", {"train.py": train, "made/first.csv": "1"})
    one, other = (caching(root, command_path, ("python", "train.py", name)) for name in ("a", "b"))
    one.run()
    assert taken(one), one.ask().said
    (root / "made/a").write_text("mine")
    _, done = one.take()
    assert done is not None and done.kept_aside is not None, "git lists it, and no snapshot has it"
    other.run()
    assert "made/b is new" in refusal(one)


def test_a_file_that_was_edited_after_it_was_captured_is_not_taken_for_the_captured_one(tmp_path: Path) -> None:
    from mltrack.operations.running.put_back import is_same_file
    from mltrack.store.statcache import stat_key

    write(tmp_path, {"a": "1"})
    captured = stat_key(os.lstat(tmp_path / "a"))
    os.rename(tmp_path / "a", tmp_path / "b")
    assert is_same_file(str(tmp_path / "b"), captured) and not is_same_file(str(tmp_path / "b"), None)
    (tmp_path / "b").write_text("22")
    assert not is_same_file(str(tmp_path / "b"), captured)


def test_standard_input_counts_from_where_it_stands_and_where_our_own_output_goes_is_no_output(
    make: Callable[..., Caching], tmp_path: Path
) -> None:
    from mltrack.operations.run import plan_run
    from mltrack.operations.running.basis import stdin_at
    from mltrack.operations.running.outputs import own_files, own_output
    from mltrack.project import Project
    from tests.operations.caching import standing_in

    asked = make({"in": "12345"})
    file = asked.root / "in"
    with Project.get(asked.root) as project, standing_in(asked.root, file):
        plan = plan_run(project, asked.request)
        assert stdin_at(plan) == {}
        os.lseek(0, 3, os.SEEK_SET)
        assert stdin_at(plan) == {"stdin_at": 3}
        fields = file.stat()
        assert own_files()[fields.st_dev, fields.st_ino] == 0
    saved, log = os.dup(2), os.open(asked.root / "train.log", os.O_WRONLY | os.O_CREAT)
    try:
        os.dup2(log, 2)
        assert own_output(asked.root) == {"train.log"}
        assert taken(asked), "it is no code, and nothing new that the command may read"
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(log)
    assert "code: train.log" in refusal(asked), "now it is somebody's file"


def test_what_has_come_first_on_path_or_where_a_link_of_the_code_leads_counts(
    tmp_path: Path, command_path: str
) -> None:
    root = git_repository(tmp_path / "work", {"train.sh": "cat config.yaml; dirname x > out.txt\n"})
    (root / "config.yaml").symlink_to(tmp_path / "site.yaml")
    git(root, "add", "-A")
    (tmp_path / "first").mkdir()
    asked = caching(root, f"{tmp_path / 'first'}{os.pathsep}{command_path}", ("sh", "train.sh"))
    (tmp_path / "first/mltrack").symlink_to(shutil.which("mltrack", path=command_path) or "")
    asked.run()
    assert taken(asked), asked.ask().said
    write(tmp_path, {"first/dirname": "#!/bin/sh\necho 2\n"})
    (tmp_path / "first/dirname").chmod(0o755)
    assert "first/dirname is new" in refusal(asked)
    (tmp_path / "first/dirname").unlink()
    write(tmp_path, {"site.yaml": "a: 1"})
    assert "config.yaml leads to" in refusal(asked)
