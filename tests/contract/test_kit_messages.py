"""The conformance kit under pytest: what its user reads when something is missing."""

import subprocess
import sys

import pytest

OPENERS = """
from mailrouting.directory import Directory
from mailrouting.stores.memory import MemoryAccounts, MemoryStorage
from mailrouting.testing.conformance import AccountStoreConformance, StorageConformance

class TestMine(StorageConformance):
    def opener(self, fresh_dir):
        return MemoryStorage()

class TestAccounts(AccountStoreConformance):
    def opener(self, fresh_dir):
        return MemoryAccounts(Directory())
"""
REWRITTEN = """
import sys
import mailrouting.testing.conformance

def test_it():
    loaders = {
        name: type(module.__spec__.loader).__name__
        for name, module in sys.modules.items()
        if name.startswith("mailrouting.testing.")
    }
    assert len(loaders) > 5
    assert set(loaders.values()) == {"AssertionRewritingHook"}
"""
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{name}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
import mailrouting.testing.conformance
"""


def test_an_opener_that_returns_a_storage_is_told_once(run_kit):
    """The mistake is one failure of one sentence for each class; the other tests are skipped."""
    told = run_kit(OPENERS)
    assert told.count("TestMine.opener returned MemoryStorage, expected a function that opens") == 1
    assert told.count("TestAccounts.opener returned MemoryAccounts, expected a function") == 1
    assert "2 failed, " in told
    assert "return MemoryStorage()" not in told


def test_assertions_of_the_whole_kit_are_rewritten(run_kit):
    """Every module of the kit shows the values of an assertion that fails, private ones too."""
    told = run_kit(REWRITTEN)
    assert "1 passed" in told, told


@pytest.mark.parametrize("name", ["pytest", "hypothesis"])
def test_the_kit_names_the_extra_that_is_missing(name):
    """Without pytest or Hypothesis the import says what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name=name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert f"ImportError: the kits need {name}" in done.stderr
    assert "mailrouting[testing]" in done.stderr
