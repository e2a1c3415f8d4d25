"""List a mail's attachments: every part that is no body text."""

import re
import urllib.parse
from collections.abc import Sequence

import attrs

from mailrouting.reading.bodies import Bodies, disposition_of
from mailrouting.reading.budget import Budget
from mailrouting.reading.content import Content
from mailrouting.reading.header_block import read_header
from mailrouting.reading.headers import clean, decode_value
from mailrouting.reading.helpers import OpenTnef, TnefContents, TnefFile
from mailrouting.reading.ids import message_id
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import Attachment, Defect
from mailrouting.reading.names import part_name, safe_name
from mailrouting.reading.protection import part_protection
from mailrouting.reading.scan import Part

__all__ = ["Attached", "list_attachments"]

_USED_CID = re.compile(r"""cid:([^\s"'<>)]{1,998}+)""", re.IGNORECASE)
_METHOD = re.compile(rb"^METHOD\s?:\s?([A-Za-z-]{1,40})\s*$", re.MULTILINE | re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z-]{1,40}")
_MAILS = frozenset({"message/rfc822", "message/global"})
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_CALENDARS = frozenset({"text/calendar", "application/ics"})
_BEGINNING = 4096
_MOST_CIDS = 10_000


@attrs.frozen
class Attached:
    """Hold the attachments, and the bodies that stood in a winmail.dat."""

    attachments: tuple[Attachment, ...]
    tnef: TnefContents | None


def list_attachments(
    budget: Budget, parts: Sequence[Part], bodies: Bodies, open_tnef: OpenTnef | None
) -> Attached:
    """Return the attachments in order, decoded within the limits."""
    lister = _Lister(budget, open_tnef, bodies.html, [], set())
    for index, part in enumerate(parts):
        if part.children or (index in bodies.indexes and not part_name(part)[0]):
            continue
        if index == 0 and part.start >= len(budget.raw):
            continue  # a mail without a body
        lister.add_part(part)
    for file in bodies.files:
        lister.add_file(TnefFile(name=file.name, content=file.content))
    return Attached(tuple(lister.found), lister.tnef)


def _used_cids(html: str | None) -> set[str]:
    found: set[str] = set()
    for cid in _USED_CID.finditer(html or ""):
        found.add(urllib.parse.unquote(cid[1]))
        if len(found) >= _MOST_CIDS:
            break
    return found


@attrs.define
class _Lister:
    """Collect attachments; past the limit they are listed without content."""

    budget: Budget
    open_tnef: OpenTnef | None
    html: str | None
    found: list[Attachment]
    taken: set[str]
    tnef: TnefContents | None = None
    used: set[str] | None = None

    def add_part(self, part: Part) -> None:
        content = self.budget.measure(part) if self._has_room() else None
        name, conflict = part_name(part)
        if conflict:
            self.budget.report(Defect.FILENAME_CONFLICT)
        if content and _is_tnef(part, name) and self._open(bytes(content)):
            return
        shown_name = name or _nested_subject(part, content, self.budget.limits)
        cid = message_id(part.header.all(b"content-id"))
        is_image = part.media.main == "image"
        self.found.append(
            Attachment(
                filename=name,
                safe_name=safe_name(shown_name, content_type=part.media.full, taken=self.taken),
                content_type=part.media.full,
                size=content.size if content else part.end - part.start,
                content_id=cid,
                inline=self._is_shown(cid) or (is_image and disposition_of(part) == "inline"),
                calendar_method=_calendar_method(part, content),
                protection=part_protection(part),
                is_complete=content is not None,
                content=content or b"",
            )
        )

    def add_file(self, file: TnefFile) -> None:
        """Add a file that stood in a text or in a winmail.dat."""
        is_kept = self._has_room() and self.budget.spend(len(file.content))
        name = clean(file.name) or None
        content_type = file.content_type.lower() or "application/octet-stream"
        self.found.append(
            Attachment(
                filename=name,
                safe_name=safe_name(name or "", content_type=content_type, taken=self.taken),
                content_type=content_type,
                size=len(file.content),
                content_id=file.content_id,
                inline=self._is_shown(file.content_id),
                is_complete=is_kept,
                content=file.content if is_kept else b"",
            )
        )

    def _has_room(self) -> bool:
        if len(self.found) < self.budget.limits.attachments:
            return True
        self.budget.report(Defect.ATTACHMENT_LIMIT)
        return False

    def _is_shown(self, cid: str | None) -> bool:
        """Tell whether the HTML shows the part with a Content-ID."""
        if cid is None:
            return False
        if self.used is None:
            self.used = _used_cids(self.html)
        return cid in self.used

    def _open(self, content: bytes) -> bool:
        """Put the files of a winmail.dat in its place; return False when it stays closed."""
        tnef: TnefContents | None = None
        if self.open_tnef:
            try:
                tnef = self.open_tnef(content)
            except Exception:  # noqa: BLE001 - a helper is another library, fed by strangers
                self.budget.report(Defect.HELPER_FAULT)
        if tnef is None:
            self.budget.report(Defect.TNEF_CLOSED)
            return False
        self.tnef = self.tnef or tnef
        self.used = _used_cids(self.html) | _used_cids(tnef.html) | (self.used or set())
        for file in tnef.files[: self.budget.limits.parts]:
            self.add_file(file)
        return True


def _is_tnef(part: Part, name: str | None) -> bool:
    if part.media.full in _TNEF:
        return True
    is_untyped = part.media.full == "application/octet-stream"
    return is_untyped and (name or "").lower() == "winmail.dat"


def _calendar_method(part: Part, content: Content | None) -> str | None:
    """Return the method by the parameter (RFC 6047 §2.4), else by the calendar's own property."""
    if part.media.full not in _CALENDARS:
        return None
    declared = part.media.parameters.token("method")
    if _WORD.fullmatch(declared):
        return declared.upper()
    beginning = content.beginning(_BEGINNING) if content else b""
    found = _METHOD.search(beginning.replace(b"\r", b""))
    return found[1].decode("ascii").upper() if found else None


def _nested_subject(part: Part, content: Content | None, limits: ReadingLimits) -> str:
    """Name a nested mail by its subject."""
    if part.media.full not in _MAILS:
        return ""
    mail = content.beginning(2 * limits.header_bytes) if content else b""
    header = read_header(mail, 0, len(mail), limits=limits, report=lambda _: None, is_top=True)
    subject = decode_value(header.first(b"subject") or b"")
    return re.sub(r"[/\\]", "_", subject or "message")[:140] + ".eml"
