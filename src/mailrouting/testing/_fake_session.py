"""Be an IMAP session on the fake mail server without a socket."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from mailrouting.errors import SessionError
from mailrouting.records import Uid
from mailrouting.session import FolderStatus, MailInfo, RawMail, SessionFeature
from mailrouting.testing._server_state import (
    Dropped,
    FolderState,
    Garbage,
    MailboxState,
    Refused,
    ServerState,
    Silence,
    header_of,
)
from mailrouting.wire.guard import imap_uids, one_line, uid_set
from mailrouting.wire.trouble import Place

__all__ = ["FakeSession"]

_WINDOW = 500
_LONGEST_HEADER = 256 * 1024


class FakeSession:
    """Be a `MailSession` by IMAP on a `FakeMailServer`; made by its `open_session` and `open_mailbox`."""

    def __init__(
        self,
        state: ServerState,
        mailbox: MailboxState,
        *,
        number: int,
        place: Place,
    ) -> None:
        self._state = state
        self._mailbox = mailbox
        self._number = number
        self._place = place
        self._folder: FolderState | None = None
        self._writable = False
        self._uidvalidity = 0
        self._opening = 0
        self._listed_to = 0
        self._closed = False

    def __repr__(self) -> str:
        folder = "no folder open" if self._folder is None else self._folder.name
        state = "closed" if self._closed else folder
        return f"<FakeSession {self._number} of {self._mailbox.username}: {state}>"

    @property
    def features(self) -> frozenset[SessionFeature]:
        """Say what can be done here."""
        return frozenset(SessionFeature)

    def open_folder(self, folder: str, *, writable: bool) -> FolderStatus:
        """Open a folder."""
        verb = "SELECT" if writable else "EXAMINE"
        one_line(folder, what="the folder's name")
        with self._command(verb, folder):
            found = self._find(folder, verb)
            if writable and found.read_only:
                raise self._place.read_only(folder)
            self._folder, self._writable = found, writable
            self._opening += 1
            self._uidvalidity, self._listed_to = found.uidvalidity, found.uidnext
            return FolderStatus(
                uidvalidity=found.uidvalidity,
                uidnext=found.uidnext,
                messages=len(found.mails),
                writable=not found.read_only and writable,
            )

    def list_uids(self) -> Iterator[tuple[Uid, ...]]:
        """Yield the UIDs of the open folder in windows, in order of arrival."""
        folder = self._opened("SEARCH")
        with self._command("SEARCH", "UNDELETED"):
            self._listed_to = folder.uidnext
            uids = [mail.uid for mail in folder.mails.values() if "\\Deleted" not in mail.flags]
        for start in range(0, len(uids), _WINDOW):
            yield tuple(uids[start : start + _WINDOW])

    def stat(self, uids: Sequence[Uid]) -> tuple[MailInfo, ...]:
        """Return what the server tells about these mails, in the order asked for."""
        folder = self._opened("FETCH")
        numbers = imap_uids(uids)
        if not numbers:
            return ()
        with self._command("FETCH", uid_set(numbers), "RFC822.SIZE FLAGS INTERNALDATE"):
            mails = [folder.mails[number] for number in numbers if number in folder.mails]
        return tuple(
            MailInfo(
                uid=mail.uid,
                size=len(mail.raw),
                received_at=mail.received_at,
                flags=mail.flags,
            )
            for mail in mails
        )

    def read(self, uids: Sequence[Uid]) -> Iterator[RawMail]:
        """Yield the mails' bytes, in the order asked for, without marking them seen."""
        folder, opening = self._opened("FETCH"), self._opening
        for number in imap_uids(uids):
            with self._command("FETCH", str(number), "BODY.PEEK[]"):
                mail = folder.mails.get(number)
            if mail is not None:
                yield RawMail(
                    uid=mail.uid,
                    raw=mail.raw,
                    received_at=mail.received_at,
                )
            self._still(opening, "FETCH")

    def read_headers(self, uids: Sequence[Uid]) -> Iterator[tuple[Uid, bytes]]:
        """Yield the mails' headers, in the order asked for, without marking them seen."""
        folder, opening = self._opened("FETCH"), self._opening
        numbers = imap_uids(uids)
        if not numbers:
            return
        with self._command("FETCH", uid_set(numbers), "BODY.PEEK[HEADER]"):
            mails = [folder.mails[number] for number in numbers if number in folder.mails]
        for mail in mails:
            header = header_of(mail.raw)
            if len(header) <= _LONGEST_HEADER:
                yield mail.uid, header
            self._still(opening, "FETCH")

    def check(self) -> bool:
        """Ask whether mail came that was not listed."""
        folder = self._opened("NOOP")
        with self._command("NOOP"):
            return folder.uidnext > self._listed_to

    def mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Mark mails seen; return those that carry the flag now."""
        folder = self._changing("STORE")
        numbers = imap_uids(uids)
        if not numbers:
            return frozenset()
        with self._command("STORE", uid_set(numbers), "+FLAGS", "\\Seen"):
            seen = [number for number in numbers if folder.flag(number, add={"\\Seen"})]
        return frozenset(str(number) for number in seen)

    def move(self, uids: Sequence[Uid], folder: str) -> frozenset[Uid]:
        """Move mails to another folder; return those that are no longer in this one."""
        source = self._changing("MOVE")
        one_line(folder, what="the folder's name")
        numbers = imap_uids(uids)
        if not numbers:
            return frozenset()
        with self._command("MOVE", uid_set(numbers), folder):
            target = self._find(folder, "MOVE")
            source.copy_to(numbers, target)
            source.remove(numbers)
        return frozenset(str(number) for number in numbers)

    def delete(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Delete mails; return those that are gone."""
        folder = self._changing("EXPUNGE")
        numbers = imap_uids(uids)
        if not numbers:
            return frozenset()
        with self._command("STORE", uid_set(numbers), "+FLAGS", "\\Deleted"):
            for number in numbers:
                folder.flag(number, add={"\\Deleted"})
        if "UIDPLUS" not in self._state.without:
            with self._command("EXPUNGE", uid_set(numbers)):
                folder.remove(numbers)
        return frozenset(str(number) for number in numbers)

    def ensure_folder(self, folder: str) -> None:
        """Create a folder unless it exists. Idempotent."""
        one_line(folder, what="the folder's name")
        with self._command("CREATE", folder):
            if self._mailbox.folder(folder) is None:
                self._mailbox.create(folder)

    def close(self) -> None:
        """Leave cleanly. Idempotent; never raises."""
        if self._closed:
            return
        try:
            with self._command("LOGOUT"):
                pass
        except SessionError:
            pass
        finally:
            self._leave()

    @contextmanager
    def _command(self, verb: str, *arguments: str) -> Generator[None]:
        """Run a command on the shared state; turn its events into our errors."""
        if self._closed:
            raise self._place.lost("it was closed", command=verb)
        try:
            with self._state.command(self._number, verb, *arguments):
                yield
        except Dropped:
            self._leave()
            error: SessionError = self._place.lost("the server hung up", command=verb)
        except Silence:
            self._leave()
            error = self._place.lost("it was silent or slow for too long", command=verb)
        except Garbage:
            self._leave()
            error = self._place.broken("its answer makes no sense", command=verb)
        except Refused as refusal:
            error = self._place.refused(refusal.text, command=verb, code=refusal.code)
        else:
            return
        raise error

    def _leave(self) -> None:
        self._closed = True
        self._state.end_session(self._number)

    def _find(self, folder: str, verb: str) -> FolderState:
        found = self._mailbox.folder(folder)
        if found is None:
            raise self._place.no_folder(
                folder,
                available=tuple(self._mailbox.folders),
                command=verb,
                code="TRYCREATE" if verb == "MOVE" else "NONEXISTENT",
            )
        return found

    def _opened(self, verb: str) -> FolderState:
        if self._closed:
            raise self._place.lost("it was closed", command=verb)
        if self._folder is None:
            raise self._place.misused("no folder is open", command=verb)
        if self._folder.uidvalidity != self._uidvalidity:
            # Real servers hang up when a folder is rebuilt under a session.
            self._leave()
            raise self._place.lost("the server hung up", command=verb)
        return self._folder

    def _still(self, opening: int, verb: str) -> None:
        """Stop what was begun in a folder that is no longer open: its UIDs mean other mails."""
        if self._opening != opening:
            raise self._place.misused("another folder was opened meanwhile", command=verb)

    def _changing(self, verb: str) -> FolderState:
        folder = self._opened(verb)
        if not self._writable:
            raise self._place.misused("the folder is open for reading only", command=verb)
        return folder
