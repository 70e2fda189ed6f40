"""`@noun`: a frozen dataclass that is cheap to define.

`dataclass(frozen=True)` compiles six functions for every class, 0.3 ms each time; with all our nouns that is a third of
the time until a command starts. A noun is a dataclass too (`fields`, `replace` and `asdict` work), but its methods are
the same few functions for all of them.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**options: Any) -> Any:
        """For type checkers only."""
        return lambda function: function


T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def noun(cls: type[T]) -> type[T]:
    """Make a class of annotated fields a frozen dataclass."""
    cls.__doc__ = cls.__doc__ or ""  # dataclass would write one, from a signature that takes long to make
    made = dataclass(init=False, repr=False, eq=False)(cls)
    own = {item.name: item for item in fields(made)}  # type: ignore[arg-type]
    made._names = tuple(own)  # type: ignore[attr-defined]
    made._defaults = {name: item.default for name, item in own.items() if item.default is not MISSING}  # type: ignore[attr-defined]
    made._factories = {  # type: ignore[attr-defined]
        name: item.default_factory for name, item in own.items() if item.default_factory is not MISSING
    }
    made._has_plain_init = "__init__" not in cls.__dict__  # type: ignore[attr-defined]
    for method in (__init__, __eq__, __hash__, __repr__, __setattr__, __delattr__):
        if method.__name__ not in cls.__dict__ or method is __eq__:
            setattr(made, method.__name__, method)
    return made


def __init__(self: Any, *args: Any, **values: Any) -> None:
    own = self.__dict__
    own.update(self._defaults)
    if args:
        if len(args) > len(self._names):
            raise TypeError(f"{type(self).__name__} takes {len(self._names)} values, not {len(args)}")
        given = dict(zip(self._names, args))
        if not given.keys().isdisjoint(values):
            raise TypeError(f"{type(self).__name__} got {sorted(given.keys() & values.keys())} twice")
        own.update(given)
    own.update(values)
    for name, make in self._factories.items():
        if name not in own:
            own[name] = make()
    if len(own) != len(self._names):
        missing = [name for name in self._names if name not in own]
        unknown = [name for name in own if name not in self._names]
        raise TypeError(f"{type(self).__name__}: missing {missing}, unknown {unknown}")


def __eq__(self: Any, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return bool(self.__dict__ == other.__dict__)


def __hash__(self: Any) -> int:
    return hash(tuple(self.__dict__[name] for name in self._names))


def __repr__(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._names)})"


def __setattr__(self: Any, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
