"""List a mail's attachments: every part that is no body text."""

import re
import urllib.parse
from collections.abc import Sequence

from mailrouting.reading.bodies import Bodies, disposition_of
from mailrouting.reading.content import content_of
from mailrouting.reading.header_block import Report, read_header
from mailrouting.reading.headers import decode_value
from mailrouting.reading.ids import message_id
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import Attachment, Defect
from mailrouting.reading.names import part_name, safe_name
from mailrouting.reading.scan import Part

__all__ = ["list_attachments"]

_USED_CID = re.compile(r"""cid:([^\s"'<>)]{1,998}+)""", re.IGNORECASE)
_MAILS = frozenset({"message/rfc822", "message/global"})


def list_attachments(
    raw: bytes,
    parts: Sequence[Part],
    bodies: Bodies,
    *,
    limits: ReadingLimits,
    report: Report,
) -> tuple[Attachment, ...]:
    """Return the attachments in order, decoded."""
    used = {urllib.parse.unquote(cid) for cid in _USED_CID.findall(bodies.html or "")}
    taken: set[str] = set()
    found: list[Attachment] = []
    for index, part in enumerate(parts):
        if index in bodies.indexes or part.children:
            continue
        if index == 0 and part.start >= len(raw):
            continue  # a mail without a body
        content = content_of(raw, part, report)
        name, conflict = part_name(part)
        if conflict:
            report(Defect.FILENAME_CONFLICT)
        shown_name = name or _nested_subject(part, content, limits)
        cid = message_id(part.header.all(b"content-id"))
        is_image = part.media.main == "image"
        found.append(
            Attachment(
                filename=name,
                safe_name=safe_name(shown_name, content_type=part.media.full, taken=taken),
                content_type=part.media.full,
                size=len(content),
                content_id=cid,
                inline=cid in used or (is_image and disposition_of(part) == "inline"),
                content=content,
            )
        )
    return tuple(found)


def _nested_subject(part: Part, content: bytes, limits: ReadingLimits) -> str:
    """Name a nested mail by its subject."""
    if part.media.full not in _MAILS:
        return ""
    header = read_header(
        content, 0, len(content), limits=limits, report=lambda _: None, is_top=True
    )
    subject = decode_value(header.first(b"subject") or b"")
    return re.sub(r"[/\\]", "_", subject or "message")[:140] + ".eml"
