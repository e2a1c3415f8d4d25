"""Speak POP3 to one client of the fake mail server, as much as mail clients need."""

import base64
import binascii
import json
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence

from mailrouting.testing._peer import Peer
from mailrouting.testing._pop3_drop import Maildrop, as_sent
from mailrouting.testing._server_login import (
    log_in_by_name,
    log_in_by_plain,
    log_in_by_token,
)
from mailrouting.testing._server_state import (
    Dropped,
    Garbage,
    MailboxState,
    Refused,
    ServerState,
)

__all__ = ["Pop3Peer"]

_MECHANISMS = ("PLAIN", "XOAUTH2", "OAUTHBEARER")
_NOT_IN_RECORDS = frozenset({"USER", "PASS", "AUTH", "QUIT"})
"""Their records are made where they are carried out: without secrets, or as one with another."""

_Handler = Callable[[Sequence[str]], None]


def _unknown(arguments: Sequence[str]) -> None:
    del arguments
    raise Refused("unknown command")


class Pop3Peer(Peer):
    """Serve one connection until it ends (RFC 1939, RFC 2449)."""

    LONGEST_LINE = 16 * 1024

    def __init__(
        self,
        state: ServerState,
        sock: socket.socket,
        *,
        starttls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(state, sock, starttls=starttls)
        self._username = ""
        self._drop: Maildrop | None = None

    def _greeting(self) -> str:
        return "+OK fake mail server ready"

    def _line(self) -> str:
        return self._raw_line()[:-2].decode("utf-8", "replace")

    def _say_lines(self, text: str, lines: Iterable[str]) -> None:
        self._say_text(text, "".join(f"{line}\r\n" for line in lines).encode())

    def _say_text(self, text: str, octets: bytes) -> None:
        """Say an answer of many lines, dots doubled (RFC 1939 §3)."""
        stuffed = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
        self._out.append(b"+OK %s\r\n%s.\r\n" % (text.encode(), stuffed))

    def _serve_command(self) -> None:
        verb, _, rest = self._line().partition(" ")
        verb = verb.upper()
        handler = self._handlers().get(verb, _unknown)
        try:
            if verb in _NOT_IN_RECORDS:
                handler([rest] if verb in {"USER", "PASS"} else rest.split())
            else:
                with self._state.command(self._number, verb, *rest.split()):
                    self._hang_up_when_renumbered()
                    handler(rest.split())
        except Refused as refusal:
            code = f"[{refusal.code}] " if refusal.code else ""
            self._say(f"-ERR {code}{refusal.text}")
        except Garbage:
            self._say("%%% \x00 nonsense")
        except (ValueError, IndexError):
            self._say("-ERR wrong arguments")
        self._flush()
        if verb == "STLS":
            self._begin_tls()

    def _handlers(self) -> dict[str, _Handler]:
        """Return the commands of this state (RFC 1939 §3)."""
        handlers: dict[str, _Handler] = {"QUIT": self._quit}
        if "CAPA" not in self._state.without:
            handlers["CAPA"] = self._capa
        if self._starttls is not None:
            handlers["STLS"] = lambda _: self._say("+OK begin")
        elif self._drop is None:
            handlers |= {"USER": self._user, "PASS": self._pass, "AUTH": self._auth}
        else:
            handlers |= {
                "STAT": self._stat,
                "LIST": self._list,
                "UIDL": self._uidl,
                "RETR": self._retr,
                "DELE": self._dele,
                "NOOP": lambda _: self._say("+OK"),
                "RSET": self._rset,
            }
            if "TOP" not in self._state.without:
                handlers["TOP"] = self._top
        return handlers

    def _capa(self, _: Sequence[str]) -> None:
        without = self._state.without
        names = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
        if self._starttls is not None:
            names.append("STLS")
        elif self._drop is None:
            names.append("USER")
            mechanisms = [one for one in _MECHANISMS if f"AUTH={one}" not in without]
            names += [f"SASL {' '.join(mechanisms)}"] if mechanisms else []
        self._say_lines("capabilities", (name for name in names if name not in without))

    def _user(self, arguments: Sequence[str]) -> None:
        if "USER" in self._state.without:
            raise Refused("use AUTH")
        self._username = arguments[0]
        self._say("+OK send PASS")

    def _pass(self, arguments: Sequence[str]) -> None:
        if not self._username:
            raise Refused("send USER first")
        name, self._username = self._username, ""
        mailbox = log_in_by_name(self._state, self._number, "PASS", name, arguments[0])
        self._enter(mailbox)

    def _auth(self, arguments: Sequence[str]) -> None:
        mechanism, *initial = arguments
        mechanism = mechanism.upper()
        if mechanism not in _MECHANISMS or f"AUTH={mechanism}" in self._state.without:
            raise Refused("no such mechanism")
        coded = initial[0] if initial else self._challenge(b"")
        try:
            response = base64.b64decode(coded, validate=True).decode()
        except binascii.Error:
            raise Refused("no base64") from None
        if mechanism == "PLAIN":
            mailbox = log_in_by_plain(self._state, self._number, "AUTH", response)
        else:
            mailbox = self._by_token(mechanism, response)
        self._enter(mailbox)

    def _by_token(self, mechanism: str, response: str) -> MailboxState:
        try:
            return log_in_by_token(self._state, self._number, "AUTH", mechanism, response)
        except Refused:
            self._challenge(json.dumps({"status": "invalid_token", "scope": "mail"}).encode())
            raise

    def _challenge(self, text: bytes) -> str:
        self._say(f"+ {base64.b64encode(text).decode()}")
        self._flush()
        answer = self._line()
        if answer == "*":
            raise Refused("you gave up")
        return answer

    def _enter(self, mailbox: MailboxState) -> None:
        with self._state.lock:
            self._drop = Maildrop(self._state, mailbox)
        self._say("+OK logged in")

    @property
    def _mine(self) -> Maildrop:
        assert self._drop is not None
        return self._drop

    def _hang_up_when_renumbered(self) -> None:
        """End the session when the folder was rebuilt under it, as real servers do."""
        if self._drop is not None and self._drop.renumbered:
            raise Dropped

    def _stat(self, _: Sequence[str]) -> None:
        sizes = [len(as_sent(mail.raw)) for _, mail in self._mine.numbered()]
        self._say(f"+OK {len(sizes)} {sum(sizes)}")

    def _list(self, arguments: Sequence[str]) -> None:
        if arguments:
            number = int(arguments[0])
            self._say(f"+OK {number} {len(as_sent(self._mine.mail(number).raw))}")
            return
        mails = self._mine.numbered()
        self._say_lines("sizes", (f"{number} {len(as_sent(one.raw))}" for number, one in mails))

    def _uidl(self, arguments: Sequence[str]) -> None:
        unique_ids = self._mine.unique_ids()
        if not arguments:
            self._say_lines("names", (f"{number} {one}" for number, one in unique_ids))
            return
        number = int(arguments[0])
        self._mine.mail(number)
        self._say(f"+OK {number} {dict(unique_ids)[number]}")

    def _retr(self, arguments: Sequence[str]) -> None:
        self._say_text("octets follow", as_sent(self._mine.mail(int(arguments[0])).raw))

    def _top(self, arguments: Sequence[str]) -> None:
        number, lines = map(int, arguments)
        self._say_text("top follows", self._mine.top(number, lines))

    def _dele(self, arguments: Sequence[str]) -> None:
        number = int(arguments[0])
        self._mine.mail(number)
        self._mine.marked.add(number)
        self._say(f"+OK message {number} goes at QUIT")

    def _rset(self, _: Sequence[str]) -> None:
        self._mine.marked.clear()
        self._say("+OK")

    def _quit(self, _: Sequence[str]) -> None:
        with self._state.command(self._number, "QUIT"):
            self._open = False
            if self._drop is not None and not self._drop.renumbered:
                self._drop.commit()
            self._say("+OK until next time")
