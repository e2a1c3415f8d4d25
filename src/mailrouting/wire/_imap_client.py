"""Tame imapclient: our socket under it, and one boundary where its exceptions end.

Private names of imapclient are used in this module only (`_create_IMAP4`, `_imap`);
`tests/wire/test_imap_hostile.py` fails when one goes.
"""

import contextlib
import imaplib
import ssl
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from imapclient import IMAPClient
from imapclient.imap_utf7 import encode
from imapclient.response_parser import parse_fetch_response

from mailrouting.accounts import ResolvedEndpoint
from mailrouting.errors import MailroutingError, SessionError
from mailrouting.wire._deadline import Flooded, Timeouts, Wire
from mailrouting.wire._imap_answers import usual
from mailrouting.wire._imap_protocol import Flight, Protocol, TaggedNo, quoted
from mailrouting.wire._opening import connected, os_reason, tls_error
from mailrouting.wire.trouble import Place, excerpt

__all__ = ["Connection", "folder_name"]

_T = TypeVar("_T")

_ANSWER_OCTETS = 8 * 1024 * 1024
"""What an answer may have beside mail: the longest is the list of all folders."""

_GOODBYE_SECONDS = 5.0
_LONGEST_COUNT = 10


def folder_name(folder: str) -> str:
    """Write a folder's name as an argument: modified UTF-7, quoted (RFC 3501 §5.1.3)."""
    return quoted(encode(folder).decode("ascii"))


class _Client(IMAPClient):
    """Be an imapclient over a `Wire`."""

    def __init__(self, wire: Wire, host: str, port: int) -> None:
        self._wire = wire
        # TLS is the wire's affair, so imapclient sees a plain connection.
        super().__init__(host, port, ssl=False)
        # imapclient sets 5, which formats every line and every mail, logged or not.
        self._imap.debug = 0
        self.normalise_times = False

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - imapclient's name
        self.protocol: Protocol = Protocol(self._wire, self.host)
        return self.protocol

    def fetch(
        self,
        messages: Sequence[int],
        data: Sequence[str],
        modifiers: Sequence[str] | None = None,
    ) -> dict[int, dict[bytes, object]]:
        """Do as imapclient does, but read the usual answers faster."""
        if not messages or modifiers:
            return super().fetch(messages, data, modifiers)
        answers = self.protocol.fetch_mails(messages, data)
        found = usual(answers)
        if found is None:
            found = parse_fetch_response(answers, normalise_times=False, uid_is_key=True)
        # What a server volunteers of other mails is dropped.
        return {number: found[number] for number in messages if number in found}

    def open_folder(self, folder: str, *, writable: bool) -> dict[bytes, object]:
        """Send SELECT or EXAMINE; a folder that is read-only against the wish says so, too."""
        try:
            return self.select_folder(folder, readonly=not writable)
        except imaplib.IMAP4.readonly:
            return {b"READ-ONLY": True}


class Connection:
    """Be an IMAP connection where every command has a deadline and every error is ours.

    Attributes:
        client: For calls inside `run`.
        endpoint: Where it leads.
        place: Makes the errors.
        exists: How many mails the server last said unasked that the folder holds; None: nothing.
        can_unselect: Whether the server can close a folder without removing anything.
    """

    def __init__(
        self,
        endpoint: ResolvedEndpoint,
        *,
        tls: ssl.SSLContext,
        timeouts: Timeouts,
        place: Place,
    ) -> None:
        self.endpoint = endpoint
        self.place = place
        self.exists: int | None = None
        self.can_unselect: bool = False
        self._timeouts = timeouts
        self._hide: Callable[[], tuple[str, ...]] = tuple
        self._in_use = threading.Lock()
        self._wire = connected(endpoint, tls=tls, timeouts=timeouts, place=place)
        # Within the deadline for connecting, which the wire keeps until the next command.
        self._wire.allow(octets=_ANSWER_OCTETS)
        self.client: _Client = self._guarded(
            "CONNECT", lambda: _Client(self._wire, endpoint.host, endpoint.port), opening=True
        )

    @property
    def closed(self) -> bool:
        """Say whether it can be used no more."""
        return self._wire.closed

    @property
    def protocol(self) -> Protocol:
        """Return what speaks IMAP under the client."""
        return self.client.protocol

    @contextlib.contextmanager
    def hiding(self, secrets: Callable[[], tuple[str, ...]]) -> Generator[None]:
        """Keep these texts out of errors meanwhile."""
        self._hide = secrets
        try:
            yield
        finally:
            self._hide = tuple

    def run(self, verb: str, call: Callable[[], _T], *, octets: int = 0) -> _T:
        """Run one command on an open session.

        Args:
            verb: Its name, for errors.
            call: Sends it and waits for the answer.
            octets: How many octets of mail the answer brings.

        Raises:
            SessionError: The server said NO; the session goes on.
            SessionLostError: The connection ended, or its time was over. It is closed.
            PeerProtocolError: The answer makes no sense. The connection is closed.
        """
        refusal: SessionError
        try:
            return self.attempt(verb, call, octets=octets)
        except TaggedNo as no:
            refusal = self.refusal(verb, no)
        raise refusal

    def attempt(
        self, verb: str, call: Callable[[], _T], *, octets: int = 0, opening: bool = False
    ) -> _T:
        """Do as `run`, but let a NO out as `TaggedNo`; `opening` says that nobody is logged in."""
        if self._wire.closed:
            raise self.place.lost("it was closed", command=verb)
        if not self._in_use.acquire(blocking=False):
            # Answers would reach whichever thread reads first.
            raise self.place.shared(command=verb)
        try:
            # A server's size is a hint, and one that is asked for a part may send the whole.
            self._wire.allow(
                octets=_ANSWER_OCTETS + 2 * octets, seconds=self._timeouts.for_command(octets)
            )
            return self._guarded(verb, call, opening=opening)
        finally:
            self._in_use.release()

    def flight(self, *commands: Sequence[str]) -> Flight:
        """Send commands that do not depend on each other together; none brings mail.

        Raises:
            SessionLostError: The connection ended, or its time was over. It is closed.
            PeerProtocolError: An answer makes no sense. The connection is closed.
        """
        verb = commands[0][commands[0][0] == "UID"]
        return self.attempt(verb, lambda: self.protocol.together(commands))

    def refusal(self, verb: str, no: TaggedNo) -> SessionError:
        """Make the error for a NO."""
        return self.place.refused(self.excerpt(no.text), command=verb, code=no.code)

    def excerpt(self, said: str) -> str:
        """Return what the server said in a form that can be shown."""
        return excerpt(said, hide=self._hide())

    def on_progress(self, heard: Callable[[], None] | None) -> None:
        """See `TellsProgress.on_progress`."""
        self._wire.on_progress(heard)

    def close(self) -> None:
        """Close at once. Idempotent."""
        self._wire.close()

    def leave(self) -> None:
        """Log out and close. Idempotent; never raises."""
        if not self._wire.closed:
            self._wire.allow(octets=_ANSWER_OCTETS, seconds=_GOODBYE_SECONDS)
            # UNSELECT (RFC 3691), for servers that remove what is marked deleted at the end.
            is_open = self.protocol.state == "SELECTED" and self.can_unselect
            commands = [["UNSELECT"], ["LOGOUT"]] if is_open else [["LOGOUT"]]
            with contextlib.suppress(Exception):
                self.protocol.together(commands)
            self._wire.close()

    def _guarded(self, verb: str, call: Callable[[], _T], *, opening: bool) -> _T:
        """Let nothing out but our errors and a clean NO; after anything else close the socket.

        Errors are raised outside of `except`, so that no exception with a raw line in it, or with
        a frame that saw a secret, hangs on them.
        """
        error: MailroutingError
        try:
            return call()
        except TaggedNo:
            raise
        except Exception as failure:  # noqa: BLE001 - a peer can provoke any, MemoryError too
            error = self._map(failure, verb, opening=opening)
            self._wire.close()
        except BaseException:
            self._wire.close()
            raise
        finally:
            self._forget()
        raise error

    def _forget(self) -> None:
        """Drop what the server volunteered, or it heaps up; note how many mails there are."""
        client: _Client | None = getattr(self, "client", None)
        if client is not None:
            for count in client.protocol.untagged_responses.get("EXISTS", ()):
                if isinstance(count, bytes) and count.isdigit():
                    self.exists = int(count[:_LONGEST_COUNT])
            client.protocol.untagged_responses.clear()

    def _map(self, failure: Exception, verb: str, *, opening: bool) -> MailroutingError:
        """Turn an exception of the libraries below into ours."""
        place = self.place
        end = place.unreachable if opening else place.lost
        if isinstance(failure, MailroutingError):
            return failure.with_traceback(None)
        if isinstance(failure, Flooded):
            return place.broken(str(failure), command=verb)
        if isinstance(failure, TimeoutError):
            return end("it was silent or slow for too long", command=verb)
        if isinstance(failure, ssl.SSLError) and opening:
            return tls_error(failure, place, command=verb)
        if isinstance(failure, imaplib.IMAP4.abort) and isinstance(failure.__context__, OSError):
            failure = failure.__context__  # it could not be sent
        if isinstance(failure, OSError):
            return end(os_reason(failure), command=verb)
        if goodbye := self._goodbye(failure):
            return end(f"it said goodbye: {self.excerpt(goodbye)}", command=verb)
        if self._wire.ended:
            return end("it closed the connection", command=verb)
        if isinstance(failure, imaplib.IMAP4.error) and "command error: BAD" in str(failure):
            said = "" if opening else self.excerpt(str(failure))
            return place.broken(f"it calls {verb} bad", command=verb, said=said)
        # The text may hold mail, so only the type is told.
        return place.broken(f"its answer makes no sense ({type(failure).__name__})", command=verb)

    def _goodbye(self, failure: Exception) -> str:
        """Return what came with a BYE, the greeting's too; empty when there was none."""
        client: _Client | None = getattr(self, "client", None)
        if client is None:
            greeting = failure.args[0] if failure.args else b""
            is_bye = isinstance(greeting, bytes) and greeting.upper().startswith(b"* BYE ")
            said = [greeting[len(b"* BYE ") :]] if is_bye else []
        else:
            told = client.protocol.untagged_responses.get("BYE", [])
            said = [line for line in told if isinstance(line, bytes)]
        return said[-1].decode("utf-8", "replace") if said else ""
