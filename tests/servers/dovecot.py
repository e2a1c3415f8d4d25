"""Run a private Dovecot for tests: own folder, own CA, loopback ports, stopped by its own pid.

Registered as a pytest plugin by `tests/conftest.py`.
"""

import contextlib
import grp
import imaplib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from datetime import datetime
from pathlib import Path

import pytest
import trustme

PASSWORD = "dovecot-marker-5f1c"
MASTER = "agent@corp.example"
_TRIES = 3
_PORTS = ("port", "tls_port", "pop3_port", "pop3_tls_port")

_COMMON = """
base_dir = {run}
state_dir = {run}
log_path = /dev/stderr
instance_name = mailrouting-tests
listen = 127.0.0.1
protocols = imap pop3
ssl = yes
auth_mechanisms = plain login
auth_master_user_separator = *
auth_failure_delay = 0
first_valid_uid = 1
mail_fsync = never
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3_tls_port}
  }}
}}
!include_try {root}/more.conf
"""

# The master users' passdb comes first: it proves the agent, and the next one that the shared
# mailbox exists. That is how SASL's authorization identity is checked.
_V23 = (
    _COMMON
    + """
disable_plaintext_auth = no
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
mail_location = maildir:{root}/mail/%u
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = passwd-file
  args = {root}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={root}/mail/%u allow_all_users=yes
}}
"""
)

# Written from Dovecot's documentation; untried, for no 2.4 was at hand.
_V24 = (
    "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
    + _COMMON
    + """
auth_allow_cleartext = yes
ssl_server {{
  cert_file = {root}/cert.pem
  key_file = {root}/key.pem
}}
mail_driver = maildir
mail_path = {root}/mail/%{{user}}
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb masters {{
  driver = passwd-file
  passwd_file_path = {root}/masters
  master = yes
  result_success = continue
}}
passdb everyone {{
  driver = static
  password = {password}
}}
userdb everyone {{
  driver = static
  static_allow_all_users = yes
  fields {{
    uid = {mail_uid}
    gid = {mail_gid}
    home = {root}/mail/%{{user}}
  }}
}}
"""
)

# Without root Dovecot can neither change user nor chroot.
_UNPRIVILEGED = """
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service imap-login {{
  chroot =
}}
service pop3-login {{
  chroot =
}}
service anvil {{
  chroot =
}}
"""


class DovecotServer:
    """A running Dovecot: every user name opens a mailbox of its own with `PASSWORD`."""

    host = "127.0.0.1"
    password = PASSWORD
    master = MASTER

    def __init__(self, root, process, *, ports, log):
        self._root = root
        self._process = process
        self.port = ports["port"]
        self.tls_port = ports["tls_port"]
        self.pop3_port = ports["pop3_port"]
        self.pop3_tls_port = ports["pop3_tls_port"]
        self.ca_file = str(root / "ca.pem")
        self.log = log

    def client(self, username, folder=None):
        """Return another session on a mailbox, logged in, perhaps with a folder open."""
        client = imaplib.IMAP4(self.host, self.port, timeout=30)
        client.login(username, PASSWORD)
        if folder is not None:
            client.select(folder)
        return client

    def mail_folder(self, username):
        """Return where a user's mail is kept: a Maildir."""
        return self._root / "mail" / username

    def deliver(self, raw, *, to, folder="INBOX", received_at: datetime | None = None, flags=()):
        """Append a mail; return its UID."""
        when = imaplib.Time2Internaldate(received_at) if received_at else ""
        with self.client(to) as client:
            status, data = client.append(folder, " ".join(flags), when, raw)
            assert status == "OK", data
            return data[0].split(b"]")[0].split()[-1].decode()

    def expunge_elsewhere(self, username, uid, folder="INBOX"):
        """Remove a mail from another session."""
        with self.client(username, folder) as client:
            client.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
            client.uid("EXPUNGE", uid)

    def flag_elsewhere(self, username, uid, *flags, folder="INBOX"):
        """Set flags from another session."""
        with self.client(username, folder) as client:
            client.uid("STORE", uid, "+FLAGS", f"({' '.join(flags)})")

    def flags(self, username, folder="INBOX"):
        """Return each mail's flags by UID, as another session sees them."""
        with self.client(username) as client:
            client.select(folder, readonly=True)
            found = {}
            for uid in client.uid("SEARCH", "ALL")[1][0].split():
                line = client.uid("FETCH", uid.decode(), "(FLAGS)")[1][0]
                found[uid.decode()] = {flag.decode() for flag in imaplib.ParseFlags(line)}
            return found

    def contents(self, username, folder="INBOX"):
        """Return each mail's bytes and flags in order, as another session sees them."""
        with self.client(username) as client:
            # Modified UTF-7, quoted: names in tests are not all ASCII.
            status, data = client.select(f'"{_utf7(folder)}"', readonly=True)
            assert status == "OK", data
            found = []
            for uid in client.uid("SEARCH", "ALL")[1][0].split():
                answer = client.uid("FETCH", uid.decode(), "(FLAGS BODY.PEEK[])")[1]
                parts = [part for part in answer if isinstance(part, tuple)]
                flags = imaplib.ParseFlags(parts[0][0]) + imaplib.ParseFlags(answer[-1])
                names = frozenset(flag.decode() for flag in flags) - {r"\Recent"}
                found.append((parts[0][1], names))
            return found

    def _doveadm(self, *arguments):
        program = shutil.which("doveadm")
        subprocess.run(
            [program, "-c", self._root / "dovecot.conf", *arguments],
            check=True,
            capture_output=True,
            timeout=30,
        )

    def cut(self, username):
        """End a user's connections: it notes them late, and does not wait until they are gone."""
        assert any(self.sessions(username) for _ in range(200)), "nobody is there"
        self._doveadm("kick", username)
        assert any(not self.sessions(username) for _ in range(200)), "a session does not end"

    def renumber(self, username):
        """Give the INBOX a larger UIDVALIDITY."""
        with self.client(username) as client:
            _, data = client.status("INBOX", "(UIDVALIDITY)")
        value = int(data[0].rstrip(b")").split()[-1])
        self._doveadm(
            "mailbox", "update", "-u", username, "--uid-validity", str(value + 1), "INBOX"
        )

    def sessions(self, username):
        """Return the processes that serve a user's sessions now."""
        told = subprocess.run(
            ["doveadm", "-c", self._root / "dovecot.conf", "-f", "tab", "who", "-1", username],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line.split("\t") for line in told.stdout.splitlines()]
        return [int(line[lines[0].index("pid")]) for line in lines[1:]]

    def restart(self):
        """Kill every session and stop it, and start it anew with the same mail and ports."""
        for pid in self.sessions("*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.terminate()
        self._process.wait(timeout=20)
        program = self._process.args[0]
        ports = {name: getattr(self, name) for name in _PORTS}
        again, log = _start(program, self._root, ports)
        assert again is not None, "".join(log)
        self._process = again._process

    def stop(self):
        """Stop the process that was started, and remove its folder."""
        self._process.terminate()
        self._process.wait(timeout=20)
        shutil.rmtree(self._root, ignore_errors=True)


def _utf7(folder):
    """Write a folder's name in modified UTF-7 (RFC 3501 §5.1.3)."""
    coded = folder.encode("utf-7").replace(b"/", b",").replace(b"&", b"&-")
    return re.sub(rb"\+(.*?)-", rb"&\1-", coded).decode()


def find_dovecot():
    """Return the program, or None where it or its POP3 is missing."""
    if shutil.which("pop3-login", path="/usr/lib/dovecot:/usr/libexec/dovecot") is None:
        return None
    return shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")


def _free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _write_certificates(root):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(root / "ca.pem")
    certificate.private_key_pem.write_to_path(root / "key.pem")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (root / "cert.pem").write_bytes(chain)


def _configuration(program, root, ports):
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    template = _V24 if version.stdout.startswith("2.4") else _V23
    is_root = os.geteuid() == 0
    account = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
    values = {
        "root": root,
        "run": root / "run",
        **ports,
        "password": PASSWORD,
        "mail_uid": account.pw_uid,
        "mail_gid": account.pw_gid,
        "user": account.pw_name,
        "group": grp.getgrgid(account.pw_gid).gr_name,
    }
    (root / "masters").write_text(f"{MASTER}:{{PLAIN}}{PASSWORD}::::::\n")
    (root / "mail").mkdir(exist_ok=True)
    if is_root:
        os.chown(root / "mail", account.pw_uid, account.pw_gid)
    text = template if is_root else template + _UNPRIVILEGED
    (root / "dovecot.conf").write_text(text.format(**values))
    return root / "dovecot.conf"


def _start(program, root, ports):
    """Start Dovecot and wait for its own word that it is up; None when it died."""
    configuration = _configuration(program, root, ports)
    process = subprocess.Popen(
        [program, "-F", "-c", configuration], stderr=subprocess.PIPE, text=True
    )
    log, is_up = [], threading.Event()

    def follow():
        with process.stderr:
            for line in process.stderr:
                log.append(line)
                if "starting up" in line:
                    is_up.set()
        is_up.set()

    threading.Thread(target=follow, daemon=True).start()
    assert is_up.wait(60), "Dovecot says nothing"
    if not any("starting up" in line for line in log):
        process.wait(timeout=20)
        return None, log
    return DovecotServer(root, process, ports=ports, log=log), log


@contextlib.contextmanager
def running(program, *, folder=None, settings=""):
    """Run a Dovecot of its own, with its files in a new folder there; stop and remove it.

    `settings` are lines of its configuration that the tests' own says nothing about.
    """
    # Not under pytest's own folder: nobody but us may enter that, and mail is kept by nobody.
    root = Path(tempfile.mkdtemp(prefix="mr-dovecot-", dir=folder))
    root.chmod(0o755)
    _write_certificates(root)
    (root / "more.conf").write_text(settings)
    server, log = None, []
    for _ in range(_TRIES):
        server, log = _start(program, root, {name: _free_port() for name in _PORTS})
        if server is not None:
            break
    if server is None:
        shutil.rmtree(root, ignore_errors=True)
        pytest.fail("Dovecot does not start:\n" + "".join(log))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def dovecot(record_missing_server):
    """Return a running Dovecot; skip where it is not installed."""
    program = find_dovecot()
    if program is None:
        record_missing_server("Dovecot (Debian packages dovecot-imapd, dovecot-pop3d)")
    with running(program) as server:
        yield server
