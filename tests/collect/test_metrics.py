from __future__ import annotations

from pathlib import Path

from mltrack.collect.metrics import points_in_files


def test_a_broken_metrics_file_is_a_warning_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text('{"a": 1}')
    (tmp_path / "bad.json").write_text("{")
    points, warnings = points_in_files([("good.json", tmp_path / "good.json"), ("bad.json", tmp_path / "bad.json")])
    assert [point.name for point in points] == ["a"]
    assert [warning.kind for warning in warnings] == ["metrics-unreadable"]
    assert "bad.json" in warnings[0].message
