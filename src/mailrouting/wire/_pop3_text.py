"""Take a mail out of a POP3 answer as it comes in pieces (RFC 1939 §3), and count what came."""

__all__ = ["DottedText"]

_END = b"\r\n.\r\n"
# What a piece may end with that only the next one decides, the longest first.
_UNDECIDED = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


class DottedText:
    r"""Undo dot-stuffing in pieces of any size, up to the line that is a dot alone.

    Lines end with CRLF and nothing else: a bare LF before a dot is the mail's own, and takes no
    part of it away.

    >>> text = DottedText()
    >>> text.feed(b"..one\r\n.\r\n+OK next")
    (b'.one\r\n', 10)
    >>> text.ended
    True

    Attributes:
        ended: Whether the end was seen.
        count: Octets of the mail so far.
    """

    def __init__(self) -> None:
        self.ended: bool = False
        self.count: int = 0
        # The line end before the first line, which may begin with a dot, too; it is not the mail's.
        self._held = b"\r\n"
        self._surplus = 2

    def feed(self, came: bytes) -> tuple[bytes, int]:
        """Take a piece; return what of the mail is certain now, and how much of `came` it used."""
        text = self._held + came
        end = text.find(_END)
        used = len(came)
        if end >= 0:
            self.ended = True
            used = end + len(_END) - len(self._held)
            certain = text[: end + 2]
        else:
            self._held = next((part for part in _UNDECIDED if text.endswith(part)), b"")
            certain = text[: len(text) - len(self._held)]
        piece = certain.replace(b"\r\n..", b"\r\n.")[self._surplus :]
        if certain:
            self._surplus = 0
        self.count += len(piece)
        return piece, used
