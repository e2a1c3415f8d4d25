"""Answer the IMAP commands that look at or change mails in an opened folder."""

import re
from collections.abc import Sequence

from mailrouting.testing._imap_text import decode_folder, flag_list, internal_date, matches
from mailrouting.testing._server_state import (
    Dropped,
    FakeMail,
    FolderState,
    MailboxState,
    Refused,
    ServerState,
    header_of,
)

__all__ = ["Bad", "OpenedFolder", "find_folder"]

_SECTION = re.compile(r"BODY(\.PEEK)?\[(HEADER)?\](?:<(\d+)\.(\d+)>)?")


class Bad(Exception):  # noqa: N818 - a server's BAD, not an error of ours
    """The command is answered with BAD."""


def find_folder(mailbox: MailboxState, name: str, code: str = "NONEXISTENT") -> FolderState:
    """Find a folder.

    Raises:
        Refused: There is none.
    """
    folder = mailbox.folder(name)
    if folder is None:
        raise Refused("there is no such folder", code)
    return folder


class OpenedFolder:
    """Be a session's view of a folder: what it was told of, in its order.

    Attributes:
        writable: Whether changes are carried out.
        view: The UIDs by sequence number.
        out: Where the answers' lines go.
    """

    def __init__(
        self,
        state: ServerState,
        number: int,
        *,
        mailbox: MailboxState,
        folder: FolderState,
        writable: bool,
        out: list[bytes],
    ) -> None:
        self.writable = writable
        self.view = list(folder.mails)
        self.out = out
        self._state = state
        self._number = number
        self._mailbox = mailbox
        self._folder = folder
        self._uidvalidity = folder.uidvalidity

    @property
    def _here(self) -> FolderState:
        if self._folder.uidvalidity != self._uidvalidity:
            # Real servers hang up when a folder is rebuilt under a session.
            raise Dropped
        return self._folder

    def _say(self, line: str) -> None:
        self.out.append(line.encode() + b"\r\n")

    def tell_changes(self) -> None:
        """Say what others changed: here sequence numbers move, so only between commands."""
        with self._state.lock:
            there = self._here.mails
            for index in reversed(range(len(self.view))):
                if self.view[index] not in there:
                    del self.view[index]
                    self._say(f"* {index + 1} EXPUNGE")
            if len(there) != len(self.view):
                self.view = list(there)
                self._say(f"* {len(self.view)} EXISTS")

    def _uids(self, sequence_set: str) -> list[int]:
        return [uid for uid in matches(sequence_set, self.view) if uid in self._here.mails]

    def search(self, arguments: Sequence[str]) -> str:
        """Answer SEARCH."""
        with self._state.command(self._number, "SEARCH", *arguments):
            found = [uid for uid in self.view if uid in self._here.mails]
            words = iter(arguments)
            for word in words:
                match word.upper():
                    case "ALL":
                        pass
                    case "UID":
                        named = set(matches(next(words, ""), found))
                        found = [uid for uid in found if uid in named]
                    case "SEEN":
                        mails = self._here.mails
                        found = [uid for uid in found if "\\Seen" in mails[uid].flags]
                    case "LARGER" | "SMALLER" as criterion:
                        bound, mails = int(next(words, "")), self._here.mails
                        is_larger = criterion == "LARGER"
                        found = [
                            uid
                            for uid in found
                            if len(mails[uid].raw) != bound
                            and (len(mails[uid].raw) > bound) is is_larger
                        ]
                    case "UNDELETED" | "UNSEEN" as criterion:
                        flag = "\\" + criterion.removeprefix("UN").capitalize()
                        mails = self._here.mails
                        found = [uid for uid in found if flag not in mails[uid].flags]
                    case _:
                        places = matches(word, range(1, len(self.view) + 1))
                        named = {self.view[place - 1] for place in places}
                        found = [uid for uid in found if uid in named]
            self._say(" ".join(["* SEARCH", *map(str, found)]))
        return ""

    def fetch(self, arguments: Sequence[str]) -> str:
        """Answer FETCH; `BODY[]` marks seen, `BODY.PEEK[]` does not."""
        items = arguments[1].upper().split()
        with self._state.command(self._number, "FETCH", arguments[0], " ".join(items)):
            for uid in self._uids(arguments[0]):
                if "BODY[]" in items and self.writable:
                    self._here.flag(uid, add={"\\Seen"})
                mail = self._here.mails[uid]
                told = b" ".join(_told(mail, item) for item in items if item != "UID")
                place = self.view.index(uid) + 1
                self.out.append(b"* %d FETCH (UID %d %s)\r\n" % (place, uid, told))
        return ""

    def store(self, arguments: Sequence[str]) -> str:
        """Answer STORE."""
        sequence_set, how, *flags = arguments
        names = " ".join(flags).split()
        with self._state.command(self._number, "STORE", sequence_set, how, *names):
            # As Dovecot does it: on a read-only folder OK, and nothing happens.
            for uid in self._uids(sequence_set) if self.writable else ():
                add, drop = (names, ()) if how.startswith("+") else ((), names)
                self._here.flag(uid, add=add, drop=drop)
                if not how.upper().endswith(".SILENT"):
                    told = flag_list(self._here.mails[uid].flags)
                    place = self.view.index(uid) + 1
                    self._say(f"* {place} FETCH (UID {uid} FLAGS {told})")
        return ""

    def copy(self, arguments: Sequence[str]) -> str:
        """Answer COPY."""
        name = decode_folder(arguments[1])
        with self._state.command(self._number, "COPY", arguments[0], name):
            self._here.copy_to(
                self._uids(arguments[0]), find_folder(self._mailbox, name, "TRYCREATE")
            )
        return ""

    def move(self, arguments: Sequence[str]) -> str:
        """Answer MOVE (RFC 6851)."""
        if "MOVE" in self._state.without:
            raise Bad
        name = decode_folder(arguments[1])
        with self._state.command(self._number, "MOVE", arguments[0], name):
            target, uids = find_folder(self._mailbox, name, "TRYCREATE"), self._uids(arguments[0])
            if not self.writable:
                raise Refused("the folder is read-only", "READ-ONLY")
            self._here.copy_to(uids, target)
            self._here.remove(uids)
        return ""

    def expunge(self, arguments: Sequence[str]) -> str:
        """Answer UID EXPUNGE (RFC 4315)."""
        if "UIDPLUS" in self._state.without:
            raise Bad
        with self._state.command(self._number, "EXPUNGE", arguments[0]):
            uids = self._uids(arguments[0])
            mails = self._here.mails
            self._here.remove([uid for uid in uids if "\\Deleted" in mails[uid].flags])
        return ""


def _told(mail: FakeMail, item: str) -> bytes:
    """Write one item of a FETCH answer."""
    if item == "FLAGS":
        return f"FLAGS {flag_list(mail.flags)}".encode()
    if item == "RFC822.SIZE":
        return b"RFC822.SIZE %d" % len(mail.raw)
    if item == "INTERNALDATE":
        return f"INTERNALDATE {internal_date(mail.received_at)}".encode()
    section = _SECTION.fullmatch(item)
    if section is None:
        raise Bad
    name, whole = (b"HEADER", header_of(mail.raw)) if section[2] else (b"", mail.raw)
    if section[3] is None:
        return b"BODY[%s] {%d}\r\n%s" % (name, len(whole), whole)
    start = int(section[3])
    part = whole[start : start + int(section[4])]
    return b"BODY[%s]<%d> {%d}\r\n%s" % (name, start, len(part), part)
