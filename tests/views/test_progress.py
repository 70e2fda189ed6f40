from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from mltrack.views.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def drawn(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_what_is_quick_draws_nothing() -> None:
    on, clock = screen(), Clock()
    with Progress("push", 2**20, on=on, clock=clock) as advance:
        clock.now = 0.9
        advance(2**20)
    assert drawn(on) == ""


def test_after_a_second_the_bytes_done_are_drawn_and_at_the_end_wiped() -> None:
    on, clock = screen(), Clock()
    with Progress("push [x]", 4 * 2**20, on=on, clock=clock) as advance:
        advance(2**20)
        clock.now = 1.1
        advance(2 * 2**20)
    assert "push [x]" in drawn(on)
    assert "3.0/4.0 MiB" in drawn(on)
    assert drawn(on).endswith("\x1b[2K")


def test_an_unknown_total_still_shows_the_bytes() -> None:
    on, clock = screen(), Clock()
    with Progress("hash", on=on, clock=clock) as advance:
        clock.now = 2
        advance(3 * 2**20)
    assert "3.0/? MiB" in drawn(on)


def test_bytes_from_several_threads_are_all_counted() -> None:
    on, clock = screen(), Clock()
    clock.now = 0.0
    with Progress("hash", 8000 * 1024, on=on, clock=clock) as advance:
        clock.now = 5
        threads = [threading.Thread(target=lambda: [advance(1024) for _ in range(1000)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "7.8/7.8 MiB" in drawn(on)


def test_the_line_is_wiped_when_the_work_fails() -> None:
    on, clock = screen(), Clock()
    with pytest.raises(ValueError, match="broken"), Progress("push", 10, on=on, clock=clock) as advance:
        clock.now = 2
        advance(1)
        raise ValueError("broken")
    assert drawn(on).endswith("\x1b[2K")


def test_without_a_terminal_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("push", 10, clock=clock) as advance:
        clock.now = 9
        advance(5)
    assert capsys.readouterr().err == ""
