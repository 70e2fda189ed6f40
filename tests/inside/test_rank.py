"""A process that is a rank: how it knows, what it tells, and that the program cannot tell that its output is copied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mltrack
from mltrack.collect.ranks import read_ranks
from mltrack.inside import _mltrack_rank
from mltrack.live.outputlog import plain_bytes
from mltrack.live.ranks import RankLogs

INSIDE = Path(mltrack.__file__).parent / "inside"
RANK = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}

STREAMS = """import io, sys
def look(stream):
    raw = getattr(stream.buffer, "raw", stream.buffer)
    names = ("encoding", "errors", "line_buffering", "write_through", "mode", "name", "newlines", "closed")
    print([getattr(stream, name, None) for name in names], type(stream), stream.fileno(), stream.isatty())
    print([raw.name, raw.mode, raw.closefd, raw.fileno(), raw.readable(), raw.seekable()], isinstance(raw, io.FileIO))
    print(type(stream.buffer), type(raw).__name__, stream is getattr(sys, "__%s__" % stream.name.strip("<>")))
look(sys.stdout), look(sys.stderr), look(sys.__stdout__)
sys.stdout.write("é\\n"), sys.stdout.buffer.write(b"\\xff\\n"), sys.stderr.write("to stderr")
sys.stdout.reconfigure(line_buffering=True)
sys.stdout.writelines(["a", "b\\n"])
print("no end", end="")
"""


@pytest.mark.parametrize(
    ("variables", "rank"),
    [
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, (3, 4, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "4", "WORLD_SIZE": "4"}, None),
        ({"RANK": "full", "WORLD_SIZE": "4"}, None),
        ({"RANK": "-1", "WORLD_SIZE": "4"}, None),
        ({"WORLD_SIZE": "4"}, None),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}, (1, 2, 0)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2, None)),
        ({"HOROVOD_RANK": "1", "HOROVOD_SIZE": "2", "HOROVOD_LOCAL_RANK": "1"}, (1, 2, 1)),
        ({"JAX_PROCESS_ID": "1", "JAX_NUM_PROCESSES": "2"}, (1, 2, None)),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "1", "SLURM_NTASKS": "2"}, (1, 2, 1)),
        ({"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "2"}, None),  # the batch script itself
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "RANK": "9", "WORLD_SIZE": "16"}, (9, 16, None)),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, (1, 2, 1)),  # Lightning's own start
        ({"LOCAL_RANK": "1", "NODE_RANK": "1", "WORLD_SIZE": "4"}, None),
        ({}, None),
    ],
)
def test_a_rank_is_known_by_what_its_launcher_sets(
    variables: Mapping[str, str], rank: tuple[int, int, int | None] | None
) -> None:
    assert _mltrack_rank.of(variables) == rank


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        (["/v/bin/python", "/v/bin/torchrun", "train.py"], True),
        (["python", "-m", "torch.distributed.run", "train.py"], True),
        (["python", "-u", "-X", "dev", "-m", "torch.distributed.run", "train.py"], True),
        (["python", "-W", "torchrun", "-m", "train"], False),
        (["python", "-m"], False),
        (["python", "train.py", "torchrun"], False),
        (["/v/bin/accelerate", "launch"], True),
        ([], False),
    ],
)
def test_a_launcher_is_no_rank(words: list[str], is_one: bool) -> None:
    assert _mltrack_rank.is_launcher(words) is is_one


@contextmanager
def keeper(run: Path) -> Iterator[RankLogs]:
    """Somebody who reads what ranks send, as the keeper does."""
    run.mkdir(exist_ok=True)
    logs = RankLogs(run, 1 << 30, lambda: lambda line: line)
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.005):
            logs.read(0.0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield logs
    finally:
        is_over.set()
        thread.join()


def start(run: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": str(INSIDE), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    environment = {**known, "MLTRACK_RUN_DIR": str(run), **variables}
    return subprocess.run([sys.executable, *words], env=environment, cwd=run, capture_output=True, timeout=60)


def copied(
    run: Path, *words: str, **variables: str
) -> tuple[subprocess.CompletedProcess[bytes], bytes, dict[str, Any]]:
    """What a rank wrote, what its log has, and what is told of that."""
    with keeper(run) as logs:
        done = start(run, *words, **{**RANK, **variables})
        deadline = time.monotonic() + 5
        while logs.read(0.0) and time.monotonic() < deadline:
            pass
    told = logs.close(1.0, 1 << 24)
    log = run / "ranks" / "1.log"
    return done, log.read_bytes() if log.exists() else b"", told


@pytest.mark.parametrize("options", [(), ("-u",), ("-X", "utf8=0")], ids=["buffered", "unbuffered", "no utf-8"])
def test_the_streams_of_a_rank_are_as_before_and_its_log_has_all(tmp_path: Path, options: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    bare = start(run, *options, "-c", STREAMS)
    done, log, told = copied(run, *options, "-c", STREAMS)
    assert (done.returncode, done.stdout, done.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert bare.returncode == 0
    assert plain_bytes(log, "o") == bare.stdout
    assert plain_bytes(log, "e") == bare.stderr
    assert not any(told.values())


def test_nothing_is_copied_of_a_process_that_is_no_rank(tmp_path: Path) -> None:
    done, log, _ = copied(tmp_path / "run", "-c", "print(1)", WORLD_SIZE="1", RANK="0")
    assert (done.stdout, log) == (b"1\n", b"")
    assert not (tmp_path / "run" / "ranks").exists()


def test_a_rank_tells_of_itself_at_its_start_without_secrets(tmp_path: Path) -> None:
    more = {"CUDA_VISIBLE_DEVICES": "0,1", "TORCH_HUB_TOKEN": "hunter22", "EDITOR": "vi", "NCCL_DEBUG": "INFO"}
    copied(tmp_path / "run", "-c", "import os; os.kill(os.getpid(), 9)", **more)
    (rank,) = read_ranks(tmp_path / "run")
    assert (rank.rank, rank.of, rank.local_rank, rank.device, rank.has_log) == (1, 2, 1, "0,1", True)
    assert (rank.host, rank.prefix) == (os.uname().nodename, sys.prefix)
    assert rank.variables == {**RANK, "CUDA_VISIBLE_DEVICES": "0,1", "NCCL_DEBUG": "INFO"}
    assert b"hunter22" not in (tmp_path / "run" / "ranks" / "1").read_bytes()


def test_a_burst_of_lines_comes_whole(tmp_path: Path) -> None:
    done, log, told = copied(tmp_path / "run", "-c", "for i in range(60000): print('step', i, 'loss', 0.123456)")
    assert plain_bytes(log) == done.stdout
    assert not any(told.values())


@pytest.mark.parametrize(
    "program",
    [
        "import os; print('x'); os.closerange(3, 4096); f = open('mine', 'w'); print('y'); f.write('z')",
        # a file of the program's own under our very number
        (
            "import os, sys, fcntl\nprint('x', flush=True)\nos.closerange(3, 4096)\nf = open('mine', 'w')\n"
            "fcntl.fcntl(f, fcntl.F_DUPFD, 100)\nprint('y', flush=True)\nf.write('z')"
        ),
        "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL); print('x\\ny'); open('mine', 'w').write('z')",
        "import os; print('x', flush=True); os.unlink('ranks.fifo'); print('y'); open('mine', 'w').write('z')",
        (
            "import os\nprint('x', flush=True)\nif os.fork() == 0:\n    print('y', flush=True); os._exit(0)\nos.wait()\n"
            "open('mine', 'w').write('z')"
        ),
        (
            "import sys, threading\nts = [threading.Thread(target=sys.stdout.write, args=('x\\n' * 500,)) for _ in range(8)]\n"
            "[t.start() for t in ts]; [t.join() for t in ts]; print('y'); open('mine', 'w').write('z')"
        ),
    ],
    ids=["closes all", "takes our number", "dies of SIGPIPE", "removes the FIFO", "forks", "threads"],
)
def test_a_rank_that_does_strange_things_is_left_alone(tmp_path: Path, program: str) -> None:
    done, log, _ = copied(tmp_path / "run", "-c", program)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"y\n")
    assert plain_bytes(log).count(b"\n") == done.stdout.count(b"\n")
    assert (tmp_path / "run" / "mine").read_text() == "z"


def test_when_the_keeper_has_gone_a_rank_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    logs = RankLogs(run, 1 << 20, lambda: lambda line: line)
    program = (
        "import signal, sys, time\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\nprint('x', flush=True)\n"
        "open('began', 'w').close()\nwhile True:\n    try: open('gone').close(); break\n    except OSError: time.sleep(0.01)\n"
        "for _ in range(400000): print('y' * 20)\nprint('end')"
    )
    thread = threading.Thread(target=leave, args=(run, logs.close))
    thread.start()
    done = start(run, "-c", program, **RANK)
    thread.join()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"y\nend\n")


def leave(run: Path, close: Callable[[float, int], object]) -> None:
    while not (run / "began").exists():
        time.sleep(0.005)
    close(1.0, 1 << 20)
    (run / "gone").touch()


def test_where_nobody_reads_a_rank_says_that_it_has_no_log(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "ranks.fifo")
    done = start(tmp_path / "run", "-c", "import sys; print(type(sys.stdout.buffer.raw).__module__)", **RANK)
    assert (done.stdout, done.stderr) == (b"_io\n", b"")
    (rank,) = read_ranks(tmp_path / "run")
    assert not rank.has_log


def logged(run: Path, program: str, **variables: str) -> tuple[list[Any], bytes]:
    run.mkdir(exist_ok=True)
    done = start(run, "-c", program, MLTRACK_METRICS=str(run / "m.jsonl"), **variables)
    return [json.loads(line) for line in (run / "m.jsonl").read_bytes().splitlines()], done.stderr


def test_points_name_their_rank(tmp_path: Path) -> None:
    program = "import mltrack\nmltrack.log({'loss': 1.5}, step=1)\nmltrack.log({'a': 1, 'rank': 7}, step=2)"
    (first, second), said = logged(tmp_path / "a", program, **RANK)
    assert (first["rank"], first["loss"], second["rank"], second["a"]) == (1, 1.5, 1, 1)
    assert b"a metric cannot be called rank here" in said
    (first, second), said = logged(tmp_path / "b", program)
    assert ("rank" in first, repr(second["rank"]), said) == (False, "7.0", b"")


def test_a_forked_child_that_is_given_a_rank_names_its_own(tmp_path: Path) -> None:
    program = (
        "import mltrack, os\nmltrack.log({'loss': 0}, step=1)\n"
        "if os.fork() == 0:\n    os.environ['RANK'] = '0'; mltrack.log({'loss': 1}, step=2); os._exit(0)\nos.wait()"
    )
    points, _ = logged(tmp_path / "run", program, **RANK)
    assert [point["rank"] for point in points] == [1, 0]
