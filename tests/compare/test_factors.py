"""The factors of tolerance intervals, beside published tables."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from mltrack.compare.noise.factors import legendre, one_sided, survival, two_sided

TWO_SIDED = {
    # confidence 0.95; content 0.90, 0.95, 0.99. Berthouex and Brown, Statistics for Environmental Engineers, table 21.1;
    # the rows for 2 and 3 as in ISO 16269-6, where Howe's approximation would be 3 % wider.
    2: (31.09, 36.52, 46.94), 3: (8.31, 9.79, 12.65), 4: (5.37, 6.34, 8.22), 5: (4.29, 5.08, 6.60),
    6: (3.73, 4.42, 5.76), 7: (3.39, 4.02, 5.24), 8: (3.16, 3.75, 4.89), 9: (2.99, 3.55, 4.63),
    10: (2.86, 3.39, 4.44), 12: (2.67, 3.17, 4.16), 15: (2.49, 2.96, 3.89), 20: (2.32, 2.76, 3.62),
    25: (2.22, 2.64, 3.46), 30: (2.15, 2.55, 3.35), 40: (2.06, 2.45, 3.22), 60: (1.96, 2.34, 3.07),
}  # fmt: skip

ONE_SIDED = {
    # content and confidence 0.95: Natrella, Experimental Statistics (NBS Handbook 91), table A-7
    3: 7.655, 4: 5.145, 5: 4.202, 6: 3.707, 7: 3.399, 8: 3.188, 9: 3.031, 10: 2.911, 15: 2.566, 20: 2.396, 30: 2.220,
    50: 2.065,
}  # fmt: skip


@pytest.mark.parametrize("n", TWO_SIDED)
def test_two_sided_factors_are_those_of_the_tables(n: int) -> None:
    found = [two_sided(n, content, 0.95) for content in (0.90, 0.95, 0.99)]
    assert found == pytest.approx(TWO_SIDED[n], abs=0.0051)


@pytest.mark.parametrize("n", ONE_SIDED)
def test_one_sided_factors_are_those_of_the_tables(n: int) -> None:
    assert one_sided(n, 0.95, 0.95) == pytest.approx(ONE_SIDED[n], abs=0.0015)


@pytest.mark.parametrize("n", [2, 3, 10, 100, 1000])
def test_howes_approximation_is_near_and_never_much_narrower(n: int) -> None:
    """Howe 1969, with the variance's own quantile found here by bisection."""
    low, high = 1e-9, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if survival(middle, n - 1) > 0.95 else (low, middle)
    howe = NormalDist().inv_cdf(0.975) * math.sqrt((1 + 1 / n) / low)
    assert two_sided(n, 0.95, 0.95) == pytest.approx(howe, rel=0.05)


def test_factors_grow_with_content_and_confidence_and_shrink_with_repetitions() -> None:
    for factor in (two_sided, one_sided):
        assert factor(10, 0.95, 0.95) < factor(10, 0.99, 0.95) < factor(10, 0.9995, 0.95)
        assert factor(10, 0.95, 0.90) < factor(10, 0.95, 0.95) < factor(10, 0.95, 0.99)
        assert factor(2, 0.95, 0.95) > factor(3, 0.95, 0.95) > factor(1000, 0.95, 0.95) > 1.6


def test_what_has_no_factor_is_refused() -> None:
    for n, content, confidence in ((1, 0.95, 0.95), (5, 1.0, 0.95), (5, 0.95, 1.0), (5, 0.1, 0.95)):
        with pytest.raises(ValueError, match="no factor"):
            two_sided(n, content, confidence)


def test_the_variance_of_few_values_is_distributed_as_it_should() -> None:
    assert survival(3.841459, 1) == pytest.approx(0.05, abs=1e-6)
    assert survival(5.991465 / 2, 2) == pytest.approx(0.05, abs=1e-6)
    assert survival(16.918978 / 9, 9) == pytest.approx(0.05, abs=1e-6)
    assert survival(124.342113 / 100, 100) == pytest.approx(0.05, abs=1e-6)
    assert sum(weight for _, weight in legendre(40)) == pytest.approx(2)
