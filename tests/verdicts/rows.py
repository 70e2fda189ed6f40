"""The matrix: each row is an experiment of a known kind, with the grade that it must get, and a case beside it that must
not get that grade."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.verdicts.laboratory import DATA, SUM, Experiment, around, experiment, told

Row = Iterator[tuple[str, str]]
"""Pairs: the grade that came out, the one that had to."""

SUMMING = ("--metrics", "metrics.json", "--input", "data.csv", "--output", "*.bin")

THREADS = """import json, os, random, threading, time
random.seed(7)
parts = [0.1, 0.2, 0.3]
first = os.urandom(1)[0] % 2
lock, found = threading.Lock(), []
def work(number):
    time.sleep(0.02 * ((number + first) % 2))
    with lock:
        found.append(number)
threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
a, b, c = parts
total = (a + b) + c if found[0] == 0 else a + (b + c)
json.dump({"loss": total + SHIFT}, open("metrics.json", "w"))
json.dump({"weights": [1.0, total + SHIFT]}, open("model.json", "w"))
"""

UNSEEDED = """import json, os, random
json.dump({"acc": random.choice((0.90, 0.92)) + SHIFT}, open("metrics.json", "w"))
open("model.bin", "wb").write(os.urandom(64))
"""

DATED = """import os, time
stamp = time.strftime("%Y%m%d_%H%M%S")
os.makedirs(f"runs/{stamp}")
open(f"runs/{stamp}/result.txt", "w").write("RESULT\\n")
open(f"report-{stamp}.txt", "w").write(f"made {time.strftime('%Y-%m-%d %H:%M:%S')}: RESULT\\n")
"""

PLACES = """import os
open("paths.txt", "w").write(f"reading {os.getcwd()}/train.py and {PLACE}\\nloss 0.5\\n")
"""

ARCHIVE = """import time, zipfile
with zipfile.ZipFile("model.zip", "w") as archive:
    archive.writestr(zipfile.ZipInfo("weights", time.localtime()[:6]), b"WEIGHTS")
time.sleep(2)
"""


def deterministic(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": SUM, "data.csv": DATA})
    one.record(*SUMMING)
    verdict = one.reproduce()
    yield verdict["grade"], "identical"
    assert told(verdict) == {"model.bin": "identical", "metrics.json": "identical", "loss": "identical"}
    one.change({"train.py": SUM.replace("0.5", "0.5000001")})
    yield one.rerun()["grade"], "different"


def thread_order(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": THREADS.replace("SHIFT", "0")})
    one.record("--seed", "7", "--metrics", "metrics.json", "--output", "model.json")
    one.person.type("calibrate", one.recorded, "-n", "12", "--json")
    for _ in range(3):
        grade = one.reproduce()["grade"]
        yield "identical" if grade == "within noise" else grade, "identical"  # one of the two orders is the recorded
    one.change({"train.py": THREADS.replace("SHIFT", "1e-9")})
    yield one.rerun()["grade"], "different"


def unseeded(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": UNSEEDED.replace("SHIFT", "0")})
    one.record("--metrics", "metrics.json", "--output", "model.bin")
    before = one.reproduce()
    yield before["grade"], "different"
    one.person.type("calibrate", one.recorded, "-n", "12", "--json")
    verdict = one.judge()
    yield verdict["grade"], "within noise"
    assert told(verdict)["model.bin"] == "nothing to compare"
    one.change({"train.py": UNSEEDED.replace("SHIFT", "0.5")})
    yield one.rerun()["grade"], "different"


def changed_data(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": SUM, "data.csv": DATA})
    one.record(*SUMMING)
    one.change({"data.csv": DATA.replace("2", "7")})
    verdict = one.rerun()
    yield verdict["grade"], "different"
    assert "inputs.data.csv" in around(verdict)[:1]
    yield one.reproduce()["grade"], "identical"


def changed_package(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": "import tiny\nopen('out.txt', 'w').write(f'{tiny.VALUE}\\n')\n"}, kind="python")
    python = virtual(one, "1.0")
    one.record("--output", "out.txt", command=f"{python} train.py")
    yield one.rerun()["grade"], "identical"
    virtual(one, "2.0")
    verdict = one.rerun()
    yield verdict["grade"], "different"
    found = [item for item in verdict["conditions"] if item["what"] == "packages.tiny"]
    assert [(item["then"], item["now"]) for item in found] == [("1.0", "2.0")]


def virtual(one: Experiment, version: str) -> str:
    """A virtual environment with one package of that version; its interpreter."""
    import subprocess
    import sys

    place = one.person.cwd.parent / "venv"
    if not place.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    packages = next((place / "lib").glob("python*")) / "site-packages"
    for old in packages.glob("tiny-*"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    about = packages / f"tiny-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
    (about / "RECORD").write_text(
        f"tiny.py,,\ntiny-{version}.dist-info/METADATA,,\ntiny-{version}.dist-info/RECORD,,\n"
    )
    (packages / "tiny.py").write_text(f"VALUE = {version}\n")
    return str(place / "bin" / "python")


def without_effect(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": SUM, "data.csv": DATA})
    one.record(*SUMMING)
    one.change({"train.py": f"# a remark\n{SUM}"})
    verdict = one.rerun()
    yield verdict["grade"], "identical"
    assert "code.tree" in around(verdict)


def renamed(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": SUM, "data.csv": DATA})
    one.record(*SUMMING)
    (one.person.cwd / "model.bin").unlink()
    one.change({"train.py": SUM.replace("model.bin", "weights.bin")})
    verdict = one.rerun()
    yield verdict["grade"], "different"
    assert "now at weights.bin" in next(item for item in verdict["artifacts"] if item["path"] == "model.bin")["reason"]


def extra(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": SUM, "data.csv": DATA})
    one.record(*SUMMING)
    one.change({"train.py": f"{SUM}open('more.bin', 'w').write('x')\n"})
    verdict = one.rerun()
    yield verdict["grade"], "different"
    same = {"model.bin": "identical", "metrics.json": "identical", "loss": "identical"}
    assert told(verdict) == {"more.bin": "different", **same}


def missing(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": f"{SUM}open('more.bin', 'w').write('x')\n", "data.csv": DATA})
    one.record(*SUMMING)
    (one.person.cwd / "more.bin").unlink()
    one.change({"train.py": SUM})
    verdict = one.rerun()
    yield verdict["grade"], "different"
    same = {"model.bin": "identical", "metrics.json": "identical", "loss": "identical"}
    assert told(verdict) == {"more.bin": "different", **same}


def failing(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": f"{SUM}raise SystemExit(3)\n", "data.csv": DATA})
    one.record(*SUMMING, code=3)
    verdict = one.reproduce()
    yield verdict["grade"], "identical"
    assert "both failed with exit 3" in verdict["cause"]
    one.change({"train.py": f"{SUM}raise SystemExit(4)\n"})
    yield one.rerun(code=4)["grade"], "different"


def dated(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": DATED.replace("RESULT", "five")})
    one.record()
    time.sleep(1.1)  # its names tell whole seconds
    verdict = one.reproduce()
    yield verdict["grade"], "equivalent"
    assert sorted(told(verdict).values()) == ["equivalent", "equivalent"]  # one of them only by its name
    one.change({"train.py": DATED.replace("RESULT", "fives")})
    yield one.rerun()["grade"], "different"


def own_path(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": PLACES.replace("PLACE", "os.getcwd()")})
    one.record()
    yield one.reproduce()["grade"], "equivalent"
    one.change({"train.py": PLACES.replace("PLACE", "'/srv/other'")})
    yield one.rerun()["grade"], "different"


def archive(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": ARCHIVE.replace("WEIGHTS", "1234")})
    one.record()
    yield one.reproduce()["grade"], "equivalent"
    one.change({"train.py": ARCHIVE.replace("WEIGHTS", "1235")})
    yield one.rerun()["grade"], "different"


def tolerated(make: Callable[..., Experiment]) -> Row:
    rules = 'verdict: {tolerance: {loss: {rel: 0.001}, "*.json": {abs: 0.1}}, ignore: ["*_time"]}\n'
    program = "import json, time\njson.dump({'loss': 1.0, 'fit_time': time.time()}, open('metrics.json', 'w'))\n"
    program += "json.dump([1, 2.0], open('weights.json', 'w'))\n"
    one = make({"train.py": program, "mltrack.yaml": rules})
    one.record("--metrics", "metrics.json", "--output", "weights.json")
    one.change({"train.py": program.replace("1.0", "1.0005").replace("2.0", "2.05")})
    verdict = one.rerun()
    yield verdict["grade"], "within tolerance"
    assert told(verdict) == dict.fromkeys(("weights.json", "metrics.json", "loss"), "within tolerance")
    one.change({"train.py": program.replace("1.0", "1.002")})
    yield one.rerun()["grade"], "different"
    one.change({"train.py": program.replace("2.0", "'2.0'")})
    yield one.rerun()["grade"], "different"


def silent(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": "print('hello')\n"})
    one.record()
    verdict = one.reproduce()
    yield verdict["grade"], "nothing to compare"
    assert any("output is the same" in text for text in verdict["remarks"])
    one.change({"train.py": "open('out', 'w').write('x')\n"})
    yield one.rerun()["grade"], "different"


def impossible(make: Callable[..., Experiment]) -> Row:
    one = make({"train.py": "print('hello')\n", "tool": "#!/bin/sh\n"})
    tool = one.person.cwd.parent / "tool"
    tool.write_text("#!/bin/sh\necho hello\n")
    tool.chmod(0o755)
    one.record(command=str(tool))
    yield one.reproduce()["grade"], "nothing to compare"
    os.unlink(tool)
    yield one.reproduce()["grade"], "could not run"


ROWS: dict[str, Callable[[Callable[..., Experiment]], Row]] = {
    "deterministic": deterministic,
    "seeded, thread order": thread_order,
    "unseeded": unseeded,
    "changed data, same size": changed_data,
    "changed package": changed_package,
    "changed code, no effect": without_effect,
    "output renamed": renamed,
    "extra output": extra,
    "missing output": missing,
    "failing by design": failing,
    "dated file names": dated,
    "own path in an output": own_path,
    "times in an archive": archive,
    "within its tolerance": tolerated,
    "nothing written": silent,
    "program gone": impossible,
}
"""What it is -> the row."""

QUICK = ("changed data, same size", "failing by design", "dated file names", "output renamed", "within its tolerance")
"""Rows of every test run; the others are of the soak."""


def maker(place: Path, path: str) -> Callable[..., Experiment]:
    def make(files: dict[str, str | bytes], kind: str = "system") -> Experiment:
        place.mkdir()
        return experiment(place / "work", path, files, kind)

    return make
