"""A command in a container, as a person types it: it behaves as it would without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mltrack.environments.docker.watcher import TRIES_S
from tests.engines import IMAGE, docker, own_engine
from tests.environments.docker.conftest import OTHER, SOAK, Other, left
from tests.executors.screen import Screen
from tests.executors.test_terminal import SHELL
from tests.helpers import git_repository, write
from tests.stories.typing import Person


def sh(person: Person, script: str, code: int = 0, input: bytes | None = None, options: tuple[str, ...] = ()) -> str:
    return person.type("run", *options, "--", "sh", "-c", script, code=code, input=input)


def record(person: Person) -> dict[str, Any]:
    return dict(person.json("show", "@"))


def start(person: Person, *words: str, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [person.path.split(os.pathsep)[0] + "/mltrack", "run", "--", *words],
        cwd=person.cwd,
        env=person.environment(),
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )


def wait_for(happened: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_in_a_container_records_what_any_run_records(person: Person) -> None:
    person.type("run", "--output", "out/", "--", "python3", "train.py", "--lr", "0.5")
    run = record(person)
    environment, image = run["environment"], run["environment"]["image"]
    assert (run["status"], run["exit_code"], run["params"]) == ("finished", 0, {"lr": 0.5})
    assert run["metrics"]["loss"] == {"last": 0.125, "min": 0.125, "max": 0.5, "count": 4, "last_step": 3}
    assert [item["path"] for item in run["artifacts"]] == ["out/"] or run["artifacts"][0]["path"] == "out"
    assert environment["kind"] == "docker"
    assert environment["python"].startswith("3.11")
    assert environment["interpreter"] == "/usr/bin/python3"
    assert image["id"] == docker(os.environ["DOCKER_HOST"], "image", "inspect", IMAGE, "--format", "{{.Id}}")
    assert (image["reference"], image["digest"], image["os"]) == (IMAGE, None, "linux")
    assert [warning["kind"] for warning in run["warnings"]] == ["image"]
    assert "has no digest in any registry" in run["warnings"][0]["message"]
    assert left(person) == []
    log = person.type("log", "@")
    assert "trained with 3.11" in log
    assert f"in {person.cwd}" in log


def test_the_image_of_a_flag_beats_the_settings(person: Person, engine: str) -> None:
    docker(engine, "tag", IMAGE, "other:2")
    sh(person, "true", options=("--image", "other:2"))
    assert record(person)["environment"]["image"]["reference"] == "other:2"


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137), *[("exit 200", 200)] * SOAK])
def test_the_exit_code_is_the_commands(person: Person, script: str, code: int) -> None:
    sh(person, script, code=code)
    assert record(person)["exit_code"] == code


def test_a_program_that_the_image_lacks_is_127_and_one_that_is_none_126(person: Person, engine: str) -> None:
    assert person.try_("run", "--", "no-such-program").returncode == 127
    assert person.try_("run", "--", "/etc").returncode == 126
    assert left(person) == []


def test_standard_streams_are_kept_apart_and_binary(person: Person) -> None:
    done = start(person, "sh", "-c", "cat; printf 'e\\377' >&2; exit 4", stdin=subprocess.PIPE)
    blob = bytes(range(256)) * 5000
    out, err = done.communicate(blob, timeout=60)
    assert done.returncode == 4
    assert out == blob
    talk, _, own = err.partition(b"\n")  # what it says before the start, of standard input that is not recorded
    assert talk.startswith(b"mltrack: preflight ") and own.startswith(b"e\xff")


def test_the_end_of_standard_input_reaches_the_command(person: Person) -> None:
    assert sh(person, "wc -c", input=b"12345").split() == ["5"]
    assert sh(person, "wc -c", input=b"").split() == ["0"]


def test_standard_input_that_nobody_reads_stops_nothing(person: Person) -> None:
    assert sh(person, "echo done", input=b"x" * 3_000_000) == "done\n"


def test_a_reader_that_goes_away_ends_the_command(person: Person, engine: str) -> None:
    process = start(person, "sh", "-c", "while :; do echo yes; done")
    assert process.stdout is not None
    assert process.stdout.read(4) == b"yes\n"
    process.stdout.close()
    assert process.wait(30) != 0
    assert process.stderr is not None
    process.stderr.close()
    assert left(person) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", *["SIGHUP", "SIGUSR1"] * SOAK])
def test_signals_reach_the_command(person: Person, name: str) -> None:
    short = name[3:]
    process = start(
        person, "sh", "-c", f"trap 'echo got {short}; exit 7' {short}; echo ready; while :; do sleep 0.1; done"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(getattr(signal, name))
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (7, f"got {short}\n".encode())
    assert record(person)["exit_code"] == 7


def test_a_command_that_a_signal_ends_was_interrupted(person: Person) -> None:
    process = start(person, "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    run = record(person)
    assert (run["status"], run["signal"]) == ("interrupted", signal.SIGTERM)


def test_what_it_writes_is_shown_and_logged_while_it_runs(person: Person) -> None:
    process = start(person, "sh", "-c", "echo first; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    assert person.type("ls", "--json").count("running") == 1
    assert "first" in person.type("log", "@")
    person.type("stop", "@")
    process.communicate(timeout=30)
    assert record(person)["status"] == "interrupted"


def test_stop_ends_a_command_that_is_deaf(person: Person, engine: str) -> None:
    process = start(person, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    assert process.stdout is not None
    process.stdout.readline()
    person.type("stop", "@", "--grace", "1")
    process.communicate(timeout=30)
    wait_for(lambda: not left(person))
    assert record(person)["status"] == "interrupted"


@pytest.mark.parametrize("who", ["client", "all", *["supervisor", "keeper"] * SOAK])
def test_whatever_is_killed_no_container_is_left_at_the_end(person: Person, engine: str, who: str) -> None:
    process = start(person, "sh", "-c", "echo ready; sleep 2; echo late > late")
    assert process.stdout is not None
    process.stdout.readline()
    state = next((person.cwd / ".mltrack" / "runs").glob("*/process.json"))
    facts = json.loads(state.read_text())
    pids = {"supervisor": facts["supervisor"], "keeper": facts["keeper"], "client": facts["pid"]}
    for name in pids if who == "all" else [who]:
        os.kill(pids[name], signal.SIGKILL)
    process.communicate(timeout=30)
    wait_for(lambda: not left(person))
    assert (person.cwd / "late").exists() == (who in ("supervisor", "keeper"))
    assert record(person)["status"] in {"finished", "failed", "lost", "interrupted"}


def test_two_at_once_do_not_meet(person: Person, engine: str) -> None:
    processes = [start(person, "sh", "-c", f"sleep 0.5; echo {number}") for number in range(2)]
    assert [process.communicate(timeout=60)[0] for process in processes] == [b"0\n", b"1\n"]
    assert [process.returncode for process in processes] == [0, 0]
    assert left(person) == []


def test_much_output_comes_whole(person: Person) -> None:
    script = "import sys\nfor _ in range(24): sys.stdout.buffer.write(b'x' * (1 << 20))"
    process = start(person, "python3", "-c", script)
    out, _ = process.communicate(timeout=120)
    assert len(out) == 24 << 20


# -- what the command sees


def test_the_project_can_lie_elsewhere_inside(person: Person) -> None:
    write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', at: /code}}\n", "sub/x": ""})
    sub = Person(person.cwd / "sub", person.path)
    assert sub.type("run", "--", "sh", "-c", "pwd; ls ..").split()[0] == "/code/sub"
    person.type("run", "--output", "out/", "--", "python3", "train.py")
    assert record(person)["metrics"]["loss"]["count"] == 4
    assert record(person)["environment"]["options"]["at"] == "/code"


def test_variables_of_this_machine_stay_outside(person: Person) -> None:
    write(
        person.cwd,
        {"mltrack.yaml": f"environment: {{image: '{IMAGE}', env: {{GIVEN: here, PASSED: null, ABSENT: null}}}}\n"},
    )
    outer = {
        "LD_LIBRARY_PATH": "/x",
        "SECRET_TOKEN": "hunter2hunter2",
        "OMP_NUM_THREADS": "3",
        "PASSED": "p",
        "LANG": "de_DE.UTF-8",
    }
    insider = Person(person.cwd, person.path, outer)
    seen = dict(line.partition("=")[::2] for line in insider.type("run", "--", "env").splitlines())
    assert (seen["GIVEN"], seen["PASSED"], seen["OMP_NUM_THREADS"]) == ("here", "p", "3")
    assert {"LD_LIBRARY_PATH", "SECRET_TOKEN", "LANG", "ABSENT", "DOCKER_HOST"} & set(seen) == set()
    assert seen["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert seen["HOME"] != os.environ["HOME"]
    assert not any(name.startswith("MLTRACK_INSIDE_") for name in seen)


def test_a_secret_that_is_passed_on_lies_in_no_file(person: Person) -> None:
    write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', env: {{API_KEY: null}}}}\n"})
    insider = Person(person.cwd, person.path, {"API_KEY": "zx81-abcdef-987654"})
    script = "test $API_KEY = zx81-abcdef-987654 && grep -rl zx81-abcdef . && exit 1; exit 4"
    sh(insider, script, code=4)  # while it runs
    found = subprocess.run(["grep", "-r", "zx81-abcdef", str(person.cwd)], capture_output=True, text=True)
    assert found.stdout == ""


def test_files_are_owned_by_whom_the_settings_say(person: Person) -> None:
    write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', user: '1234:1234'}}\n"})
    os.chmod(person.cwd, 0o777)
    script = (
        "id -u; echo x > mine; mkdir d; echo y > d/f; echo $HOME; python3 -c 'import getpass; print(getpass.getuser())'"
    )
    assert sh(person, script).split() == ["1234", "/tmp", "user"]
    assert {(person.cwd / name).stat().st_uid for name in ("mine", "d", "d/f")} == {1234}
    assert record(person)["environment"]["options"]["user"] == "1234:1234"


def test_an_ordinary_user_owns_all_that_comes_of_it(other: Other, engine: str) -> None:
    socket = engine.removeprefix("unix://")
    other.groups = f"{os.stat(socket).st_gid},5555"
    script = "id -u; id -G; echo x > mine; mkdir -p d; echo y > d/f; echo $HOME"
    uid, groups, home = other.type("run", "--output", "d", "--", "sh", "-c", script).splitlines()
    assert (uid, home) == (str(OTHER), "/tmp")
    assert {str(OTHER), "5555"} <= set(groups.split())
    owners = {path.stat().st_uid for path in other.cwd.rglob("*")}
    assert owners == {OTHER}
    assert [item["path"] for item in other.json("show", "@")["artifacts"]] == ["d", "mine"]


def test_a_user_without_permission_is_told(other: Other, engine: str) -> None:
    error, hint = other.fails("run", "--", "true", code=125)
    assert error == f"You may not speak to the container engine at {engine}."
    assert "group docker" in hint


def test_mounts_are_seen_and_what_they_hold_is_said_to_be_unknown(person: Person, tmp_path: Path) -> None:
    write(tmp_path / "data", {"points": "1 2 3"})
    write(person.cwd, {"more/x": "5"})
    mounts = f"['{tmp_path}/data:/data:ro', 'more:/more']"
    write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', mounts: {mounts}}}\n"})
    assert (
        sh(person, "cat /data/points /more/x; echo y > /data/new || echo refused; echo z > /more/new")
        == "1 2 35refused\n"
    )
    assert (person.cwd / "more" / "new").read_text() == "z\n"
    told = [warning["message"] for warning in record(person)["warnings"] if "mounted" in warning["message"]]
    assert len(told) == 1
    assert f"{tmp_path}/data" in told[0]


def test_mounts_below_the_project_leave_nothing_that_is_not_the_callers(other: Other, engine: str) -> None:
    other.groups = str(os.stat(engine.removeprefix("unix://")).st_gid)
    data = other.cwd.parent / "data"
    write(data, {"points": "1 2 3"})
    mounts = f"['{data}:/code/deep/er/data:ro', '{data}/points:/code/points:ro']"
    write(other.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', at: /code, mounts: {mounts}}}\n"})
    assert other.type("run", "--", "sh", "-c", "cat deep/er/data/points points; echo x > deep/mine") == "1 2 31 2 3"
    assert {path.name for path in other.cwd.iterdir()} >= {"deep"}
    assert [path.name for path in (other.cwd / "deep").iterdir()] == ["mine"]
    assert not (other.cwd / "points").exists()
    assert {path.stat().st_uid for path in other.cwd.rglob("*") if path.name != "mltrack.yaml"} == {OTHER}


def test_declared_inputs_elsewhere_are_there_under_their_paths(person: Person, tmp_path: Path) -> None:
    write(tmp_path / "data", {"points": "1 2 3"})
    place = f"{tmp_path}/data/points"
    assert sh(person, f"cat {place}; echo x > {place} || echo fixed", options=("--input", place)) == "1 2 3fixed\n"


def test_what_the_container_leaves_behind_goes(person: Person, engine: str) -> None:
    before = docker(engine, "volume", "ls", "-q")
    write(
        person.cwd,
        {"Dockerfile": f"FROM {IMAGE}\nVOLUME /scratch\n", "mltrack.yaml": "environment: {build: ./Dockerfile}\n"},
    )
    sh(person, "echo x > /scratch/y; sleep 100 & echo started")
    assert docker(engine, "volume", "ls", "-q") == before
    assert left(person) == []


# -- the terminal


def at_terminal(person: Person, *words: str, ground: str = "fg") -> list[str]:
    program = person.path.split(os.pathsep)[0] + "/mltrack"
    script = f"cd '{person.cwd}' && exec \"$@\""
    return [*SHELL, ground, "sh", "-c", script, "sh", program, "run", "--", *words]


def test_at_a_terminal_it_has_one_of_the_same_size(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", person.path)
    code = "import os; print(*(os.isatty(fd) for fd in (0, 1, 2)), *os.get_terminal_size(1), os.environ['TERM'])"
    monkeypatch.setenv("TERM", "xterm-256color")
    with Screen(at_terminal(person, "python3", "-c", f"import time; time.sleep(0.3); {code}")) as screen:
        screen.await_text(b"True True True 100 30 xterm-256color\r\n")
        screen.await_text(b"[ended 0, settings same]")
        screen.await_end()


def test_keys_and_a_changed_window_reach_it(person: Person) -> None:
    code = (
        "import os, signal\nsignal.signal(signal.SIGWINCH, lambda *_: print('size', *os.get_terminal_size(1), flush=True))\n"
        "print('ready', flush=True)\nprint('got', input())\n"
    )
    with Screen(at_terminal(person, "python3", "-c", code)) as screen:
        screen.await_text(b"ready")
        time.sleep(0.3)
        screen.resize(50, 120)
        screen.await_text(b"size 120 50")
        screen.type(b"hello\r")
        screen.await_text(b"got hello")
        screen.await_text(b"[ended 0, settings same]")
        screen.await_end()


def test_an_interrupt_that_is_typed_interrupts_the_run(person: Person) -> None:
    with Screen(at_terminal(person, "sh", "-c", "echo ready; exec sleep 60")) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x03")
        screen.await_text(b"[ended ")
        screen.await_end()
    run = record(person)
    assert (run["status"], run["signal"]) == ("interrupted", signal.SIGINT)


def test_three_interrupts_kill_what_is_deaf(person: Person, engine: str) -> None:
    with Screen(at_terminal(person, "sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.1; done")) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x03\x03\x03")
        screen.await_text(b"[ended ")
        screen.await_end()
    assert left(person) == []


def test_it_can_be_suspended_and_continued(person: Person) -> None:
    script = "n=0; while [ $n -lt 20 ]; do sleep 0.1; n=$((n+1)); echo n$n; done; echo end"
    with Screen(at_terminal(person, "sh", "-c", script)) as screen:
        screen.await_text(b"n3")
        screen.type(b"\x1a")
        screen.await_text(b"[stopped by 20, settings same]")
        screen.look(0.5)
        screen.shown = b""
        time.sleep(1)
        screen.look(0.2)
        assert b"n" not in screen.shown  # it stands still
        screen.type(b"fg\r")
        screen.await_text(b"end\r\n")
        screen.await_text(b"[ended 0, settings same]")
        screen.await_end()


# -- what goes wrong


def test_no_engine_is_said(tmp_path: Path, command_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    person = Person(git_repository(tmp_path / "work", {"x": ""}), command_path)
    error, hint = person.fails("run", "--image", "x", "--", "true", code=125)
    assert error == f"No container engine answers at unix://{tmp_path}/none."
    assert "DOCKER_HOST" in hint
    assert person.json("ls") == []


def test_an_image_that_nobody_has_is_said(person: Person, registry: str) -> None:
    error, hint = person.fails("run", "--image", f"{registry}/nothing:1", "--", "true", code=125)
    assert f"{registry}/nothing:1" in error
    assert hint
    error, _ = person.fails("run", "--image", "example.invalid/nothing:1", "--", "true", code=125)
    assert error.startswith("The registry cannot be reached for example.invalid/nothing:1")
    error, _ = person.fails("run", "--image", "sha256:" + "0" * 64, "--", "true", code=125)
    assert error == f"There is no image sha256:{'0' * 64} on this engine."
    error, _ = person.fails("run", "--image", "UPPER/Case", "--", "true", code=125)
    assert "no name of an image" in error


def test_wrong_settings_are_said(person: Person) -> None:
    for setting, said in (
        ("mounts: [/no/such/path]", "there is no /no/such/path"),
        ("at: relative", "environment.at"),
        ("network: no-such-network", "no such network"),
        ("user: nobody-knows-me", "does not know that user"),
    ):
        write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', {setting}}}\n"})
        done = person.try_("run", "--", "true")
        assert done.returncode in (2, 125), done
        assert said in done.stderr


def test_no_gpus_are_said(person: Person, engine: str) -> None:
    write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}', gpus: all}}\n"})
    done = person.try_("run", "--", "true")
    assert done.returncode == 125
    assert "This container engine gives no GPUs." in done.stderr
    assert left(person) == []


def test_memory_that_runs_out_is_said(person: Person) -> None:
    """The limit is the image's engine's: a container of a few MiB, made small by hand while it runs."""
    process = start(
        person,
        "python3",
        "-c",
        "import time; print('ready', flush=True); time.sleep(1.5); x = bytearray(1 << 30); print(len(x))",
    )
    assert process.stdout is not None
    process.stdout.readline()
    run = next((person.cwd / ".mltrack" / "runs").iterdir()).name
    docker(os.environ["DOCKER_HOST"], "update", "--memory", "64m", "--memory-swap", "64m", f"mltrack-{run}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 137
    assert b"ran out of memory" in err
    assert record(person)["signal"] == signal.SIGKILL


@pytest.mark.needs("docker")
def test_an_engine_that_dies_ends_the_run_with_a_word(tmp_path: Path, command_path: str) -> None:
    with own_engine(has_image=True) as state:
        person = Person(git_repository(tmp_path / "work", {"x": ""}), command_path, {"DOCKER_HOST": state["host"]})
        write(person.cwd, {"mltrack.yaml": f"environment: {{image: '{IMAGE}'}}\n"})
        process = start(person, "sh", "-c", "echo ready; sleep 600")
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(state["pid"], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 137
        assert b"container engine" in err
        run = record(person)
        assert f"the container mltrack-{run['id']} could not be removed and may live on".encode() in err
        assert (run["status"], run["signal"]) != ("failed", None)


def test_a_watcher_that_takes_over_removes_the_container_when_the_client_is_gone(engine: str) -> None:
    name = f"mltrack-{os.urandom(8).hex()}"
    docker(engine, "create", "--name", name, "--network", "none", IMAGE, "sleep", "60")
    code = (
        "import os, sys; from mltrack.environments.docker.watcher import Watcher;"
        "Watcher(sys.argv[1], dict(os.environ)).take_over()"
    )
    subprocess.run([sys.executable, "-c", code, name], check=True)
    wait_for(lambda: not docker(engine, "ps", "-aq", "--filter", f"name={name}"))
    assert sum(TRIES_S) > 60  # an engine that is started again may take that long
