"""Read from one mail all that a ticket needs, once with each reader.

The others give no reply view and no kind: they are not charged for what they lack.
"""

import email
import email.policy
import importlib.util
from collections.abc import Callable
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import getaddresses

from imap_tools import MailMessage

from mailrouting.reading import read

__all__ = ["READERS", "Reader"]

Ticket = tuple[object, ...]
Reader = Callable[[bytes], Ticket]


def with_mailrouting(raw: bytes) -> Ticket:
    """Read with this library."""
    mail = read(raw)
    return (
        mail.from_,
        mail.to,
        mail.cc,
        mail.subject,
        (mail.message_id, mail.in_reply_to, mail.references),
        mail.text,
        mail.html,
        [(one.filename, one.content_type, len(one.content)) for one in mail.attachments],
        mail.reply.visible,
        mail.kind,
    )


def with_imap_tools(raw: bytes) -> Ticket:
    """Read with imap-tools' MailMessage."""
    mail = MailMessage.from_bytes(raw)
    return (
        mail.from_values,
        mail.to_values,
        mail.cc_values,
        mail.subject,
        [mail.headers.get(name) for name in ("message-id", "in-reply-to", "references")],
        mail.text,
        mail.html,
        [(one.filename, one.content_type, len(one.payload)) for one in mail.attachments],
    )


def with_default_policy(raw: bytes) -> Ticket:
    """Read with the standard library as its documentation teaches it."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    return (
        *(
            [(one.display_name, one.addr_spec) for one in mail[name].addresses]
            for name in ("from", "to", "cc")
        ),
        str(mail["subject"]),
        [mail[name] for name in ("message-id", "in-reply-to", "references")],
        *(
            None if part is None else part.get_content()
            for part in (mail.get_body((kind,)) for kind in ("plain", "html"))
        ),
        [
            (one.get_filename(), one.get_content_type(), len(one.get_payload(decode=True) or b""))
            for one in mail.iter_attachments()
        ],
    )


def with_compat32(raw: bytes) -> Ticket:
    """Read with the standard library's older policy, and decode only what is asked for."""
    mail = email.message_from_bytes(raw)
    texts: dict[str, str] = {}
    files: list[object] = []
    for part in mail.walk():
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        kind = part.get_content_type()
        if part.get_filename() or kind not in ("text/plain", "text/html"):
            files.append((part.get_filename(), kind, len(content)))
        else:
            texts.setdefault(kind, content.decode(part.get_content_charset("utf-8"), "replace"))
    return (
        *(_people(mail, name) for name in ("from", "to", "cc")),
        str(make_header(decode_header(mail["subject"]))),
        [mail[name] for name in ("message-id", "in-reply-to", "references")],
        texts.get("text/plain"),
        texts.get("text/html"),
        files,
    )


def _people(mail: Message, name: str) -> list[tuple[str, str]]:
    return [
        (str(make_header(decode_header(name))), address)
        for name, address in getaddresses(mail.get_all(name, []))
    ]


def with_fast_mail_parser(raw: bytes) -> Ticket:
    """Read with fast-mail-parser, whose parser is written in Rust."""
    from fast_mail_parser import parse_email

    mail = parse_email(raw)
    return (
        mail.from_,
        mail.to,
        mail.cc,
        mail.subject,
        [mail.headers.get(name) for name in ("Message-ID", "In-Reply-To", "References")],
        "".join(mail.text_plain),
        "".join(mail.text_html),
        [(one.filename, one.mimetype, len(one.content)) for one in mail.attachments],
    )


READERS: dict[str, Reader] = {
    "mailrouting": with_mailrouting,
    "imap-tools": with_imap_tools,
    "policy.default": with_default_policy,
    "compat32": with_compat32,
}
if importlib.util.find_spec("fast_mail_parser"):
    READERS["fast-mail-parser"] = with_fast_mail_parser
