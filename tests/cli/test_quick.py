"""The parser of `mltrack run` that goes without typer says what typer says, or leaves it to typer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.cli import run as run_module
from mltrack.cli.group import load
from mltrack.cli.quick import FLAG, MANY, NUMBER, ONE, parse_run

DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(MANY.values(), ()),
    **dict.fromkeys((*ONE.values(), *NUMBER.values())),
    **dict.fromkeys(FLAG.values(), False),
}


def by_typer(words: list[str]) -> dict[str, Any] | None:
    """The arguments of start_run as typer would call it; None when typer refuses."""
    called: list[dict[str, Any]] = []
    original = run_module.start_run
    run_module.start_run = lambda **options: called.append(options) or 0  # type: ignore[assignment, func-returns-value]
    try:
        load("run").main(words, standalone_mode=False)
    except Exception:
        return None
    finally:
        run_module.start_run = original
    return normal(called[0]) if called else None


def normal(options: dict[str, Any]) -> dict[str, Any]:
    return {**DEFAULTS, **{key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}}


OPTIONS = st.one_of(
    st.sampled_from([*FLAG]).map(lambda flag: [flag]),
    st.tuples(st.sampled_from([*MANY, *ONE, *NUMBER]), st.sampled_from(["a", "a=b", "3", "", "x y"])).map(list),
    st.tuples(st.sampled_from([*MANY, *ONE, *NUMBER]), st.sampled_from(["a", "", "7"]))
    .map("=".join)
    .map(lambda w: [w]),
    st.sampled_from([["--help"], ["-x"], ["--inpu", "a"], ["--name"], ["--seed", "-1"], ["--quiet=1"]]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(OPTIONS, max_size=4),
    st.booleans(),
    st.lists(st.sampled_from(["python", "-c", "--name", "--", "x=1"]), max_size=3),
)
def test_both_parsers_agree(options: list[list[str]], dashes: bool, command: list[str]) -> None:
    words = [word for option in options for word in option] + (["--"] if dashes else []) + command
    quick = parse_run(words)
    if quick is not None:
        assert by_typer(words) == normal(quick)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--nme", "x", "--", "a"], ["--name"], ["--seed", "x", "--", "a"], [], ["--"], ["--quiet"]],
)
def test_what_is_odd_is_left_to_typer(words: list[str]) -> None:
    assert parse_run(words) is None


def test_plain_options_need_no_typer() -> None:
    parsed = parse_run(["--input", "a", "--input=b", "--seed", "3", "--quiet", "--", "python", "--lr", "1"])
    assert parsed is not None
    assert (parsed["inputs"], parsed["seed"], parsed["quiet"]) == (["a", "b"], 3, True)
    assert parsed["command"] == ["python", "--lr", "1"]
