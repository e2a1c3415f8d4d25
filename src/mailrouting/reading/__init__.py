"""Understand one mail: bytes in, a `Message` out (floor 2).

`read` never raises; what is wrong with a mail is in `Message.defects`. `identify` names a mail by
its bytes, before it is read. Everything here is pure: no socket, no disk, no clock.
"""

from mailrouting.reading.describe import to_json_dict as to_json_dict
from mailrouting.reading.identity import MailIdentity as MailIdentity, identify as identify
from mailrouting.reading.limits import ReadingLimits as ReadingLimits
from mailrouting.reading.message import (
    Attachment as Attachment,
    BounceReport as BounceReport,
    Defect as Defect,
    Forwarded as Forwarded,
    HeaderAddress as HeaderAddress,
    HeaderField as HeaderField,
    Kind as Kind,
    Message as Message,
    Priority as Priority,
    ReplyView as ReplyView,
    Span as Span,
    SpanKind as SpanKind,
)
from mailrouting.reading.reader import read as read

__all__ = [
    "Attachment",
    "BounceReport",
    "Defect",
    "Forwarded",
    "HeaderAddress",
    "HeaderField",
    "Kind",
    "MailIdentity",
    "Message",
    "Priority",
    "ReadingLimits",
    "ReplyView",
    "Span",
    "SpanKind",
    "identify",
    "read",
    "to_json_dict",
]
