"""Metric points: a second from Python, 100,000 in a run, a run with a million, and the peers' own ways beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from resource import struct_rusage

from tests.benchmarks.peers import program
from tests.benchmarks.timing import MLTRACK, Case, case_table, ms, quiet_variables, side_by_side, table

POINTS = 200_000
LOOP = f"""
import json, math, os, struct, sys, time
values = [math.exp(-i / {POINTS}) for i in range({POINTS})]
def rate(log):
    begin = time.perf_counter()
    for step, value in enumerate(values):
        log(step, value)
    return {POINTS} / (time.perf_counter() - begin)
"""
TRACKED = LOOP + "import mltrack\nprint(rate(lambda step, value: mltrack.log({'loss': value}, step=step)))\n"
JSONL = LOOP + (
    "out = open('points.jsonl', 'w')\n"
    "def log(step, value):\n"
    "    out.write(json.dumps({'loss': value, 'step': step, 't': time.time()}) + chr(10)); out.flush()\n"
    "print(rate(log))\n"
)
BINARY = LOOP + (
    "out = open('points.bin', 'wb'); pack = struct.Struct('<qdd').pack\n"
    "print(rate(lambda step, value: out.write(pack(step, value, time.time()))))\n"
)

HUNDRED_THOUSAND = {
    "the loop alone": "pass",
    "mltrack.log": "mltrack.log({'loss': value}, step=step)",
    "lines appended to $MLTRACK_METRICS": 'out.write(\'{"step":%d,"loss":%r}\\n\' % (step, value))',
}
WHOLE = """
import math, os
{setup}
for step in range({points}):
    value = math.exp(-step / {points})
    {log}
{end}
"""
SETUP = {
    "mltrack.log": "import mltrack",
    "lines appended to $MLTRACK_METRICS": "out = open(os.environ['MLTRACK_METRICS'], 'a')",
}
MILLION = 1_000_000
PEER_S = 10
PEER = """
import json, math, os, sys, time
{setup}
begin, done = time.perf_counter(), 0
while done < 100000 and time.perf_counter() - begin < {seconds}:
    for _ in range(10):
        {log}
        done += 1
{end}
print("RATE", done / (time.perf_counter() - begin), done)
"""
PEERS = {
    "mlflow log_metric, SQLite": ("mlflow", "mlflow.log_metric('loss', math.exp(-done / 1e5), step=done)", "sqlite"),
    "mlflow log_metric, files": ("mlflow", "mlflow.log_metric('loss', math.exp(-done / 1e5), step=done)", "file"),
    "mlflow log_batch of 1,000, SQLite": (
        "mlflow",
        "batch.append(Metric('loss', math.exp(-done / 1e5), int(time.time() * 1000), done)); flush(1000)",
        "sqlite",
    ),
    "dvclive log_metric": ("dvc", "live.log_metric('loss', math.exp(-done / 1e5)); live.next_step()", ""),
}
PEER_SETUP = {
    "mlflow": (
        "import mlflow; from mlflow.entities import Metric\n"
        "run, batch, client = mlflow.start_run(), [], mlflow.MlflowClient()\n"
        "def flush(least):\n"
        "    if len(batch) >= least:\n"
        "        client.log_batch(run.info.run_id, metrics=batch); batch.clear()\n"
    ),
    "dvc": "from dvclive import Live; live = Live(save_dvc_exp=False, dvcyaml=None, monitor_system=False)",
}
PEER_END = {"mlflow": "flush(1); mlflow.end_run()", "dvc": "live.end()"}


def measure(scratch: Path) -> None:
    variables = quiet_variables(scratch)
    rates(scratch, variables)
    hundred_thousand(scratch, variables)
    million(scratch, variables)
    beside(scratch, variables)


def rates(scratch: Path, variables: Mapping[str, str]) -> None:
    """One call a point, durable at the end of the run."""
    rows = []
    for name, argv in {
        "limit: 24 bytes a point, buffered (lost by a kill)": [sys.executable, "-c", BINARY],
        "limit: a line of JSON a point, flushed": [sys.executable, "-c", JSONL],
        "mltrack.log in a run (goal: 100,000)": [*MLTRACK, "run", "--", sys.executable, "-c", TRACKED],
    }.items():
        found = []
        for _ in range(3):
            done = subprocess.run(argv, cwd=scratch, env=variables, check=True, capture_output=True, text=True)
            found.append(float(done.stdout))
        rows.append((name, f"{sorted(found)[1]:,.0f}", f"{1e6 / sorted(found)[1]:.2f}"))
    kept = shown(scratch, variables, "show", "@", "--json")
    rows.append(("points in the ledger after the run", f"{json.loads(kept)['metrics']['loss']['count']:,}", ""))
    table("Metric points a second", ("case", "points/s", "microseconds a call"), rows)


def hundred_thousand(scratch: Path, variables: Mapping[str, str]) -> None:
    """Whole commands: the loop alone, in a run that logs nothing, and in runs that log every step."""
    scripts = {}
    for name, log in HUNDRED_THOUSAND.items():
        scripts[name] = scratch / f"log{len(scripts)}.py"
        scripts[name].write_text(WHOLE.format(setup=SETUP.get(name, ""), log=log, points=100_000, end=""))
    bare = [sys.executable, str(scripts["the loop alone"])]
    cases = [
        Case("the loop alone", bare, scratch),
        Case("mltrack run, no points", [*MLTRACK, "run", "--", *bare], scratch),
    ]
    for name in ("mltrack.log", "lines appended to $MLTRACK_METRICS"):
        words = [*MLTRACK, "run", "--", sys.executable, str(scripts[name])]
        cases.append(Case(f"mltrack run, {name}", words, scratch))
    side_by_side(cases, rounds=5, variables=variables)
    case_table("100,000 points in one process, from start to sealed (goal: under 2 s in all)", cases, cases[0])


def million(scratch: Path, variables: Mapping[str, str]) -> None:
    """A run with a million points beside one with ten."""
    name = "lines appended to $MLTRACK_METRICS"
    big, small = scratch / "million.py", scratch / "ten.py"
    for script, points in ((big, MILLION), (small, 10)):
        script.write_text(WHOLE.format(setup=SETUP[name], log=HUNDRED_THOUSAND[name], points=points, end="out.close()"))
    rows = []
    for title, script in (("10 points", small), ("1,000,000 points", big)):
        begin = time.perf_counter()
        usage = waited([*MLTRACK, "run", "--name", script.stem, "--", sys.executable, str(script)], scratch, variables)
        took = time.perf_counter() - begin
        run = json.loads(shown(scratch, variables, "show", script.stem, "--json"))
        rows.append(
            (f"mltrack run, {title}", ms(took), ms(took - run["duration_s"]), f"{usage.ru_maxrss / 1024:.0f} MiB")
        )
    table("A run with many points", ("case", "in all", "after the command", "peak memory"), rows)
    cases = [
        Case(title, [*MLTRACK, *words], scratch)
        for words, title in (
            (("show", "ten"), "show, 10 points"),
            (("show", "million"), "show, 1,000,000 points"),
            (("ls",), "ls, both are in it"),
            (("show", "million", "--series", "loss", "--json"), "show --series --json, 1,000,000 points"),
        )
    ]
    side_by_side(cases, rounds=3, variables=variables)
    case_table("Looking at it", cases, cases[0])
    subprocess.run(
        [*MLTRACK, "remote", "add", "origin", str(scratch / "remote")], cwd=scratch, env=variables, capture_output=True
    )
    before = size_of(scratch / "remote")
    shown(scratch, variables, "push", "million")
    rows = [("bytes pushed for the run", f"{(size_of(scratch / 'remote') - before) / MILLION:.1f} a point")]
    table("Pushing it", ("case", "size"), rows)
    while_it_runs(scratch, variables)


def while_it_runs(scratch: Path, variables: Mapping[str, str]) -> None:
    """The same million points, asked for while their command lives."""
    name = "lines appended to $MLTRACK_METRICS"
    script = scratch / "lives.py"
    end = "out.close(); open('written', 'w'); import time\nwhile os.path.exists('written'): time.sleep(0.05)"
    script.write_text(WHOLE.format(setup=SETUP[name], log=HUNDRED_THOUSAND[name], points=MILLION, end=end))
    process = subprocess.Popen(
        [*MLTRACK, "run", "--quiet", "--", sys.executable, str(script)], cwd=scratch, env=variables
    )
    written = scratch / "written"
    while not written.exists() and process.poll() is None:
        time.sleep(0.05)
    rows = []
    for title in ("right after the last point", "again", "some seconds later"):
        time.sleep(6 if title.startswith("some") else 0)
        begin = time.perf_counter()
        shown(scratch, variables, "ls")
        rows.append((f"ls, {title}", ms(time.perf_counter() - begin)))
    written.unlink(missing_ok=True)
    process.wait()
    table("1,000,000 points in a run that is alive", ("case", "wall"), rows)


def beside(scratch: Path, variables: Mapping[str, str]) -> None:
    """The peers that are here, each with its own call for one point."""
    rows = []
    for name, (peer, log, backend) in PEERS.items():
        python = program_of(peer)
        if python is None:
            continue
        work = scratch / f"peer-{len(rows)}"
        work.mkdir()
        where = f"sqlite:///{work}/mlflow.db" if backend == "sqlite" else f"file:{work}/mlruns"
        script = PEER.format(setup=PEER_SETUP[peer], log=log, end=PEER_END[peer], seconds=PEER_S)
        done = subprocess.run(
            [python, "-c", script],
            cwd=work,
            env={**variables, "MLFLOW_TRACKING_URI": where, "MLFLOW_ALLOW_FILE_STORE": "true", "DVC_NO_ANALYTICS": "1"},
            capture_output=True,
            text=True,
        )
        words = next((line.split() for line in done.stdout.splitlines() if line.startswith("RATE")), None)
        if words is None:
            rows.append((name, "failed", done.stderr.strip().splitlines()[-1][:60] if done.stderr else "", ""))
            continue
        rate = float(words[1])
        rows.append((name, f"{rate:,.0f}", f"{100_000 / rate:,.1f} s", words[2]))
    if rows:
        headers = ("peer", "points/s", "100,000 points would take", "points logged")
        table(f"The peers, for {PEER_S} s at most each", headers, rows)


def program_of(peer: str) -> str | None:
    """The interpreter of a peer's environment."""
    found = program({"dvc": "dvc", "mlflow": "mlflow"}[peer])
    python = Path(found).with_name("python") if found and os.environ.get("MLTRACK_PEERS") else None
    return str(python) if python is not None and python.exists() else None


def waited(words: Sequence[str], cwd: Path, variables: Mapping[str, str]) -> struct_rusage:
    """Run a command; what it used."""
    process = subprocess.Popen(words, cwd=cwd, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words}: exit {process.returncode}")
    return usage


def shown(scratch: Path, variables: Mapping[str, str], *words: str) -> bytes:
    return subprocess.run([*MLTRACK, *words], cwd=scratch, env=variables, check=True, capture_output=True).stdout


def size_of(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
