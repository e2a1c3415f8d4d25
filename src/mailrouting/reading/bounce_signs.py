"""Tell a bounce from what people and services write about mail that did not arrive."""

import re

import attrs

from mailrouting.reading.bounce_text import (
    has_form_of_bounce,
    looks_like_bounce,
    names_refusal,
    quotes_session,
    returns_mail_in_text,
)
from mailrouting.reading.evidence import AUTO_SUBJECT, Evidence, Signs
from mailrouting.reading.mail_systems import (
    is_daemon,
    is_mail_system,
    is_named_as_mail_system,
    takes_bounces,
)
from mailrouting.reading.message import Kind

__all__ = ["bounce_signs"]

_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (?:status )?(?:notification|failure|report|error|problem|has failed|failed"
    r"|delayed|not possible|unsuccessful)|returned mail|mail delivery (?:failed|failure|error|problem|status)"
    r"|failure notice|failure delivery|returned to sender|non[- ]?deliver|could not (?:be delivered|send)"
    r"|delivery (?:failed|delay)|mail (?:failure|system error|error)|message (?:status|delivery|not delivered|delayed)"
    r"|undelivered|unzustellbar|unknown user|user unknown|can ?not be delivered|notification d'échec"
    r"|non remis|e-?mail (?:not delivered|address problem)|bounced? (?:mail|message)|not deliverable"
    r"|mail could not|failed mail\b|permanent delivery|warning: (?:message|could|mail)",
    re.IGNORECASE,
)
# People write these about anything.
_BOUNCE_WORD = re.compile(r"rejected|error sending|deferred", re.IGNORECASE)
_VACATION = re.compile(
    r"vacation|out of (?:the )?office|away from|holiday|abwesen|urlaub", re.IGNORECASE
)
_AUTOMATIC = re.compile(r"auto-[a-z]", re.IGNORECASE)
_REPLY = re.compile(r"\s{0,5}(?:re|aw|antw|sv|odp|fwd?|wg|tr|rv)\s?:", re.IGNORECASE)
_NULL = ("", "null")
# `Hello,` and `Dear all!`, not `Hi. This is the mail program`.
_GREETING = re.compile(
    r"\s{0,20}(?:hi|hello|dear|hey|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen)|lieber?|sehr geehrte[rs]?"
    r"|moin|bonjour|salut|hola|buenos días|estimad[oa]s?|ciao|buongiorno|gentile|olá|bom dia|beste|geachte|hej|hei|cześć|dzień dobry"
    r"|здравствуйте|добрый день|привет)(?: [^\W\d_][\w.'’-]{0,20}){0,4}\s?[,!،]?\s{0,3}\n",
    re.IGNORECASE,
)
_MAIL_PROGRAM = re.compile(r"outlook|(?:apple|iphone|ipad) mail|thunderbird", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class _Content:
    """Hold what subject, text and fields say."""

    signs: list[str]
    has_failed_field: bool
    has_subject: bool
    says_bounced: bool


def bounce_signs(evidence: Evidence) -> Signs:
    """Take for a bounce only what looks like one by its sender and by its content."""
    by_sender = _sender_signs(evidence)
    is_to_bounces = any(map(takes_bounces, evidence.recipients))
    if not by_sender and not is_to_bounces:
        return []  # whatever the content says
    content = _content(evidence)
    if is_to_bounces and len(content.signs) > 1:
        by_sender.append("It is written to an address that takes bounces.")
        is_bounce = True
    else:
        is_bounce = bool(by_sender) and _is_bounce(evidence, content)
    if is_bounce and not _is_reply(evidence) and not _says_replied(evidence):
        return [(Kind.BOUNCE, sign) for sign in (*by_sender, *content.signs)]
    return [(None, sign) for sign in by_sender]


def _sender_signs(evidence: Evidence) -> list[str]:
    signs: list[str] = []
    return_path = evidence.return_path
    if return_path in _NULL:
        signs.append("The reverse-path is null (Return-Path: <>).")
    elif return_path and is_mail_system(return_path):
        signs.append("Its reverse-path is that of a mail system.")
    sender = evidence.sender
    if sender and (is_mail_system(sender.address) or is_named_as_mail_system(sender.name)):
        signs.append("It comes from a mail system, not from a person.")
    if evidence.says_delivery_status:
        signs.append("Its Content-Type says delivery status.")
    return signs


def _is_from_daemon(evidence: Evidence) -> bool:
    """Tell whether the sender is nobody but a mail system."""
    sender = evidence.sender
    return sender is not None and (
        is_daemon(sender.address) or (not sender.address and is_named_as_mail_system(sender.name))
    )


def _content(evidence: Evidence) -> _Content:
    has_failed_field = any(evidence.values("x-failed-recipients"))
    has_subject = _BOUNCE_SUBJECT.search(evidence.subject) is not None
    says_bounced = looks_like_bounce(evidence.text)
    signs: list[str] = []
    if has_failed_field:
        signs.append("X-Failed-Recipients names addresses.")
    if has_subject or _BOUNCE_WORD.search(evidence.subject):
        signs.append("The subject is that of a bounce.")
    if says_bounced:
        signs.append("The text says that a mail was not delivered.")
    return _Content(
        signs=signs,
        has_failed_field=has_failed_field,
        has_subject=has_subject,
        says_bounced=says_bounced,
    )


def _is_bounce(evidence: Evidence, content: _Content) -> bool:
    """Ask the more of the content, the less the sender proves."""
    if content.has_failed_field:
        return True
    if _is_from_daemon(evidence):
        return bool(content.signs) or evidence.returns_mail or names_refusal(evidence.text)
    if evidence.says_delivery_status or is_daemon(evidence.return_path or ""):
        return bool(content.signs)
    speaks_of_bounce = content.has_subject or content.says_bounced
    if speaks_of_bounce and evidence.returns_mail:
        return True
    if evidence.return_path in _NULL:
        # Vacation notices and orders have it too, and speak of deliveries.
        return (
            content.has_subject
            or (content.says_bounced and has_form_of_bounce(evidence.text))
            or (is_mail_system(evidence.local_part) and names_refusal(evidence.text))
        )
    # An address that people write from as well, or a name that anybody may choose.
    if _REPLY.match(evidence.subject) and not quotes_session(evidence.text):
        return False
    has_both = content.has_subject and content.says_bounced
    if has_both and any(map(_AUTOMATIC.search, evidence.values("auto-submitted"))):
        return True
    if _is_by_person(evidence) or not has_form_of_bounce(evidence.text):
        return False
    is_returned = speaks_of_bounce and returns_mail_in_text(evidence.text)
    return has_both or is_returned or quotes_session(evidence.text)


def _is_by_person(evidence: Evidence) -> bool:
    """Tell whether somebody greets, or wrote with a mail program: a team may list refusals too."""
    if _GREETING.match(evidence.text) or evidence.values("user-agent"):
        return True
    return any(map(_MAIL_PROGRAM.search, evidence.values("x-mailer")))


def _is_reply(evidence: Evidence) -> bool:
    if _is_from_daemon(evidence) or evidence.subject[:3].lower() != "re:":
        return False
    # Some gateways of mobile networks answer in the thread, with the session.
    is_gateway = is_mail_system(evidence.local_part) and quotes_session(evidence.text)
    return bool(evidence.values("in-reply-to")) and not is_gateway


def _says_replied(evidence: Evidence) -> bool:
    """Tell whether it is a vacation notice, which often comes with a null reverse-path."""
    is_vacation = _VACATION.search(evidence.subject) or AUTO_SUBJECT.match(evidence.subject)
    return bool(is_vacation) and not _BOUNCE_SUBJECT.search(evidence.subject)
