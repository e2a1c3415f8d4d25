"""Say by a mail's own header when it arrived, for servers that do not tell."""

from datetime import datetime

from mailrouting.reading.dates import parse_date
from mailrouting.reading.header_block import HeaderBlock, read_header
from mailrouting.reading.limits import DEFAULT
from mailrouting.reading.message import Defect

__all__ = ["arrived_at", "stamped_at"]


def arrived_at(header: bytes) -> datetime | None:
    r"""Return the time in the topmost Received field, else in Date; None when neither can be read.

    The topmost Received field was added last, by the server that keeps the mail; Date is the
    sender's word.

    >>> arrived_at(b"Received: by mx; Mon, 2 Mar 2026 09:00:00 +0000\r\n\r\n").isoformat()
    '2026-03-02T09:00:00+00:00'

    Args:
        header: The header section; what follows it does no harm.
    """
    return stamped_at(header) or _when(_block(header).first(b"date") or b"")


def stamped_at(header: bytes) -> datetime | None:
    r"""Return the time in the topmost Received field; None when there is none that can be read.

    >>> stamped_at(b"Date: Mon, 2 Mar 2026 09:00:00 +0000\r\n\r\n")

    Args:
        header: The header section; what follows it does no harm.
    """
    _, semicolon, stamp = (_block(header).first(b"received") or b"").rpartition(b";")
    return _when(stamp) if semicolon else None


def _block(header: bytes) -> HeaderBlock:
    return read_header(header, 0, len(header), limits=DEFAULT, report=_ignore, is_top=True)


def _when(text: bytes) -> datetime | None:
    return parse_date(text.decode("latin-1"))


def _ignore(_defect: Defect) -> None:
    """Take no note: the mail is read in full later."""
