"""Decimal numbers in a text -> an array of floats, many at once, without a Python object a number.

Eight digits are read as one 64-bit word (D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and
Experience 51, 2021, section 3), and what does not fit in 53 bits is rounded with the rest of a double-double division
(T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18, 1971): the
result is the float that Python would read. Fields are what `formats/series.py` writes; others are left to `float`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

PAD = 32
"""Bytes that must stand before the first field and after the last one."""
MOST_DIGITS = 18
"""Of a number that fits in 63 bits."""
EXACT = 22
"""The largest power of ten that is a float exactly."""
SPLIT = 134217729.0
"""2^27 + 1: cuts a float into two halves whose products are exact."""
_DOT, _E, _PLUS, _MINUS, _ZERO = b".e+-0"
_NAMES = {
    b"null": float("nan"),
    b'"NaN"': float("nan"),
    b'"Infinity"': float("inf"),
    b'"-Infinity"': float("-inf"),
    b"true": 1.0,
    b"false": 0.0,
}


def floats(data: bytes, starts: Array, ends: Array) -> Array:
    """The numbers between places of `data`, which has PAD bytes around them; null is NaN. Raises ValueError."""
    import numpy as np

    signs = np.frombuffer(data, np.uint8)
    words: Array = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    found = short_integers(words, starts, ends)
    if found is not None:
        return found
    is_negative = signs[starts] == _MINUS
    begins = starts + is_negative
    stops, powers = without_exponents(signs, begins, ends)
    if bool((signs[begins + 1] == _DOT).all()):  # 0.123: what most metrics are
        dots, whole = begins + 1, (signs[begins] - np.uint8(_ZERO)).astype(np.uint64)
    else:
        dots = dots_in(words, begins, stops)
        whole = digits(words, begins, dots)
    decimals = np.maximum(stops - dots - 1, 0)
    fraction = digits(words, stops - decimals, stops)
    tens = np.array([10**power for power in range(MOST_DIGITS + 2)], np.uint64)
    mantissas = whole * tens[np.minimum(decimals, MOST_DIGITS + 1)] + fraction
    powers = powers - decimals
    found = scaled(mantissas, powers)
    np.negative(found, out=found, where=is_negative)
    odd = (signs[begins] - np.uint8(_ZERO) > 9) | (powers < -EXACT)
    if (powers > 0).any():
        odd |= (powers > EXACT) | ((powers > 0) & (mantissas >= 1 << 53))
    long = np.flatnonzero(stops - begins > MOST_DIGITS)
    if len(long):
        odd[long] |= is_too_long(words, (begins[long], dots[long], stops[long]), whole[long])
    for place in np.flatnonzero(odd):
        found[place] = one(data[starts[place] : ends[place]])
    return found


def short_integers(words: Array, starts: Array, ends: Array) -> Array | None:
    """The numbers if all of them are whole, not negative and have at most eight digits, as steps are; else None."""
    import numpy as np

    lengths = ends - starts
    if int(lengths.max(initial=0)) > 8 or int(lengths.min(initial=1)) < 1:
        return None
    word = last_bytes(words, lengths, ends)
    beyond_nine = (word + np.uint64(0x7676767676767676)) | word
    if (beyond_nine & np.uint64(0x8080808080808080)).any():  # a byte is more than nine
        return None
    return eight_digits(word).astype(np.float64)


def one(text: bytes) -> float:
    """A number as JSON has it, with our names of those that are none. Raises ValueError."""
    known = _NAMES.get(text)
    return float(text) if known is None else known


def without_exponents(signs: Array, begins: Array, ends: Array) -> tuple[Array, Array]:
    """Where the digits of each number end, and the power of ten behind them (`e-07`, `e+300`; 0 without one)."""
    import numpy as np

    stops, powers = ends, np.zeros(len(ends), np.int64)
    short, long = signs[ends - 4] == _E, signs[ends - 5] == _E
    if not (short.any() or long.any()):
        return stops, powers
    stops = ends.copy()
    for places, length in ((np.flatnonzero(short), 4), (np.flatnonzero(long), 5)):
        places = places[ends[places] - length > begins[places]]
        stops[places] -= length
        for place in range(length - 2):
            powers[places] += (signs[ends[places] - 1 - place] - np.int64(_ZERO)) * 10**place
        is_small = signs[ends[places] - length + 1] == _MINUS
        powers[places[is_small]] *= -1
    return stops, powers


def dots_in(words: Array, begins: Array, stops: Array) -> Array:
    """Where the point of each number is; its end where it has none."""
    import numpy as np

    dots = begins + first_dot(words[begins])
    for reach in (8, 16):
        further = np.flatnonzero((dots - begins == reach) & (stops - begins > reach))
        if len(further):
            dots[further] += first_dot(words[begins[further] + reach])
    found: Array = np.minimum(dots, stops)
    return found


def first_dot(word: Array) -> Array:
    """Which of the 8 bytes of each word is the first point; 8 for none."""
    import numpy as np

    rest = word ^ np.uint64(0x2E2E2E2E2E2E2E2E)
    marks = (rest - np.uint64(0x0101010101010101)) & ~rest & np.uint64(0x8080808080808080)
    lowest = (marks & (~marks + np.uint64(1))) >> np.uint64(7)
    places = (lowest * np.uint64(0x0001020304050607)) >> np.uint64(56)
    places[marks == 0] = 8
    found: Array = places.astype(np.int64)
    return found


def digits(words: Array, begins: Array, ends: Array) -> Array:
    """The whole number that at most 24 digits say; 0 for none. What does not fit in 64 bits is cut."""
    import numpy as np

    lengths = ends - begins
    found = last_eight(words, lengths, ends)
    for place in (1, 2):
        longer = np.flatnonzero(lengths > 8 * place)
        if not len(longer):
            break
        part = last_eight(words, lengths[longer] - 8 * place, ends[longer] - 8 * place)
        found[longer] += part * np.uint64(10 ** (8 * place))
    return found


def last_eight(words: Array, lengths: Array, ends: Array) -> Array:
    """The number that the last eight digits before each end say; the last ones only, where there are fewer."""
    return eight_digits(last_bytes(words, lengths, ends))


def last_bytes(words: Array, lengths: Array, ends: Array) -> Array:
    """The last eight bytes before each end, less the sign for zero; those beyond the length are zero."""
    import numpy as np

    word: Array = words[ends - 8] ^ np.uint64(0x3030303030303030)
    if int(lengths.min(initial=8)) < 8:
        beyond = (64 - 8 * np.minimum(lengths, 8)).astype(np.uint64)  # of all 64 nothing remains
        word = (word >> beyond) << beyond
    return word


def eight_digits(word: Array) -> Array:
    """The number that 8 bytes of 0 to 9 say, the first of them lowest."""
    import numpy as np

    pairs = word * np.uint64(10) + (word >> np.uint64(8))
    mask = np.uint64(0x000000FF000000FF)
    low = (pairs & mask) * np.uint64(0x000F424000000064)
    high = ((pairs >> np.uint64(16)) & mask) * np.uint64(0x0000271000000001)
    found: Array = (low + high) >> np.uint64(32)
    return found


def scaled(mantissas: Array, powers: Array) -> Array:
    """Mantissas below 2^63 times ten to powers of -22 to 22, rounded once."""
    import numpy as np

    tens = np.array([float(10**power) for power in range(EXACT + 1)])
    size = tens[np.minimum(np.maximum(-powers, 0), EXACT)]
    high = mantissas.astype(np.float64)
    found: Array = high / size
    if mantissas.max(initial=0) >= 1 << 53:
        low = (mantissas - high.astype(np.uint64)).astype(np.int64).astype(np.float64)
        product, rest = exact_product(found, size)
        found = found + (((high - product) - rest) + low) / size
    if (powers > 0).any():
        found = found * tens[np.clip(powers, 0, EXACT)]
    return found


def exact_product(a: Array, b: Array) -> tuple[Array, Array]:
    """a times b, rounded, and what the rounding lost."""
    product = a * b
    high_a, high_b = a * SPLIT, b * SPLIT
    high_a, high_b = high_a - (high_a - a), high_b - (high_b - b)
    low_a, low_b = a - high_a, b - high_b
    return product, ((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b


def is_too_long(words: Array, places: tuple[Array, Array, Array], whole: Array) -> Array:
    """Which numbers have more digits than `floats` keeps: leading zeros do not count."""
    import numpy as np

    begins, dots, stops = places
    decimals = np.maximum(stops - dots - 1, 0)
    of_whole = dots - begins + decimals > MOST_DIGITS
    zeros = np.uint16(0x3030)
    first_two = words[dots + 1].astype(np.uint16)
    of_fraction = (decimals > MOST_DIGITS) & ((decimals > MOST_DIGITS + 2) | (first_two != zeros))
    found: Array = np.where(whole > 0, of_whole, of_fraction | (dots - begins > MOST_DIGITS))
    return found
