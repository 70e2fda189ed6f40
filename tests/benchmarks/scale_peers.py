"""mlflow's SQLite store, guild and dvc with as many runs as they bear: 20 params and 20 metrics each, no packages.

mlflow's first 100 runs are made by its client, guild's first by itself and dvc's as git refs in the form that it
leaves; the others are copies of those, as by their own commands ten thousand runs take hours.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.peers import program
from tests.benchmarks.timing import quiet_variables

MOST = {"mlflow": 10_000, "guild": 1_000, "dvc": 1_000} | {
    name: int(many)
    for name, _, many in (part.partition("=") for part in os.environ.get("MLTRACK_BENCH_PEERS", "").split(","))
    if many
}
WIDTH = 20
PATIENCE_S = 300

MLFLOW = f"""
import json, sqlite3, sys, time, uuid, mlflow
from mlflow.entities import Metric, Param
client = mlflow.MlflowClient()
def fill(target):
    have = len(client.search_runs(["0"], max_results=50000))
    for i in range(have, min(target, 100)):
        run = client.create_run("0").info.run_id
        client.log_batch(run, metrics=[Metric(f"m{{k}}", (i * 31 + k) % 1000 / 1000, 0, 0) for k in range({WIDTH})],
                         params=[Param(f"p{{k}}", str((i + k) % 10)) for k in range({WIDTH})])
        client.set_terminated(run)
    db = sqlite3.connect("mlflow.db")
    models = [row[0] for row in db.execute("select run_uuid from runs")][:100]
    columns = {{t: [r[1] for r in db.execute(f"pragma table_info({{t}})")] for t in ["runs", "params", "metrics", "latest_metrics", "tags"]}}
    for i in range(max(have, 100), target):
        new, old = uuid.uuid4().hex, models[i % 100]
        for t, names in columns.items():
            into = ", ".join(f'"{{c}}"' for c in names)
            what = ", ".join("?" if c == "run_uuid" else f'"{{c}}"' for c in names)
            db.execute(f"insert into {{t}} ({{into}}) select {{what}} from {{t}} where run_uuid = ?", (new, old))
        db.execute("update runs set start_time = start_time + ? where run_uuid = ?", (i * 10, new))
    db.commit()
def timed(call):
    begin = time.perf_counter(); call(); return time.perf_counter() - begin
def ask():
    where = "params.p1 = '3' and metrics.m1 > 0.5"
    best = lambda: client.search_runs(["0"], where, order_by=["metrics.m1 DESC"], max_results=20)
    newest = lambda: client.search_runs(["0"], max_results=20)
    newest()
    print("RESULT " + json.dumps({{"in process: newest 20": timed(newest), "in process: filter and sort": timed(best),
          "in process: all as a table": timed(lambda: mlflow.search_runs(["0"], max_results=50000))}}))
fill(int(sys.argv[2])) if sys.argv[1] == "fill" else ask()
"""


class Questions:
    """A peer with some runs."""

    name = ""

    def __init__(self, place: Path, found: str) -> None:
        self.place, self.program, self.have = place / self.name, found, 0
        self.most = MOST[self.name]
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.variables = {
            **quiet_variables(place),
            "DVC_NO_ANALYTICS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PATH": f"{Path(found).parent}:{os.environ['PATH']}",
        }
        self.prepare()

    def prepare(self) -> None:
        """Make its project."""

    def fill(self, size: int) -> None:
        """Grow to so many runs."""

    def ask(self) -> dict[str, float]:
        """Questions, and the seconds that each took."""
        return {}

    def sh(self, *words: str, given: bytes | None = None) -> str:
        done = subprocess.run(
            words, cwd=self.place, env=self.variables, input=given, capture_output=True, check=True, timeout=PATIENCE_S
        )
        return done.stdout.decode()

    def timed(self, *words: str) -> float:
        begin = time.perf_counter()
        try:
            self.sh(*words)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            return float("inf")
        return time.perf_counter() - begin


class Mlflow(Questions):
    name = "mlflow"

    def prepare(self) -> None:
        self.variables["MLFLOW_TRACKING_URI"] = "sqlite:///mlflow.db"
        (self.place / "work.py").write_text(MLFLOW)
        self.python = str(Path(self.program).parent / "python")

    def fill(self, size: int) -> None:
        self.sh(self.python, "work.py", "fill", str(size))
        self.have = size

    def ask(self) -> dict[str, float]:
        lines = self.sh(self.python, "work.py", "ask").splitlines()
        found: dict[str, float] = json.loads(next(line for line in lines if line.startswith("RESULT "))[7:])
        return {**found, "mlflow runs list": self.timed(self.program, "runs", "list", "--experiment-id", "0")}


class Guild(Questions):
    name = "guild"

    def prepare(self) -> None:
        (self.place / "home").mkdir()
        self.variables |= {"GUILD_HOME": str(self.place / "home"), "NO_WARN_RUNDIR": "1", "PYTHONWARNINGS": "ignore"}
        text = "".join(f"p{k} = {k}\n" for k in range(WIDTH)) + "".join(
            f"print('m{k}:', p{k} / 10)\n" for k in range(WIDTH)
        )
        (self.place / "train.py").write_text(text)
        self.sh(self.program, "run", "-y", "train.py")
        self.model = next((self.place / "home" / "runs").iterdir())
        self.have = 1

    def fill(self, size: int) -> None:
        for number in range(self.have, size):
            run = self.model.with_name(uuid.UUID(int=random.getrandbits(128)).hex)
            shutil.copytree(self.model, run, symlinks=True)
            attributes = run / ".guild" / "attrs"
            (attributes / "id").write_text(f"{run.name}\n")
            (attributes / "flags").write_text("".join(f"p{k}: {(number + k) % 10}\n" for k in range(WIDTH)))
            for name in ("started", "stopped"):
                before = int((self.model / ".guild" / "attrs" / name).read_text())
                (attributes / name).write_text(f"{before + number * 1_000_000}\n")
        self.have = size

    def ask(self) -> dict[str, float]:
        compared = str(self.place / "compare.csv")
        return {
            "guild runs": self.timed(self.program, "runs"),
            "guild runs --filter": self.timed(self.program, "runs", "--filter", "p1 = 3 and m1 > 0"),
            "guild compare --csv (all)": self.timed(self.program, "compare", "--csv", compared),
        }


class Dvc(Questions):
    name = "dvc"

    def prepare(self) -> None:
        self.sh("git", "init", "-q")
        self.sh(self.program, "init", "-q")
        self.sh(self.program, "config", "core.analytics", "false")
        (self.place / "params.yaml").write_text("".join(f"p{k}: {k}\n" for k in range(WIDTH)))
        metrics = "{f'm{k}': 0.5 for k in range(20)}"
        (self.place / "train.py").write_text(f"import json\njson.dump({metrics}, open('metrics.json', 'w'))\n")
        stage = "stages:\n  train:\n    cmd: python3 train.py\n    deps: [train.py]\n    params: [p0]\n    metrics:\n"
        (self.place / "dvc.yaml").write_text(f"{stage}    - metrics.json:\n        cache: false\n")
        self.sh(self.program, "repro", "-q")
        self.sh("git", "add", "-A")
        self.sh("git", "commit", "-qm", "start")
        self.head = self.sh("git", "rev-parse", "HEAD").strip()

    def fill(self, size: int) -> None:
        stream = []
        for number in range(self.have, size):
            params = "".join(f"p{k}: {(number + k) % 10}\n" for k in range(WIDTH))
            metrics = json.dumps({f"m{k}": (number * 31 + k) % 1000 / 1000 for k in range(WIDTH)})
            ref = f"refs/exps/{self.head[:2]}/{self.head[2:]}/exp-{number}"
            who = f"bench <bench@example.org> {1_780_000_000 + number} +0000"
            stream.append(f"commit {ref}\ncommitter {who}\ndata 4\nexp\n\nfrom {self.head}\n")
            for name, text in (("params.yaml", params), ("metrics.json", metrics)):
                stream.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n")
        self.sh("git", "fast-import", "--quiet", given="".join(stream).encode())
        self.have = size

    def ask(self) -> dict[str, float]:
        return {
            "dvc exp list --name-only": self.timed(self.program, "exp", "list", "--name-only"),
            "dvc exp show --csv": self.timed(self.program, "exp", "show", "--csv"),
        }


def maker(kind: type[Questions]) -> Callable[[Path], Questions | None]:
    """Makes the peer where it is installed."""

    def make(place: Path) -> Questions | None:
        found = program(kind.name)
        if found is None:
            return None
        place.mkdir(exist_ok=True)
        return kind(place, found)

    return make


PEERS = tuple(map(maker, (Mlflow, Guild, Dvc)))
