"""Read one mail: bytes in, `Message` out."""

import mmap
import re

import attrs

from mailrouting.reading.attachments import list_attachments
from mailrouting.reading.bodies import choose_bodies
from mailrouting.reading.bounce_text import bounces_in_text, reports_for
from mailrouting.reading.budget import Budget
from mailrouting.reading.charsets import GuessCharset
from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.header_block import HeaderBlock, Report
from mailrouting.reading.headers import decode_value
from mailrouting.reading.helpers import Helpers, ReadBounce
from mailrouting.reading.html_text import text_of_page
from mailrouting.reading.ids import message_id, message_ids, returned_id
from mailrouting.reading.kind import Judgement, judge_kind
from mailrouting.reading.limits import DEFAULT, ReadingLimits
from mailrouting.reading.mail_systems import is_daemon, is_mail_system
from mailrouting.reading.message import (
    BounceReport,
    Defect,
    Kind,
    MailSource,
    Message,
)
from mailrouting.reading.on_demand import postpone
from mailrouting.reading.people import People
from mailrouting.reading.remainder import Remainder
from mailrouting.reading.reports import Reports, find_original, read_reports
from mailrouting.reading.scan import scan

__all__ = ["read"]

_SOURCES = (bytes, mmap.mmap)
_NO_HELPERS = Helpers()
_PLAIN_PATH = re.compile(rb"<[A-Za-z0-9_.+=-]++@[A-Za-z0-9.-]++>")
_ODD_BOUNCE = "A mail system sent it, and a reader of odd bounces found recipients in it."


def read(
    raw: MailSource, *, limits: ReadingLimits = DEFAULT, helpers: Helpers | None = None
) -> Message:
    r"""Read one mail. Pure, linear in its size, and no mail makes it raise.

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

    Raises:
        TypeError: `raw` is neither bytes nor a memory map: the caller's mistake, not the mail's.
    """
    _refuse_what_is_no_mail(raw)
    try:
        return _read(raw, limits, helpers or _NO_HELPERS)
    except Exception:  # noqa: BLE001 - the promise is that it never raises: a fault is a defect
        return Message(raw=raw, defects=(Defect.READER_FAULT,))


def _refuse_what_is_no_mail(raw: object) -> None:
    if not isinstance(raw, _SOURCES):
        message = f"read() takes bytes or a memory map, not {type(raw).__name__}"
        raise TypeError(message)


def _read(raw: MailSource, limits: ReadingLimits, helpers: Helpers) -> Message:
    met: dict[Defect, None] = {}

    def report(defect: Defect) -> None:
        met[defect] = None

    # Line ends of old Macs: same length, so positions in both agree.
    data = raw if raw.find(b"\n") >= 0 else bytes(raw).replace(b"\r", b"\n")
    parts = scan(data, limits=limits, report=report)
    header, media = parts[0].header, parts[0].media
    people = People(header, limits, report)
    sender = people.first(b"from")
    subject_value = header.first(b"subject")
    subject = None if subject_value is None else decode_value(subject_value)
    budget = Budget(data, limits, report)
    bodies = choose_bodies(budget, parts, _guarded(helpers.guess_charset, report))
    attached = list_attachments(budget, parts, bodies, helpers.open_tnef)
    if attached.tnef and bodies.text is None:
        html = attached.tnef.html
        text = attached.tnef.text or (html and _text_of_page(html, limits, report)) or None
        bodies = attrs.evolve(bodies, text=text, html=html)
    text = bodies.text or ""
    return_path = _return_path(header)
    is_mail_systems = sender is not None and is_mail_system(sender.address)
    is_daemons = sender is not None and is_daemon(sender.address)
    reports = read_reports(
        data,
        parts,
        limits=limits,
        report=report,
        trusts_any_place=return_path == "" or is_mail_systems,
    )
    original = find_original(data, parts, limits=limits, report=report)
    judgement = judge_kind(
        header=header,
        media=media,
        reports=reports,
        sender=sender,
        return_path=return_path,
        subject=subject or "",
        text=text,
        returns_mail=original is not None,
        recipients=tuple(one.address for one in people.read(b"to")),
    )
    if judgement.kind is Kind.BOUNCE:
        reports = attrs.evolve(reports, original=original)
    bounces = _bounces(judgement.kind, reports, people, header, text)
    # A postmaster may be a person, unless the mail says that a program wrote it.
    is_vouched = return_path == "" or is_daemons
    is_vouched = is_vouched or (is_mail_systems and judgement.kind is Kind.AUTOMATIC)
    if helpers.read_bounce and _may_ask(judgement.kind, bounces, is_vouched=is_vouched):
        bounces = _asked(helpers.read_bounce, data, report)
        if bounces and judgement.kind is not Kind.BOUNCE:
            judgement = Judgement(Kind.BOUNCE, (_ODD_BOUNCE, *judgement.signs))
            reports = attrs.evolve(reports, original=original)
    is_vague = not bounces and not reports.has_delivery_status and original is None
    is_answerable = return_path or (return_path is None and not is_daemons)
    if judgement.kind is Kind.BOUNCE and is_vague and is_answerable:
        # It names nobody and has an address to answer: a postmaster may write like a machine.
        judgement = Judgement(Kind.PERSONAL, judgement.signs)
    rest = Remainder(header, people, limits, parts, text, subject, tuple(met))
    message = Message(
        raw=raw,
        from_=sender,
        from_all=people.read(b"from"),
        to=people.read(b"to"),
        cc=people.read(b"cc"),
        subject=subject,
        message_id=message_id(header.all(b"message-id")),
        in_reply_to=message_ids(header.all(b"in-reply-to")),
        references=message_ids(header.all(b"references")),
        return_path=return_path,
        text=bodies.text,
        html=bodies.html,
        charsets=bodies.charsets,
        attachments=attached.attachments,
        kind=judgement.kind,
        automatic_signs=judgement.signs,
        bounces=bounces,
        feedback_type=reports.feedback_type or None,
        original_message_id=_original_id(reports, judgement.kind, text),
    )
    return postpone(message, rest)


def _text_of_page(source: str, limits: ReadingLimits, report: Report) -> str:
    page = text_of_page(source, most=limits.html_text)
    if not page.is_whole:
        report(Defect.BODY_LIMIT)
    return page.text


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


def _may_ask(kind: Kind, bounces: tuple[BounceReport, ...], *, is_vouched: bool) -> bool:
    """Tell whether the helper is asked: our own rules first, and never about a person's mail.

    A reader of odd bounces takes conversation that quotes a bounce for one, so the null
    reverse-path or a mail system's From must vouch for what we do not know as a bounce.
    """
    if bounces:
        return False
    return kind is Kind.BOUNCE or (is_vouched and kind in (Kind.PERSONAL, Kind.AUTOMATIC))


def _asked(read_bounce: ReadBounce, data: MailSource, report: Report) -> tuple[BounceReport, ...]:
    try:
        return read_bounce(bytes(data))
    except Exception:  # noqa: BLE001 - a helper is another library, fed by strangers
        report(Defect.HELPER_FAULT)
        return ()


def _return_path(header: HeaderBlock) -> str | None:
    value = header.first(b"return-path")
    if value is None:
        return None
    if _PLAIN_PATH.fullmatch(value):
        return value[1:-1].decode("ascii")
    addresses, _ = parse_addresses(value, limit=1)
    return addresses[0].address if addresses else ""


def _original_id(reports: Reports, kind: Kind, text: str) -> str | None:
    told = reports.reported_id
    if told is None and reports.original is not None:
        told = message_id(reports.original.all(b"message-id"))
    return told or (returned_id(text) if kind is Kind.BOUNCE else None)


def _bounces(
    kind: Kind, reports: Reports, people: People, header: HeaderBlock, text: str
) -> tuple[BounceReport, ...]:
    if reports.bounces or kind is not Kind.BOUNCE:
        return reports.bounces
    sender = people.first(b"from")
    by_program = sender is not None and is_daemon(sender.address)
    named = [value for value in header.all(b"x-failed-recipients") if value]
    addresses = [one.address for value in named for one in parse_addresses(value)[0]]
    if addresses:
        return reports_for(addresses, text, by_program=by_program)
    own = frozenset(
        one.address.lower()
        for one in (*people.read(b"from"), *people.read(b"to"), *people.read(b"cc"))
    )
    found = bounces_in_text(text, own=own, by_program=by_program)
    if not found and reports.original:
        to = [one for value in reports.original.all(b"to") for one in parse_addresses(value)[0]]
        found = reports_for([one.address for one in to[:1]], text, by_program=by_program)
    return found
