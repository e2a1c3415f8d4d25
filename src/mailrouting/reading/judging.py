"""Decide what a mail is and what it reports, from all that was read of it."""

from collections.abc import Sequence

import attrs

from mailrouting.reading.bounce_text import bounces_in_text, reports_for
from mailrouting.reading.evidence import Evidence
from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.header_block import HeaderBlock, Report
from mailrouting.reading.helpers import ReadBounce
from mailrouting.reading.ids import message_id, returned_id
from mailrouting.reading.kind import Judgement, judge_kind
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.mail_systems import is_daemon, is_mail_system
from mailrouting.reading.message import BounceReport, Defect, HeaderAddress, Kind, MailSource
from mailrouting.reading.people import People
from mailrouting.reading.reports import Reports, find_original, read_reports
from mailrouting.reading.scan import Part

__all__ = ["Judged", "judge_mail"]

_ODD_BOUNCE = "A mail system sent it, and a reader of odd bounces found recipients in it."


@attrs.frozen(kw_only=True)
class Judged:
    """Hold what was decided; see `Message` for the words."""

    kind: Kind
    signs: tuple[str, ...]
    bounces: tuple[BounceReport, ...]
    feedback_type: str | None
    original_message_id: str | None


def judge_mail(
    data: MailSource,
    parts: Sequence[Part],
    people: People,
    *,
    sender: HeaderAddress | None,
    return_path: str | None,
    subject: str,
    text: str,
    limits: ReadingLimits,
    report: Report,
    read_bounce: ReadBounce | None,
) -> Judged:
    """Judge a mail by its sender, its header, its report parts and its text.

    Args:
        data: The mail.
        parts: Its parts; the first is the mail itself.
        people: Its address fields.
        sender: The sender in From.
        return_path: The topmost Return-Path; empty is the null reverse-path.
        subject: Its subject, decoded.
        text: Its text.
        limits: For the headers inside.
        report: Called with each defect.
        read_bounce: Asked about a bounce in which our own rules find no recipient.
    """
    is_mail_systems = sender is not None and is_mail_system(sender.address)
    reports = read_reports(
        data,
        parts,
        limits=limits,
        report=report,
        trusts_any_place=return_path == "" or is_mail_systems,
    )
    original = find_original(data, parts, limits=limits, report=report)
    evidence = Evidence(
        header=parts[0].header,
        media=parts[0].media,
        reports=reports,
        sender=sender,
        return_path=return_path,
        subject=subject,
        text=text,
        returns_mail=original is not None,
        recipients=tuple(one.address for one in people.read(b"to")),
    )
    judgement = judge_kind(evidence)
    bounces = _bounces(judgement.kind, evidence, people, original)
    if read_bounce and not bounces and _may_ask(evidence, judgement.kind):
        bounces = _asked(read_bounce, data, report)
        if bounces and judgement.kind is not Kind.BOUNCE:
            judgement = Judgement(Kind.BOUNCE, (_ODD_BOUNCE, *judgement.signs))
    if judgement.kind is Kind.BOUNCE and not bounces and _is_vague(evidence):
        judgement = Judgement(Kind.PERSONAL, judgement.signs)
    is_bounce = judgement.kind is Kind.BOUNCE
    return Judged(
        kind=judgement.kind,
        signs=judgement.signs,
        bounces=bounces,
        feedback_type=reports.feedback_type or None,
        original_message_id=_original_id(reports, original if is_bounce else reports.original)
        or (returned_id(text) if is_bounce else None),
    )


def _may_ask(evidence: Evidence, kind: Kind) -> bool:
    """Tell whether the helper is asked: never about a person's mail.

    A reader of odd bounces takes conversation that quotes a bounce for one, so the null
    reverse-path or a mail system's From must vouch for what we do not know as a bounce.
    """
    if kind is Kind.BOUNCE:
        return True
    if evidence.return_path == "" or _is_daemons(evidence.sender):
        return kind in (Kind.PERSONAL, Kind.AUTOMATIC)
    # A postmaster may be a person, unless the mail says that a program wrote it.
    sender = evidence.sender
    return kind is Kind.AUTOMATIC and sender is not None and is_mail_system(sender.address)


def _asked(read_bounce: ReadBounce, data: MailSource, report: Report) -> tuple[BounceReport, ...]:
    try:
        return read_bounce(bytes(data))
    except Exception:  # noqa: BLE001 - a helper is another library, fed by strangers
        report(Defect.HELPER_FAULT)
        return ()


def _is_vague(evidence: Evidence) -> bool:
    """Tell whether a bounce that names nobody can be answered: a postmaster may write like one."""
    if evidence.reports.has_delivery_status or evidence.returns_mail:
        return False
    path = evidence.return_path
    return bool(path) or (path is None and not _is_daemons(evidence.sender))


def _is_daemons(sender: HeaderAddress | None) -> bool:
    return sender is not None and is_daemon(sender.address)


def _bounces(
    kind: Kind, evidence: Evidence, people: People, original: HeaderBlock | None
) -> tuple[BounceReport, ...]:
    """Return who was not reached: by the report, else the header, the text or the returned mail."""
    if evidence.reports.bounces or kind is not Kind.BOUNCE:
        return evidence.reports.bounces
    text, by_program = evidence.text, _is_daemons(evidence.sender)
    failed = _addresses(evidence.header, b"x-failed-recipients")
    if failed:
        return reports_for(failed, text, by_program=by_program)
    own = frozenset(
        one.address.lower() for name in (b"from", b"to", b"cc") for one in people.read(name)
    )
    found = bounces_in_text(text, own=own, by_program=by_program)
    if not found and original:
        found = reports_for(_addresses(original, b"to")[:1], text, by_program=by_program)
    return found


def _addresses(header: HeaderBlock, name: bytes) -> list[str]:
    return [one.address for value in header.all(name) for one in parse_addresses(value)[0]]


def _original_id(reports: Reports, returned: HeaderBlock | None) -> str | None:
    if reports.reported_id is not None or returned is None:
        return reports.reported_id
    return message_id(returned.all(b"message-id"))
