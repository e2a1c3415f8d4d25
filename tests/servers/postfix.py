"""Run a private Postfix for tests: own folders, a loopback port, stopped by its own pid.

Postfix's master must be root, and delivers as `nobody`, who may hardly read the Python that runs the
tests. So what it starts is a relay of a few lines, and the command itself runs beside the tests, with
the arguments, the standard input and the exit status that pipe(8) gives and takes. Registered as a
pytest plugin by `tests/conftest.py`.
"""

import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

_TRIES = 3
_USER = "nobody"

_MAIN = """
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.desk.example
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
default_transport = error:no outside mail
local_transport = error:no local mail
virtual_mailbox_domains = desk.example
virtual_mailbox_maps = static:everyone
virtual_transport = mailrouting
mailrouting_destination_recipient_limit = 1
maillog_file = /dev/stdout
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
mailrouting unix - n n - 2 pipe
  flags=ODRX user={user} null_sender= argv={argv}
"""


_RELAY = """#!/usr/bin/perl
use IO::Socket::UNIX;
my $peer = IO::Socket::UNIX->new(Peer => "{socket}") or exit 75;
my $arguments = join("\\0", @ARGV);
binmode STDIN;
print $peer pack("N", length $arguments), $arguments, <STDIN>;
$peer->flush;
shutdown($peer, 1);
my $status = <$peer>;
print STDERR <$peer>;
exit $status;
"""


class _Command(socketserver.StreamRequestHandler):
    """Run the command as the relay was asked to, and send back how it ended."""

    def handle(self):
        (length,) = struct.unpack("!I", self.rfile.read(4))
        arguments = self.rfile.read(length).decode().split("\0")
        done = subprocess.run(
            [sys.executable, "-m", "mailrouting", *arguments],
            input=self.rfile.read(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        self.wfile.write(b"%d\n%s" % (done.returncode, done.stderr))


class PostfixServer:
    """A running Postfix that hands all mail for `desk.example` to a command."""

    def __init__(self, program, root, process, *, port):
        self._program = program
        self._root = root
        self._process = process
        self._log = []
        self._grew = threading.Condition()
        self.port = port
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        with self._process.stdout:
            for line in self._process.stdout:
                with self._grew:
                    self._log.append(line)
                    self._grew.notify_all()
        with self._grew:
            self._log.append("the log has ended")
            self._grew.notify_all()

    @property
    def log(self):
        """Return what it logged so far."""
        with self._grew:
            return "".join(self._log)

    def wait_for(self, pattern, *, times=1):
        """Wait until its log has so many lines of this pattern; return the lines."""

        def found():
            return [line for line in self._log if re.search(pattern, line)]

        with self._grew:
            self._grew.wait_for(
                lambda: len(found()) >= times or self._log[-1:] == ["the log has ended"], 60
            )
            lines = found()
        assert len(lines) >= times, f"{pattern} not in:\n{self.log}"
        return lines

    def submit(self, raw, *, to, sender="carla@customer.example"):
        """Hand a mail over by SMTP."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail(sender, to, raw)

    def flush(self):
        """Have it try again what it deferred."""
        tool = Path(self._program).with_name("postqueue")
        subprocess.run([tool, "-c", self._root / "etc", "-f"], check=True, timeout=30)

    def stop(self):
        """Stop what was started, and remove its folder."""
        # The script that was called only waits for the master, which would outlive it.
        master = int((self._root / "queue" / "pid" / "master.pid").read_text())
        os.kill(master, signal.SIGTERM)
        self._process.wait(timeout=30)
        self.wait_for("the log has ended")
        shutil.rmtree(self._root, ignore_errors=True)


def find_postfix():
    """Return the program, or None."""
    return shutil.which("postfix") or shutil.which("postfix", path="/usr/sbin")


def _free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _start(program, root, *, argv, port):
    """Start Postfix and wait for its own word that it is up; None when it died."""
    values = {"root": root, "port": port, "argv": argv, "user": _USER}
    (root / "etc" / "main.cf").write_text(_MAIN.format(**values))
    (root / "etc" / "master.cf").write_text(_MASTER.format(**values))
    process = subprocess.Popen(
        [program, "-c", root / "etc", "start-fg"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = PostfixServer(program, root, process, port=port)
    server.wait_for("daemon started|the log has ended")
    if "daemon started" in server.log:
        return server, server.log
    process.wait(timeout=30)
    return None, server.log


@pytest.fixture
def make_postfix(record_missing_server):
    """Return what starts a Postfix that runs `mailrouting` with these arguments for each mail."""
    program = find_postfix()
    if program is None:
        record_missing_server("Postfix (Debian package postfix)")
    if os.geteuid() != 0:
        pytest.skip("Postfix starts for root only")
    servers, relays = [], []

    def make(arguments):
        root = Path(tempfile.mkdtemp(prefix="mr-postfix-"))
        root.chmod(0o755)
        for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix")):
            (root / name).mkdir()
            os.chown(root / name, pwd.getpwnam(owner).pw_uid, -1)
        relay = root / "mailrouting"
        relay.write_text(_RELAY.format(socket=root / "socket"))
        relay.chmod(0o755)
        commands = socketserver.ThreadingUnixStreamServer(str(root / "socket"), _Command)
        (root / "socket").chmod(0o666)
        threading.Thread(target=commands.serve_forever, daemon=True).start()
        relays.append(commands)
        log = ""
        for _ in range(_TRIES):
            server, log = _start(program, root, argv=f"{relay} {arguments}", port=_free_port())
            if server is not None:
                servers.append(server)
                return server
        shutil.rmtree(root, ignore_errors=True)
        pytest.fail(f"Postfix does not start:\n{log}")

    yield make
    for server in servers:
        server.stop()
    for commands in relays:
        commands.shutdown()
        commands.server_close()
