from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.differences import CodeChange, diff_runs, explain_lock
from mltrack.compare.members import DataChange, Entry, FileChange, MemberChanges
from mltrack.compare.packages import PackageChange
from mltrack.compare.verdict.judge import judge
from mltrack.compare.verdict.rules import Rules
from mltrack.records import Gpu, MetricSummary, Run
from mltrack.views.differences import Asked, differences_page
from mltrack.views.text import cell_width, parse_time
from mltrack.views.verdict import verdict_page
from tests.compare.samples import artifact, digest, input_file, metric, sample_run
from tests.compare.strategies import few, runs

NOW = parse_time("2026-11-21T04:00:00Z")
PATCH = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-\tx = 1\n+\tx = '\x1b[31m'\n"

TOLD = """\
a  3kq8f2zx  baseline  ✓ finished  2 h ago
b  9dm1c0vw  wider     ✗ failed    2 h ago

They differ in command, code (train.py, new.py), data (w.npy), environment,
hardware, inputs, params, metrics, artifacts and outcome.

Command
  - python train.py --lr 0.1
  + python train.py --lr 0.01 --warm

Code
  tree   2222222222  →  5555555555
  dirty  true        →  false
  ~  train.py      16  ++-
  +  new.py       300  ++++++++++++++++++++++++++++++++++++++++++++++++++++++++
  ~  w.npy     binary
  3 files changed, 312 insertions(+), 4 deletions(-)

Environment
  python  3.11.7  →  3.11.9
  ▲  numpy         2.9.0   →  2.10.0  up
  -  scikit-learn  1.5.2              removed
  ▼  scipy         1.14.0  →  1.9.0   down
  +  torch                    2.5     added

Hardware
  cores         8         →  2
  memory_bytes  30.7 GiB  →  16.0 GiB

Inputs
  ~  data/train.csv  3.3 MiB b3:dddddddddd → 99 B b3:eeeeeeeeee

Params
               3kq8f2zx  9dm1c0vw
  amp             false                            removed
  lr                0.1      0.01  ▼ -0.09  -90 %
  model.depth         3       3.0
  optimizer         sgd      adam
  warmup                      100                  added

Metrics
            3kq8f2zx  9dm1c0vw
  accuracy   0.91667   0.91667                            10 → 9 points
  new                      NaN                     added
  val_loss   0.20113    0.2012  ▲ +7e-5  +0.035 %  worse

Artifacts
  ~  models/best.pt                1.2 MiB b3:aaaaaaaaaa → 1.2 MiB b3:cccccccccc
  →  plots/loss.svg → plots/l.svg  renamed, the same bytes
  +  x.txt                         added, 2.0 KiB

Outcome
  status     finished  →  failed
  exit_code  0         →  1

Circumstances  not counted as differences
  name         baseline    →  wider
  duration_s   1 min 20 s  →  42 s
  code.branch  main        →  feature

Patch
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-	x = 1
+	x = '\\x1b[31m'
"""


def other() -> Run:
    run = sample_run()
    return replace(
        run, id="9dm1c0vw5t2ha7xs", name="wider", status="failed", exit_code=1, duration_s=42.0,
        command=("python", "train.py", "--lr", "0.01", "--warm"),
        params={"lr": 0.01, "model.depth": 3.0, "optimizer": "adam", "warmup": 100},
        inputs=(input_file("data/train.csv", "e", size_bytes=99),),
        artifacts=(artifact("models/best.pt", "c", 1_300_010), artifact("plots/l.svg", "b"), artifact("x.txt", "9")),
        metrics={
            "val_loss": MetricSummary(0.2012, 0.2, 1.3, 10, 9), "new": metric("NaN"),
            "accuracy": MetricSummary(0.9166666666666666, 0.31, 0.92, 9, 8),
        },
        environment=replace(
            run.environment, python="3.11.9", packages={"numpy": "2.10.0", "scipy": "1.9.0", "torch": "2.5"},
        ),
        hardware=replace(run.hardware, cores=2, memory_bytes=2**34),
        code=replace(run.code, tree="55" * 20, dirty=False, branch="feature"),
    )  # fmt: skip


def first() -> Run:
    run = sample_run()
    return replace(run, environment=replace(run.environment, packages={**run.environment.packages, "numpy": "2.9.0"}))


def told(a: Run, b: Run, width: int | None = 80, colour: bool = False) -> str:
    files = (CodeChange("M", "train.py", 12, 4), CodeChange("A", "new.py", 300, 0), CodeChange("M", "w.npy"))
    found = diff_runs(a, b)
    if a.code != b.code:
        found = replace(found, code_files=files, patch=PATCH, goals={"val_loss": "min"})
    return differences_page(found, a, b, NOW).render(width, colour)


def test_every_difference_is_told() -> None:
    assert told(first(), other()) == TOLD


def test_equal_runs_have_no_differences_and_say_so() -> None:
    assert told(sample_run(), sample_run()).endswith("\n\nNo differences.\n")


def test_circumstances_alone_are_no_differences() -> None:
    page = told(sample_run(), sample_run(host="bench-2"))
    assert "No differences.\n\nCircumstances  not counted as differences\n  host  bench-1  →  bench-2\n" in page


def test_colours_are_for_terminals_that_have_them() -> None:
    coloured = told(first(), other(), colour=True)
    assert "\x1b[31m-\x1b[0m\x1b[31m\tx = \x1b[0m\x1b[31;7m1\x1b[0m" in coloured
    assert "\x1b[32m+\x1b[0m\x1b[32m\tx = \x1b[0m\x1b[32;7m'\\x1b[31m'\x1b[0m" in coloured
    assert "\x1b[32m--warm \x1b[0m" in coloured
    assert "\x1b" not in told(first(), other())


@few
@given(runs, runs)
def test_any_two_runs_have_a_page(a: Run, b: Run) -> None:
    for width in (50, None):
        page = told(a, b, width)
        page.encode()
        assert "\x1b" not in page
    assert ("No differences." in told(a, b)) == diff_runs(a, b).is_empty


def test_a_metric_with_the_same_end_says_what_else_differs() -> None:
    page = told(
        sample_run(metrics={"loss": MetricSummary(0.5, 0.1, 0.9, 3, 2)}),
        sample_run(id="9dm1c0vw5t2ha7xs", metrics={"loss": MetricSummary(0.5, 0.2, 0.9, 3, 2)}),
    )
    assert "min 0.1 → 0.2, max 0.9 → 0.9" in page


def test_an_input_that_changed_during_the_run_cannot_be_compared() -> None:
    unknown = (input_file("x.csv", digest=None, changed_during_run=True),)
    page = told(sample_run(inputs=unknown), sample_run(id="9dm1c0vw5t2ha7xs", inputs=unknown))
    assert "  ?  x.csv  cannot tell: it changed during the run, or could not be read\n" in page


def test_long_sections_are_cut_on_a_terminal_unless_all_is_asked_for_and_whole_in_a_pipe() -> None:
    a = sample_run(metrics={f"m{n}": metric(n) for n in range(4_000)})
    b = sample_run(id="9dm1c0vw5t2ha7xs", metrics={f"m{n}": metric(n + 1) for n in range(4_000)})
    found = replace(diff_runs(a, b), patch="+x\n" * 5000)
    page = differences_page(found, a, b, NOW)
    assert "... and 3,960 more; --all shows them" in page.render(80, False)
    everything = differences_page(found, a, b, NOW, Asked(is_whole=True))
    for whole in (page.render(None, False), everything.render(80, False)):
        assert whole.count("\n+x") == 5000
        assert "m3999" in whole


def test_a_renamed_file_in_the_code_has_its_mark() -> None:
    a, b = first(), other()
    found = replace(
        diff_runs(a, b), code_files=(CodeChange("R100", "b.py"), CodeChange("D", "c.py"), CodeChange("T", "d"))
    )
    page = differences_page(found, a, b, NOW).render(None, False)
    assert "  →  b.py\n  -  c.py\n  ~  d\n" in page


def test_a_long_value_is_shortened_on_a_terminal_only() -> None:
    a, b = sample_run(params={"k": "x" * 900}), sample_run(id="9dm1c0vw5t2ha7xs", params={"k": "y" * 900})
    assert max(len(line) for line in told(a, b).split("\n")) <= 80
    assert "y" * 900 in told(a, b, None)


def test_another_raw_manifest_is_a_difference_of_the_code() -> None:
    run = sample_run()
    page = told(run, replace(run, code=replace(run.code, raw=digest("7"))))
    assert "  raw  none  →  b3:7777777777\n" in page


def test_libraries_instruction_sets_and_other_builds_are_told() -> None:
    flags = ("avx", "avx2", "avx512bw", "avx512f", "avx512vl")
    run = replace(
        sample_run(),
        hardware=replace(sample_run().hardware, cpu_flags=flags),
        environment=replace(sample_run().environment, libraries={"glibc": "2.36", "blas.threads": "8"}),
    )
    now = replace(
        run,
        id="9dm1c0vw5t2ha7xs",
        hardware=replace(run.hardware, cpu_flags=("avx", "amx_tile")),
        environment=replace(run.environment, lockfile=digest("9"), libraries={"glibc": "2.41", "blas.threads": "8"}),
    )
    builds = [PackageChange("scipy", "build", "1.14.0", "1.14.0"), PackageChange("mine", "place", "an index", "vcs u")]
    found = explain_lock(diff_runs(run, now), builds, same_digest=False)
    page = differences_page(found, run, now, NOW).render(80, False)
    assert "  libraries.glibc  2.36  →  2.41\n" in page
    assert "  ~  scipy  1.14.0              other files\n  →  mine   an index  →  vcs u  elsewhere\n" in page
    assert "  cpu_flags  - avx2, avx512 (3 sets)  + amx_tile" in page
    verdict = verdict_page(judge(run, now, Rules())).render(80, False)
    assert "  glibc      2.36" in verdict


SERIES = ({"loss": [3.0, 2.0, 1.0]}, {"loss": [3.0, 1.0, float("nan")]})


def of_loss(width: int | None, **metrics: MetricSummary) -> str:
    """The page of two runs whose loss, and perhaps more, differs."""
    a = sample_run(metrics={"loss": metric(1.0, 3), **dict.fromkeys(metrics, metric(0.5, 3))})
    b = sample_run(id="9dm1c0vw5t2ha7xs", metrics={"loss": metric(2.0, 3), **metrics})
    found = replace(diff_runs(a, b), goals={"loss": "min", "acc": "max"})
    return differences_page(found, a, b, NOW, Asked(series=SERIES)).render(width, False)


def test_small_lines_of_both_runs_share_one_scale_and_give_way_on_a_narrow_terminal() -> None:
    assert "  loss         1  █▅▁         2  █▁  ▲ +1  +100 %  worse\n" in of_loss(80)
    assert "█" not in of_loss(40)
    assert "  loss         1         2  ▲ +1  +100 %  worse\n" in of_loss(None)


def test_what_is_true_of_every_metric_is_said_once() -> None:
    page = of_loss(80, loss=metric(2.0, 9), acc=metric(0.75, 9))
    assert "\nMetrics  3 → 9 points\n" in page and page.count("points") == 1
    assert "better" in page and "worse" in page


def test_only_the_sections_asked_for_are_shown() -> None:
    files = (CodeChange("M", "train.py", 1, 1),)
    found = replace(diff_runs(first(), other()), code_files=files, patch=PATCH)
    page = differences_page(found, first(), other(), NOW, Asked(("code", "outcome"))).render(80, False)
    assert [line for line in page.split("\n") if line[:1].isalpha() and line[1:2] != " "][2:] == ["Code", "Outcome"]


def test_gpus_alike_are_told_once() -> None:
    a, b = (
        sample_run(hardware=replace(sample_run().hardware, gpus=(Gpu("NVIDIA H100", 80 << 30, driver),) * 8))
        for driver in ("535", "550")
    )
    none = replace(a, hardware=replace(a.hardware, gpus=()))
    assert "\n  gpus.driver  8 x 535  →  8 x 550\n" in told(a, replace(b, id="b" * 16))
    page = told(none, replace(b, id="b" * 16))
    assert "  gpus.name          none  →  8 x NVIDIA H100\n" in page and page.count("gpus.") == 3
    one = replace(b, id="b" * 16, hardware=replace(b.hardware, gpus=(*a.hardware.gpus[:7], b.hardware.gpus[0])))
    assert "  gpus.7.driver  535  →  550\n" in told(a, one)


def test_one_long_value_leaves_the_others_near_their_names() -> None:
    a, b = (sample_run(id=one * 16, params={"lr": len(one), "path": one * 150}) for one in "ab")
    assert max(map(cell_width, told(replace(a, params={**a.params, "lr": 2}), b, 200).split("\n"))) < 150
    shown = told(replace(a, params={**a.params, "lr": 2}), b, 200)
    assert "  lr    2 " in shown and f"  path  {'a' * 30}…" in shown
    assert "b" * 150 in told(a, b, 400), "a single row has room"
    assert "b" * 150 in told(replace(a, params={**a.params, "lr": 2}), b, None)


def test_data_among_the_code_is_named_and_its_patch_is_counted_on_a_terminal() -> None:
    lines = "".join(f"+{n}\n" for n in range(30))
    patch = f"{PATCH}diff --git a/d/t.csv b/d/t.csv\n--- a/d/t.csv\n+++ b/d/t.csv\n@@ -0,0 +1,30 @@\n{lines}"
    entry = Entry("d/t.csv", "1", 9)
    tracked = DataChange(
        MemberChanges((FileChange("d/t.csv", "changed", entry, replace(entry, size_bytes=10)),), 0), {}
    )
    files = (CodeChange("M", "train.py", 1, 1), CodeChange("M", "d/t.csv", 30, 0))
    found = replace(diff_runs(first(), other()), code_files=files, patch=patch, tracked=tracked)
    page = differences_page(found, first(), other(), NOW).render(80, False)
    assert "data (d/t.csv)" in page and "\nData  tracked with the code\n  ~  d/t.csv  9 B → 10 B\n" in page
    assert "\ndiff --git a/d/t.csv b/d/t.csv\n... 33 lines of d/t.csv; --all shows them\n" in page
    for whole in (
        differences_page(found, first(), other(), NOW).render(None, False),
        differences_page(found, first(), other(), NOW, Asked(is_whole=True)).render(80, False),
    ):
        assert "\n+29\n" in whole and "lines of" not in whole


@settings(max_examples=10, deadline=None)
@given(runs, runs, st.integers(20, 200))
def test_no_line_of_numbers_is_wider_than_the_terminal_unless_its_numbers_are(a: Run, b: Run, width: int) -> None:
    page = differences_page(diff_runs(a, b), a, b, NOW, Asked(("params",))).render(width, False)
    assert all(cell_width(line) <= max(width, 70) for line in page.split("\n")[4:])


def test_a_name_written_from_the_right_does_not_make_the_values_change_places() -> None:
    a, b = (sample_run(id=one * 16, params={"عدد": value}) for one, value in (("a", 0.1), ("b", 0.2)))
    assert "  عدد\u200e       0.1       0.2  " in told(a, b, 80)
    assert "\u200e" not in told(a, b, None)
