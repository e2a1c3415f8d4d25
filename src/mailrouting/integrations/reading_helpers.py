"""Make helpers for `mailrouting.reading.read` of the extras that are installed.

Each extra is imported when its helper is asked for, never before. A helper that a host writes
itself fits as well: they are plain callables.
"""

import email
import importlib.util
import re
from collections.abc import Iterable

from mailrouting.errors import ConfigurationError
from mailrouting.reading import (
    BounceReport,
    GuessCharset,
    Helpers,
    OpenTnef,
    ReadBounce,
    TnefContents,
    TnefFile,
)
from mailrouting.reading.charsets import decode_undeclared

__all__ = ["bounce_reader", "charset_guesser", "installed_helpers", "tnef_opener"]

_MOST_TNEF_COPIED = 4 * 1024**3
_TNEF_HEADER = 6
_TNEF_ATTRIBUTE = 11  # level, id, length and checksum around the data
_MOST_TNEF_FILES = 100
_MOST_BOUNCE_BYTES = 1024 * 1024
_MOST_GUESSED_BYTES = 8192
_LEAST_GUESSED = 12
_ASCII = bytes(range(128))
_ASCII_LINE = re.compile(rb"[\x00-\x7f]*\n?")
# The character sets in which mail is written, the likelier ones first.
_CANDIDATES = [
    "cp1252", "cp1251", "cp1250", "iso8859_2", "iso8859_15", "koi8_r", "shift_jis", "cp932", "euc_jp",
    "gb18030", "big5", "cp949", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "cp866", "mac_roman",
]  # fmt: skip


def installed_helpers() -> Helpers:
    """Return the helpers whose extras are installed; the others are None.

    >>> helpers = installed_helpers()
    >>> from mailrouting.reading import read
    >>> read(b"Subject: hi", helpers=helpers).subject
    'hi'
    """
    return Helpers(
        guess_charset=charset_guesser() if _has("charset_normalizer") else None,
        open_tnef=tnef_opener() if _has("tnefparse") else None,
        read_bounce=bounce_reader() if _has("flufl", "flufl.bounce") else None,
    )


def charset_guesser() -> GuessCharset:
    """Return a guesser made of charset-normalizer.

    Raises:
        ConfigurationError: The extra `charset` is not installed.
    """
    try:
        from charset_normalizer import from_bytes  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("charset", "charset-normalizer") from error

    def guess(data: bytes) -> str | None:
        sample = _telling_lines(data)
        if len(sample.translate(None, _ASCII)) < _LEAST_GUESSED:
            return None  # too few to tell: a guess is wrong more often than Windows-1252
        best = from_bytes(sample, cp_isolation=_CANDIDATES, enable_fallback=False).best()
        return None if best is None else best.encoding

    return guess


def tnef_opener() -> OpenTnef:
    """Return an opener of winmail.dat files made of tnefparse.

    Raises:
        ConfigurationError: The extra `tnef` is not installed.
    """
    try:
        from tnefparse import TNEF  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("tnef", "tnefparse") from error

    def open_tnef(data: bytes) -> TnefContents | None:
        if not _is_bounded_tnef(data):
            return None
        tnef = TNEF(data, do_checksum=False)
        return TnefContents(
            files=tuple(
                TnefFile(name=_text(one.long_filename()) or "", content=bytes(one.data))
                for one in tnef.attachments[:_MOST_TNEF_FILES]
            ),
            text=_text(tnef.body),
            html=_text(tnef.htmlbody),
        )

    return open_tnef


def bounce_reader() -> ReadBounce:
    """Return a reader of bounces that follow no RFC, made of flufl.bounce.

    Raises:
        ConfigurationError: The extra `bounce` is not installed.
    """
    try:
        from flufl.bounce import all_failures  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("bounce", "flufl.bounce") from error

    def read_bounce(raw: bytes) -> tuple[BounceReport, ...]:
        if len(raw) > _MOST_BOUNCE_BYTES:
            return ()
        delayed, failed = all_failures(email.message_from_bytes(raw))
        return (
            *(_report(one, is_permanent=True) for one in _sorted(failed)),
            *(_report(one, is_permanent=False) for one in _sorted(delayed)),
        )

    return read_bounce


def _is_bounded_tnef(data: bytes) -> bool:
    """Walk over the attributes (MS-OXTNEF §2.1.3): the library copies the rest for each of them."""
    position, count = _TNEF_HEADER, 0
    while position + _TNEF_ATTRIBUTE < len(data):
        count += 1
        if count * len(data) > _MOST_TNEF_COPIED:
            return False
        length = int.from_bytes(data[position + 5 : position + 9], "little")
        position += _TNEF_ATTRIBUTE + length
    return True


def _has(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


def _missing(extra: str, library: str) -> ConfigurationError:
    return ConfigurationError(
        f"This helper needs the library {library}", hint=f"Install mailrouting[{extra}]."
    )


def _telling_lines(data: bytes) -> bytes:
    """Return the lines that are not plain ASCII: the others say nothing."""
    lines = [line for line in data.splitlines(keepends=True) if not _ASCII_LINE.fullmatch(line)]
    sample = b""
    for line in lines:
        if sample and len(sample) + len(line) > _MOST_GUESSED_BYTES:
            break
        sample += line
    return sample or data


def _text(value: bytes | str | None) -> str | None:
    if isinstance(value, bytes):
        value = decode_undeclared(value)
    return (value or "").rstrip("\0") or None


def _sorted(addresses: Iterable[bytes]) -> list[str]:
    return sorted(filter(None, (_text(one) for one in addresses)))


def _report(address: str, *, is_permanent: bool) -> BounceReport:
    # Only the class is known (RFC 3463 §3.1): nothing proves that the address is dead.
    return BounceReport(
        recipient=address,
        action="failed" if is_permanent else "delayed",
        status="5.0.0" if is_permanent else "4.0.0",
        permanent=is_permanent,
    )
