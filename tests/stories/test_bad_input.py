"""Bad input and hostile circumstances: one `error:`, one `hint:`, the right exit code, and nothing is lost."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mltrack.digest import canonical_json, digest_bytes
from mltrack.ledger.ledger import Ledger
from mltrack.sync.remote import Remote
from mltrack.sync.segments import Link, encode_segment, record_line
from tests.helpers import git, git_repository, tree_of, write
from tests.stories.typing import Person

MAKES = "open('out.txt', 'w').write('result ' * 300)\n"
FILES = {"make.py": MAKES, "data.csv": "1\n2\n", "params.yaml": "lr: 0.1\n", ".gitignore": "big.csv\n"}
SECRETS = ("sk-Zq8vN3mXw7Lk2Rt9Yb4Hc6", "Tr0ub4dor-9xWqLz", "hunter2-Kd8fJ3nQ")


@pytest.fixture
def person(tmp_path: Path, command_path: str) -> Person:
    return Person(git_repository(tmp_path / "work", FILES), command_path)


@pytest.fixture
def recorded(person: Person) -> Person:
    """A project with one finished run called `good`, which made out.txt."""
    person.type("run", "--name", "good", "--input", "data.csv", "--", "python", "make.py")
    return person


def state(person: Person) -> Path:
    return person.cwd / ".mltrack"


def start(person: Person, script: str) -> subprocess.CompletedProcess[bytes]:
    """`mltrack` ($1) in a shell's hands: the script may close, redirect and pipe."""
    argv = ["bash", "-c", script, "bash", person.path.split(os.pathsep)[0] + "/mltrack"]
    done = subprocess.run(argv, cwd=person.cwd, env=person.environment(), stdin=subprocess.DEVNULL, capture_output=True)
    assert b"Traceback" not in done.stderr + done.stdout, done.stderr.decode()
    return done


# -- what is typed


def test_what_is_not_there_is_named_with_a_way_on(recorded: Person) -> None:
    fails = recorded.fails
    error, hint = fails("show", "nope", code=4)
    assert error == "There is no run nope." and "mltrack ls" in hint
    fails("show", "", code=4)
    fails("show", "@~9", code=4)
    fails("log", "nope", code=4)
    fails("diff", "@", "nope", code=4)
    fails("tag", "nope", "x", code=4)
    fails("push", code=4)
    assert "No such option" in fails("ls", "--frob", code=2)[0]
    assert "show" in fails("shwo", code=2)[1]
    error, hint = fails("get", "good", "nope.txt", code=4)
    assert "nope.txt" in error and "out.txt" in hint
    fails("get", "good", "../../etc/passwd", code=4)
    for option in ("--input", "--params"):
        assert "nope.yaml" in fails("run", option, "nope.yaml", "--", "true", code=125)[0]
    recorded.type("run", "--metrics", "nope.json", "--", "true")
    assert [item["kind"] for item in recorded.json("show", "@")["warnings"]] == ["metrics-missing"]
    assert fails("rerun", "good", "--set", "zzz=1", code=125)[0].startswith("--set zzz")
    recorded.type("run", "--params", "params.yaml", "--", "true")
    assert "lr" in " ".join(fails("rerun", "@", "--set", "zzz=1", code=125))
    fails("rerun", "good", "--set", "zzz", code=125)
    assert "not running" in fails("stop", "good", code=2)[0]


def test_an_ambiguous_prefix_shows_the_candidates(recorded: Person) -> None:
    """Two runs whose ids begin alike do not happen by themselves: one is forged."""
    with Ledger.open(state(recorded) / "ledger.db") as ledger:
        document = record_of(ledger)
        ids = [document["id"], document["id"][:8] + "00000000"]
        ledger.add_record(canonical_json({**document, "id": ids[1]}))
    error, _ = recorded.fails("show", ids[0][:6], code=4)
    assert all(one in error for one in ids)


def test_broken_settings_are_named_with_their_line(recorded: Person) -> None:
    fails = recorded.fails
    write(recorded.cwd, {"bad.yaml": "a: 1\nb: [1\nc: 2\n", "bad.json": '{"a": ', "bad.toml": "a = \n", "bad.txt": "a"})
    assert "bad.yaml, line 3" in fails("run", "--params", "bad.yaml", "--", "true", code=125)[0]
    assert "bad.json, line 1" in fails("run", "--params", "bad.json", "--", "true", code=125)[0]
    assert "bad.toml, line 1" in fails("run", "--params", "bad.toml", "--", "true", code=125)[0]
    fails("run", "--params", "bad.txt", "--", "true", code=125)
    for text, said in (
        ("inputs: [data.csv]\noutputs: {\n", "mltrack.yaml, line"),
        ("inptus: [data.csv]\n", "inptus"),
        ("inputs: 3\n", "inputs"),
        ("- 3\n", "mltrack.yaml"),
        ("data: {keep_limit: lots}\n", "keep_limit"),
        ("\udcff\udcfe", "mltrack.yaml"),
    ):
        (recorded.cwd / "mltrack.yaml").write_bytes(os.fsencode(text))
        assert said in fails("run", "--", "true", code=125)[0]
    assert len(recorded.json("ls")) == 1, "no run was recorded, and the old one can still be seen"


def test_odd_words_are_refused_or_kept_as_they_are(recorded: Person) -> None:
    fails = recorded.fails
    for tag in ("a b", "", "a\nb", "a@b", "x" * 300):
        fails("tag", "good", tag, code=2)
        fails("run", "--tag", tag, "--", "true", code=125)
    fails("run", "--name", "a\nb", "--", "true", code=125)
    fails("run", "--name", "x" * 100_000, "--", "true", code=125)
    fails("note", "good", " ", code=2)
    fails("remote", "add", "origin", "", code=2)
    fails("remote", "add", "a b", "/x", code=2)
    fails("run", "--", "", code=127)
    fails("run", "--", "no-such-command", code=127)
    fails("run", "--", "./make.py", code=126)
    fails("run", code=125)
    fails("run", "--", code=125)
    long = "x" * 100_000
    assert len(fails("show", long, code=4)[0]) < 5000
    fails("run", "--input", long, "--", "true", code=125)
    fails("run", "--params", long, "--", "true", code=125)
    fails("checkout", "good", "--into", long, code=2)
    recorded.type("run", "--", "true", *["y" * 120_000] * 8)
    assert sum(map(len, recorded.json("show", "@")["command"])) > 900_000
    odd = "\udcffname"
    recorded.type("run", "--name", "odd", "--", "sh", "-c", f"echo {odd} > {odd}")
    recorded.type("get", "odd", odd, "--output", "here")
    assert (recorded.cwd / "here").read_bytes() == b"\xffname\n"
    fails("show", odd, code=4)
    fails("ls", "--tag", odd, code=2)
    assert recorded.json("reproduce", "odd")["verdict"]["grade"] == "identical"


def test_nothing_is_written_over(recorded: Person) -> None:
    write(recorded.cwd, {"full/make.py": "mine"})
    before = tree_of(recorded.cwd)
    assert "full/make.py" in recorded.fails("checkout", "good", "--into", "full", code=2)[0]
    recorded.fails("checkout", "good", "--into", "make.py", code=2)
    recorded.fails("reproduce", "good", "--into", "full", code=2)
    recorded.fails("get", "good", "data.csv", "--output", "make.py", code=2)
    recorded.fails("clone", "../remote", "full", code=2)
    recorded.type("checkout", "good")
    (copy,) = (state(recorded) / "work").iterdir()
    write(copy, {"make.py": "my edit"})
    recorded.fails("checkout", "good", code=2)
    assert (copy / "make.py").read_text() == "my edit"
    assert tree_of(recorded.cwd) == before


# -- where it is typed


def test_closed_full_and_broken_streams(recorded: Person) -> None:
    def shell(script: str) -> tuple[int, bytes]:
        done = start(recorded, script)
        return done.returncode, done.stdout + done.stderr

    assert shell('"$1" ls | head -0; exit ${PIPESTATUS[0]}') == (0, b"")
    assert shell('"$1" ls >&-') == (0, b"")
    assert shell('"$1" show good --json >&- 2>&- <&-') == (0, b"")
    assert shell('"$1" show nope 2>&-') == (4, b"")
    assert shell('"$1" run --quiet -- sh -c "echo kept" >&- 2>&- <&-') == (0, b"")
    assert "kept" in recorded.type("log", "@")
    code, said = shell('"$1" tag good x > /dev/full')
    assert code == 3 and said.count(b"error: ") == said.count(b"hint: ") == 1
    assert shell('"$1" run --quiet -- cat <&-')[0] == 1, "the command finds its stdin closed, as without us"
    assert recorded.type("verify") == "Everything holds.\n"


def test_a_directory_that_was_removed_is_said(recorded: Person, tmp_path: Path) -> None:
    for words in ("run -- true", "ls", "init", "demo", "clone x y", "reproduce @ --from x", "doctor"):
        script = f'mkdir -p {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone && "$1" {words}'
        done = start(recorded, script)
        assert done.returncode == (125 if words.startswith("run") else 2)
        told = [line.split(b":")[0] for line in done.stderr.splitlines() if line.startswith((b"error", b"hint"))]
        assert told == [b"error", b"hint"], (words, done.stderr)


def test_without_git_what_needs_none_works(recorded: Person, tmp_path: Path) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    for name in ("mltrack", "python"):
        (place / name).symlink_to(Path(recorded.path.split(os.pathsep)[0], name))
    bare = Person(recorded.cwd, str(place))
    assert bare.fails("run", "--", "python", "make.py", code=125)[0] == "git is not on PATH."
    for words in (("reproduce", "good"), ("checkout", "good"), ("demo",)):
        assert bare.fails(*words, code=2)[0] == "git is not on PATH."
    assert len(bare.json("ls")) == 1
    assert bare.type("verify") == "Everything holds.\n"
    bare.type("get", "good", "out.txt", "--output", "again.txt")
    assert "git" in bare.type("doctor", code=1)
    assert not list((state(recorded) / "work").glob("*")), "a restoration that failed leaves nothing"


def test_a_broken_git_repository_stops_a_run_before_it_starts(recorded: Person) -> None:
    dot = recorded.cwd / ".git"

    def refused() -> None:
        recorded.fails("run", "--", "touch", "started", code=125)
        assert not (recorded.cwd / "started").exists()
        assert len(recorded.json("ls")) == 1
        assert not list((state(recorded) / "runs").iterdir())

    for name in ("index", "HEAD"):
        whole = (dot / name).read_bytes()
        (dot / name).write_bytes(b"garbage\n")
        refused()
        (dot / name).write_bytes(whole)
    (dot / "objects").rename(dot / "away")
    refused()
    (dot / "away").rename(dot / "objects")
    recorded.type("run", "--", "true")


# -- full and read-only disks


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all that is free, to the last byte."""
    filler = place / "filler"
    with open(filler, "wb", buffering=0) as file:
        for block in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(block)) == block:
                    pass
            except OSError:
                continue
    return filler


FILLS = """import os, time
print('before', flush=True)
log = os.environ['MLTRACK_RUN_DIR'] + '/output.log'
while b'before' not in open(log, 'rb').read(): time.sleep(0.01)
open('small.bin', 'wb').write(os.urandom(300_000))
file = open('.git/filler', 'wb', 0)
try:
    while file.write(bytes(1024)): pass
except OSError: pass
"""


@pytest.mark.needs("mount")
def test_a_full_disk_loses_nothing_that_was_finished(tmp_path: Path, command_path: str) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        person = Person(git_repository(disk / "work", FILES), command_path)
        person.type("run", "--name", "good", "--", "python", "make.py")
        filler = fill(disk)
        person.fails("run", "--", "touch", "started", code=125)
        assert not (person.cwd / "started").exists()
        person.fails("tag", "good", "x", code=3)
        person.fails("remote", "add", "origin", "x", code=3)
        person.fails("checkout", "good", code=3)
        assert len(person.json("ls")) == 1
        person.type("get", "good", "out.txt", "--output", str(tmp_path / "out.txt"))
        filler.unlink()
        person.type("tag", "good", "x")

        error, hint = person.fails("run", "--name", "filled", "--", "python", "-c", FILLS, code=0)
        assert "record could not be written" in error and "next mltrack command" in hint
        (person.cwd / ".git" / "filler").unlink()
        run = person.json("show", "filled")
        assert (run["status"], run["exit_code"]) == ("finished", 0)
        assert person.type("log", "filled") == "before\n"
        assert person.type("verify") == "Everything holds.\n"


@pytest.mark.needs("mount")
def test_a_disk_that_the_output_fills_keeps_what_fitted(tmp_path: Path, command_path: str) -> None:
    script = "import os\nfor line in range(3000): print(line, os.urandom(500).hex())\nopen('/proc/self/fd/2', 'w').write('end')"
    with small_disk(tmp_path / "disk", "2m") as disk:
        person = Person(git_repository(disk / "work", FILES), command_path)
        done = person.try_("run", "--name", "wordy", "--", "python", "-c", script)
        assert done.returncode == 0
        assert done.stdout.count("\n") == 3000, "the terminal gets all of it"
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        assert person.json("show", "wordy")["status"] == "finished"
        assert person.type("log", "wordy").startswith("0 ")
        assert person.type("verify") == "Everything holds.\n"


@pytest.mark.needs("mount")
def test_a_read_only_project_can_be_read(tmp_path: Path, command_path: str) -> None:
    with small_disk(tmp_path / "disk", "30m") as disk:
        person = Person(git_repository(disk / "work", FILES), command_path)
        person.type("run", "--name", "good", "--", "python", "make.py")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert person.fails("run", "--", "true", code=125)
        for words in (("tag", "good", "x"), ("note", "good", "x"), ("init",), ("remote", "add", "o", "x")):
            person.fails(*words, code=3)
        assert len(person.json("ls")) == 1
        person.type("show", "good")
        person.type("diff", "good", "good")
        assert person.type("verify") == "Everything holds.\n"
        person.type("get", "good", "out.txt", "--output", str(tmp_path / "out.txt"))
        person.type("checkout", "good", "--into", str(tmp_path / "out"))
        assert (tmp_path / "out" / "make.py").read_text() == MAKES


# -- newer, damaged, gone


def test_a_newer_format_is_refused_before_a_command_starts(recorded: Person, tmp_path: Path) -> None:
    recorded.type("remote", "add", "origin", "../remote")
    recorded.type("push")
    ledger, marker = state(recorded) / "ledger.db", state(recorded) / "store" / "store.json"

    def refused(code: int, *commands: str) -> None:
        recorded.fails("run", "--", "touch", "started", code=125)
        assert not (recorded.cwd / "started").exists() and not list((state(recorded) / "runs").iterdir())
        for words in commands:
            recorded.fails(*words.split(), code=code)

    version(ledger, 99)
    refused(2, "ls", "show @", "verify", "push", "tag @ x")
    assert "newer" in recorded.type("doctor", code=1)
    version(ledger, 1)
    whole = marker.read_text()
    marker.write_text(whole.replace('"version": 1', '"version": 99'))
    refused(2, "verify", "get good out.txt --output x")
    for text in ("", "{", "[]", "{}", '{"format": "x", "version": 1}'):
        marker.write_text(text)
        refused(6, "verify")
    marker.write_text(whole)
    remote = tmp_path / "remote" / "store.json"
    whole = remote.read_text()
    remote.write_text(whole.replace('"version":1', '"version":99'))
    for words in ("push", "pull", "clone ../remote ../other"):
        recorded.fails(*words.split(), code=2)
    assert not (tmp_path / "other").exists()
    remote.write_text(whole)
    recorded.type("push")
    assert recorded.type("verify") == "Everything holds.\n"


def version(path: Path, number: int) -> None:
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {number}")
    database.close()


def test_a_damaged_ledger_is_told_and_left_alone(recorded: Person) -> None:
    path = state(recorded) / "ledger.db"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    for at in range(4096, len(whole), 97):
        flipped[at] ^= 0xFF
    for damaged in (whole[:5000], b"not a database " * 500, bytes(len(whole)), bytes(flipped)):
        path.write_bytes(damaged)
        for words in ("ls", "show good", "tag good x", "verify"):
            recorded.fails(*words.split(), code=6)
        if damaged != bytes(flipped):  # what lies deep inside is not looked at before a run
            recorded.fails("run", "--", "true", code=125)
        assert path.read_bytes() == damaged
        assert not list((state(recorded) / "runs").iterdir())
    path.write_bytes(whole)
    assert recorded.json("show", "good")["status"] == "finished"


def test_a_damaged_pack_is_named_refused_and_healed(recorded: Person, tmp_path: Path) -> None:
    recorded.type("remote", "add", "origin", "../remote")
    recorded.type("push")
    run = recorded.json("show", "good")
    (pack,) = (state(recorded) / "store").rglob("*.pack")
    whole = pack.read_bytes()
    bits = bytearray(whole)
    digest = bytes.fromhex(run["artifacts"][0]["digest"][3:])
    at = whole.index(digest) + len(digest) + 16
    bits[at] ^= 1
    pack.write_bytes(bits)
    recorded.fails("get", "good", "out.txt", "--output", "again.txt", code=6)
    assert not (recorded.cwd / "again.txt").exists()
    (problem,) = recorded.json("verify", code=6)
    assert (problem["run"], problem["path"]) == (run["id"], "artifact out.txt")
    recorded.type("run", "--", "python", "make.py")
    recorded.type("get", "@", "out.txt", "--output", "again.txt")
    assert (recorded.cwd / "again.txt").read_text() == "result " * 300, "the damaged copy must not pass for this one"
    for path in (state(recorded) / "store").rglob("*.pack"):
        path.unlink()
    recorded.type("run", "--", "python", "make.py")
    recorded.type("get", "@", "out.txt", "--output", "third.txt")
    assert recorded.json("verify", code=6)
    recorded.type("pull", "--data")
    recorded.type("get", "good", "data.csv", "--output", "fourth.csv")


def test_remotes_that_cannot_be_used(recorded: Person, tmp_path: Path) -> None:
    write(tmp_path, {"file": "a file\n"})
    recorded.fails("remote", "add", "bad", "nope://x", code=2)
    recorded.fails("remote", "add", "secret", "ssh://me:password@host/x", code=2)
    recorded.type("remote", "add", "origin", "../file")
    for words in (("push",), ("pull",), ("verify", "--remote"), ("clone", "../file", "../other")):
        recorded.fails(*words, code=5)
    recorded.fails("reproduce", "good", "--from", "../nothing", code=5)
    assert (tmp_path / "file").read_text() == "a file\n" and not (tmp_path / "other").exists()
    recorded.type("remote", "rm", "origin")
    recorded.type("remote", "add", "origin", "../remote/far")
    recorded.fails("pull", code=5)
    recorded.fails("push", code=5)
    (tmp_path / "remote").mkdir()
    recorded.type("push")
    if os.geteuid() != 0:
        (tmp_path / "remote").chmod(0)
        recorded.fails("pull", code=5)
        (tmp_path / "remote").chmod(0o700)


def test_what_cannot_be_reproduced_says_why(person: Person, tmp_path: Path) -> None:
    write(person.cwd, {"big.csv": "1\n" * 1000, "mltrack.yaml": "data: {keep_limit: 10B}\n"})
    person.type("run", "--input", "big.csv", "--", "sh", "-c", "wc -l < big.csv > lines.txt")
    error, hint = person.fails("reproduce", "@", code=6)
    assert "big.csv" in error and "keep_limit" in hint
    assert "big.csv" in person.fails("get", "@", "big.csv", "--output", "copy.csv", code=6)[0]
    person.type("run", "--", "sh", "-c", "true", "--password", SECRETS[2])
    assert "secret" in person.fails("reproduce", "@", code=1)[0]
    assert "secret" in person.fails("rerun", "@", code=125)[0]
    assert not list((state(person) / "work").glob("*"))

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    info = "no_such_package_zz-1.0.dist-info"
    write(
        packages,
        {
            "no_such_package_zz.py": "",
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: no-such-package-zz\nVersion: 1.0\n",
            f"{info}/RECORD": f"no_such_package_zz.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n",
            f"{info}/INSTALLER": "pip\n",
        },
    )
    person.type("run", "--", str(tmp_path / "venv" / "bin" / "python"), "make.py")
    person.variables = {"UV_NO_INDEX": "1", "UV_CACHE_DIR": str(tmp_path / "empty")}
    verdict = person.json("reproduce", "@", code=1)["verdict"]
    assert verdict["grade"] == "could not run"
    assert "no-such-package-zz was not found" in verdict["cause"]
    assert "no-such-package-zz was not found" in " ".join(person.type("reproduce", "@", code=1).split())


# -- secrets, and records of strangers


def test_no_secret_reaches_the_disk_or_a_remote(person: Person, tmp_path: Path) -> None:
    first, second, third = SECRETS
    person.variables = {"SERVICE_API_KEY": first, "DB_PASSWORD": second}
    words = ("--why", f"try {first}", "--name", f"n-{first}", "--experiment", f"e-{second}", "--tag", f"t-{first}")
    script = 'echo "$SERVICE_API_KEY"; echo "$DB_PASSWORD" >&2; echo {"m": 1} '
    person.type("run", *words, "--", "sh", "-c", script, "sh", f"--api-key={third}", "--password", third)
    person.type("run", "--", "env", f"OTHER_TOKEN={third}", "true")
    person.type("note", "@", f"the key is {first}")
    person.type("tag", "@", f"t-{second}")
    person.type("remote", "add", "origin", "../remote")
    person.type("push")
    shown = [person.type("ls"), person.type("ls", "--json"), person.type("log", "@~1")]
    for ref in ("@", "@~1"):
        shown += [person.type("show", ref), person.type("show", ref, "--json")]
    everything = [text.encode() for text in shown]
    for top in (state(person), tmp_path / "remote"):
        for path in top.rglob("*"):
            if path.is_file():
                everything += [path.read_bytes(), *unfolded(path.read_bytes())]
    assert any(b"the key is" in data for data in everything), "the search must be able to find something"
    for secret in SECRETS:
        assert not [data for data in everything if secret.encode() in data]


def unfolded(data: bytes) -> Iterator[bytes]:
    """What every zstd frame in the data holds."""
    import zstandard

    at = data.find(zstandard.FRAME_HEADER)
    while at >= 0:
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[at:])
        except zstandard.ZstdError:
            pass
        at = data.find(zstandard.FRAME_HEADER, at + 4)


def record_of(ledger: Ledger) -> dict[str, Any]:
    (digest,) = (row[0] for row in ledger.db.execute("SELECT digest FROM record"))
    return dict(json.loads(ledger.record(digest)))


def forge(person: Person, url: Path, number: int, change: Callable[[dict[str, Any]], None]) -> str:
    """What a hostile machine might push: every digest right, the content not. Returns the id of its run."""
    with Ledger.open(state(person) / "ledger.db") as ledger:
        document = record_of(ledger)
    document["id"] = f"{number:016d}"
    change(document)
    data = canonical_json(document)
    replica = f"{number:016d}"
    name, segment = encode_segment(Link(replica, 1, 1, None), [record_line(digest_bytes(data), data)])
    remote = Remote(str(url), url.parent / "cache")
    remote.write(name.path, segment)
    remote.write(f"heads/{replica}", name.file.encode() + b"\n")
    return str(document["id"])


def test_a_strangers_record_writes_nothing_outside(person: Person, tmp_path: Path) -> None:
    remote, recorded = tmp_path / "remote", person
    person.type("run", "--name", "good", "--input", "data.csv", "--", "sh", "-c", "cat data.csv > out.txt")
    recorded.type("remote", "add", "origin", "../remote")
    recorded.type("push")
    outside = ("../evil", f"{tmp_path}/evil", "a/../../evil", ".git/hooks/post-checkout")

    def at(kind: str, path: str) -> Callable[[dict[str, Any]], None]:
        return lambda document: document[kind][0].update(path=path)

    changes = [at(kind, path) for kind in ("inputs", "artifacts") for path in outside[:3]]
    changes.append(lambda document: document["code"].update(prefix="../evil/"))
    changes.append(lambda document: document.update(cwd="../../evil"))
    ids = [forge(recorded, remote, number, change) for number, change in enumerate(changes, 1)]
    loud = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\r\nerror: forged"
    ids.append(
        forge(recorded, remote, 90, lambda document: document.update(name=loud, why=loud, command=["echo", loud]))
    )
    there = Person(tmp_path / "there", recorded.path)
    recorded.type("clone", "../remote", "../there")
    before = {path: os.lstat(path).st_mtime_ns for path in tmp_path.iterdir() if path.name != "there"}
    for one in ids[:-1]:
        done = there.try_("reproduce", one, "--into", "again")
        shown_to_it_alone = {0} if one == ids[1] else set()  # an absolute path, which only the command sees
        assert done.returncode in {1, 6, *shown_to_it_alone}, done.stdout + done.stderr
        subprocess.run(["rm", "-rf", there.cwd / "again"], check=True)
        there.try_("checkout", one, "--into", "again")
        subprocess.run(["rm", "-rf", there.cwd / "again"], check=True)
        for path in outside:
            there.try_("get", one, path)
            (there.cwd / "evil").unlink(missing_ok=True)
    after = {path: os.lstat(path).st_mtime_ns for path in tmp_path.iterdir() if path.name != "there"}
    assert {path for path in after if after[path] != before.get(path)} <= {tmp_path / "remote", tmp_path / "cache"}
    assert not list(tmp_path.rglob("post-checkout"))
    for words in (("ls",), ("show", ids[-1]), ("diff", ids[-1], "good"), ("tag", ids[-1], "x"), ("log", ids[-1])):
        done = there.try_(*words)
        assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout
    assert git(there.cwd, "status", "--porcelain") == b""
