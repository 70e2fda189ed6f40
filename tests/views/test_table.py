from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from mltrack.errors import UsageError
from mltrack.records import Run
from mltrack.views.table import runs_table
from mltrack.views.text import cell_width, parse_time
from tests.compare.samples import metric, sample_run

NOW = parse_time("2026-11-21T04:00:00Z")


def ids(number: int) -> str:
    return f"{number:08d}{number:08d}"


def runs() -> list[Run]:
    return [
        sample_run(id=ids(1), name="wider", params={"lr": 0.01, "depth": 3}, metrics={"loss": metric(0.25)}, tags=()),
        sample_run(id=ids(2), params={"lr": 0.1, "depth": 3}, metrics={"loss": metric(0.5)}),
        sample_run(id=ids(3), name=None, status="failed", params={"lr": 1.0, "depth": 3}, metrics={}),
    ]


def table(of: Sequence[Run], width: int | None = 120, **more: object) -> list[str]:
    return runs_table(of, now=NOW, **more).render(width, False).rstrip("\n").split("\n")  # type: ignore[arg-type]


def test_a_table_has_one_line_a_run_under_a_header() -> None:
    lines = table(runs(), None)
    assert lines[0].split() == ["id", "status", "age", "name", "lr", "loss", "command", "tags"]
    assert lines[1].split()[:7] == ["00000001", "✓", "finished", "2", "h", "wider", "0.01"]
    assert lines[3].split()[:3] == ["00000003", "✗", "failed"]
    assert len(lines) == 4


def test_params_that_are_all_the_same_take_no_room() -> None:
    assert "depth" not in table(runs())[0]
    assert "depth" in table(runs()[:1])[0]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_every_line_fits_the_terminal(width: int) -> None:
    of = [*runs(), sample_run(id=ids(4), name="训练 🚀" * 9, command=("python", "x" * 300), tags=("a" * 50,))]
    lines = runs_table(of, now=NOW).render(width, False).rstrip("\n").split("\n")
    shown = [line for line in lines if not line.startswith("No room")]
    assert all(cell_width(line) <= width for line in shown)
    assert lines[1].startswith("00000001")


def test_numbers_are_never_cut() -> None:
    of = [
        sample_run(id=ids(n), params={"learning_rate_of_the_head": n / 7}, metrics={"a_long_metric": metric(n / 3)})
        for n in (1, 2)
    ]
    for width in range(30, 130, 7):
        for line in table(of, width)[1:3]:
            for word in re.findall(r"[\d.]+…|…[\d.]+", line.split("python")[0]):
                raise AssertionError(f"{word!r} is half a number at width {width}")


def test_a_pipe_gets_commands_whole() -> None:
    long = sample_run(id=ids(5), command=("python", "train.py", "--note", "x" * 500))
    assert f"--note {'x' * 500}" in table([*runs(), long], None)[4]


def test_what_had_no_room_is_said_on_a_terminal_only() -> None:
    of = [sample_run(id=ids(n), params={f"p{place}": n for place in range(300)}) for n in (1, 2)]
    lines = table(of, 80)
    assert lines[-1].startswith("No room for params.p")
    assert lines[-1].endswith("more; choose with --columns.")
    assert "No room" not in "\n".join(table(of, None))


def test_a_list_that_is_not_whole_says_so_on_a_terminal() -> None:
    assert table(runs(), 120, total=314)[-1] == "3 of 314 runs shown."
    assert len(table(runs(), None, total=314)) == 4


def test_ids_are_long_enough_to_tell_the_runs_apart() -> None:
    of = [sample_run(id="00000000aaaaaaaa"), sample_run(id="00000000aabbbbbb")]
    assert [line.split()[0] for line in table(of)[1:]] == ["00000000aaa", "00000000aab"]


def test_the_word_of_a_status_gives_way_to_its_glyph() -> None:
    assert "finished" not in "\n".join(table(runs(), 50))
    assert "✓" in table(runs(), 50)[1]


def test_titles_are_shortened_to_their_last_part_only_where_that_is_clear() -> None:
    of = [sample_run(id=ids(n), params={"model.depth": n, "optim.lr": n, "head.lr": n}) for n in (1, 2)]
    header = table(of, None)[0].split()
    assert "depth" in header
    assert {"optim.lr", "head.lr"} <= set(header)


def test_an_empty_ledger_says_what_to_do_and_an_empty_selection_that_there_are_others() -> None:
    assert "mltrack run -- python train.py" in runs_table([]).render(80, False)
    assert "There are 3 runs in all" in runs_table([], total=3).render(80, False)
    assert "There is 1 run in all" in runs_table([], total=1).render(80, False)


def test_columns_can_be_chosen() -> None:
    lines = table(
        runs(), None, columns=["id", "params", "loss", "metrics.loss", "why", "duration_s", "verdict", "age", "status"]
    )
    assert lines[0].split() == ["id", "lr", "depth", "loss", "why", "duration_s", "verdict", "age", "status"]
    assert "1 min 20 s" in lines[1]
    assert table(runs(), None, columns=["exit_code", "params.depth"])[1].split() == ["0", "3"]


def test_an_unknown_column_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        runs_table(runs(), columns=["experimnt"])
    assert caught.value.hint == "Did you mean experiment?"
    with pytest.raises(UsageError) as caught:
        runs_table(runs(), columns=["qqqqq"])
    assert "Known columns: id, " in str(caught.value.hint)


def test_recorded_escape_sequences_do_not_reach_the_terminal() -> None:
    evil = sample_run(
        id=ids(9), name="\x1b[2J", tags=("\x1b]0;x\x07",), params={"\x1b[31mlr": "\x1b[5m"}, status="\x1bc",
        command=("\x1b[8m", "caf\udce9"), experiment="\x07",
    )  # fmt: skip
    for width in (80, 200, None):
        for line in runs_table([*runs(), evil], now=NOW).render(width, False).split("\n"):
            assert line.isprintable()
            line.encode()


def test_a_thousand_runs_with_many_metrics_are_listed_whole_in_a_pipe() -> None:
    of = [sample_run(id=ids(n), metrics={"loss": metric(n)}) for n in range(1000)]
    assert len(table(of, None)) == 1001


def test_listing_runs_imports_no_table_library() -> None:
    code = (
        "import sys; from mltrack.views.table import runs_table; from mltrack.views.console import show\n"
        "from tests.compare.samples import sample_run; show(runs_table([sample_run()]))\n"
        "heavy = {'rich', 'typer', 'matplotlib', 'pydantic'} & set(sys.modules); sys.exit(f'{heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3kq8f2zx" in done.stdout
