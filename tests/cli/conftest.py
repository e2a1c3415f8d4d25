"""What tests of the command share: a configuration that is right, and ways to run."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from mailrouting.cli.main import main

CONFIG = """
state = "state.sqlite"
default_account = "support"

[accounts.support]
address = "Support <support@desk.example>"
password_env = "SUPPORT_PASSWORD"

[accounts.support.inbound]
protocol = "imap"
endpoint = "imaps://127.0.0.1:1"
login = 'agent@desk.example\\support@desk.example'
first_run = "all"
processed = { action = "move", folder = "Done" }

[accounts.support.outbound]
endpoint = "smtp.desk.example"

[departments.sales]
outgoing = "support"
"""


@pytest.fixture
def run():
    """Return a function that runs the command."""
    return lambda *arguments, **options: CliRunner().invoke(main, arguments, **options)


@pytest.fixture
def config(tmp_path):
    """Return the path of a configuration file that is right."""
    path = tmp_path / "desk.toml"
    path.write_text(CONFIG, "utf-8")
    return path


@pytest.fixture
def command():
    """Return a function that runs the command in a process of its own."""

    def command(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "mailrouting", *map(str, arguments)],
            check=False,
            **{"capture_output": True, "text": True, "timeout": 60, **options},
        )

    return command
