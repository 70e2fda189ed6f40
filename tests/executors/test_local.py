"""Exit codes, output, streams and files of a command that runs without a terminal."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mltrack.errors import CommandNotFound, NotExecutable
from mltrack.executors import Command
from mltrack.executors.local import execute
from mltrack.live.process import is_alive
from mltrack.live.rundir import RunDir
from tests.executors.driving import Driven, exists, needs_binds, new_root, python, sh, wait_for


@pytest.fixture(params=["plain", pytest.param("bound", marks=needs_binds)])
def driven(tmp_path: Path, request: pytest.FixtureRequest) -> Driven:
    """As it is, and with a root directory that only the command sees."""
    options = {"binds": new_root(tmp_path / "root", {f"/{tmp_path.name}/x": ""})} if request.param == "bound" else {}
    return Driven(tmp_path / "runs", **options)


def command(*argv: str, cwd: Path = Path("/"), **changes: object) -> Command:
    values = {"argv": argv, "cwd": cwd, "environment": dict(os.environ), "log_limit_bytes": 1 << 20, "quiet": True}
    return Command(**{**values, "redact": lambda line: line, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [0, 1, 2, 77, 255])
def test_the_exit_code_is_the_commands(driven: Driven, code: int) -> None:
    assert driven.run(*sh(f"exit {code}")).returncode == code
    assert driven.result["exit_code"] == code
    assert driven.result["signal"] is None
    assert driven.result["status"] == ("finished" if code == 0 else "failed")


@pytest.mark.parametrize(
    ("name", "number", "status"), [("KILL", 9, "failed"), ("INT", 2, "interrupted"), ("SEGV", 11, "failed")]
)
def test_a_commands_death_by_a_signal_is_told(driven: Driven, name: str, number: int, status: str) -> None:
    assert driven.run(*sh(f"kill -{name} $$")).returncode == 128 + number
    result = driven.result
    assert (result["exit_code"], result["signal"], result["status"]) == (None, number, status)


def test_both_streams_keep_their_destinations_and_are_logged(driven: Driven) -> None:
    done = driven.run(*sh("echo out; echo err >&2; echo again"))
    assert (done.stdout, done.stderr) == (b"out\nagain\n", b"err\n")
    assert driven.logged("o") == b"out\nagain\n"
    assert driven.logged("e") == b"err\n"


def test_quiet_shows_nothing_and_logs_all(tmp_path: Path) -> None:
    driven = Driven(tmp_path / "runs", quiet=True)
    done = driven.run(*sh("echo out; echo err >&2"))
    assert (done.stdout, done.stderr) == (b"", b"")
    assert driven.logged("o") == b"out\n"
    assert driven.logged("e") == b"err\n"


def test_secrets_are_shown_and_not_logged(driven: Driven) -> None:
    done = driven.run(*sh("echo password hunter22"))
    assert done.stdout == b"password hunter22\n"
    assert b"hunter22" not in driven.rundir.output.read_bytes()
    assert driven.logged() == b"password <redacted>\n"


def test_binary_output_passes_and_is_logged_unchanged(driven: Driven) -> None:
    data = os.urandom(300_000) + bytes(range(256)) * 10
    done = driven.run("cat", input=data)
    assert done.stdout == data
    assert driven.logged("o") == data


def test_fifty_megabytes_pass_whole(driven: Driven, capsys: pytest.CaptureFixture[str]) -> None:
    line = b"step 12345 loss 0.123456 accuracy 0.98765 and some words\n"
    count = 50_000_000 // len(line)
    code = f"import sys; w = sys.stdout.buffer.write\nfor _ in range({count // 1000}): w({line!r} * 1000)"
    began = time.monotonic()
    with driven.start(*python(code), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        size = sum(len(block) for block in iter(lambda: process.stdout.read(1 << 20), b""))
    took = time.monotonic() - began
    assert size == count // 1000 * 1000 * len(line)
    assert process.returncode == 0
    assert len(driven.logged("o")) == size
    with capsys.disabled():
        print(f" [{size / took / 1e6:.0f} MB/s through the keeper]", end="")


def test_stdin_reaches_the_command(driven: Driven) -> None:
    assert driven.run("sort", input=b"b\na\n").stdout == b"a\nb\n"


def test_a_file_on_stdin_is_the_very_file(driven: Driven, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"0123456789")
    with open(tmp_path / "data", "rb") as file:
        done = driven.run(*python("import os; os.lseek(0, 4, 0); print(os.read(0, 2).decode())"), stdin=file)
    assert done.stdout == b"45\n"


def test_closed_standard_streams_do_no_harm(driven: Driven) -> None:
    words = driven.words(*sh("echo out; echo err >&2"))
    done = subprocess.run(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], timeout=60)
    assert done.returncode == 0
    assert driven.logged("o") == b"out\n"
    assert driven.logged("e") == b"err\n"


def test_the_command_inherits_what_we_were_given_and_nothing_of_ours(driven: Driven) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"handed down")
    os.close(writing)
    show = (
        f"import os\nprint(os.read({reading}, 20).decode(), end=' ')\nfor fd in range(256):\n    try:\n"
        "        os.fstat(fd)\n        print(fd, end=',')\n    except OSError:\n        pass\n"
    )
    done = driven.run(*python(show), pass_fds=(reading,))
    os.close(reading)
    assert done.stdout.decode() == f"handed down 0,1,2,{reading},"


def test_the_command_runs_where_and_with_what_it_was_told(tmp_path: Path) -> None:
    where = tmp_path / "a b"
    where.mkdir()
    rundir = RunDir.create(tmp_path, "run")
    environment = {"A": "1", "ODD": "\udcff", "PATH": os.environ["PATH"]}
    outcome = execute(command(*sh("pwd; env | sort | grep -a -v PWD"), cwd=where, environment=environment), rundir, int)
    assert outcome.exit_code == 0
    lines = rundir.output.read_bytes().split(b"\n")
    assert lines[0].endswith(b"o " + os.fsencode(where))
    assert {line.split(b" o ")[-1].split(b"=")[0] for line in lines[1:-1]} - {b"_", b"SHLVL"} == {b"A", b"ODD", b"PATH"}
    assert b"ODD=\xff" in b"".join(lines)
    rundir.remove()


def test_its_signals_are_as_they_would_be_without_us(driven: Driven) -> None:
    show = "grep -E 'Sig(Blk|Ign)|ShdPnd' /proc/self/status"
    plain = subprocess.run(sh(show), capture_output=True).stdout
    assert driven.run(*sh(show)).stdout == plain


def test_ignored_signals_stay_ignored(driven: Driven) -> None:
    words = driven.words(*sh("kill -HUP $$; echo survived"))
    done = subprocess.run(["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words], capture_output=True, timeout=60)
    assert done.stdout == b"survived\n"


def test_the_command_leads_a_group_of_its_own(driven: Driven) -> None:
    done = driven.run(*python("import os; print(os.getpid() == os.getpgrp(), os.getpid())"))
    assert done.stdout.split()[0] == b"True"
    assert driven.facts["pid"] == driven.facts["pgid"] == int(done.stdout.split()[1])


def test_facts_are_there_before_the_first_instruction(driven: Driven) -> None:
    done = driven.run(*sh(f"cat {driven.rundir.path}/process.json"))
    assert b'"start_time"' in done.stdout
    assert is_alive(driven.facts) is False


def test_outcome_is_kept_in_the_directory(driven: Driven) -> None:
    driven.run(*sh("echo hello; exit 4"))
    kept = driven.rundir.read("outcome")
    assert kept == driven.result
    assert kept is not None
    assert kept["exit_code"] == 4
    assert kept["log_size_bytes"] == driven.rundir.output.stat().st_size
    assert kept["finished_at"] >= kept["started_at"]


def test_memory_and_time_are_measured(driven: Driven) -> None:
    driven.run(*python("x = bytearray(200 << 20); sum(i * i for i in range(1_000_000))"))
    assert 200 << 20 < driven.result["peak_memory_bytes"] < 400 << 20
    assert 0 < driven.result["cpu_seconds"] < 60


@pytest.mark.parametrize(
    ("argv", "error", "says"),
    [
        (["no-such-program"], "CommandNotFound", "no-such-program: command not found."),
        (["./no-such-program"], "CommandNotFound", "./no-such-program: No such file or directory."),
        (["python train.py"], "CommandNotFound", "python train.py: command not found."),
        ([""], "CommandNotFound", "The command is empty."),
        (["./plain.py"], "NotExecutable", "./plain.py: Permission denied."),
        (["."], "CommandNotFound", ".: command not found."),
        (["./"], "NotExecutable", "./: Is a directory."),
        (["./lost"], "NotExecutable", "./lost: its interpreter was not found."),
        (["./broken"], "NotExecutable", "./broken: Exec format error."),
    ],
)
def test_what_cannot_be_started_is_told_as_a_shell_does(tmp_path: Path, argv: list[str], error: str, says: str) -> None:
    (tmp_path / "plain.py").write_text("print(1)\n")
    (tmp_path / "lost").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").write_bytes(b"\x7fELF\0\0\0\0")
    for name in ("lost", "broken"):
        (tmp_path / name).chmod(0o755)
    driven = Driven(tmp_path / "runs", cwd=str(tmp_path))
    done = driven.run(*argv)
    assert (driven.result["error"], driven.result["message"]) == (error, says)
    assert driven.result["hint"]
    assert done.returncode == (127 if error == "CommandNotFound" else 126)
    assert driven.rundir.read("outcome") is None


def test_a_missing_command_is_found_out_before_anything_is_written(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path, "run")
    with pytest.raises(CommandNotFound, match="not found"):
        execute(command("no-such-program"), rundir, int)
    (tmp_path / "script.py").write_text("")
    with pytest.raises(NotExecutable) as caught:
        execute(command("./script.py", cwd=tmp_path), rundir, int)
    assert caught.value.hint is not None
    assert "python ./script.py" in caught.value.hint
    assert rundir.read("process") is None
    rundir.remove()


def test_a_script_without_an_interpreter_line_runs_as_in_a_shell(tmp_path: Path) -> None:
    (tmp_path / "script").write_text('echo "$0 $1"\n')
    (tmp_path / "script").chmod(0o755)
    driven = Driven(tmp_path / "runs", cwd=str(tmp_path))
    assert driven.run("./script", "a b").stdout == b"./script a b\n"


def test_programs_are_looked_for_on_the_commands_own_path(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "trainer").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "bin" / "trainer").chmod(0o755)
    rundir = RunDir.create(tmp_path, "run")
    outcome = execute(command("trainer", cwd=tmp_path, environment={"PATH": "bin"}), rundir, int)
    assert outcome.exit_code == 0
    assert rundir.output.read_bytes().endswith(b" o mine\n")
    rundir.remove()


def test_a_missing_directory_is_told_as_such(tmp_path: Path) -> None:
    driven = Driven(tmp_path / "runs", cwd=str(tmp_path / "gone"))
    assert driven.run("true").returncode == 125
    assert "gone: No such file or directory." in driven.result["message"]


def test_beside_works_while_the_command_runs(tmp_path: Path) -> None:
    """The command waits for a file that only `beside` writes."""
    rundir = RunDir.create(tmp_path, "run")
    seen: list[bool] = []

    def beside() -> None:
        seen.append(threading.current_thread() is threading.main_thread())
        (tmp_path / "flag").touch()

    outcome = execute(command(*sh(f"until [ -e {tmp_path}/flag ]; do sleep 0.01; done")), rundir, beside)
    assert outcome.status == "finished"
    assert seen == [False]
    rundir.remove()


def test_what_beside_raises_comes_after_the_command_ended(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path, "run")

    def beside() -> None:
        raise RuntimeError("beside failed")

    with pytest.raises(RuntimeError, match="beside failed"):
        execute(command(*sh("sleep 0.1; exit 3")), rundir, beside)
    outcome = rundir.read("outcome")
    assert outcome is not None
    assert outcome["exit_code"] == 3
    rundir.remove()


def test_execute_leaves_no_descriptor_and_no_process_behind(tmp_path: Path) -> None:
    import signal

    before = sorted(os.listdir("/proc/self/fd"))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGWINCH, signal.SIGTSTP)]
    for number in range(5):
        rundir = RunDir.create(tmp_path, f"run{number}")
        execute(command("true"), rundir, int)
        facts = rundir.read("process")
        assert facts is not None
        assert not exists(facts["keeper"])
        rundir.remove()
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGWINCH, signal.SIGTSTP)] == handlers
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_a_closed_reader_gives_the_command_its_sigpipe(driven: Driven) -> None:
    with driven.start("yes", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"y\ny\n"
        process.stdout.close()
        assert process.wait(30) == 128 + 13
    assert driven.result["signal"] == 13


def test_a_closed_stdout_does_not_close_stderr(driven: Driven) -> None:
    code = (
        "import sys, time\nfor _ in range(9):\n    time.sleep(0.02)\n    try:\n        print('x' * 70000, flush=True)\n"
    )
    code += "    except BrokenPipeError:\n        print('noticed', file=sys.stderr)\n        sys.stdout = None\n        break\n"
    with driven.start(*python(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b"noticed\n"
    assert process.returncode == 0


def test_a_slow_reader_of_one_stream_does_not_hold_up_the_other(driven: Driven) -> None:
    """Stdout is full and nobody reads it; what goes to stderr must come through all the same."""
    code = (
        "import os, sys, threading\n"
        "t = threading.Thread(target=lambda: os.write(1, b'x' * 1_000_000)); t.start()\n"
        "os.write(2, b'e' * 500_000); os.close(2); t.join()\n"
    )
    with driven.start(*python(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stderr.read(500_000)) == 500_000
        assert len(process.stdout.read()) == 1_000_000
    assert process.returncode == 0


def test_a_background_process_that_holds_the_output_does_not_hold_the_run(driven: Driven, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    code = f"echo before; (until [ -e {flag} ]; do sleep 0.02; done; echo late) & exit 5"
    with driven.start(*sh(code), stdout=subprocess.PIPE) as process:
        assert process.wait(30) == 5
        assert process.stdout is not None
        assert exists(driven.facts["keeper"])
        assert driven.rundir.try_lock()  # the run can be folded
        flag.touch()
        assert process.stdout.read() == b"before\nlate\n"  # passed on, not logged
    assert driven.logged() == b"before\n"
    wait_for(lambda: not exists(driven.facts["keeper"]))
    driven.rundir.unlock()


def test_the_lock_is_held_while_the_command_lives(driven: Driven, tmp_path: Path) -> None:
    with driven.start(*sh(f"until [ -e {tmp_path}/flag ]; do sleep 0.02; done")) as process:
        assert is_alive(driven.facts)
        assert driven.rundir.is_locked_by_other()
        assert not driven.rundir.try_lock()
        (tmp_path / "flag").touch()
        process.wait(30)
    assert driven.rundir.try_lock()
    driven.rundir.unlock()
