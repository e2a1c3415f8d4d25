"""Fixtures of all tests, and a loud word when tests against real servers did not run."""

import importlib.util
import os
from pathlib import Path

import hypothesis
import pytest

_REQUIRE = "MAILROUTING_REQUIRE_SERVERS"
_UNTESTED = "MAILROUTING_UNTESTED"
_MISSING = pytest.StashKey()

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure(config):
    """Register what runs real servers."""
    config.stash[_MISSING] = set()
    for path in sorted((Path(__file__).parent / "servers").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"_mailrouting_server_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        config.pluginmanager.register(module, spec.name)


@pytest.fixture(scope="session")
def record_missing_server(pytestconfig):
    """Return how a fixture says that its server is not installed."""

    def record(what):
        pytestconfig.stash[_MISSING].add(what)
        if os.environ.get(_REQUIRE) == "1":
            pytest.fail(f"{what} is not installed, and {_REQUIRE}=1")
        pytest.skip(f"{what} is not installed")

    return record


def pytest_unconfigure(config):
    """Say in the very last line that truth was skipped."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    lines = [
        f"NOT TESTED AGAINST A REAL SERVER: {what} is not installed; {_REQUIRE}=1 makes "
        "this an error."
        for what in sorted(config.stash.get(_MISSING, ()))
    ]
    for line in lines:
        reporter.write_line(line, red=True, bold=True)
    # `make test` prints the coverage after us, and then these lines again.
    if lines and _UNTESTED in os.environ:
        with Path(os.environ[_UNTESTED]).open("a", encoding="utf-8") as untested:
            untested.write("\n".join(lines) + "\n")
