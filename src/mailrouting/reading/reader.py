"""Read one mail: bytes in, `Message` out."""

import attrs

from mailrouting.reading.attachments import list_attachments
from mailrouting.reading.bodies import choose_bodies
from mailrouting.reading.bounce_text import bounces_in_text, report_for
from mailrouting.reading.budget import Budget
from mailrouting.reading.charsets import GuessCharset
from mailrouting.reading.dates import parse_date
from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.header_block import HeaderBlock, Report
from mailrouting.reading.headers import decode_value, raw_text
from mailrouting.reading.helpers import Helpers, ReadBounce
from mailrouting.reading.html_text import html_to_text
from mailrouting.reading.ids import message_id, message_ids
from mailrouting.reading.kind import Judgement, is_mail_system, judge_kind
from mailrouting.reading.limits import DEFAULT, ReadingLimits
from mailrouting.reading.message import (
    BounceReport,
    Defect,
    HeaderAddress,
    Kind,
    MailSource,
    Message,
)
from mailrouting.reading.on_demand import postpone
from mailrouting.reading.remainder import Remainder
from mailrouting.reading.reports import Reports, find_original, read_reports
from mailrouting.reading.scan import scan

__all__ = ["read"]

_ONCE = (b"subject", b"to", b"cc", b"message-id", b"date", b"content-type", b"sender", b"reply-to")
_ODD_BOUNCE = "A mail system sent it, and a reader of odd bounces found recipients in it."


def read(
    raw: MailSource, *, limits: ReadingLimits = DEFAULT, helpers: Helpers | None = None
) -> Message:
    r"""Read one mail. Pure, linear in its size, and it never raises.

    What is wrong with the mail is in `Message.defects`; the bytes are in `Message.raw`, always.

    >>> message = read(b"From: Ann <ann@example.org>\r\nSubject: Printer\r\n\r\nIt is on fire.\r\n")
    >>> message.from_.address, message.subject, message.text
    ('ann@example.org', 'Printer', 'It is on fire.\n')

    Args:
        raw: The mail as the server gave it: its bytes, or a memory map of a file that holds them.
            A map spares a large mail's copy in memory. It must stay open, and its file unchanged,
            as long as the message and its attachments are used.
        limits: How far to look into it.
        helpers: What guesses character sets, opens winmail.dat files and reads odd bounces; see
            `mailrouting.integrations.reading_helpers`.
    """
    try:
        return _read(raw, limits, helpers or Helpers())
    except Exception:  # noqa: BLE001 - the promise is that it never raises: a fault is a defect
        return Message(raw=raw, defects=(Defect.READER_FAULT,))


def _read(raw: MailSource, limits: ReadingLimits, helpers: Helpers) -> Message:
    met: dict[Defect, None] = {}

    def report(defect: Defect) -> None:
        met[defect] = None

    # Line ends of old Macs: same length, so positions in both agree.
    data = raw if raw.find(b"\n") >= 0 else bytes(raw).replace(b"\r", b"\n")
    parts = scan(data, limits=limits, report=report)
    header, media = parts[0].header, parts[0].media
    people = _People(header, limits, report)
    subject = header.first(b"subject")
    budget = Budget(data, limits, report)
    bodies = choose_bodies(budget, parts, _guarded(helpers.guess_charset, report))
    attached = list_attachments(budget, parts, bodies, helpers.open_tnef)
    if attached.tnef and bodies.text is None:
        html = attached.tnef.html
        text = attached.tnef.text or (html_to_text(html) if html else None)
        bodies = attrs.evolve(bodies, text=text, html=html)
    text = bodies.text or ""
    return_path = _return_path(header)
    is_from_system = return_path == "" or (
        bool(people.from_) and is_mail_system(people.from_[0].address)
    )
    reports = read_reports(
        data, parts, limits=limits, report=report, trusts_any_place=is_from_system
    )
    original = find_original(data, parts, limits=limits, report=report)
    judgement = judge_kind(
        header=header,
        media=media,
        reports=reports,
        sender=people.from_[0] if people.from_ else None,
        return_path=return_path,
        subject=decode_value(subject or b""),
        text=text,
        returns_mail=original is not None,
        recipients=tuple(one.address for one in people.read(b"to")),
    )
    if judgement.kind is Kind.BOUNCE:
        reports = attrs.evolve(reports, original=original)
    bounces = _bounces(judgement.kind, reports, people, header, text)
    if helpers.read_bounce and _may_ask(judgement.kind, bounces, is_from_system=is_from_system):
        bounces = _asked(helpers.read_bounce, data, report)
        if bounces and judgement.kind is not Kind.BOUNCE:
            judgement = Judgement(Kind.BOUNCE, (_ODD_BOUNCE, *judgement.signs))
            reports = attrs.evolve(reports, original=original)
    is_vague = not bounces and not reports.has_delivery_status and original is None
    if judgement.kind is Kind.BOUNCE and is_vague and return_path:
        # It names nobody and has an address to answer: a postmaster may write like a machine.
        judgement = Judgement(Kind.PERSONAL, judgement.signs)
    date_value = header.first(b"date")
    date = parse_date(raw_text(date_value)) if date_value else None
    if date_value and date is None:
        report(Defect.BAD_DATE)
    _report_header(header, people, report)
    if len(text) > limits.text:
        report(Defect.TEXT_LIMIT)
    subject_text = None if subject is None else decode_value(subject)
    message = Message(
        raw=raw,
        from_=people.from_[0] if people.from_ else None,
        from_all=people.from_,
        sender=next(iter(people.read(b"sender")), None),
        reply_to=people.read(b"reply-to"),
        to=people.read(b"to"),
        cc=people.read(b"cc"),
        bcc=people.read(b"bcc"),
        subject=subject_text,
        message_id=message_id(header.all(b"message-id")),
        in_reply_to=message_ids(header.all(b"in-reply-to")),
        references=message_ids(header.all(b"references")),
        date=date,
        return_path=return_path,
        text=bodies.text,
        html=bodies.html,
        charsets=bodies.charsets,
        attachments=attached.attachments,
        kind=judgement.kind,
        automatic_signs=judgement.signs,
        bounces=bounces,
        feedback_type=reports.feedback_type or None,
        original_message_id=_original_id(reports),
    )
    rest = Remainder(header, limits, parts, text, subject_text, tuple(met))
    return postpone(message, rest)


def _guarded(guess: GuessCharset | None, report: Report) -> GuessCharset | None:
    """Return a guesser that never raises."""
    if guess is None:
        return None

    def guarded(data: bytes) -> str | None:
        try:
            return guess(data)
        except Exception:  # noqa: BLE001 - a helper is another library, fed by strangers
            report(Defect.HELPER_FAULT)
            return None

    return guarded


def _may_ask(kind: Kind, bounces: tuple[BounceReport, ...], *, is_from_system: bool) -> bool:
    """Tell whether the helper is asked: our own rules first, and never about a person's mail.

    A reader of odd bounces takes conversation that quotes a bounce for one, so the null
    reverse-path or a mail system in From must vouch for what we do not know as a bounce.
    """
    if bounces:
        return False
    return kind is Kind.BOUNCE or (is_from_system and kind in (Kind.PERSONAL, Kind.AUTOMATIC))


def _asked(read_bounce: ReadBounce, data: MailSource, report: Report) -> tuple[BounceReport, ...]:
    try:
        return read_bounce(bytes(data))
    except Exception:  # noqa: BLE001 - a helper is another library, fed by strangers
        report(Defect.HELPER_FAULT)
        return ()


class _People:
    """Read address fields of one header."""

    def __init__(self, header: HeaderBlock, limits: ReadingLimits, report: Report) -> None:
        self._header = header
        self._limits = limits
        self._report = report
        self._known: dict[bytes, tuple[HeaderAddress, ...]] = {}
        self.from_ = self.read(b"from")

    def read(self, name: bytes) -> tuple[HeaderAddress, ...]:
        """Return the addresses of all fields of a name, in order; each is parsed once."""
        if name not in self._known:
            self._known[name] = self._parsed(name)
        return self._known[name]

    def _parsed(self, name: bytes) -> tuple[HeaderAddress, ...]:
        found: list[HeaderAddress] = []
        for value in self._header.all(name):
            room = self._limits.addresses - len(found)
            addresses, is_more = parse_addresses(value, limit=max(room, 0))
            found += addresses
            if is_more:
                self._report(Defect.ADDRESS_LIMIT)
                break
        return tuple(found)


def _report_header(header: HeaderBlock, people: _People, report: Report) -> None:
    if not header.fields:
        report(Defect.NO_HEADER)
    fields = header.all(b"from")
    first = people.from_[0] if people.from_ else None
    if first is None or not first.address:
        report(Defect.MISSING_FROM)
    if len(fields) > 1 or len(people.from_) > 1 or (first and _has_two_marks(first.address)):
        report(Defect.AMBIGUOUS_FROM)
    if first and "@" in first.name and first.name.lower() != first.address.lower():
        report(Defect.ADDRESS_IN_NAME)
    if any(len(header.all(name)) > 1 for name in _ONCE):
        report(Defect.DUPLICATE_FIELD)


def _has_two_marks(address: str) -> bool:
    return address.count("@") > 1 and not address.startswith('"')


def _return_path(header: HeaderBlock) -> str | None:
    value = header.first(b"return-path")
    if value is None:
        return None
    addresses, _ = parse_addresses(value, limit=1)
    return addresses[0].address if addresses else ""


def _original_id(reports: Reports) -> str | None:
    if reports.reported_id:
        return reports.reported_id
    return message_id(reports.original.all(b"message-id")) if reports.original else None


def _bounces(
    kind: Kind, reports: Reports, people: _People, header: HeaderBlock, text: str
) -> tuple[BounceReport, ...]:
    if reports.bounces or kind is not Kind.BOUNCE:
        return reports.bounces
    named = [value for value in header.all(b"x-failed-recipients") if value]
    addresses = [one.address for value in named for one in parse_addresses(value)[0]]
    if addresses:
        return tuple(report_for(address, text) for address in addresses)
    own = frozenset(
        one.address.lower() for one in (*people.from_, *people.read(b"to"), *people.read(b"cc"))
    )
    found = bounces_in_text(text, own=own)
    if not found and reports.original:
        to = [one for value in reports.original.all(b"to") for one in parse_addresses(value)[0]]
        found = tuple(report_for(one.address, text) for one in to[:1])
    return found
