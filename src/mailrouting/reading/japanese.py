"""Read ISO-2022-JP as programs write it, not as its RFC has it."""

import re

__all__ = ["iso2022_jp"]

_PIECE = re.compile(rb"\x1b(?:\$[@B]([\x21-\x7e]*+)|\(I([\x21-\x5f]*+)|\([BJH])")
_KANA = bytes(byte | 0x80 for byte in range(256))


def iso2022_jp(data: bytes) -> str:
    r"""Decode a text with what Windows writes beside RFC 1468: circled digits, narrow katakana.

    Python's codecs refuse both, and the whole text with them. Never raises.

    >>> iso2022_jp(b"\x1b$B-!\x1b(B \x1b(I1\x1b(B!")
    '① ｱ!'
    """
    # Shift JIS has them all, in as many bytes at most, and no escapes.
    shifted = bytearray()
    position = 0
    for found in _PIECE.finditer(data):
        shifted += data[position : found.start()]
        position = found.end()
        wide, narrow = found.groups()
        if wide:
            shifted += _shifted(wide)
        elif narrow:
            shifted += narrow.translate(_KANA)
    shifted += data[position:]
    return shifted.decode("cp932", "replace")


def _shifted(wide: bytes) -> bytearray:
    """Turn pairs of JIS X 0208 into those of Shift JIS."""
    shifted = bytearray()
    for first, second in zip(wide[::2], wide[1::2], strict=False):
        row, is_even = divmod(first + 1, 2)
        shifted.append(row + (0x70 if row < 0x30 else 0xB0))  # noqa: PLR2004 - the gap at 0xA0
        if is_even:
            shifted.append(second + 0x7E)
        else:
            shifted.append(second + (0x1F if second < 0x60 else 0x20))  # noqa: PLR2004 - at 0x7F
    if len(wide) % 2:
        shifted += b"?"
    return shifted
