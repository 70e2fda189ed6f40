"""Images by their pixels, PDFs by their objects: what changes how they look is never equivalent."""

from __future__ import annotations

import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.comparators import Around, Finding, Unreadable, images
from mltrack.compare.contents import pdf_objects
from mltrack.compare.contents.contents import Held
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.contents.pdf_objects import NUMBER, parse
from tests.compare.comparators import samples_binary as samples
from tests.compare.comparators.samples_binary import image, page, pdf

EXAMPLES = 60 * int(os.environ.get("MLTRACK_SOAK", "1"))


def found(name: str, a: bytes, b: bytes) -> Finding:
    return compare_contents(name, Held(a), Held(b), Around())


def png(width: int, height: int, depth: int, colour: int, rows: bytes, before: bytes = b"") -> bytes:
    """A PNG by hand. `before` are chunks in front of the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_colours_of_16_bits_are_never_equivalent_by_their_upper_half() -> None:
    a, b = (png(1, 1, 16, 2, b"\0\x12\x34\x56\x78\x9a" + last) for last in (b"\xbc", b"\xbd"))
    finding = found("deep.png", a, b)
    assert finding.grade == "different" and "16 bits" in finding.reason


def test_grays_of_16_bits_are_measured_in_full() -> None:
    a, b = (png(1, 1, 16, 0, b"\0\x12" + last) for last in (b"\x34", b"\x37"))
    measure = found("deep.png", a, b).measure
    assert measure is not None and (measure.cells, measure.changed, measure.largest) == (1, 1, 3.0)


@pytest.mark.parametrize("name", [b"gAMA", b"tRNS"])
def test_what_changes_how_pixels_look_is_a_difference(name: bytes) -> None:
    value = {b"gAMA": [b"\0\0\xb1\x8f", b"\0\0\xb1\x90"], b"tRNS": [b"\0\1", b"\0\2"]}[name]
    a, b = (png(2, 1, 8, 0, b"\0\1\2", chunk(name, each)) for each in value)
    assert found("a.png", a, b).grade == "different"


def test_another_profile_of_colours_is_a_difference() -> None:
    pixels = samples.PIXELS
    a, b = (image("PNG", pixels, icc_profile=each) for each in (b"profile one", b"profile two"))
    assert found("a.png", a, b).grade == "different"


def test_an_image_with_its_colours_in_another_order_is_the_same() -> None:
    rows = b"\0\0\1", b"\0\1\0"
    palettes = b"\xff\0\0\0\xff\0", b"\0\xff\0\xff\0\0"
    a, b = (png(2, 1, 8, 3, row, chunk(b"PLTE", palette)) for row, palette in zip(rows, palettes))
    assert found("a.png", a, b).grade == "equivalent"
    other = png(2, 1, 8, 3, rows[0], chunk(b"PLTE", palettes[1]))
    assert found("a.png", a, other).grade == "different"


def test_an_image_too_large_for_memory_is_refused_before_it_is_decoded() -> None:
    huge = png(20_000, 20_000, 8, 6, b"")
    finding = found("a.png", huge, huge[:-30] + huge[-29:])
    assert (finding.grade, finding.measure) == ("different", None)
    other = png(20_000, 20_000, 8, 6, b"\0")
    finding = found("a.png", huge, other)
    assert finding.grade == "different" and finding.measure is None


def test_a_large_plot_is_not_too_large() -> None:
    wide = np.zeros((4800, 6000), bool)
    other = wide.copy()
    other[4799, 5999] = True
    measure = found("a.png", *(image("PNG", pixels) for pixels in (wide, other))).measure
    assert measure is not None and (measure.changed, measure.where) == (1, "row 4799, column 5999")


def test_tiffs_of_16_bits_are_never_equivalent_by_their_upper_half() -> None:
    def made(last: int) -> bytes:
        tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 8 + 2 + 12 * 8 + 4), (259, 3, 1, 1), (262, 3, 1, 2)]
        tags += [(273, 4, 1, 8 + 2 + 12 * 8 + 4 + 6), (277, 3, 1, 3), (279, 4, 1, 6)]
        table = b"".join(struct.pack("<HHII", *tag) for tag in tags)
        head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + table + bytes(4)
        return head + struct.pack("<3H", 16, 16, 16) + struct.pack("<3H", 0x1234, 0x5678, 0x9A00 + last)

    assert found("a.tiff", made(1), made(2)).grade == "different"


def test_what_a_tiff_says_of_where_its_pixels_lie_is_data() -> None:
    def made(tags: dict[int, object], **options: object) -> bytes:
        from PIL import TiffImagePlugin

        said = TiffImagePlugin.ImageFileDirectory_v2()
        for number, value in tags.items():
            said.tagtype[number] = 2 if isinstance(value, str) else 12
            said[number] = value
        return image("TIFF", samples.PIXELS, tiffinfo=said, **options)

    place = {33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 1.0, 2.0, 0.0), 270: "level 3"}
    moved = {**place, 33922: (0.0, 0.0, 0.0, 1.0, 2.5, 0.0)}
    once = made({**place, 306: "2026:01:02 03:04:05", 305: "a"})
    again = made({**place, 306: "2027:01:02 03:04:05", 305: "b"}, compression="tiff_lzw")
    assert found("map.tif", once, again).grade == "equivalent"
    for other in (moved, {**place, 270: "level 4"}, {33550: (10.0, 10.0, 0.0)}, {**place, 42113: "-9999"}):
        finding = found("map.tif", once, made(other, compression="tiff_lzw"))
        assert finding.grade == "different" and finding.reason.startswith("its tag "), finding


def test_the_lengths_of_many_streams_of_a_pdf_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []

    class Counted:
        def finditer(self, data: bytes) -> object:
            searches.append(len(data))
            return NUMBER.finditer(data)

    monkeypatch.setattr(pdf_objects, "NUMBER", Counted())
    streams = [b"<< /Length %d 0 R >>\nstream\nabc\nendstream" % (number + 51) for number in range(1, 51)]
    parsed = parse(pdf([b"<< >>", *streams, *[b"3"] * 50]))
    assert [parsed.objects[number].stream for number in (2, 51)] == [b"abc", b"abc"]
    assert len(searches) == 1


def test_images_within_the_frames_of_a_tiff_are_refused() -> None:
    from mltrack.compare.contents.tiff_tags import SUB_FILES, frame_tags

    for tag, word in (((SUB_FILES, 4, 1, 8), "within"), ((270, 99, 1, 8), "unknown")):
        data = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, *tag, 0)
        with pytest.raises(Unreadable, match=word):
            frame_tags(io.BytesIO(data), 1)
    big, little = (
        struct.pack(order + "2sHIHHHIHHI", name, 42, 8, 1, 256, 3, 1, 7, 0, 0)
        for order, name in ((">", b"MM"), ("<", b"II"))
    )
    assert frame_tags(io.BytesIO(big), 1) == frame_tags(io.BytesIO(little), 1)


def test_a_film_as_png_or_webp_is_compared_by_its_frames() -> None:
    gray = samples.PIXELS
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        films = [
            samples.animation(format, [gray, second], duration=50, **options) for second in (gray[::-1], gray[:, ::-1])
        ]
        finding = found(f"a.{format.lower()}", *films)
        assert finding.grade == "different" and finding.measure is not None, finding
        slow = samples.animation(format, [gray, gray[::-1]], duration=90, **options)
        assert found(f"a.{format.lower()}", films[0], slow).grade == "different"


def test_a_format_that_is_none_of_the_known_ones_is_not_opened() -> None:
    assert not images.fits("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n")
    assert not images.fits("notes", b"BMW and others")
    with pytest.raises(Unreadable), images.opened(Held(b"%!PS-Adobe-3.0 EPSF-3.0\n")):
        pass


@pytest.mark.parametrize("format", ["PNG", "GIF", "JPEG", "WEBP"])
def test_an_image_that_is_cut_off_or_followed_by_other_bytes_is_refused(format: str) -> None:
    once = image(format, samples.PIXELS)
    for other in (once[:-1], once[:-2], once + b"PK\3\4hidden"):
        finding = found(f"a.{format.lower()}", once, other)
        assert (finding.grade, finding.measure) == ("different", None)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_a_flipped_bit_of_a_png_is_equivalent_only_if_pillow_reads_the_same_pixels(data: st.DataObject) -> None:
    from PIL import Image

    once = image("PNG", samples.PIXELS)
    broken = bytearray(once)
    broken[data.draw(st.integers(0, len(once) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    if found("a.png", once, bytes(broken)).grade == "equivalent":
        with Image.open(io.BytesIO(bytes(broken))) as read:
            np.testing.assert_array_equal(np.asarray(read), samples.PIXELS)


def test_a_pixel_is_named_by_frame_row_column_and_channel() -> None:
    finding = found("a.png", image("PNG", samples.PIXELS), image("PNG", samples.TOUCHED))
    assert finding.measure is not None and finding.measure.where == "row 4, column 5, G"
    gray = samples.PIXELS[:, :, 0]
    other = gray.copy()
    other[3, 2] ^= 128
    films = [samples.animation("TIFF", [gray, second]) for second in (gray, other)]
    finding = found("a.tiff", *films)
    assert finding.measure is not None and finding.measure.where == "frame 1, row 3, column 2"
    assert finding.measure.cells == 2 * gray.size


DRAWN = b"0 0 m 10 10 l S\n"


def test_another_writer_of_a_pdf_is_told() -> None:
    finding = found("a.pdf", page(DRAWN, writer=b"R 4.2.2"), page(DRAWN, writer=b"R 4.3.0"))
    assert finding.grade == "equivalent" and "R 4.2.2" in finding.reason and "R 4.3.0" in finding.reason


@pytest.mark.parametrize(
    "change",
    [
        (rb"/Root 1 0 R", rb"/Root 2 0 R"),
        (rb"/Kids \[3 0 R\]", rb"/Kids [4 0 R]"),
        (rb"/Title \(R", rb"/Title (S"),
        (rb"%PDF-1\.4", rb"%PDF-1.5"),
        (rb"(xref\n0 7\n.{20})(.{20})(.{20})", rb"\1\3\2"),
        (rb"startxref\n\d", rb"startxref\n7"),
        (rb" 00000 n", rb" 00001 n"),
        (rb"trailer", rb"hidden 7\ntrailer"),
        (rb"/Info", rb"/Encrypt 6 0 R /Info"),
        (rb"/Info", rb"/Prev 10 /Info"),
    ],
)
def test_what_is_no_date_identifier_or_writer_of_a_pdf_counts(change: tuple[bytes, bytes]) -> None:
    once = page(DRAWN)
    other = re.sub(*change, once, count=1, flags=re.S)
    assert other != once
    assert found("a.pdf", once, other).grade == "different"


def test_a_date_in_what_is_drawn_counts() -> None:
    a, b = (page(b"(/CreationDate (D:%s)) Tj" % date) for date in (b"2026", b"2027"))
    assert found("a.pdf", a, b).grade == "different"


def test_metadata_of_a_pdf_may_differ_in_its_dates_and_identifiers_only() -> None:
    def made(date: bytes, title: bytes) -> bytes:
        xml = b"<x:xmpmeta><xmp:CreateDate>%s</xmp:CreateDate><xmpMM:InstanceID>uuid:%s</xmpMM:InstanceID><dc:title>%s</dc:title>"
        text = xml % (date, date.replace(b":", b""), title)
        return pdf(
            [
                b"<< /Type /Catalog /Metadata 2 0 R >>",
                b"<< /Type /Metadata /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
            ]
        )

    once = made(b"2026-01-02T03:04:05Z", b"one")
    assert found("a.pdf", once, made(b"2026-11-21T15:16:17Z", b"one")).grade == "equivalent"
    assert found("a.pdf", once, made(b"2026-01-02T03:04:05Z", b"two")).grade == "different"


def with_stream_of_references(date: bytes, shift: int = 0) -> bytes:
    """A PDF whose cross-references are a stream, as TeX writes it."""
    objects = [b"<< /Type /Catalog >>", b"<< /CreationDate (%s) >>" % date]
    data, rows = b"%PDF-1.5\n", b"\0\0\0\xff"
    for number, text in enumerate(objects, 1):
        rows += struct.pack(">BHB", 1, len(data) + shift * (number == 2), 0)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    start = len(data)
    packed = zlib.compress(rows + struct.pack(">BHB", 1, start, 0))
    said = b"/Type /XRef /W [1 2 1] /Size 4 /Root 1 0 R /Info 2 0 R /Filter /FlateDecode /Length %d" % len(packed)
    return data + b"3 0 obj\n<< %s >>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (said, packed, start)


def test_cross_references_in_a_stream_must_lead_to_the_objects() -> None:
    once = with_stream_of_references(b"D:2026")
    assert found("a.pdf", once, with_stream_of_references(b"D:20261121151617Z")).grade == "equivalent"
    assert found("a.pdf", once, with_stream_of_references(b"D:2027", shift=1)).grade == "different"


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_a_damaged_pdf_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    once = page(DRAWN)
    broken = bytearray(once)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(once) - 1))] = data.draw(st.sampled_from(b"()<>%/0 \n\\"))
    try:
        assert parse(bytes(broken)).objects
    except Unreadable:
        pass


@pytest.mark.parametrize(
    "text", [b"(" * 50_000, b"<<" * 50_000, b"/A " * 50_000, b"\\" * 50_000, b"1 0 obj\n" * 10_000, b" \n" * 50_000]
)
def test_a_hostile_pdf_takes_no_long_time(text: bytes) -> None:
    for data in (b"%PDF-1.4\n" + text, b"%PDF-1.4\n1 0 obj\n" + text, pdf([b"<< /CreationDate (" + text + b" >>"])):
        found("a.pdf", data, data + b"\n")
