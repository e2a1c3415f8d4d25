"""`mailrouting worker` and `fetch --watch` as processes: signals, places, and what they print."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.testing import make_message

ACCOUNT = """
[accounts.{name}]
address = "{name}@corp.example"
password_env = "DESK_PASSWORD"

[accounts.{name}.inbound]
protocol = "imap"
endpoint = "imaps://localhost:{port}"
login = "{name}@corp.example"
first_run = "all"
processed = {{ action = "move", folder = "Done" }}
"""


class Running:
    """Be a command that runs, and what it has printed so far."""

    def __init__(self, arguments, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mailrouting", *map(str, arguments)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors = []
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def _follow(self):
        with self.process.stderr:
            for line in self.process.stderr:
                self.errors.append(line)

    def lines_until(self, is_last):
        """Return the lines of standard output up to the first that will do."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if is_last(line):
                return lines
        raise AssertionError(f"it ended: {lines}, {self.errors}")

    def join(self):
        """Wait until all of its errors are here."""
        self._follower.join(timeout=60)

    def stop(self, number=signal.SIGTERM):
        """Send a signal; return status and the rest of what it printed."""
        self.process.send_signal(number)
        rest = self.process.stdout.read()
        status = self.process.wait(timeout=60)
        self.join()
        return status, rest


@pytest.fixture
def start():
    """Return what starts the command; whatever still runs at the end is killed by its own id."""
    started = []

    def start(*arguments, **environment):
        running = Running(arguments, {"DESK_PASSWORD": "x", "SUPPORT_PASSWORD": "x", **environment})
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()
        running.process.stdout.close()
        running.join()


@pytest.fixture
def desk_at(dovecot, tmp_path):
    """Return what writes a configuration of accounts with mail at Dovecot."""

    def desk_at(names, *, mails=1):
        parts = [f'ca_file = "{dovecot.ca_file}"\n']
        for name in names:
            parts.append(ACCOUNT.format(name=name, port=dovecot.tls_port))
            for number in range(mails):
                raw = make_message(subject=f"{name} {number}", to=f"{name}@corp.example")
                dovecot.deliver(raw, to=f"{name}@corp.example")
        config = tmp_path / "desk.toml"
        config.write_text("".join(parts), "utf-8")
        return config, {"DESK_PASSWORD": dovecot.password}

    return desk_at


def _subjects(config):
    return sorted(
        ticket.subject for ticket in SqliteDesk(config.parent / "mailrouting.sqlite").tickets()
    )


@pytest.mark.dovecot
@pytest.mark.parametrize("options", [(), ("--isolate",)])
def test_a_worker_fetches_all_accounts_and_ends_by_a_signal(desk_at, start, options):
    """Three accounts at a real server, read here and in children: tickets, a clean end."""
    names = [f"worker{len(options)}{number}" for number in range(3)]
    config, secret = desk_at(names)
    running = start("worker", "--config", config, "--json", *options, **secret)
    found = [json.loads(running.process.stdout.readline()) for _ in names]
    assert {one["account"]: one["outcomes"] for one in found} == {
        name: {"created": 1} for name in names
    }
    status, _ = running.stop()
    assert status == 0, running.errors
    assert _subjects(config) == [f"{name} 0" for name in names]


@pytest.mark.dovecot
def test_two_workers_and_a_fetch_make_one_ticket_a_mail(desk_at, start, command):
    """Three processes on one state: forty mails, forty tickets."""
    names = [f"shared{number}" for number in range(8)]
    config, secret = desk_at(names, mails=5)
    both = [start("worker", "--config", config, "--json", **secret) for _ in range(2)]
    # While they are at it, and once more for what a stop interrupted.
    for stops in (False, True):
        if stops:
            assert [running.stop()[0] for running in both] == [0, 0]
        done = command("fetch", "--config", config, env={**os.environ, **secret})
        assert done.returncode == 0, done.stderr
    assert _subjects(config) == sorted(f"{name} {number}" for name in names for number in range(5))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watching_fetch_ends_by_a_signal_and_says_trouble_once(start, config, number):
    """The account's trouble is told, the end is clean, and no traceback is shown."""
    running = start("fetch", "--watch", "--config", config)
    [line] = running.lines_until(lambda _: True)
    assert line.startswith("support: failed, 0 stored")
    status, rest = running.stop(number)
    assert (status, rest) == (0, "")
    text = "".join(running.errors)
    assert text.count("support: ConnectError: ") == 1
    assert "Traceback" not in text


def test_a_second_watching_fetch_ends_with_status_1(run, config):
    """One is enough, and a service manager is to see that this one does nothing."""
    with (config.parent / "state.sqlite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("fetch", "--watch", "--config", config)
    assert done.exit_code == 1
    assert "another fetch is at work" in done.output


def test_each_worker_has_a_place_of_its_own(start, config):
    """Two at once hold two lock files; the next worker takes the place that came free."""
    first = start("worker", "--config", config, "--json")
    first.lines_until(lambda _: True)
    second = start("worker", "--config", config, "--json")
    status, _ = first.stop()
    assert status == 0
    second.stop()
    assert (config.parent / "state.sqlite.worker-1.lock").exists()


@contextmanager
def _silent_server():
    """Be a server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_what_hangs_is_left_after_the_stated_time(start, config):
    """A server that never answers holds its thread; the worker names it and ends all the same."""
    with _silent_server() as server:
        text = config.read_text("utf-8").replace(
            "127.0.0.1:1", f"127.0.0.1:{server.getsockname()[1]}"
        )
        config.write_text(text, "utf-8")
        running = start("worker", "--config", config, "--stop-seconds", "1")
        connection, _ = server.accept()
        with connection:
            status, _ = running.stop()
    assert status == 1
    assert "still at work, and left: support" in "".join(running.errors)


@pytest.mark.parametrize(
    "arguments",
    [("fetch", "--watch", "--account", "support"), ("worker", "--threads", "0")],
)
def test_what_makes_no_sense_is_refused(run, config, arguments):
    """Status 2, and nothing is fetched."""
    assert run(*arguments, "--config", config).exit_code == 2
    assert not (config.parent / "state.sqlite").exists()
