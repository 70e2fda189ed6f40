"""A half-typed command line, and what it may become: in each place what belongs there, and never an error."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mltrack.cli.completing import answered, complete
from mltrack.cli.group import COMMANDS
from mltrack.cli.shell_words import Typed, in_bash, of_command, split
from mltrack.project import Project
from tests.compare.samples import artifact, input_file
from tests.ledger.made import run
from tests.ledger.test_prefixes import metric
from tests.views.nasty import put

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
BREAKS = " \t\n\"'@><=;|&(:"
RUNS = (
    run(id="3kq8f2zxm1n4p7rt", name="baseline", params={"lr": 0.1, "two words": "a b"}, metrics={"val_acc": metric(0.5)},
        tags=("paper", "two words"), experiment="iris", artifacts=(artifact("model.pt"),),
        inputs=(input_file("data/train.csv"),)),
    run(id="3kq9f2zxm1n4p7rt", params={"lr": "auto"}, metrics={"val_acc": metric(0.9), "loss": metric(0.1)}, why="more"),
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, copied for each test."""
    place = tmp_path_factory.mktemp("made")
    with Project.open(place) as project:
        put(project, RUNS)
        project.ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (place / ".mltrack" / "config.yaml").write_text("remotes: {origin: ../there, other: /mnt/x}\n")
    return place


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "project"
    shutil.copytree(made, place)
    monkeypatch.chdir(place)
    return place


def words(line: str) -> list[str]:
    """The proposals for a line, as fish gets them, without their stories."""
    how, *rest = answered(["fish", line])
    assert how == "words", how
    return [one.partition("\t")[0] for one in rest]


def stories(line: str) -> dict[str, str]:
    return dict(one.partition("\t")[::2] for one in list(answered(["fish", line]))[1:])


def how(line: str) -> str:
    return next(answered(["fish", line]))


def test_commands_and_options_with_what_they_do(project: Path) -> None:
    assert set(words("mltrack ")) == set(COMMANDS)
    assert stories("mltrack comple")["completion"].startswith("Let your shell")
    assert words("mltrack env ex") == ["export"]
    assert "--against" in words("mltrack compare --a")
    assert "--json" not in words("mltrack compare --json --")
    assert words("mltrack run --isolated --str") == ["--strict"]


def test_runs_with_their_story(project: Path) -> None:
    found = stories("mltrack show ")
    assert list(found)[:2] == ["@", "@~1"]
    assert "finished" in found["3kq8f2zx"] and "baseline" in found["3kq8f2zx"] and "val_acc 0.5" in found["3kq8f2zx"]
    assert "more" in found["3kq9f2zx"] and "val_acc 0.9" in found["3kq9f2zx"]
    assert {"baseline", "paper", "two words"} <= set(found)
    assert words("mltrack show 3kq9f2zxm") == ["3kq9f2zxm1n4p7rt"]
    assert words("mltrack diff @ ba") == ["baseline"]
    assert words("mltrack compare --against=3kq8") == ["--against=3kq8f2zx"]


def test_a_run_that_is_alive_is_proposed_and_nothing_is_folded(project: Path) -> None:
    place = project / ".mltrack" / "runs" / "7zzzzzzzzzzzzzzz"
    place.mkdir(parents=True)
    (place / "start.json").write_text(
        '{"run": {"name": "now", "command": ["x"], "created_at": "2026-11-21T01:02:03Z"}}'
    )
    assert "running" in stories("mltrack stop 7")["7zzzzzzz"]
    assert place.exists()


def test_hidden_runs_are_for_restore_alone(project: Path) -> None:
    with Project(project) as opened:
        opened.ledger.add_event("delete", RUNS[0].id, True)
    assert words("mltrack restore ") == [RUNS[0].id]
    assert "3kq8f2zx" not in words("mltrack show 3")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mltrack push --remote ", ["origin", "other"]),
        ("mltrack gc --name o", ["origin", "other"]),
        ("mltrack ls --status f", ["finished", "failed"]),
        ("mltrack tag @ pa", ["paper"]),
        ("mltrack ls --experiment ", ["iris"]),
        ("mltrack ls --branch ", ["main"]),
        ("mltrack show @ --series v", ["val_acc"]),
        ("mltrack compare --format j", ["json", "jsonl"]),
        ("mltrack lineage @ --format d", ["dot"]),
        ("mltrack calibrate @ --vary ", ["nothing", "seed"]),
        ("mltrack ls --sort -metrics.v", ["-metrics.val_acc"]),
        ("mltrack ls --columns id,params.l", ["id,params.lr"]),
        ("mltrack run --env sy", ["system"]),
        ("mltrack rerun @ --set l", ["lr="]),
        ("mltrack rerun @ --set lr=a", ["lr=auto"]),
        ("mltrack preflight --min-grade ", ["A", "B", "C", "D"]),
        ("mltrack show @ --rank ", []),
        ("mltrack plot -x ", ["step", "time", "points", "loss", "val_acc"]),
        ("mltrack plot --x=t", ["--x=time"]),
        ("mltrack plot --log ", ["x", "y", "xy"]),
        ("mltrack report --format ", ["html", "md"]),
        ("mltrack compare --metric v", ["val_acc"]),
        ("mltrack compare --columns params.l", ["params.lr"]),
        ("mltrack get 3kq8f2 ", ["model.pt", "data/train.csv"]),
        ("mltrack checkout baseline d", ["data/train.csv"]),
        ("mltrack --color ", ["always", "never", "auto"]),
        ("mltrack --no-pager ls --status lo", ["lost"]),
        ("VAR=1 mltrack sto", ["stop"]),
    ],
)
def test_each_place_gets_what_belongs_there(project: Path, line: str, expected: list[str]) -> None:
    assert words(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mltrack ls metrics.", ["metrics.loss", "metrics.val_acc"]),
        ("mltrack ls params.", ["params.lr", 'params."two words"']),
        ('mltrack ls params.\\"tw', ['params."two words"']),
        ('mltrack ls "status = f', ["status = finished", "status = failed"]),
        ("mltrack ls status=lo", ["status=lost"]),
        ("mltrack ls status = lo", ["lost"]),
        ('mltrack ls "not dirty = ', ["not dirty = true", "not dirty = false"]),
        ('mltrack ls "params.lr = a', ["params.lr = auto"]),
        ('mltrack ls "params.lr in (0.1, au', ["params.lr in (0.1, auto"]),
        ('mltrack ls "status is n', ["status is null", "status is not null"]),
        ('mltrack ls "tag:pap', ["tag:paper"]),
        ('mltrack ls "status = failed ', ["status = failed and", "status = failed or"]),
        ('mltrack ls "(status = failed or metrics.', ["(status = failed or metrics.loss"]),
        ("mltrack rerun --where name=b", ["name=baseline"]),
        ("mltrack compare baseline status=int", ["status=interrupted"]),
    ],
)
def test_queries_are_completed_word_by_word(project: Path, line: str, expected: list[str]) -> None:
    assert words(line) == expected or words(line)[: len(expected)] == expected


def test_a_whole_field_gets_its_operators_and_a_metric_its_span(project: Path) -> None:
    assert "metrics.loss >=" in words('mltrack ls "metrics.loss')
    assert "metrics.loss like" not in words('mltrack ls "metrics.loss')
    assert "name ~" in words('mltrack ls "name ')
    assert stories("mltrack ls metrics.")["metrics.val_acc"] == "0.5 to 0.9"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mltrack blame ", "files"),
        ("mltrack run --input ", "files"),
        ("mltrack checkout @ --into ", "directories"),
        ("mltrack run -- pyt", "commands"),
        ("mltrack run pyt", "commands"),
        ("mltrack run --name x -- python tr", "command 5"),
        ("mltrack shell @ -- ls ", "command 4"),
        ("mltrack lineage data/", "files"),
        ("mltrack checkout baseline src/", "files"),
        ("mltrack get no-such-run ", "words"),
    ],
)
def test_paths_and_other_programs_are_left_to_the_shell(project: Path, line: str, expected: str) -> None:
    assert how(line) == expected


def test_outside_of_a_project_there_are_still_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert words("mltrack verd") == ["verdict"]
    assert words("mltrack show ") == ["@", "@~1"]
    assert words("mltrack ls metrics.") == []
    assert os.listdir(tmp_path) == []


def test_broken_settings_and_a_broken_ledger_are_no_error(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "mltrack.yaml").write_text("goals: {a: [}\n")
    assert words("mltrack push --remote ") == []
    assert "baseline" in words("mltrack show ")
    (project / ".mltrack" / "ledger.db").write_bytes(b"no ledger" * 1000)
    assert words("mltrack show ") == ["@", "@~1"]
    assert complete(["fish", "mltrack ls metrics."]) == 0
    assert complete([]) == complete(["zsh"]) == complete(["nosuchshell", "mltrack "]) == 0
    assert capfd.readouterr().err == ""


def test_completing_writes_nothing(project: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        found = {}
        for place, _, names in os.walk(project):
            for name in names:
                seen = os.stat(os.path.join(place, name))
                found[os.path.join(place, name)] = (seen.st_mtime_ns, seen.st_size)
        return found

    before = state()
    for line in ("mltrack show ", 'mltrack ls "params.lr = ', "mltrack push --remote ", "mltrack ls metrics."):
        list(answered(["fish", line]))
    assert state() == before


def test_in_an_open_quotation_of_bash_the_only_way_is_gone_on(project: Path) -> None:
    found = list(answered(["bash", 'mltrack ls "metrics.lo', BREAKS]))
    assert "metrics.loss >=" in found[1:] and "metrics.loss" not in found[1:]


def test_zsh_gets_words_with_what_follows_them(project: Path) -> None:
    found = list(answered(["zsh", "ls", "--sort", "metrics."]))
    assert found[0] == "plain" and found[1].startswith("=metrics.loss:")
    assert list(answered(["zsh", "ls", "tag:pa"])) == ["plain", "=tag\\:paper:tag"]
    assert next(answered(["zsh", "ls", "status = "])) == "words"
    assert list(answered(["zsh", "ls", "--sort", "para"])) == ["plain", "+params.:what it was told"]


texts = st.text(st.sampled_from("ab \"'\\$@=:<>(.-~*#é"), max_size=12)


@settings(max_examples=60 * SOAK, deadline=None)
@given(st.sampled_from(sorted(COMMANDS)), st.lists(texts, max_size=3))
@example("ls", ["'a\\", '"'])
def test_every_line_has_an_answer(name: str, rest: list[str]) -> None:
    line = " ".join(["mltrack", name, *rest])
    assert next(answered(["fish", line])).split()[0] in ("words", "files", "directories", "commands", "command")
    assert list(answered(["bash", line, BREAKS]))
    assert list(answered(["zsh", name, *rest]))


@settings(max_examples=40 * SOAK, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab \"'\\$é*~#"), min_size=1, max_size=6), min_size=1, max_size=4))
def test_words_are_read_as_a_shell_quotes_them(some: list[str]) -> None:
    import shlex

    before, typed = split("mltrack " + " ".join(map(shlex.quote, some)))
    assert [*of_command([*before, typed.text])] == some and not typed.quote


VALUES = ("two words", 'say "x"', "a$b`c`", "tag:paper", "status=lost", "@~1", "a\\b", "it's", "(a)", "#1", "~/x")


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="needs bash")
def test_bash_reads_back_what_it_was_told_to_put_in() -> None:
    """Typed with or without a quote, the text that is put in stands for the value; one bash reads them all."""
    written, expected = [], []
    for value in VALUES:
        for quote in ("", '"', "'"):
            text = in_bash(Typed("", quote, quote, 0), value, BREAKS)
            if text is None:
                assert quote == "'" and "'" in value
                continue
            written.append(f"{quote}{text}{quote}")
            expected.append(value)
    script = "printf '%s\\n' " + " ".join(written)
    shown = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == expected


def test_bash_gets_only_what_stands_behind_the_sign_that_it_breaks_words_at() -> None:
    assert in_bash(Typed("tag:pa", "tag:pa"), "tag:paper", BREAKS) == "paper"
    assert in_bash(Typed("--sort=-me", "--sort=-me"), "--sort=-metrics.", BREAKS) == "-metrics."
    assert in_bash(Typed("@", "@"), "@~1", BREAKS) == "~1"
    assert in_bash(Typed("--where=sta", '--where="sta', '"', 8), "--where=status", BREAKS) == "status"
