"""Run every code block of README.md, CONTRIBUTING.md, docs/ and examples/ (Sybil); a page is one namespace.

`python` blocks run. A `toml` block is a whole configuration file: it is read, and stays as
`desk.toml` for the blocks below it. Of a `console` block `mailrouting` commands run, and what is
shown below one is compared; `make` targets must exist. A page works in a folder of its own.
"""

import contextlib
import os
import re
import shlex
import tempfile
from pathlib import Path

from click.testing import CliRunner
from sybil import Sybil
from sybil.example import Example
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

from mailrouting.cli.config import read_config
from mailrouting.cli.main import main

_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_NOT_RUN = ("crontab", "export", "pip", "python")
_MAKEFILE = Path(__file__).with_name("Makefile").read_text("utf-8")


def _toml(example: Example) -> None:
    path = Path("desk.toml")
    path.write_text(example.parsed, "utf-8")
    read_config(path)


def _console(example: Example) -> None:
    commands = _COMMAND.findall(f"{example.parsed.rstrip()}\n")
    assert commands, "a console block holds lines that begin with '$ '"
    for line, shown in commands:
        path, *arguments = shlex.split(line, comments=True)
        program = Path(path).name
        if program == "make":
            targets = [argument for argument in arguments if "=" not in argument]
            assert all(re.search(rf"^{name}:", _MAKEFILE, re.MULTILINE) for name in targets)
        elif program == "mailrouting":
            _compare(arguments, shown)
        else:
            assert program in _NOT_RUN, f"{program} is neither run nor known"


def _compare(arguments: list[str], shown: str) -> None:
    if not shown and "fetch" in arguments:  # it would ask a real server
        arguments = [*arguments, "--help"]
    found = CliRunner().invoke(main, arguments, prog_name="mailrouting", terminal_width=80)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.output
    if shown:
        assert found.output.strip().splitlines() == shown.strip().splitlines()
    else:
        assert found.exit_code == 0, found.output


def _enter(namespace: dict[str, object]) -> None:
    stack = namespace["_page"] = contextlib.ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    stack.callback(os.chdir, Path.cwd())
    os.chdir(folder)


def _leave(namespace: dict[str, object]) -> None:
    page = namespace["_page"]
    assert isinstance(page, contextlib.ExitStack)
    page.close()


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="toml", evaluator=_toml),
        CodeBlockParser(language="console", evaluator=_console),
    ],
    patterns=["*.md"],
    setup=_enter,
    teardown=_leave,
).pytest()
