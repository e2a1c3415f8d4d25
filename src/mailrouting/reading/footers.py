"""Find plain text where base64 is declared: a footer behind it, or all of a body."""

import binascii
import re

__all__ = ["footer_start", "is_plain"]

_LINE = re.compile(rb"([^\r\n]*+)(?:\r\n|\r|\n|\Z)")
_LETTERS = re.compile(rb"[A-Za-z0-9+/]++={0,2}")
_WORDS = re.compile(rb"\S[ \t]+\S")
_RULE = re.compile(rb"[-_=*]{2,200}")
# Shorter ones may be words of a footer; no encoder breaks its lines so early.
_SHORTEST_LINE = 40
_LONGEST_FOOTER = 64 * 1024


def footer_start(body: bytes) -> int:
    """Return where the footer begins behind whole base64; 0 when there is none.

    What merely is broken base64 is none: before the footer only whole groups stand, and in it
    stand words or a rule, and no long line of base64. A body that holds no base64 at all, though
    it is declared so, has no footer either.

    Args:
        body: The encoded body.
    """
    longest = start = 0
    for found in _LINE.finditer(body):
        line = found[1].strip(b" \t")
        is_base64 = _LETTERS.fullmatch(line) is not None
        if line and (not is_base64 or (start and len(line) < _SHORTEST_LINE)):
            start = start or found.start()
            break
        if is_base64:
            longest = max(longest, len(line))
            start = 0
        # A blank line, padding or a shorter line ends what an encoder writes.
        if longest and (not line or line.endswith(b"=") or len(line) < longest):
            start = start or (found.end() if line else found.start())
    else:
        return 0
    is_footer = longest and _is_footer(body[start:]) and _is_whole(body[:start])
    return start if is_footer else 0


def is_plain(body: bytes) -> bool:
    """Tell whether a body is no base64 at all: some gateway decoded it and left the field.

    Words stand in it, and no line that an encoder could have written.

    Args:
        body: The body.
    """
    return _WORDS.search(body) is not None and not any(
        map(_is_encoded, (found[1] for found in _LINE.finditer(body)))
    )


def _is_encoded(line: bytes) -> bool:
    line = line.strip(b" \t")
    return len(line) >= _SHORTEST_LINE and _LETTERS.fullmatch(line) is not None


def _is_whole(encoded: bytes) -> bool:
    try:
        binascii.a2b_base64(encoded.translate(None, b"\r\n \t"), strict_mode=True)
    except binascii.Error:
        return False
    return True


def _is_footer(rest: bytes) -> bool:
    if len(rest) > _LONGEST_FOOTER:
        return False
    lines = [found[1].strip(b" \t") for found in _LINE.finditer(rest)]
    if any(map(_is_encoded, lines)):
        return False
    return any(_WORDS.search(line) or _RULE.fullmatch(line) for line in lines)
