"""Hold what a mail says: the values that `read` returns.

Every text in here was written by a stranger. Names, subjects, file names and addresses are data:
never a path, a template, a header field or a proof.
"""

import copy
import enum
import mmap
from datetime import datetime
from typing import Protocol, SupportsBytes, TypeAlias

import attrs

from mailrouting.reading.authentication import AuthenticationResults
from mailrouting.reading.charsets import CharsetStep
from mailrouting.reading.defects import Defect
from mailrouting.reading.on_demand import OnDemand

__all__ = [
    "Attachment",
    "BounceReport",
    "Defect",
    "Forwarded",
    "HeaderAddress",
    "HeaderField",
    "Kind",
    "MailSource",
    "Message",
    "Priority",
    "Protection",
    "ReplyView",
    "Span",
    "SpanKind",
    "TextCharset",
]

# What a mail may be read from: its bytes, or a memory map of a file that holds them.
MailSource: TypeAlias = bytes | mmap.mmap


class Kind(enum.Enum):
    """Say what sort of mail this is. In doubt it is `PERSONAL`."""

    PERSONAL = "personal"
    AUTOMATIC_REPLY = "automatic-reply"
    AUTOMATIC = "automatic"
    LIST = "list"
    BOUNCE = "bounce"
    DELIVERY_NOTICE = "delivery-notice"
    RECEIPT = "receipt"
    FEEDBACK_REPORT = "feedback-report"


class Priority(enum.Enum):
    """Say how urgent the sender calls it."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Protection(enum.Enum):
    """Say how a mail or part is signed or encrypted. It is never opened, and proves nothing here."""

    SMIME_SIGNED = "smime-signed"
    SMIME_ENCRYPTED = "smime-encrypted"
    PGP_SIGNED = "pgp-signed"
    PGP_ENCRYPTED = "pgp-encrypted"


@attrs.frozen
class HeaderField:
    """Hold one header field.

    Attributes:
        name: The field's name as written.
        value: The value unfolded and decoded, without control characters.
    """

    name: str
    value: str


@attrs.frozen
class HeaderAddress:
    """Hold an address as it was read: untrusted, not checked against any grammar.

    Attributes:
        name: The display name, else the comment; empty when there is none.
        address: What stands where the addr-spec belongs. It may lack an `@`, and is empty when
            there was only a name.
    """

    name: str
    address: str


@attrs.frozen(kw_only=True)
class Attachment:
    """Hold one part that is no body text.

    The content stays in the mail, encoded, until it is asked for: an attachment keeps its mail
    alive, and a memory map that the mail was read from must be open then.

    Attributes:
        filename: The name as sent, decoded; None when there is none. May hold path separators.
        safe_name: A name that is harmless in a folder and unique in this mail; at most 150
            characters, with its extension.
        content_type: The declared media type in lower case: a hint, never to be trusted.
        size: Decoded size in bytes.
        content_id: The Content-ID without `<>`, or None.
        inline: True for what the HTML body shows, or an image that is sent as part of the text.
        calendar_method: The iTIP method of a calendar part in upper case (`REQUEST`, `REPLY`,
            `CANCEL`), or None (RFC 6047 §2.4).
        protection: What sort of signature or encrypted content this part is, or None.
        is_complete: False when a limit left the content out; `size` is that of the encoded part.
        content: The decoded bytes. They are decoded anew each time and not kept, so that a mail's
            attachments never are in memory together: hold on to them if you need them twice.
    """

    filename: str | None
    safe_name: str
    content_type: str
    size: int
    content_id: str | None = None
    inline: bool = False
    calendar_method: str | None = None
    protection: Protection | None = None
    is_complete: bool = True
    _content: bytes | SupportsBytes = attrs.field(alias="content", repr=False, eq=bytes)

    @property
    def content(self) -> bytes:
        """Return the decoded bytes."""
        return bytes(self._content)


@attrs.frozen(kw_only=True)
class TextCharset:
    """Say how the character set of one text part was found.

    Attributes:
        content_type: `text/plain`, `text/html` or another.
        declared: The label in the mail; None when there is none.
        codec: Python's name of the codec that was used.
        step: By which step it was found.
    """

    content_type: str
    declared: str | None
    codec: str
    step: CharsetStep


class SpanKind(enum.Enum):
    """Say what a stretch of the text is."""

    VISIBLE = "visible"
    QUOTED = "quoted"
    SIGNATURE = "signature"


@attrs.frozen
class Span:
    """Mark `text[start:end]` of a `ReplyView`."""

    kind: SpanKind
    start: int
    end: int


@attrs.frozen
class ReplyView:
    """Tell what is new in a reply from what is quoted. Nothing of the text is lost.

    Attributes:
        text: The whole text.
        spans: Adjoining spans in order; together they cover `text`.
    """

    text: str = ""
    spans: tuple[Span, ...] = ()

    @property
    def visible(self) -> str:
        """Return what the sender wrote."""
        return self._of(SpanKind.VISIBLE)

    @property
    def quoted(self) -> str:
        """Return what is quoted of earlier mail."""
        return self._of(SpanKind.QUOTED)

    @property
    def signature(self) -> str:
        """Return the signature."""
        return self._of(SpanKind.SIGNATURE)

    def _of(self, kind: SpanKind) -> str:
        return "".join([self.text[s.start : s.end] for s in self.spans if s.kind is kind]).strip()


@attrs.frozen(kw_only=True)
class Forwarded:
    """Hold a mail that was forwarded inside the text.

    Attributes:
        from_: Who wrote the original.
        to: Who it was written to.
        cc: Who had a copy.
        subject: Its subject.
        date: Its date as the forwarding program wrote it; empty when it did not.
        text: Its text.
        comment: What stands above it: the words of who forwarded it.
    """

    from_: HeaderAddress | None = None
    to: tuple[HeaderAddress, ...] = ()
    cc: tuple[HeaderAddress, ...] = ()
    subject: str | None = None
    date: str = ""
    text: str = ""
    comment: str = ""


@attrs.frozen(kw_only=True)
class BounceReport:
    """Hold what a report says about one recipient.

    Attributes:
        recipient: The address that was written to, as reported; empty when it is not said.
        action: `failed`, `delayed`, `delivered`, `relayed` or `expanded` (RFC 3464 §2.3.3).
        status: Enhanced status code (RFC 3463), for instance `5.1.1`; `5.0.0` or `4.0.0` when only
            its class is known; None when nothing is.
        reply_code: SMTP reply code, for instance 550, or None.
        permanent: True when the class of the status or reply code is 5.
        address_dead: True when this address should not be written to again: unknown user or
            host, moved, disabled. A full mailbox, a policy or a content refusal is not that.
        reason: The diagnostic text.
    """

    recipient: str
    action: str | None = None
    status: str | None = None
    reply_code: int | None = None
    permanent: bool = False
    address_dead: bool = False
    reason: str = ""


class _KnowsDefects(Protocol):
    """Be what a `Message` that `read` made has its postponed fields from."""

    def has_defect(self, defect: Defect) -> bool: ...


@attrs.frozen(kw_only=True)
class Message(OnDemand):
    """Hold one mail, understood as far as possible.

    Of a message that `read` made, `reply`, `forwarded` and what few hosts look at are computed when
    first asked for, from any thread; `defects` asks for all.

    It can be copied and pickled; of a message that was read from a memory map, the copy holds the
    bytes instead, so the map must be open then. `attrs.evolve(message, text=...)` changes the named
    fields and keeps all others as they were read: `reply`, `forwarded`, `kind` and `defects` do not
    follow a new text, nor `from_all` and `header_fields` a new `from_`.

    Attributes:
        raw: The mail's bytes, unchanged. Of a memory map this makes a copy each time; the map must
            be open then.
        from_: The first address of From.
        from_all: Every address of every From field; more than one is `AMBIGUOUS_FROM`.
        sender: The address of Sender.
        reply_to: The addresses of Reply-To.
        to: The addresses of To.
        cc: The addresses of Cc.
        bcc: The addresses of Bcc.
        subject: The subject, or None when there is no such field.
        message_id: The Message-ID without `<>`.
        in_reply_to: The message ids of In-Reply-To.
        references: The message ids of References, oldest first.
        date: When it says it was written; aware; None when that is not in 1970 to 2100.
        date_text: The Date field as written.
        delivered_to: The addr-specs of Delivered-To, X-Original-To and Envelope-To, topmost first.
        return_path: The topmost Return-Path; empty is the null reverse-path, None is no field.
        text: The text body; made from the HTML where there is only HTML.
        html: The HTML body as sent: not sanitised.
        charsets: How the character set of each text part was found, in order.
        attachments: All other parts, in order; a body that has a file name is one too.
        protection: How the mail is signed or encrypted; encrypted wins over signed.
        reply: What of the text is new, what is quoted.
        forwarded: The mail forwarded inside the text.
        kind: What sort of mail it is.
        automatic_signs: Why it looks automatic, a short sentence each, strongest first.
        bounces: What a report says, one for each recipient.
        feedback_type: The type of a feedback report (RFC 5965), for instance `abuse`.
        original_message_id: The Message-ID of the mail that a report is about.
        priority: How urgent the sender calls it; None when nothing is said.
        suppress_responses: The values of X-Auto-Response-Suppress in lower case.
        authentication_results: The Authentication-Results fields, topmost first; who wrote them
            is not known here.
        defects: What is wrong with it, each once, in the order they were met.
        header_fields: All header fields in order.
    """

    _raw: MailSource = attrs.field(alias="raw", repr=False, eq=bytes)
    from_: HeaderAddress | None = None
    from_all: tuple[HeaderAddress, ...] = ()
    sender: HeaderAddress | None = None
    reply_to: tuple[HeaderAddress, ...] = ()
    to: tuple[HeaderAddress, ...] = ()
    cc: tuple[HeaderAddress, ...] = ()
    bcc: tuple[HeaderAddress, ...] = ()
    subject: str | None = None
    message_id: str | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date: datetime | None = None
    date_text: str | None = None
    delivered_to: tuple[str, ...] = ()
    return_path: str | None = None
    text: str | None = None
    html: str | None = None
    charsets: tuple[TextCharset, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    protection: Protection | None = None
    reply: ReplyView = ReplyView()
    forwarded: Forwarded | None = None
    kind: Kind = Kind.PERSONAL
    automatic_signs: tuple[str, ...] = ()
    bounces: tuple[BounceReport, ...] = ()
    feedback_type: str | None = None
    original_message_id: str | None = None
    priority: Priority | None = None
    suppress_responses: frozenset[str] = frozenset()
    authentication_results: tuple[AuthenticationResults, ...] = ()
    defects: tuple[Defect, ...] = ()
    header_fields: tuple[HeaderField, ...] = attrs.field(default=(), repr=False)

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy or a pickle holds: every field, and bytes instead of a memory map."""
        state = {field.name: getattr(self, field.name) for field in attrs.fields(Message)}
        if isinstance(self._raw, mmap.mmap):
            state.update(_raw=self.raw, attachments=copy.deepcopy(self.attachments))
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take what `__getstate__` returned."""
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @property
    def raw(self) -> bytes:
        """Return the mail's bytes, unchanged."""
        return bytes(self._raw)

    def has_defect(self, defect: Defect) -> bool:
        """Tell whether the mail has a defect, reading no more of it than that takes.

        It is `defect in message.defects`, but for `READER_FAULT`: that tells whether the reader
        failed on what was asked for so far.

        >>> Message(raw=b"", defects=(Defect.BARE_CR,)).has_defect(Defect.BARE_CR)
        True
        """
        pending: _KnowsDefects | None = getattr(self, "_pending", None)
        return pending.has_defect(defect) if pending else defect in self.defects

    def header(self, name: str) -> tuple[str, ...]:
        """Return all values of a header field, topmost first.

        >>> message = Message(raw=b"", header_fields=(HeaderField("X-Spam", "no"),))
        >>> message.header("x-spam")
        ('no',)

        Args:
            name: The field's name in any case, without a colon.
        """
        wanted = name.lower()
        return tuple(field.value for field in self.header_fields if field.name.lower() == wanted)
