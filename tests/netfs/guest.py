"""Runs in the guest: one project, used through the server's own directory and two NFS mounts at once."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PLACES = {"server": Path("/mnt/export"), "v4": Path("/mnt/v4"), "v3": Path("/mnt/v3")}
RUNS = 4
CONTEXT = multiprocessing.get_context("fork")


def result(name: str, value: object) -> None:
    print(f"RESULT {name} {json.dumps(value)}", flush=True)


def mltrack(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mltrack", *words], cwd=place, capture_output=True, text=True, timeout=200
    )


def elsewhere(work: Callable[[], object]) -> bool:
    """Does the work succeed in another process?"""
    process = CONTEXT.Process(target=lambda: sys.exit(0 if work() else 1))
    process.start()
    process.join(30)
    return process.exitcode == 0


def locks() -> dict[str, bool]:
    """Holder and asker -> is the asker kept out, as it should be."""
    from mltrack.store.locks import lock_file

    found = {}
    for name, place in PLACES.items():
        handle = os.open(place / f"lock-{name}", os.O_RDWR | os.O_CREAT)
        assert lock_file(handle, wait=False)
        for other, there in PLACES.items():
            path = there / f"lock-{name}"
            found[f"{name} {other}"] = not elsewhere(lambda path=path: lock_file(os.open(path, os.O_RDWR), wait=False))
        os.close(handle)
        time.sleep(0.2)
        found[f"{name} given up"] = elsewhere(
            lambda path=place / f"lock-{name}": lock_file(os.open(path, os.O_RDWR), wait=False)
        )
    return found


def flock_alone() -> bool:
    """Does a bare flock on the server keep a client out?"""
    handle = os.open(PLACES["server"] / "bare", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)

    def attempt() -> bool:
        try:
            fcntl.flock(os.open(PLACES["v4"] / "bare", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    kept_out = not elsewhere(attempt)
    os.close(handle)
    return kept_out


def writer(name: str, place: Path, count: int) -> None:
    """Ledger and store, as many short processes would use them."""
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store

    state = place / "shared" / ".mltrack"
    for number in range(count):
        with Ledger.open(state / "ledger.db") as ledger, Store.open(state / "store") as store:
            store.put_bytes(f"{name} {number} ".encode() * 5000)
            store.put_bytes(os.urandom(200_000))
            store.flush()
            ledger.add_event("note", f"{name:0>8}{number:08}", "text")


def concurrent(count: int) -> dict[str, object]:
    from mltrack.digest import digest_bytes
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store

    state = PLACES["server"] / "shared" / ".mltrack"
    state.mkdir(parents=True)
    workers = [CONTEXT.Process(target=writer, args=(name, place, count)) for name, place in PLACES.items()]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(200)
    with Ledger.open(state / "ledger.db") as ledger, Store.open(state / "store") as store:
        events = ledger.db.execute("SELECT count(*) FROM event").fetchone()[0]
        sound = ledger.db.execute("PRAGMA integrity_check").fetchone()[0]
        damage = [str(found) for found in store.check()]
        wanted = [digest_bytes(f"{name} {number} ".encode() * 5000) for name in PLACES for number in range(count)]
        missing = len(store.missing(wanted))
        objects = store.totals().objects
    return {
        "exits": [worker.exitcode for worker in workers],
        "events": events,
        "sound": sound,
        "damage": damage,
        "missing": missing,
        "objects": objects,
        "left": sorted(path.name for path in state.iterdir()),
    }


def acknowledged(name: str, place: Path, journal: Path) -> None:
    """Writes events until it is killed, and notes each once the ledger has said that it is kept."""
    from mltrack.ledger.ledger import Ledger

    with journal.open("a") as out, Ledger.open(place / "killed.db") as ledger:
        number = 0
        while True:
            run = f"{os.getpid():08}{number:08}"
            ledger.add_event("note", run, name)
            out.write(f"{run}\n")
            out.flush()
            number += 1


def killed(rounds: int) -> dict[str, object]:
    """Writers on two mounts, killed in the middle of what they do: is all there that was acknowledged?"""
    from mltrack.ledger.ledger import Ledger

    journals = {name: Path(f"/run/{name}") for name in ("v4", "v3")}
    for number in range(rounds):
        workers = [
            CONTEXT.Process(target=acknowledged, args=(name, PLACES[name], journal))
            for name, journal in journals.items()
        ]
        for worker in workers:
            worker.start()
        time.sleep(1 + 0.13 * number)
        for worker in workers:
            worker.kill()
            worker.join()
    noted = {line for journal in journals.values() for line in journal.read_text().split()}
    lost = {}
    for name, place in PLACES.items():
        with Ledger.open(place / "killed.db") as ledger:
            there = {run for (run,) in ledger.db.execute("SELECT run FROM event")}
            lost[name] = [len(noted - there), ledger.db.execute("PRAGMA integrity_check").fetchone()[0]]
    return {"noted": len(noted), "lost": lost}


def whole_story() -> dict[str, object]:
    """`mltrack run` through both mounts, and what the doctor says there."""
    top = PLACES["v4"] / "project"
    top.mkdir()
    (top / "data.csv").write_text("1\n2\n")
    (top / "train.py").write_text("open('out.txt', 'w').write(open('data.csv').read())\n")
    subprocess.run(["git", "init", "-q"], cwd=top, check=True)
    told = []
    for number in range(RUNS):
        place = PLACES["v4" if number % 2 else "v3"] / "project"
        done = mltrack(place, "run", "--name", f"r{number}", "--input", "data.csv", "--", sys.executable, "train.py")
        told.append((done.returncode, done.stderr[-400:]))
    checkout = mltrack(PLACES["v3"] / "project", "checkout", "r1", "--into", "../out")
    verify = mltrack(top, "verify")
    return {
        "runs": told,
        "ls": {name: len(json.loads(mltrack(PLACES[name] / "project", "ls", "--json").stdout)) for name in PLACES},
        "checkout": [checkout.returncode, checkout.stderr, sorted(p.name for p in (PLACES["v4"] / "out").iterdir())],
        "verify": verify.stdout + verify.stderr,
        "doctor": {name: mltrack(PLACES[name] / "project", "doctor").stdout for name in PLACES},
        "left": sorted(path.name for path in (top / ".mltrack").iterdir()),
    }


def main() -> None:
    from mltrack.store.filesystems import mount_of

    result("kinds", {name: mount_of(place).kind for name, place in PLACES.items()})
    result("locks", locks())
    result("flock_alone", flock_alone())
    result("concurrent", concurrent(int(os.environ.get("ROUNDS", "6"))))
    result("killed", killed(int(os.environ.get("ROUNDS", "6"))))
    result("story", whole_story())


if __name__ == "__main__":
    main()
