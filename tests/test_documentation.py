"""The documentation speaks of what there is, and of all of it."""

import enum
import importlib.util
import re
from pathlib import Path

import attrs
import pytest

import mailrouting
from mailrouting.accounts import (
    Alias,
    EmailAccount,
    InboundSettings,
    MaySendAs,
    OutboundSettings,
    TicketDefaults,
    TrustedAuthentication,
)
from mailrouting.auth import parse_login
from mailrouting.directory import Department, Directory
from mailrouting.hooks import Event

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")]
EXTENSION = DOCS / "_ext" / "from_source.py"
CONFIGURED = (
    Alias,
    Department,
    Directory,
    EmailAccount,
    InboundSettings,
    MaySendAs,
    OutboundSettings,
    TicketDefaults,
    TrustedAuthentication,
)
# Written as tables of their own: [accounts.NAME], [departments.NAME].
TABLES = {"accounts", "departments"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_linked_exist(page):
    """A link from a page at the root leads to a file of the repository."""
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_is_in_contributing():
    """Whoever looks for what to run finds all there is, and nothing that is gone."""
    targets = re.findall(
        r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    shown = re.findall(
        r"^\$ make ([a-z0-9-]+)", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(shown) == sorted({*targets} - {"help"})


def test_the_readme_is_short_and_shows_code_soon():
    """A stranger sees code on the first screen and reaches the end in minutes."""
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 150
    assert any(line.startswith("```") for line in lines[:20])


@pytest.mark.parametrize("kind", CONFIGURED, ids=lambda kind: kind.__name__)
def test_every_setting_is_in_the_configuration_reference(kind):
    """What a configuration file may say is explained."""
    text = (DOCS / "reference" / "configuration.md").read_text("utf-8")
    names = {field.name for field in attrs.fields(kind)} - TABLES
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_every_event_is_in_the_reference():
    """What a desk may hear is explained."""
    text = (DOCS / "reference" / "events.md").read_text("utf-8")
    assert [event.value for event in Event if f"| `{event.value}` |" not in text] == []


def test_every_public_module_has_a_page():
    """A module without an underscore in its path is in the reference, by itself or by its package."""
    # `accounts.settings`, `intake.converting` and the like are behind the door of their package.
    inner = {
        "accounts", "cli", "intake", "outbound", "reading", "records", "routing", "storage", "wire",
    }  # fmt: skip
    package = Path(mailrouting.__file__).parent
    modules = {
        ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
    }
    public = {
        name
        for name in modules - {"__init__", "__main__", "stores", "integrations"}
        if "._" not in name and name.partition(".")[0] not in inner
    } | (inner - {"cli", "intake", "wire"})
    # Their front door is `mailrouting.testing`.
    public -= {"testing.doubles", "testing.messages", "testing.server"}
    pages = {page.stem.replace("-", ".") for page in (DOCS / "reference" / "api").glob("*.md")}
    assert public - pages == set()


def test_the_table_of_login_strings_is_true():
    """The guide's table says what `parse_login` says."""
    text = (DOCS / "how-to" / "open-a-shared-mailbox.md").read_text("utf-8")
    rows = re.findall(r"^\| `(.+)` \| (?:none|`(.+)`) \| `(.+)` \|$", text, re.MULTILINE)
    assert len(rows) == 9
    found = [
        (login.authname or "", login.username) for login in map(parse_login, (r[0] for r in rows))
    ]
    assert found == [(authname, username) for _, authname, username in rows]


def test_floors_are_told_as_they_are_held():
    """The map in CONTRIBUTING names every floor of the import contract, in order."""
    contract = re.search(
        r"^layers = \[\n(.*?)^\]",
        (ROOT / "pyproject.toml").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    layers = re.findall(r'"(.+)"', contract[1])
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").replace(r"\|", "|")
    told = re.findall(r"^\| `(.+?)` \| .*\|$", text, re.MULTILINE)
    assert told == layers


@pytest.fixture
def extension():
    """Return the extension that makes the reference from the source."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("from_source", EXTENSION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("raised `A` or `B` here", "raised `A` or `B` here"),
        ("the separator `: ` and `b`", "the separator `:` and `b`"),
        ("both `MailSession`s", r"both `MailSession`\ s"),
        ("``a `` and `b`", "``a`` and `b`"),
    ],
)
def test_code_in_docstrings_is_closed(extension, written, expected):
    """Code spans are taken in pairs: what stands between two of them is left alone."""
    lines = [written]
    extension.Docstrings().before(None, "class", "x", lines)
    assert lines == [expected]


def test_code_that_goes_over_a_line_end_is_one_pair(extension):
    """A span that a line end divides does not turn the pairs after it inside out."""
    lines = ["one `code", "span` and `x`, raised `Y` after"]
    extension.Docstrings().before(None, "class", "x", lines)
    assert lines == ["one `code", "span` and `x`, raised `Y` after"]


def test_a_name_that_ends_in_an_underscore_is_no_link(extension):
    """A field like `from_` keeps its underscore."""
    lines = [":ivar from_: Who wrote it.", ":param to: Who gets it."]
    extension.Docstrings().after(None, "class", "x", lines)
    assert lines == [r":ivar from\_: Who wrote it.", ":param to: Who gets it."]


def test_every_member_of_an_enum_is_shown(extension):
    """A member without a sentence of its own is in the reference all the same."""
    member = enum.Enum("Choice", ["ONE"]).ONE
    assert extension.keep_members(None, "class", "ONE", member, True, {}) is False
    assert extension.keep_members(None, "class", "one", 1, True, {}) is None


def test_every_test_of_hostile_mail_exists():
    """The reference names tests that are there, and each row names one."""
    page = (DOCS / "reference" / "hostile-mail.md").read_text("utf-8")
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", page)
    assert [name for name in named if f"def {name}(" not in tests] == []
    rows = [line for line in page.splitlines() if line.startswith("|")][2:]
    assert all("`test_" in row for row in rows)
