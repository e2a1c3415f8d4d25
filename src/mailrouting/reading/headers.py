"""Decode header values: raw 8-bit text and RFC 2047, in all the ways it is done wrong.

Everything here is linear in the value, which the header limits bound.
"""

import binascii
import re

import attrs

from mailrouting.reading.charsets import decode, decode_undeclared, decode_word

__all__ = ["clean", "decode_value", "decode_words", "raw_text"]

_MOST_ENCODED_WORDS = 200
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_CHARSET = re.compile(r"[A-Za-z0-9_.:*()+-]{1,60}")
# A word as RFC 2047 §2 wants it, and not one that a bare `?` may go on behind: see `_word_end`.
_PLAIN_WORD = re.compile(r"=\?([A-Za-z0-9_.:*()+-]{1,60})\?([BbQq])\?([^? ]*+)\?=(?![0-9A-F])")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


@attrs.frozen
class _Word:
    """Hold one encoded word, or plain text when `encoding` is empty."""

    text: str
    charset: str = ""
    encoding: str = ""


def clean(text: str) -> str:
    r"""Replace control characters by a space, and trim.

    A decoded value never holds a line end: written into another header, it stays one field.

    >>> clean("Hello\r\nBcc: all@example.org")
    'Hello Bcc: all@example.org'
    """
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    return text.strip()


def raw_text(value: bytes) -> str:
    """Decode the bytes of a value, leaving encoded words as they are."""
    if b"\x1b$" in value:
        return decode(value, None)
    return decode_undeclared(value)


def decode_value(value: bytes) -> str:
    """Decode an unstructured value: 8-bit text, encoded words, no control characters."""
    return clean(decode_words(raw_text(value)))


def decode_words(text: str) -> str:
    """Decode encoded words (RFC 2047) wherever they stand; what is none stays.

    >>> decode_words("=?utf-8?q?=C3=A9t=C3=A9?= =?utf-8?b?IG9sw6k=?= ok")
    'été olé ok'
    """
    if "=?" not in text:
        return text
    plain = _decode_plain_words(text)
    return _decode_any_words(text) if plain is None else plain


def _decode_any_words(text: str) -> str:
    return "".join([_decode_word(word) for word in _merge(_split_words(text))])


def _decode_plain_words(text: str) -> str | None:
    """Decode words that nothing is wrong with; None where something may be."""
    alone = _PLAIN_WORD.fullmatch(text)
    if alone:
        charset, encoding, body = alone.groups()
        return _decode_body(body, charset, encoding.lower())
    pieces = _PLAIN_WORD.split(text)
    plain = pieces[::4]
    if len(plain) > _MOST_ENCODED_WORDS or "=?" in "\n".join(plain):
        return None
    decoded = [pieces[0]]
    charset = encoding = body = ""
    for index in range(1, len(pieces), 4):
        next_charset, next_encoding = pieces[index].lower(), pieces[index + 1].lower()
        between = pieces[index - 1]
        if index > 1 and (not between or between.isspace()):
            # Words that belong together may be cut inside a character: see `_merge`.
            is_open = encoding == "q" or not body.endswith("=")
            if is_open and charset == next_charset and encoding == next_encoding:
                body += pieces[index + 2]
                continue
            between = ""
        if index > 1:
            decoded += (_decode_body(body, charset, encoding), between)
        charset, encoding, body = next_charset, next_encoding, pieces[index + 2]
    if encoding:
        decoded.append(_decode_body(body, charset, encoding))
    decoded.append(pieces[-1] if len(pieces) > 1 else "")
    return "".join(decoded)


def _split_words(text: str) -> list[_Word]:
    words: list[_Word] = []
    position = plain_from = count = 0
    while count < _MOST_ENCODED_WORDS:
        start = text.find("=?", position)
        if start < 0:
            break
        position = start + 2
        charset = _CHARSET.match(text, position)
        if not charset or text[charset.end() : charset.end() + 1] != "?":
            continue
        encoding = text[charset.end() + 1 : charset.end() + 3].lower()
        if encoding not in ("b?", "q?"):
            continue
        body = charset.end() + 3
        end = _word_end(text, body, encoding)
        if end < 0:
            # No word closes any more. One that was cut off in transit goes to the end.
            if text.find(" ", body) >= 0 or body == len(text):
                break
            end = len(text)
        between = text[plain_from:start]
        # White space between two encoded words is not shown (RFC 2047 §6.2).
        if between and not (words and words[-1].encoding and between.isspace()):
            words.append(_Word(between))
        words.append(_Word(text[body:end], charset.group(), encoding[0]))
        position = plain_from = min(end + 2, len(text))
        count += 1
    words.append(_Word(text[plain_from:]))
    return words


def _word_end(text: str, start: int, encoding: str) -> int:
    """Return where `?=` closes the word; a bare `?` before an encoded octet does not."""
    end = text.find("?=", start)
    if encoding == "q?":
        while end >= 0 and re.match("[0-9A-F]{2}[^ ]*[?]=", text[end + 2 : end + 80]):
            end = text.find("?=", end + 2)
    return end


def _merge(words: list[_Word]) -> list[_Word]:
    """Join words that some program cut inside a character (against RFC 2047 §5)."""
    merged: list[_Word] = []
    pieces: list[str] = []
    for word in [*words, _Word("")]:
        last = merged[-1] if merged else None
        if (
            last
            and word.encoding
            and last.encoding == word.encoding
            and last.charset.lower() == word.charset.lower()
            and not (word.encoding == "b" and pieces[-1].endswith("="))
        ):
            pieces.append(word.text)
            continue
        if last and len(pieces) > 1:
            merged[-1] = attrs.evolve(last, text="".join(pieces))
        merged.append(word)
        pieces = [word.text]
    return merged


def _decode_word(word: _Word) -> str:
    if not word.encoding:
        return word.text
    return _decode_body(word.text, word.charset, word.encoding)


def _decode_body(text: str, charset: str, encoding: str) -> str:
    data = text.encode("utf-8", "replace")
    data = _base64(data) if encoding == "b" else _q(data)
    if charset in ("utf-8", "UTF-8"):
        try:
            return data.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            pass
    return decode_word(data, charset.partition("*")[0])


def _q(data: bytes) -> bytes:
    return binascii.a2b_qp(data.replace(b"_", b" "), header=False)


def _base64(data: bytes) -> bytes:
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error:
        return _loose_base64(data)


def _loose_base64(data: bytes) -> bytes:
    data = _NOT_BASE64.sub(b"", data)
    if len(data) % 4 == 1:
        data = data[:-1]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
