from __future__ import annotations

from pathlib import Path

import pytest

from mltrack.collect.metrics import points_in_files, points_in_output


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        ("{name}: {value}", "val_loss: 0.25  acc: 1e-3", [("val_loss", 0.25, None), ("acc", 0.001, None)]),
        ("step {step} loss={value}", "step 7 loss=-1.5", [("value", -1.5, 7)]),
        ("[{step}] {name} = {value}", "[3] a.b/c = .5", [("a.b/c", 0.5, 3)]),
        ("{name}: {value}", "nothing to see", []),
    ],
)
def test_a_pattern_finds_points_in_output(pattern: str, line: str, found: list[tuple[str, float, int | None]]) -> None:
    points = list(points_in_output([(12.5, line)], [pattern]))
    assert [(point.name, point.value, point.step) for point in points] == found
    assert all(point.at == 12.5 for point in points)


def test_a_broken_metrics_file_is_a_warning_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text('{"a": 1}')
    (tmp_path / "bad.json").write_text("{")
    points, warnings = points_in_files([("good.json", tmp_path / "good.json"), ("bad.json", tmp_path / "bad.json")])
    assert [point.name for point in points] == ["a"]
    assert [warning.kind for warning in warnings] == ["metrics-unreadable"]
    assert "bad.json" in warnings[0].message
