"""Read reports: delivery status (RFC 3464), receipts (RFC 8098), feedback (RFC 5965)."""

import re
from collections.abc import Sequence

import attrs

from mailrouting.reading.bodies import part_text
from mailrouting.reading.bounce_reasons import judge
from mailrouting.reading.header_block import HeaderBlock, Report, read_header
from mailrouting.reading.headers import decode_value
from mailrouting.reading.ids import message_id
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import BounceReport, MailSource
from mailrouting.reading.scan import Part

__all__ = ["NO_REPORTS", "Reports", "find_original", "read_reports"]

_DELIVERY = frozenset({"message/delivery-status", "message/global-delivery-status"})
_DISPOSITION = frozenset(
    {"message/disposition-notification", "message/global-disposition-notification"}
)
_ORIGINALS = frozenset({
    "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers",
    "message/global-headers",
})  # fmt: skip
_FEEDBACK = "message/feedback-report"
_KINDS = _DELIVERY | _DISPOSITION | {_FEEDBACK}
_STATUS_VALUE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
# Of a report so much is read: far more than its recipients take.
_MOST_BYTES = 1024 * 1024
_MOST_RECIPIENTS = 200
_ACTION_WORDS = {
    "failure": "failed",
    "fail": "failed",
    "delay": "delayed",
    "deliverable": "delivered",
}


@attrs.frozen(kw_only=True)
class Reports:
    """Hold what the machine-readable parts of a mail report.

    Attributes:
        bounces: One for each recipient block of a delivery status.
        has_delivery_status: True when there is such a part at all.
        is_receipt: True when there is a disposition notification.
        feedback_type: The type of a feedback report; empty when it names none.
        original: The header of the returned mail.
        reported_id: Its Message-ID where only a field names it.
    """

    bounces: tuple[BounceReport, ...] = ()
    has_delivery_status: bool = False
    is_receipt: bool = False
    feedback_type: str | None = None
    original: HeaderBlock | None = None
    reported_id: str | None = None


NO_REPORTS = Reports()


def read_reports(
    raw: MailSource,
    parts: Sequence[Part],
    *,
    limits: ReadingLimits,
    report: Report,
    trusts_any_place: bool = False,
) -> Reports:
    """Read every report part of a mail that is no attachment of an ordinary one.

    Only a multipart/report, or a mail that is such a part as a whole, reports about itself: a
    delivery status that somebody attaches to a question is an attachment.

    Args:
        raw: The mail.
        parts: Its parts.
        limits: For the headers inside.
        report: Called with each defect.
        trusts_any_place: True for a mail from a mail system, which may use another multipart.
    """
    found = NO_REPORTS
    for part in parts:
        kind = part.media.full
        if kind not in _KINDS or not (trusts_any_place or _is_in_place(parts, part)):
            continue
        if kind in _DELIVERY:
            blocks = _blocks(part_text(raw, part, report, most=_MOST_BYTES))
            bounces = found.bounces + tuple(_recipients(blocks, limits))
            found = attrs.evolve(
                found,
                bounces=bounces[:_MOST_RECIPIENTS],
                has_delivery_status=True,
                # Gmail's own, for it may return a header without one.
                reported_id=found.reported_id or _reported_id(blocks, limits),
            )
        elif kind in _DISPOSITION:
            fields = _fields(part_text(raw, part, report, most=_MOST_BYTES), limits)
            found = attrs.evolve(
                found,
                is_receipt=True,
                reported_id=message_id(fields.all(b"original-message-id")),
            )
        elif kind == _FEEDBACK:
            fields = _fields(part_text(raw, part, report, most=_MOST_BYTES), limits)
            value = decode_value(fields.first(b"feedback-type") or b"")
            found = attrs.evolve(found, feedback_type=value.lower())
    if found.has_delivery_status or found.is_receipt or found.feedback_type is not None:
        found = attrs.evolve(
            found, original=find_original(raw, parts, limits=limits, report=report)
        )
    return found


def _reported_id(blocks: list[str], limits: ReadingLimits) -> str | None:
    if not blocks:
        return None
    return message_id(_fields(blocks[0], limits).all(b"x-original-message-id"))


def find_original(
    raw: MailSource, parts: Sequence[Part], *, limits: ReadingLimits, report: Report
) -> HeaderBlock | None:
    """Return the header of the returned mail (message/rfc822 or text/rfc822-headers)."""
    for part in parts:
        if part.media.full in _ORIGINALS:
            text = part_text(raw, part, report, most=2 * limits.header_bytes)
            return _header(text.encode("utf-8", "replace"), limits)
    return None


def _is_in_place(parts: Sequence[Part], part: Part) -> bool:
    """Tell whether a part is the mail itself or stands in the mail's own multipart/report."""
    if part.parent < 0:
        return True
    # Some programs put one more multipart between the report and its parts.
    is_near = part.parent == 0 or parts[part.parent].parent == 0
    return is_near and parts[0].media.full == "multipart/report"


def _header(content: bytes, limits: ReadingLimits) -> HeaderBlock:
    return read_header(content, 0, len(content), limits=limits, report=lambda _: None, is_top=True)


def _blocks(text: str) -> list[str]:
    return [block for block in re.split(r"\n[ \t]*\n", text) if block.strip()]


def _fields(text: str, limits: ReadingLimits) -> HeaderBlock:
    return _header(text.strip().encode("utf-8", "replace"), limits)


def _recipients(blocks: list[str], limits: ReadingLimits) -> list[BounceReport]:
    found: list[BounceReport] = []
    for block in blocks[: _MOST_RECIPIENTS + 1]:
        fields = _fields(block, limits)
        # The first block is about the message; some programs write all in one.
        if any(
            fields.first(name) is not None for name in (b"final-recipient", b"action", b"status")
        ):
            found.append(_recipient(fields))
    return found


def _recipient(fields: HeaderBlock) -> BounceReport:
    def text(name: bytes) -> str:
        return decode_value(fields.first(name) or b"")

    reason = text(b"diagnostic-code")
    status = _STATUS_VALUE.search(text(b"status"))
    words = text(b"action").lower().replace(";", " ").replace("(", " ").split()
    action = _ACTION_WORDS.get(words[0], words[0]) if words else None
    verdict = judge(reason, status=status.group() if status else None, action=action)
    original, final = text(b"original-recipient"), text(b"final-recipient")
    return BounceReport(
        recipient=_typed(original) if "@" in original else _typed(final),
        action=action,
        status=verdict.status,
        reply_code=verdict.reply_code,
        permanent=verdict.permanent,
        address_dead=verdict.address_dead,
        reason=reason.partition(";")[2].strip() or reason,
    )


def _typed(value: str) -> str:
    """Return the address of `rfc822; address`, without brackets and comments."""
    _, semicolon, address = value.partition(";")
    address = (address if semicolon else value).strip()
    if "<" in address:
        address = address.partition("<")[2].partition(">")[0]
    address = address.partition(" ")[0].strip("<>\"'()")
    if address.startswith("@") and ":" in address:
        address = address.rpartition(":")[2]
    return address
