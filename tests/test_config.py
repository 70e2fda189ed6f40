from __future__ import annotations

from pathlib import Path

import pytest

from mltrack.config import Tolerance, load_config, parse_size
from mltrack.errors import ConfigError


def test_without_files_the_defaults_hold(tmp_path: Path) -> None:
    config = load_config(tmp_path, {})
    assert config.keep_limit == 2 * 2**30
    assert config.untracked_limit == 10 * 2**20
    assert config.inputs == ()


def test_every_key_of_the_design_is_read(tmp_path: Path) -> None:
    (tmp_path / "mltrack.yaml").write_text(
        "inputs: [data/, ~/x]\noutputs: [models/*.pt]\nparams: [params.yaml, 'conf/train.toml:optimizer,seed']\n"
        "metrics: [metrics.json, {stdout: '{name}: {value}'}]\nenvironment: {kind: python}\ndata: {keep_limit: 1 GiB}\n"
        "code: {untracked_limit: 5MiB, untracked_total: 50MB}\nlog: {limit: 1k}\n"
        "verdict: {tolerance: {loss: {rel: 0.001}, acc: 0.5}, ignore: ['*_time']}\nremotes: {origin: s3://b/p}\n"
    )
    config = load_config(tmp_path, {})
    assert config.inputs == ("data/", "~/x")
    assert config.outputs == ("models/*.pt",)
    assert config.params == ("params.yaml", "conf/train.toml:optimizer,seed")
    assert config.metrics == ("metrics.json",)
    assert config.metrics_stdout == ("{name}: {value}",)
    assert config.environment_kind == "python"
    assert (config.keep_limit, config.untracked_limit, config.untracked_total) == (2**30, 5 * 2**20, 50 * 10**6)
    assert config.log_limit == 1000
    assert config.tolerance == {"loss": Tolerance(rel=0.001), "acc": Tolerance(abs=0.5)}
    assert config.ignore == ("*_time",)
    assert config.remotes == {"origin": "s3://b/p"}


def test_lists_of_the_layers_are_added_and_single_values_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "mltrack").mkdir(parents=True)
    (home / ".config" / "mltrack" / "config.yaml").write_text("inputs: [a]\ndata: {keep_limit: 1MB}\n")
    (tmp_path / "mltrack.yaml").write_text("inputs: [b]\ndata: {keep_limit: 2MB}\nremotes: {one: /a}\n")
    (tmp_path / ".mltrack").mkdir()
    (tmp_path / ".mltrack" / "config.yaml").write_text("remotes: {two: /b}\n")
    variables = {"HOME": str(home), "MLTRACK_CONFIG_DATA_KEEP_LIMIT": "3MB", "MLTRACK_CONFIG_INPUTS": "c,d"}
    config = load_config(tmp_path, variables)
    assert config.inputs == ("a", "b", "c", "d")
    assert config.keep_limit == 3_000_000
    assert config.remotes == {"one": "/a", "two": "/b"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("input: [a]", "input", "inputs"),
        ("data: {keep_limits: 1}", "data.keep_limits", "data.keep_limit"),
        ("inputs: {a: 1}", "inputs.a", "inputs"),
        ("data: {keep_limit: much}", "not a size", "10MiB"),
        ("verdict: {tolerance: {loss: {relative: 1}}}", "abs or rel", "abs"),
        ("metrics: [{stdout: 'loss'}]", "{value}", "value"),
        ("inputs: [a\nb: ]", "line", ""),
        ("- a", "table", "key"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_a_hint(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (tmp_path / "mltrack.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, {})
    assert "mltrack.yaml" in caught.value.message
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_an_unknown_variable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MLTRACK_CONFIG_KEEP"):
        load_config(tmp_path, {"MLTRACK_CONFIG_KEEP": "1"})


def test_a_file_of_comments_needs_no_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "mltrack.yaml").write_text("# inputs: [a]\n\n   # more\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert load_config(tmp_path, {}).inputs == ()


@pytest.mark.parametrize(("text", "size"), [("10", 10), ("10MiB", 10 * 2**20), ("1.5 kB", 1500), ("2gib", 2 * 2**30)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert parse_size(text, "key") == size


def test_goals_are_max_min_or_none_and_anything_else_is_refused_with_an_example(tmp_path: Path) -> None:
    (tmp_path / "mltrack.yaml").write_text("goals: {val_loss: min, '*_score': MAX, norm: }\n")
    assert load_config(tmp_path, {}).goals == {"val_loss": "min", "*_score": "max", "norm": "none"}
    for text in ("goals: {val_loss: lower}", "goals: [val_loss]"):
        (tmp_path / "mltrack.yaml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path, {})
        assert "goals" in caught.value.message and "val_loss: min" in (caught.value.hint or "")
