"""Comparator of PDF: object against object, in their order in the file; streams by what they unpack to.

What may differ is told in `WHAT`. The objects are read off the bytes one after the other, and the cross-reference
tables must lead to exactly them: what is encrypted, linearised, or laid out in another way is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Around, Content, Finding
from mltrack.compare.contents.contents import whole
from mltrack.compare.contents.pdf_objects import Object, Parsed, parse

WHAT = "dates, identifiers and the name of the writer in a PDF, offsets, and the compression of streams"

LARGEST = 64 << 20

_STRING = rb"\((?:[^()\\]|\\.|\([^()]*\))*\)|<[0-9A-Fa-f\s]*>"
DATES = re.compile(rb"/(CreationDate|ModDate|LastModified)\s*(" + _STRING + rb")", re.S)
WRITERS = re.compile(rb"/(Producer|Creator|PTEX\.Fullbanner)\s*(" + _STRING + rb")", re.S)
IDENTIFIERS = re.compile(rb"/ID\s*\[\s*(?:" + _STRING + rb")\s*(?:" + _STRING + rb")\s*\]", re.S)
XMP_DATES = re.compile(rb"((?:xmp|xap):(?:CreateDate|ModifyDate|MetadataDate)\s*(?:>|=\s*[\"']))[-+:.TZ0-9]{4,40}")
XMP_IDENTIFIERS = re.compile(rb"((?:xmpMM|xapMM):(?:DocumentID|InstanceID)\s*(?:>|=\s*[\"']))[-:\w]{1,80}")
XMP_WRITERS = re.compile(rb"((?:pdf:Producer|(?:xmp|xap):CreatorTool)\s*(?:>|=\s*[\"']))[^<\"']{0,200}")


def fits(name: str, head: bytes) -> bool:
    """By the first bytes."""
    return head.startswith(b"%PDF-")


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Object against object."""
    then, now = parse(whole(a, LARGEST)), parse(whole(b, LARGEST))
    if then.version != now.version:
        return Finding(DIFFERENT, "the version of the format differs")
    if then.objects.keys() != now.objects.keys():
        return Finding(DIFFERENT, f"it has {len(now.objects)} objects, and had {len(then.objects)}")
    differing = [number for number, each in then.objects.items() if not _same(each, now.objects[number])]
    if differing:
        number = differing[0]
        what = kind(then.objects[number])
        return Finding(DIFFERENT, f"{len(differing)} of {len(then.objects)} objects differ, the first is {what}")
    if then.references != now.references or [*map(plain, then.trailers)] != [*map(plain, now.trailers)]:
        return Finding(DIFFERENT, "what its cross-references lead to differs")
    return Finding(EQUIVALENT, _only(then, now))


def _same(a: Object, b: Object) -> bool:
    return plain(a.text) == plain(b.text) and _plain_stream(a) == _plain_stream(b)


def plain(text: bytes) -> bytes:
    """A dictionary without what may differ in it."""
    return IDENTIFIERS.sub(b"/ID", WRITERS.sub(rb"/\1", DATES.sub(rb"/\1", text)))


def _plain_stream(each: Object) -> bytes | None:
    if each.stream is not None and re.search(rb"/Type\s*/Metadata\b", each.text):
        return plain_metadata(each.stream)
    if each.stream is not None and re.search(rb"/Type\s*/ObjStm\b", each.text):
        return plain(each.stream)
    return each.stream


def plain_metadata(xml: bytes) -> bytes:
    """XMP without what may differ in it."""
    for pattern in (XMP_DATES, XMP_IDENTIFIERS, XMP_WRITERS):
        xml = pattern.sub(rb"\1", xml)
    return xml


def kind(each: Object) -> str:
    """What an object is, for a person."""
    found = re.search(rb"/Subtype\s*/(\w+)", each.text) or re.search(rb"/Type\s*/(\w+)", each.text)
    what = f"a {found[1].decode('ascii', 'replace')}" if found else "a stream" if each.stream is not None else "a value"
    return f"{what} (object {each.number})"


def _only(then: Parsed, now: Parsed) -> str:
    """What may differ and does, as a clause."""
    told = []
    before, after = writers(then.objects), writers(now.objects)
    if before != after:
        told.append(f"the writer ({after or 'none'}, and was {before or 'none'})")
    texts = [b"".join(each.text + (each.stream or b"") for each in side.objects.values()) for side in (then, now)]
    if len({tuple(DATES.findall(text) + XMP_DATES.findall(text)) for text in texts}) > 1:
        told.append("dates")
    return f"only {' and '.join(told)} differ" if told else "only identifiers, dates, offsets or the compression differ"


def writers(objects: Mapping[int, Object]) -> str:
    """The names of the programs that wrote it."""
    found = {value for each in objects.values() for _, value in WRITERS.findall(each.text)}
    return ", ".join(sorted(value.decode("latin-1")[1:-1][:60] for value in found))
