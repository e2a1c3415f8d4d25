"""Find and unify line ends, with as few passes over the bytes as there can be."""

import re

__all__ = ["LONE_CR", "with_lf"]

# It begins with the rare letter: the search runs from one line end to the next.
LONE_CR = re.compile(rb"\r(?!\n)")


def with_lf(data: bytes) -> bytes:
    r"""Return the bytes with LF as line end, for CRLF and for a CR alone.

    >>> with_lf(b"one\r\ntwo\rthree\n")
    b'one\ntwo\nthree\n'
    """
    if LONE_CR.search(data):
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # To delete one letter is many times faster than to replace two.
    return data.replace(b"\r", b"")
