"""The command as a process: its terminal, its streams, and what is not installed."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailrouting.testing import make_message

FULL = Path("/dev/full")
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{name}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from mailrouting.cli import run
run()
"""


def _on_terminal(arguments, **options):
    """Run on a terminal and return status and all that it showed."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        arguments, stdin=terminal, stdout=terminal, stderr=terminal, **options
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(controller, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(controller)
    return process.returncode, shown.decode("utf-8")


def test_a_result_stands_on_a_line_of_its_own(config):
    """On a terminal the live line is gone before a result is printed."""
    status, shown = _on_terminal(
        [sys.executable, "-m", "mailrouting", "fetch", "--config", config],
        env={**os.environ, "SUPPORT_PASSWORD": "x", "TERM": "xterm"},
    )
    assert status == 1
    assert "connecting" in shown
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n").splitlines()
    assert any(line.startswith("support: failed, 0 stored") for line in lines), lines
    assert any(line.startswith("support: ConnectError: ") for line in lines), lines


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is full")
def test_what_happened_is_told_once(command, config):
    """The log writes to standard error as well when nobody set it up; not what is shown already."""
    accept = ("accept", "--config", config, "--account", "support")
    assert command(*accept, input=b"\x00 no mail", text=False).returncode == 0
    done = command("fetch", "--config", config, env={**os.environ, "SUPPORT_PASSWORD": "x"})
    told = [line for line in done.stderr.splitlines() if "intake 1" in line]
    assert told == ["support: quarantined intake 1: quarantined"]


@pytest.mark.parametrize("arguments", [["inspect", "a.eml"], ["inspect", "--json", "a.eml"]])
def test_a_full_disk_is_one_line(command, tmp_path, arguments):
    """What standard output does not take ends the command with one line and status 1."""
    (tmp_path / "a.eml").write_bytes(make_message())
    with FULL.open("w") as full:
        done = command(
            *arguments, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, capture_output=False
        )
    assert done.returncode == 1
    assert done.stderr == "mailrouting: No space left on device\n"


def test_the_package_runs_as_a_module(command):
    """`python -m mailrouting` is the command."""
    done = command("login", "sales@desk.example")
    assert done.returncode == 0
    assert "username  sales@desk.example" in done.stdout


def test_without_click_the_extra_is_named(tmp_path):
    """The command says which extra to install, for a release and for a clone."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name="click")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "the command needs click" in done.stderr
    assert "pip install 'mailrouting[cli]', or '.[cli]' in a clone" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_rich_a_terminal_is_told_the_same(config):
    """Only a terminal needs it; the message is that of click, and no traceback."""
    status, shown = _on_terminal(
        [sys.executable, "-c", WITHOUT.format(name="rich"), "fetch", "--config", config],
        env={**os.environ, "SUPPORT_PASSWORD": "x", "TERM": "xterm"},
    )
    assert status == 1
    assert "the command needs rich" in shown
    assert "Traceback" not in shown
