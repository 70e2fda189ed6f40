"""Whether larger or smaller values of a metric are better: by the project's `goals:`, else guessed from its name.

A guess looks at the words of the name, the last known one first, and says nothing where none is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LOWER = words(
    """loss losses error errors err rmse mse mae mape smape msle rmsle medae perplexity ppl bpb bpc bits wer cer ter
    fid kid lpips nll logloss crossentropy entropy xent ce bce brier kl kld divergence distance dist regret cost
    penalty time times duration seconds secs latency elapsed runtime eta fpr fnr fp fn false misses mistakes
    violations ece deviation rms residual hamming wasserstein emd memory"""
)
HIGHER = words(
    """acc accuracy f1 f2 fbeta fscore auc auroc auprc aucpr roc prc aupr ap map precision recall reward rewards
    return returns bleu sacrebleu rouge meteor chrf cider spice iou miou jaccard dice r2 rsquared psnr ssim mcc
    kappa ndcg mrr hits hit likelihood loglikelihood elbo sensitivity specificity tpr tnr tp tn correct top1 top5
    throughput success win wins winrate em exact pearson spearman kendall correlation corr mota idf1 similarity
    silhouette purity nmi ari coverage speedup elo"""
)
WEAK = frozenset(["score", "scores"])
"""Says that larger is better where no other word says more: a Brier score is an error."""
NEITHER = words(
    """scale weight weights coefficient coef count counts epoch epochs step steps iter iteration index threshold
    gap drop delta diff difference change"""
)
"""As the last word: what is counted, set or held against another, whatever it is of (`loss_scale`, `acc_drop`)."""
SPREAD = words("std stdev stddev sd var variance variances sem stderr iqr")
"""In any place: how far values lie apart, whatever they are of (`val_acc_std`)."""
POINTS = frozenset(["step", "epoch"])
"""Behind the name of a metric: how often it is logged (Lightning's `loss_epoch`), unless a word of `CHOOSING` says that
it is the point itself that counts (`best_acc_epoch`)."""
CHOOSING = words("best max min argmax argmin first last early stop stopped at num total time times timestep")
TURNED = frozenset(["neg", "negative", "inverse", "inv"])
"""Turns the rest round: `neg_mean_squared_error`."""

WORD = re.compile(r"[A-Za-z]+\d*|\d+")
HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def goal_of(name: str, goals: Mapping[str, str]) -> str | None:
    """`max`, `min`, or None where nobody knows which is better.

    `goals`: names or patterns (`*_score`) to `max`, `min` or `none`. A name comes before patterns; of several patterns
    that fit, the last counts.
    """
    bare = name.partition("[")[0]  # one rank's metric is better in the same way
    for key in (name, bare):
        if key in goals:
            return told(goals[key])
    fitting = [word for pattern, word in goals.items() if fnmatchcase(bare, pattern)]
    return told(fitting[-1]) if fitting else guess(bare)


def told(word: str) -> str | None:
    return None if word == "none" else word


@lru_cache(65536)
def guess(name: str) -> str | None:
    """The goal that the words of a name speak for."""
    found = without_point(words_of(name))
    if not found or (found[-1] in NEITHER and "per" not in found) or is_spread(found):
        return None
    if re.search(r"per_?s(ec|econd|econds)?$", "_".join(found)):
        return "max"  # samples a second
    known = [word for word in found if word in LOWER or word in HIGHER]
    if not known:
        return "max" if any(word in WEAK for word in found) else None
    is_lower = known[-1] in LOWER
    return "min" if is_lower != bool(TURNED.intersection(found)) or found[:2] == ["time", "to"] else "max"


def without_point(found: list[str]) -> list[str]:
    """`train_loss_step` -> train, loss; `best_acc_epoch` and `time_step` as they are."""
    is_logged_so = len(found) > 1 and found[-1] in POINTS and (found[-2] in LOWER or found[-2] in HIGHER)
    return found[:-1] if is_logged_so and CHOOSING.isdisjoint(found) else found


def is_spread(found: list[str]) -> bool:
    """Do the words tell of a deviation? What a model explains of a variance is something else."""
    return "explained" not in found and (not SPREAD.isdisjoint(found) or found[-2:] == ["standard", "deviation"])


def words_of(name: str) -> list[str]:
    """`valLoss/top-1` -> val, loss, top, 1; `acc1` is `acc`, `f1` and `mAP` stay whole."""
    found: list[str] = []
    for word in WORD.findall(name[:500]):
        whole = word.lower()
        bare = whole.rstrip("0123456789")
        if is_known(whole) or is_known(bare) or not bare:
            found.append(whole if is_known(whole) or not bare else bare)
        else:
            found += [part.lower() for part in HUMP.findall(word)]
    return found


def is_known(word: str) -> bool:
    return any(word in known for known in (LOWER, HIGHER, WEAK, NEITHER, SPREAD, TURNED))
