"""Write a `Message` as plain JSON data, for `mailrouting inspect` and for tests."""

import re

import attrs

from mailrouting.reading.message import Attachment, Forwarded, HeaderAddress, Message

__all__ = ["to_json_dict"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json_dict(message: Message) -> dict[str, object]:
    """Return the mail as dictionaries, lists, texts and numbers; no lone surrogate in any text.

    >>> to_json_dict(Message(raw=b"", subject="Hello"))["subject"]
    'Hello'
    """
    reply = message.reply
    return {
        "from": _address(message.from_),
        "sender": _address(message.sender),
        "reply_to": _addresses(message.reply_to),
        "to": _addresses(message.to),
        "cc": _addresses(message.cc),
        "bcc": _addresses(message.bcc),
        "subject": _text(message.subject),
        "message_id": _text(message.message_id),
        "date": message.date.isoformat() if message.date else None,
        "in_reply_to": [_text(one) for one in message.in_reply_to],
        "references": [_text(one) for one in message.references],
        "text": _text(message.text),
        "html": _text(message.html),
        "reply": {
            "visible": _text(reply.visible),
            "quoted": _text(reply.quoted),
            "signature": _text(reply.signature),
        },
        "forwarded": _forwarded(message.forwarded),
        "charsets": [
            {
                "content_type": one.content_type,
                "declared": _text(one.declared),
                "codec": one.codec,
                "step": one.step.value,
            }
            for one in message.charsets
        ],
        "protection": message.protection.value if message.protection else None,
        "attachments": [_attachment(one) for one in message.attachments],
        "kind": message.kind.value,
        "feedback_type": _text(message.feedback_type),
        "bounces": [_cleaned(attrs.asdict(bounce)) for bounce in message.bounces],
        "automatic_signs": [_text(sign) for sign in message.automatic_signs],
        "authentication_results": [
            {
                "position": one.position,
                "authserv_id": _text(one.authserv_id),
                "results": [
                    {"method": _text(each.method), "result": _text(each.result)}
                    for each in one.results
                ],
            }
            for one in message.authentication_results
        ],
        "defects": [str(defect) for defect in message.defects],
    }


def _text(text: str | None) -> str | None:
    return None if text is None else _SURROGATE.sub("\ufffd", text)


def _cleaned(values: dict[str, object]) -> dict[str, object]:
    return {key: _text(value) if isinstance(value, str) else value for key, value in values.items()}


def _address(address: HeaderAddress | None) -> dict[str, object] | None:
    if address is None:
        return None
    return {"name": _text(address.name), "address": _text(address.address)}


def _addresses(addresses: tuple[HeaderAddress, ...]) -> list[dict[str, object] | None]:
    return [_address(address) for address in addresses]


def _forwarded(forwarded: Forwarded | None) -> dict[str, object] | None:
    if forwarded is None:
        return None
    return {
        "from": _address(forwarded.from_),
        "to": _addresses(forwarded.to),
        "cc": _addresses(forwarded.cc),
        "subject": _text(forwarded.subject),
        "date": _text(forwarded.date),
        "text": _text(forwarded.text),
        "comment": _text(forwarded.comment),
    }


def _attachment(attachment: Attachment) -> dict[str, object]:
    return {
        "filename": _text(attachment.filename),
        "safe_name": _text(attachment.safe_name),
        "content_type": attachment.content_type,
        "size": attachment.size,
        "content_id": _text(attachment.content_id),
        "inline": attachment.inline,
        "calendar_method": attachment.calendar_method,
        "protection": attachment.protection.value if attachment.protection else None,
        "is_complete": attachment.is_complete,
    }
