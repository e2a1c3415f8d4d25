"""Decide what sort of mail it is, and say why (RFC 3834, RFC 3464, RFC 2919).

In doubt a mail is personal: an unknown bounce costs a ticket too many, a customer's mail taken
for a bounce costs the customer. X-Auto-Response-Suppress asks for silence and proves nothing.
"""

import re

import attrs

from mailrouting.reading.bounce_text import looks_like_bounce, quotes_refusal
from mailrouting.reading.header_block import HeaderBlock
from mailrouting.reading.headers import decode_value
from mailrouting.reading.message import HeaderAddress, Kind
from mailrouting.reading.parameters import MediaType
from mailrouting.reading.reports import Reports

__all__ = ["Judgement", "is_mail_system", "judge_kind"]

_REPLY_FIELDS = (
    "x-autoreply", "x-autorespond", "x-autoresponder", "x-autoresponse", "x-autoreply-from",
    "x-mail-autoreply", "x-autorespond-to",
)  # fmt: skip
_LIST_FIELDS = ("list-id", "list-post", "list-unsubscribe", "list-help")
_BULK = frozenset({"list", "bulk", "junk"})
_NO = frozenset({"", "no", "false", "none", "0"})
_DAEMON = re.compile(
    r"(?:mailer[-_.]?daemon|post[-_.]?master|mail[-_.]?daemon|mdaemon|mail-?delivery[a-z-]{0,20}|mmdf"
    r"|smtp-?gateway|(?:root|daemon)$|bounces?$|autobounce|microsoftexchange[0-9a-f]{0,40}|no-?reply-bounce"
    r"|mail[-_.]?administrator|postoffice|mailmaster)",
    re.IGNORECASE,
)
_DAEMON_NAME = re.compile(
    r"mail(?:er)?[ -]?(?:delivery|daemon)|delivery (?:sub)?system|postmaster|mail administrator"
    r"|mailer-daemon|internet mail (?:delivery|service)|system attendant",
    re.IGNORECASE,
)
# What list servers use as reverse-path (VERP included): nobody writes there by hand.
_REVERSE_PATH = re.compile(r"(?:^|[-_.])bounces?(?:[-+][^@]{0,200})?@", re.IGNORECASE)
_NO_REPLY = re.compile(
    r"(?:no|do[-_.]?not)[-_.]?reply|.{0,60}-(?:request|owner)$|owner-|bounce", re.IGNORECASE
)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (?:status )?(?:notification|failure|report|error|problem|has failed|failed"
    r"|delayed|not possible|unsuccessful)|returned mail|mail delivery (?:failed|failure|error|problem|status)"
    r"|failure notice|failure delivery|returned to sender|non[- ]?deliver|could not (?:be delivered|send)"
    r"|delivery (?:failed|delay)|mail (?:failure|system error|error)|message (?:status|delivery|not delivered|delayed)"
    r"|undelivered|unzustellbar|unknown user|user unknown|can ?not be delivered|notification d'échec"
    r"|non remis|e-?mail (?:not delivered|address problem)|rejected|bounced? (?:mail|message)|not deliverable"
    r"|mail could not|failed mail\b|permanent delivery|warning: (?:message|could|mail)|error sending|deferred",
    re.IGNORECASE,
)
_AUTO_SUBJECT = re.compile(
    r"\s{0,5}(?:auto(?:matic|mated|matische?)?[ -]?(?:reply|response|antwort|re:|:)|auto:|out of (?:the )?office"
    r"|abwesenheit|automatische (?:antwort|abwesenheit)|automatisch antwoord|réponse automatique|reponse automatique"
    r"|absence du bureau|respuesta automática|respuesta automatica|fuera de la oficina|risposta automatica"
    r"|fuori (?:sede|ufficio)|autosvar|frånvaro|automaattinen|autosvar|automatyczna odpowiedź|automatická odpověď"
    r"|resposta automática|автоответ|自動応答|自动回复|otomatik)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"\([^()]*+\)")
_LONGEST_VALUE = 200
_VACATION = re.compile(
    r"vacation|out of (?:the )?office|away from|holiday|abwesen|urlaub", re.IGNORECASE
)


@attrs.frozen
class Judgement:
    """Hold the kind and the signs that led to it, strongest first."""

    kind: Kind
    signs: tuple[str, ...]


@attrs.frozen(kw_only=True)
class _Evidence:
    """Hold what the header shows, prepared once."""

    header: HeaderBlock
    media: MediaType
    reports: Reports
    sender: HeaderAddress | None
    subject: str
    text: str
    returns_mail: bool
    recipients: tuple[str, ...]

    def values(self, name: str) -> list[str]:
        return [decode_value(value) for value in self.header.all(name.encode())]

    @property
    def report_type(self) -> str:
        if self.media.full != "multipart/report":
            return ""
        return self.media.parameters.token("report-type").lower()

    @property
    def local_part(self) -> str:
        return self.sender.address.partition("@")[0] if self.sender else ""


def judge_kind(
    *,
    header: HeaderBlock,
    media: MediaType,
    reports: Reports,
    sender: HeaderAddress | None,
    return_path: str | None,
    subject: str,
    text: str,
    returns_mail: bool,
    recipients: tuple[str, ...] = (),
) -> Judgement:
    """Judge by named fields only; the first of the sorts that fits is the kind.

    Args:
        header: The mail's own header.
        media: Its Content-Type.
        reports: What its report parts say.
        sender: The first address of From.
        return_path: The topmost Return-Path; empty is the null reverse-path.
        subject: The decoded subject.
        text: The text body.
        returns_mail: True when a mail, or the header of one, is attached.
        recipients: The addresses of To.
    """
    evidence = _Evidence(
        header=header,
        media=media,
        reports=reports,
        sender=sender,
        subject=subject,
        text=text,
        returns_mail=returns_mail,
        recipients=recipients,
    )
    found = [
        *_report_signs(evidence),
        *_bounce_signs(evidence, return_path),
        *_automatic_signs(evidence, return_path),
        *_list_signs(evidence),
        *_weak_signs(evidence),
    ]
    kind = next((kind for kind, _ in found if kind is not None), Kind.PERSONAL)
    return Judgement(kind, tuple(dict.fromkeys(sign for _, sign in found)))


def is_mail_system(address: str) -> bool:
    """Tell whether an address is one that mail servers write from."""
    return _DAEMON.match(address.partition("@")[0]) is not None


_Signs = list[tuple[Kind | None, str]]


def _report_signs(evidence: _Evidence) -> _Signs:
    reports = evidence.reports
    found: _Signs = []
    if reports.feedback_type is not None:
        found.append((Kind.FEEDBACK_REPORT, "A feedback report part (RFC 5965)."))
    if reports.has_delivery_status:
        actions = {bounce.action for bounce in reports.bounces}
        is_good = bool(actions) and actions <= {"delivered", "relayed", "expanded"}
        kind = Kind.DELIVERY_NOTICE if is_good else Kind.BOUNCE
        if evidence.report_type == "feedback-report":
            kind = Kind.FEEDBACK_REPORT
        found.append((kind, "A delivery status part (RFC 3464)."))
    if reports.is_receipt or evidence.report_type == "disposition-notification":
        found.append((Kind.RECEIPT, "A disposition notification (RFC 8098)."))
    if evidence.report_type == "feedback-report" and reports.feedback_type is None:
        found.append((Kind.FEEDBACK_REPORT, "Its Content-Type says feedback report."))
    return found


def _bounce_signs(evidence: _Evidence, return_path: str | None) -> _Signs:
    """Take for a bounce only what looks like one by its sender and by its content."""
    by_sender: list[str] = []
    if return_path in ("", "null"):
        by_sender.append("The reverse-path is null (Return-Path: <>).")
    elif return_path and is_mail_system(return_path):
        by_sender.append("Its reverse-path is that of a mail system.")
    name = evidence.sender.name if evidence.sender else ""
    is_daemon = _DAEMON.match(evidence.local_part) is not None
    if is_daemon or (name and _DAEMON_NAME.search(name)):
        by_sender.append("It comes from a mail system, not from a person.")
    if evidence.report_type in ("delivery-status", "delivery-notification"):
        by_sender.append("Its Content-Type says delivery status.")
    by_content: list[str] = []
    if any(evidence.values("x-failed-recipients")):
        by_content.append("X-Failed-Recipients names addresses.")
    if _BOUNCE_SUBJECT.search(evidence.subject):
        by_content.append("The subject is that of a bounce.")
    if looks_like_bounce(evidence.text):
        by_content.append("The text says that a mail was not delivered.")
    if len(by_content) > 1 and any(map(_REVERSE_PATH.search, evidence.recipients)):
        by_sender.append("It is written to an address that takes bounces.")
    signs = [*by_sender, *by_content]
    if is_daemon and quotes_refusal(evidence.text):
        by_content.append("The text quotes a server's refusal.")
    if is_daemon and evidence.returns_mail:
        by_content.append("It returns a mail.")
    is_reply = (
        not is_daemon
        and bool(evidence.values("in-reply-to"))
        and evidence.subject[:3].lower() == "re:"
    )
    if by_sender and by_content and not is_reply and not _says_replied(evidence):
        return [(Kind.BOUNCE, sign) for sign in signs]
    return [(None, sign) for sign in by_sender]


def _says_replied(evidence: _Evidence) -> bool:
    """Tell whether it is a vacation notice, which often comes with a null reverse-path."""
    is_vacation = _VACATION.search(evidence.subject) or _AUTO_SUBJECT.match(evidence.subject)
    return bool(is_vacation) and not _BOUNCE_SUBJECT.search(evidence.subject)


def _automatic_signs(evidence: _Evidence, return_path: str | None) -> _Signs:
    found: _Signs = []
    for value in evidence.values("auto-submitted"):
        bare = _COMMENT.sub(" ", value[:_LONGEST_VALUE]).strip().lower()
        word = re.split(r"[\s;(]", bare, maxsplit=1)[0]
        if word == "auto-replied":
            found.append((Kind.AUTOMATIC_REPLY, "Auto-Submitted says auto-replied (RFC 3834)."))
        elif word and word != "no":
            found.append((Kind.AUTOMATIC, f"Auto-Submitted says {word[:40]} (RFC 3834)."))
    found += [
        (Kind.AUTOMATIC_REPLY, f"{name} is set.")
        for name in _REPLY_FIELDS
        if any(value.lower() not in _NO for value in evidence.values(name))
    ]
    words = {
        name: {value.lower() for value in evidence.values(name)}
        for name in (
            "precedence",
            "x-autogenerated",
            "x-apple-action",
            "x-loop",
            "delivered-to",
            "x-amazon-mail-relay-type",
        )
    }
    if words["precedence"] & {"auto_reply", "auto-reply"}:
        found.append((Kind.AUTOMATIC_REPLY, "Precedence says auto_reply."))
    if "reply" in words["x-autogenerated"]:
        found.append((Kind.AUTOMATIC_REPLY, "X-Autogenerated says reply."))
    if "vacation" in words["x-apple-action"]:
        found.append((Kind.AUTOMATIC_REPLY, "X-Apple-Action says vacation."))
    if "autoresponder" in words["delivered-to"]:
        found.append((Kind.AUTOMATIC_REPLY, "Delivered-To says autoresponder."))
    suppressed = {
        value.strip().lower()
        for line in evidence.values("x-auto-response-suppress")
        for value in line.split(",")
    }
    if "all" in suppressed and evidence.values("x-ms-exchange-inbox-rules-loop"):
        found.append((Kind.AUTOMATIC_REPLY, "Exchange marks it as an inbox rule's reply."))
    if "notification" in words["x-amazon-mail-relay-type"]:
        found.append((Kind.AUTOMATIC, "X-Amazon-Mail-Relay-Type says notification."))
    if words["x-loop"] & {"yes", "true"}:
        found.append((Kind.AUTOMATIC, "X-Loop is set."))
    is_auto_subject = _AUTO_SUBJECT.match(evidence.subject) is not None
    if is_auto_subject and (found or return_path == "" or suppressed & {"all", "oof", "autoreply"}):
        found.append((Kind.AUTOMATIC_REPLY, "The subject is that of an automatic reply."))
    elif is_auto_subject:
        found.append((None, "The subject is that of an automatic reply."))
    if found and is_auto_subject:
        found.sort(key=lambda sign: sign[0] is not Kind.AUTOMATIC_REPLY)
    return found


def _list_signs(evidence: _Evidence) -> _Signs:
    found: _Signs = [
        (Kind.LIST, f"{name.title()} is set.") for name in _LIST_FIELDS if evidence.values(name)
    ]
    for name in ("precedence", "x-precedence"):
        word = next((value.lower() for value in evidence.values(name)), "")
        if word in _BULK:
            found.append((Kind.LIST, f"{name.title()} says {word}."))
    return found


def _weak_signs(evidence: _Evidence) -> _Signs:
    if _NO_REPLY.match(evidence.local_part):
        return [(None, "The sender's address says that nobody reads replies.")]
    return []
