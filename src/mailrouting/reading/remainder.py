"""Read what most mail is never asked for, when it is asked for."""

from collections.abc import Callable, Sequence

import attrs

from mailrouting.reading.authentication import (
    AuthenticationResults,
    parse_authentication_results,
)
from mailrouting.reading.forwarded import find_forwarded
from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.header_block import HeaderBlock
from mailrouting.reading.headers import clean, decode_value, raw_text
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import (
    Defect,
    Forwarded,
    HeaderField,
    Message,
    Priority,
    Protection,
    ReplyView,
)
from mailrouting.reading.protection import mail_protection
from mailrouting.reading.reply import view_reply
from mailrouting.reading.scan import Part

__all__ = ["Remainder"]

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

    None of them adds a defect, unless its reading fails: so `defects` reads all of them.
    """

    header: HeaderBlock
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

    def _all_defects(self) -> tuple[Defect, ...]:
        for name in _READERS:
            self.value_of(name)
        return (*self.defects, Defect.READER_FAULT) if self.has_failed else self.defects


def _reply(mail: Remainder) -> ReplyView:
    return view_reply(mail.text, longest=mail.limits.text)


def _forwarded(mail: Remainder) -> Forwarded | None:
    return find_forwarded(mail.text[: mail.limits.text], subject=mail.subject or "")


def _protection(mail: Remainder) -> Protection | None:
    return mail_protection(mail.parts, mail.text[: mail.limits.text])


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
    "date_text": _date_text,
    "delivered_to": _delivered_to,
    "priority": _priority,
    "suppress_responses": _suppress_responses,
    "authentication_results": _authentication_results,
    "header_fields": _header_fields,
}
_NAMES = frozenset({*_READERS, "defects"})
