"""Judge the reason of a bounce: what the codes are, and whether the address is dead.

`permanent` and `dead` are two questions: a refused content is permanent and says nothing about
the address; an unknown user should not be written to again.
"""

import re

import attrs

__all__ = ["Verdict", "gives_reason", "judge", "says_delayed"]

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_REPLY_CODE = re.compile(r"(?<![\d.\[])([245][0-5]\d)(?=[ \-,:;(#]|$)")
_VAGUE = re.compile(r"[245]\.0\.\d+|[245]\.3\.0")
_LONGEST = 4000

# RFC 3463 §3.2, RFC 7505 (5.1.10, null MX), Exchange's 5.1.x for "not in the directory".
_DEAD_STATUS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})

_FULL = (
    "over quota", "overquota", "quota exceed", "exceeded quota", "exceeds quota", "exceed the quota",
    "over the quota", "exceeded storage", "mailbox full", "mailbox is full", "box full", "disk full",
    "disk quota", "storage quota", "insufficient storage", "not enough storage", "not enough space",
    "exceeded the size limit", "exceeding its mailbox quota", "out of storage", "account is full",
)  # fmt: skip
_ABOUT_SENDER = (
    "sender address rejected", "sender rejected", "sender domain", "domain of sender", "sender verify",
    "mail from:<", "mailfrom", "unresolvable sender", "client host rejected", "reverse dns",
    "ptr record", "relay access denied", "relaying denied", "unable to relay", "relay not permitted",
)  # fmt: skip
_UNKNOWN = (
    "user unknown", "unknown user", "no such user", "no such recipient", "no such address",
    "no such mailbox", "unknown recipient", "recipient unknown", "unknown address", "address unknown",
    "unknown local part", "unknown local-part", "unknown account", "unknown mailbox",
    "unknown or illegal alias", "unknown email", "user not found", "recipient not found",
    "address not found", "mailbox not found", "account not found", "recipientnotfound",
    "user does not exist", "account does not exist", "mailbox does not exist", "not a valid mailbox",
    "that you tried to reach does not exist", "address does not exist", "user doesn't exist",
    "doesn't have a yahoo", "doesn't have an account", "not a valid user", "not a known user",
    "invalid recipient", "invalid mailbox", "invalid user", "invalid address", "not our customer",
    "no mailbox here", "no mailbox by that name", "no account by that name", "no user by that name",
    "not listed in", "recipient address rejected: user", "does not like recipient",
    "isn't in a list of allowed", "no valid recipient", "mailbox unavailable or access denied",
    "user is unknown", "address is unknown", "recipient no longer", "unrouteable address",
    "undeliverable address", "bad destination mailbox", "bad address", "not exist in",
    "does not exist here", "this user doesn", "username is unknown", "no such person",
    "recipient does not exist", "not exists", "destination address was unknown", "user not exist", "user is not exist", "account not exist",
    "does not have an account", "check if address is correct", "recipient invalid", "unknown to address",
    "is not a valid user", "not valid users", "invalid user address",
    "user not known", "recipient not known", "not known here", "no mailbox", "no such id", "no such account",
    "nonexistent", "non-existent", "nobody by that name", "cannot find user", "can't find user", "bad recipient",
    "wasn't found at", "is not a local", "unknown to this",
    "isn't a valid", "isn't valid", "empfänger unbekannt", "existiert nicht", "utilisateur inconnu", "adresse inconnue",
    "n'existe pas", "no existe", "usuario desconocido", "não existe", "utente sconosciuto", "не существует",
)  # fmt: skip
_UNKNOWN_HOST = (
    "host unknown", "unknown host", "host not found", "domain not found", "nxdomain",
    "host or domain name not found", "domain does not exist", "domain couldn't be found",
    "no such domain", "unknown domain", "name server: host not found", "recipient address rejected: domain",
    "couldn't find any host named", "no mail exchanger", "does not accept mail", "null mx",
    "unrouteable mail domain", "bad destination host", "illegal host/domain", "no mx record",
    "invalid domain", "host domain not found", "can't find the domain", "nullmx",
    "bad domain", "domain name not found", "no such host", "name or service not known",
    "domain is not reachable", "dns lookup failure", "not accepting network messages",
    "not accepting any mail", "host does not accept mail", "domain does not accept mail",
)  # fmt: skip
# Words of people too: `Bob no longer works here`.
_GONE = (
    "has moved", "recipient has moved", "address has changed", "no longer", "disabled", "deactivated",
    "inactive", "account is closed", "account has been closed", "suspended", "discontinued",
    "not active", "account expired", "user has left", "terminated",
)  # fmt: skip
_REFUSED = (
    "spam", "blocked", "block list", "blocklist", "blacklist", "black list", "dnsbl", "reputation",
    "policy", "virus", "dmarc", "dkim", "spf", "too large", "size limit", "greylist", "unsolicited",
    "content", "authentication", "too many", "try again", "not authorized", "access denied",
    "permission", "prohibited", "restricted",
)  # fmt: skip

# These classes (RFC 3463 §3: mailbox without detail, system, content, policy) are not about an address.
_OTHER_CLASS = re.compile(r"5\.(?:2\.0|[367]\.\d)")
_POLICY = re.compile(r"(?<![\d.])5\.7\.\d{1,3}")
# A server that refuses behind DATA took the recipient before: it refuses the mail.
_IS_LATE = re.compile(r"(?:end of|reply to|response to|command)\s{1,3}data\b|recipient preferences")
_NO_HOST = re.compile(r"(?:smtp;\s{0,3})?(?:521|556)\b")  # RFC 7504: takes no mail at all
_REJECTED_ALONE = re.compile(r"(?:recipient )?address rejected\.?\s{0,9}(?:$|\(|\[)")

_DELAYED = (
    "not yet been delivered", "warning message only", "do not need to resend", "not need to resend",
    "will be retried", "will continue to", "attempts will continue", "still being attempted",
    "has been delayed", "was delayed", "delivery delayed", "will keep trying", "will try again",
    "temporarily delayed", "retry for", "not been able to deliver your message yet",
)  # fmt: skip


@attrs.frozen
class Verdict:
    """Hold what a reason means; see `BounceReport` for the words."""

    status: str | None
    reply_code: int | None
    permanent: bool
    address_dead: bool


def judge(
    reason: str,
    *,
    status: str | None = None,
    action: str | None = None,
    by_program: bool = True,
) -> Verdict:
    """Judge a diagnostic text together with a status field and an action.

    >>> judge("smtp; 550 5.1.1 <a@example.org>... User unknown").address_dead
    True
    >>> judge("mailbox is full", status="5.2.2")
    Verdict(status='5.2.2', reply_code=None, permanent=True, address_dead=False)

    Args:
        reason: The diagnostic text; a better status in it replaces one that says nothing.
        status: The value of a Status field.
        action: The value of an Action field: gives the class where no code does.
        by_program: False where a person may have written the text: then words that people use too
            prove nothing about the address without a code.
    """
    text = reason[:_LONGEST].lower()
    found = _STATUS.search(text)
    if found and (status is None or (_VAGUE.fullmatch(status) and found[1][0] == status[0])):
        status = found[1]
    code = _REPLY_CODE.search(text)
    reply_code = int(code[1]) if code else None
    is_servers = by_program or status is not None or code is not None
    family = status[0] if status else str(reply_code)[0] if reply_code else ""
    family = family or {"failed": "5", "delayed": "4"}.get(action or "", "")
    if family and status is None:
        status = f"{family}.0.0"  # RFC 3463 §3.1: only the class is known
    permanent = family == "5"
    is_dead = (
        family != "4"
        and action not in ("delayed", "delivered")
        and _is_dead(text, status, is_servers=is_servers)
    )
    return Verdict(status, reply_code, permanent=permanent, address_dead=is_dead)


def gives_reason(text: str) -> bool:
    """Tell whether a text has a code, or words that `judge` takes for a dead address."""
    lowered = text[:_LONGEST].lower()
    has_code = _REPLY_CODE.search(lowered) or _STATUS.search(lowered)
    return has_code is not None or _is_dead(lowered, None, is_servers=True)


def says_delayed(text: str) -> bool:
    """Tell whether a text says that delivery is still being tried."""
    lowered = " ".join(text[:_LONGEST].lower().split())
    return any(phrase in lowered for phrase in _DELAYED)


def _is_dead(text: str, status: str | None, *, is_servers: bool) -> bool:
    def says(phrases: tuple[str, ...]) -> bool:
        return any(phrase in text for phrase in phrases)

    if says(_FULL) or (status or "").endswith(".2.2"):
        return False
    if _IS_LATE.search(text) and status not in _DEAD_STATUS:
        return False
    if says(_ABOUT_SENDER) and status not in _DEAD_STATUS:
        return False
    if says(_UNKNOWN) and (_OTHER_CLASS.match(status or "") or _POLICY.search(text)):
        return False  # words and code contradict each other: nothing is proved about the address
    if status == "5.4.1" and "access denied" in text and "recipient address rejected" in text:
        return True  # Exchange Online refuses at its edge what is not in the directory
    if _NO_HOST.match(text) or _REJECTED_ALONE.search(text):
        return True
    if says(_UNKNOWN) or says(_UNKNOWN_HOST) or (is_servers and says(_GONE)):
        return True
    if says(_REFUSED):
        return False
    return status in _DEAD_STATUS
