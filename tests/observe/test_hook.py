"""The audit hook: URLs always, files where the library is not; and what it must not do to the program."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.inside.test_journal import interpreters
from tests.observe.programs import Watched

SERVE = """
import http.client, socket, urllib.request
real, port = socket.create_connection, int(PORT)
socket.create_connection = lambda address, *more, **most: real(("127.0.0.1", port), *more, **most)
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A server that answers everything, at this machine."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_HEAD = do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def asked(watched: Watched, port: int, code: str) -> list[str]:
    """The URLs told of a program that asks for some; names lead to the server here."""
    watched.python(SERVE.replace("PORT", str(port)) + code)
    return [path for path in watched.of("n") if not path.startswith("tcp://")]


def test_a_url_is_told_once_and_whole_but_for_its_secrets(watched: Watched, port: int) -> None:
    code = (
        "connection = http.client.HTTPConnection('data.example.org', 8000)\n"
        "for path in ('/a.csv', '/a.csv', '/b?token=hush&v=1&flag#top'):\n"
        "    connection.request('GET', path); connection.getresponse().read()\n"
        "connection.request('POST', '/login', b'x'); connection.getresponse().read()\n"
        "for url in ('http://other.example.org/c.csv', 'http://other.example.org/d?key=hush'):\n"
        "    urllib.request.urlopen(url).read()\n"
        "request = urllib.request.Request('ftp://me:hush@files.example.org/e.csv?k=hush')\n"
        "try: urllib.request.urlopen(request, timeout=0.1)\nexcept OSError: pass\n"
    )
    expected = [
        "http://data.example.org:8000/a.csv",
        "http://data.example.org:8000/b?token=&v=&",
        "http://other.example.org/c.csv",
        "http://other.example.org/d?key=",
        "ftp://files.example.org/e.csv?k=",
    ]
    assert asked(watched, port, code) == (expected if watched.hook else [])  # the library sees hosts only
    assert not any(b"hush" in path.read_bytes() for path in watched.observed.glob("*.log"))


def test_what_is_asked_of_this_machine_is_not_told(watched: Watched, port: int) -> None:
    code = f"import urllib.request, socket\nfor host in ('127.0.0.1', 'localhost'):\n    urllib.request.urlopen('http://%s:{port}/x' % host).read()"
    watched.python(code)
    assert watched.of("n") == []


def test_hosts_are_told_where_the_library_is_not(by_hook: Watched) -> None:
    by_hook.python(
        "import socket\n"
        "try: socket.getaddrinfo('nowhere.invalid', 443)\nexcept OSError: pass\n"
        "one = socket.socket(); one.setblocking(False)\none.connect_ex(('192.0.2.1', 8080)); one.connect_ex(('192.0.2.1', 443))\n"
        "two = socket.socket(socket.AF_UNIX)\ntry: two.connect('/nonexistent')\nexcept OSError: pass"
    )
    assert by_hook.of("n") == ["tcp://nowhere.invalid:443", "tcp://192.0.2.1:8080"]


def test_a_program_that_is_not_python_is_named_where_the_library_is_not(by_hook: Watched) -> None:
    by_hook.python(
        "import subprocess, sys, os\nsubprocess.run(['true']); subprocess.run(['true'])\nos.system('true')\n"
        "subprocess.run([sys.executable, '-c', 'open(\"x\", \"w\")'])\nsubprocess.run([sys.executable, '-sEc', 'pass'])\n"
        "subprocess.run('true', shell=True, env={})\nsubprocess.run([sys.executable, '-c', 'pass'], env={})"
    )
    told = [(event.letter, Path(event.path).name, event.other) for event in by_hook.events() if event.letter in "xi"]
    python = Path(sys.executable).name
    assert told == [
        ("x", "true", "no library"),
        ("x", "sh", "no library"),
        ("i", python, "-E"),
        ("i", python, "environment"),
    ]
    assert "w x" in by_hook.seen()


def test_databases_are_told_by_what_is_done_to_them(by_hook: Watched) -> None:
    (by_hook.place / "there is.db").write_bytes(b"")
    by_hook.python(
        "import sqlite3, pathlib, os\nfor name in ('new.db', ':memory:', '', pathlib.Path('other.db'), b'bytes.db'):\n"
        "    sqlite3.connect(name).close()\n"
        "here = os.getcwd()\nfor uri in ('file:there%20is.db', 'file:ro.db?mode=ro', 'file::memory:?cache=shared',"
        " 'file://%s/whole.db' % here):\n"
        "    try: sqlite3.connect(uri, uri=True).close()\n    except sqlite3.Error: pass"
    )
    seen = [one for one in by_hook.seen() if one[0] in "rwu"]
    assert seen == ["w new.db", "w other.db", "w bytes.db", "u there is.db", "w whole.db"]


def test_what_is_done_through_a_directorys_descriptor_is_told(by_hook: Watched) -> None:
    (by_hook.place / "d" / "sub").mkdir(parents=True)
    (by_hook.place / "d" / "a").write_text("1")
    (by_hook.place / "d" / "b").write_text("1")
    by_hook.python(
        "import os, shutil\nfd = os.open('d', os.O_RDONLY)\nos.rename('a', 'c', src_dir_fd=fd, dst_dir_fd=fd)\n"
        "os.unlink('b', dir_fd=fd)\nos.truncate('d/c', 0)\nshutil.rmtree('d')"
    )
    seen = by_hook.seen()
    assert [one for one in seen if one[0] in "md"][:2] == ["m d/a", "d d/b"]
    assert {"d d/c", "d d/sub", "d d"} <= set(seen)


def test_a_signal_that_arrives_while_the_hook_works_reaches_the_program(by_hook: Watched) -> None:
    """The alarm is given from within the hook's own call of the system, where its handler then runs."""
    code = (
        "import os, signal\nclass Late(Exception): pass\ndef late(*args): raise Late\n"
        "signal.signal(signal.SIGALRM, late)\nopen('in', 'w').close()\n"
        "real = os.access\ndef alarmed(*args):\n    signal.raise_signal(signal.SIGALRM)\n    return real(*args)\n"
        "os.access = alarmed\ntry: open('in')\nexcept Late: print('reached')\n"
    )
    assert by_hook.python(code).stdout == "reached\n"


def test_what_a_program_hands_over_that_is_no_path_raises_what_it_would(by_hook: Watched) -> None:
    code = (
        "import os, sqlite3\nclass Odd:\n    def __fspath__(self): raise KeyError('odd')\n"
        "for call in (lambda: open(Odd()), lambda: open('a\\0b'), lambda: open(''), lambda: open(3.5), lambda: os.open(b'x\\0', 0),\n"
        "             lambda: os.listdir(Odd()), lambda: os.rename('', ''), lambda: os.remove(7), lambda: os.listdir(-1),\n"
        "             lambda: sqlite3.connect(7), lambda: os.truncate(-1, 0), lambda: os.scandir('no'), lambda: open(b'\\xff')):\n"
        "    try: print(call())\n    except BaseException as error: print(type(error).__name__, error)\n"
    )
    bare = by_hook.run(sys.executable, "-c", code, PYTHONPATH="", MLTRACK_OBSERVE="")
    told = by_hook.python(code)
    assert (told.stdout, told.stderr) == (bare.stdout, bare.stderr)


def test_the_program_finds_no_trace_in_its_modules(by_both: Watched) -> None:
    code = "import sys; print(sorted(sys.modules), sys.path[1:], len(sys.meta_path), sys.gettrace(), sys.getprofile())"
    bare = by_both.run(sys.executable, "-c", code, MLTRACK_OBSERVE="", LD_PRELOAD="")
    assert by_both.python(code).stdout == bare.stdout


def test_threads_hooks_and_interpreters_of_the_programs_own_do_not_mind(watched: Watched) -> None:
    code = (
        "import sys, threading, atexit\nevents = []\nsys.addaudithook(lambda event, args: events.append(event))\n"
        "def write(n):\n    for m in range(20): open('%d-%d' % (n, m), 'w').close()\n"
        "threads = [threading.Thread(target=write, args=(n,)) for n in range(64)]\n"
        "[one.start() for one in threads]; [one.join() for one in threads]\n"
        "try: import _xxsubinterpreters as sub\nexcept ImportError: sub = None\n"
        'if sub: sub.run_string(sub.create(), \'open("inner", "w").close()\')\n'
        "class Last:\n    def __del__(self, open=open): open('last', 'w').close()\nlast = Last(); last.me = last\n"
        "atexit.register(lambda: open('exit', 'w').close())\nprint(events.count('open') >= 1280)"
    )
    done = watched.python(code)
    assert (done.stdout, done.stderr) == ("True\n", "")
    seen = set(watched.seen())
    assert {f"w {n}-{m}" for n in range(64) for m in range(20)} | {"w exit"} <= seen


def test_every_python_from_3_8_tells(tmp_path: Path) -> None:
    for number, python in enumerate(interpreters()):
        place = tmp_path / str(number)
        place.mkdir()
        watched = Watched(place)
        (watched.place / "in").write_text("1")
        done = watched.run(python, "-W", "error", "-c", "import os; open('in').close(); os.close(os.open('out', 65))")
        assert done.stderr == ""
        assert [one for one in watched.seen() if one[0] in "rw"] == ["r in", "w out"], python
        assert len(watched.of("h")) == 1


def test_one_that_uses_neither_place_nor_home_is_still_told(by_hook: Watched) -> None:
    """A program may remove its working directory under itself."""
    done = by_hook.python(
        "import os\nos.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "try: open('x', 'w')\nexcept OSError as error: print(type(error).__name__)\nos.chdir('/')\nprint(os.getcwd())"
    )
    assert (done.stdout, done.stderr) == ("FileNotFoundError\n/\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root")
def test_a_new_root_stops_nothing(watched: Watched) -> None:
    (watched.place / "root").mkdir()
    done = watched.python(
        "import os\nos.chroot('root'); os.chdir('/'); open('x', 'w').write('1'); print(os.listdir('/'))"
    )
    assert (done.stdout, done.stderr) == ("['x']\n", "")
