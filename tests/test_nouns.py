from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, field, fields, is_dataclass, replace

import pytest

from mltrack.nouns import noun


@noun
class Point:
    """A place."""

    x: int
    y: int = 2
    tags: tuple[str, ...] = ()
    extra: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.x + self.y


def test_a_noun_is_a_dataclass() -> None:
    point = Point(1, tags=("a",))
    assert is_dataclass(point)
    assert [item.name for item in fields(point)] == ["x", "y", "tags", "extra"]
    assert asdict(replace(point, y=5)) == {"x": 1, "y": 5, "tags": ("a",), "extra": {}}
    assert point.total == 3


def test_nouns_with_equal_fields_are_equal() -> None:
    assert Point(1) == Point(1, 2)
    assert Point(1) != Point(2)
    assert Point(1) != (1, 2, (), {})
    assert repr(Point(1)) == "Point(x=1, y=2, tags=(), extra={})"


def test_defaults_made_by_a_factory_are_not_shared() -> None:
    assert Point(1).extra is not Point(1).extra


def test_a_noun_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x


@pytest.mark.parametrize(("args", "values"), [((), {}), ((1, 2, (), {}, 5), {}), ((1,), {"x": 2}), ((1,), {"z": 2})])
def test_wrong_fields_are_refused(args: tuple[object, ...], values: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Point(*args, **values)  # type: ignore[arg-type]


def test_a_noun_without_such_fields_can_be_hashed() -> None:
    @noun
    class Name:
        text: str

    assert len({Name("a"), Name("a"), Name("b")}) == 2
