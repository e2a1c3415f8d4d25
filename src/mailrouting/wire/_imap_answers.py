"""Read the usual answers to FETCH fast: imapclient, which reads the others, goes by character."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

__all__ = ["Answer", "usual"]

Answer = bytes | tuple[bytes, bytes]
"""A line as imaplib gives it, or its beginning with the literal that follows."""

_NUMBER = rb"(?:0|[1-9]\d{0,18})"
_FLAG = rb"[\\$A-Za-z][A-Za-z0-9_$.-]*"
_TOLD = re.compile(
    rb"(?P<seq>%(number)s) \((?:"
    rb"(?:UID (?P<uid>%(number)s)|RFC822\.SIZE (?P<size>%(number)s)"
    rb"|FLAGS \((?P<flags>(?:%(flag)s(?: (?!\))|(?=\))))*)\)"
    rb'|INTERNALDATE "(?P<date>[^"\\]*)")(?: (?!\))|(?=\)))'
    rb")+\)" % {b"number": _NUMBER, b"flag": _FLAG}
)
_HEAD = re.compile(
    rb"(?P<seq>%(number)s) \(UID (?P<uid>%(number)s) "
    rb"(?P<item>BODY\[(?:HEADER)?\](?:<%(number)s>)?) \{(?P<octets>%(number)s)\}"
    % {b"number": _NUMBER}
)
_DATE = re.compile(
    rb"([ \d]\d)-([A-Z][a-z]{2})-((?:19|20)\d\d) (\d\d):(\d\d):(\d\d) (?!-0000)([+-]\d\d)(\d\d)"
)
_MONTHS = {
    name: number
    for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}


def usual(answers: Sequence[Answer | None]) -> dict[int, dict[bytes, object]] | None:
    """Return by UID what answers to UID FETCH say, as imapclient would; None when one is unusual."""
    found: dict[int, dict[bytes, object]] = {}
    rest = iter(answers)
    for answer in rest:
        if isinstance(answer, tuple):
            one = _body(*answer) if next(rest, None) == b")" else None
        else:
            one = None if answer is None else _told(answer)
        if one is None:
            return None
        uid, told = one
        found.setdefault(uid, {}).update(told)
    return found


def _body(head: bytes, body: bytes) -> tuple[int, dict[bytes, object]] | None:
    match = _HEAD.fullmatch(head)
    if match is None or int(match["octets"]) != len(body):
        return None
    return int(match["uid"]), {b"SEQ": int(match["seq"]), match["item"]: body}


def _told(line: bytes) -> tuple[int, dict[bytes, object]] | None:
    match = _TOLD.fullmatch(line)
    if match is None:
        return None
    seq, uid, size, flags, date = match.groups()
    if uid is None:
        return None
    told: dict[bytes, object] = {b"SEQ": int(seq)}
    if size is not None:
        told[b"RFC822.SIZE"] = int(size)
    if flags is not None:
        told[b"FLAGS"] = names = tuple(flags.split())
        if b"NIL" in names:
            return None
    if date is not None:
        told[b"INTERNALDATE"] = moment = _moment(date)
        if moment is None:
            return None
    return int(uid), told


def _moment(text: bytes) -> datetime | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, hours, minutes = match.groups()
    ahead = timedelta(hours=abs(int(hours)), minutes=int(minutes))
    try:
        zone = timezone(-ahead if hours.startswith(b"-") else ahead)
        return datetime(
            int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=zone
        )
    except (ValueError, KeyError):
        return None
