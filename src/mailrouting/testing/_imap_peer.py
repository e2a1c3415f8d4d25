"""Speak IMAP4rev1 to one client of the fake mail server, as much as mail clients need."""

import base64
import binascii
import json
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial

from mailrouting.testing._imap_mails import Bad, OpenedFolder, find_folder
from mailrouting.testing._imap_text import (
    decode_folder,
    encode_folder,
    quoted,
    tokens,
)
from mailrouting.testing._peer import Peer
from mailrouting.testing._server_login import (
    log_in_by_name,
    log_in_by_plain,
    log_in_by_token,
)
from mailrouting.testing._server_state import (
    Garbage,
    MailboxState,
    Refused,
    ServerState,
)

__all__ = ["ImapPeer"]

_EXTENSIONS = ("SASL-IR", "ID", "UNSELECT", "UIDPLUS", "MOVE")
_MECHANISMS = ("AUTH=PLAIN", "AUTH=XOAUTH2", "AUTH=OAUTHBEARER")
_FLAGS = r"\Answered \Flagged \Deleted \Seen \Draft"
_LITERAL = re.compile(rb"\{(\d{1,6})(\+?)\}\r\n$")
_UID_WORDS = 2
_UID_COMMANDS = frozenset({"SEARCH", "FETCH", "STORE", "COPY", "MOVE", "EXPUNGE"})


_Handler = Callable[[Sequence[str]], str]
"""Carry out a command; return the text of its OK."""


def _unknown(arguments: Sequence[str]) -> str:
    del arguments
    raise Bad


class ImapPeer(Peer):
    """Serve one connection until it ends."""

    LONGEST_LINE = 64 * 1024

    def __init__(
        self,
        state: ServerState,
        sock: socket.socket,
        *,
        starttls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(state, sock, starttls=starttls)
        self._mailbox: MailboxState | None = None
        self._folder: OpenedFolder | None = None

    def _greeting(self) -> str:
        return f"* OK [CAPABILITY {self._capabilities()}] fake mail server ready"

    def _line(self) -> str:
        """Read a line; literals in it become quoted strings."""
        whole = ""
        while True:
            line = self._raw_line()
            literal = _LITERAL.search(line)
            if literal is None:
                return whole + line[:-2].decode("utf-8", "replace")
            if not literal[2]:
                self._say("+ go on")
                self._flush()
            text = self._file.read(int(literal[1])).decode("utf-8", "replace")
            whole += line[: literal.start()].decode("utf-8", "replace") + quoted(text)

    def _serve_command(self) -> None:
        words = tokens(self._line())
        tag = words[0] if words else "*"
        is_uid = len(words) > _UID_WORDS and words[1].upper() == "UID"
        verb, *arguments = words[2:] if is_uid else [*words[1:2], *words[2:]] or [""]
        verb = verb.upper()
        if is_uid != (verb in _UID_COMMANDS):
            # Mails are named by UID here, or not at all.
            verb = ""
        handler = self._handlers().get(verb, _unknown)
        try:
            text = handler(arguments)
            if self._folder is not None:
                self._folder.tell_changes()
            self._say(f"{tag} OK {text or 'done'}")
        except Refused as refusal:
            code = f"[{refusal.code}] " if refusal.code else ""
            self._say(f"{tag} NO {code}{refusal.text}")
        except Garbage:
            self._say("%%% \x00 nonsense")
        except (Bad, ValueError, IndexError):
            self._say(f"{tag} BAD unknown command or arguments")
        self._flush()
        if verb == "STARTTLS":
            self._begin_tls()

    def _handlers(self) -> dict[str, _Handler]:
        """Return the commands of this state (RFC 3501 §3)."""
        handlers: dict[str, _Handler] = {
            "CAPABILITY": self._capability,
            "NOOP": self._noop,
            "ID": self._id,
            "LOGOUT": self._logout,
        }
        if self._mailbox is None:
            handlers["STARTTLS"] = self._start_tls
            handlers["LOGIN"] = self._login
            handlers["AUTHENTICATE"] = self._authenticate
            return handlers
        handlers["SELECT"] = partial(self._select, writable=True)
        handlers["EXAMINE"] = partial(self._select, writable=False)
        handlers["STATUS"] = self._status
        handlers["LIST"] = self._list
        handlers["CREATE"] = self._create
        handlers["SUBSCRIBE"] = self._subscribe
        if self._folder is not None:
            handlers["SEARCH"] = self._folder.search
            handlers["FETCH"] = self._folder.fetch
            handlers["STORE"] = self._folder.store
            handlers["COPY"] = self._folder.copy
            handlers["MOVE"] = self._folder.move
            handlers["EXPUNGE"] = self._folder.expunge
            handlers["UNSELECT"] = self._unselect
        return handlers

    def _capabilities(self) -> str:
        without = self._state.without
        names = ["IMAP4rev1", *_EXTENSIONS]
        if self._mailbox is None:
            names += ["STARTTLS"] if self._starttls else _MECHANISMS
            names += ["LOGINDISABLED"] if self._starttls or "LOGIN" in without else []
        return " ".join(name for name in names if name not in without)

    def _noop(self, _: Sequence[str]) -> str:
        with self._state.command(self._number, "NOOP"):
            return ""

    def _capability(self, _: Sequence[str]) -> str:
        with self._state.command(self._number, "CAPABILITY"):
            self._say(f"* CAPABILITY {self._capabilities()}")
        return ""

    def _id(self, _: Sequence[str]) -> str:
        with self._state.command(self._number, "ID"):
            self._say('* ID ("name" "mailrouting fake")')
        return ""

    def _logout(self, _: Sequence[str]) -> str:
        with self._state.command(self._number, "LOGOUT"):
            self._say("* BYE until next time")
            self._open = False
        return ""

    def _start_tls(self, _: Sequence[str]) -> str:
        if self._starttls is None:
            raise Bad
        with self._state.command(self._number, "STARTTLS"):
            return ""

    def _login(self, arguments: Sequence[str]) -> str:
        name, password = arguments
        if self._starttls or "LOGIN" in self._state.without:
            raise Refused("log in with TLS, or by AUTHENTICATE", "PRIVACYREQUIRED")
        self._mailbox = log_in_by_name(self._state, self._number, "LOGIN", name, password)
        return f"[CAPABILITY {self._capabilities()}] logged in"

    def _authenticate(self, arguments: Sequence[str]) -> str:
        mechanism, *initial = arguments
        if f"AUTH={mechanism.upper()}" not in self._capabilities().split():
            raise Refused("no such mechanism")
        coded = initial[0] if initial else self._challenge(b"")
        try:
            response = base64.b64decode(coded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Bad from None
        self._mailbox = self._by_response(mechanism.upper(), response)
        return f"[CAPABILITY {self._capabilities()}] logged in"

    def _challenge(self, text: bytes) -> str:
        self._say(f"+ {base64.b64encode(text).decode()}")
        self._flush()
        answer = self._line()
        if answer == "*":
            raise Bad
        return answer

    def _by_response(self, mechanism: str, response: str) -> MailboxState:
        state, number = self._state, self._number
        if mechanism == "PLAIN":
            return log_in_by_plain(state, number, "AUTHENTICATE", response)
        try:
            return log_in_by_token(state, number, "AUTHENTICATE", mechanism, response)
        except Refused:
            self._challenge(json.dumps({"status": "invalid_token", "scope": "mail"}).encode())
            raise

    @property
    def _mine(self) -> MailboxState:
        assert self._mailbox is not None
        return self._mailbox

    def _select(self, arguments: Sequence[str], *, writable: bool) -> str:
        name = decode_folder(arguments[0])
        self._folder = None
        with self._state.command(self._number, "SELECT" if writable else "EXAMINE", name):
            folder = find_folder(self._mine, name)
            self._folder = OpenedFolder(
                self._state,
                self._number,
                mailbox=self._mine,
                folder=folder,
                writable=writable and not folder.read_only,
                out=self._out,
            )
            without = self._state.without
            own = "" if "FLAGS" in without else _FLAGS
            any_keyword = "" if "KEYWORDS" in without else r" \*"
            lasting = own + any_keyword if self._folder.writable else ""
            self._say(f"* FLAGS ({_FLAGS})")
            self._say(f"* {len(folder.mails)} EXISTS")
            self._say("* 0 RECENT")
            self._say(f"* OK [UIDVALIDITY {folder.uidvalidity}] valid")
            self._say(f"* OK [UIDNEXT {folder.uidnext}] next")
            self._say(f"* OK [PERMANENTFLAGS ({lasting})] limited")
        return "[READ-WRITE] selected" if self._folder.writable else "[READ-ONLY] selected"

    def _unselect(self, _: Sequence[str]) -> str:
        with self._state.command(self._number, "UNSELECT"):
            self._folder = None
        return ""

    def _status(self, arguments: Sequence[str]) -> str:
        name = decode_folder(arguments[0])
        with self._state.command(self._number, "STATUS", name):
            folder = find_folder(self._mine, name)
            values = {
                "UIDVALIDITY": folder.uidvalidity,
                "UIDNEXT": folder.uidnext,
                "MESSAGES": len(folder.mails),
            }
            told = " ".join(f"{item} {values[item]}" for item in arguments[1].upper().split())
            self._say(f"* STATUS {quoted(encode_folder(folder.name))} ({told})")
        return ""

    def _list(self, arguments: Sequence[str]) -> str:
        pattern = decode_folder("".join(arguments[:2]))
        wanted = re.compile(re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*"))
        with self._state.command(self._number, "LIST", pattern):
            for name in self._mine.folders:
                if wanted.fullmatch(name):
                    self._say(f'* LIST (\\HasNoChildren) "/" {quoted(encode_folder(name))}')
        return ""

    def _create(self, arguments: Sequence[str]) -> str:
        name = decode_folder(arguments[0])
        with self._state.command(self._number, "CREATE", name):
            if self._mine.folder(name) is not None:
                raise Refused("it exists already", "ALREADYEXISTS")
            self._mine.create(name)
        return ""

    def _subscribe(self, arguments: Sequence[str]) -> str:
        with self._state.command(self._number, "SUBSCRIBE", decode_folder(arguments[0])):
            return ""
