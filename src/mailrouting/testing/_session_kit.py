"""Hold what the session kit's tests share: the author's hook, another client's hands, samples."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import attrs
import pytest

from mailrouting.errors import MailroutingError
from mailrouting.records import Uid
from mailrouting.session import MailSession, SessionFeature

__all__ = [
    "CutsConnections",
    "FlagsMail",
    "MailOnServer",
    "MailboxHands",
    "RecordsCommands",
    "RenumbersMail",
    "SessionKit",
    "check_hidden",
    "command_count",
    "left_in",
    "listed",
    "sample",
]


@attrs.frozen(kw_only=True)
class MailOnServer:
    r"""Be a mail as another client sees it.

    Attributes:
        raw: Its bytes.
        flags: IMAP flags, `\Recent` left out; empty on POP3.
    """

    raw: bytes = attrs.field(repr=False)
    flags: frozenset[str] = frozenset()


class MailboxHands(Protocol):
    """Be a mailbox that is empty at first, and another client's hands on it.

    More abilities are small protocols of their own: `FlagsMail`, `RenumbersMail`,
    `CutsConnections`, `RecordsCommands`. A test that needs one is skipped without it, and says so.
    """

    @property
    def secret(self) -> str:
        """Return what logs in, which must show nowhere."""
        ...

    def open_session(self) -> MailSession:
        """Open a new session, without a folder."""
        ...

    def deliver(self, raw: bytes) -> None:
        """Put a mail at the end of `INBOX`, at once."""
        ...

    def remove(self, uid: Uid) -> None:
        """Let another client remove a mail from `INBOX`, for good and at once."""
        ...

    def contents(self, folder: str = "INBOX") -> Sequence[MailOnServer]:
        """Return what another client sees in a folder now, in order of arrival."""
        ...


@runtime_checkable
class FlagsMail(Protocol):
    """Another client can set flags."""

    def set_flag(self, uid: Uid, flag: str) -> None:
        """Set a flag on a mail in `INBOX`."""
        ...


@runtime_checkable
class RenumbersMail(Protocol):
    """The server can number its mail anew, as after a migration."""

    def renumber(self) -> None:
        """Give `INBOX` a new UIDVALIDITY, and its mails UIDs in another order or from 1."""
        ...


@runtime_checkable
class CutsConnections(Protocol):
    """The server can hang up."""

    def cut(self) -> None:
        """End every connection there is; new ones are served."""
        ...


@runtime_checkable
class RecordsCommands(Protocol):
    """The server remembers what it was asked."""

    def commands(self) -> int:
        """Return how many commands it has received."""
        ...


def sample(number: int, *, body: bytes = b"") -> bytes:
    """Return the mail of this number, as a server sends it."""
    head = (
        f"From: a@example.net\r\nMessage-ID: <{number}@example.net>\r\nSubject: mail {number}\r\n"
    )
    return head.encode() + b"\r\n" + (body or b"mail %d\r\n" % number)


def listed(session: MailSession) -> list[Uid]:
    """Return every UID of the open folder."""
    return [uid for window in session.list_uids() for uid in window]


class SessionKit:
    """Hold the author's hook and what the kit's tests share."""

    known_gaps: ClassVar[dict[str, str]] = {}

    def mailbox(self, fresh_dir: Path) -> MailboxHands:
        """Return an empty mailbox, with another client's hands on it.

        Called for every test.

        Args:
            fresh_dir: A new, empty folder; what is kept elsewhere is named after it.
        """
        raise TypeError(f"{type(self).__name__} has no mailbox for data in {fresh_dir}")

    @pytest.fixture
    def hands(self, tmp_path: Path) -> MailboxHands:
        """Return an empty mailbox."""
        return self.mailbox(tmp_path)

    @pytest.fixture
    def opened(self, hands: MailboxHands) -> Generator[Callable[..., MailSession]]:
        """Return what opens a session and its INBOX; all are closed at the end."""
        sessions: list[MailSession] = []

        def open_inbox(*, writable: bool = True) -> MailSession:
            session = hands.open_session()
            sessions.append(session)
            session.open_folder("INBOX", writable=writable)
            return session

        yield open_inbox
        for session in sessions:
            session.close()

    @staticmethod
    def require(session: MailSession, feature: SessionFeature) -> None:
        """Skip the test unless the session can do this."""
        if feature not in session.features:
            pytest.skip(f"{type(session).__name__} has not {feature.name} ({feature.value})")

    @staticmethod
    def fill(hands: MailboxHands, count: int) -> list[bytes]:
        """Deliver so many mails; return them."""
        raws = [sample(number) for number in range(1, count + 1)]
        for raw in raws:
            hands.deliver(raw)
        return raws

    @staticmethod
    @contextmanager
    def refused(hands: MailboxHands, sentence: str) -> Generator[None]:
        """Fail with the sentence unless the block raises one of our errors, without the secret."""
        try:
            yield
        except MailroutingError as error:
            check_hidden(hands, [str(error), repr(error), error.hint, str(vars(error))])
            return
        except Exception as error:  # noqa: BLE001 - whatever else it is, the sentence says what it should be
            pytest.fail(f"{sentence}: M6: it raised {type(error).__name__} ({error})")
        pytest.fail(f"{sentence}: it raised nothing")


def check_hidden(hands: MailboxHands, texts: Iterable[str]) -> None:
    """Fail when the secret shows."""
    assert not any(hands.secret in text for text in texts), "M6: the secret shows"


def left_in(hands: MailboxHands, folder: str = "INBOX") -> list[bytes]:
    """Return the mails in a folder that nobody marked deleted."""
    # Without UIDPLUS (RFC 4315) a session can only mark what is to go.
    return [mail.raw for mail in hands.contents(folder) if r"\Deleted" not in mail.flags]


def command_count(hands: MailboxHands) -> int:
    """Return how many commands the server has received; always 0 where it does not remember."""
    return hands.commands() if isinstance(hands, RecordsCommands) else 0
