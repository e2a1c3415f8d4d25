"""Be the servers of crash runs: each gives mailboxes, looks into them and lets disaster strike."""

import os
import pwd
import shutil
import subprocess
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import attrs

from crashing.mails import word
from mailrouting.accounts import Endpoint, TlsMode
from mailrouting.auth import MailProtocol
from mailrouting.testing import FakeMailServer
from mailrouting.testing.loopback import LoopbackImap, LoopbackPop3

_OLD_UIDVALIDITY = 1_000_000_000
_FIRST_SECOND = 1_700_000_000


class FakeMailbox:
    """Be a mailbox of the fake server, spoken to over loopback."""

    def __init__(self, server, loopback, name, *, protocol):
        self._server = server
        self.protocol = protocol
        self.endpoint = loopback.endpoint
        self.name = name
        self.password = "correct horse"
        server.add_mailbox(name, password=self.password)

    def deliver(self, *raws):
        for raw in raws:
            self._server.deliver(raw, to=self.name)

    def folders(self):
        """Return what is in each folder: each mail's word and flags."""
        return {
            folder: Counter(
                _named(mail.raw, seen="\\Seen" in mail.flags, deleted="\\Deleted" in mail.flags)
                for mail in self._server.mails(self.name, folder)
            )
            for folder in self._server.folders(self.name)
        }

    def renumber(self):
        self._server.roll_uidvalidity(self.name)

    def rerender(self):
        """Number all anew, and show every mail that has an id in other bytes, as a migration may."""
        self.renumber()
        with self._server.state.lock:
            folder = self._server.state.mailboxes[self.name].folder("INBOX")
            for number, mail in folder.mails.items():
                if b"Message-ID:" in mail.raw:
                    raw = mail.raw.replace(b"Subject: ", b"X-Migrated: yes\r\nSubject:  ", 1)
                    folder.mails[number] = attrs.evolve(mail, raw=raw)

    def close(self):
        """Leave it: the fake forgets all at its end."""


@contextmanager
def fake_lab(*, without=(), protocol=MailProtocol.IMAP):
    """Serve fake mailboxes; yield what opens the next one."""
    server = FakeMailServer(without=without)
    face = LoopbackImap if protocol is MailProtocol.IMAP else LoopbackPop3
    with face(server) as loopback:
        yield lambda name: FakeMailbox(server, loopback, name, protocol=protocol)


class DovecotMailbox:
    """Be a mailbox of Dovecot; what is in it is seen in its Maildir."""

    def __init__(self, dovecot, name, *, protocol=MailProtocol.IMAP):
        port = dovecot.port if protocol is MailProtocol.IMAP else dovecot.pop3_port
        self.protocol = protocol
        self.endpoint = Endpoint("127.0.0.1", port, TlsMode.CLEARTEXT)
        self.name = name
        self.password = dovecot.password
        self._dovecot = dovecot
        self._root = dovecot.mail_folder(name)
        self._backup = dovecot.mail_folder(f"{name}.backup")
        for folder in ("", "cur", "new", "tmp"):
            self._own(self._root / folder, Path.mkdir)
        # An old number: Dovecot's own is the second of now, so that two in one second are equal.
        uidlist = f"3 V{_OLD_UIDVALIDITY} N1 G{os.urandom(16).hex()}\n"
        self._own(self._root / "dovecot-uidlist", lambda path: path.write_text(uidlist))
        self._delivered = 0

    def _own(self, path, make):
        make(path)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def deliver(self, *raws):
        for raw in raws:
            self._delivered += 1
            name = f"{_FIRST_SECOND + self._delivered}.M1P1.crash,S={len(raw)}"
            self._own(self._root / "tmp" / name, lambda path, raw=raw: path.write_bytes(raw))
            (self._root / "tmp" / name).rename(self._root / "new" / name)

    def folders(self):
        """Return what is in each folder: each mail's word and flags."""
        found = {"INBOX": self._mails(self._root)}
        for path in sorted(self._root.glob(".*")):
            if (path / "cur").is_dir():
                found[path.name[1:]] = self._mails(path)
        return found

    def _mails(self, folder):
        mails = Counter()
        for path in [*folder.glob("cur/*"), *folder.glob("new/*")]:
            flags = path.name.rpartition(":2,")[2] if ":2," in path.name else ""
            # What POP3 reads Dovecot marks seen, unless the session is killed: nobody looks at it.
            seen = "S" in flags and self.protocol is MailProtocol.IMAP
            mails[_named(path.read_bytes(), seen=seen, deleted="T" in flags)] += 1
        return mails

    def renumber(self):
        """Lose the index and the list of UIDs: Dovecot numbers all anew, with a new UIDVALIDITY."""
        for path in self._root.glob("dovecot*"):
            path.unlink(missing_ok=True)

    def lose_index(self):
        """Lose the index alone: the UIDs stay."""
        for path in self._root.glob("dovecot.index*"):
            path.unlink(missing_ok=True)

    def back_up(self):
        """Keep a copy of all there is."""
        subprocess.run(["cp", "-a", self._root, self._backup], check=True)

    def restore(self):
        """Put the copy in place of all there is."""
        shutil.rmtree(self._root)
        subprocess.run(["cp", "-a", self._backup, self._root], check=True)

    def put_back(self, folder, words):
        """Let a person move mails back to the inbox; they keep their flags."""
        with self._dovecot.client(self.name, folder) as client:
            numbers = client.search(None, "BODY", words)[1][0].split()
            assert numbers, f"nothing of {words} is in {folder}"
            client.copy(b",".join(numbers).decode(), "INBOX")
            client.store(b",".join(numbers).decode(), "+FLAGS", r"(\Deleted)")
            client.expunge()

    def close(self):
        shutil.rmtree(self._backup, ignore_errors=True)
        shutil.rmtree(self._root, ignore_errors=True)


@contextmanager
def dovecot_lab(dovecot, *, prefix, protocol=MailProtocol.IMAP):
    """Serve mailboxes of a running Dovecot; yield what opens the next one."""
    yield lambda name: DovecotMailbox(dovecot, f"{prefix}-{name}", protocol=protocol)


def _named(raw, *, seen, deleted):
    return word(raw) + " seen" * seen + " deleted" * deleted
