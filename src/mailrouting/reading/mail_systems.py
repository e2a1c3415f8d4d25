"""Know the addresses and names that mail servers write from.

Some belong to programs alone. Others, `postmaster` first of all, people read and write from too: they
prove nothing by themselves.
"""

import re

__all__ = ["is_daemon", "is_mail_system", "is_named_as_mail_system", "takes_bounces"]

_DAEMON = re.compile(
    r"(?:mailer[-_.]?daemon|mail[-_.]?daemon|mdaemon|mmdf|autobounce|microsoftexchange[0-9a-f]{0,40}"
    r"|no-?reply-bounce)(?![a-z])",
    re.IGNORECASE,
)
_SHARED = re.compile(
    r"(?:post[-_.]?master|mailmaster|mail[-_.]?administrator|postoffice|smtp-?gateway"
    r"|mail[-_.]?delivery[a-z._-]{0,20}|(?:root|daemon)$|bounces?$)(?![a-z])",
    re.IGNORECASE,
)
_EITHER = re.compile(f"{_DAEMON.pattern}|{_SHARED.pattern}", re.IGNORECASE)
_NAME = re.compile(
    r"mail(?:er)?[ -]?(?:delivery|daemon)|delivery (?:sub)?system|postmaster|mail administrator"
    r"|mailer-daemon|internet mail (?:delivery|service)|system attendant",
    re.IGNORECASE,
)
# What matches `i` and `s` without regard to case although it is not ASCII.
_ODD_LETTERS = frozenset("\u0130\u0131\u017f")
_NAME_WORDS = ("mail", "deliver", "postmaster", "attendant")
# What list servers use as reverse-path (VERP included): nobody writes there by hand.
_REVERSE_PATH = re.compile(r"(?:^|[-_.])bounces?(?:[-+][^@]{0,200})?@", re.IGNORECASE)


def is_daemon(address: str) -> bool:
    """Tell whether only a program writes from an address."""
    return _DAEMON.match(address.partition("@")[0]) is not None


def is_mail_system(address: str) -> bool:
    """Tell whether mail servers write from an address; people may too."""
    return _EITHER.match(address.partition("@")[0]) is not None


def is_named_as_mail_system(name: str) -> bool:
    """Tell whether a display name is one that mail servers use; anybody can."""
    lowered = name.lower()
    may_match = any(word in lowered for word in _NAME_WORDS)
    if not may_match and not name.isascii():
        may_match = not _ODD_LETTERS.isdisjoint(name)
    return may_match and _NAME.search(name) is not None


def takes_bounces(address: str) -> bool:
    """Tell whether an address is of the form that senders use as reverse-path."""
    return "bounce" in address.lower() and _REVERSE_PATH.search(address) is not None
