"""The report on a run's noise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mltrack.compare.noise.intervals import spread
from mltrack.verdicts import Calibration, Divergence, Looks, Variation
from mltrack.views.calibration import advice, calibration_page, plot
from mltrack.views.show import run_page
from tests.compare.samples import metric, sample_run

RUN = replace(sample_run(), id="3kq8f2zx00000000", metrics={"loss": metric(0.5), "items": metric(100)}, seed=None)
RUNS = ("aaaaaaaa1", "bbbbbbbb1", "cccccccc1", "dddddddd1", "eeeeeeee1")

NOISY = Calibration(
    id="c", of=RUN.id, vary="nothing", runs=RUNS, seeds=(None,) * 5, host="box", at="2026-11-21T10:00:00Z",
    confidence=0.95, content=0.95, deterministic=False, as_recorded=False,
    metrics={"items": spread([100] * 5), "loss": spread([0.50, 0.51, 0.49, 0.52, 0.48])},
    artifacts={
        "model.bin": Variation(5, 0, looks=Looks(9, 9)), "w.csv": Variation(5, 0, 0, 0.02, 0.02, 0.05, 0.05),
        "far.csv": Variation(5, 0, 0, 0.9, 0.9), "log.txt": Variation(1, 5, 0, 0.0, 0.0, 0.0, 0.0),
    },
    first=(
        Divergence("artifact", "model.bin", None, "b3:" + "1" * 64, None, RUNS[:2]),
        Divergence("metric", "loss", 3, 0.25, 0.2500000001, RUNS[:2]),
    ),
)  # fmt: skip

PAGE = """\
● not deterministic here: 5 repetitions with nothing varied differ  (2026-11-21 10:00:00 UTC on box)
  · first artifact that differs: model.bin, b3:1111111111 against nothing (run aaaaaaaa and run bbbbbbbb)
  · loss first went apart at step 3: 0.25 against 0.2500000001 (run aaaaaaaa and run bbbbbbbb)

Noise of its metrics  95.0% with confidence 95%
         recorded  mean        sd     from       to
  loss        0.5   0.5  0.015811  0.41973  0.58027  ± 16.1 %
  items       100   100         0      100      100  always

  loss  [──────────────●──●─×─●──●──────────────]

Artifacts that varied  1 more did not
  model.bin  5 contents in 5 repetitions, its bytes say nothing
  w.csv      5 contents in 5 repetitions, numbers up to 0.02 from the recorded ones, 0.05 is noise
  far.csv    5 contents in 5 repetitions, numbers up to 0.9 from the recorded ones, further than from each other
"""


def test_a_noisy_run_is_told_with_what_went_apart_first_and_where_its_metrics_lie() -> None:
    text = calibration_page(NOISY, RUN).render(None, False)
    assert text.startswith(PAGE)
    assert "What may make it steadier\n" in text


@pytest.mark.parametrize("width", [70, 80, 120])
def test_it_fits_the_terminal_where_it_can(width: int) -> None:
    for line in calibration_page(NOISY, RUN).render(width, False).splitlines()[1:]:
        assert len(line) <= width


def test_a_recorded_value_outside_of_its_own_noise_is_said_loudly() -> None:
    odd = replace(RUN, metrics={"loss": metric(0.93), "items": metric(100)})
    text = calibration_page(NOISY, odd).render(None, False)
    assert "! The recorded loss 0.93 lies outside of what its 5 repetitions gave." in text
    others = replace(NOISY, vary="seed", seeds=(1, 2, 3, 4, 5))
    assert "lies outside" not in calibration_page(others, odd).render(None, False)
    assert "5 repetitions with other seeds (1, 2, 3, 4, 5)" in calibration_page(others, odd).render(None, False)


def test_few_repetitions_a_metric_that_is_no_number_and_one_that_was_not_logged_are_remarked() -> None:
    metrics = {"loss": spread([0.1, 0.2, None]), "odd": spread([0.1, "NaN", 0.2])}
    text = calibration_page(replace(NOISY, runs=RUNS[:3], metrics=metrics), RUN).render(None, False)
    assert "With 3 repetitions an interval is so wide that it excuses nearly everything; try `-n 10`." in text
    assert "loss was not logged by 1 repetition." in text
    assert "odd was not a finite number in every repetition: it has no interval." in text


@pytest.mark.parametrize(
    ("as_recorded", "words"),
    [(True, "✓ deterministic here: 5 repetitions gave the same, and what was recorded"),
     (False, "✗ deterministic here: 5 repetitions gave the same, which is not what was recorded")],
)  # fmt: skip
def test_a_deterministic_run_is_called_so_and_given_no_advice(as_recorded: bool, words: str) -> None:
    steady = replace(NOISY, deterministic=True, as_recorded=as_recorded, first=(), artifacts={})
    text = calibration_page(steady, RUN).render(None, False)
    assert text.startswith(words) and "steadier" not in text


def test_advice_names_only_what_is_not_set() -> None:
    threads = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    seeded = replace(RUN, seed=1, environment=replace(RUN.environment, variables=threads))
    bare = replace(RUN, params={}, environment=replace(RUN.environment, variables={}))
    told = " ".join(advice(NOISY, bare))
    assert all(word in told for word in ("--seed", "OMP_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG"))
    assert list(advice(NOISY, seeded)) == []
    torch = replace(seeded, environment=replace(seeded.environment, libraries={"torch.deterministic": "False"}))
    assert ["torch.use_deterministic_algorithms(True)" in one for one in advice(NOISY, torch)] == [True]


def test_a_plot_shows_values_outside_of_the_interval_too() -> None:
    known = spread([0.50, 0.51, 0.49])
    drawn = plot(known, 99.0)
    assert drawn.endswith("×") and drawn.count("×") == 1 and len(drawn) == 41
    assert plot(known, "NaN").count("×") == 0


def test_show_has_the_last_calibration_of_each_kind() -> None:
    seeds = replace(NOISY, vary="seed", seeds=(1, 2, 3, 4, 5))
    text = run_page(replace(RUN, calibrations=(NOISY, replace(NOISY, host="later"), seeds))).render(None, False)
    assert text.count("\nNoise\n") == 2 and "on later" in text and "on box)" in text
