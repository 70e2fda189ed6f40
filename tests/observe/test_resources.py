"""What a command's processes use: found, added up, and not counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mltrack.live.process import start_time
from mltrack.observe import resources
from mltrack.observe.gpus import Gpus
from mltrack.observe.resources import Process, Resources, Tree, counts_of, interfaces, read_by_psutil, read_process

linux = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
BURN = "import time\nend = time.process_time() + %s\nwhile time.process_time() < end: pass\n"


@contextmanager
def command(*argv: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command in a group and session of its own, which ends with us."""
    process = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE, text=True, **options)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it says when it is ready
        yield process
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.stdout.close()


@linux
def test_the_whole_tree_is_added_up() -> None:
    code = "import subprocess, sys; x = b'1' * (50 << 20); p = subprocess.Popen([sys.executable, '-c', \"x = b'1' * (60 << 20); print('ready', flush=True); input()\"], stdin=subprocess.PIPE); p.wait()"
    with command(sys.executable, "-c", code) as process:
        tree = Tree(process.pid, start_time(process.pid), time.monotonic())
        found = tree.sample(time.monotonic())
        assert found is not None
        assert found["processes"] == 2
        assert 110 << 20 < found["memory_bytes"] < 250 << 20
        assert found["threads"] >= 2


@linux
def test_processes_that_lost_their_parent_are_found() -> None:
    script = "(sleep 60 & sleep 60 &); echo ready; exec sleep 60"
    with command("sh", "-c", script) as process:
        found = Tree(process.pid, None, time.monotonic()).sample(time.monotonic())
        assert found is not None and found["processes"] == 3


@linux
def test_what_left_the_group_after_it_was_seen_is_kept() -> None:
    code = (
        "import os, time\n"
        "if os.fork(): print('ready', flush=True); time.sleep(0.6); os._exit(0)\n"
        "time.sleep(0.3); os.setsid(); time.sleep(60)\n"
    )
    with command("sh", "-c", f'"{sys.executable}" -c "{code}"; sleep 60') as process:
        tree = Tree(process.pid, None, time.monotonic())
        before = tree.sample(time.monotonic())
        time.sleep(1)
        after = tree.sample(time.monotonic())
        assert before is not None and before["processes"] == 3
        assert after is not None and after["processes"] == 3  # sh, its sleep, and the one that went away
        for pid in tree.found:
            if pid != process.pid:
                os.kill(pid, signal.SIGKILL)


@linux
def test_cpu_time_of_ended_children_is_counted_once() -> None:
    burn = BURN % 0.3
    script = f'echo ready; for i in 1 2 3; do "{sys.executable}" -c "{burn}"; done; sleep 60'
    with command("sh", "-c", script) as process:
        tree = Tree(process.pid, None, time.monotonic())
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = tree.sample(time.monotonic())
            assert found is not None
            if found["cpu_seconds"] >= 0.9 and found["processes"] == 2 and len(tree.found) == 2:
                break
            time.sleep(0.05)
        time.sleep(0.2)
        last = tree.sample(time.monotonic())
        assert last is not None and 0.9 <= last["cpu_seconds"] < 2


def made_up(monkeypatch: pytest.MonkeyPatch, world: dict[int, Process]) -> Callable[[float], resources.Sample | None]:
    """A tree whose processes are those of the dict; 10 is the command."""
    monkeypatch.setattr(resources, "pids", lambda: set(world))
    monkeypatch.setattr(resources, "disk_bytes", lambda pid: None)
    monkeypatch.setattr(resources, "tracer_of", lambda pid: [])
    tree = Tree(10, "1", 0.0)
    tree.read = lambda pid: (lambda it: Process(**vars(it)) if it else None)(world.get(pid))
    return tree.sample


def test_a_childs_time_moves_to_the_parent_that_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    world = {10: Process(1, 10, 10, "1", cpu=1.0), 11: Process(10, 10, 10, "2", cpu=4.0)}
    sample = made_up(monkeypatch, world)
    assert (sample(10.0) or {})["cpu_percent"] == 50
    del world[11]
    world[10].cpu = 1 + 6.0  # the child used 2 more, and was waited for
    found = sample(20.0) or {}
    assert found["cpu_seconds"] == 7
    assert found["cpu_percent"] == 20


def test_an_orphans_time_stays_counted_and_is_never_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    world = {10: Process(1, 10, 10, "1", cpu=1.0), 11: Process(1, 10, 10, "2", cpu=4.0)}
    sample = made_up(monkeypatch, world)
    sample(10.0)
    del world[11]
    found = sample(20.0) or {}
    assert (found["cpu_seconds"], found["cpu_percent"]) == (5, 0)


def test_a_pid_that_is_used_again_is_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    world = {10: Process(1, 10, 10, "1"), 11: Process(10, 10, 10, "2", memory=7), 12: Process(1, 12, 12, "3", memory=9)}
    sample = made_up(monkeypatch, world)
    assert (sample(1.0) or {})["memory_bytes"] == 7
    world[11] = Process(1, 99, 99, "4", memory=100)
    assert (sample(2.0) or {})["memory_bytes"] == 0
    world[10] = Process(1, 10, 10, "5")
    assert sample(3.0) is None


def test_grandchildren_with_smaller_pids_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    world = {
        10: Process(1, -7, -7, "1"),
        5: Process(6, -7, -7, "2"),
        6: Process(10, -7, -7, "2"),
        7: Process(1, 7, 7, "2"),
    }
    assert (made_up(monkeypatch, world)(1.0) or {})["processes"] == 3


@linux
def test_bytes_to_disk_are_counted(tmp_path: Path) -> None:
    script = "dd if=/dev/zero of=big bs=1M count=8 conv=fsync 2>/dev/null; echo ready; sleep 60"
    with command("sh", "-c", script, cwd=tmp_path) as process:
        found = Resources(process.pid, None, time.monotonic()).sample()
        assert found is not None
        if resources.disk_bytes(process.pid) is None:
            pytest.skip("the kernel does not count them")
        assert found["written_bytes"] >= 8 << 20
        assert found["read_bytes"] >= 0 and {"received_bytes", "sent_bytes"} <= found.keys()


@linux
def test_a_command_that_has_ended_gives_no_sample() -> None:
    with subprocess.Popen(["sleep", "0"], start_new_session=True) as process:
        sampled = Resources(process.pid, start_time(process.pid), time.monotonic())
        time.sleep(0.1)  # a zombie, which we have not waited for
        assert sampled.sample() is None
    assert sampled.sample() is None


@linux
@pytest.mark.needs("strace")
def test_the_tracer_is_not_the_commands(tmp_path: Path) -> None:
    from mltrack.observe.trace import wrap

    with command(*wrap(["sh", "-c", "sleep 60 & echo ready; wait"], tmp_path, os.environ)[0]) as process:
        assert resources.tracer_of(process.pid)
        found = Tree(process.pid, None, time.monotonic()).sample(time.monotonic())
        assert found is not None and found["processes"] == 2


def test_psutil_tells_the_same_of_a_process() -> None:
    with command(
        sys.executable, "-c", "x = b'1' * (30 << 20); print('ready', flush=True); input()", stdin=subprocess.PIPE
    ) as process:
        told = read_by_psutil(process.pid)
        assert told is not None
        assert told.group == told.session == process.pid
        assert told.parent == os.getpid()
        assert told.memory > 30 << 20
        if sys.platform == "linux":
            read = read_process(process.pid)
            assert read is not None
            assert (read.parent, read.group, read.session, read.threads) == (
                told.parent,
                told.group,
                told.session,
                told.threads,
            )
            assert abs(read.cpu - told.cpu) < 0.1
            assert 0.5 < read.memory / told.memory < 2
        assert process.stdin is not None
        process.stdin.close()
    assert read_by_psutil(process.pid) is None


NET = b"""Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9000      10    0    0    0     0          0         0     9000      10    0    0    0     0       0          0
  eth0:1000      10    0    0    0     0          0         0     200      10    0    0    0     0       0          0
docker0: 70      10    0    0    0     0          0         0     80      10    0    0    0     0       0          0
"""


def test_the_network_is_counted_where_it_leaves_the_machine() -> None:
    assert counts_of(NET) == (1000, 200)
    assert interfaces(["lo", "wlan0", "veth12", "br-5"]) == ["wlan0"]
    assert interfaces(["lo", "veth0"]) == ["veth0"]
    assert counts_of(b"") == (0, 0)


def nvml(**more: object) -> SimpleNamespace:
    """The names of pynvml that are used, with two devices, of which the second says little."""

    class NVMLError(Exception):
        pass

    def only_first(value: object) -> Callable[[int], object]:
        def ask(device: int) -> object:
            if device:
                raise NVMLError("not supported")
            return value

        return ask

    running = [
        SimpleNamespace(pid=7, usedGpuMemory=5 << 30),
        SimpleNamespace(pid=8, usedGpuMemory=None),
        SimpleNamespace(pid=99, usedGpuMemory=1),
    ]
    plain = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUtilizationRates": only_first(SimpleNamespace(gpu=87, memory=3)),
        "nvmlDeviceGetMemoryInfo": lambda device: SimpleNamespace(used=(20 + device) << 30),
        "nvmlDeviceGetComputeRunningProcesses": only_first(running),
    }
    return SimpleNamespace(**{**plain, **more})


def test_gpus_tell_what_they_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())  # type: ignore[arg-type]
    assert Gpus([str(tmp_path / "driver")]).sample({7}) == {}
    (tmp_path / "driver").touch()
    gpus = Gpus([str(tmp_path / "driver")])
    assert gpus.sample({7, 8}) == {
        "gpu0.percent": 87,
        "gpu0.memory_bytes": 20 << 30,
        "gpu0.own_memory_bytes": 5 << 30,
        "gpu1.memory_bytes": 21 << 30,
    }
    assert "gpu0.own_memory_bytes" not in gpus.sample({1})
    gpus.close()
    assert gpus.sample({7}) == {}


def test_a_failing_driver_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("driver/library version mismatch")

    (tmp_path / "driver").touch()
    for broken in ({"nvmlInit": fail}, {"nvmlDeviceGetCount": fail, "nvmlShutdown": fail}):
        monkeypatch.setitem(sys.modules, "pynvml", nvml(**broken))  # type: ignore[arg-type]
        assert Gpus([str(tmp_path / "driver")]).sample({7}) == {}
