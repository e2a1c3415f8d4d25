"""Build mail for tests: valid, deterministic, and named after the standards where it is special."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, getaddresses

import attrs

from mailrouting.reading import Message, read

__all__ = [
    "AttachedFile",
    "delivery_failure",
    "list_post",
    "make_message",
    "reply_to",
    "vacation_reply",
]

_CUSTOMER = "Carla Customer <carla@customer.example>"
_DESK = "help@desk.example"
_DATE = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@attrs.frozen
class AttachedFile:
    """Be a file to attach.

    Attributes:
        filename: Its name.
        content: Its bytes.
        content_type: Its media type.
        content_id: For an image that the HTML shows, without `<>`.
    """

    filename: str
    content: bytes
    content_type: str = "application/octet-stream"
    content_id: str | None = None


def make_message(
    *,
    subject: str = "Printer on fire",
    text: str | None = "It burns. Please help.\n",
    html: str | None = None,
    from_: str = _CUSTOMER,
    to: str = _DESK,
    cc: str | None = None,
    message_id: str | None = "",
    in_reply_to: str | None = None,
    references: Sequence[str] = (),
    date: datetime | None = _DATE,
    return_path: str | None = "",
    attachments: Sequence[AttachedFile] = (),
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Build a mail as a mailbox holds it, the same bytes for the same arguments.

    >>> b"Subject: Hello" in make_message(subject="Hello")
    True

    Args:
        subject: Any text.
        text: The plain body; None for none.
        html: An HTML alternative.
        from_: One or more addresses.
        to: One or more addresses.
        cc: One or more addresses.
        message_id: Without `<>`; empty: made from the content; None: left out.
        in_reply_to: Without `<>`.
        references: Without `<>`, oldest first.
        date: None: left out.
        return_path: Without `<>`; empty: the address in From; None: left out. Pass `"<>"` for the
            null reverse-path.
        attachments: Files.
        headers: Further fields, any text of one line; they replace those that are there.

    Raises:
        ValueError: A value has a line end.
    """
    body = EmailMessage(policy=SMTP.clone(max_line_length=76))
    if text is not None:
        body.set_content(text)
        if html is not None:
            body.add_alternative(html, subtype="html")
    elif html is not None:
        body.set_content(html, subtype="html")
    for file in attachments:
        maintype, _, subtype = file.content_type.partition("/")
        body.add_attachment(
            file.content,
            maintype=maintype,
            subtype=subtype,
            filename=file.filename,
            cid=f"<{file.content_id}>" if file.content_id else None,
        )
    _fix_boundaries(body)
    own_id = _id(subject, text, html, from_, to) if message_id == "" else message_id
    fields = {
        "From": _people(from_),
        "To": _people(to),
        "Cc": None if cc is None else _people(cc),
        "Subject": _text(subject),
        "Date": None if date is None else format_datetime(date),
        "Message-ID": None if own_id is None else f"<{own_id}>",
        "In-Reply-To": None if in_reply_to is None else f"<{in_reply_to}>",
        "References": "\r\n ".join(f"<{reference}>" for reference in references) or None,
    }
    for name, value in (headers or {}).items():
        known = next((one for one in fields if one.lower() == name.lower()), name)
        fields[known] = _text(value)
        del body[name]
    header = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return _return_path(return_path, from_) + header.encode("ascii") + body.as_bytes()


def _text(value: str) -> str:
    """Encode an unstructured value; the stdlib's newer folding loses spaces and breaks long ids."""
    if "\r" in value or "\n" in value:
        raise ValueError(f"a header field's value is one line: {value!r}")
    if value.isascii():
        return value
    return Header(value, "utf-8", maxlinelen=76).encode(linesep="\r\n")


def _people(value: str) -> str:
    if value.isascii():
        return _text(value)
    return ", ".join(formataddr(pair) for pair in getaddresses([value]))


def _id(*parts: str | None) -> str:
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:20]
    return f"{digest}@mail.example"


def _fix_boundaries(message: EmailMessage) -> None:
    """Replace the random boundaries of the stdlib."""
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_part_{number}")


def _return_path(return_path: str | None, from_: str) -> bytes:
    if return_path is None:
        return b""
    address = return_path or getaddresses([from_])[0][1]
    return f"Return-Path: <{address.strip('<>')}>\r\n".encode()


def _subject_and_sender(raw: bytes) -> tuple[Message, str, str]:
    original = read(raw)
    sender = original.from_.address if original.from_ else "nobody@customer.example"
    recipient = original.to[0].address if original.to else _DESK
    return original, sender, recipient


def reply_to(
    raw: bytes,
    *,
    text: str = "Thank you, it still burns.\n",
    from_: str | None = None,
    to: str | None = None,
    subject: str | None = None,
) -> bytes:
    """Build a reply to a mail, with In-Reply-To and References (RFC 5322 §3.6.4).

    Args:
        raw: The mail that is answered.
        text: The body.
        from_: Left out: who got the mail.
        to: Left out: who wrote the mail.
        subject: Left out: the subject behind `Re:`.
    """
    original, sender, recipient = _subject_and_sender(raw)
    answered = () if original.message_id is None else (original.message_id,)
    return make_message(
        subject=subject if subject is not None else f"Re: {original.subject or ''}",
        text=text,
        from_=from_ or recipient,
        to=to or sender,
        in_reply_to=original.message_id,
        references=(*original.references, *answered),
    )


def vacation_reply(raw: bytes, *, text: str = "I am away until Monday.\n") -> bytes:
    """Build a vacation notice to a mail (RFC 3834)."""
    original, sender, recipient = _subject_and_sender(raw)
    return make_message(
        subject=f"Automatic reply: {original.subject or ''}",
        text=text,
        from_=recipient,
        to=sender,
        in_reply_to=original.message_id,
        return_path="<>",
        headers={"Auto-Submitted": "auto-replied"},
    )


def list_post(*, subject: str = "Newsletter", text: str = "This week in printers.\n") -> bytes:
    """Build a mailing list's post (RFC 2919, RFC 2369)."""
    return make_message(
        subject=subject,
        text=text,
        from_="Printer News <news@list.example>",
        headers={
            "List-Id": "Printer News <news.list.example>",
            "List-Unsubscribe": "<mailto:leave@list.example>",
            "Precedence": "list",
        },
    )


def delivery_failure(raw: bytes, *, recipient: str | None = None, status: str = "5.1.1") -> bytes:
    """Build a delivery status notification about a mail (RFC 3464, RFC 6522).

    Args:
        raw: The mail that could not be delivered; its header is returned with the report.
        recipient: Left out: the first in To.
        status: The enhanced status code (RFC 3463); class 4 makes a delay of it.
    """
    original, sender, first = _subject_and_sender(raw)
    failed = recipient or first
    action = "delayed" if status.startswith("4") else "failed"
    header = raw.partition(b"\r\n\r\n")[0].decode("ascii", "replace")
    parts = (
        ("text/plain", f"Your mail to {failed} could not be delivered.\r\n"),
        (
            "message/delivery-status",
            (
                "Reporting-MTA: dns; mx.mail.example\r\n\r\n"
                f"Final-Recipient: rfc822; {failed}\r\nAction: {action}\r\nStatus: {status}\r\n"
                f"Diagnostic-Code: smtp; {status[0]}50 {status} User unknown\r\n"
            ),
        ),
        ("text/rfc822-headers", f"{header}\r\n"),
    )
    body = "".join(
        f"--=_report\r\nContent-Type: {content_type}\r\n\r\n{content}\r\n"
        for content_type, content in parts
    )
    return (
        "Return-Path: <>\r\n"
        "From: Mail Delivery System <mailer-daemon@mail.example>\r\n"
        f"To: {sender}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        f"Date: {format_datetime(_DATE)}\r\n"
        f"Message-ID: <{_id(original.message_id, failed, status)}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        ' boundary="=_report"\r\n'
        f"\r\n{body}--=_report--\r\n"
    ).encode()
