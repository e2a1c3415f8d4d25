"""Say what may be passed to `read` for the work that needs another library.

Reading imports none of them. `mailrouting.integrations.reading_helpers` makes these of the extras
that are installed; a host may pass its own.
"""

from collections.abc import Callable
from typing import Protocol

import attrs

from mailrouting.reading.charsets import GuessCharset
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import BounceReport, MailSource, Message

__all__ = ["Helpers", "OpenTnef", "ReadBounce", "Reader", "TnefContents", "TnefFile"]


@attrs.frozen(kw_only=True)
class TnefFile:
    """Hold one file of a winmail.dat.

    Attributes:
        name: Its name as stored; empty when it has none.
        content: Its bytes.
        content_type: Its media type, or an empty text.
        content_id: Its Content-ID without `<>`, or None.
    """

    name: str
    content: bytes = attrs.field(repr=False)
    content_type: str = ""
    content_id: str | None = None


@attrs.frozen(kw_only=True)
class TnefContents:
    """Hold what a winmail.dat holds.

    Attributes:
        files: Its files in order.
        text: Its plain text, or None.
        html: Its HTML, or None.
    """

    files: tuple[TnefFile, ...] = ()
    text: str | None = None
    html: str | None = None


OpenTnef = Callable[[bytes], TnefContents | None]
ReadBounce = Callable[[bytes], tuple[BounceReport, ...]]


@attrs.frozen(kw_only=True)
class Helpers:
    """Hold the helpers for one reading. One that raises is left out, with a defect.

    Attributes:
        guess_charset: Names the character set of bytes (64 KiB at most), or None.
        open_tnef: Opens a winmail.dat; None when it cannot.
        read_bounce: Asked for the recipients of a mail that is a bounce by its sender and content,
            when our own rules find none in it.
    """

    guess_charset: GuessCharset | None = None
    open_tnef: OpenTnef | None = None
    read_bounce: ReadBounce | None = None


class Reader(Protocol):
    """Read one mail as `mailrouting.reading.read` does, perhaps elsewhere: in a child process."""

    def __call__(
        self, raw: MailSource, *, limits: ReadingLimits = ..., helpers: Helpers | None = ...
    ) -> Message:
        """Return the mail, understood as far as possible; what this raises fails the attempt."""
        ...
