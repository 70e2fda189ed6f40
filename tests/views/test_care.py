"""What du, gc and verify show: the numbers that matter, nothing of a terminal's escape sequences, 20 rows at most."""

from __future__ import annotations

from mltrack.operations.keeping.du import Share, Totals, Usage
from mltrack.operations.keeping.gc import GcReport, Going, LetGo
from mltrack.operations.keeping.verify import Problem, Verified
from mltrack.store.check import Looked
from mltrack.sync.collection import Pile, RemoteGc, Waiting
from mltrack.views.du import du_page
from mltrack.views.gc import gc_page, remote_gc_page
from mltrack.views.verify import verify_page

EVIL = "name\x1b[31m\n"


def test_du_shows_the_totals_and_the_largest_shares() -> None:
    shares = tuple(Share(f"run{n:013}", EVIL, 100 * n, n, n, n % 2) for n in range(50))
    usage = Usage("run", Totals(4000, 2000, 1000, 30, 20, 1050), shares)
    text = du_page(usage).render(100, False)
    assert "50% less" in text and "mltrack gc" in text and "... and 30 more" in text
    assert "\x1b" not in text and "1 object not here" in text
    assert len(du_page(usage).render(None, False).splitlines()) == 6 + 1 + 51
    assert "less" not in du_page(Usage("kind", Totals(0, 0, 0, 0, 0, 0), ())).render(100, False)


def report(**changes: object) -> GcReport:
    values: dict[str, object] = {
        "applied": False, "going": (), "runs": (), "packs_removed": 0, "packs_rewritten": 0, "packs_left": 0,
        "freed_bytes": 0, "stored_bytes": 5000, "temporary_files": 0, "not_here": 0,
    }  # fmt: skip
    return GcReport(**{**values, **changes})  # type: ignore[arg-type]


def test_gc_says_what_would_go_and_how_to_do_it() -> None:
    runs = (LetGo("a" * 16, EVIL, ("origin",)), LetGo("b" * 16, None, ()))
    going = (Going("dropped by name", "artifact", 3, 3000),)
    dry = gc_page(report(going=going, runs=runs, packs_removed=1, packs_rewritten=2, freed_bytes=3000)).render(
        80, False
    )
    assert "1 pack would be removed and 2 packs would be rewritten" in dry and "--apply" in dry
    assert dry.index("NO REMOTE") < dry.index("a copy is on origin") and "\x1b" not in dry
    done = gc_page(report(applied=True, going=going, packs_removed=1, freed_bytes=3000)).render(80, False)
    assert "would" not in done and "--apply" not in done and "1 pack removed" in done
    assert "all that is here is needed" in gc_page(report()).render(80, False)
    left = gc_page(report(going=going, packs_left=2, temporary_files=1, not_here=3)).render(80, False)
    assert "2 packs stay" in left and "1 file that crashes left" in left and "3 runs is not here" in left


def test_gc_of_a_remote_says_what_is_condemned_and_what_waits() -> None:
    found = RemoteGc(
        3,
        9000,
        condemned=(Pile("no record needs it", "index", 2, 10),),
        waiting=(Waiting("x", 1, 5, 0.0),),
        needed_again=1,
    )
    text = remote_gc_page(found).render(80, False)
    assert "Would be condemned" in text and "2 indexes" in text and "1970-01-01 00:00 UTC" in text
    assert "1 condemned pack kept" in text and "--apply" in text
    assert "Nothing to do" in remote_gc_page(RemoteGc(0, 0)).render(80, False)


def test_verify_says_what_is_wrong_and_where_a_good_copy_is() -> None:
    bad = Problem("damaged", f"artifact {EVIL} is damaged.", copies=("remote origin", "file a"))
    text = verify_page(Verified((bad,), Looked(3, 60, 10, 200))).render(80, False)
    assert "Looked at 3 of 60 pieces" in text and "a good copy: remote origin, file a" in text
    assert "--repair" in text and "\x1b" not in text
    assert "--repair" not in verify_page(Verified((Problem("missing", "x"),))).render(80, False)
    repaired = Problem("damaged", "x", copies=("remote origin",), repaired=True)
    assert "Everything was repaired: 1 problem." in verify_page(Verified((repaired,))).render(80, False)
    assert verify_page(Verified(())).render(None, False) == "Everything holds.\n"
    assert "set aside: /x" in verify_page(Verified((bad,), aside=("/x",))).render(80, False)
