"""Read message ids (RFC 5322 §3.6.4), tolerantly."""

import re

from mailrouting.reading.headers import clean, raw_text

__all__ = ["LONGEST_ID", "message_id", "message_ids", "returned_id"]

LONGEST_ID = 998  # RFC 5322 §2.1.1: no line is longer, so no id can be
_ANGLE = re.compile(r"<([^<>]{1,4000}+)(?:>|$|(?=<))")
# The field in a text: quoted or not, its id on the line below too.
_IN_TEXT = re.compile(
    r"^[> \t]{0,8}(?:x-original-)?message-id:[ \t]{0,80}\n?[> \t]{0,80}<([^<>\s]{1,998})>",
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST_TEXT = 256 * 1024
_SPACE = re.compile(r"\s+")
# Ids as nearly all are written; folded lines come joined by one space.
_PLAIN_IDS = re.compile(rb"<[!-;=?-~]{1,998}+>(?: <[!-;=?-~]{1,998}+>)*+")


def message_ids(values: list[bytes]) -> tuple[str, ...]:
    """Return all ids of In-Reply-To or References without `<>`, in order, each once.

    Text around them is left out (`Your message of Monday <1@example.org>`). Without any bracket
    every word with an `@` is an id.

    >>> message_ids([b"<1@example.org> (Bob) <2@example.org>"])
    ('1@example.org', '2@example.org')
    """
    found: dict[str, None] = {}
    for value in values:
        if _PLAIN_IDS.fullmatch(value):
            found.update(dict.fromkeys(_plain_ids(value)))
            continue
        text = clean(raw_text(value))
        ids = [_without_space(inner) for inner in _ANGLE.findall(text)]
        if not ids:
            ids = [word.strip(",;\"'()<>") for word in text.split() if "@" in word]
        found.update(dict.fromkeys(one for one in ids if one and len(one) <= LONGEST_ID))
    return tuple(found)


def message_id(values: list[bytes]) -> str | None:
    """Return the mail's own id: the first one in brackets, else the whole value.

    >>> message_id([b" 17 without brackets "])
    '17 without brackets'
    """
    for value in values:
        if _PLAIN_IDS.fullmatch(value):
            return _plain_ids(value)[0]
        text = clean(raw_text(value))
        found = _ANGLE.search(text)
        one = _without_space(found[1]) if found else text.strip("<> ")
        if one:
            return one[:LONGEST_ID]
    return None


def returned_id(text: str) -> str | None:
    r"""Return the id of a returned mail whose header stands in a text; its beginning is looked at.

    >>> returned_id("failure notice\n\n--- Below this line is a copy.\n\nMessage-ID: <a@b>\n")
    'a@b'
    """
    found = _IN_TEXT.search(text, 0, _LONGEST_TEXT)
    return found[1] if found else None


def _plain_ids(value: bytes) -> list[str]:
    return value[1:-1].decode("ascii").split("> <")


def _without_space(text: str) -> str:
    # Of what can be printed, only a space is white space.
    return text if text.isprintable() and " " not in text else _SPACE.sub("", text)
