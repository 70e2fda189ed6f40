from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from mltrack.compare.verdict.judge import judge
from mltrack.compare.verdict.rules import Rules
from mltrack.records import (
    Artifact,
    CodeState,
    Environment,
    Gpu,
    Hardware,
    Image,
    LeftOut,
    NestedCode,
    Parent,
    Resources,
    Run,
    Warning,
)
from mltrack.views.notices import left_out_page, warnings_page
from mltrack.views.show import run_page
from mltrack.views.text import cell_width, parse_time, without_colour
from tests.compare.samples import digest, input_file, metric, sample_run
from tests.compare.strategies import few, runs

NOW = parse_time("2026-11-21T04:00:00Z")

BARE = Run(1, "3kq8f2zxm1n4p7rt", None, None, "finished", ("true",), ".", 0, created_at="2026-11-21T03:59:00Z")

STORY = """\
✓ baseline  3kq8f2zxm1n4p7rt
  Finished in 1 min 20 s, started 2 h ago (2026-11-21 01:02:03 UTC) by ada on
  bench-1.

  $ python train.py --lr 0.1

Why          a first look at the digits
Experiment   iris
Tags         paper
Note         The loss is still falling at the end.

! 1 file left out of the snapshot:
  data/huge.bin  3.2 GiB  larger than 10 MiB

! models/last.pt was declared as an output, but was not written.

Code         commit 9f2a1c3d5e on main, with uncommitted changes, from
             https://git.example.org/ada/iris.git
             uncommitted: train.py, params.yaml
             vendor/lib: commit 3333333333
Environment  Python 3.11.7, 3 packages, .venv/bin/python
Variables    OMP_NUM_THREADS=2, PYTHONHASHSEED=7
Hardware     AMD EPYC 7763, 8 cores, 30.7 GiB, NVIDIA H100 80GB HBM3 (79.6 GiB,
             driver 550.54, CUDA 12.4), Debian GNU/Linux 12 6.1.0-18-amd64
Used         488 MiB of memory and 2 min 31 s of CPU time
Seed         7

Params
  lr           0.1    argv
  model.depth  3      params.yaml
  optimizer    sgd    params.yaml
  amp          false  params.yaml

Inputs
  data/train.csv  3.3 MiB  b3:dddddddddd

Artifacts
  models/best.pt  1.2 MiB  b3:aaaaaaaaaa  observed
  plots/loss.svg  2.0 KiB  b3:bbbbbbbbbb  observed

Metrics
               last   min   max  points
  val_loss  0.20113   0.2   1.3      10
  accuracy  0.91667  0.31  0.92      10

see its output  mltrack log 3kq8f2zx
compare it      mltrack diff @~1 3kq8f2zx
get it again    mltrack reproduce 3kq8f2zx
"""


def told(run: Run, width: int | None = 80) -> str:
    return run_page(run, NOW).render(width, False)


def test_a_run_is_told_as_a_story() -> None:
    assert told(sample_run()) == STORY


def test_sections_without_content_are_silent() -> None:
    assert told(BARE, None) == (
        "✓ 3kq8f2zxm1n4p7rt\n  Finished, started 1 min ago (2026-11-21 03:59:00 UTC).\n\n  $ true\n"
    )


@few
@given(runs)
def test_every_run_has_a_page_that_a_terminal_can_show(run: Run) -> None:
    for width in (40, None):
        text = told(run, width)
        text.encode()
        assert "\x1b" not in text


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"status": "failed", "exit_code": 2}, "3kq8f2zxm1n4p7rt\n  Failed with exit code 2 after 1 min 20 s"),
        ({"status": "failed", "exit_code": None, "signal": 9}, "  Failed by signal 9 after 1 min 20 s"),
        ({"status": "interrupted", "exit_code": None, "signal": 2}, "  Interrupted by signal 2 after 1 min 20 s"),
        ({"status": "lost", "exit_code": None, "duration_s": None}, "  Lost: its end was not seen, started"),
        ({"status": "running", "exit_code": None, "duration_s": None}, "● baseline  3kq8f2zxm1n4p7rt\n  Running, s"),
        ({"parent": Parent("reproduce", "9dm1c0vw5t2ha7xs")}, "Parent       a reproduction of 9dm1c0vw5t2ha7xs\n"),
        ({"cwd": "sub/dir"}, "Directory    sub/dir\n"),
        ({"command": ("python", "-c", "a\nb 'c'", "caf\udce9")}, "$ python -c 'a\\nb '\"'\"'c'\"'\"'' 'caf\\xe9'\n"),
        ({"resources": Resources(cpu_seconds=2.0)}, "Used         2.0 s of CPU time\n"),
        ({"code": CodeState(tree="22" * 20)}, "Code         tree 2222222222\n"),
        ({"hardware": Hardware(cores=1, cpu_limit=0.5, memory_limit_bytes=2**30)},
         "Hardware     1 core, limited to 0.5, limited to 1.0 GiB\n"),
        ({"environment": Environment("b3:1", "docker", "3.12", image=Image("sha256:1", None, "python:3.12"))},
         "Environment  Python 3.12, docker, image python:3.12\n"),
        ({"environment": Environment("b3:1", "system")}, "Environment  system\n"),
        ({"environment": Environment(libraries={"glibc": "2.36", "blas": "OpenBLAS 0.3", "blas.threads": "8",
          "torch.cuda": "12.4", "torch.tf32.matmul": "False", "torch.deterministic": "warn", "nccl": "2"})},
         "Libraries    OpenBLAS 0.3, BLAS threads 8, TF32 off, deterministic on, warning only, glibc 2.36\n"),
        ({"environment": Environment(libraries={"torch.tf32.matmul": "True", "blas": "x"})}, "Libraries    x\n"),
        ({"hardware": Hardware(cores=8, physical_cores=4)}, "Hardware     8 threads of 4 cores\n"),
        ({"inputs": (input_file("d", kind="directory", files=12, size_bytes=4096),)},
         "  d/  12 files, 4.0 KiB  b3:dddddddddd\n"),
        ({"inputs": (input_file("x", digest=None, changed_during_run=True),)}, "no digest  changed during the run\n"),
        ({"inputs": (input_file("x", digest=None),)}, "no digest  could not be read\n"),
        ({"inputs": (input_file("x", kept=False, found="observed"),)}, "observed, not kept, only its digest\n"),
        ({"metrics": {"loss": metric("NaN", 3)}}, "  loss   NaN  NaN  NaN       3\n"),
    ],
)  # fmt: skip
def test_the_page_says(changes: dict[str, object], line: str) -> None:
    assert line in told(sample_run(**changes), None)


def test_a_running_run_offers_to_follow_or_stop_it() -> None:
    page = told(sample_run(status="running", exit_code=None))
    assert "mltrack log 3kq8f2zx -f" in page
    assert "mltrack stop 3kq8f2zx" in page


def test_the_verdict_of_a_reproduction_is_on_its_page() -> None:
    run = sample_run()
    again = replace(run, id="9dm1c0vw5t2ha7xs", parent=Parent("reproduce", run.id), verdict=judge(run, run, Rules()))
    page = told(again)
    assert "✓ identical: 2 artifacts byte for byte, 2 metrics exact.  (compared with 3kq8f2zx)" in page
    assert "mltrack diff 3kq8f2zx 9dm1c0vw" in page


def test_many_params_metrics_artifacts_and_changed_files_stay_a_page_on_a_terminal_and_whole_in_a_pipe() -> None:
    run = sample_run(
        params={f"p{n}": n for n in range(300)},
        metrics={f"m{n}": metric(n) for n in range(4_000)},
        artifacts=tuple(Artifact(f"a{n}", "file", digest("a"), 1) for n in range(100)),
        code=replace(sample_run().code, changed=tuple(f"f{n}.py" for n in range(50))),
    )
    page = told(run)
    assert "... and 260 more; --json has them all" in page
    assert "... and 3,960 more; --json has them all" in page
    assert "uncommitted: f0.py, f1.py, f2.py, f3.py, f4.py, f5.py, f6.py, f7.py" in page
    assert "             and 42 more\n" in page
    assert len(page.split("\n")) < 200
    assert len(told(run, None).split("\n")) > 4_400
    assert "f49.py" in told(run, None)


def test_left_out_files_of_nested_repositories_are_told_with_their_whole_path() -> None:
    inner = CodeState(left_out=(LeftOut("w.bin", None, "cannot be read"),))
    code = CodeState(
        left_out=(LeftOut("a", 1, "r"),), nested=(NestedCode("lib", CodeState(nested=(NestedCode("b", inner),))),)
    )
    assert [item.path for item in code.all_left_out()] == ["a", "lib/b/w.bin"]
    page = left_out_page(code.all_left_out()).render(None, False)
    assert page == "! 2 files left out of the snapshot:\n  a            1 B  r\n  lib/b/w.bin       cannot be read\n"


def test_nothing_left_out_and_no_warning_say_nothing() -> None:
    assert left_out_page(()).render(80, True) == ""
    assert warnings_page(()).render(80, True) == ""


def test_a_flood_of_warnings_is_cut_with_a_remark() -> None:
    lines = warnings_page([Warning("k", f"w{n}.") for n in range(25)]).render(80, False).split("\n")
    assert lines[0] == "! w0."
    assert lines[20] == "! ... and 5 more warnings; --json has them all"


def test_many_long_warnings_leave_the_page_in_sight_on_a_terminal_and_a_pipe_has_all() -> None:
    run = sample_run(warnings=tuple(Warning("k", f"warning {n} {'long ' * 200}end{n}.") for n in range(30)))
    page = run_page(run, NOW).render(80, False)
    assert page.count("! warning") == 5 and "! 25 more: --json has them\n" in page and "end0" in page
    assert page.index("--json has them") < 3000
    assert "end29." in run_page(run, NOW).render(None, False)


def test_gpus_alike_stand_once() -> None:
    gpus = (Gpu("NVIDIA H100", 80 << 30, "550"),) * 8
    assert "8 x NVIDIA H100 (80.0 GiB, driver 550)" in told(sample_run(hardware=Hardware(gpus=gpus)))


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_the_sentence_of_its_end_fits(width: int) -> None:
    lines = run_page(sample_run(), NOW).render(width, True).split("\n")
    assert all(cell_width(without_colour(line)) <= width for line in lines[1 : lines.index("")])
    assert "".join(map(without_colour, lines[1 : lines.index("")])).split()[0] == "Finished"
