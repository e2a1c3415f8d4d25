"""Understand one mail: bytes in, a `Message` out (floor 2).

No mail makes `read` raise; what is wrong with it is in `Message.defects`. `identify` names a mail by
its bytes, before it is read. Everything here is pure: no socket, no disk, no clock.
"""

from mailrouting.reading.arrival import arrived_at as arrived_at, stamped_at as stamped_at
from mailrouting.reading.authentication import (
    AuthenticationResults as AuthenticationResults,
    MethodResult as MethodResult,
    parse_authentication_results as parse_authentication_results,
)
from mailrouting.reading.charsets import CharsetStep as CharsetStep, GuessCharset as GuessCharset
from mailrouting.reading.describe import to_json_dict as to_json_dict
from mailrouting.reading.helpers import (
    Helpers as Helpers,
    OpenTnef as OpenTnef,
    ReadBounce as ReadBounce,
    Reader as Reader,
    TnefContents as TnefContents,
    TnefFile as TnefFile,
)
from mailrouting.reading.html_text import html_to_text as html_to_text
from mailrouting.reading.identity import (
    MailIdentity as MailIdentity,
    delivery_identity as delivery_identity,
    identify as identify,
)
from mailrouting.reading.limits import ReadingLimits as ReadingLimits
from mailrouting.reading.message import (
    Attachment as Attachment,
    BounceReport as BounceReport,
    Defect as Defect,
    Forwarded as Forwarded,
    HeaderAddress as HeaderAddress,
    HeaderField as HeaderField,
    Kind as Kind,
    MailSource as MailSource,
    Message as Message,
    Priority as Priority,
    Protection as Protection,
    ReplyView as ReplyView,
    Span as Span,
    SpanKind as SpanKind,
    TextCharset as TextCharset,
)
from mailrouting.reading.reader import read as read

__all__ = [
    "Attachment",
    "AuthenticationResults",
    "BounceReport",
    "CharsetStep",
    "Defect",
    "Forwarded",
    "GuessCharset",
    "HeaderAddress",
    "HeaderField",
    "Helpers",
    "Kind",
    "MailIdentity",
    "MailSource",
    "Message",
    "MethodResult",
    "OpenTnef",
    "Priority",
    "Protection",
    "ReadBounce",
    "Reader",
    "ReadingLimits",
    "ReplyView",
    "Span",
    "SpanKind",
    "TextCharset",
    "TnefContents",
    "TnefFile",
    "arrived_at",
    "delivery_identity",
    "html_to_text",
    "identify",
    "parse_authentication_results",
    "read",
    "stamped_at",
    "to_json_dict",
]
