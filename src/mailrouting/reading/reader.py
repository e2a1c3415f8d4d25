"""Read one mail: bytes in, `Message` out."""

import mmap

from mailrouting.reading.attachments import list_attachments
from mailrouting.reading.bodies import choose_bodies, with_tnef
from mailrouting.reading.budget import Budget
from mailrouting.reading.charsets import GuessCharset
from mailrouting.reading.header_block import Report
from mailrouting.reading.headers import decode_value
from mailrouting.reading.helpers import Helpers
from mailrouting.reading.ids import message_id, message_ids
from mailrouting.reading.judging import judge_mail
from mailrouting.reading.limits import DEFAULT, ReadingLimits
from mailrouting.reading.message import Defect, MailSource, Message
from mailrouting.reading.on_demand import postpone
from mailrouting.reading.people import People, read_return_path
from mailrouting.reading.remainder import Remainder
from mailrouting.reading.scan import scan

__all__ = ["read"]

_SOURCES = (bytes, mmap.mmap)
_NO_HELPERS = Helpers()


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
    header = parts[0].header
    people = People(header, limits, report)
    sender = people.first(b"from")
    subject_value = header.first(b"subject")
    subject = None if subject_value is None else decode_value(subject_value)
    return_path = read_return_path(header)
    budget = Budget(data, limits, report)
    bodies = choose_bodies(budget, parts, _guarded(helpers.guess_charset, report))
    attached = list_attachments(budget, parts, bodies, helpers.open_tnef)
    if attached.tnef and bodies.text is None:
        bodies = with_tnef(bodies, attached.tnef, budget)
    text = bodies.text or ""
    judged = judge_mail(
        data,
        parts,
        people,
        sender=sender,
        return_path=return_path,
        subject=subject or "",
        text=text,
        limits=limits,
        report=report,
        read_bounce=helpers.read_bounce,
    )
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
        kind=judged.kind,
        automatic_signs=judged.signs,
        bounces=judged.bounces,
        feedback_type=judged.feedback_type,
        original_message_id=judged.original_message_id,
    )
    return postpone(message, Remainder(header, people, limits, parts, text, subject, tuple(met)))


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
