"""Run a kit as its user does."""

import subprocess
import sys

import pytest


@pytest.fixture
def run_kit(tmp_path):
    """Return a function that runs a test file in a pytest of its own and returns what it printed."""

    def run_kit(text, *options):
        (tmp_path / "test_mine.py").write_text(text, "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider", "--rootdir", tmp_path,
             "--confcutdir", tmp_path, "-c", "/dev/null", tmp_path, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )  # fmt: skip
        return done.stdout

    return run_kit
