"""The configuration file: what is wrong is named as the file names it."""

import pytest


@pytest.fixture
def refuse(run, config):
    """Return a function that changes the file and returns what is said about it."""

    def refuse(old, new):
        text = config.read_text("utf-8")
        assert old in text
        config.write_text(text.replace(old, new, 1), "utf-8")
        result = run("resolve", "--config", str(config))
        assert result.exit_code == 2, result.output
        assert "nothing was fetched" not in result.stderr
        return result.stderr

    return refuse


def test_an_unknown_key_of_the_file_shows_all_that_there_are(refuse):
    """The keys that only the command knows are among them, and the nearest is offered."""
    told = refuse('state = "state.sqlite"', 'statee = "state.sqlite"')
    assert "statee: unknown, expected one of state, ca_file, accounts, departments" in told
    assert "Did you mean state?" in told


def test_an_unknown_key_of_an_account_offers_the_nearest(refuse):
    """A slip of the pen is answered with the name that is meant, not with a word about secrets."""
    told = refuse("first_run =", "firstrun =")
    assert "accounts.support.inbound.firstrun: unknown" in told
    assert "Did you mean first_run?" in told
    assert "secret" not in told


def test_a_key_that_is_like_no_other_is_only_unknown(refuse):
    """Nothing is offered when nothing is near."""
    told = refuse("first_run =", "zzz = 1\nfirst_run =")
    assert "zzz: unknown" in told
    assert "Did you mean" not in told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("state =", 'password = "geheim-9"\nstate ='),
        ("first_run =", 'password = "geheim-9"\nfirst_run ='),
        ('endpoint = "smtp.desk.example"', 'endpoint = "x.example"\nauth_token = "geheim-9"'),
        ("password_env =", 'password = "geheim-9"\npassword_env ='),
        ("outgoing =", 'secret = "geheim-9"\noutgoing ='),
    ],
)
def test_a_secret_in_the_file_is_told_where_it_belongs(refuse, old, new):
    """Wherever it stands, the hint names the four keys, and the secret is not repeated."""
    told = refuse(old, new)
    assert "password_env, password_file, token_env or token_file" in told
    assert "geheim-9" not in told


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('outgoing = "support"', 'outgoing = "nobody"', "departments.sales.outgoing: There is no"),
        ('outgoing = "support"', "outgoing = 7", "departments.sales.outgoing: found 7"),
        ('outgoing = "support"', 'outgoingg = "support"', "departments.sales.outgoingg: unknown"),
    ],
)
def test_departments_are_called_by_name(refuse, old, new, expected):
    """What is wrong with a department is named as the file names it, never by number."""
    assert expected in refuse(old, new)


def test_two_places_of_a_secret_are_named(refuse):
    """An account with two of the four keys is told both."""
    told = refuse("password_env =", 'token_file = "t"\npassword_env =')
    assert "accounts.support: found password_env and token_file, expected one of them" in told


def test_a_byte_order_mark_is_accepted(run, config):
    """Editors that begin UTF-8 with a mark write a file that works."""
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert run("resolve", "--config", str(config)).exit_code == 0


def test_a_byte_that_is_no_utf_8_is_named_with_its_line(run, config):
    """The line and the byte are named, also after a mark."""
    text = config.read_bytes().replace(b"Support <", b"Gr\xfcn <")
    config.write_bytes(b"\xef\xbb\xbf" + text)
    result = run("resolve", "--config", str(config))
    assert result.exit_code == 2
    line = text[: text.index(b"\xfc")].count(b"\n") + 1
    assert f"{config}: line {line}: the byte 0xfc is no UTF-8" in result.stderr


def test_warnings_are_shown_once(run, config, tmp_path):
    """Fetch, explain and resolve say on standard error what is hardly meant so, and go on."""
    text = config.read_text("utf-8").replace("imaps://127.0.0.1:1", "plain://127.0.0.1:1")
    config.write_text(text, "utf-8")
    mail = tmp_path / "a.eml"
    mail.write_bytes(b"From: a@b.example\n\nhello\n")
    for arguments in (["fetch", "--json"], ["explain", str(mail)], ["resolve"]):
        result = run(*arguments, "--config", str(config), env={"SUPPORT_PASSWORD": "x"})
        warning = "warning: accounts.support.inbound.endpoint.tls: Password and mail go over"
        assert result.stderr.count(warning) == 1, result.output
        assert "warning" not in result.stdout
