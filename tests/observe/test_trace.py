"""strace beside a command: the command is as it would be without, and what strace wrote is read right."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.errors import StartError
from mltrack.observe import Event
from mltrack.observe.trace import BIRTH_NS, FILE, Reader, born_ns, events, letter_of, plain, settle, wrap
from tests.executors.driving import Driven, python, sh, wait_for
from tests.executors.screen import Screen
from tests.executors.test_terminal import SHELL
from tests.helpers import write

strace = pytest.mark.needs("strace")


def wrapped(tmp_path: Path, *argv: str) -> tuple[str, ...]:
    return wrap(argv, tmp_path / "observed", os.environ)[0]


def traced(tmp_path: Path, *argv: str, code: int = 0) -> list[str]:
    """What is told of a command that works in `tmp_path/work`: `letter path [path]` of what is below it."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    with subprocess.Popen(wrapped(tmp_path, *argv), cwd=work) as process:
        assert process.wait(60) == code
    assert settle(tmp_path / "observed", process.pid)
    top = f"{work}/"
    return [
        " ".join([event.letter, *(path.replace(top, "") for path in (event.path, event.other) if path)])
        for event in events(tmp_path / "observed", work)
        if event.path.startswith(top)
    ]


@strace
def test_reads_writes_renames_and_removals_of_any_process(tmp_path: Path) -> None:
    write(tmp_path / "work", {"in": "1", "log": "1"})
    time.sleep(2 * BIRTH_NS / 10**9)  # else it may be one that the command made
    script = "cat in > out; cat in >> log; mv out final; rm final; mkdir d; cd d; cat ../in > deep; ln -s ../in to"
    assert traced(tmp_path, "sh", "-c", script) == [
        "w out",
        "r in",
        "u log",
        "r in",
        "m out final",
        "d final",
        "k d",
        "w d/deep",
        "r d/../in",
        "l d/to",
    ]


@strace
def test_a_file_that_is_added_to_counts_only_if_it_was_there(tmp_path: Path) -> None:
    write(tmp_path / "work", {"old": "1"})
    script = "sleep 0.05; for f in old new gone; do echo 1 >> $f; done; rm gone; sleep 0.05; echo 2 >> new"
    told = traced(tmp_path, "sh", "-c", script)
    if born_ns(os.fsencode(tmp_path)) == 0:
        pytest.skip("the file system does not tell when a file was made")
    assert told == ["u old", "w new", "w gone", "d gone", "u new"]


@strace
def test_a_program_that_no_library_can_enter(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    write(
        tmp_path / "work",
        {
            "in": "1",
            "p.c": "#include <fcntl.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n"
            'int main() { syscall(SYS_openat, AT_FDCWD, "in", O_RDONLY); chdir("d");\n'
            ' syscall(SYS_open, "new", O_WRONLY | O_CREAT | O_TRUNC, 0666); syscall(SYS_unlink, "../gone"); return 0; }\n',
            "d/f": "",
            "gone": "",
        },
    )
    subprocess.run(["gcc", "-static", "p.c", "-o", "p"], cwd=tmp_path / "work", check=True)
    assert traced(tmp_path, "./p") == ["p p", "r in", "w d/new", "d d/../gone"]


@strace
def test_threads_share_a_directory_and_children_begin_in_their_parents(tmp_path: Path) -> None:
    write(tmp_path / "work", {"a/in": "1", "a/b/in": "2"})
    code = (
        "import os, threading, ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "def look(): libc.syscall(2, b'in', 0)\n"  # open(): the only trace of where is the process's own directory
        "os.chdir('a')\n"
        "thread = threading.Thread(target=look); thread.start(); thread.join()\n"
        "thread = threading.Thread(target=lambda: os.chdir('b')); thread.start(); thread.join()\n"
        "look()\n"
        "if not os.fork(): look(); os._exit(0)\n"
        "os.wait()\n"
    )
    if os.uname().machine != "x86_64":
        pytest.skip("numbers of system calls are those of x86-64")
    told = traced(tmp_path, sys.executable, "-c", code)
    assert [line for line in told if line.endswith("/in")] == ["r a/in", "r a/b/in", "r a/b/in"]


@strace
def test_names_of_any_bytes(tmp_path: Path) -> None:
    name = b'a\nb\t"quoted" \\ \xff\xc3\xa9 <x> = 3, (1)'
    code = f"import os; os.close(os.open({name!r}, os.O_CREAT | os.O_WRONLY | os.O_EXCL)); os.rename({name!r}, {name + b'2'!r})"
    told = [os.fsencode(line) for line in traced(tmp_path, sys.executable, "-c", code)]
    assert told == [b"w " + name, b"m " + name + b" " + name + b"2"]


@strace
def test_a_long_directory_of_strange_names(tmp_path: Path) -> None:
    inner = Path("work", *["x" * 200 + "\n>) = 0"] * 8)
    write(tmp_path, {f"{inner}/in": "1"})
    code = f"import os; os.chdir({str(inner.relative_to('work'))!r}); open('in').read()"
    assert traced(tmp_path, sys.executable, "-c", code)[-1] == f"r {inner.relative_to('work')}/in"


@strace
def test_where_it_connects_to(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    code = (
        "import socket\n"
        "for family, where in ((2, ('192.0.2.7', 443)), (10, ('2001:db8::1', 80)), (2, ('127.0.0.1', 9)), (2, ('192.0.2.7', 53))):\n"
        "    s = socket.socket(family, socket.SOCK_DGRAM)\n"
        "    try: s.connect(where)\n"
        "    except OSError: pass\n"
    )
    with subprocess.Popen(wrapped(tmp_path, sys.executable, "-c", code)) as process:
        process.wait(60)
    settle(tmp_path / "observed", process.pid)
    told = {event.path for event in events(tmp_path / "observed", tmp_path) if event.letter == "n"}
    assert told <= {"tcp://192.0.2.7:443", "tcp://[2001:db8::1]:80"}
    if has_route():
        assert "tcp://192.0.2.7:443" in told


def has_route() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.7", 443))
        except OSError:
            return False
    return True


@strace
def test_exit_codes_signals_and_output_are_the_commands_own(tmp_path: Path) -> None:
    for number, script in enumerate(("echo out; echo err >&2; exit 3", "kill -9 $$", "kill -TERM $$", "exit 0")):
        bare, driven = Driven(tmp_path / f"bare{number}"), Driven(tmp_path / f"runs{number}")
        bare.run("sh", "-c", script)
        driven.run(*wrapped(tmp_path, "sh", "-c", script))
        for key in ("exit_code", "signal", "status"):
            assert driven.result[key] == bare.result[key]
        assert driven.logged("o") == bare.logged("o") and driven.logged("e") == bare.logged("e")


@strace
def test_the_process_of_the_run_is_the_command(tmp_path: Path) -> None:
    driven = Driven(tmp_path / "runs")
    driven.run(*wrapped(tmp_path, *python("import os; print(os.getpid(), os.getppid(), os.getpgrp())")))
    pid, parent, group = map(int, driven.logged("o").split())
    assert pid == group == driven.facts["pid"]
    assert parent != 1


@strace
def test_the_command_inherits_what_it_would_and_strace_is_not_watched(tmp_path: Path) -> None:
    code = (
        "import os; print([l for l in open('/proc/self/status') if l.startswith(('SigB', 'SigI', 'SigC', 'Umask'))],"
        " sorted(os.listdir('/proc/self/fd')), os.getpgrp() == os.getpid(), os.getcwd(), sorted(os.environ.items()))"
    )
    given = {**os.environ, "LD_PRELOAD": "", "MLTRACK_OBSERVE": str(tmp_path / "a b='c'")}
    argv, variables = wrap([sys.executable, "-c", code], tmp_path / "observed", given)
    assert not {"LD_PRELOAD", "MLTRACK_OBSERVE"} & variables.keys()
    bare = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, start_new_session=True)
    done = subprocess.run(argv, env=variables, capture_output=True, start_new_session=True)
    assert done.stdout == bare.stdout and bare.stdout
    assert done.stderr == bare.stderr


@strace
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGSEGV, signal.SIGALRM])
def test_the_end_of_a_killed_command_is_in_its_trace(tmp_path: Path, number: int) -> None:
    code = "import os, signal, sys; n = int(sys.argv[1]); n != 9 and signal.signal(n, signal.SIG_DFL); os.kill(os.getpid(), n)"
    with subprocess.Popen(wrapped(tmp_path, sys.executable, "-c", code, str(int(number)))) as process:
        assert process.wait(60) == -number
    assert settle(tmp_path / "observed", process.pid)


@strace
def test_a_background_process_does_not_hold_the_end_back(tmp_path: Path) -> None:
    with subprocess.Popen(
        wrapped(tmp_path, "sh", "-c", "sleep 60 & echo $!; exit 4"), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        left = int(process.stdout.readline())
        assert process.wait(30) == 4
        assert settle(tmp_path / "observed", process.pid)
        os.kill(left, signal.SIGKILL)


@strace
def test_an_interrupt_reaches_the_command_alone(tmp_path: Path) -> None:
    code = (
        "import time\ntry:\n    print('ready', flush=True); [time.sleep(0.05) for _ in range(1200)]\nexcept KeyboardInterrupt:\n    open('%s/late', 'w'); raise SystemExit(4)"
        % tmp_path
    )
    driven = Driven(tmp_path / "runs")
    with Screen(driven.words(*wrapped(tmp_path, *python(code)))) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x03")
        assert screen.await_end() == 4
        assert screen.is_restored
    assert driven.result["status"] == "interrupted"
    told = [event.path for event in events(tmp_path / "observed", tmp_path) if event.letter == "w"]
    assert any(path.endswith("/late") for path in told), "the tracer went on after the interrupt"


@strace
def test_a_stopped_job_goes_on(tmp_path: Path) -> None:
    driven = Driven(tmp_path / "runs")
    words = driven.words(*wrapped(tmp_path, *sh("echo ready; read a; echo got $a")))
    with Screen([*SHELL, "fg", *words]) as screen:
        screen.await_text(b"ready")
        wait_for(lambda: not screen.is_restored)
        screen.type(b"\x1a")
        screen.await_text(b"[stopped by 20, settings same]\r\n")
        screen.type(b"fg\r")
        wait_for(lambda: not screen.is_restored)
        screen.type(b"word\r")
        screen.await_end()
    assert screen.shown.endswith(b"got word\r\n[ended 0, settings same]\r\n")


def test_without_strace_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="not installed") as caught:
        wrap(["true"], tmp_path / "observed", {"PATH": str(tmp_path)})
    assert caught.value.hint == "Install it: apt install strace"


@strace
@pytest.mark.parametrize(
    "script",
    [
        "echo 'strace: attach: ptrace(PTRACE_SEIZE, 7): Operation not permitted' >&2",
        "echo \"strace: invalid option -- 'seccomp-bpf'\" >&2; exit 1",
    ],
)
def test_where_tracing_is_forbidden_nothing_starts(tmp_path: Path, script: str) -> None:
    write(tmp_path, {"bin/strace": f"#!/bin/sh\n{script}\n"})
    (tmp_path / "bin" / "strace").chmod(0o755)
    with pytest.raises(StartError, match="strace cannot trace here: strace: ") as caught:
        wrap(["true"], tmp_path / "observed", {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
    assert "SYS_PTRACE" in (caught.value.hint or "")
    assert not list((tmp_path / "observed").iterdir())


@strace
def test_what_programs_were_given_is_for_the_user_alone(tmp_path: Path) -> None:
    wrapped(tmp_path, "true")
    assert (tmp_path / "observed" / FILE).stat().st_mode & 0o777 == 0o600


def told(*lines: str) -> list[Event]:
    reader = Reader(b"/w")
    return [event for line in lines for event in reader.take(line.encode())]


def test_lines_of_one_call_that_others_came_between() -> None:
    assert told(
        '7  10.000001 openat(AT_FDCWD</w>, "a", O_RDONLY <unfinished ...>',
        '8  10.000002 openat(AT_FDCWD</w>, "b", O_RDONLY) = 3</w/b>',
        "7  10.000003 <... openat resumed>) = 4</w/a>",
    ) == [Event("r", 8, 10_000_002_000, "/w/b"), Event("r", 7, 10_000_001_000, "/w/a")]


def test_a_process_whose_parent_is_not_known_yet_works_where_that_works() -> None:
    assert told(
        '7  1.000000 chdir("sub") = 0',
        "7  1.000001 vfork( <unfinished ...>",
        '9  1.000002 open("f", O_RDONLY) = 3',
        "7  1.000003 <... vfork resumed>) = 9",
        "9  1.000004 +++ exited with 0 +++",
        '9  1.000005 open("f", O_RDONLY) = 3',
    ) == [Event("r", 9, 1_000_002_000, "/w/sub/f"), Event("r", 9, 1_000_005_000, "/w/f")]


def test_calls_that_failed_tell_nothing() -> None:
    assert not told(
        '7  1.000000 openat(AT_FDCWD</w>, "a", O_RDONLY) = -1 ENOENT (No such file or directory)',
        '7  1.000001 rename("a", "b") = -1 EXDEV (Invalid cross-device link)',
        '7  1.000002 execve("/bin/x", ["x"], 0x7ffd /* 3 vars */) = -1 ENOENT (No such file or directory)',
    )


def test_a_connection_that_is_still_being_made_counts() -> None:
    line = (
        '7  1.0 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}, 16) = %s'
    ).replace("1.0", "1.000000")
    assert [event.path for event in told(line % "-1 EINPROGRESS (Operation now in progress)")] == [
        "tcp://192.0.2.1:443"
    ]
    assert not told(line % "-1 ECONNREFUSED (Connection refused)")


def test_other_calls() -> None:
    assert [
        (event.letter, event.path, event.other)
        for event in told(
            '7  1.000000 renameat2(AT_FDCWD</w>, "a", 5</x>, "b", RENAME_EXCHANGE) = 0',
            '7  1.000000 linkat(AT_FDCWD</w>, "a", 5</x y>, "b", 0) = 0',
            '7  1.000000 symlinkat("../a", 5</x>, "b") = 0',
            '7  1.000000 truncate("a", 0) = 0',
            '7  1.000000 unlinkat(5</x>(deleted), "a", AT_REMOVEDIR) = 0',
            '7  1.000000 openat2(AT_FDCWD</w>, "a", {flags=O_RDWR|O_CLOEXEC, resolve=0}, 24) = 3</w/a>',
            '7  1.000000 openat(AT_FDCWD</w>, ".", O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY) = 3</w>',
            '7  1.000000 openat(AT_FDCWD</w>, "/t", O_RDWR|O_TMPFILE, 0600) = 3</t/#1>(deleted)',
            '7  1.000000 openat(AT_FDCWD</w>, "./b//c", O_RDONLY|O_PATH) = 3</w/b/c>',
            '7  1.000000 creat("./b//c", 0666) = 3</w/b/c>',
            "7  1.000000 fchdir(3</elsewhere>) = 0",
            '7  1.000000 open("f", O_RDONLY) = 3</elsewhere/f>',
        )
    ] == [
        ("u", "/w/a", ""),
        ("u", "/x/b", ""),
        ("l", "/x y/b", ""),
        ("l", "/x/b", ""),
        ("u", "/w/a", ""),
        ("d", "/x/a", "/"),
        ("u", "/w/a", ""),
        ("s", "/w", ""),
        ("w", "/w/b/c", ""),
        ("r", "/elsewhere/f", ""),
    ]


@pytest.mark.parametrize(
    ("flags", "letter"),
    [
        ("O_RDONLY|O_CLOEXEC", "r"),
        ("O_RDONLY|O_CREAT, 0644", "r"),
        ("O_WRONLY|O_CREAT|O_TRUNC, 0666", "w"),
        ("O_RDWR|O_CREAT|O_EXCL, 0600", "w"),
        ("O_RDWR|O_CREAT, 0644", "u"),
        ("O_WRONLY|O_CREAT|O_APPEND, 0644", "u"),
        ("O_RDWR", "u"),
        ("O_RDONLY|O_PATH", None),
    ],
)
def test_what_an_open_is(flags: str, letter: str | None) -> None:
    assert letter_of(b"openat", f'AT_FDCWD</w>, "O_TRUNC", {flags}'.encode()) == letter


def test_a_torn_end_and_strangers_lines_are_passed_over(tmp_path: Path) -> None:
    whole = '7  1.000000 openat(AT_FDCWD</w>, "a", O_RDONLY) = 3</w/a>\n'
    write(
        tmp_path, {FILE: "strace: something\n\n" + "x" * 200_000 + "\n" + whole + '7  1.000000 openat(AT_FDCWD</w>, "b'}
    )
    assert [event.path for event in events(tmp_path, Path("/w"))] == ["/w/a"]
    assert list(events(tmp_path / "nothing", Path("/w"))) == []


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_no_line_is_an_error(line: bytes) -> None:
    reader = Reader(b"/w")
    for text in (line, b"7  1.000000 " + line, b'7  1.000000 openat(AT_FDCWD</w>, "' + line + b'", O_RDONLY) = 3'):
        list(reader.take(text))


@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name))
def test_escapes_are_undone(name: bytes) -> None:
    as_strace_does = {10: rb"\n", 9: rb"\t", 13: rb"\r", 11: rb"\v", 12: rb"\f", 34: rb"\"", 92: rb"\\"}
    text = b"".join(
        as_strace_does.get(byte) or (bytes((byte,)) if 32 <= byte < 127 else b"\\%03o" % byte) for byte in name
    )
    assert plain(text) == name


def test_waiting_for_the_end_has_an_end(tmp_path: Path) -> None:
    assert not settle(tmp_path, 7, patience_s=0.02)
    write(tmp_path, {FILE: "77  1.000000 +++ exited with 0 +++\n"})
    assert not settle(tmp_path, 7, patience_s=0.02)
    late = threading.Timer(0.05, lambda: write(tmp_path, {FILE: "7  1.000000 +++ killed by SIGKILL +++\n"}))
    late.start()
    assert settle(tmp_path, 7)
    late.join()
