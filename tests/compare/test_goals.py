"""Whether larger or smaller is better is said by the settings, or guessed from the words of a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.goals import goal_of
from tests.compare.strategies import quick


def words(text: str) -> list[str]:
    return text.split()


LOWER = words(
    "loss val_loss valLoss train/loss loss[rank=3] test.RMSE error_rate brier_score NLL epoch_time seconds_per_step"
    " time_to_accuracy bits_per_byte trainLoss wer perplexity loss_epoch train_loss_step val/loss_epoch"
)
HIGHER = words(
    "acc accuracy acc@1 val/acc1 top5_acc mAP mIoU rougeL R2 f1-score recall@10 eval_f1_macro samples_per_second"
    " neg_mean_squared_error score win_rate log_likelihood acc_step train_acc_epoch explained_variance_score"
)
NOBODY_KNOWS = words(
    "learning_rate grad_norm loss_scale best_acc_epoch lr step x 7 _ 精度 val_acc_std reward_std acc_var lossStd std_loss"
    " accuracy/variance acc_drop gap acc_gap val_acc_std_epoch time_step global_step acc_standard_deviation"
)


@pytest.mark.parametrize("name", LOWER)
def test_smaller_is_better_of_losses_errors_and_times(name: str) -> None:
    assert goal_of(name, {}) == "min"


@pytest.mark.parametrize("name", HIGHER)
def test_larger_is_better_of_accuracies_and_scores(name: str) -> None:
    assert goal_of(name, {}) == "max"


@pytest.mark.parametrize("name", NOBODY_KNOWS)
def test_no_name_is_taken_for_a_goal_that_it_does_not_tell(name: str) -> None:
    assert goal_of(name, {}) is None


def test_the_settings_win_over_a_guess_and_a_name_over_patterns() -> None:
    goals = {"*loss": "max", "val_loss": "min", "acc*": "none", "val_*": "max"}
    assert [goal_of(name, goals) for name in ("val_loss", "my_loss", "accuracy", "val_x")] == [
        "min",
        "max",
        None,
        "max",
    ]


def test_the_last_of_several_patterns_counts_and_a_rank_is_as_its_metric() -> None:
    assert goal_of("a_score", {"a_*": "min", "*_score": "max"}) == "max"
    assert goal_of("gap[rank=2]", {"gap": "min"}) == "min"


@quick
@given(st.text())
def test_every_text_is_a_name(name: str) -> None:
    assert goal_of(name, {}) in ("max", "min", None)
