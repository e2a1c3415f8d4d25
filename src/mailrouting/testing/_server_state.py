"""Keep what the faces of the fake mail server share: mailboxes, commands, faults. No sockets."""

import enum
import itertools
import re
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import attrs

from mailrouting.accounts import canonical_folder
from mailrouting.records import Uid

__all__ = [
    "CommandRecord",
    "Dropped",
    "FakeMail",
    "Fault",
    "FaultKind",
    "FolderState",
    "Garbage",
    "MailboxState",
    "Refused",
    "ServerState",
    "Silence",
    "header_of",
]

_FIRST_UIDVALIDITY = 1_700_000_000
_FIRST_ARRIVAL = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_END_OF_HEADER = re.compile(rb"^\r?\n", re.MULTILINE)

_LOGINS = frozenset({"AUTHENTICATE", "AUTH", "PASS"})


def header_of(raw: bytes) -> bytes:
    r"""Return a mail's header with the empty line that ends it.

    >>> header_of(b"Subject: x\r\n\r\nbody\r\n")
    b'Subject: x\r\n\r\n'
    """
    end = _END_OF_HEADER.search(raw)
    return raw if end is None else raw[: end.end()]


@attrs.frozen(kw_only=True)
class FakeMail:
    r"""Be a mail as the fake server keeps it.

    Attributes:
        uid: Its IMAP UID, in decimal.
        unique_id: Its POP3 unique-id: new with every UIDVALIDITY, as Dovecot does it.
        raw: Its bytes.
        flags: Its IMAP flags, for instance `\Seen`.
        received_at: INTERNALDATE.
    """

    uid: Uid
    unique_id: Uid
    raw: bytes = attrs.field(repr=False)
    flags: frozenset[str]
    received_at: datetime


@attrs.frozen(kw_only=True)
class CommandRecord:
    """Say what a session asked of the fake server; secrets are left out.

    Attributes:
        session: Number of the session, from 1.
        verb: The command, upper case, for instance `FETCH`.
        arguments: What it was asked with.
    """

    session: int
    verb: str
    arguments: tuple[str, ...]


class Dropped(Exception):  # noqa: N818 - an event on the wire, not an error of ours
    """The connection ends now."""


class Garbage(Exception):  # noqa: N818 - likewise
    """The server answers what is no answer."""


class Silence(Exception):  # noqa: N818 - likewise
    """The server answers nothing any more."""


class Refused(Exception):  # noqa: N818 - a server's NO, not an error of ours
    """The server answers NO."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class FaultKind(enum.Enum):
    """Say what goes wrong with a command."""

    DROP_BEFORE = "the connection ends before the command is carried out"
    DROP_AFTER = "the connection ends when it is carried out, before the answer"
    ANSWER_NO = "the server refuses it"
    GARBAGE = "nothing is carried out, and the answer makes no sense"
    SILENCE = "nothing is carried out, and no answer ever comes"


@attrs.define(kw_only=True)
class Fault:
    """Be one fault that waits for its command."""

    kind: FaultKind
    verb: str
    waits: int = 0
    times: int | None = 1
    code: str | None = None

    def strike_before(self, verb: str) -> None:
        """Keep the command from being carried out, unless the fault comes after it.

        Raises:
            Dropped: By the fault's kind, as all of these.
            Refused: Likewise.
            Garbage: Likewise.
            Silence: Likewise.
        """
        match self.kind:
            case FaultKind.DROP_BEFORE:
                raise Dropped
            case FaultKind.GARBAGE:
                raise Garbage
            case FaultKind.SILENCE:
                raise Silence
            case FaultKind.ANSWER_NO:
                raise Refused(f"{verb} refused by the test", self.code)
            case FaultKind.DROP_AFTER:
                pass


@attrs.define(kw_only=True)
class FolderState:
    """Be one folder."""

    name: str
    uidvalidity: int
    uidnext: int = 1
    read_only: bool = False
    mails: dict[int, FakeMail] = attrs.field(factory=dict[int, FakeMail])

    def append(self, raw: bytes, *, received_at: datetime, flags: frozenset[str]) -> int:
        """Put a mail at the end; return its UID."""
        number = self.uidnext
        self.uidnext += 1
        self.mails[number] = FakeMail(
            uid=str(number),
            unique_id=f"{self.uidvalidity:08x}{number:08x}",
            raw=raw,
            flags=flags,
            received_at=received_at,
        )
        return number

    def flag(self, number: int, *, add: Collection[str] = (), drop: Collection[str] = ()) -> bool:
        """Change flags; False when there is no such mail."""
        mail = self.mails.get(number)
        if mail is None:
            return False
        flags = (mail.flags | frozenset(add)) - frozenset(drop)
        self.mails[number] = attrs.evolve(mail, flags=flags)
        return True

    def share_unique_id(self, numbers: Sequence[int]) -> None:
        """Give mails the POP3 unique-id of the first."""
        for number in numbers:
            mail = self.mails[number]
            unique_id = self.mails[numbers[0]].unique_id
            self.mails[number] = attrs.evolve(mail, unique_id=unique_id)

    def copy_to(self, numbers: Collection[int], target: "FolderState") -> None:
        """Copy the mails that exist, in order of arrival."""
        for number in sorted(number for number in numbers if number in self.mails):
            mail = self.mails[number]
            target.append(mail.raw, received_at=mail.received_at, flags=mail.flags)

    def remove(self, numbers: Collection[int]) -> None:
        """Remove the mails that exist."""
        for number in numbers:
            self.mails.pop(number, None)

    def renumber(self) -> None:
        """Begin a new generation: a larger UIDVALIDITY, and UIDs from 1."""
        self.uidvalidity += 1
        self.uidnext = 1
        mails, self.mails = tuple(self.mails.values()), {}
        for mail in mails:
            self.append(mail.raw, received_at=mail.received_at, flags=mail.flags)


@attrs.define(kw_only=True)
class MailboxState:
    """Be what one login opens."""

    username: str
    password: str = attrs.field(repr=False)
    addresses: frozenset[str]
    folders: dict[str, FolderState]
    granted: set[str] = attrs.field(factory=set[str])

    def folder(self, name: str) -> FolderState | None:
        """Find a folder; INBOX in any case (RFC 9051 §5.1)."""
        return self.folders.get(canonical_folder(name))

    def create(self, name: str) -> None:
        """Create a folder."""
        self.folders[name] = FolderState(
            name=name, uidvalidity=_FIRST_UIDVALIDITY + len(self.folders)
        )


class ServerState:
    """Be all that the faces share. Whoever touches it holds `lock`."""

    def __init__(
        self, *, without: Collection[str] = (), clock: Callable[[], datetime] | None = None
    ) -> None:
        self.lock: AbstractContextManager[bool] = threading.RLock()
        self.without: frozenset[str] = frozenset(extension.upper() for extension in without)
        self.mailboxes: dict[str, MailboxState] = {}
        self.records: list[CommandRecord] = []
        self.faults: list[Fault] = []
        self.login_refusals: dict[str, str | None] = {}
        self.online = True
        self.open_sessions: set[int] = set()
        self._numbers = itertools.count(1)
        self._arrivals = itertools.count()
        self._clock = clock

    def now(self) -> datetime:
        """Return the clock's time, or a time one second later at each call."""
        if self._clock is not None:
            return self._clock()
        return _FIRST_ARRIVAL + timedelta(seconds=next(self._arrivals))

    def begin_session(self) -> int:
        """Number a connection.

        Raises:
            Dropped: The server is offline.
        """
        with self.lock:
            if not self.online:
                raise Dropped
            number = next(self._numbers)
            self.open_sessions.add(number)
            return number

    def end_session(self, number: int) -> None:
        """Forget a connection."""
        with self.lock:
            self.open_sessions.discard(number)

    @contextmanager
    def command(self, session: int, verb: str, *arguments: str) -> Generator[None]:
        """Record a command, hold the lock while it runs, and let a waiting fault strike.

        Raises:
            Dropped: The connection ends, before or after the command was carried out.
            Refused: The command was not carried out.
            Garbage: Likewise; the answer is to make no sense.
            Silence: Likewise; there is to be none.
        """
        with self.lock:
            if session not in self.open_sessions or not self.online:
                raise Dropped
            self.records.append(CommandRecord(session=session, verb=verb, arguments=arguments))
            fault = self._due("LOGIN" if verb in _LOGINS else verb)
            if fault is not None:
                fault.strike_before(verb)
            try:
                yield
            finally:
                # A refusal is an answer, too, and is lost.
                if fault is not None:
                    raise Dropped

    def log_in(
        self,
        session: int,
        verb: str,
        *arguments: str,
        username: str,
        authname: str | None = None,
        password: str | None = None,
    ) -> MailboxState:
        """Open the mailbox of `username`; a `password` of None is not asked for.

        Raises:
            Dropped: The connection ends.
            Refused: The login is refused.
        """
        with self.command(session, verb, *arguments):
            for name in (authname, username):
                if name in self.login_refusals:
                    raise Refused("login refused by the test", self.login_refusals[name])
            mailbox = self.mailboxes.get(username)
            if mailbox is None or (authname is not None and authname not in mailbox.granted):
                raise Refused("wrong user name or password", "AUTHENTICATIONFAILED")
            holder = self.mailboxes.get(authname or username)
            if password is not None and (holder is None or holder.password != password):
                raise Refused("wrong user name or password", "AUTHENTICATIONFAILED")
            return mailbox

    def _due(self, verb: str) -> Fault | None:
        """Return the fault that strikes now; one that waits comes a command closer."""
        for fault in tuple(self.faults):
            if fault.verb != verb:
                continue
            if fault.waits:
                fault.waits -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
            return fault
        return None
