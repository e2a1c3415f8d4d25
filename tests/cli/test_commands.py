"""The command: what it prints, and how it ends."""

import json

import pytest

from mailrouting.testing import make_message


def test_login_says_who_authenticates_and_whose_mailbox_is_opened(run):
    """A login string with two identities shows both, and what each dialect sends."""
    result = run("login", r"agent@desk.example\sales@desk.example")
    assert result.exit_code == 0
    assert "authname  agent@desk.example" in result.output
    assert "username  sales@desk.example" in result.output
    assert "agent@desk.example, to act as sales@desk.example" in result.output
    assert "sales@desk.example*agent@desk.example" in result.output


def test_login_points_at_what_is_wrong(run):
    """A string outside the grammar ends with status 2, the position and a hint."""
    result = run("login", r"agent@desk.example\\")
    assert result.exit_code == 2
    assert "position 19" in result.output


def test_login_notices_that_the_shell_took_the_backslash(run):
    """Two addresses without a separator are one login, and the likely reason is said."""
    result = run("login", "agent@desk.examplesales@desk.example")
    assert result.exit_code == 0
    assert "no separator found: quote the string" in result.stdout
    assert "note" not in run("login", "sales@desk.example").stdout


def test_inspect_prints_one_json_object_a_file_in_order(run, tmp_path):
    """Every file has its line, an unreadable path one with `error`; the exit status is 0."""
    first, second = tmp_path / "a.eml", tmp_path / "b.eml"
    first.write_bytes(make_message(subject="プリンター"))
    second.write_bytes(b"\x00\xff")
    result = run("inspect", "--json", str(first), str(tmp_path / "none"), str(second))
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["file"] for row in rows] == [str(first), str(tmp_path / "none"), str(second)]
    assert rows[0]["subject"] == "プリンター"
    assert rows[0]["from"] == {"name": "Carla Customer", "address": "carla@customer.example"}
    assert "error" in rows[1]


def test_inspect_shows_a_mail_to_people(run, tmp_path):
    """Without --json a person reads key and value, and no empty ones."""
    path = tmp_path / "a.eml"
    path.write_bytes(make_message(subject="Printer on fire", text="one\ntwo\n"))
    result = run("inspect", str(path))
    assert "subject  Printer on fire" in result.output
    assert "null" not in result.output


def test_explain_writes_nothing(run, config, tmp_path):
    """The steps of the decision are shown, and no ticket is opened."""
    path = tmp_path / "a.eml"
    path.write_bytes(make_message(to="support@desk.example"))
    result = run("explain", "--config", str(config), str(path))
    assert result.exit_code == 0, result.output
    assert "decision: open a ticket, a new request" in result.output
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.eml", "desk.toml"]


def test_explain_reads_standard_input(run, config):
    """A dash stands for standard input."""
    mail = make_message(from_="support@desk.example", to="support@desk.example")
    result = run("explain", "--config", str(config), "-", input=mail)
    assert "own loop" in result.output
    assert "decision: open nothing" in result.output


def test_explain_wants_a_known_account(run, config, tmp_path):
    """An account that is not configured is an error with status 2 that says which there are."""
    path = tmp_path / "a.eml"
    path.write_bytes(make_message())
    result = run("explain", "--config", str(config), "--account", "nobody", str(path))
    assert result.exit_code == 2
    assert "--account: there is no account 'nobody'" in result.stderr
    assert "Name one of: support." in result.stderr


def test_resolve_says_which_address_answers_and_why(run, config):
    """The From, the server and the steps are shown."""
    result = run("resolve", "--config", str(config), "--department", "sales", "--to", "c@d.example")
    assert result.exit_code == 0, result.output
    assert 'From "Support" <support@desk.example>, account support' in result.output
    assert "department sales" in result.output


def test_resolve_shows_what_was_tried(run, config):
    """When no address may send, every candidate is shown with its reason."""
    text = config.read_text("utf-8")
    config.write_text(text.replace('outgoing = "support"', "") + "\n", "utf-8")
    text = config.read_text("utf-8").replace(
        '[accounts.support.outbound]\nendpoint = "smtp.desk.example"\n', ""
    )
    config.write_text(text, "utf-8")
    result = run("resolve", "--config", str(config), "--department", "sales")
    assert result.exit_code == 1
    assert "no outbound server" in result.output


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--department", "nope", "Name one of: sales."),
        ("--choice", "nope", "Name one of: support;"),
        ("--received-by", "nobody@desk.example", "Name one of: support;"),
        ("--answered-from", "junk", "'@'"),
        ("--to", "junk", "'@'"),
    ],
)
def test_resolve_refuses_what_does_not_exist(run, config, option, value, expected):
    """An option that names nothing ends with status 2, its name, and what there is."""
    result = run("resolve", "--config", str(config), option, value)
    assert result.exit_code == 2
    assert f"mailrouting: {option}: " in result.stderr
    assert expected in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('protocol = "imap"', "protocol = imap", ("no TOML", "line 10")),
        ('protocol = "imap"', 'protocol = "imapp"', ("accounts.support.inbound.protocol", "imapp")),
        ('first_run = "all"', "", ("accounts.support.inbound.first_run",)),
        ('password_env = "SUPPORT_PASSWORD"', 'password = "geheim-7"', ("Keep secrets out",)),
        ('address = "Support <support@desk.example>"', 'address = "support"', ("address", "'@'")),
        ('outgoing = "support"', 'outgoing = "nobody"', ("nobody",)),
        ("[departments.sales]", "[departements.sales]", ("departements",)),
        ('folder = "Done"', 'folder = "INBOX"', ("folder",)),
        ("password_env =", 'id = "x"\npassword_env =', ("accounts.support.id", "table's name")),
    ],
)
def test_a_wrong_file_names_the_place_and_fetches_nothing(run, config, old, new, expected):
    """File, line or key, what was found and what is expected; status 2 and no state file."""
    text = config.read_text("utf-8")
    assert old in text
    config.write_text(text.replace(old, new), "utf-8")
    result = run("fetch", "--config", str(config))
    assert result.exit_code == 2, result.output
    assert str(config) in result.output
    assert "geheim-7" not in result.output
    for part in expected:
        assert part in result.output
    assert not (config.parent / "state.sqlite").exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_a_file_that_cannot_be_read_is_named(run, tmp_path, content):
    """A missing file, one that is no UTF-8 and an empty one are errors with status 2."""
    path = tmp_path / "desk.toml"
    if content is not None:
        path.write_bytes(content)
    result = run("fetch", "--config", str(path))
    assert result.exit_code == 2
    assert str(path) in result.output


def test_fetch_reports_a_failed_account_and_ends_with_1(run, config):
    """A server that nobody runs is a failed account: its error and hint are shown."""
    result = run("fetch", "--config", str(config), env={"SUPPORT_PASSWORD": "geheim-8"})
    assert result.exit_code == 1, result.output
    assert "support: failed" in result.stdout
    assert "support: ConnectError: no session with 127.0.0.1:1" in result.stderr
    assert "geheim-8" not in result.output
    again = run("fetch", "--config", str(config), env={"SUPPORT_PASSWORD": "geheim-8"})
    assert "support: ConnectError" in again.stderr


def test_fetch_for_machines_is_json(run, config):
    """With --json each account is one object, error included."""
    result = run("fetch", "--json", "--config", str(config), env={"SUPPORT_PASSWORD": "x"})
    row = json.loads(result.stdout)
    assert (row["account"], row["status"], row["error"]["type"]) == (
        "support",
        "failed",
        "ConnectError",
    )
    assert "support: ConnectError" in result.stderr


def test_fetch_says_when_a_secret_is_missing(run, config):
    """An empty variable is a failed account that names the variable."""
    result = run("fetch", "--config", str(config), env={"SUPPORT_PASSWORD": ""})
    assert result.exit_code == 1
    assert "SUPPORT_PASSWORD is empty or not set" in result.output


def test_fetch_refuses_an_unknown_account(run, config):
    """An account that is not configured ends the run before anything is fetched or made."""
    result = run("fetch", "--config", str(config), "--account", "nobody")
    assert result.exit_code == 2
    assert "--account: there is no account 'nobody'" in result.stderr
    assert "Name one of: support." in result.stderr
    assert [entry.name for entry in config.parent.iterdir()] == ["desk.toml"]


def test_demo_opens_nothing_twice(run, tmp_path):
    """The demo's mails end as they should; running it again, kept, opens nothing."""
    first = run("demo", "--keep", str(tmp_path / "kept"))
    assert first.exit_code == 0, first.output
    for outcome in ("created", "appended", "bounce", "filtered", "quarantined"):
        assert outcome in first.output
    assert "プリンターが動きません" in first.output
    assert "7 tickets before, 7 after" in first.output
    second = run("demo", "--keep", str(tmp_path / "kept"))
    assert "7 tickets before, 7 after" in second.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--due", "--watch"), "--due and --watch exclude each other"),
        (("--preview", "--accept-rescan"), "--preview and --accept-rescan exclude each other"),
        (("--due", "--account", "support"), "--due and --account exclude each other"),
        (("--accept-rescan",), "--accept-rescan wants --account"),
    ],
)
def test_fetch_refuses_options_that_contradict(run, config, options, expected):
    """Options that cannot be meant together end with status 2 and say which."""
    done = run("fetch", "--config", str(config), *options)
    assert (done.exit_code, expected in done.output) == (2, True)
