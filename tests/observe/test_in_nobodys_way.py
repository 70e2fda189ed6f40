"""What programs do that could make a watcher end them, disturb them, or miss what they do without anybody knowing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.observe import library as room
from tests.observe.programs import Watched, compile

pytestmark = pytest.mark.needs("cc")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")
UNITS = (1 << 30) // 4096
"""What a run may keep, as `observed/kept` counts it."""


def kept(watched: Watched, name: str) -> list[str]:
    return [one.other for one in watched.events() if one.letter == "b" and one.path == str(watched.place / name)]


def test_a_copy_says_when_what_it_holds_was_changed_last(watched: Watched) -> None:
    for name in ("changed", "removed"):
        (watched.place / name).write_text(name)
    times = {name: (watched.place / name).stat().st_ctime_ns for name in ("changed", "removed")}
    watched.python(
        "import os\nopen('changed').read(); open('changed', 'w').close()\nopen('removed').read(); os.remove('removed')"
    )
    for name, at_ns in times.items():
        (text,) = kept(watched, name)
        assert text.split()[1] == str(at_ns)


def test_what_a_run_keeps_is_bounded_for_all_its_processes_together(watched: Watched) -> None:
    (watched.observed / "kept").write_bytes(bytes(UNITS - 30))
    for number in range(6):
        (watched.place / f"shard{number}").write_bytes(b"x" * 40_000)
        (watched.place / f"log{number}").write_bytes(b"x" * 40_000)
    for number in range(6):
        watched.python(
            "import os, sys\nnumber = sys.argv[1]\nopen('shard' + number).read(); os.remove('shard' + number)\n"
            "open('log' + number, 'r+').write('y')",
            str(number),
        )
    whole = [name for number in range(6) for name in (f"shard{number}", f"log{number}") if kept(watched, name) != ["-"]]
    assert len(whole) in (2, 3)
    assert len(list((watched.observed / "before").iterdir())) == len(whole)
    assert (watched.observed / "kept").stat().st_size <= UNITS


def test_a_limit_of_file_sizes_that_is_set_late_kills_nobody(by_library: Watched) -> None:
    """Python itself would pass by the signal."""
    for number in range(130):
        (by_library.place / f"{number}").write_text("")
    done = by_library.python(
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nfor n in range(60): open(str(n)).close()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))\n"
        "for n in range(60, 130): open(str(n)).close()\nprint('on')"
    )
    assert done.stdout == "on\n"


def test_a_filter_of_system_calls_that_is_set_without_the_c_library_kills_nobody(
    by_library: Watched, tmp_path: Path
) -> None:
    source = r"""
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <linux/filter.h>
    #include <linux/seccomp.h>
    #include <stddef.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #define MAY(n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    int main(void) {
        struct sock_filter words[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), MAY(SYS_openat),
            MAY(SYS_read), MAY(SYS_write), MAY(SYS_exit_group), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
        struct sock_fprog filter = {sizeof words / sizeof *words, words};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
        open("in", O_RDONLY);
        write(1, "alive\n", 6);
        _exit(0);
    }
    """
    (by_library.place / "in").write_text("in")
    assert by_library.run(compile(tmp_path, source)).stdout == "alive\n"
    assert [event.other for event in by_library.events() if event.letter == "!"] == ["no new privileges"]


def test_the_smallest_stack_of_a_signal_handler_is_enough(by_library: Watched, tmp_path: Path) -> None:
    """The stack has a page that may not be touched below it."""
    source = r"""
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <signal.h>
    #include <stdio.h>
    #include <sys/mman.h>
    #include <unistd.h>
    static void handle(int number) {
        int fd = open("../place/in", O_RDONLY);
        close(fd);
        close(open("log", O_WRONLY | O_APPEND));
        rename("a", "b");
        unlink("b");
        mkdir("made", 0700);
        link("log", "hard");
    }
    int main(void) {
        char *room = mmap(NULL, 8192 + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(room + 8192, 8192, PROT_READ | PROT_WRITE);
        stack_t stack = {.ss_sp = room + 8192, .ss_size = 8192};
        struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
        if (sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &action, NULL)) return 2;
        for (int n = 0; n < 3; n++) raise(SIGUSR1);
        puts("on");
    }
    """
    for name in ("in", "log", "a"):
        (by_library.place / name).write_text(name)
    program = compile(tmp_path, source)
    if by_library.run(program, LD_PRELOAD="", check=False).returncode:
        pytest.skip("this processor's registers alone fill such a stack")
    (by_library.place / "made").rmdir()
    for name in ("hard", "log"):
        (by_library.place / name).unlink()
    for name in ("log", "a"):
        (by_library.place / name).write_text(name)
    assert by_library.run(program).stdout == "on\n"
    assert by_library.seen()[:6] == ["r in", "b log", "u log", "m a", "d b", "k made"]


@root_only
def test_a_program_that_is_started_with_anothers_rights_is_named(by_library: Watched) -> None:
    (by_library.place / "in").write_text("in")
    by_library.observed.chmod(0o700)
    done = by_library.run("setpriv", "--reuid=65534", "--clear-groups", "true", check=False)
    if done.returncode:
        pytest.skip("setpriv is not here")
    told = {(event.letter, Path(event.path).name, event.other) for event in by_library.events() if event.letter in "!x"}
    assert told == {("!", "", "another user's rights"), ("x", "true", "another user's rights")}


@root_only
def test_rights_that_reach_the_journal_are_no_loss(by_library: Watched) -> None:
    (by_library.place / "in").write_text("in")
    by_library.python("import os\nos.setegid(65534); os.setuid(0); open('in').close()")
    assert by_library.seen() == ["r in"]
    assert by_library.of("!") == []


@pytest.mark.parametrize("way", ["LD_PRELOAD=", "LD_PRELOAD=/nonexistent/preload.so"])
def test_a_python_that_is_executed_without_the_library_tells_by_its_hook(by_both: Watched, way: str) -> None:
    (by_both.place / "in").write_text("in")
    script = f'{way} exec "$0" -c "open(\'in\').read()"'
    by_both.run("bash", "-c", script, sys.executable)
    assert "r in" in by_both.seen()


def test_the_hook_leaves_the_files_to_the_library_that_is_there(by_both: Watched) -> None:
    (by_both.place / "in").write_text("in")
    code = "import os\nos.closerange(3, 300); os.execv(%r, ['python', '-c', \"open('in').read()\"])" % sys.executable
    by_both.python(code)
    assert by_both.seen() == ["r in"]


@pytest.mark.parametrize("way", ["os.link('data', 'other')", "os.symlink('data', 'other')"])
def test_a_lock_on_a_file_stays_where_it_is_changed_under_another_name(watched: Watched, way: str) -> None:
    """To close any descriptor of a file drops all the locks that a process has on it."""
    (watched.place / "data").write_text("data")
    done = watched.python(
        f"import fcntl, os, subprocess, sys\n{way}\nfile = open('other', 'r+')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "fd = os.open('data', os.O_RDWR)\n"  # looked at, and copied; it is the program's own, and stays open
        "code = \"import fcntl; fcntl.lockf(open('data', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\"\n"
        "print(subprocess.run([sys.executable, '-c', code], stderr=subprocess.DEVNULL).returncode)"
    )
    assert done.stdout == "1\n"


@root_only
def test_a_program_in_another_root_hears_nothing_of_the_library(by_library: Watched, tmp_path: Path) -> None:
    top = tmp_path / "root"
    program = compile(tmp_path, '#include <stdio.h>\nint main(void) { puts("on"); return 0; }')
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
    for path in {word for word in needed if word.startswith("/")} | {program}:
        (top / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (top / path[1:]).write_bytes(Path(path).read_bytes())
        (top / path[1:]).chmod(0o755)
    done = by_library.run("sh", "-c", f"chroot {top} {program}; :")
    assert (done.stdout, done.stderr) == ("on\n", "")
    assert "chroot" in [event.other for event in by_library.events() if event.letter == "!"]


def test_what_starts_programs_in_another_root_is_started_without_the_library(by_library: Watched) -> None:
    starter = by_library.place / "bwrap"
    starter.write_text('#!/bin/sh\necho "${LD_PRELOAD-none}"\n')
    starter.chmod(0o755)
    assert by_library.run("sh", "-c", "./bwrap; :").stdout == "none\n"
    assert (str(starter), "another root") in {(event.path, event.other) for event in by_library.events()}
    assert "another root" in str(room.usable(str(starter), by_library.library or Path()))


def test_what_is_opened_in_a_directory_that_the_hook_cannot_know_is_said(by_hook: Watched) -> None:
    (by_hook.place / "d").mkdir()
    for name in ("in", "d/in", "own"):
        (by_hook.place / name).write_text(name)
    by_hook.python(
        "import os, shutil\nos.makedirs('gone/in')\nd = os.open('d', os.O_RDONLY)\nshutil.rmtree('gone')\n"
        "def look(): return os.open('in', os.O_RDONLY, dir_fd=d)\nlook(); look(); os.close(os.open('d/in', os.O_RDWR))"
    )
    assert [one for one in by_hook.seen() if one[0] in "rwu"] == ["u d/in"]
    assert [event.other for event in by_hook.events() if event.letter == "!"] == ["os.open with dir_fd"]


def test_a_working_directory_that_is_renamed_has_its_new_name(watched: Watched) -> None:
    (watched.place / "old").mkdir()
    for name in ("one", "two"):
        (watched.place / "old" / name).write_text(name)
    watched.python(
        "import os\nos.chdir('old'); open('one').close(); os.rename('../old', '../new'); open('two').close()"
    )
    assert [one for one in watched.seen() if one[0] == "r"] == ["r old/one", "r new/two"]
