"""The preloaded library: what it tells of a process's files, and that the process cannot tell that it is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.observe import library as room
from tests.observe.conftest import ROOT
from tests.observe.programs import Watched, compile

pytestmark = pytest.mark.needs("cc")

# Both sources tell the same of the same


def test_each_thing_done_to_a_file_has_its_letter(watched: Watched) -> None:
    (watched.place / "in.csv").write_text("in")
    (watched.place / "log").write_text("log")
    (watched.place / "old").write_text("old")
    watched.python(
        "import os\nopen('in.csv').read()\nopen('in.csv').read()\nopen('out', 'w').write('1')\n"
        "open('log', 'a').write('more')\nos.rename('out', 'final')\nos.remove('old')\nos.listdir('.')\n"
        "os.symlink('in.csv', 'link')\nopen('link').read()\nos.mkdir('d')\nos.rmdir('d')"
    )
    seen = [event for event in watched.seen() if event[0] != "s"]
    assert seen == ["r in.csv", "w out", "b log", "u log", "m out", "d old", "l link", "r link", "k d", "d d"]
    assert watched.before("log") == b"log"
    (move,) = [event for event in watched.events() if event.letter == "m"]
    assert move.other == str(watched.place / "final")
    assert str(watched.place) in watched.of("s")


def test_what_did_not_happen_is_not_told(watched: Watched) -> None:
    watched.python(
        "import os\nfor call in (lambda: open('none'), lambda: open('no/where', 'w'), lambda: os.rename('none', 'x'),\n"
        "             lambda: os.remove('none'), lambda: open('/proc/self/status').read(), lambda: open('/dev/null', 'w')):\n"
        "    try: call()\n    except OSError: pass"
    )
    assert watched.seen() == []
    assert not [event for event in watched.events() if event.path.startswith(("/proc", "/dev"))]


def test_names_of_any_bytes_come_out_as_they_are(watched: Watched) -> None:
    names = [b"a\nb", b"a\tb", b"a\\nb", b"\xff\xfe", b"'\"$x`", "e\u0301 \u00e9".encode(), b" "]
    for name in names:
        (watched.place / os.fsdecode(name)).write_text("x")
    watched.python("import os\nfor name in os.listdir(b'.'): open(name).close()")
    assert sorted(seen[2:] for seen in watched.seen() if seen[0] == "r") == sorted(map(os.fsdecode, names))


def test_paths_are_absolute_and_follow_the_working_directory(watched: Watched) -> None:
    (watched.place / "a" / "b").mkdir(parents=True)
    for name in ("a/x", "a/b/y", "z", "w", "v"):
        (watched.place / name).write_text("x")
    (watched.top / "link").symlink_to(watched.place / "a" / "b")
    watched.python(
        "import os\nopen('./a//x')\nos.chdir('a/b')\nopen('y')\nopen('../../z')\nopen('../../../link/../../w')\n"
        "fd = os.open('..', os.O_RDONLY | os.O_DIRECTORY)\nos.fchdir(fd)\nopen('../v')"
    )
    assert [seen for seen in watched.seen() if seen[0] == "r"] == ["r a/x", "r a/b/y", "r z", "r w", "r v"]


def test_a_file_that_was_read_and_then_written_is_kept_as_it_was(watched: Watched) -> None:
    for name in ("emptied", "replaced", "removed", "unread"):
        (watched.place / name).write_text(f"before {name}")
    watched.python(
        "import os\nfor name in ('emptied', 'replaced', 'removed'): open(name).read()\n"
        "open('emptied', 'w').write('1')\nopen('tmp', 'w').write('2')\nos.replace('tmp', 'replaced')\n"
        "os.remove('removed')\nopen('unread', 'w').write('3')\nopen('unread').read()\nopen('unread', 'a').write('4')"
    )
    for name in ("emptied", "replaced", "removed"):
        assert watched.before(name) == f"before {name}".encode()
    assert watched.before("unread") is None


def test_of_one_path_the_first_content_is_kept_once(watched: Watched) -> None:
    (watched.place / "log").write_text("first")
    for _ in range(3):
        watched.python("open('log', 'a').write('.')")
    assert watched.before("log") == b"first"
    assert len(watched.of("b")) == 1


def test_a_file_too_large_to_copy_is_told_to_be_lost(watched: Watched) -> None:
    with open(watched.place / "large", "wb") as file:
        file.truncate((64 << 20) + 1)
    watched.python("open('large', 'r+b').write(b'x')")
    (line,) = [event for event in watched.events() if event.letter == "b"]
    assert (
        line.other == "-" or (watched.observed / "before" / line.other.split()[0]).stat().st_size == (64 << 20) + 1
    )  # a clone


@pytest.mark.parametrize("name", [".env", "secrets/key", "server.pem", ".git/config", ".ssh/id_rsa", ".netrc"])
def test_no_copy_is_made_of_a_secret(watched: Watched, name: str) -> None:
    (watched.place / name).parent.mkdir(exist_ok=True)
    (watched.place / name).write_text("hush")
    watched.python("import sys; open(sys.argv[1]).read(); open(sys.argv[1], 'a').write('.')", name)
    assert f"u {name}" in watched.seen()
    assert list((watched.observed / "before").iterdir()) == []


def test_a_process_that_closes_every_descriptor_tells_on_and_spoils_no_file(watched: Watched) -> None:
    (watched.place / "in").write_text("in")
    watched.python(
        "import os\nopen('in').read()\nos.closerange(3, 300)\nfiles = [open('f%d' % n, 'a') for n in range(150)]\n"
        "open('late', 'w').close()\n[file.write('mine') for file in files]"
    )
    assert watched.seen()[-1] == "w late"
    assert {(watched.place / f"f{number}").read_text() for number in range(150)} == {"mine"}


def test_forked_and_spawned_processes_and_threads_mix_no_lines(watched: Watched) -> None:
    for number in range(400):
        (watched.place / f"{number}").write_text("")
    watched.python(
        "import os, threading\ndef read(start):\n    for n in range(start, 400, 8): open(str(n)).close()\n"
        "for start in range(4):\n    if os.fork() == 0:\n        read(start); os._exit(0)\n"
        "threads = [threading.Thread(target=read, args=(start,)) for start in range(4, 8)]\n"
        "[one.start() for one in threads]; [one.join() for one in threads]\n"
        "[os.wait() for _ in range(4)]"
    )
    assert sorted(int(seen[2:]) for seen in watched.seen() if seen[0] == "r") == list(range(400))


def test_a_run_that_is_over_is_told_nothing(watched: Watched) -> None:
    done = watched.python(
        "import os, shutil\nshutil.rmtree(os.path.dirname(os.environ['MLTRACK_OBSERVE']))\n"
        "for n in range(200): open('x%d' % n, 'w').close()\nos.closerange(3, 300)\nopen('y', 'w').close()\nprint('on')"
    )
    assert (done.stdout, done.stderr) == ("on\n", "")
    assert not watched.observed.exists()


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_directory_that_cannot_be_written_stops_nothing(watched: Watched, mode: int) -> None:
    watched.more["MLTRACK_OBSERVE"] = "/proc/none/observed" if mode else "/dev/null"
    done = watched.python("open('x', 'w').write('1'); open('x').read(); print('on')")
    assert (done.stdout, done.stderr) == ("on\n", "")


@pytest.mark.needs("mount")
def test_a_full_disk_stops_nothing(watched: Watched) -> None:
    script = (
        'mount -t tmpfs -o size=64k none "$MLTRACK_OBSERVE" && head -c 65536 /dev/zero > "$MLTRACK_OBSERVE/full"; '
        "rm -f x; exec \"$0\" -c \"open('x', 'w').write('1'); open('x', 'a').write('2'); print(open('x').read())\""
    )
    done = watched.run("unshare", "-m", "sh", "-c", script, sys.executable, check=False)
    assert (done.returncode, done.stdout) == (0, "12\n"), done.stderr


def test_a_limit_of_file_sizes_kills_nobody(watched: Watched) -> None:
    (watched.observed / f"{os.uname().nodename}.log").write_bytes(b"x" * 4000 + b"\n")
    done = watched.run(
        "bash", "-c", "ulimit -f 4; \"$0\" -c \"open('small', 'w').write('1'); print(1)\"", sys.executable
    )
    assert done.stdout == "1\n"


# The library alone


def test_outside_of_a_run_the_library_does_nothing(tmp_path: Path, library: Path) -> None:
    environment = {"LD_PRELOAD": str(library), "PATH": os.environ["PATH"]}
    done = subprocess.run(["env"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "MLTRACK" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_errors_and_results_are_those_of_the_real_functions(by_library: Watched, tmp_path: Path) -> None:
    source = r"""
    #define _GNU_SOURCE
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <dirent.h>
    #include <unistd.h>
    #define SAY(what) do { errno = 0; long got = (long)(what); printf("%s: %s %d\n", #what, got < 0 ? "-" : got ? "+" : "0", errno); } while (0)
    int main(void) {
        char name[] = "tmpXXXXXX", bad[] = "none/XXXXXX", *volatile null = NULL;
        SAY(open("none", O_RDONLY)); SAY(open(null, O_RDONLY)); SAY(open((char *)1, O_WRONLY)); SAY(open("", O_WRONLY));
        SAY(open("in", O_RDONLY)); SAY(open("in/x", O_RDWR)); SAY(open(".", O_WRONLY)); SAY(open("new", O_CREAT | O_EXCL | O_WRONLY, 0600));
        SAY(open("new", O_CREAT | O_EXCL | O_WRONLY, 0600)); SAY(openat(99, "in", O_RDONLY)); SAY(open(".", O_TMPFILE | O_RDWR, 0600));
        SAY(fopen("none", "r")); SAY(fopen("in", "bad")); SAY(fopen("in", "r+e")); SAY(fopen("wide", "w,ccs=UTF-8"));
        SAY(rename("none", "x")); SAY(rename(null, "x")); SAY(unlink(null)); SAY(unlink(".")); SAY(rmdir("in")); SAY(remove("none"));
        SAY(mkstemp(name)); SAY(mkstemp(bad)); SAY(opendir("none")); SAY(opendir(".")); SAY(truncate("none", 0)); SAY(truncate("in", 1));
        SAY(symlink("in", "in")); SAY(link("none", "x")); SAY(execl("none", "none", NULL));
        char longer[5000]; memset(longer, 'a', 4999); longer[4999] = 0; SAY(open(longer, O_RDONLY)); SAY(open(longer, O_WRONLY | O_CREAT, 0600));
        char deep[8200]; for (int n = 0; n < 4090; n += 2) memcpy(deep + n, "./", 2); strcpy(deep + 4088, "in"); SAY(open(deep, O_RDONLY));
        return 0;
    }
    """
    program = compile(tmp_path, source)
    outputs = []
    for bare in (True, False):
        for path in by_library.place.iterdir():
            path.unlink()
        (by_library.place / "in").write_text("in")
        more = {"LD_PRELOAD": ""} if bare else {}
        outputs.append(by_library.run(program, **more).stdout)
    assert outputs[0] == outputs[1]
    assert "r in" in by_library.seen()


def test_the_functions_of_c_are_all_told(by_library: Watched, tmp_path: Path) -> None:
    source = r"""
    #define _GNU_SOURCE
    #define _LARGEFILE64_SOURCE
    #include <dirent.h>
    #include <fcntl.h>
    #include <ftw.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    static int visit(const char *n, const struct stat *s, int f, struct FTW *w) { if (f == FTW_F) close(open(n + w->base, O_RDONLY)); return 0; }
    int main(void) {
        char a[] = "t1XXXXXX", b[] = "t2XXXXXX.txt", c[] = "t3XXXXXX";
        close(open64("r1", O_RDONLY)); close(openat(AT_FDCWD, "r2", O_RDONLY)); close(openat64(AT_FDCWD, "r3", O_RDONLY));
        fclose(fopen("r4", "r")); fclose(fopen64("r5", "rb")); freopen("r6", "r", stdin);
        close(creat("w1", 0600)); close(creat64("w2", 0600)); fclose(fopen("w3", "w+")); fclose(fopen64("w4", "wx"));
        close(mkstemp(a)); close(mkstemps(b, 4)); close(mkostemp64(c, O_CLOEXEC));
        fclose(fopen("u1", "r+")); fclose(fopen("u2", "a")); truncate64("u3", 1); close(open("u4", O_WRONLY));
        int d = open("dir", O_RDONLY | O_DIRECTORY); close(openat(d, "r7", O_RDONLY)); renameat(d, "x", d, "y");
        renameat2(d, "y", d, "z", RENAME_NOREPLACE); unlinkat(d, "gone", 0); linkat(d, "r7", d, "hard", 0); symlinkat("q", d, "soft");
        nftw("tree", visit, 8, FTW_CHDIR); close(open("r8", O_RDONLY));
        closedir(opendir("dir")); remove("gone"); rmdir("empty"); link("r1", "hard");
        return 0;
    }
    """
    place = by_library.place
    for name in ("dir", "empty", "tree/below"):
        (place / name).mkdir(parents=True)
    for name in [
        "r1",
        "r2",
        "r3",
        "r4",
        "r5",
        "r6",
        "r8",
        "dir/r7",
        "dir/x",
        "dir/gone",
        "gone",
        "u1",
        "u2",
        "u3",
        "u4",
        "tree/t",
        "tree/below/u",
    ]:
        (place / name).write_text("some")
    by_library.run(compile(tmp_path, source))
    seen = by_library.seen()
    assert [one for one in seen if one[0] == "r"] == [*(f"r r{n}" for n in range(1, 7)), "r dir/r7", *sorted(one for one in seen if "tree" in one and one[0] == "r"), "r r8"]  # fmt: skip
    assert {"r tree/t", "r tree/below/u"} <= set(seen)
    assert len([one for one in seen if one[:3] in ("w w", "w t")]) == 4 + 3
    assert [one for one in seen if one[0] == "u"] == ["u u1", "u u2", "u u3", "u u4"]
    assert {
        "s dir",
        "m dir/x",
        "m dir/y",
        "d dir/gone",
        "l dir/hard",
        "l dir/soft",
        "d gone",
        "d empty",
        "l hard",
    } <= set(seen)


def test_the_smallest_stack_of_a_thread_is_enough(by_library: Watched, tmp_path: Path) -> None:
    source = r"""
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <limits.h>
    #include <pthread.h>
    #include <spawn.h>
    #include <stdio.h>
    #include <sys/wait.h>
    #include <unistd.h>
    extern char **environ;
    static void *work(void *unused) {
        char *words[] = {"true", NULL}; pid_t child;
        close(open("in", O_RDONLY)); close(open("a\nb", O_CREAT | O_RDWR | O_TRUNC, 0600)); close(open("in", O_RDWR));
        rename("a\nb", "c"); unlink("c"); unlink("in"); link("../place/x", "hard"); fclose(fopen("x", "r"));
        posix_spawnp(&child, "true", NULL, NULL, words, environ); waitpid(child, NULL, 0);
        return NULL;
    }
    int main(void) {
        pthread_t thread; pthread_attr_t small;
        pthread_attr_init(&small); pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
        return pthread_create(&thread, &small, work, NULL) || pthread_join(thread, NULL);
    }
    """
    (by_library.place / "in").write_text("in")
    (by_library.place / "x").write_text("x")
    by_library.run(compile(tmp_path, source, "-lpthread"))
    expected = ["r in", "w a\nb", "b in", "u in", "m a\nb", "d c", "d in", "l hard", "r x"]
    assert by_library.seen() == expected


def test_a_process_that_confines_itself_is_told_of_until_then(by_library: Watched, tmp_path: Path) -> None:
    source = r"""
    #include <fcntl.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(void) {
        close(open("in", O_RDONLY));
        prctl(PR_SET_SECCOMP, 1);
        write(1, "confined\n", 9);
        syscall(SYS_exit, 0);
    }
    """
    (by_library.place / "in").write_text("in")
    assert by_library.run(compile(tmp_path, source)).stdout == "confined\n"
    assert by_library.seen() == ["r in"]
    assert [event.other for event in by_library.events() if event.letter == "!"] == ["seccomp"]


def test_a_process_that_tells_of_very_many_files_tells_of_each_once(by_library: Watched) -> None:
    code = "import os\nfor _ in range(2):\n    for n in range(40000): os.close(os.open('d/%d' % n, os.O_WRONLY | os.O_CREAT))"
    (by_library.place / "d").mkdir()
    by_library.python(code)
    written = [one for one in by_library.seen() if one[0] == "w"]
    assert len(set(written)) == 40000
    assert len(written) < 44000  # a few are told again


def test_programs_that_cannot_be_watched_are_named(by_both: Watched, tmp_path: Path) -> None:
    program = compile(tmp_path, "int main(void) { return 0; }", "-static")
    (by_both.place / "script").write_text(f"#!{program}\n")
    (by_both.place / "script").chmod(0o755)
    (by_both.place / "isolated").write_text(f"#!{sys.executable} -I\n")
    (by_both.place / "isolated").chmod(0o755)
    by_both.python(
        "import subprocess, sys, os\nrun = subprocess.run\n"
        f"run([{program!r}]); run(['./script']); run(['true'], env={{}}); run([sys.executable, '-Ic', 'pass'])\n"
        f"run([sys.executable, '-W', 'error', '-S', '-c', 'pass']); run([sys.executable, '-c', 'pass', '-I'])\n"
        "run(['./isolated']); os.posix_spawnp('true', ['true'], os.environ)\n"
        "run([sys.executable, '-c', 'pass'], env={**os.environ, 'PYTHONPATH': ''})"
    )
    told = [(event.letter, Path(event.path).name, event.other) for event in by_both.events() if event.letter in "xi"]
    assert told == [
        ("x", Path(program).name, "static"),
        ("x", "script", "static"),
        ("x", "true", "environment"),
        ("i", Path(sys.executable).name, "-I"),
        ("i", Path(sys.executable).name, "-S"),
        ("i", "isolated", "-I"),
        ("i", Path(sys.executable).name, "environment"),
    ]


def test_a_program_that_refuses_the_library_is_started_without_it(by_library: Watched, tmp_path: Path) -> None:
    program = compile(tmp_path, '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(getenv("LD_PRELOAD") ? getenv("LD_PRELOAD") : "none"); return 0; }')  # fmt: skip
    data = bytearray(Path(program).read_bytes())
    at = data.index(b"/lib64/ld-linux-x86-64.so.2\0") if b"/lib64/ld-linux-x86-64.so.2\0" in data else None
    if at is None:
        pytest.skip("another loader than the one that this test writes over")
    loader = tmp_path / "musl"
    loader.symlink_to("/lib64/ld-linux-x86-64.so.2")
    short = Path("/tmp") / f"musl-{os.getpid()}"
    short.symlink_to("/lib64/ld-linux-x86-64.so.2")
    try:
        data[at : at + 28] = os.fsencode(short).ljust(28, b"\0")
        Path(program).write_bytes(data)
        assert by_library.run("sh", "-c", f"{program}; :").stdout == "none\n"
        both = f"/nonexistent.so:{by_library.library}"
        assert by_library.run("sh", "-c", f"LD_PRELOAD={both} {program}; :").stdout in ("none\n", "/nonexistent.so\n")
    finally:
        short.unlink()
    assert (str(Path(program)), "another C library") in {(one.path, one.other) for one in by_library.events()}


def test_a_forked_vforked_and_renamed_process_tells_where_it_is(by_library: Watched) -> None:
    (by_library.place / "sub").mkdir()
    (by_library.place / "sub" / "in").write_text("1")
    (by_library.place / "in").write_text("2")
    by_library.python("import subprocess\nsubprocess.run(['cat', 'in'], cwd='sub')\nopen('in').read()")
    assert [one for one in by_library.seen() if one[0] == "r"] == ["r sub/in", "r in"]


def test_without_a_compiler_the_installation_goes_on(tmp_path: Path) -> None:
    words = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(tmp_path), "--build-temp", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, "CC": "false"}, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no C compiler" in done.stderr + done.stdout
    assert not list(tmp_path.rglob("*.so"))


def test_a_library_of_the_users_own_comes_first(library: Path) -> None:
    assert room.variables(library, {"LD_PRELOAD": "/a.so:/b.so"})["LD_PRELOAD"] == f"/a.so:/b.so:{library}"
    assert room.variables(library, {})["LD_PRELOAD"] == str(library)


def test_what_the_library_cannot_be_in_is_known_before_the_start(tmp_path: Path, library: Path) -> None:
    source = "int main(void) { return 0; }"
    static = compile(tmp_path, source, "-static")
    (tmp_path / "script").write_text(f"#!{static} -x\n")
    assert room.usable(sys.executable, library) is None
    assert room.usable("/bin/sh", library) is None
    assert "static" in str(room.usable(static, library))
    assert "static" in str(room.usable(str(tmp_path / "script"), library))
    assert "blank" in str(room.usable("/bin/sh", Path("/a b/preload.so")))
    assert room.usable("/nonexistent", library) is None
    assert room.usable(str(tmp_path), library) is None
    other = bytearray(Path(static).read_bytes())
    other[18] ^= 0x55
    (tmp_path / "other").write_bytes(other)
    assert "architecture" in str(room.usable(str(tmp_path / "other"), library))
    for length in range(0, 200, 7):
        (tmp_path / "torn").write_bytes(Path("/bin/sh").resolve().read_bytes()[:length])
        room.usable(str(tmp_path / "torn"), library)


def test_a_sanitized_program_runs(by_library: Watched, tmp_path: Path) -> None:
    source = '#include <stdio.h>\nint main(void) { puts("ran"); return 0; }'
    try:
        program = compile(tmp_path, source, "-fsanitize=address")
    except subprocess.CalledProcessError:
        pytest.skip("no sanitizer is installed")
    assert "sanitizer" in str(room.usable(program, by_library.library or Path()))
    assert by_library.run("sh", "-c", f"{program}; :").stdout == "ran\n"


def test_a_host_is_told_by_name_and_this_machine_is_not(by_library: Watched) -> None:
    by_library.python(
        "import socket\nfor host in ('localhost', '127.0.0.1', '::1', socket.gethostname()):\n"
        "    try: socket.create_connection((host, 9), timeout=0.2)\n    except OSError: pass\n"
        "one = socket.socket(); one.setblocking(False)\none.connect_ex(('192.0.2.1', 8080))\n"
        "two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntwo.connect_ex(('192.0.2.2', 53))"
    )
    assert set(by_library.of("n")) <= {"tcp://192.0.2.1:8080"}


def test_a_directory_that_is_opened_to_clear_it_away_is_listed_and_not_read(watched: Watched) -> None:
    watched.python("import tempfile\ntempfile.TemporaryDirectory(dir='.', prefix='zz').cleanup()")
    events = [(event.letter, event.path.rpartition("/")[2][:2]) for event in watched.events()]
    assert ("k", "zz") in events and ("d", "zz") in events
    assert ("r", "zz") not in events


def test_a_pipe_that_is_opened_is_no_file_that_is_read(watched: Watched) -> None:
    watched.python("import os\nos.mkfifo('pipe')\nos.close(os.open('pipe', os.O_RDONLY | os.O_NONBLOCK))")
    assert not [event for event in watched.seen() if event.endswith("pipe")]


def test_directories_made_by_each_function_are_told(by_library: Watched) -> None:
    by_library.run("bash", "-c", "mkdir -p a/b && mktemp -d -p . cXXXX && mkdir a 2>/dev/null; true")
    made = [event.path for event in by_library.events() if event.letter == "k"]
    assert len(made) == 3
