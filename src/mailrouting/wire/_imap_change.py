"""Change mails over IMAP: in UID sets, which are looked at afterwards.

Nothing but named mails is ever touched: no plain EXPUNGE, no CLOSE (RFC 4315). Each command waits
for the answer to the one before: Dovecot (2.3) answers a SEARCH that is sent along with a MOVE from
the folder as it was before, so what was moved is still listed.
"""

from collections.abc import Sequence
from functools import partial

import attrs

from mailrouting.wire._imap_client import Connection, folder_name
from mailrouting.wire._imap_folder import Opened, folder_refusal, open_folder
from mailrouting.wire._imap_read import UIDS_A_COMMAND, flag_names, mail_info, parts, read_headers
from mailrouting.wire.guard import uid_set

__all__ = ["Changes"]

_MOVE_TRIES = 2
_SEEN = "\\Seen"
_DELETED = "\\Deleted"
_MOVING = "$MrMoving"
"""Marks mail of which a copy may be in the other folder already, where the server has no MOVE."""

_MOST_LIKELY_COPIES = 20
"""Mails of one size in a folder that are compared by their headers, the newest."""


@attrs.frozen(kw_only=True)
class Changes:
    """Change mails of one opened folder.

    Attributes:
        connection: With the folder open.
        folder: The folder.
        capabilities: What the server can do.
    """

    connection: Connection
    folder: Opened
    capabilities: frozenset[str]

    def mark_seen(self, numbers: Sequence[int]) -> set[int]:
        """Mark mails seen; return those that carry the flag now."""
        self._require(_SEEN)
        seen: set[int] = set()
        for some in parts(numbers, UIDS_A_COMMAND):
            self._ask(_store(some, _SEEN))
            seen.update(self._ask(_search(some, "SEEN")) or ())
        return seen & set(numbers)

    def delete(self, numbers: Sequence[int]) -> set[int]:
        """Delete mails; return those that are gone, or marked deleted where nothing removes them."""
        gone: set[int] = set()
        for some in parts(numbers, UIDS_A_COMMAND):
            gone |= self._delete(some)
        return gone

    def move(self, numbers: Sequence[int], target: str) -> set[int]:
        """Move mails; return those that are no longer here.

        Raises:
            FolderNotFoundError: There is no such folder.
            SessionError: The server refused; the mails stay.
        """
        step = self._move if "MOVE" in self.capabilities else self._copy_and_delete
        gone: set[int] = set()
        for some in parts(numbers, UIDS_A_COMMAND):
            left = list(some)
            for _ in range(_MOVE_TRIES):
                done = step(left, target)
                if done is not None:
                    gone |= done
                    break
                # Another client took some of them, and nothing was done: once more without those.
                gone |= self._absent(left)
                left = [number for number in left if number not in gone]
                if not left:
                    break
        return gone

    def _move(self, numbers: Sequence[int], target: str) -> set[int] | None:
        command = ("UID", "MOVE", uid_set(numbers), folder_name(target))
        (refused,) = self.connection.flight(command).refusals
        if refused is None:
            return self._absent(numbers)
        if refused.code == "EXPUNGEISSUED":
            return None
        raise folder_refusal(self.connection, target, "MOVE", refused)

    def _copy_and_delete(self, numbers: Sequence[int], target: str) -> set[int] | None:
        """Do as MOVE does, in steps; what was copied before a crash is not copied again."""
        self._require(_DELETED)
        flags = self._flags(numbers)
        # What is marked deleted was copied before, and stays where nothing is expunged.
        here = [number for number in numbers if _DELETED.lower() not in flags.get(number, _GONE)]
        begun = [number for number in here if _MOVING.lower() in flags[number]]
        copied = self._copied(begun, target) if begun else set[int]()
        wanted = [number for number in here if number not in copied]
        if wanted and not self._copy(wanted, target):
            return None
        return set(numbers).difference(here) | (self._delete(here) if here else set())

    def _copy(self, numbers: Sequence[int], target: str) -> bool:
        """Copy mails, marked as being moved; False when another client took some."""
        marks = self.folder.keeps(_MOVING)
        if marks:
            self._ask(_store(numbers, _MOVING))
        command = ("UID", "COPY", uid_set(numbers), folder_name(target))
        (refused,) = self.connection.flight(command).refusals
        if refused is None:
            return True
        if marks:
            self._ask(_store(numbers, _MOVING, how="-FLAGS.SILENT"))
        if refused.code == "EXPUNGEISSUED":
            return False
        raise folder_refusal(self.connection, target, "COPY", refused)

    def _copied(self, numbers: Sequence[int], target: str) -> set[int]:
        """Return those of which the other folder has a copy: the same size and header.

        Nothing that a mail says goes into a command.
        """
        connection = self.connection
        told = connection.run("FETCH", partial(connection.client.fetch, numbers, ["RFC822.SIZE"]))
        sizes = {
            number: mail_info(number, told[number]).size for number in numbers if number in told
        }
        headers = {int(uid): header for uid, header in read_headers(connection, numbers)}
        copied: set[int] = set()
        open_folder(connection, target, writable=False)
        for number, header in headers.items():
            size = sizes.get(number)
            if size is not None and header in self._headers_of_size(size):
                copied.add(number)
        again = open_folder(connection, self.folder.name, writable=True)
        if again.status.uidvalidity != self.folder.status.uidvalidity:
            connection.close()
            raise connection.place.lost("the folder was numbered anew", command="SELECT")
        connection.exists = again.messages  # some of it may not have been listed
        return copied

    def _headers_of_size(self, size: int) -> set[bytes]:
        of_size = ("UID", "SEARCH", "LARGER", str(size - 1), "SMALLER", str(size + 1))
        likely = sorted(self._ask(of_size) or ())[-_MOST_LIKELY_COPIES:]
        return {header for _, header in read_headers(self.connection, likely)}

    def _delete(self, numbers: Sequence[int]) -> set[int]:
        self._require(_DELETED)
        self._ask(_store(numbers, _DELETED))
        if "UIDPLUS" in self.capabilities:
            self._ask(("UID", "EXPUNGE", uid_set(numbers)))
        return self._absent(numbers)

    def _flags(self, numbers: Sequence[int]) -> dict[int, frozenset[str]]:
        """Return the flags of the mails that are there, lower case."""
        client = self.connection.client
        told = self.connection.run("FETCH", partial(client.fetch, numbers, ["FLAGS"]))
        return {
            number: frozenset(name.lower() for name in flag_names(told[number].get(b"FLAGS")))
            for number in numbers
            if number in told
        }

    def _absent(self, numbers: Sequence[int]) -> set[int]:
        """Return those that the server no longer lists; none where it lists nothing at all."""
        found = self._ask(_search(numbers, "UNDELETED"))
        return set() if found is None else set(numbers) - found

    def _ask(self, command: Sequence[str]) -> frozenset[int] | None:
        """Send a command; return what it listed, if it is a SEARCH."""
        flight = self.connection.flight(command)
        (refused,) = flight.refusals
        if refused is not None:
            raise self.connection.refusal(flight.verbs[0], refused)
        return flight.found

    def _require(self, flag: str) -> None:
        """Refuse what the server would forget when the session ends."""
        if not self.folder.keeps(flag):
            raise self.connection.place.flag_not_kept(flag, self.folder.name)


_GONE = frozenset({_DELETED.lower()})


def _store(numbers: Sequence[int], flag: str, *, how: str = "+FLAGS.SILENT") -> tuple[str, ...]:
    return ("UID", "STORE", uid_set(numbers), how, f"({flag})")


def _search(numbers: Sequence[int], criterion: str) -> tuple[str, ...]:
    return ("UID", "SEARCH", criterion, "UID", uid_set(numbers))
