"""Experiments of a known kind get the grade that they must, by the real commands: a part of them in every test run, each
20 times in the soak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verdicts.laboratory import SOAK
from tests.verdicts.rows import QUICK, ROWS, maker

ROUNDS = 20 if SOAK > 1 else 1


@pytest.fixture(scope="module")
def score(request: pytest.FixtureRequest) -> Iterator[Counter[tuple[str, bool]]]:
    """Row -> how often it came out right and wrong; the table of a soak."""
    found: Counter[tuple[str, bool]] = Counter()
    yield found
    if SOAK > 1:
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line("")
        for name in ROWS:
            right, wrong = found[name, True], found[name, False]
            reporter.write_line(f"    {name:28} {right:3} of {right + wrong}")


@pytest.mark.parametrize("name", list(ROWS if SOAK > 1 else QUICK))
def test_each_experiment_gets_its_grade(
    name: str, tmp_path: Path, command_path: str, score: Counter[tuple[str, bool]]
) -> None:
    wrong = []
    for number in range(ROUNDS):
        found = list(ROWS[name](maker(tmp_path / str(number), command_path)))
        is_right = all(got == expected for got, expected in found)
        score[name, is_right] += 1
        if not is_right:
            wrong.append(found)
    assert not wrong, f"{len(wrong)} of {ROUNDS}: {wrong[:3]}"
