"""ROC, precision-recall, confusion and ranks against values worked out by hand and against their plain definitions."""

from __future__ import annotations

import math
from itertools import product

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare import rates

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30)


def of(rows):
    return [label for label, _ in rows], [score for _, score in rows]


def test_a_roc_curve_worked_out_by_hand():
    found = rates.roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert found.xs.tolist() == [0, 0, 0.5, 0.5, 1]
    assert found.ys.tolist() == [0, 0.5, 0.5, 1, 1]
    assert found.area == 0.75  # of four pairs of a positive and a negative row three are in order
    assert (found.positives, found.negatives) == (2, 2)


def test_an_average_precision_worked_out_by_hand():
    found = rates.precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert found.xs.tolist() == [0, 0.5, 0.5, 1, 1]
    assert found.ys.tolist() == pytest.approx([1, 1, 1 / 2, 2 / 3, 2 / 4])
    assert found.area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_scores_that_are_all_equal_are_one_threshold_whatever_the_order_of_the_rows():
    for labels in ([1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]):
        found = rates.roc(labels, [0.5] * 4)
        assert found.xs.tolist() == [0, 1]
        assert found.area == 0.5
        assert rates.precision_recall(labels, [0.5] * 4).area == 0.5


def test_infinite_scores_have_their_place():
    assert rates.roc([0, 1, 1, 0], [-numpy.inf, numpy.inf, 2.0, 1.0]).area == 1


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]])
def test_there_is_no_roc_curve_of_one_class(labels):
    with pytest.raises(ValueError, match="positive and negative"):
        rates.roc(labels, [0.5] * len(labels))


def test_there_is_no_precision_without_positive_rows():
    with pytest.raises(ValueError, match="positive"):
        rates.precision_recall([0, 0], [0.1, 0.2])


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_the_area_under_a_roc_curve_is_the_share_of_pairs_in_order_with_ties_counted_half(rows):
    labels, scores = of(rows)
    positive = [score for label, score in rows if label]
    negative = [score for label, score in rows if not label]
    if not positive or not negative:
        return
    pairs = [(a > b) + (a == b) / 2 for a, b in product(positive, negative)]
    assert rates.roc(labels, scores).area == pytest.approx(sum(pairs) / len(pairs))


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_the_average_precision_is_the_sum_over_thresholds(rows):
    labels, scores = of(rows)
    if not any(labels):
        return
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        called = [label for label, score in rows if score >= threshold]
        recall = sum(called) / sum(labels)
        area += (recall - before) * sum(called) / len(called)
        before = recall
    assert rates.precision_recall(labels, scores).area == pytest.approx(area)


def test_only_the_corners_of_a_curve_of_steps_are_drawn():
    x, y = rates.corners([0, 0, 0, 0.5, 1, 1], [0, 0.2, 0.4, 0.4, 0.4, 1])
    assert (x.tolist(), y.tolist()) == ([0, 0, 1, 1], [0, 0.4, 0.4, 1])
    assert rates.trapezoids(x, y) == 0.4


def test_a_long_curve_keeps_its_ends_and_its_peaks():
    xs = numpy.linspace(0, 1, 100_001)
    ys = numpy.zeros(100_001)
    ys[[33_333, 77_777]] = 1, -1
    x, y = rates.thinned(xs, ys, 100)
    assert len(x) <= 400
    assert (x[0], x[-1], y.max(), y.min()) == (0, 1, 1, -1)
    assert (x[1:] >= x[:-1]).all()
    assert rates.thinned(xs[:300], ys[:300], 100)[0].tolist() == xs[:300].tolist()


def test_a_confusion_matrix_has_a_row_for_each_actual_class():
    classes, counts = rates.confusion(["a", "b", "a", "b"], ["a", "b", "b", "c"])
    assert classes == ("a", "b", "c")
    assert counts == ((1, 1, 0), (0, 1, 1), (0, 0, 0))
    assert rates.accuracy(counts) == 0.5
    assert rates.accuracy(((0,),)) is None


def test_classes_that_are_numbers_are_in_their_order():
    assert rates.confusion(["10", "9"], ["9", "10"])[0] == ("9", "10")


def test_counts_are_rearranged_to_the_classes_of_another_matrix():
    assert rates.rearranged(("a", "b"), ((1, 2), (3, 4)), ("b", "x", "a")) == ((4, 0, 3), (0, 0, 0), (2, 0, 1))


def test_equal_values_share_the_mean_of_their_ranks():
    assert rates.ranks([10, 20, 20, 5]).tolist() == [2, 3.5, 3.5, 1]


def test_a_rank_correlation_worked_out_by_hand():
    iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert rates.spearman(iq, hours) == pytest.approx(-29 / 165)
    assert rates.spearman([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(4.5 / 22.5**0.5)  # with a tie


def test_no_rank_correlation_is_told_of_three_or_of_what_never_varies():
    assert rates.spearman([1, 2, 3], [1, 2, 3]) is None
    assert rates.spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert rates.spearman([1, 2, 3, 4], [1, 10, 100, 1e300]) == 1


def test_a_ready_roc_curve_is_closed_where_its_ends_are_known_and_else_has_no_area():
    xs, ys = numpy.array([0.5, 0.0, 0.2, 0.2, 1.0]), numpy.array([0.75, 0.0, 0.5, 0.25, 1.0])
    whole = rates.ready_roc(xs, ys)
    assert whole.area == pytest.approx(rates.trapezoids([0, 0.2, 0.2, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]))
    without_ends = rates.ready_roc(numpy.array([0.1, 0.1, 0.4]), numpy.array([0.0, 0.5, 1.0]))
    assert without_ends.area == pytest.approx(0.825)
    part = rates.ready_roc(numpy.array([0.1, 0.45]), numpy.array([0.3, 0.8]))
    assert math.isnan(part.area)
    assert part.xs.tolist() == [0.1, 0.45]
    with pytest.raises(ValueError, match="several curves"):
        rates.ready_roc(numpy.array([0.0, 0.5, 1.0]), numpy.array([0.0, 1.0, 0.5]))


def test_a_ready_curve_of_precision_needs_no_point_at_recall_0_and_one_at_recall_1():
    assert rates.ready_precision_recall(numpy.array([0.5, 1.0]), numpy.array([0.8, 0.6])).area == pytest.approx(0.7)
    assert math.isnan(rates.ready_precision_recall(numpy.array([0.0, 0.9]), numpy.array([1.0, 0.6])).area)


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_a_shuffled_ready_curve_has_the_area_of_its_scores(rows, random):
    labels, scores = of(rows)
    for make, ready in ((rates.roc, rates.ready_roc), (rates.precision_recall, rates.ready_precision_recall)):
        if not any(labels) or (all(labels) and make is rates.roc):
            continue
        course = make(labels, scores)
        order = random.sample(range(len(course.xs)), len(course.xs))
        assert ready(course.xs[order], course.ys[order]).area == pytest.approx(course.area)
