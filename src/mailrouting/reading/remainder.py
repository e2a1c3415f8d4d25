"""Read what most mail is never asked for, when it is asked for."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import attrs

from mailrouting.reading.authentication import (
    AuthenticationResults,
    parse_authentication_results,
)
from mailrouting.reading.dates import parse_date
from mailrouting.reading.forwarded import find_forwarded
from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.header_block import HeaderBlock
from mailrouting.reading.headers import clean, decode_value, raw_text
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import (
    Defect,
    Forwarded,
    HeaderAddress,
    HeaderField,
    Message,
    Priority,
    Protection,
    ReplyView,
)
from mailrouting.reading.people import People
from mailrouting.reading.protection import mail_protection
from mailrouting.reading.reply import view_reply
from mailrouting.reading.scan import Part

__all__ = ["Remainder"]

_ONCE = (b"subject", b"to", b"cc", b"message-id", b"date", b"content-type", b"sender", b"reply-to")
# The other commercial ats, and what changes the direction of the text around it (UAX #9 §2). The
# mere marks of direction (U+200E, U+200F) stand in honest names.
_PRETENDING = re.compile("[\uff20\ufe6b\u202a-\u202e\u2066-\u2069]")
_MET_LATE = frozenset({Defect.BAD_DATE, Defect.TEXT_LIMIT, Defect.ADDRESS_LIMIT})
_DELIVERY_NAMES = frozenset({b"delivered-to", b"x-original-to", b"envelope-to"})
_PRIORITY_WORDS = {
    "1": Priority.HIGH,
    "2": Priority.HIGH,
    "high": Priority.HIGH,
    "urgent": Priority.HIGH,
    "3": Priority.NORMAL,
    "4": Priority.NORMAL,
    "normal": Priority.NORMAL,
    "5": Priority.LOW,
    "6": Priority.LOW,
    "low": Priority.LOW,
    "non-urgent": Priority.LOW,
}


@attrs.define(eq=False)
class Remainder:
    """Know the fields of a `Message` that its reader postponed.

    `defects` reads all of them: what one of them meets is a defect whether it was asked for or not.
    """

    header: HeaderBlock
    people: People
    limits: ReadingLimits
    parts: Sequence[Part]
    text: str
    subject: str | None
    defects: tuple[Defect, ...]
    known: dict[str, object] = attrs.Factory(dict[str, object])
    has_failed: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the fields."""
        return _NAMES

    def value_of(self, name: str) -> object:
        """Return the value of a field; never raises."""
        if name == "defects":
            return self._all_defects()
        if name not in self.known:
            try:
                self.known[name] = _READERS[name](self)
            except Exception:  # noqa: BLE001 - reading never raises: a fault is a defect
                self.has_failed = True
                self.known[name] = attrs.fields_dict(Message)[name].default
        return self.known[name]

    def has_defect(self, defect: Defect) -> bool:
        """Tell whether the mail has a defect; of `READER_FAULT`, what is known by now."""
        if defect is Defect.READER_FAULT:
            return self.has_failed
        if defect in _MET_LATE:
            return defect in self._all_defects()
        return defect in self.defects or (
            defect in _OF_HEADER and defect in _header_defects(self.header, self.people)
        )

    def _all_defects(self) -> tuple[Defect, ...]:
        for name in _READERS:
            self.value_of(name)
        found = dict.fromkeys(self.defects)
        try:
            found.update(dict.fromkeys(self._late_defects()))
        except Exception:  # noqa: BLE001 - as above
            self.has_failed = True
        if self.has_failed:
            found[Defect.READER_FAULT] = None
        return tuple(found)

    def _late_defects(self) -> Iterator[Defect]:
        if self.header.first(b"date") and self.value_of("date") is None:
            yield Defect.BAD_DATE
        yield from _header_defects(self.header, self.people)
        if len(self.text) > self.limits.text:
            yield Defect.TEXT_LIMIT
        if self.people.has_more:
            yield Defect.ADDRESS_LIMIT


_OF_HEADER = frozenset(
    {
        Defect.NO_HEADER,
        Defect.MISSING_FROM,
        Defect.AMBIGUOUS_FROM,
        Defect.ADDRESS_IN_NAME,
        Defect.DUPLICATE_FIELD,
    }
)


def _header_defects(header: HeaderBlock, people: People) -> Iterator[Defect]:
    """Yield those of `_OF_HEADER` that the mail has."""
    if not header.names:
        yield Defect.NO_HEADER
    first = people.first(b"from")
    if first is None or not first.address:
        yield Defect.MISSING_FROM
    if (
        header.count(b"from") > 1
        or len(people.read(b"from")) > 1
        or (first and _has_two_marks(first.address))
    ):
        yield Defect.AMBIGUOUS_FROM
    if first and _pretends(first.name) and first.name.lower() != first.address.lower():
        yield Defect.ADDRESS_IN_NAME
    if any(header.count(name) > 1 for name in _ONCE):
        yield Defect.DUPLICATE_FIELD


def _pretends(name: str) -> bool:
    """Tell whether a name may pass for an address: by a commercial at, or by turned text."""
    return "@" in name or (not name.isascii() and _PRETENDING.search(name) is not None)


def _has_two_marks(address: str) -> bool:
    return address.count("@") > 1 and not address.startswith('"')


def _reply(mail: Remainder) -> ReplyView:
    return view_reply(mail.text, longest=mail.limits.text)


def _forwarded(mail: Remainder) -> Forwarded | None:
    return find_forwarded(mail.text[: mail.limits.text], subject=mail.subject or "")


def _protection(mail: Remainder) -> Protection | None:
    return mail_protection(mail.parts, mail.text[: mail.limits.text])


def _sender(mail: Remainder) -> HeaderAddress | None:
    return mail.people.first(b"sender")


def _reply_to(mail: Remainder) -> tuple[HeaderAddress, ...]:
    return mail.people.read(b"reply-to")


def _bcc(mail: Remainder) -> tuple[HeaderAddress, ...]:
    return mail.people.read(b"bcc")


def _date(mail: Remainder) -> datetime | None:
    value = mail.header.first(b"date")
    return parse_date(raw_text(value)) if value else None


def _date_text(mail: Remainder) -> str | None:
    value = mail.header.first(b"date")
    return None if value is None else decode_value(value)


def _delivered_to(mail: Remainder) -> tuple[str, ...]:
    if _DELIVERY_NAMES.isdisjoint(mail.header.names):
        return ()
    found: list[str] = []
    for name, value in mail.header.fields:
        if name.lower() in _DELIVERY_NAMES:
            addresses, _ = parse_addresses(value, limit=20)
            found += [one.address for one in addresses if one.address]
    return tuple(found)


def _priority(mail: Remainder) -> Priority | None:
    for name in (b"x-priority", b"importance", b"x-msmail-priority", b"priority"):
        words = decode_value(mail.header.first(name) or b"").lower().replace("(", " ").split()
        if words and words[0] in _PRIORITY_WORDS:
            return _PRIORITY_WORDS[words[0]]
    return None


def _suppress_responses(mail: Remainder) -> frozenset[str]:
    return frozenset(
        word.strip().lower()
        for value in mail.header.all(b"x-auto-response-suppress")
        for word in decode_value(value).split(",")
        if word.strip()
    )


def _authentication_results(mail: Remainder) -> tuple[AuthenticationResults, ...]:
    if b"authentication-results" not in mail.header.names:
        return ()
    found: list[AuthenticationResults] = []
    position = 0
    for written, value in mail.header.fields:
        name = written.lower()
        position += name == b"received"
        if name == b"authentication-results":
            # Encoded words are for text (RFC 2047 §5); decoding them here would let a sender's
            # address end one result and begin another.
            one = parse_authentication_results(clean(raw_text(value)), position=position)
            if len(value) >= mail.limits.value_bytes:
                one = attrs.evolve(one, results=())  # cut off: the end might say fail
            found.append(one)
    return tuple(found)


def _header_fields(mail: Remainder) -> tuple[HeaderField, ...]:
    return tuple(
        HeaderField(name.decode("ascii", "replace"), decode_value(value))
        for name, value in mail.header.fields
    )


_READERS: dict[str, Callable[[Remainder], object]] = {
    "reply": _reply,
    "forwarded": _forwarded,
    "protection": _protection,
    "sender": _sender,
    "reply_to": _reply_to,
    "bcc": _bcc,
    "date": _date,
    "date_text": _date_text,
    "delivered_to": _delivered_to,
    "priority": _priority,
    "suppress_responses": _suppress_responses,
    "authentication_results": _authentication_results,
    "header_fields": _header_fields,
}
_NAMES = frozenset({*_READERS, "defects"})
