"""`mailrouting fetch` against a real server, killed with SIGKILL wherever it stands."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing

import pytest

from mailrouting.testing import make_message

MAILS = 500
KILLS = 20
# However fast the machine, the killed runs together cannot take all of the mails.
A_RUN = MAILS // (KILLS + 2)
SHARED = "shared@corp.example"

CONFIG = """
ca_file = "{ca_file}"
default_account = "shared"

[accounts.shared]
address = "Shared <{shared}>"
password_env = "SHARED_PASSWORD"

[accounts.shared.inbound]
protocol = "imap"
endpoint = "imaps://localhost:{port}"
login = '{master}\\{shared}'
first_run = "all"
max_per_fetch = {at_most}
processed = {{ action = "move", folder = "Done" }}
"""


@pytest.fixture
def mailbox(dovecot):
    """Fill the shared mailbox."""
    with dovecot.client(SHARED) as client:
        for number in range(MAILS):
            raw = make_message(subject=f"mail {number}", to=SHARED)
            assert client.append("INBOX", "", "", raw)[0] == "OK"
    return dovecot


@pytest.fixture
def command(mailbox, tmp_path):
    """Return a function that starts the command, which takes at most so many mails."""
    config = tmp_path / "desk.toml"
    fetch = "import mailrouting.cli as c; c.run()", "fetch", "--config", config

    def start(at_most):
        config.write_text(
            CONFIG.format(
                ca_file=mailbox.ca_file,
                shared=SHARED,
                master=mailbox.master,
                port=mailbox.tls_port,
                at_most=at_most,
            ),
            "utf-8",
        )
        return subprocess.Popen(
            [sys.executable, "-c", *fetch],
            env={**os.environ, "SHARED_PASSWORD": mailbox.password},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def _kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def _kill_after(process, seconds):
    """Kill the process at this time, or see it end; tell which."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _kill(process)
    return process.returncode == -signal.SIGKILL


def _kill_after_lines(process, lines, seconds):
    """Kill the process a moment after it reported so many mails; tell if it had not ended."""
    for _ in range(lines):
        if not process.stderr.readline():
            break
    return _kill_after(process, seconds)


@pytest.mark.dovecot
@pytest.mark.timeout(300)
def test_killed_at_spread_moments_each_mail_becomes_one_ticket(mailbox, command, tmp_path):
    """500 mails of a shared mailbox, 20 times kill -9, run again: 500 tickets, none twice."""
    chance = random.Random(20)
    _kill_after_lines(command(A_RUN), 1, 0)
    began = time.monotonic()
    _kill_after_lines(command(A_RUN), 1, 0)
    until_first_mail = time.monotonic() - began
    early = KILLS // 4
    killed = [
        _kill_after(command(A_RUN), until_first_mail * (0.4 + 0.7 * number / early))
        for number in range(early)
    ]
    killed += [
        _kill_after_lines(command(A_RUN), chance.randrange(A_RUN), chance.random() * 0.02)
        for _ in range(early, KILLS)
    ]

    with closing(sqlite3.connect(tmp_path / "mailrouting.sqlite")) as state:
        [(before,)] = state.execute("select count(*) from desk_ticket")
        assert killed.count(True) > KILLS // 2, "the kills came too late to prove anything"
        assert 0 < before < MAILS
        last = command(MAILS)
        report, told = last.communicate(timeout=120)
        assert last.returncode == 0, told
        subjects = Counter(row[0] for row in state.execute("select subject from desk_ticket"))
        assert subjects == Counter(f"mail {number}" for number in range(MAILS))
        outcomes = state.execute(
            "select outcome_kind, count(*) from mailrouting_intake group by outcome_kind"
        ).fetchall()
        assert outcomes == [("created", MAILS)], report
    with mailbox.client(SHARED) as client:
        counts = {
            folder: int(re.search(rb"MESSAGES (\d+)", client.status(folder, "(MESSAGES)")[1][0])[1])
            for folder in ("INBOX", "Done")
        }
    assert counts == {"INBOX": 0, "Done": MAILS}
