"""Who logs in, whose mailbox is opened, what goes on the wire, and what never shows."""

import copy
import json
import logging
import pickle
from datetime import UTC, datetime

import attrs
import pytest

from mailrouting.auth import (
    Bearer,
    Dialect,
    Login,
    LoginAttempt,
    MailProtocol,
    Mechanism,
    Password,
    Secret,
    login_arguments,
    parse_login,
    plan_login,
    sasl_response,
)
from mailrouting.errors import ConfigurationError, LoginStringError

MARKER = "planted-secret-7c1f"
SHARED = parse_login(r"agent@example.org\sales@example.org")
ALL = frozenset(Mechanism)


@pytest.mark.parametrize(
    ("text", "authname", "username"),
    [
        ("user@domain.tld", None, "user@domain.tld"),
        ("user@domain.tld\\shared@domain.tld", "user@domain.tld", "shared@domain.tld"),
        ("Servername\\user@domain.tld", None, "Servername\\user@domain.tld"),
        (
            "Servername\\user@domain.tld\\shared@domain.tld",
            "Servername\\user@domain.tld",
            "shared@domain.tld",
        ),
        ("user@domain.tld/shared@domain.tld", "user@domain.tld", "shared@domain.tld"),
        ("user@domain.tld\\alias", "user@domain.tld", "alias"),
        ("DOMAIN\\user", None, "DOMAIN\\user"),
        ("DOMAIN\\user\\alias", "DOMAIN\\user", "alias"),
        ("user@domain.tld\\sales/emea@domain.tld", "user@domain.tld", "sales/emea@domain.tld"),
        ("a\\b\\c\\d", None, "a\\b\\c\\d"),
        ("a/b@x/c/d@y", None, "a/b@x/c/d@y"),
        ("Server/user\\shared", "Server/user", "shared"),
        ('"a\\/b"@domain.tld', None, '"a\\/b"@domain.tld'),
        ('"a/b"@domain.tld/shared', '"a/b"@domain.tld', "shared"),
        ('user@domain.tld/"x/y"@domain.tld', "user@domain.tld", '"x/y"@domain.tld'),
        ("user", None, "user"),
    ],
)
def test_login_string_names_who_logs_in_and_whose_mailbox(text, authname, username):
    """Each row of the design's table of login strings gives its two names."""
    login = parse_login(text)
    assert (login.authname, login.username, str(login)) == (authname, username, text)


def test_white_space_around_a_login_string_is_dropped():
    """SP and HTAB around it are dropped, those inside it stay."""
    assert parse_login(" \tDOMAIN\\first last\t ").text == "DOMAIN\\first last"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        (" \t ", 0),
        ("\\user", 0),
        ("user\\", 5),
        ("a\\\\b", 2),
        ("a//b", 2),
        ("a@b\\/c", 4),
        ("us\0er", 2),
        ("user\n", 4),
        ("user\x7f", 4),
        ("\x85user", 0),
        ("user\u2028", 4),
        ('"open\\', 6),
    ],
)
def test_a_login_string_outside_the_grammar_is_refused_with_its_position(text, position):
    """An empty string, an empty part or a control character says where, and what was expected."""
    with pytest.raises(LoginStringError) as caught:
        parse_login(text)
    assert caught.value.position == position
    assert caught.value.expected
    assert caught.value.hint


def test_login_of_says_what_no_string_can():
    """Names that the grammar would split are taken as they are."""
    login = Login.of(authname="agent", username="/odd/name")
    assert (login.authname, login.username) == ("agent", "/odd/name")
    assert Login.of(username="plain") == parse_login("plain")


@pytest.mark.parametrize("names", [{"username": ""}, {"username": "a", "authname": ""}])
def test_login_of_needs_names(names):
    """An empty name is refused, for either of the two."""
    with pytest.raises(LoginStringError):
        Login.of(**names)


def test_login_of_refuses_control_characters():
    """A control character is refused in a name that no string says, too."""
    with pytest.raises(LoginStringError):
        Login.of(username="a\r\nb")


PASSWORD, TOKEN = Password.of(MARKER), Bearer.of(MARKER)
IMAP, POP3, SMTP = MailProtocol.IMAP, MailProtocol.POP3, MailProtocol.SMTP
SINGLE = parse_login("sales@example.org")


@pytest.mark.parametrize(
    "row",
    [
        # SASL, PLAIN: authzid only when another logs in.
        (SHARED, PASSWORD, IMAP, ALL, Dialect.SASL, ("PLAIN", "agent@example.org", "sales@example.org")),
        (SHARED, PASSWORD, POP3, ALL, Dialect.SASL, ("PLAIN", "agent@example.org", "sales@example.org")),
        (SINGLE, PASSWORD, IMAP, ALL, Dialect.SASL, ("PLAIN", "sales@example.org", None)),
        (SINGLE, PASSWORD, IMAP, {Mechanism.LOGIN}, Dialect.SASL, ("LOGIN", "sales@example.org", None)),
        (SINGLE, PASSWORD, POP3, {Mechanism.USER_PASS}, Dialect.SASL, ("USER/PASS", "sales@example.org", None)),
        # EXCHANGE: the string as typed, with the command, though PLAIN is offered.
        (SHARED, PASSWORD, IMAP, ALL, Dialect.EXCHANGE, ("LOGIN", SHARED.text, None)),
        (SHARED, PASSWORD, POP3, ALL, Dialect.EXCHANGE, ("USER/PASS", SHARED.text, None)),
        # MASTER_USER
        (SHARED, PASSWORD, IMAP, ALL, Dialect.MASTER_USER, ("PLAIN", "sales@example.org*agent@example.org", None)),
        (SHARED, PASSWORD, IMAP, {Mechanism.LOGIN}, Dialect.MASTER_USER, ("LOGIN", "sales@example.org*agent@example.org", None)),
        (SINGLE, PASSWORD, IMAP, ALL, Dialect.MASTER_USER, ("PLAIN", "sales@example.org", None)),
        # Tokens: the mailbox's name with the delegate's token.
        (SHARED, TOKEN, IMAP, ALL, Dialect.SASL, ("OAUTHBEARER", "sales@example.org", None)),
        (SHARED, TOKEN, POP3, {Mechanism.XOAUTH2}, Dialect.EXCHANGE, ("XOAUTH2", "sales@example.org", None)),
        # SMTP: who holds the licence, never the joined string.
        (SHARED, PASSWORD, SMTP, ALL, Dialect.SASL, ("PLAIN", "agent@example.org", None)),
        (SHARED, PASSWORD, SMTP, ALL, Dialect.EXCHANGE, ("PLAIN", "agent@example.org", None)),
        (SHARED, PASSWORD, SMTP, {Mechanism.LOGIN}, Dialect.MASTER_USER, ("LOGIN", "agent@example.org", None)),
        (SHARED, TOKEN, SMTP, ALL, Dialect.SASL, ("OAUTHBEARER", "agent@example.org", None)),
        (SINGLE, TOKEN, SMTP, ALL, Dialect.SASL, ("OAUTHBEARER", "sales@example.org", None)),
        (SINGLE, PASSWORD, SMTP, ALL, Dialect.SASL, ("PLAIN", "sales@example.org", None)),
    ],
)  # fmt: skip
def test_dialect_and_mechanism_fix_what_is_sent(row):
    """Each row of the design's table of dialects gives mechanism and identities."""
    login, credential, protocol, offered, dialect, expected = row
    attempt = plan_login(login, credential, protocol=protocol, offered=offered, dialect=dialect)
    assert expected == (
        attempt.mechanism.value,
        attempt.authentication_identity,
        attempt.authorization_identity,
    )


@pytest.mark.parametrize(
    ("protocol", "command"), [(IMAP, Mechanism.LOGIN), (POP3, Mechanism.USER_PASS)]
)
def test_a_shared_mailbox_without_plain_needs_a_dialect(protocol, command):
    """Nothing is sent when SASL's command cannot say whose mailbox it is: no guess, no lock-out."""
    with pytest.raises(ConfigurationError) as caught:
        plan_login(SHARED, PASSWORD, protocol=protocol, offered={command})
    assert "dialect" in caught.value.hint


@pytest.mark.parametrize(
    ("credential", "offered"),
    [(TOKEN, {Mechanism.PLAIN}), (PASSWORD, {Mechanism.XOAUTH2}), (PASSWORD, set())],
)
def test_a_server_that_offers_nothing_fitting_is_a_configuration_error(credential, offered):
    """The error names what is offered and what is needed."""
    with pytest.raises(ConfigurationError, match="needs"):
        plan_login(SINGLE, credential, protocol=IMAP, offered=offered)


def test_the_master_user_separator_can_be_chosen():
    """Dovecot's separator is configurable, so ours is."""
    attempt = plan_login(
        SHARED,
        PASSWORD,
        protocol=IMAP,
        offered=ALL,
        dialect=Dialect.MASTER_USER,
        master_user_separator="%",
    )
    assert attempt.authentication_identity == "sales@example.org%agent@example.org"


@pytest.mark.parametrize(
    ("mechanism", "authzid", "expected"),
    [
        (Mechanism.PLAIN, None, b"\0a,g=t\0pw"),
        (Mechanism.PLAIN, "sales", b"sales\0a,g=t\0pw"),
        (Mechanism.XOAUTH2, None, b"user=a,g=t\x01auth=Bearer pw\x01\x01"),
        (
            Mechanism.OAUTHBEARER,
            None,
            b"n,a=a=2Cg=3Dt,\x01host=mx.example\x01port=993\x01auth=Bearer pw\x01\x01",
        ),
    ],
)
def test_sasl_response_has_the_form_of_its_mechanism(mechanism, authzid, expected):
    """PLAIN (RFC 4616), XOAUTH2 and OAUTHBEARER (RFC 7628) responses are as their documents say."""
    attempt = LoginAttempt(
        mechanism=mechanism, authentication_identity="a,g=t", authorization_identity=authzid
    )
    response = sasl_response(attempt, Password.of("pw"), host="mx.example", port=993)
    assert expected == response


def test_oauthbearer_leaves_out_what_is_not_known():
    """Host and port are optional in OAUTHBEARER."""
    attempt = LoginAttempt(mechanism=Mechanism.OAUTHBEARER, authentication_identity="a")
    assert sasl_response(attempt, Bearer.of("t")) == b"n,a=a,\x01auth=Bearer t\x01\x01"


def test_login_arguments_are_name_and_secret():
    """LOGIN and USER/PASS take the name and the secret as they are."""
    attempt = LoginAttempt(mechanism=Mechanism.LOGIN, authentication_identity="a\\b")
    assert login_arguments(attempt, Password.of("pä ss")) == ("a\\b", "pä ss")


@pytest.mark.parametrize("mechanism", [Mechanism.LOGIN, Mechanism.USER_PASS])
def test_a_command_has_no_sasl_response(mechanism):
    """Asking for the SASL response of a plain command is an error."""
    attempt = LoginAttempt(mechanism=mechanism, authentication_identity="a")
    with pytest.raises(ConfigurationError):
        sasl_response(attempt, PASSWORD)


BAD = ["\0", "\x01", "\r", "\n", "\ud800"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", ["authentication", "authorization", "secret", "host"])
def test_what_would_split_a_command_is_refused_and_not_shown(bad, place):
    """NUL, SOH, CR, LF and what cannot be encoded end in an error that shows no secret."""
    attempt = LoginAttempt(
        mechanism=Mechanism.OAUTHBEARER if place == "host" else Mechanism.PLAIN,
        authentication_identity=f"a{bad}" if place == "authentication" else "a",
        authorization_identity=f"b{bad}" if place == "authorization" else None,
    )
    secret = Password.of(f"{MARKER}{bad}" if place == "secret" else MARKER)
    with pytest.raises(ConfigurationError) as caught:
        sasl_response(attempt, secret, host=f"mx{bad}" if place == "host" else "")
    assert MARKER not in f"{caught.value!r} {caught.value} {caught.value.__dict__}"
    assert caught.value.__context__ is None


@pytest.mark.parametrize("bad", BAD)
def test_login_arguments_refuse_what_would_split_a_command(bad):
    """A line end in name or secret never reaches LOGIN or PASS."""
    attempt = LoginAttempt(mechanism=Mechanism.LOGIN, authentication_identity="a")
    with pytest.raises(ConfigurationError) as caught:
        login_arguments(attempt, Password.of(MARKER + bad))
    assert MARKER not in repr(caught.value)
    with pytest.raises(ConfigurationError):
        login_arguments(attrs.evolve(attempt, authentication_identity=f"a{bad}"), PASSWORD)


@pytest.mark.parametrize("value", [Secret(MARKER), PASSWORD, TOKEN], ids=["secret", "password", "bearer"])  # fmt: skip
def test_a_secret_never_shows(value, caplog):
    """No text made from a secret or a credential has it in it."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r", value, value)
    texts = [str(value), repr(value), f"{value}", format(value), f"{[value]} { {'k': value} }"]
    assert MARKER not in "".join([*texts, caplog.text])


@pytest.mark.parametrize("value", [Secret(MARKER), PASSWORD, TOKEN], ids=["secret", "password", "bearer"])  # fmt: skip
def test_a_secret_is_not_copied_away(value):
    """Pickle, copy and JSON refuse a secret, and their error does not show it."""
    for take in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        if take is copy.copy and not isinstance(value, Secret):
            continue  # a shallow copy of a credential holds the same secret object
        with pytest.raises(TypeError) as caught:
            take(value)
        assert MARKER not in repr(caught.value)


def test_a_secret_is_padded_like_a_text():
    """A format specification works on the stars."""
    assert f"{Secret(MARKER):>10}" == "  ********"


def test_secrets_compare_by_value_and_have_no_hash():
    """Equal secrets are equal; nothing else is; a hash would tell a short secret."""
    assert Secret("ä\ud800") == Secret("ä\ud800")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    with pytest.raises(TypeError):
        hash(Secret("a"))


def test_a_token_knows_its_end():
    """The expiry of a token is kept as given; a password reveals what it wraps when asked."""
    end = datetime(2026, 1, 31, tzinfo=UTC)
    assert Bearer.of("t", expires_at=end).expires_at == end
    assert Password.of("p").secret.reveal() == "p"
