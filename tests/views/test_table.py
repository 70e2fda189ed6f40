from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mltrack.digest import plain
from mltrack.errors import UsageError
from mltrack.ledger.language.parser import parse
from mltrack.noun_json import to_dict
from mltrack.operations.seeing.fields import in_question
from mltrack.records import Run
from mltrack.views.tables.columns import even_numbers, natural
from mltrack.views.tables.table import changed_table, chosen_table, runs_table
from mltrack.views.text import cell_width, clean, parse_time
from tests.compare.samples import metric, sample_run
from tests.views.nasty import nasty_runs, wide_run

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


def chosen(of: Sequence[Run], columns: Sequence[str], width: int | None = None, changed: bool = False) -> list[str]:
    make = changed_table if changed else chosen_table
    text = make(documents(of), columns, now=NOW).render(width, False)
    return text.rstrip("\n").split("\n")


def documents(of: Sequence[Run]) -> list[dict[str, Any]]:
    return [plain(to_dict(run)) for run in of]


def test_columns_can_be_chosen_by_the_names_of_the_query_language_or_bare_ones() -> None:
    columns = ["id", "params", "loss", "metrics.loss", "why", "duration_s", "verdict", "age", "status"]
    lines = chosen(runs(), columns)
    assert lines[0].split() == ["id", "lr", "depth", "loss", "why", "duration_s", "verdict", "age", "status"]
    assert "1 min 20 s" in lines[1]
    assert chosen(runs(), ["exit_code", "params.depth"])[1].split() == ["0", "3"]
    assert chosen(runs(), ["loss.min", "metrics.loss.min", "code.branch", "environment.python"])[1].split()[0] == "0.25"


def test_an_unknown_column_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        chosen(runs(), ["experimnt"])
    assert caught.value.hint == "Did you mean experiment?"
    with pytest.raises(UsageError) as caught:
        chosen(runs(), ["qqqqq"])
    assert "docs/reference/query.md" in str(caught.value.hint)
    with pytest.raises(UsageError) as caught:
        chosen(runs(), ["los"])
    assert caught.value.hint == "Did you mean metrics.loss?"


def test_columns_asked_for_by_name_are_never_left_away_and_those_of_a_family_are() -> None:
    of = [sample_run(id=ids(n), params={f"p{place}": n * 1000 for place in range(40)}) for n in (1, 2)]
    names = [f"p{place}" for place in range(40)]
    assert chosen(of, names, 60)[0].split() == names
    assert len(chosen(of, ["params"], 60)[0].split()) < 12
    below = " ".join(chosen(of, ["params"], 60)[3:])
    assert below.startswith("No room for params.p") and below.endswith("; choose with --columns.")


def test_what_a_query_names_is_shown_first_though_it_is_the_same_in_all() -> None:
    of = [sample_run(id=ids(n), params={**{f"p{at}": n for at in range(9)}, "depth": 3}) for n in (1, 2)]
    focus = in_question(parse("params.depth = 3 and code.branch = main"), "-duration")
    header = table(of, None, focus=focus)[0].split()
    assert {"depth", "code.branch", "duration_s"} <= set(header)
    assert "depth" in table(of, 80, focus=focus)[0]


def test_only_what_changed_is_shown_and_the_rest_is_named_in_one_line() -> None:
    lines = chosen(runs(), [], changed=True)
    assert lines[0].split() == ["id", "age", "status", "name", "lr", "loss"]
    assert lines[-1].startswith("the same in all: depth = 3, ")
    assert "branch = main" in lines[-1] and "lr =" not in lines[-1]
    assert chosen(runs(), ["id", "params"], changed=True) == [
        "id          lr", "00000001  0.01", "00000002   0.1", "00000003     1", "the same in all: depth = 3",
    ]  # fmt: skip


def test_what_is_the_same_takes_one_line_of_the_terminal() -> None:
    of = [sample_run(id=ids(n), params={f"p{place}": "same" for place in range(1000)}) for n in (1, 2)]
    for width in (60, 200):
        line = chosen(of, [], width, changed=True)[-1]
        assert cell_width(line) <= width and line.endswith(" more")


def test_names_are_the_shortest_that_tell_columns_apart() -> None:
    of = [
        sample_run(
            id=ids(n),
            params={"model.depth": n, "loss": f"l{n}", "a.b.c": n, "x.b.c": n},
            metrics={"val.loss": metric(n), "train.loss": metric(n), "layer/1/norm": metric(n), "loss": metric(n)},
        )
        for n in (1, 2)
    ]
    header = table(of, None)[0].split()
    assert {"depth", "val.loss", "train.loss", "norm", "params.loss", "metrics.loss", "a.b.c", "x.b.c"} <= set(header)


def test_no_heading_of_a_param_or_metric_is_the_name_of_something_else() -> None:
    params = {"seed": 1, "model.name": "a", "in.tags": 2, "x.Python": 3, "a.and": 4, "run": 5, "age": 6}
    of = [sample_run(id=ids(n), params={name: f"{value}-{n}" for name, value in params.items()}) for n in (1, 2)]
    of = [replace(run, metrics={"val.duration": metric(0.5), "metrics": metric(0.1)}) for run in of]
    header = table(of, None)[0].split()
    wanted = {"params.seed", "model.name", "in.tags", "x.Python", "a.and", "run", "params.age", "val.duration"}
    assert wanted | {"metrics.metrics"} <= set(header) and not {"seed", "Python", "and", "duration"} & set(header)
    assert chosen(of, ["id", "params.seed"])[0].split() == ["id", "params.seed"]


def test_what_the_table_shows_can_be_asked_for() -> None:
    params = {"optim.lr": 0.1, "model/size": 3, "a.b.c": 1, "x.b.c": 2}
    of = [sample_run(id=ids(n), params=params, metrics={"val/acc": metric(0.5)}) for n in (1, 2)]
    header = chosen(of, ["lr", "size", "acc", "acc.min", "a.b.c"])[0].split()
    assert header == ["lr", "size", "acc", "acc.min", "a.b.c"]
    with pytest.raises(UsageError, match="one of several") as caught:
        chosen(of, ["c"])
    assert caught.value.hint == "Did you mean params.a.b.c or params.x.b.c?"


def test_numbers_of_a_metric_have_as_many_digits_behind_the_point() -> None:
    assert even_numbers([0.5, 0.85123, 12.0, None]) == ["0.500", "0.851", "12.000", ""]
    assert even_numbers([0.99991, 0.99994]) == ["0.99991", "0.99994"]
    assert even_numbers([1.0, 20.0, "NaN", math.inf]) == ["1", "20", "NaN", "Infinity"]
    assert even_numbers([1e-12, 0.5, -0.0, 3]) == ["1e-12", "0.5", "0.0", "3.0"]


def test_what_is_missing_is_empty_and_what_is_not_a_number_says_so() -> None:
    of = [
        sample_run(id=ids(1), params={"lr": None, "a": "x"}, metrics={"acc": metric("NaN")}),
        sample_run(id=ids(2), params={}, metrics={}),
    ]
    text = "\n".join(table(of, None) + chosen(of, ["id", "params", "metrics"]))
    assert "None" not in text and "NaN" in text


def test_names_are_sorted_by_the_numbers_in_them() -> None:
    assert sorted(["p10", "p2", "q", "p2b1", "p02"], key=natural) == ["p2", "p02", "p2b1", "p10", "q"]


@pytest.mark.parametrize("width", [1, 8, 20, 60, 80, 120, 200, None])
def test_odd_runs_are_listed_at_any_width(width: int | None) -> None:
    for of in (nasty_runs(), nasty_runs()[:1], [wide_run(300, 400), wide_run(300, 400, 21)]):
        for lines in (table(of, width), chosen(of, [], width, changed=True), chosen(of, ["id", "params"], width)):
            assert all(clean(line) == line for line in lines)
            "\n".join(lines).encode()
            if width is not None and width >= 20:
                told = next((at for at, line in enumerate(lines) if line.startswith(("No room", "the same"))), None)
                assert all(cell_width(line) <= width for line in lines[:told])
                assert width < 60 or all(cell_width(line) <= width for line in lines)


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
        "import sys; from mltrack.views.tables.table import runs_table; from mltrack.views.console import show\n"
        "from tests.compare.samples import sample_run; show(runs_table([sample_run()]))\n"
        "heavy = {'rich', 'typer', 'matplotlib', 'pydantic'} & set(sys.modules); sys.exit(f'{heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3kq8f2zx" in done.stdout
