"""The pytest plugin: fixtures of the fakes, and nothing is loaded before they are asked for."""

import subprocess
import sys

from mailrouting.accounts import EmailAccount, FirstRun
from mailrouting.directory import Directory
from mailrouting.fetch import Fetcher
from mailrouting.stores.memory import MemoryAccounts
from mailrouting.testing import make_message


def test_the_fixtures_belong_together(mail_server, mail_clock, mail_desk, mail_storage):
    """Server, clock, desk and storage are a help desk in memory."""
    mail_server.add_mailbox("help@desk.example")
    mail_server.deliver(make_message(), to="help@desk.example")
    account = EmailAccount.from_url(
        "imaps://help%40desk.example@mail.desk.example/INBOX",
        id="help",
        address="help@desk.example",
        first_run=FirstRun.all(),
    )
    fetcher = Fetcher(
        accounts=MemoryAccounts(Directory(accounts=(account,))),
        storage=mail_storage,
        desk=mail_desk,
        open_session=mail_server.open_session,
        clock=mail_clock,
    )
    assert fetcher.run("help").stored == 1
    assert mail_desk.subjects == ["Printer on fire"]
    assert mail_storage.intake_row(1).stored_at == mail_clock()


def test_the_plugin_loads_nothing_before_a_fixture_runs(tmp_path):
    """Starting pytest imports nothing of mailrouting; a storage is closed after its test."""
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert '_mailrouting_pytest' in sys.modules\n"
        "    assert not [name for name in sys.modules if name.split('.')[0] == 'mailrouting']\n"
        "kept = []\n"
        "def test_open(mail_storage):\n"
        "    assert 'mailrouting' in sys.modules\n"
        "    assert mail_storage.intake_rows() == ()\n"
        "    kept.append(mail_storage)\n"
        "def test_closed():\n"
        "    from mailrouting.errors import StorageUnavailableError\n"
        "    import pytest\n"
        "    with pytest.raises(StorageUnavailableError):\n"
        "        kept[0].intake_rows()\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path,
         "--confcutdir", tmp_path, "-c", "/dev/null", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
