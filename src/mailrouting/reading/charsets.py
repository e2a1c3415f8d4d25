"""Turn bytes into text: declared charset, its usual meaning, UTF-8, Windows-1252.

Labels are read as browsers read them (WHATWG Encoding §4.2): `iso-8859-1` means Windows-1252,
`gb2312` means GBK. The table is closed: Python's own codecs that are no charsets (`utf-7`,
`idna`, `unicode_escape`, `zlib` and others) are never reached by a label in a mail.
"""

import enum
import functools
import re
from collections.abc import Callable
from typing import NamedTuple

from mailrouting.reading.japanese import iso2022_jp

__all__ = [
    "ASCII_ONLY", "CharsetStep", "Decoded", "GuessCharset", "codec_for", "decode", "decode_text",
    "decode_undeclared", "decode_word",
]  # fmt: skip

GuessCharset = Callable[[bytes], str | None]

_MOST_GUESSED = 65536
# By chance so many characters are UTF-8 in no other charset.
_SURE_UTF_8 = 8
_NO_BEGIN = bytes(range(0xC0))
_STATEFUL = ("utf-", "iso2022", "hz")
ASCII_ONLY = "ascii"
"""The codec of a text of which its ASCII alone was read: what it switches to has no codec."""
_JAPANESE, _KOREAN = "iso2022-jp-2", "iso2022-kr"
# What names the set of two-byte characters (RFC 1468, RFC 1557), and what any other name switches.
_JAPANESE_ESCAPE = re.compile(rb"\x1b\$(?:[@B]|\(D)")
_KOREAN_ESCAPE = b"\x1b$)C"
_ANY_ESCAPE = re.compile(r"\x1b\$[()*+]?.")
_SHIFTED = re.compile(r"\x0e[^\x0f\n]*\x0f?|\x1b[NO]..?")
_MARKS = {  # byte order marks that contradict a codec's own order, and the codec that they mean
    "utf-16-le": (b"\xfe\xff", "utf-16-be"),
    "utf-16-be": (b"\xff\xfe", "utf-16-le"),
    "utf-32-le": (b"\0\0\xfe\xff", "utf-32-be"),
    "utf-32-be": (b"\xff\xfe\0\0", "utf-32-le"),
}
_ASCII_LABELS = frozenset({"us-ascii", "ascii", "x-unknown-8bit", "8bit"})

# Codec, then the labels that mean it, apart from its own name.
_LABELS = """
cp1252 iso-8859-1 latin1 latin-1 l1 iso-ir-100 cp819 ibm819 iso8859-1 iso88591 us-ascii ascii x-cp1252 windows-1252 ansi-x3.4-1968 iso-646 us iso646-us ansi-x3.4-1986 ansi 646 8bit x-unknown-8bit iso-8859-1-windows-3.1-latin-1 x-ansi win-1252
utf-8 utf8 unicode-1-1-utf-8 x-unicode20utf8 unicode20utf8 unicode11utf8 utf-8-sig cp65001 utf8mb4 unicode utf
utf-16-le utf-16le utf-16 ucs-2 iso-10646-ucs-2 unicodefeff csunicode
utf-16-be utf-16be unicodefffe
utf-32-le utf-32le utf-32 ucs-4
utf-32-be utf-32be
iso8859-2 iso-8859-2 latin2 l2 iso-ir-101 iso88592
iso8859-3 iso-8859-3 latin3 l3
iso8859-4 iso-8859-4 latin4 l4
iso8859-5 iso-8859-5 cyrillic iso-ir-144
iso8859-6 iso-8859-6 arabic iso-8859-6-i iso-8859-6-e asmo-708 ecma-114
iso8859-7 iso-8859-7 greek greek8 elot-928 ecma-118 sun-eu-greek
iso8859-8 iso-8859-8 hebrew iso-8859-8-i iso-8859-8-e visual logical
cp1254 iso-8859-9 latin5 l5 iso8859-9 windows-1254 x-cp1254
iso8859-10 iso-8859-10 latin6 l6
cp874 windows-874 tis-620 iso-8859-11 iso8859-11 dos-874 x-windows-874
iso8859-13 iso-8859-13
iso8859-14 iso-8859-14
iso8859-15 iso-8859-15 latin9 latin-9 l9 iso885915
iso8859-16 iso-8859-16
cp1250 windows-1250 x-cp1250 win-1250
cp1251 windows-1251 x-cp1251 win-1251
cp1253 windows-1253 x-cp1253
cp1255 windows-1255 x-cp1255
cp1256 windows-1256 x-cp1256
cp1257 windows-1257 x-cp1257
cp1258 windows-1258 x-cp1258
koi8-r koi koi8 koi8r
koi8-u koi8-ru
mac-roman macintosh mac x-mac-roman macroman
mac-cyrillic x-mac-cyrillic x-mac-ukrainian
cp437 ibm437
cp850 ibm850
cp852 ibm852
cp866 ibm866
cp932 shift-jis shiftjis sjis x-sjis ms-kanji windows-31j ms932 cp943
euc-jp eucjp x-euc-jp ujis
iso2022-jp-2 iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 csiso2022jp iso-2022-jp-ms cp50220 cp50221
iso2022-kr iso-2022-kr
cp949 ks-c-5601-1987 ks-c-5601-1989 ks-c-5601 ksc5601 ksc-5601 euc-kr euckr uhc windows-949 korean ks-x-1001
johab
gb18030 gb2312 gb-2312 gb-2312-80 gbk x-gbk cp936 chinese euc-cn eucgb2312-cn gb18030-2000 gb18030-2005 csgb2312 ms936 windows-936
hz hz-gb-2312
cp950 big5 big-5 x-x-big5 cn-big5 big5-tw
big5hkscs big5-hkscs
"""
_UTF7_LABELS = frozenset({"utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "csunicode11utf7"})
_ENCODED_LANGUAGE = re.compile(r"[*].*", re.DOTALL)


class CharsetStep(enum.Enum):
    """Say how the character set of a text was found; the first that fits is used."""

    DECLARED = "declared"
    UTF_8 = "utf-8"
    GUESSED = "guessed"
    FALLBACK = "fallback"


class Decoded(NamedTuple):
    """Hold a decoded text, the codec that was used, and by which step it was found."""

    text: str
    codec: str
    step: CharsetStep


# Looking a member up in its class takes as long as a call.
_DECLARED, _UTF_8 = CharsetStep.DECLARED, CharsetStep.UTF_8


@functools.cache
def _table() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _LABELS.strip().split("\n"):
        codec, _, labels = line.partition(" ")
        for label in (codec, *labels.split()):
            table.setdefault(label, codec)
    return table


def codec_for(label: str) -> str | None:
    """Return the codec that a charset label means, or None for an unknown or refused one.

    >>> codec_for("ISO-8859-1"), codec_for("ks_c_5601-1987"), codec_for("utf-7")
    ('cp1252', 'cp949', None)
    """
    table = _table()
    label = label[:64].lower()
    if label in table:
        return table[label]
    label = _ENCODED_LANGUAGE.sub("", label).strip(" \t\"'<>;,").replace("_", "-")
    if label in table:
        return table[label]
    # `iso 8859-1`, `charset=utf-8`, `windows1252`, `utf-8; format=flowed`, `cp-1252`
    label = label.removeprefix("charset=").partition(";")[0].replace(" ", "-")
    for candidate in (label, label.replace("windows", "windows-"), label.replace("cp-", "cp")):
        if candidate in table:
            return table[candidate]
    return None


def decode_undeclared(data: bytes) -> str:
    r"""Decode bytes that no label explains: UTF-8 when they are, else Windows-1252.

    >>> decode_undeclared(b"\xc3\xa9t\xc3\xa9"), decode_undeclared(b"\xe9t\xe9")
    ('été', 'été')
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        # cp1252 leaves five bytes undefined: they become U+FFFD.
        return data.decode("cp1252", "replace")


def decode(data: bytes, label: str | None) -> str:
    """Decode a text without a guesser; never raises."""
    return decode_text(data, label).text


def decode_text(data: bytes, label: str | None, guess: GuessCharset | None = None) -> Decoded:
    r"""Decode a text, and say how; never raises unless the guesser does.

    >>> decode_text(b"caf\xe9", "utf-8").step
    <CharsetStep.FALLBACK: 'fallback'>

    Args:
        data: The bytes.
        label: What the mail declares.
        guess: Asked for bytes that neither fit what is declared nor are UTF-8. The charset that it
            names is used when it is in our table and the bytes fit it.
    """
    codec = codec_for(label) if label else None
    if codec is None or (label and label.strip().lower() in _ASCII_LABELS):
        return _undeclared(data, guess)
    if codec == "cp1252":
        # Mail labelled iso-8859-1 that reads as UTF-8 is UTF-8: by chance it is not.
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return Decoded(data.decode("cp1252", "replace"), "cp1252", _DECLARED)
        is_ascii = len(text) == len(data)
        return Decoded(text, "utf-8", _DECLARED if is_ascii else _UTF_8)
    mislabelled = None if codec.startswith(_STATEFUL) else _surely_utf8(data)
    if mislabelled is not None:
        return Decoded(mislabelled, "utf-8", _UTF_8)
    try:
        return Decoded(_decode_with(data, codec, "strict"), codec, _DECLARED)
    except ValueError:
        pass
    if codec == _JAPANESE and b"\x1b" in data:
        return _japanese(data, CharsetStep.DECLARED)
    try:
        return Decoded(data.decode("utf-8"), "utf-8", _UTF_8)
    except UnicodeDecodeError:
        guessed = _guessed(data, guess)
    if guessed:
        return guessed
    text = _decode_with(data, codec, "replace")
    if codec == "utf-8" and _is_mostly_broken(text):
        codec, text = "cp1252", data.decode("cp1252", "replace")
    # What is declared, a few broken characters aside, is likelier than Windows-1252.
    return Decoded(text, codec, CharsetStep.FALLBACK)


def _surely_utf8(data: bytes) -> str | None:
    """Return the text of bytes that are UTF-8 by more than chance, whatever they are called."""
    if data.isascii():
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    # Each byte that begins a character beyond ASCII.
    begins = len(data.translate(None, _NO_BEGIN))
    return text if begins >= _SURE_UTF_8 else None


def _japanese(data: bytes, step: CharsetStep) -> Decoded:
    text = iso2022_jp(data)
    return Decoded(text, _JAPANESE, CharsetStep.FALLBACK if "\ufffd" in text else step)


def _is_mostly_broken(text: str) -> bool:
    ascii_count = len(text.encode("ascii", "ignore"))
    return text.count("\ufffd") * 2 > len(text) - ascii_count


def decode_word(data: bytes, label: str) -> str:
    """Decode the content of one encoded word (RFC 2047).

    UTF-7 is read here and nowhere else: programs of the nineties wrote it into header fields, and
    a header value is never markup. In a body it would hide markup from who looks at the bytes.

    >>> decode_word(b"Fr+APY-sche", "unicode-1-1-utf-7")
    'Frösche'
    """
    if label.lower() in _UTF7_LABELS:
        return data.decode("utf-7", "replace")
    return decode(data, label)


def _undeclared(data: bytes, guess: GuessCharset | None) -> Decoded:
    if b"\x1b$" in data[:_MOST_GUESSED] and data.isascii():
        return _escaped(data)
    try:
        return Decoded(data.decode("utf-8"), "utf-8", _UTF_8)
    except UnicodeDecodeError:
        guessed = _guessed(data, guess)
    # cp1252 leaves five bytes undefined: they become U+FFFD.
    return guessed or Decoded(data.decode("cp1252", "replace"), "cp1252", CharsetStep.FALLBACK)


def _escaped(data: bytes) -> Decoded:
    """Read a text by its escapes: they tell what it is, or that no codec reads it."""
    if _JAPANESE_ESCAPE.search(data):
        return _japanese(data, CharsetStep.GUESSED)
    if _KOREAN_ESCAPE in data:
        try:
            return Decoded(data.decode(_KOREAN), _KOREAN, CharsetStep.GUESSED)
        except UnicodeDecodeError:
            pass
    text = _SHIFTED.sub("\ufffd", _ANY_ESCAPE.sub("", data.decode("ascii")))
    return Decoded(text, ASCII_ONLY, CharsetStep.FALLBACK)


def _guessed(data: bytes, guess: GuessCharset | None) -> Decoded | None:
    label = guess(data[:_MOST_GUESSED]) if guess else None
    codec = codec_for(label) if label else None
    if codec is None:
        return None
    try:
        return Decoded(_decode_with(data, codec, "strict"), codec, CharsetStep.GUESSED)
    except ValueError:
        return None


def _decode_with(data: bytes, codec: str, errors: str) -> str:
    mark, swapped = _MARKS.get(codec, (b"", codec))
    if mark and data.startswith(mark):
        codec = swapped
    return data.decode(codec, errors).removeprefix("\ufeff")
