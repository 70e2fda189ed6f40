"""`mltrack verdict`, the last line of a rerun, and `ls --verdicts`."""

from __future__ import annotations

from pathlib import Path

from tests.helpers import write
from tests.verdicts.laboratory import experiment

PROGRAM = "import json\njson.dump({'loss': 1.0}, open('metrics.json', 'w'))\nopen('a.txt', 'w').write('one\\n')\n"


def test_a_verdict_is_given_again_by_todays_settings(tmp_path: Path, command_path: str) -> None:
    one = experiment(tmp_path / "work", command_path, {"train.py": PROGRAM})
    one.record("--metrics", "metrics.json", "--output", "a.txt")
    person = one.person
    error, hint = person.fails("verdict", "@", code=2)
    assert "repeats no other run" in error and "--against" in hint
    one.change({"train.py": PROGRAM.replace("1.0", "1.001")})
    done = person.try_("rerun", one.recorded)
    assert done.returncode == 0
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(
        f"mltrack: different, compared with {one.recorded[:8]}: 1 of 2 artifacts byte for byte, 1 different; loss moved"
    )
    assert "+0.1 %" in line and "What was not the same: the code." in line

    write(person.cwd, {"mltrack.yaml": "verdict: {tolerance: {loss: {rel: 0.01}}}\n"})
    done = person.try_("verdict", "@")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "✓ within tolerance: 1 of 2 artifacts byte for byte, 1 within tolerance; loss moved by +0.1 %, within its toler"
    )
    assert "was 'different' before" in done.stderr
    again = person.json("verdict", "@")
    assert (again["kept"], again["verdict"]["grade"]) == (False, "within tolerance"), "nothing new to keep"
    assert person.json("show", "@")["verdict"] == again["verdict"]

    one.change({"train.py": PROGRAM.replace("1.0", "2.0")})
    person.type("run", "--quiet", "--metrics", "metrics.json", "--", "python", "train.py")
    against = person.json("verdict", "@", "--against", one.recorded, code=1)
    assert (against["kept"], against["verdict"]["of"]) == (False, one.recorded)
    assert person.json("show", "@")["verdict"] is None
    listed = person.type("ls", "--verdicts").splitlines()
    assert [line.split()[1:6] for line in listed[1:]] == [["rerun", one.recorded[:8], "✓", "within", "tolerance"]]
    assert "loss +0.1 %" in listed[1]
