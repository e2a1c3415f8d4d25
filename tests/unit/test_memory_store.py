"""The store in memory lets a host in memory commit with it, and refuses what makes no sense."""

from datetime import UTC, datetime

import attrs
import pytest

from mailrouting.accounts import EmailAccount
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol
from mailrouting.directory import Directory
from mailrouting.errors import StaleWriteError
from mailrouting.reading import identify
from mailrouting.records import (
    Conclusion,
    IntakeMail,
    MailboxKey,
    Outcome,
    OutcomeKind,
    Position,
    PutStatus,
)
from mailrouting.stores.memory import MemoryAccounts, MemoryStorage
from mailrouting.stores.sqlite import SqliteStorage

NOW = datetime(2026, 3, 1, tzinfo=UTC)
INBOX = MailboxKey("a", MailProtocol.IMAP, "INBOX")
OTHER = MailboxKey("a", MailProtocol.IMAP, "Other")
CONCLUSION = Conclusion(outcome=Outcome(kind=OutcomeKind.FILTERED, reason="a rule"))
MAIL = IntakeMail(account_id="a", raw=b"x", identity=identify(b"x"))


@pytest.fixture(params=["memory", "sqlite"])
def storage(request, tmp_path):
    """Each of our stores."""
    made = MemoryStorage() if request.param == "memory" else SqliteStorage(tmp_path / "mail.db")
    with made as storage:
        yield storage


def _claimed(storage):
    storage.intake_put([MAIL], lease=None)
    (claim,) = storage.intake_claim(
        worker="w", limit=1, visibility_seconds=60, max_attempts=3
    ).claimed
    return claim


def test_callbacks_follow_the_outcome():
    """What a host registers runs in order on commit, last first on rollback, never both."""
    calls = []

    def write(tx):
        for name in ("one", "two"):
            tx.on_commit(lambda name=name: calls.append(f"commit {name}"))
            tx.on_rollback(lambda name=name: calls.append(f"undo {name}"))
        return CONCLUSION

    def broken(tx):
        write(tx)
        raise KeyError

    with MemoryStorage() as storage:
        claim = _claimed(storage)
        with pytest.raises(KeyError):
            storage.conclude(claim, broken)
        assert calls == ["undo two", "undo one"]
        calls.clear()
        storage.conclude(claim, write)
        assert calls == ["commit one", "commit two"]


def test_clock():
    """The clock that the storage was given counts where no time is told."""
    with MemoryStorage(clock=lambda: NOW) as storage:
        storage.intake_put([MAIL], lease=None)
        assert storage.intake_rows()[0].stored_at == NOW


def test_mail_and_lease_must_fit(storage):
    """Mail with a position needs the lease on its mailbox, and a lease needs positions."""
    lease = storage.lease_acquire(INBOX, owner="w", ttl_seconds=60)
    here = attrs.evolve(MAIL, position=Position(INBOX, 1, "1"))
    there = attrs.evolve(MAIL, position=Position(OTHER, 1, "1"))
    for mails, held in (([here], None), ([there], lease), ([MAIL], lease)):
        with pytest.raises(ValueError, match="lease"):
            storage.intake_put(mails, lease=held)
    for use in (storage.intake_skip, storage.mark_acknowledged):
        with pytest.raises(ValueError, match="lease"):
            use([Position(OTHER, 1, "1")], lease=lease)
    assert storage.intake_rows() == ()


def test_unopened_mailbox_has_nothing_to_tell(storage):
    """A mailbox that was never opened has no positions and nothing to acknowledge."""
    assert storage.unacknowledged(INBOX, limit=9, concluded_only=False) == ()
    assert storage.positions(INBOX, 1, ["1"]) == {}


def test_lone_surrogates_are_refused(storage):
    """A text that is no Unicode text is refused by every store, not only by those that fail."""
    with pytest.raises(ValueError, match="surrogates"):
        storage.intake_put([attrs.evolve(MAIL, account_id="\ud800")], lease=None)


def test_another_recipe_at_the_same_position(storage):
    """Within a generation a position is one mail, though its identity was computed anew."""
    lease = storage.lease_acquire(INBOX, owner="w", ttl_seconds=60)
    storage.stream_open(lease, uidvalidity=1, uidnext=1)
    here = attrs.evolve(MAIL, position=Position(INBOX, 1, "1"))
    later = attrs.evolve(MAIL.identity, version=MAIL.identity.version + 1, fingerprint="f")
    first, second = (
        storage.intake_put([mail], lease=lease)[0]
        for mail in (here, attrs.evolve(here, identity=later))
    )
    assert (second.status, second.intake_id) == (PutStatus.KNOWN, first.intake_id)


def test_accounts_keep_the_rest_of_the_directory():
    """Saving an account leaves the directory's settings; `replace` makes old versions stale."""
    account = EmailAccount(id="a", address=NamedAddress.parse("a@example.org"))
    store = MemoryAccounts(Directory(accounts=(account,), default_account="a", fetching=False))
    version = store.version("a")
    store.save(attrs.evolve(account, enabled=False), expected_version=version)
    assert store.directory() == Directory(
        accounts=(attrs.evolve(account, enabled=False),), default_account="a", fetching=False
    )
    before = store.version("a")
    store.replace(Directory(accounts=(account,)))
    assert store.directory() == Directory(accounts=(account,))
    with pytest.raises(StaleWriteError):
        store.save(account, expected_version=before)
