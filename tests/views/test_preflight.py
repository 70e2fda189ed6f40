from __future__ import annotations

from dataclasses import replace

from mltrack.compare.preflight.grade import GRADES, grade
from mltrack.digest import plain
from mltrack.noun_json import to_dict
from mltrack.operations.preflight import Forecast
from mltrack.operations.seeing.fields import Names, shown
from mltrack.records import Concern, Preflight
from mltrack.views.preflight import MEANINGS, STYLES, forecast_page, preflight_line, short_line
from mltrack.views.show import run_page
from mltrack.views.tables.chosen import chosen_columns
from tests.compare.samples import sample_run

SEED = Concern("seed", "B", "No seed is set: train.py uses random numbers.", "start it with --seed N")
NETWORK = Concern("network", "D", "It reads from the network: https://example.org/a.", "Fetch it once.")
REMARK = Concern("no-git", "A", "There is no git repository.", "git init")

WHOLE = """\
  D  it needs something that may be gone one day

  $ python train.py 'a b'

  D  It reads from the network: https://example.org/a.
     → Fetch it once.

  B  No seed is set: train.py uses random numbers.
     → start it with --seed N

Also  lowers no grade
  · There is no git repository.
  → git init

  Judged by what is here now; by the record of its last run, 3kq8f2zx, too; package indexes and registries were not asked.
"""


def test_a_forecast_is_told_with_every_remedy() -> None:
    forecast = Forecast(("python", "train.py", "a b"), grade([SEED, REMARK, NETWORK]), "3kq8f2zxm1n4p7rt", True)
    assert forecast_page(forecast).render(None, False) == WHOLE
    assert "\x1b[1;31m" in forecast_page(forecast).render(80, True)


def test_a_command_without_a_concern_gets_its_a_in_two_lines() -> None:
    text = forecast_page(Forecast(("./x",), Preflight("A"), None, False)).render(80, False)
    assert text.splitlines()[0] == "  A  nothing that is known is in the way of getting it again"
    assert text.splitlines()[-1] == "  Judged by what is here now; it never ran here."


def test_escape_sequences_of_a_message_do_not_reach_the_terminal() -> None:
    odd = Concern("left-out", "F", "1 file is left out: \x1b[2J.", "rm \x1b]0;x\x07")
    assert "\x1b" not in forecast_page(Forecast(("x\x1b[2J",), grade([odd]), None, False)).render(80, False)


def test_the_page_of_a_run_has_its_grade_and_the_worst_reason() -> None:
    run = replace(sample_run(), preflight=grade([SEED, NETWORK, REMARK]))
    whole, brief = run_page(run).render(None, False), run_page(run).render(200, False)
    assert "Preflight    D: It reads from the network: https://example.org/a. No seed is set" in whole
    assert (
        "Preflight    D: It reads from the network: https://example.org/a. (and 1 more; --json has them all)" in brief
    )
    assert "Preflight" not in run_page(sample_run()).render(80, False)
    assert (preflight_line(Preflight("A")), short_line(grade([SEED]))) == ("A", f"B: {SEED.message}")


def test_the_list_of_runs_can_show_grades() -> None:
    runs = [sample_run(), replace(sample_run(), preflight=grade([SEED]))]
    [column] = chosen_columns(shown(["preflight"], Names()), [plain(to_dict(run)) for run in runs], 0.0)
    assert [text for text, _ in column.cells] == ["", "B"]


def test_every_grade_has_a_meaning_and_a_colour() -> None:
    assert set(MEANINGS) == set(STYLES) == set(GRADES)


def test_long_texts_are_wrapped_between_words_beside_their_mark() -> None:
    long = Concern("x", "C", "word " * 30 + "end.", "do " * 40 + "it")
    lines = forecast_page(Forecast(("x",), grade([long]), None, False)).render(60, False).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert [line[:6] for line in lines if "word" in line] == ["  C  w", *["     w"] * 2]


def test_a_command_that_would_not_start_is_told_as_that() -> None:
    gone = Concern("would-not-start", "F", "The program x is not there.", "Check its name.")
    text = forecast_page(Forecast(("x",), grade([SEED, gone]), None, True)).render(80, False)
    assert text.splitlines()[0] == "  F  it would not even start"
