from __future__ import annotations

import re

from mltrack.patterns import LazyPattern, lazy, lazy_bytes


def test_a_lazy_pattern_behaves_as_the_compiled_one() -> None:
    text, raw = lazy(r"(\d+)-X", re.IGNORECASE), lazy_bytes(rb"[ab]+")
    match = text.fullmatch("12-x")
    assert match is not None and match[1] == "12"
    assert text.pattern == r"(\d+)-X"
    assert raw.findall(b"aacb") == [b"aa", b"b"]
    assert raw.flags == re.compile(rb"").flags


def test_nothing_is_compiled_before_the_first_use() -> None:
    pattern = LazyPattern("(")
    try:
        pattern.match("x")
    except re.error:
        return
    raise AssertionError("a broken pattern was accepted")
