"""What is said before a command starts, rule by rule; the real projects are in tests/operations/test_preflight.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.preflight.foreseen import Facts, foresee, size_text
from mltrack.records import CodeState, LeftOut, NestedCode, Run, Warning


def facts(**changes: Any) -> Facts:
    run = Run(1, "0" * 16, None, None, "running", ("python", "train.py"), ".")
    return replace(Facts(run, "/home/ada/project", "/home/ada"), **changes)


def found(**changes: Any) -> dict[str, str]:
    return {one.kind: one.grade for one in foresee(facts(**changes))}


def with_run(**changes: Any) -> dict[str, str]:
    return found(run=replace(facts().run, **changes))


def with_words(*words: str) -> dict[str, str]:
    return with_run(command=("python", "train.py", *words))


def test_a_plain_command_raises_nothing() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("/home/ada/project/data/x.csv", {"absolute-path": "C"}),
        ("--data=/home/ada/project/../project/x.csv", {"absolute-path": "C"}),
        ("/home/ada/projects/x.csv", {"path-outside": "B"}),
        ("data=/mnt/x.csv", {"path-outside": "B"}),
        ("/home/ada/.cache/thing/x.bin", {"path-in-cache": "D"}),
        ("/dev/null", {}),
        ("/usr/share/dict/words", {}),
        ("/home/ada/project/.venv/bin/python3", {}),
        ("data/x.csv", {}),
        ("--rate=1/2", {}),
        ("https://example.org/x", {}),
    ],
)
def test_absolute_paths_are_told_by_where_they_lead(word: str, kinds: dict[str, str]) -> None:
    assert with_words(word) == kinds


def test_absolute_paths_in_params_files_count_like_arguments() -> None:
    given = {"params": {"data": ["/mnt/a"]}, "param_sources": {"data": "params.yaml"}}
    assert with_run(**given, declared={"params": ("params.yaml:data",)}) == {"path-outside": "B"}
    assert with_run(**given) == {}, "nobody named it: it may be that the command never reads it"
    assert with_run(params={"data": "/mnt/a"}, param_sources={"data": "argv"}) == {}, "the command has it itself"


def test_the_program_itself_is_no_path_of_a_run() -> None:
    assert with_run(command=("/home/ada/project/.venv/bin/python", "train.py")) == {}


@pytest.mark.parametrize("name", ["seed", "train.seed", "random-seed", "model.random_state", "manual_seed"])
def test_a_param_that_is_a_seed_is_one(name: str) -> None:
    assert found(random_in="train.py") == {"seed": "B"}
    assert found(random_in="train.py", run=replace(facts().run, params={name: 0})) == {}
    assert found(random_in="train.py", run=replace(facts().run, params={name: None})) == {"seed": "B"}
    assert found(random_in="train.py", run=replace(facts().run, seed=0)) == {}


def test_left_out_files_may_still_be_kept_where_reads_are_watched() -> None:
    def code(reason: str) -> Run:
        return replace(facts().run, code=CodeState(left_out=(LeftOut("x", 11 << 20, reason),)))

    large, secret = code("larger than 10 MiB (code.untracked_limit)"), code("may hold secrets")
    unwatched = {"not-watched": "C"}
    assert found(run=large) == {"left-out": "C"}
    assert found(run=large, is_watched=False) == {"left-out": "F", **unwatched}
    assert found(run=secret) == {"secret-file": "C"}
    assert found(run=secret, is_watched=False) == {"secret-file": "D", **unwatched}
    assert found(run=code("its content is not in this partial clone")) == {"partial-clone": "D"}
    assert found(run=code("it is not a regular file")) == {"odd-file": "B"}


def test_what_is_not_watched_is_less_bad_where_inputs_are_declared() -> None:
    declared = replace(facts().run, declared={"inputs": ("data",)})
    assert found(run=declared, is_watched=False) == {"not-watched": "B"}


def test_inputs_are_kept_in_their_order_while_there_is_room() -> None:
    said = foresee(facts(inputs={"a": 6, "b": 6, "c": 4}, keep_limit=10))
    assert [one.message for one in said] == ["1 input is not kept, only the digest: b (6 B)."]
    assert found(inputs={"a": 6, "c": 4}, keep_limit=10) == {}


def test_a_full_disk_a_pipe_pointers_and_a_moving_tag_are_told() -> None:
    assert found(needed_bytes=11, free_bytes=10) == {"disk-full": "D"}
    assert found(needed_bytes=10, free_bytes=10) == {}
    assert found(stdin_bytes=1) == {"stdin": "C"}
    assert found(pointers=("a.bin",)) == {"lfs-pointer": "D"}
    assert found(image="python:3.11") == {"image-tag": "B"}
    assert found(image="python@sha256:" + "0" * 64) == {}


def test_a_dirty_submodule_a_secret_argument_and_remarks_are_told() -> None:
    dirty = NestedCode("lib", CodeState(dirty=True))
    assert with_run(code=CodeState(nested=(dirty, NestedCode("other", CodeState())))) == {"submodule": "B"}
    assert with_run(warnings=(Warning("redacted-command", "x"),)) == {"secret-argument": "F"}
    assert found(has_git=False, asks_index=False) == {"no-git": "A", "hashes-off": "A"}


@given(st.lists(st.text(min_size=1), max_size=5))
def test_no_word_of_a_command_breaks_it(words: list[str]) -> None:
    for one in foresee(facts(run=replace(facts().run, command=("x", *words)))):
        assert one.kind in ("absolute-path", "path-outside", "path-in-cache")


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB")])
def test_sizes_are_short(size: int, text: str) -> None:
    assert size_text(size) == text
