"""Undo the transfer encoding of a part's body (RFC 2045 §6), as far as it goes."""

import binascii
import re

from mailrouting.reading.header_block import Report
from mailrouting.reading.message import Defect
from mailrouting.reading.scan import Part

__all__ = ["content_of"]

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_PADDING = re.compile(rb"=+")
_AS_IT_IS = frozenset({b"", b"7bit", b"8bit", b"binary", b"7-bit", b"8-bit", b"none"})
_UUENCODE = frozenset({b"x-uuencode", b"uuencode", b"x-uue", b"uue"})


def content_of(raw: bytes, part: Part, report: Report) -> bytes:
    """Return the decoded bytes of a part; never raises."""
    body = raw[part.start : part.end]
    encoding = _encoding(part)
    if encoding in _AS_IT_IS or part.opaque:
        return body
    if encoding == b"base64":
        return _base64(body, report)
    if encoding == b"quoted-printable":
        # a2b_qp drops what follows a lone CR: only the line ends it knows reach it.
        return binascii.a2b_qp(body)
    if encoding in _UUENCODE:
        return _uuencoded(body, report)
    report(Defect.BAD_ENCODING)
    return body


def _encoding(part: Part) -> bytes:
    value = part.header.first(b"content-transfer-encoding") or b""
    return value.partition(b";")[0].partition(b"(")[0].strip(b" \t\"'.").lower()


def _base64(body: bytes, report: Report) -> bytes:
    try:
        # The common case: clean lines, full groups.
        return binascii.a2b_base64(body.translate(None, b"\r\n \t"), strict_mode=True)
    except binascii.Error:
        pass
    # Some programs join several encoded pieces: padding in the middle ends a group, not the text.
    data = _NOT_BASE64.sub(b"", body)
    pieces = _PADDING.split(data.rstrip(b"="))
    report(Defect.BAD_ENCODING)
    return b"".join(_base64_piece(piece) for piece in pieces)


def _base64_piece(data: bytes) -> bytes:
    if len(data) % 4 == 1:
        data = data[:-1]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


def _uuencoded(body: bytes, report: Report) -> bytes:
    begin = body.find(b"begin ")
    if begin < 0:
        report(Defect.BAD_ENCODING)
        return body
    decoded: list[bytes] = []
    for line in body[begin:].splitlines()[1:]:
        if line.strip() in (b"end", b"`", b""):
            break
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Some encoders write trailing rubbish: the length byte says how much counts.
            length = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                decoded.append(binascii.a2b_uu(line[:length]))
            except binascii.Error:
                report(Defect.BAD_ENCODING)
                break
    return b"".join(decoded)
