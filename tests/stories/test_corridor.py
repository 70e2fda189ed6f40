"""A stranger's repository goes all the way: run, look, compare, push, clone, reproduce."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.helpers import git, git_repository, tree_of, write
from tests.stories.typing import Person

TRAIN = """import json, sys
lr = float(sys.argv[sys.argv.index("--lr") + 1])
scale = float(open("conf/scale.txt").read())
data = [float(line) for line in open("data/points.csv")]
json.dump({"loss": scale * lr * sum(data)}, open("metrics.json", "w"))
open("model.bin", "wb").write(bytes(int(x) for x in data))
print("done", lr)
"""


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    files = {"train.py": TRAIN, "conf/scale.txt": "2", "data/points.csv": "1\n2\n3\n", ".gitignore": "cache/\n"}
    return Person(git_repository(tmp_path / "work", files), command_path)


def run(person: Person, lr: str, *options: str) -> dict[str, object]:
    words = (
        "--metrics",
        "metrics.json",
        "--input",
        "data/points.csv",
        *options,
        "--",
        "python",
        "train.py",
        "--lr",
        lr,
    )
    person.type("run", *words)
    return dict(person.json("show", "@"))


def test_a_run_records_what_made_the_result(person: Person) -> None:
    record = run(person, "0.5", "--name", "first", "--why", "to see", "--tag", "good", "--experiment", "lines")
    assert record["status"] == "finished"
    assert record["command"] == ["python", "train.py", "--lr", "0.5"]
    assert record["params"] == {"lr": 0.5}
    assert record["metrics"]["loss"]["last"] == 6.0
    assert [item["path"] for item in record["artifacts"]] == ["metrics.json", "model.bin"]
    assert [(item["path"], item["kept"]) for item in record["inputs"]] == [("data/points.csv", True)]
    assert record["code"]["commit"] == git(person.cwd, "rev-parse", "HEAD").decode().strip()
    assert record["code"]["dirty"] is False
    assert record["environment"]["kind"] == "python"
    assert (record["name"], record["why"], record["tags"], record["experiment"]) == (
        "first",
        "to see",
        ["good"],
        "lines",
    )
    assert record["fingerprint"].startswith("b3:")
    assert record["record_digest"].startswith("b3:")


def test_nothing_of_the_users_is_touched(person: Person) -> None:
    write(person.cwd, {"conf/scale.txt": "3", "new.txt": "untracked"})
    git(person.cwd, "add", "conf/scale.txt")
    git(person.cwd, "stash", "push", "-q", "--", "conf/scale.txt")
    write(person.cwd, {"conf/scale.txt": "4"})

    def state() -> list[bytes]:
        parts = (("status", "--porcelain=v2"), ("show-ref",), ("stash", "list"), ("rev-parse", "HEAD"))
        return [git(person.cwd, *words, check=False) for words in parts]

    person.cwd.joinpath("metrics.json").write_text("{}")
    person.cwd.joinpath("model.bin").write_text("")
    before, index = state(), (person.cwd / ".git" / "index").read_bytes()
    run(person, "1")
    assert state() == before
    assert (person.cwd / ".git" / "index").read_bytes() == index


def test_uncommitted_changes_are_told_and_diffed(person: Person) -> None:
    run(person, "0.5")
    write(person.cwd, {"conf/scale.txt": "4"})
    record = run(person, "0.5")
    assert record["code"]["dirty"] is True
    assert record["code"]["changed"] == ["conf/scale.txt"]
    found = person.json("diff", "@~1", "@")
    assert [item["path"] for item in found["code_files"]] == ["conf/scale.txt"]
    assert "-2" in found["patch"] and "+4" in found["patch"]
    assert {item["what"] for item in found["metrics"]} == {"loss"}
    person.type("diff", "@~1", "@", "--exit-code", code=1)
    person.type("diff", "@", "@", "--exit-code")


def test_the_same_inputs_have_the_same_fingerprint(person: Person) -> None:
    first = run(person, "0.5")
    second = run(person, "0.5")
    third = run(person, "0.6")
    assert first["fingerprint"] == second["fingerprint"]
    assert first["fingerprint"] != third["fingerprint"]
    assert first["code"]["tree"] == second["code"]["tree"], "outputs of the first run must not be code of the second"


def test_another_machine_gets_the_same_result(person: Person, tmp_path: Path) -> None:
    write(person.cwd, {"conf/scale.txt": "5", "note.txt": "not tracked"})
    record = run(person, "0.25")
    person.type("remote", "add", "origin", "../remote")
    person.type("push")
    tree = tree_of(person.cwd)
    shutil.rmtree(person.cwd)
    shutil.rmtree(os.environ["HOME"])
    other = tmp_path / "elsewhere"
    (other / "home").mkdir(parents=True)
    person = Person(other, person.path, {"HOME": str(other / "home")})
    done = person.json("reproduce", str(record["id"]), "--from", "../remote", "--into", "again")
    assert done["verdict"]["grade"] == "identical"
    assert done["run"]["parent"] == {"kind": "reproduce", "run": record["id"]}
    assert done["run"]["code"]["tree"] == record["code"]["tree"]
    again = other / "again"
    assert git(again, "rev-parse", "HEAD").decode().strip() == record["code"]["commit"]
    assert tree_of(again) == tree
    assert b"scale.txt" in git(again, "status", "--porcelain")
    listed = Person(again, person.path, person.variables).json("ls")
    assert [one["verdict"]["grade"] if one["verdict"] else None for one in listed] == ["identical", None]


def test_a_result_that_differs_is_called_different(person: Person, tmp_path: Path) -> None:
    write(person.cwd, {"train.py": TRAIN + "import os\nopen('pid.txt', 'w').write(str(os.getpid()))\n"})
    record = run(person, "0.25")
    done = person.json("reproduce", str(record["id"]), code=1)
    assert done["verdict"]["grade"] == "different"
    grades = {item["path"]: item["grade"] for item in done["verdict"]["artifacts"]}
    assert grades["model.bin"] == "identical"
    assert grades["pid.txt"] == "different"


def test_a_tolerance_makes_a_close_metric_good_enough(person: Person) -> None:
    script = "import json, os\njson.dump({'loss': 1 + os.getpid() * 1e-12}, open('metrics.json', 'w'))\n"
    write(person.cwd, {"close.py": script, "mltrack.yaml": "verdict: {tolerance: {loss: {rel: 0.001}}}\n"})
    person.type("run", "--metrics", "metrics.json", "--", "python", "close.py")
    assert person.json("reproduce", "@")["verdict"]["grade"] == "within tolerance"


def test_a_failed_run_is_recorded_with_its_exit_code(person: Person) -> None:
    person.type("run", "--", "python", "-c", "import sys; print('so far'); sys.exit(3)", code=3)
    record = person.json("show", "@")
    assert (record["status"], record["exit_code"]) == ("failed", 3)
    assert "so far" in person.type("log", "@")


def test_a_command_ended_by_a_signal_gives_128_and_the_signal(person: Person) -> None:
    person.type("run", "--", "sh", "-c", "kill -9 $$", code=137)
    assert person.json("show", "@")["signal"] == 9


def test_set_changes_one_parameter_for_one_run(person: Person) -> None:
    run(person, "0.5")
    person.type("rerun", "@", "--set", "lr=0.125")
    record = person.json("show", "@")
    assert record["params"] == {"lr": 0.125}
    assert record["param_sources"] == {"lr": "--set"}
    assert record["parent"]["kind"] == "rerun"
    assert record["metrics"]["loss"]["last"] == 1.5


def test_set_on_a_params_file_leaves_the_users_file_alone(person: Person) -> None:
    write(person.cwd, {"params.yaml": "lr: 0.5  # a comment\n", "show.py": "print(open('params.yaml').read())\n"})
    person.type("run", "--params", "params.yaml", "--set", "lr=0.25", "--", "python", "show.py")
    assert (person.cwd / "params.yaml").read_text() == "lr: 0.5  # a comment\n"
    record = person.json("show", "@")
    assert record["params"] == {"lr": 0.25}
    assert "lr: 0.25  # a comment" in person.type("log", "@")
    person.type("reproduce", "@", code=1)  # it wrote nothing that could be compared
    assert not list((person.cwd / ".mltrack" / "runs").iterdir())


def test_set_changes_a_params_file_that_nobody_declared(person: Person) -> None:
    write(person.cwd, {"params.yaml": "lr: 0.5\n", "conf/a.yaml": "depth: 3\n", "show.py": SHOWN})
    person.type("run", "--", "python", "show.py", "--config", "conf/a.yaml")
    person.type("rerun", "@", "--set", "lr=0.25", "--set", "depth=4")
    record = person.json("show", "@")
    assert {**record["params"], "config": ""} == {"lr": 0.25, "depth": 4, "config": ""}
    assert record["param_sources"]["lr"] == record["param_sources"]["depth"] == "--set"
    assert (person.cwd / "params.yaml").read_text() == "lr: 0.5\n"
    assert person.type("log", "@").split() == ["lr:", "0.25", "depth:", "4"]


SHOWN = "import sys\nprint(open('params.yaml').read(), open(sys.argv[2]).read())\n"


def test_an_isolated_run_does_not_see_edits_and_writes_elsewhere(person: Person) -> None:
    person.type("run", "--isolated", "--input", "data/points.csv", "--", "python", "train.py", "--lr", "1")
    assert not (person.cwd / "model.bin").exists()
    person.type("get", "@", "model.bin", "--output", "here.bin")
    assert (person.cwd / "here.bin").read_bytes() == bytes([1, 2, 3])
    assert not list((person.cwd / ".mltrack" / "work").iterdir())


def test_resume_makes_a_child_that_gets_the_artifacts(person: Person) -> None:
    first = run(person, "0.5")
    script = "import os; print(open(os.environ['MLTRACK_RESUME'] + '/model.bin', 'rb').read())"
    assert "\\x01\\x02\\x03" in person.type("run", "--resume-from", "@", "--", "python", "-c", script)
    child = person.json("show", "@")
    assert child["parent"] == {"kind": "resume", "run": first["id"]}
    assert {item["path"] for item in child["inputs"] if item["role"] == "resume"} == {"metrics.json", "model.bin"}


def test_params_metrics_and_artifacts_can_be_logged_from_any_interpreter(person: Person) -> None:
    script = (
        "import mltrack\nmltrack.log_params({'optimizer': 'adam'})\n"
        "[mltrack.log({'loss': 1 / (step + 1)}, step=step) for step in range(5)]\n"
        "open('weights', 'w').write('w'); mltrack.log_artifact('weights', 'kept-weights')\n"
    )
    write(person.cwd, {"logs.py": script})
    person.type("run", "--", "python", "logs.py")
    record = person.json("show", "@")
    assert record["params"] == {"optimizer": "adam"}
    assert record["metrics"]["loss"] == {"last": 0.2, "min": 0.2, "max": 1.0, "count": 5, "last_step": 4}
    assert ("kept-weights", "logged") in [(item["path"], item["found"]) for item in record["artifacts"]]
    assert [point["step"] for point in person.json("show", "@", "--series", "loss")] == [0, 1, 2, 3, 4]


def test_tags_notes_and_hiding_are_edits(person: Person) -> None:
    record = run(person, "0.5")
    person.type("tag", "@", "baseline", "paper")
    person.type("tag", "@", "paper", "--remove")
    person.type("note", "@", "look again")
    shown = person.json("show", "baseline")
    assert (shown["tags"], shown["notes"]) == (["baseline"], ["look again"])
    assert shown["record_digest"] == record["record_digest"]
    person.type("rm", "baseline")
    assert person.json("ls") == []
    person.type("restore", str(record["id"]))
    assert len(person.json("ls")) == 1


def test_a_stale_output_does_not_pass_for_a_result(person: Person) -> None:
    write(person.cwd, {"metrics.json": '{"loss": 0.0}', "old.txt": "old"})
    person.type("run", "--metrics", "metrics.json", "--output", "old.txt", "--", "true")
    record = person.json("show", "@")
    assert record["metrics"] == {}
    assert record["artifacts"] == []
    assert {"output-not-written", "metrics-not-written"} <= {item["kind"] for item in record["warnings"]}


def test_ignored_files_that_were_written_are_artifacts(person: Person) -> None:
    person.type("run", "--", "sh", "-c", "mkdir -p cache && echo x > cache/model.pt")
    assert [item["path"] for item in person.json("show", "@")["artifacts"]] == ["cache/model.pt"]
    person.type("run", "--output", "cache", "--", "sh", "-c", "echo y > cache/model.pt")
    assert [item["path"] for item in person.json("show", "@")["artifacts"]] == ["cache"]


def test_stdin_from_a_file_is_an_input(person: Person) -> None:
    import subprocess

    write(person.cwd, {"in.txt": "hello\n"})
    with open(person.cwd / "in.txt", "rb") as source:
        argv = [person.path.split(os.pathsep)[0] + "/mltrack", "run", "--", "sh", "-c", "cat > out.txt"]
        subprocess.run(argv, cwd=person.cwd, env=person.environment(), stdin=source, check=True)
    record = person.json("show", "@")
    assert [(item["path"], item["role"]) for item in record["inputs"]] == [("in.txt", "stdin")]
    assert person.json("reproduce", "@")["verdict"]["grade"] == "identical"


def test_outside_of_a_git_repository_it_works_the_same(tmp_path: Path, command_path: str) -> None:
    person = Person(tmp_path, command_path)
    write(tmp_path, {"a.txt": "1\n"})
    person.type("run", "--", "sh", "-c", "cat a.txt > b.txt")
    record = person.json("show", "@")
    assert record["code"]["commit"] is None
    assert [item["path"] for item in record["artifacts"]] == ["b.txt"]
    assert person.json("reproduce", "@")["verdict"]["grade"] == "identical"


def test_json_of_a_run_goes_to_stdout_alone(person: Person) -> None:
    done = person.try_("run", "--json", "--", "sh", "-c", "echo chatter")
    assert done.returncode == 0
    import json

    assert json.loads(done.stdout)["status"] == "finished"
    assert "chatter" in done.stderr


def test_bytecode_is_neither_code_nor_a_result(person: Person) -> None:
    write(person.cwd, {"helper.py": "X = 1\n", "uses.py": "import helper\nopen('o.txt', 'w').write('1')\n"})
    person = Person(person.cwd, person.path, {"PYTHONDONTWRITEBYTECODE": ""})
    person.type("run", "--", "python", "uses.py")
    person.type("run", "--", "python", "uses.py")
    assert person.json("diff")["code_files"] == []
    assert [item["path"] for item in person.json("show", "@")["artifacts"]] == ["o.txt"]
    assert person.json("reproduce", "@")["verdict"]["grade"] == "identical"


def test_of_a_declared_directory_only_what_the_run_wrote_is_kept(person: Person) -> None:
    write(person.cwd, {"outputs/monday/model": "old"})
    person.type(
        "run", "--output", "outputs", "--", "sh", "-c", "mkdir outputs/tuesday; echo new > outputs/tuesday/model"
    )
    record = person.json("show", "@")
    assert [(item["path"], item["found"]) for item in record["artifacts"]] == [("outputs/tuesday/model", "declared")]
    assert person.json("reproduce", "@")["verdict"]["grade"] == "identical"


def test_a_hidden_run_says_how_to_get_it_back(person: Person) -> None:
    record = run(person, "0.5")
    person.type("rm", "@")
    error, hint = person.fails("show", str(record["id"])[:6], code=4)
    assert "hidden" in error and f"mltrack restore {record['id']}" in hint
    assert [one["hidden"] for one in person.json("ls", "--all")] == [True]
    person.type("restore", str(record["id"])[:6])
    person.fails("restore", str(record["id"]), code=4)


def test_a_reproduction_never_uses_a_program_of_todays_environment(person: Person) -> None:
    import sys

    venv = person.cwd / ".venv" / "bin"
    write(
        person.cwd,
        {".gitignore": ".venv/\n", ".venv/pyvenv.cfg": f"home = {Path(sys.executable).parent}\nversion = 3\n"},
    )
    venv.mkdir()
    (venv / "python").symlink_to(Path(sys.executable).resolve())
    (venv / "fit").write_text(f"#!{venv}/python\nopen('o.txt', 'w').write('1')\n")
    (venv / "fit").chmod(0o755)
    person = Person(person.cwd, person.path, {})
    person.path = os.pathsep.join([person.path.split(os.pathsep)[0], str(venv), *person.path.split(os.pathsep)[1:]])
    person.type("run", "--", "fit")
    verdict = person.json("reproduce", "@", code=1)["verdict"]
    assert verdict["grade"] == "could not run"
    assert "fit" in verdict["cause"]


def test_a_rerun_takes_a_seed_and_a_reason(person: Person) -> None:
    run(person, "0.5")
    person.type("rerun", "@", "--seed", "7", "--why", "another seed", "--name", "second", "--tag", "x")
    record = person.json("show", "@")
    assert (record["seed"], record["why"], record["name"], record["tags"]) == (7, "another seed", "second", ["x"])
