"""Be the fake mail server's INBOX as one POP3 session sees it: numbers hold until it ends."""

import hashlib
from collections import Counter
from collections.abc import Iterator

from mailrouting.records import Uid
from mailrouting.testing._server_state import (
    FakeMail,
    FolderState,
    MailboxState,
    Refused,
    ServerState,
    header_of,
)

__all__ = ["Maildrop", "as_sent"]


def as_sent(raw: bytes) -> bytes:
    r"""Return a mail as POP3 sends it: a line that is a dot alone follows, so the last one ends.

    >>> as_sent(b"Subject: x\r\n\r\nbody")
    b'Subject: x\r\n\r\nbody\r\n'
    """
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


class Maildrop:
    """Be what one login sees. Whoever touches it holds the state's lock.

    Attributes:
        has_uidl: Whether the server knows UIDL.
        marked: Numbers of mails that go at QUIT.
    """

    def __init__(self, state: ServerState, mailbox: MailboxState) -> None:
        inbox = mailbox.folder("INBOX")
        assert inbox is not None
        self._folder: FolderState = inbox
        self._uidvalidity = inbox.uidvalidity
        self._mails = list(inbox.mails.values())
        self.has_uidl: bool = "UIDL" not in state.without
        self.marked: set[int] = set()

    @property
    def renumbered(self) -> bool:
        """Say whether the server began a new generation under this session."""
        return self._folder.uidvalidity != self._uidvalidity

    def numbered(self) -> Iterator[tuple[int, FakeMail]]:
        """Yield the mails that are not marked, with their numbers from 1."""
        for number, mail in enumerate(self._mails, 1):
            if number not in self.marked:
                yield number, mail

    def unique_ids(self) -> Iterator[tuple[int, str]]:
        """Yield numbers and unique-ids.

        Raises:
            Refused: The server has no UIDL.
        """
        if not self.has_uidl:
            raise Refused("no unique-ids here")
        for number, mail in self.numbered():
            yield number, mail.unique_id

    def names(self) -> dict[Uid, list[int]]:
        """Return the names that last: unique-ids, and digests where several mails share one."""
        counted = Counter(mail.unique_id for mail in self._mails)
        found: dict[Uid, list[int]] = {}
        for number, mail in enumerate(self._mails, 1):
            name = mail.unique_id
            if not self.has_uidl or counted[name] > 1:
                name = f"sha256 {hashlib.sha256(as_sent(mail.raw)).hexdigest()}"
            found.setdefault(name, []).append(number)
        return found

    def has(self, number: int) -> bool:
        """Say whether there is such a mail, not marked and not removed by another session."""
        is_one = 0 < number <= len(self._mails) and number not in self.marked
        return is_one and int(self._mails[number - 1].uid) in self._folder.mails

    def mail(self, number: int) -> FakeMail:
        """Return a mail.

        Raises:
            Refused: There is none: see `has`.
        """
        if not self.has(number):
            raise Refused("no such message")
        return self._mails[number - 1]

    def top(self, number: int, lines: int) -> bytes:
        """Return a mail's header and so many lines of its body. Raises as `mail`."""
        raw = as_sent(self.mail(number).raw)
        header = header_of(raw)
        body = raw[len(header) :].splitlines(keepends=True)
        return header + b"".join(body[:lines])

    def commit(self) -> None:
        """Remove what is marked."""
        self._folder.remove([int(self._mails[number - 1].uid) for number in self.marked])
        self.marked.clear()
