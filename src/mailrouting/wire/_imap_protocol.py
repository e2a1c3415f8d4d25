"""Speak IMAP over a `Wire`: what imaplib does, and what it leaves out.

Private names of imaplib are used in this module only (`_command`, `_command_complete`,
`_simple_command`, `_get_capabilities`, `_append_untagged`, `_untagged_response`, `_log`);
`tests/wire/test_imap_hostile.py` fails when one goes.
"""

import base64
import binascii
import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from mailrouting.wire._deadline import Wire
from mailrouting.wire._imap_answers import Answer
from mailrouting.wire.trouble import response_code

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Flight", "Protocol", "Respond", "TaggedNo", "quoted"]

Respond = Callable[[bytes], bytes | None]
"""Answer a SASL challenge, both decoded; None ends the exchange (RFC 9051 §6.2.2)."""

_T = TypeVar("_T")

_LONGEST_LINE = 1_000_000
_BODY_OF = re.compile(rb"UID (\d+)[^\r\n]*BODY\[", re.IGNORECASE)
_LEADING_CODE = re.compile(r"\[[^\]]*\]\s*")


class TaggedNo(Exception):  # noqa: N818 - a server's clean NO, mapped by whoever asked
    """The server refused a command; the session goes on.

    Attributes:
        code: The response code, upper case, or None.
        text: What it said after that; untrusted.
    """

    def __init__(self, said: bytes) -> None:
        text = said.decode("utf-8", "replace")
        leading = _LEADING_CODE.match(text)
        self.code: str | None = response_code(leading[0]) if leading else None
        self.text: str = text[leading.end() :] if leading else text
        super().__init__(self.text)


@attrs.frozen(kw_only=True)
class Flight:
    """Be the answers to commands that were sent together.

    Attributes:
        verbs: What was asked.
        refusals: For each command its NO, or None.
        found: What SEARCH listed; None when nothing did.
    """

    verbs: tuple[str, ...]
    refusals: tuple[TaggedNo | None, ...]
    found: frozenset[int] | None


class Protocol(imaplib.IMAP4):
    """Speak IMAP over a `Wire`."""

    sock: socket.socket
    state: str
    literal: str | None
    capabilities: tuple[str, ...]

    def __init__(self, wire: Wire, host: str) -> None:
        self._wire = wire
        self._respond: Respond = _give_up
        self._bodies: set[bytes] = set()
        super().__init__(host)

    if not TYPE_CHECKING:  # to types it is a variable

        @property
        def tagpre(self) -> bytes:
            """Return what tags begin with; drawn by lot, each connection would compile a pattern."""
            return b"MR"

        @tagpre.setter
        def tagpre(self, drawn: bytes) -> None:
            del drawn

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        del timeout
        self.host = host
        self.port = port
        self.sock = self._wire.socket

    def read(self, size: int) -> bytes:
        return self._wire.read(size)

    def readline(self) -> bytes:
        return self._wire.readline(_LONGEST_LINE)

    def send(self, data: "ReadableBuffer") -> None:
        self._wire.send(data)

    def shutdown(self) -> None:
        self._wire.close()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Send STARTTLS, and begin anew inside TLS."""
        self.xatom("STARTTLS")
        # What was said in plain text is nobody's word: RFC 9051 §11.1.
        self.untagged_responses.clear()
        self._wire.start_tls(context, self.host)
        self.sock = self._wire.socket
        self._get_capabilities()

    def _get_capabilities(self) -> None:
        """Ask for the capabilities, unless the greeting tells them."""
        # Taken away, or imapclient would believe it after the login, too.
        told = self.untagged_responses.pop("CAPABILITY", [b""])[-1]
        if isinstance(told, bytes) and told:
            self.capabilities = tuple(told.decode("ascii", "replace").upper().split())
        else:
            cast("Any", super())._get_capabilities()  # noqa: SLF001 - our base

    def together(self, commands: Sequence[Sequence[str]]) -> Flight:
        """Send commands in one flight, and wait for the answers to all of them.

        Only for commands of which none needs to know what the one before did: servers do not keep
        to their order (RFC 9051 §5.5 lets them).
        """
        return self._answers(commands, [self._command(*command) for command in commands])

    def beside(self, command: Sequence[str], call: Callable[[], _T]) -> tuple[_T, Flight]:
        """Send a command in one flight with that of `call`; return what `call` does, and its answer.

        The two must not depend on each other.
        """
        tag = self._command(*command)
        try:
            told = call()
        except TaggedNo:
            self._answers([command], [tag])  # or it would be taken for that to a later one
            raise
        return told, self._answers([command], [tag])

    def _answers(self, commands: Sequence[Sequence[str]], tags: Sequence[bytes]) -> Flight:
        verbs = tuple(command[command[0] == "UID"] for command in commands)
        refusals: list[TaggedNo | None] = []
        for verb, tag in zip(verbs, tags, strict=True):
            try:
                self._command_complete(verb, tag)
            except TaggedNo as no:
                refusals.append(no)
            else:
                refusals.append(None)
        lines = cast("list[bytes]", self.untagged_responses.get("SEARCH", []))
        found = frozenset(int(word) for line in lines for word in line.split())
        return Flight(verbs=verbs, refusals=tuple(refusals), found=found if lines else None)

    def fetch_mails(self, numbers: Sequence[int], items: Sequence[str]) -> list[Answer | None]:
        """Send UID FETCH; return the answers as they came."""
        uids = ",".join(map(str, numbers))
        tag = self._command("UID", "FETCH", uids, f"({' '.join(items)})")
        status, data = self._command_complete("FETCH", tag)
        return cast("list[Answer | None]", self._untagged_response(status, data, "FETCH")[1])

    def log_in(self, username: str, password: str) -> None:
        r"""Send LOGIN; imaplib's own leaves the user name unquoted, so `DOMAIN\user` is wrong."""
        self._simple_command("LOGIN", quoted(username), quoted(password))
        self.state = "AUTH"

    def authenticate_with(
        self, mechanism: str, respond: Respond, *, initial: bytes | None = None
    ) -> None:
        """Run a SASL exchange; `initial` is sent with the command (RFC 4959)."""
        self._respond = respond
        # imaplib calls a literal that is a bound method, and sends what it returns.
        self.literal = cast("str", self._answer)
        arguments = [] if initial is None else [base64.b64encode(initial)]
        try:
            self._simple_command("AUTHENTICATE", mechanism, *arguments)
        finally:
            self._respond = _give_up
        self.state = "AUTH"

    def _answer(self, challenge: bytes) -> bytes:
        try:
            answer = self._respond(base64.b64decode(challenge, validate=True))
        except binascii.Error:
            answer = None
        return b"*" if answer is None else base64.b64encode(answer)

    def _command_complete(self, name: str, tag: bytes) -> tuple[str, list[bytes]]:
        status: str
        data: list[bytes]
        status, data = cast("Any", super())._command_complete(name, tag)  # noqa: SLF001 - our base
        if status == "NO":
            raise TaggedNo(data[-1])
        return status, data

    def _append_untagged(self, typ: str, dat: bytes | tuple[bytes, bytes]) -> None:
        """Keep what was told, but refuse a second body of one mail: imapclient takes the last."""
        if typ == "FETCH" and isinstance(dat, tuple):
            if typ not in self.untagged_responses:
                self._bodies.clear()
            named = _BODY_OF.search(dat[0])
            if named is not None and named[1] in self._bodies:
                raise self.abort("two bodies of one mail")
            if named is not None:
                self._bodies.add(named[1])
        cast("Any", super())._append_untagged(typ, dat)  # noqa: SLF001 - our base

    def _log(self, line: str) -> None:
        """Keep no copy of what was sent: it may be a LOGIN."""


def _give_up(challenge: bytes) -> None:
    del challenge


def quoted(text: str) -> str:
    """Write a quoted string (RFC 9051 §4.3)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
