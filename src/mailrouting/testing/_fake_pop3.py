"""Be a POP3 session on the fake mail server without a socket."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from mailrouting.accounts import canonical_folder
from mailrouting.errors import ConfigurationError, SessionError
from mailrouting.records import Uid
from mailrouting.session import FolderStatus, MailInfo, RawMail, SessionFeature
from mailrouting.testing._pop3_drop import Maildrop, as_sent
from mailrouting.testing._server_state import (
    Dropped,
    Garbage,
    MailboxState,
    Refused,
    ServerState,
    Silence,
    header_of,
)
from mailrouting.wire.guard import one_line
from mailrouting.wire.trouble import Place

__all__ = ["FakePop3Session"]

_WINDOW = 500
_LONGEST_HEADER = 256 * 1024


class FakePop3Session:
    """Be a `MailSession` by POP3: deletions at QUIT, no flags, one folder.

    Mails without a unique-id of their own are named by content, as the library does it at servers.
    """

    def __init__(
        self, state: ServerState, mailbox: MailboxState, *, number: int, place: Place
    ) -> None:
        self._state = state
        self._username = mailbox.username
        self._number = number
        self._place = place
        with state.lock:
            self._drop = Maildrop(state, mailbox)
        self._names: dict[Uid, list[int]] = self._drop.names()
        self._is_open = False
        self._opening = 0
        self._writable = False
        self._closed = False

    def __repr__(self) -> str:
        folder = "no folder open" if not self._is_open else "INBOX"
        state = "closed" if self._closed else folder
        return f"<FakePop3Session {self._number} of {self._username}: {state}>"

    @property
    def features(self) -> frozenset[SessionFeature]:
        """Say what can be done here: nothing beside reading and deleting."""
        return frozenset()

    def open_folder(self, folder: str, *, writable: bool) -> FolderStatus:
        """Open `INBOX`, the only folder."""
        one_line(folder, what="the folder's name")
        if canonical_folder(folder) != "INBOX":
            raise self._place.no_folder(folder, available=("INBOX",), command="LIST")
        with self._command("LIST"):
            messages = len([*self._drop.numbered()])
        with self._command("UIDL"):
            if not self._drop.has_uidl and not writable:
                raise ConfigurationError(
                    "the server has no unique-ids (POP3 UIDL), so no mail can stay there",
                    hint="Set the account to delete mail that was taken in.",
                )
        self._is_open, self._writable = True, writable
        self._opening += 1
        return FolderStatus(
            uidvalidity=None,
            uidnext=None,
            messages=messages,
            writable=writable,
        )

    def list_uids(self) -> Iterator[tuple[Uid, ...]]:
        """Yield the UIDs in windows, in order of arrival."""
        self._opened("UIDL")
        uids = [uid for uid, _ in self._wanted(tuple(self._names))]
        for start in range(0, len(uids), _WINDOW):
            yield tuple(uids[start : start + _WINDOW])

    def stat(self, uids: Sequence[Uid]) -> tuple[MailInfo, ...]:
        """Return what the server tells about these mails, in the order asked for."""
        drop = self._opened("LIST")
        return tuple(
            MailInfo(uid=uid, size=len(as_sent(drop.mail(number).raw)), received_at=None)
            for uid, number in self._wanted(uids)
        )

    def read(self, uids: Sequence[Uid]) -> Iterator[RawMail]:
        """Yield the mails' bytes, in the order asked for."""
        drop, opening = self._opened("RETR"), self._opening
        for uid, number in self._wanted(uids):
            with self._command("RETR", str(number)):
                raw = as_sent(drop.mail(number).raw)
            yield RawMail(uid=uid, raw=raw)
            self._still(opening, "RETR")

    def read_headers(self, uids: Sequence[Uid]) -> Iterator[tuple[Uid, bytes]]:
        """Yield the mails' headers, in the order asked for."""
        drop, opening = self._opened("TOP"), self._opening
        for uid, number in self._wanted(uids):
            with self._command("TOP", str(number), "0"):
                header = header_of(drop.mail(number).raw)
            if len(header) <= _LONGEST_HEADER:
                yield uid, header
            self._still(opening, "TOP")

    def check(self) -> bool:
        """Return True: only a new session sees what came."""
        self._opened("NOOP")
        return True

    def mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Refuse: POP3 has no flags."""
        del uids
        self._refuse(SessionFeature.FLAGS, "STORE")

    def move(self, uids: Sequence[Uid], folder: str) -> frozenset[Uid]:
        """Refuse: POP3 has no folders."""
        del uids, folder
        self._refuse(SessionFeature.FOLDERS, "MOVE")

    def delete(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Mark mails deleted; they go when the session is closed."""
        drop = self._opened("DELE")
        if not self._writable:
            raise self._place.misused("the folder is open for reading only", command="DELE")
        for uid in uids:
            for number in self._numbers(uid):
                with self._command("DELE", str(number)):
                    drop.mail(number)
                    drop.marked.add(number)
        return frozenset(uids)

    def ensure_folder(self, folder: str) -> None:
        """Refuse: POP3 has no folders."""
        del folder
        self._refuse(SessionFeature.FOLDERS, "CREATE")

    def close(self) -> None:
        """Leave cleanly, and remove what was deleted. Idempotent; never raises."""
        if self._closed:
            return
        try:
            with self._command("QUIT"):
                self._drop.commit()
        except SessionError:
            pass
        finally:
            self._leave()

    @contextmanager
    def _command(self, verb: str, *arguments: str) -> Generator[None]:
        """Run a command on the shared state; turn its events into our errors."""
        if self._closed:
            raise self._place.lost("it was closed", command=verb)
        error: SessionError
        try:
            with self._state.command(self._number, verb, *arguments):
                yield
        except Dropped:
            error = self._place.lost("the server hung up", command=verb)
        except Silence:
            error = self._place.lost("it was silent or slow for too long", command=verb)
        except Garbage:
            error = self._place.broken("its answer makes no sense", command=verb)
        except Refused as refusal:
            raise self._place.refused(refusal.text, command=verb, code=refusal.code) from None
        else:
            return
        self._leave()
        raise error

    def _leave(self) -> None:
        self._closed = True
        self._state.end_session(self._number)

    def _refuse(self, feature: SessionFeature, verb: str) -> NoReturn:
        if self._closed:
            raise self._place.lost("it was closed", command=verb)
        raise self._place.misused(f"POP3 knows nothing of it: {feature.value}", command=verb)

    def _opened(self, verb: str) -> Maildrop:
        if self._closed:
            raise self._place.lost("it was closed", command=verb)
        if not self._is_open:
            raise self._place.misused("no folder is open", command=verb)
        if self._drop.renumbered:
            # Real servers hang up when a folder is rebuilt under a session.
            self._leave()
            raise self._place.lost("the server hung up", command=verb)
        return self._drop

    def _still(self, opening: int, verb: str) -> None:
        """Stop what was begun before the folder was opened again."""
        if self._opening != opening:
            raise self._place.misused("a folder was opened meanwhile", command=verb)

    def _numbers(self, uid: Uid) -> list[int]:
        """Return the mails of that name that are there."""
        one_line(uid, what="a UID")
        return [number for number in self._names.get(uid, ()) if self._drop.has(number)]

    def _wanted(self, uids: Sequence[Uid]) -> Iterator[tuple[Uid, int]]:
        """Yield those that are there, each once; another session may remove them meanwhile."""
        for uid in dict.fromkeys(uids):
            numbers = self._numbers(uid)
            if numbers:
                yield uid, numbers[0]
