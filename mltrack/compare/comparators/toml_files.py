"""TOML: its values compared leaf by leaf; comments say nothing, and a date is no text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.compare.comparators import Finding, Unreadable
from mltrack.compare.comparators.json_files import check_count
from mltrack.compare.comparators.text import marks
from mltrack.compare.contents.contents import whole
from mltrack.compare.contents.trees import Typed, Walk

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "the order of keys, layout and comments, and in strings what any text lets differ"

LARGEST = 16 << 20


def fits(name: str, head: bytes) -> bool:
    return name.lower().endswith(".toml")


def compare(a: Content, b: Content, around: Around) -> Finding:
    if (found := marks(a, b)) is not None:
        return found
    walk = Walk(around)
    walk.compare(parse(whole(a, LARGEST)), parse(whole(b, LARGEST)))
    return walk.finding("the layout, a comment or the order of keys differs")


def parse(data: bytes) -> dict[str, Any]:
    """The values of a document. Raises Unreadable."""
    from mltrack.formats.documents import parse_toml
    from mltrack.formats.yaml_nodes import Broken

    check_count(data)
    try:
        return parse_toml(data, lambda moment: Typed(moment.isoformat()))
    except Broken as error:
        raise Unreadable(f"it is no TOML: line {error.line or 1:,}: {error.problem}") from error
    except (RecursionError, ValueError) as error:
        raise Unreadable("it is no TOML that is read: nested too deeply, or a number has too many digits") from error
