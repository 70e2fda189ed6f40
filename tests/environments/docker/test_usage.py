"""What an engine says of a container becomes samples, by the names that those of a process have."""

from __future__ import annotations

from pathlib import Path

from mltrack.environments.docker.usage import Usage, used
from mltrack.formats.samples import read_samples
from tests.engines import IMAGE
from tests.helpers import git, write
from tests.stories.typing import Person

STATS = {
    "memory_stats": {"usage": 100, "stats": {"inactive_file": 40}},
    "cpu_stats": {"cpu_usage": {"total_usage": 5e8}},
    "pids_stats": {"current": 3},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "op": "read", "value": 7},
            {"major": 9, "op": "Read", "value": 1},
            {"major": 8, "op": "write", "value": 9},
            {"major": 8, "op": "discard", "value": 5},
        ]
    },
    "networks": {"eth0": {"rx_bytes": 11, "tx_bytes": 12}, "eth1": {"rx_bytes": 1, "tx_bytes": 1}},
}


def test_statistics_become_a_sample() -> None:
    assert used(STATS) == {
        "memory_bytes": 60,
        "cpu_seconds": 0.5,
        "threads": 3,
        "read_bytes": 8,
        "written_bytes": 9,
        "received_bytes": 12,
        "sent_bytes": 13,
    }
    assert used({}) == {}
    assert used({"blkio_stats": {"io_service_bytes_recursive": None}, "networks": None, "memory_stats": {}}) == {}


def test_samples_are_added_to_the_runs_file(tmp_path: Path) -> None:
    usage = Usage({}, "x", tmp_path / "samples.jsonl")
    usage.last_at -= 10
    usage.note(STATS)
    usage.note({})
    usage.note({**STATS, "cpu_stats": {"cpu_usage": {"total_usage": 9e8}}})
    first, second = read_samples(tmp_path / "samples.jsonl")
    assert first["cpu_percent"] == 5 and first["memory_bytes"] == 60
    assert second["cpu_seconds"] == 0.9 and second["t"] >= first["t"] > 1e9


def test_a_full_disk_is_no_harm(tmp_path: Path) -> None:
    usage = Usage({}, "x", tmp_path / "not-there" / "samples.jsonl")
    usage.note(STATS)
    assert usage.peak_memory_bytes == 60


def test_a_run_in_a_container_has_samples(person: Person) -> None:
    write(person.cwd, {"t.sh": "x=0; while [ $x -lt 300000 ]; do x=$((x + 1)); done; sleep 2\n"})
    git(person.cwd, "add", "-A")
    git(person.cwd, "commit", "-qm", "script")
    person.type("run", "--image", IMAGE, "--", "sh", "t.sh")
    used = person.json("show", "@")["resources"]
    assert used["series"] and used["mean_memory_bytes"] and used["cpu_seconds"] > 0
    assert used["peak_processes"] is None and used["gpus"] == []
    assert person.type("show", "@", "--series", "memory_bytes")
