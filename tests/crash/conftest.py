"""Count the kills of all enumerations, and say at the very end what they found."""

import os
from functools import partial

import pytest

from crashing.enumeration import Enumeration, Tally
from crashing.servers import dovecot_lab, fake_lab

_TALLY = pytest.StashKey()
_LONG = os.environ.get("MAILROUTING_CRASH") == "long"


def pytest_configure(config):
    """Begin to count."""
    config.stash[_TALLY] = Tally()


@pytest.fixture(scope="session")
def tally(pytestconfig):
    """Return the count of all kills that must lose and double nothing."""
    return pytestconfig.stash[_TALLY]


@pytest.fixture(scope="session")
def is_long():
    """Tell whether every step is asked for (`make crash`), or a spread."""
    return _LONG


@pytest.fixture
def lab(request):
    """Return what makes the lab of a server's name: `dovecot` or `fake`."""

    def lab(server, **how):
        if server == "dovecot":
            dovecot = request.getfixturevalue("dovecot")
            return partial(_dovecot_lab, dovecot, request.node.name, **how)
        return lambda prefix: fake_lab(**how)

    return lab


def _dovecot_lab(dovecot, name, prefix, **how):
    words = "".join(letter if letter.isalnum() else "-" for letter in name)
    return dovecot_lab(dovecot, prefix=f"{words}-{prefix}", **how)


@pytest.fixture
def enumerate_kills(tally, is_long):
    """Return what enumerates a scenario in the form that is asked for, and adds to the count."""

    def enumerate_kills(scenario, *, short, second=None):
        """Kill at every step, and again at every step of the resume; or at a spread of `short`.

        Args:
            scenario: What is enumerated.
            short: Steps of the short form.
            second: Steps to kill at before the resume is killed: short form, long form.
        """
        enumeration = Enumeration(scenario)
        found = enumeration.single() if is_long else enumeration.single(most=short)
        if second is not None:
            least, most = second
            found.add(
                enumeration.double(first=most)
                if is_long
                else enumeration.double(first=least, second=3)
            )
        tally.add(found)
        assert found.clean, "\n".join(map(str, found.odd[:20]))
        assert found.kills >= short * 0.9
        return found

    return enumerate_kills


def pytest_unconfigure(config):
    """Say what the kills found, in the last line."""
    found = config.stash.get(_TALLY, None)
    if found is not None and found.kills:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(str(found))
