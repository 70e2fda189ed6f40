from __future__ import annotations

from mltrack.operations.share import RemoteRow
from mltrack.sync.planning import Plan
from mltrack.views.remotes import plan_page, remotes_page

NOW = 1_795_222_923.0


def test_a_remote_is_a_line_and_says_why_it_could_not_be_asked() -> None:
    rows = [
        RemoteRow("origin", "s3://b/p", 3, 9_000_000, 2, "2026-11-21T01:00:00Z"),
        RemoteRow("gone", "/mnt/x", error="The place of the remote /mnt/x does not exist."),
        RemoteRow("evil\x1b[31m", "/y"),
    ]
    text = remotes_page(rows, NOW).render(None, False)
    assert "3 runs, 8.6 MiB, from 2 checkouts" in text and "last push" in text
    assert "does not exist" in text and "\x1b" not in text


def test_a_plan_says_how_much_and_that_nothing_was_moved() -> None:
    text = plan_page(Plan(2, 1, 5, 1 << 20, 1), "send").render(None, False)
    assert text == "Would send: 2 runs, 1 edit\n5 objects, 1.0 MiB, in 1 pack\nNothing was moved.\n"
    assert "both sides have the same" in plan_page(Plan(), "bring", False).render(None, False)
    assert "1 object cannot be had" in plan_page(Plan(lacking=1), "bring").render(None, False)
