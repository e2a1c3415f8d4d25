"""The conformance kit catches what it is there to catch, and speaks plainly to its user."""

import inspect
import re
from functools import partial

import pytest

from broken_stores import ACCOUNT_TWINS, TWINS, CutsAtNul
from mailrouting.directory import Directory
from mailrouting.storage import AccountStore, Capability, Storage
from mailrouting.stores.memory import MemoryAccounts, MemoryStorage
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing.conformance import AccountStoreConformance, StorageConformance


def run(adapter, name, folder, **arguments):
    """Run one test of the kit as an author's test class would."""

    class Kit(StorageConformance):
        def opener(self, fresh_dir):
            if issubclass(adapter, SqliteStorage):
                return partial(adapter, fresh_dir / "mail.db")
            return adapter

        def host_write(self, tx, word):
            if issubclass(adapter, SqliteStorage):
                super().host_write(tx, word)

    kit = Kit()
    test = getattr(kit, name)
    wanted = inspect.signature(test).parameters
    if "kind" in wanted:
        arguments["kind"] = ValueError
    if "how" in wanted:
        arguments |= {"how": "storage", "swallowed": False}
    if "tmp_path" in wanted:
        test(tmp_path=folder)
    else:
        with kit.opener(folder)() as storage:
            test(storage=storage, **arguments)


def run_accounts(adapter, name, folder):
    """Run one test of the account stores' kit as an author's test class would."""

    class Kit(AccountStoreConformance):
        def opener(self, fresh_dir):
            return lambda: adapter(Directory())

    getattr(Kit(), name)(folder)


def numbers(protocol):
    """Return the numbers of a protocol's obligations."""
    return re.findall(r"^ +([SA]\d+)\. ", protocol.__doc__, re.MULTILINE)


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        pytest.param(adapter, name, id=f"{s}-{adapter.__name__}-{name}")
        for s, adapter, name in TWINS
    ],
)
def test_planted_defect_is_caught(adapter, name, tmp_path):
    """Each planted defect fails the test that is there for it."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(adapter, name, tmp_path)


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        pytest.param(twin, name, id=f"{number}-{twin.__name__}")
        for number, twin, name in ACCOUNT_TWINS
    ],
)
def test_planted_defect_of_an_account_store_is_caught(adapter, name, tmp_path):
    """Each planted defect fails the test that is there for it."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run_accounts(adapter, name, tmp_path)


@pytest.mark.parametrize(("protocol", "twins"), [(Storage, TWINS), (AccountStore, ACCOUNT_TWINS)])
def test_every_obligation_has_a_planted_defect(protocol, twins):
    """No obligation is without an adapter that breaks it and a test that catches that."""
    assert set(numbers(protocol)) == {number for number, _, _ in twins}


@pytest.mark.parametrize("name", sorted({name for _, _, name in TWINS}))
def test_sound_adapter_passes_the_same_way(name, tmp_path):
    """The same tests, run the same way, pass with the adapter that has no defect."""
    run(SqliteStorage, name, tmp_path)


@pytest.mark.parametrize("name", sorted({name for _, _, name in ACCOUNT_TWINS}))
def test_sound_account_store_passes_the_same_way(name, tmp_path):
    """The same tests, run the same way, pass with the account store that has no defect."""
    run_accounts(MemoryAccounts, name, tmp_path)


def test_failure_reads_as_a_sentence(tmp_path):
    """A failure names the obligation and says what happened."""
    with pytest.raises(AssertionError, match=r"S5: b'\\x00' came back as b''"):
        run(CutsAtNul, "test_raw_mail_is_whole", tmp_path)


def test_skip_names_the_capability(tmp_path):
    """A test that does not apply says which capability is not declared, and what it means."""
    with pytest.raises(
        pytest.skip.Exception, match="MemoryStorage does not declare DURABLE"
    ) as skip:
        run(MemoryStorage, "test_everything_survives", tmp_path)
    assert Capability.DURABLE.value in str(skip.value)


def test_overridden_test_is_refused():
    """A test of the kit cannot be overridden; the error says what to write instead."""
    with pytest.raises(TypeError, match=r'known_gaps = \{"test_close_twice"'):
        type(
            "TestMine",
            (StorageConformance,),
            {"opener": lambda self, folder: MemoryStorage, "test_close_twice": lambda self: None},
        )


def test_missing_hook_is_one_error():
    """A class without the hook is refused when it is made; the error says what to write."""
    with pytest.raises(TypeError, match=r"(?s)TestMine must say.*def opener\(self, fresh_dir\)"):
        type("TestMine", (StorageConformance,), {})


def test_known_gap_is_strict():
    """A known gap becomes a strict xfail with its reason, for that class alone."""
    kit = type(
        "TestMine",
        (StorageConformance,),
        {
            "opener": lambda self, folder: MemoryStorage,
            "known_gaps": {"test_misuse_is_stopped": "issue 12"},
        },
    )
    marks = {mark.name: mark for mark in kit.test_misuse_is_stopped.pytestmark}
    assert marks["xfail"].kwargs == {"strict": True, "reason": "issue 12"}
    assert "parametrize" in marks
    kept = [mark.name for mark in StorageConformance.test_misuse_is_stopped.pytestmark]
    assert "xfail" not in kept


def test_unknown_gap_is_refused():
    """A gap that names no test is a mistake, not a gap."""
    with pytest.raises(TypeError, match="test_nothing"):
        type(
            "TestMine",
            (StorageConformance,),
            {"opener": lambda self, folder: MemoryStorage, "known_gaps": {"test_nothing": ""}},
        )


def test_shared_transaction_without_sql_needs_its_hooks(tmp_path):
    """An adapter whose `tx` runs no SQL is told which two hooks to write."""

    class Kit(StorageConformance):
        def opener(self, fresh_dir):
            return MemoryStorage

    with MemoryStorage() as storage, pytest.raises(TypeError, match="host_write"):
        Kit().test_the_host_commits_with_us(storage)


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ({}, r"(?s)TestMine must say.*def opener\(self, fresh_dir\)"),
        (
            {"opener": lambda self, folder: MemoryAccounts, "test_order": lambda self: None},
            r'known_gaps = \{"test_order"',
        ),
        (
            {"opener": lambda self, folder: MemoryAccounts, "known_gaps": {"test_nothing": ""}},
            "test_nothing",
        ),
    ],
)
def test_an_account_stores_class_is_held_to_the_same_rules(inside, told):
    """A missing hook, an overridden test and a gap that names no test are refused at once."""
    with pytest.raises(TypeError, match=told):
        type("TestMine", (AccountStoreConformance,), inside)
