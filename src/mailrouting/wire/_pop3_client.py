"""Speak POP3's lines (RFC 1939): one boundary, where every wait and every answer is bounded.

The standard library's client is not used; decision 0018 says why.
"""

import base64
import binascii
import contextlib
import re
import ssl
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

from mailrouting.accounts import ResolvedEndpoint
from mailrouting.errors import MailroutingError, SessionError
from mailrouting.wire._deadline import Flooded, Timeouts, Wire
from mailrouting.wire._opening import connected, os_reason, tls_error
from mailrouting.wire._pop3_text import DottedText
from mailrouting.wire.guard import one_line
from mailrouting.wire.trouble import Place, excerpt, response_code

__all__ = ["ErrReply", "Garbled", "Pop3Connection"]

_T = TypeVar("_T")

_LONGEST_LINE = 64 * 1024
"""For answers of one line and lines of lists; a mail's lines have no limit."""

_ANSWER_OCTETS = 256 * 1024
_GOODBYE_SECONDS = 5.0
_IN_FLIGHT = 4096
"""So many octets of commands fit any socket's buffers, so that nobody waits for both (RFC 2449 §6.6)."""

_LEADING_CODE = re.compile(r"\[[^\]]*\]\s*")


class ErrReply(Exception):  # noqa: N818 - a server's clean -ERR, mapped by whoever asked
    """The server refused a command; the session goes on.

    Attributes:
        code: The response code (RFC 2449 §8), upper case, or None.
        text: What it said after that; untrusted.
    """

    def __init__(self, said: bytes) -> None:
        text = said.decode("utf-8", "replace").strip()
        leading = _LEADING_CODE.match(text)
        self.code: str | None = response_code(leading[0]) if leading else None
        self.text: str = text[leading.end() :] if leading else text
        super().__init__(self.text)


class Garbled(Exception):  # noqa: N818 - a peer's act, mapped before it leaves this floor
    """The peer said what is no POP3; the text is ours and can be shown."""


class Pop3Connection:
    """Be a POP3 connection where every command has a deadline and every error is ours.

    Attributes:
        endpoint: Where it leads.
        place: Makes the errors.
        capabilities: What CAPA told, names in upper case with their arguments (RFC 2449 §5).
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
        self.capabilities: dict[str, tuple[str, ...]] = {}
        self._timeouts = timeouts
        self._hide: Callable[[], tuple[str, ...]] = tuple
        self._wire: Wire = connected(endpoint, tls=tls, timeouts=timeouts, place=place)
        # Within the deadline for connecting, which the wire keeps until the next command.
        self._wire.allow(octets=_ANSWER_OCTETS)
        refusal: SessionError
        try:
            self._guarded("CONNECT", self._status, opening=True)
        except ErrReply as err:
            refusal = place.unreachable(
                f"it greets with a refusal: {self.excerpt(err.text)}", code=err.code
            )
            self.close()
        else:
            return
        raise refusal

    @property
    def closed(self) -> bool:
        """Say whether it can be used no more."""
        return self._wire.closed

    @property
    def pipelines(self) -> bool:
        """Say whether commands may be sent before the answers to earlier ones have come."""
        return "PIPELINING" in self.capabilities

    @contextlib.contextmanager
    def hiding(self, secrets: Callable[[], tuple[str, ...]]) -> Generator[None]:
        """Keep these texts out of errors meanwhile."""
        self._hide = secrets
        try:
            yield
        finally:
            self._hide = tuple

    def ask(self, line: str, *, verb: str = "", opening: bool = False) -> str:
        """Send a command whose answer is one line; return its text.

        Args:
            line: The command with its arguments.
            verb: Its name, for errors; by default the first word.
            opening: Nobody is logged in.

        Raises:
            ErrReply: The server refused; the session goes on.
            ConfigurationError: The line would be two; nothing was sent.
            ConnectError: The connection ended, or its time was over, and `opening`.
            SessionLostError: Likewise, but not `opening`.
            PeerProtocolError: The answer makes no sense. The connection is closed, as above.
        """
        return self._attempt(
            verb or line.split(" ", maxsplit=1)[0],
            lambda: self._tell([line], self.status),
            opening=opening,
        )

    def ask_lines(self, line: str, *, opening: bool = False) -> list[bytes]:
        """Send a command whose answer is a list; return its lines. Raises as `ask`."""
        return self._attempt(
            line, lambda: self._tell([line], lambda: [*self.listed()]), opening=opening
        )

    def ask_all(
        self,
        verb: str,
        lines: Sequence[str],
        answer: Callable[[], _T],
        *,
        into: list[_T | ErrReply],
        octets: Sequence[int] = (),
        spare: int = 0,
    ) -> None:
        """Send commands, together where the server allows it; append their answers in order.

        When the connection breaks, `into` holds the answers that came whole.

        Args:
            verb: Their name, for errors.
            lines: The commands.
            answer: Reads one answer: `status`, `listed` or `body`.
            into: Where answers and refusals go.
            octets: How many octets each answer brings; they extend the deadline.
            spare: How many more it may bring in the same time.

        Raises:
            SessionLostError: The connection ended, or its time was over.
            PeerProtocolError: An answer makes no sense. The connection is closed, as above.
        """
        done = 0
        for part in self._flights(lines):
            brings = sum(octets[done : done + len(part)])
            done += len(part)

            def exchange(part: Sequence[str] = part) -> None:
                self._send(part)
                for _ in part:
                    try:
                        into.append(answer())
                    except ErrReply as err:
                        into.append(err)

            self._attempt(verb, exchange, octets=brings, spare=spare)

    def status(self) -> str:
        """Read an answer of one line; for `ask_all`."""
        return self._status().decode("utf-8", "replace")

    def listed(self) -> Iterator[bytes]:
        """Read an answer that is a list, line by line without their ends; for `ask_all`."""
        self._status()
        while (line := self._line()) != b".":
            yield line[1:] if line.startswith(b".") else line

    def body(self, write: Callable[[bytes], object], *, limit: int) -> None:
        """Read an answer that is a mail: to `write` go its octets, dots undone; for `ask_all`.

        A line may have any length: only the whole has a limit.
        """
        self._status()
        text = DottedText()
        while not text.ended:
            came = self._wire.peek()
            if not came:
                raise EOFError
            piece, used = text.feed(came)
            self._wire.read(used)
            if piece:
                write(piece)
            if text.count > limit:
                raise Flooded(f"a mail goes on after {text.count} octets")

    def refusal(self, verb: str, err: ErrReply) -> SessionError:
        """Make the error for a refusal."""
        return self.place.refused(self.excerpt(err.text), command=verb, code=err.code)

    def excerpt(self, said: str) -> str:
        """Return what the server said in a form that can be shown."""
        return excerpt(said, hide=self._hide())

    def prove(self, mechanism: str, respond: Callable[[bytes], bytes | None]) -> None:
        """Run a SASL exchange (RFC 5034 §4), the response after the first challenge.

        Not with the command: RFC 5034 bounds that at 255 octets, and some servers know no such.
        Raises as `ask`.

        Args:
            mechanism: Its name.
            respond: Answers a challenge, both decoded; None ends the exchange.
        """

        def exchange() -> None:
            self._send([f"AUTH {mechanism}"])
            while (line := self._line()).startswith(b"+") and not _is_ok(line):
                self._send([_coded_answer(respond, line[1:].strip())])
            self._judge(line)

        self._attempt("AUTH", exchange, opening=True)

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Send STLS, and go on inside TLS (RFC 2595 §4). Raises as `ask`."""

        def exchange() -> None:
            self._send(["STLS"])
            self._status()
            self._wire.start_tls(context, self.endpoint.host)

        self._attempt("STLS", exchange, opening=True)

    def on_progress(self, heard: Callable[[], None] | None) -> None:
        """See `TellsProgress.on_progress`."""
        self._wire.on_progress(heard)

    def close(self) -> None:
        """Close at once. Idempotent."""
        self._wire.close()

    def leave(self, *, commits: bool) -> None:
        """Send QUIT and close. Idempotent; never raises.

        Args:
            commits: Mails are marked deleted: the server may need its time to remove them.
        """
        if not self._wire.closed:
            seconds = self._timeouts.command if commits else _GOODBYE_SECONDS
            self._wire.allow(octets=_ANSWER_OCTETS, seconds=seconds)
            with contextlib.suppress(Exception):
                self._send(["QUIT"])
                self._status()
            self._wire.close()

    def _flights(self, lines: Sequence[str]) -> Iterator[Sequence[str]]:
        """Group commands that may be under way together."""
        if not self.pipelines:
            yield from ([line] for line in lines)
            return
        flight: list[str] = []
        octets = 0
        for line in lines:
            if octets + len(line) + 2 > _IN_FLIGHT:
                yield flight
                flight, octets = [], 0
            flight.append(line)
            octets += len(line) + 2
        if flight:
            yield flight

    def _tell(self, lines: Sequence[str], answer: Callable[[], _T]) -> _T:
        self._send(lines)
        return answer()

    def _send(self, lines: Sequence[str]) -> None:
        guarded = [one_line(line, what="a command") + "\r\n" if line else "\r\n" for line in lines]
        self._wire.send("".join(guarded).encode())

    def _line(self) -> bytes:
        line = self._wire.readline(_LONGEST_LINE)
        if not line.endswith(b"\r\n"):
            raise EOFError if self._wire.ended else Garbled("a line of its answer ends without CR")
        return line[:-2]

    def _status(self) -> bytes:
        return self._judge(self._line())

    @staticmethod
    def _judge(line: bytes) -> bytes:
        if _is_ok(line):
            return line[3:].strip()
        if line[:4].upper() == b"-ERR":
            raise ErrReply(line[4:])
        raise Garbled("its answer begins with neither +OK nor -ERR")

    def _attempt(
        self,
        verb: str,
        call: Callable[[], _T],
        *,
        octets: int = 0,
        spare: int = 0,
        opening: bool = False,
    ) -> _T:
        if self._wire.closed:
            raise self.place.lost("it was closed", command=verb)
        # A server's size is a hint: RFC 1939 §11 lets it count otherwise.
        self._wire.allow(
            octets=_ANSWER_OCTETS + 2 * octets + spare,
            seconds=self._timeouts.for_command(octets),
        )
        return self._guarded(verb, call, opening=opening)

    def _guarded(self, verb: str, call: Callable[[], _T], *, opening: bool) -> _T:
        """Let nothing out but our errors and a clean -ERR; after anything else close the socket.

        Errors are raised outside of `except`, so that no exception with a raw line in it, or with
        a frame that saw a secret, hangs on them.
        """
        error: MailroutingError
        try:
            return call()
        except ErrReply:
            raise
        except Exception as failure:  # noqa: BLE001 - a peer can provoke any, MemoryError too
            error = self._map(failure, verb, opening=opening)
            self._wire.close()
        except BaseException:
            self._wire.close()
            raise
        raise error

    def _map(self, failure: Exception, verb: str, *, opening: bool) -> MailroutingError:
        place = self.place
        end = place.unreachable if opening else place.lost
        match failure:
            case MailroutingError():
                return failure.with_traceback(None)
            case Flooded() | Garbled():
                return place.broken(str(failure), command=verb)
            case EOFError():
                return end("it closed the connection", command=verb)
            case TimeoutError():
                return end("it was silent or slow for too long", command=verb)
            case ssl.SSLError() if opening:
                return tls_error(failure, place, command=verb)
            case OSError():
                return end(os_reason(failure), command=verb)
            case _:
                because = f"its answer makes no sense ({type(failure).__name__})"
                return place.broken(because, command=verb)


def _is_ok(line: bytes) -> bool:
    return line[:3].upper() == b"+OK" and line[3:4] in {b"", b" "}


def _coded_answer(respond: Callable[[bytes], bytes | None], challenge: bytes) -> str:
    try:
        answer = respond(base64.b64decode(challenge, validate=True))
    except binascii.Error:
        answer = None
    return "*" if answer is None else base64.b64encode(answer).decode("ascii")
