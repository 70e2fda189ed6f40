"""How many standard deviations wide an interval must be to hold a share of a normal population, with a confidence.

Exact, by numerical integration over the distribution of the sample mean; nothing is asymptotic, for repetitions are
few. Two-sided as in ISO 16269-6 (Howe 1969 is its approximation), and one-sided. Pure, standard library only.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NODES = 40
"""Of the quadrature: six digits and more for 2 to 1000 repetitions."""

REACH = 8.5
"""Standard errors of the mean beyond which nothing counts."""

STEPS = 60
CLOSE = 1e-10

_NORMAL = NormalDist()


@lru_cache(256)
def two_sided(n: int, content: float, confidence: float) -> float:
    """k such that mean ± k standard deviations of `n` values hold `content` of the population, with `confidence`."""
    check(n, content, confidence)
    reach = REACH / math.sqrt(n)
    nodes = [(at, 2 * weight * weight_of_mean(at, n)) for at, weight in spaced(0.0, reach)]
    points = [(half_width(at, content), weight) for at, weight in nodes]

    def reached(k: float) -> float:
        return sum(weight * survival((half / k) ** 2, n - 1) for half, weight in points)

    return solved(reached, confidence)


@lru_cache(256)
def one_sided(n: int, content: float, confidence: float) -> float:
    """k such that at least `content` of the population lies below mean + k standard deviations, with `confidence`."""
    check(n, content, confidence)
    edge, reach = _NORMAL.inv_cdf(content), REACH / math.sqrt(n)
    top = min(edge, reach)
    points = [(edge - at, weight * weight_of_mean(at, n)) for at, weight in spaced(-reach, top)]
    beyond = 1 - _NORMAL.cdf(top * math.sqrt(n))  # the mean alone is above the edge

    def reached(k: float) -> float:
        return beyond + sum(weight * survival((gap / k) ** 2, n - 1) for gap, weight in points)

    return solved(reached, confidence)


def check(n: int, content: float, confidence: float) -> None:
    if n < 2 or not 0.5 <= content < 1 or not 0.5 <= confidence < 1:
        raise ValueError(f"no factor for {n} values, content {content}, confidence {confidence}")


def weight_of_mean(at: float, n: int) -> float:
    """The density of the mean of `n` standard normal values."""
    return math.sqrt(n / (2 * math.pi)) * math.exp(-n * at * at / 2)


def half_width(centre: float, content: float) -> float:
    """r with the content of a standard normal between centre - r and centre + r."""
    r = centre + _NORMAL.inv_cdf(content) if centre > 1 else _NORMAL.inv_cdf((1 + content) / 2)
    for _ in range(STEPS):
        off = _NORMAL.cdf(centre + r) - _NORMAL.cdf(centre - r) - content
        step = off / (_NORMAL.pdf(centre + r) + _NORMAL.pdf(centre - r))
        r -= step
        if abs(step) < 1e-13 * r:
            break
    return r


def survival(ratio: float, degrees: int) -> float:
    """P(a sample variance of so many degrees of freedom > ratio times the true one), as a finite sum."""
    x = degrees * ratio / 2
    if degrees % 2 == 0:
        term = total = math.exp(-x)
        for j in range(1, degrees // 2):
            term *= x / j
            total += term
        return total
    total = math.erfc(math.sqrt(x))
    term = 2 * math.exp(-x) * math.sqrt(x / math.pi)
    for j in range(1, (degrees + 1) // 2):
        total += term
        term *= x / (j + 0.5)
    return total


def solved(reached: Callable[[float], float], wanted: float) -> float:
    """The k at which a rising function reaches a value: bracketed, then by false position on its logarithm."""
    low, high = 0.5, 4.0
    below, above = reached(low) - wanted, reached(high) - wanted
    while above < 0:
        low, below, high = high, above, high * 4
        above = reached(high) - wanted
    while below > 0:
        high, above, low = low, below, low / 4
        below = reached(low) - wanted
    a, b, side = math.log(low), math.log(high), 0
    for _ in range(STEPS):
        middle = (a * above - b * below) / (above - below)
        off = reached(math.exp(middle)) - wanted
        if abs(off) < CLOSE or b - a < CLOSE:
            return math.exp(middle)
        if off < 0:
            a, below = middle, off
            above = above / 2 if side == -1 else above
            side = -1
        else:
            b, above = middle, off
            below = below / 2 if side == 1 else below
            side = 1
    return math.exp((a + b) / 2)


def spaced(low: float, high: float) -> list[tuple[float, float]]:
    """Nodes and weights of a Gauss-Legendre quadrature between two bounds."""
    half, middle = (high - low) / 2, (high + low) / 2
    return [(middle + half * at, half * weight) for at, weight in legendre(NODES)]


@lru_cache(2)
def legendre(many: int) -> tuple[tuple[float, float], ...]:
    """Roots of the Legendre polynomial of a degree, with their weights on -1 to 1."""
    found = []
    for i in range(many):
        at = math.cos(math.pi * (i + 0.75) / (many + 0.5))
        for _ in range(STEPS):
            before, value = 1.0, at
            for j in range(2, many + 1):
                before, value = value, ((2 * j - 1) * at * value - (j - 1) * before) / j
            slope = many * (at * value - before) / (at * at - 1)
            step = value / slope
            at -= step
            if abs(step) < 1e-15:
                break
        found.append((at, 2 / ((1 - at * at) * slope * slope)))
    return tuple(found)
