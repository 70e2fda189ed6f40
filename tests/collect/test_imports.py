from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mltrack
from mltrack.collect.imports import Process, Processes, imported, libraries, module_of, read_process, read_processes

TOPS = {
    "torch": ["torch", "torchgen", "functorch"],
    "six": ["six.py"],
    "cffi": ["cffi", "_cffi_backend.cpython-311-x86_64-linux-gnu.so"],
    "google-cloud-storage": ["google/cloud/storage", "google/cloud/storage_v2"],
    "protobuf": ["google/protobuf", "google/_upb/_message.abi3.so"],
    "unused": ["unused"],
    "old-a": ["shared"],
    "old-b": ["shared"],
    "empty": [],
}


def process(
    *modules: str, prefix: str = "/venv", is_forked: bool = False, program: str = "train.py", **facts: str
) -> Process:
    return Process(
        f"{prefix}/bin/python3", prefix, "3.11.7", is_forked, program, dict.fromkeys(modules, "/x.py"), facts, {}
    )


def told(*processes: Process) -> Processes:
    return Processes(processes)


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ([], []),
        (["torch", "torch.nn", "six"], ["six", "torch"]),
        (["_cffi_backend"], ["cffi"]),
        (["google.cloud.storage"], ["google-cloud-storage"]),
        (["google", "google.cloud", "google.protobuf"], ["protobuf"]),
        (["google._upb._message"], ["protobuf"]),
        (["shared.inner"], ["old-a", "old-b"]),
        (["torchvision", "my_own", "six_more"], []),
    ],
)
def test_modules_are_counted_to_their_distributions(modules: list[str], expected: list[str]) -> None:
    assert imported(told(process(*modules)), TOPS) == tuple(expected)


def test_the_processes_of_a_run_add_up() -> None:
    both = told(process("six"), process("torch", is_forked=True))
    assert imported(both, TOPS) == ("six", "torch")


def test_nobody_looked_is_another_answer_than_nothing_was_imported() -> None:
    assert imported(Processes(), TOPS) is None
    assert imported(told(process()), TOPS) == ()
    killed = Processes((process("six"),), silent=("/venv",))
    assert imported(killed, TOPS) is None
    assert imported(killed, TOPS, "/venv/bin/python") is None
    assert imported(Processes((process("six"),), silent=("/poetrys",)), TOPS, "/venv/bin/python") == ("six",)


def test_what_lists_no_files_is_known_by_its_name() -> None:
    assert imported(told(process("my_own", "torch")), {**TOPS, "my-own": []}) == ("my-own", "torch")


def test_processes_of_another_environment_do_not_count() -> None:
    mixed = told(process("six", prefix="/poetrys", blas="a"), process("torch", blas="b"))
    assert imported(mixed, TOPS, "/venv/bin/python") == ("torch",)
    assert libraries(mixed, "/venv/bin/python") == {"blas": "b"}
    others = told(process("six", prefix="/gone", blas="a"))
    assert imported(others, TOPS, "/venv/bin/python") is None
    assert libraries(others, "/venv/bin/python") == {"blas": "a"}


def test_where_processes_do_not_agree_every_value_is_told_once() -> None:
    many = told(*(process(**{"blas.threads": str(number % 2), "blas": "x"}) for number in range(5)))
    assert libraries(many) == {"blas": "x", "blas.threads": "0, 1"}


def test_a_launchers_own_threads_do_not_count_where_others_told() -> None:
    launcher, worker = process(program="torchrun", threads="8"), process(program="ddp.py", threads="1")
    assert libraries(told(launcher, worker)) == {"threads": "1"}
    assert libraries(told(launcher)) == {"threads": "8"}


def test_paths_of_imports_are_modules() -> None:
    assert module_of("numpy.libs") == "numpy.libs"
    assert module_of("a/b.abi3.so") == "a.b"


def write(run: Path, name: str, content: Any) -> None:
    (run / "processes").mkdir(exist_ok=True)
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (run / "processes" / name).write_bytes(text)


GOOD = {
    "format": 1, "program": "train.py", "executable": "/v/bin/python", "prefix": "/v", "python": "3.11.7", "started": "script",
    "forked": False, "modules": {"six": "/v/six.py"}, "facts": {"blas": "OpenBLAS"}, "variables": {},
}  # fmt: skip


def test_what_is_damaged_or_strange_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "1-a.json", GOOD)
    write(tmp_path, "2-a.json", b"")
    write(tmp_path, "3-a.json", json.dumps(GOOD).encode()[:-9])
    write(tmp_path, "4-a.json", {**GOOD, "format": 2})
    write(tmp_path, "5-a.json", {**GOOD, "modules": ["six"]})
    write(tmp_path, "6-a.json", b"[" * 100_000)
    write(tmp_path, "7-a.json", b" " * 3_000_000 + json.dumps(GOOD).encode())
    write(tmp_path, "8-a.json.tmp", GOOD)
    (tmp_path / "processes" / "9-a.json").symlink_to(tmp_path / "processes" / "1-a.json")
    os.mkfifo(tmp_path / "processes" / "10-a.json")
    (tmp_path / "processes" / "11-a.json").mkdir()
    write(tmp_path, "nonsense", GOOD)
    found = read_processes(tmp_path)
    assert [one.modules for one in found.told] == [{"six": "/v/six.py"}]
    assert found.silent == ()


def test_facts_are_short_and_printable(tmp_path: Path) -> None:
    facts = {"blas": "x" * 1000, "a\nb": "1", "cuda": "1\x1b[31m", "n": 5, "empty": " ", "ok.key": " v "}
    write(tmp_path, "1-a.json", {**GOOD, "facts": facts})
    assert libraries(read_processes(tmp_path)) == {"blas": "x" * 300, "ok.key": "v"}


def test_processes_that_could_not_tell_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "1-a.json", GOOD)
    write(tmp_path, "1-b.began", b"")  # it became another program
    write(tmp_path, "2-a.began", b"/v\xff")
    write(tmp_path, "3-a.began", b"x" * 5000)
    assert read_processes(tmp_path).silent == ("/v\udcff",)


def test_a_run_without_processes_has_none(tmp_path: Path) -> None:
    assert read_processes(tmp_path) == Processes()
    (tmp_path / "processes").write_text("")
    assert read_processes(tmp_path) == Processes()


@settings(max_examples=200, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner)))  # fmt: skip
def test_nothing_that_json_can_say_raises(value: Any) -> None:
    for told in (value, {**GOOD, "modules": value}, {**GOOD, "facts": value}, {**GOOD, "prefix": value}):
        read_process(json.dumps(told).encode())


def test_what_a_real_process_wrote_is_read(tmp_path: Path) -> None:
    inside = Path(mltrack.__file__).parent / "inside"
    environment = {**os.environ, "PYTHONPATH": str(inside), "MLTRACK_RUN_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import pytest, yaml"], env=environment, check=True)
    found = read_processes(tmp_path)
    assert found.silent == ()
    tops = {"pytest": ["pytest", "_pytest", "py.py"], "pyyaml": ["yaml", "_yaml"], "hypothesis": ["hypothesis"]}
    assert imported(found, tops, sys.executable) == ("pytest", "pyyaml")


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    inside = Path(mltrack.__file__).parent / "inside"
    place = tmp_path / os.fsdecode(b'caf\xe9 "\\\xf0\x9f\x90\x8d')
    place.mkdir()
    (place / "own.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": f"{inside}{os.pathsep}{place}", "MLTRACK_RUN_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import own"], env=environment, check=True)
    (one,) = read_processes(tmp_path).told
    assert one.modules["own"] == str(place / "own.py")
