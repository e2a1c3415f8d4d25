"""Read bounces that follow no RFC: what mail servers write for people.

Asked only behind the gates of `mailrouting.reading.kind`: sender and content must both say bounce.
Lines and their number are bounded; every pattern is bounded too.
"""

import re
from collections.abc import Sequence

import attrs

from mailrouting.reading.bounce_reasons import gives_reason, judge, says_delayed
from mailrouting.reading.message import BounceReport

__all__ = [
    "bounces_in_text",
    "has_form_of_bounce",
    "looks_like_bounce",
    "names_refusal",
    "quotes_refusal",
    "quotes_session",
    "reports_for",
    "returns_mail_in_text",
]

_MOST_LINES = 300
_LONGEST_LINE = 1000
_CONTEXT_LINES = 8
_MOST_RECIPIENTS = 50
_MOST_SEEN = 200
_MOST_LOOKED_AT = 400
_DAEMON = re.compile(r"mailer-daemon@|postmaster@", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?<![\w.+=%/-])([\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.){0,8}[\w-]{1,63})"
)
_PROTOCOL = re.compile(r"(?:smtp|rfc822)=", re.IGNORECASE)
_ALONE = re.compile(
    r"[\s*>\-\[(\"']{0,20}(?:<[^<>\s]{3,320}>|[^\s<>:]{3,320})[\])\"']{0,3}[:;,.]?\s{0,80}"
)
_LEADING = re.compile(r"[\s*>\-]{0,20}<[^<>\s]{3,320}>:")
_ORIGINAL = re.compile(
    r"[>\s\-=*#]{0,80}(?:(?:below (?:this line|is|are)|(?:this|the following) is a copy|original message"
    r"|(?:the )?(?:header|text) (?:of|from) (?:the|your) (?:original )?message|unsent message"
    r"|message header|original mail|returned message|your (?:original )?message (?:follows|reads)"
    r"|included is a copy|enclosed is a copy|the original message (?:headers|follows)"
    r"|start of (?:message|returned)|undelivered message|message contents"
    r"|(?:a )?copy of (?:the|your) (?:original )?message)|return-path:|received: )",
    re.IGNORECASE,
)
_FIELD = re.compile(r"\s{0,20}[a-z-]{2,40}:", re.IGNORECASE)
_OF_SENDER = re.compile(
    r"\s{0,20}(?:from|sender|reply-to|return-path|message-id|date|subject|x-[a-z-]{1,40}|cc)\s{0,3}:"
    r"|.{0,80}(?:mail from|message sent by|message from|contact|sender|postmaster|help|written by)",
    re.IGNORECASE,
)
_REFUSAL = re.compile(r"\s{0,9}(?:<<< )?5[0-5]\d[ -]{1,3}(?:5\.\d{1,3}\.\d|[a-z<])", re.IGNORECASE)
# Within a line only with its two codes, or behind the server's name.
_REFUSAL_WITHIN = re.compile(
    r"(?<![\d.])5[0-5]\d[ -]{1,3}5\.\d{1,3}\.\d|\bsaid: 5[0-5]\d[ -]", re.IGNORECASE
)
_QUESTION = re.compile(r"\w\?(?:\s|$)")
_COMMAND = re.compile(r"\s{0,9}(?:RCPT TO|MAIL FROM):", re.IGNORECASE)
_QUOTE_MARK = re.compile(r"[>\s]{0,20}[-_=]{2,80}\s{0,3}original message", re.IGNORECASE)
# Below such a line stand the recipients that are meant; above it, what the mail was.
_INTRODUCTION = re.compile(
    r".{0,120}\bfollowing (?:recipients?|address(?:es)?|users?|e-?mail address)", re.IGNORECASE
)
_PHRASES = (
    "could not be delivered", "couldn't be delivered", "cannot be delivered", "can not be delivered",
    "wasn't delivered", "was not delivered", "not able to deliver", "unable to deliver",
    "undeliverable", "undelivered", "delivery to the following recipient", "delivery has failed",
    "delivery failed", "failed to deliver", "has not been delivered", "have not been delivered",
    "permanent fatal errors", "transient non-fatal errors", "permanent error", "did not reach",
    "could not deliver", "couldn't deliver", "returned to sender", "could not send", "could not be sent",
    "not delivered to", "message delivery failed", "delivery failure", "non-delivery",
    "was rejected by", "following addresses had", "following recipients", "unknown user",
    "user unknown", "mailbox is full", "mailbox full", "nicht zugestellt", "unzustellbar",
    "n'a pas pu être", "konnte nicht", "no se pudo entregar", "não foi possível entregar",
    "giving up on it", "error occurred while", "delivering this message", "address not found",
    "unable to be delivered", "not be able to be delivered", "delivery delayed", "mail delivery error",
)  # fmt: skip


def looks_like_bounce(text: str) -> bool:
    """Tell whether the beginning of a text speaks of a mail that did not arrive."""
    beginning = " ".join(text[:6000].lower().split())
    return any(phrase in beginning for phrase in _PHRASES)


def quotes_refusal(text: str) -> bool:
    """Tell whether a line begins with an SMTP reply that refuses (RFC 5321 §4.2)."""
    return any(map(_REFUSAL.match, _first_lines(text)))


def names_refusal(text: str) -> bool:
    """Tell whether an SMTP reply that refuses stands anywhere, in whatever language around it."""
    return quotes_refusal(text) or any(
        _REFUSAL_WITHIN.search(line[:_LONGEST_LINE]) for line in _first_lines(text)
    )


def has_form_of_bounce(text: str) -> bool:
    """Tell whether a text is built as programs build it.

    A line announces the recipients that failed, or begins with one and a colon; a server's refusal is
    quoted; or the returned mail stands below. Behind a question a person built it.
    """
    written = _before_original(text)
    if any(_QUESTION.search(line) for line in written):
        return False
    return (
        any(_INTRODUCTION.match(line) or _LEADING.match(line) for line in written)
        or quotes_refusal(text)
        or returns_mail_in_text(text)
    )


def returns_mail_in_text(text: str) -> bool:
    """Tell whether a line announces the returned mail, other than as mail programs mark a quote."""
    _, *below = _first_lines(text)
    return any(_ORIGINAL.match(line) and not _QUOTE_MARK.match(line) for line in below)


def quotes_session(text: str) -> bool:
    """Tell whether a text quotes a server's refusal with the command that it refused."""
    return quotes_refusal(text) and any(map(_COMMAND.match, _first_lines(text)))


def bounces_in_text(
    text: str, *, own: frozenset[str], by_program: bool = True
) -> tuple[BounceReport, ...]:
    """Find the recipients that a text names, each with the reason that stands by it.

    Args:
        text: The text of the mail.
        own: Addresses in lower case that cannot be meant: those in From and To of the bounce.
        by_program: False where a person may have written the text.
    """
    lines = _before_original(text)
    chosen = _recipients(lines, own)
    # With several recipients the rest of the text may be about another one.
    whole = "\n".join(lines) if len(chosen) == 1 else ""
    return tuple(
        _report(address, context, whole or context, by_program=by_program)
        for address, context in list(chosen.items())[:_MOST_RECIPIENTS]
    )


def _recipients(lines: list[str], own: frozenset[str]) -> dict[str, str]:
    """Return who is meant, each with what stands by it: below an announcement, else anywhere."""
    announced = next((n for n, line in enumerate(lines) if _INTRODUCTION.match(line)), 0)
    # A mail to oneself, or to a postmaster, bounces too: only where nobody else is named.
    return (
        _named(lines, announced, own, takes_daemons=False)
        or _named(lines, 0, own, takes_daemons=False)
        or _named(lines, 0, frozenset(), takes_daemons=True)
    )


def _named(
    lines: list[str], first: int, own: frozenset[str], *, takes_daemons: bool
) -> dict[str, str]:
    """Return the addresses from a line on, each with what stands by it."""
    strong: dict[str, str] = {}
    weak: dict[str, str] = {}
    seen = set(own)
    looked_at = 0
    for number, line in enumerate(lines):
        if number < first or (takes_daemons and _FIELD.match(line)):
            continue
        if not takes_daemons and _OF_SENDER.match(line):
            continue
        for found in _ADDRESS.findall(line):
            address = found.rstrip(".'")
            if address.lower() in seen or len(seen) > _MOST_SEEN:
                continue
            if _DAEMON.match(address) and not takes_daemons:
                continue
            looked_at += 1
            if looked_at > _MOST_LOOKED_AT:
                break
            context = _context(lines, number, found)
            is_named = _ALONE.fullmatch(line) or _LEADING.match(line)
            is_strong = is_named is not None or gives_reason(context)
            (strong if is_strong else weak)[address] = context
            if is_strong:
                seen.add(address.lower())
    return strong or dict(list(weak.items())[:1])


def reports_for(
    addresses: Sequence[str], text: str, *, by_program: bool = True
) -> tuple[BounceReport, ...]:
    """Report on addresses that a header names, with the one reason that the text gives."""
    if not addresses:
        return ()
    whole = "\n".join(_before_original(text))
    report = _report("", whole, whole, by_program=by_program)
    return tuple(
        attrs.evolve(report, recipient=_PROTOCOL.sub("", address)) for address in addresses
    )


def _first_lines(text: str) -> list[str]:
    return text.split("\n", _MOST_LINES)[:_MOST_LINES]


def _before_original(text: str) -> list[str]:
    lines: list[str] = []
    for line in _first_lines(text):
        if lines and _ORIGINAL.match(line):
            break
        lines.append(line[:_LONGEST_LINE])
    return lines


def _context(lines: list[str], number: int, address: str) -> str:
    """Return a line and what belongs to it: up to a blank line or the next recipient."""
    context = [lines[number]]
    for line in lines[number + 1 : number + _CONTEXT_LINES]:
        if not line.strip() and len(context) > 1:
            break
        if line[:1] not in (" ", "\t") and address not in line and _ADDRESS.search(line):
            break
        context.append(line)
    return "\n".join(context)


def _report(address: str, context: str, whole: str, *, by_program: bool) -> BounceReport:
    verdict = judge(context, by_program=by_program)
    if verdict.status is None and verdict.address_dead:
        verdict = judge(context, action="failed", by_program=by_program)
    elif verdict.status is None:
        context = whole
        action = "delayed" if says_delayed(whole) else "failed"
        verdict = judge(whole, action=action, by_program=by_program)
    return BounceReport(
        recipient=_PROTOCOL.sub("", address),
        action="failed" if verdict.permanent else "delayed" if says_delayed(whole) else None,
        status=verdict.status,
        reply_code=verdict.reply_code,
        permanent=verdict.permanent,
        address_dead=verdict.address_dead,
        reason=" ".join(context.split())[:500],
    )
