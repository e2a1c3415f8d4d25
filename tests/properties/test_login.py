"""Login strings and addresses, whatever is typed."""

import contextlib

from hypothesis import example, given, strategies as st

from mailrouting.addresses import AddressBook, AddrSpec, NamedAddress, find_control
from mailrouting.auth import (
    Dialect,
    LoginAttempt,
    MailProtocol,
    Mechanism,
    Password,
    login_arguments,
    parse_login,
    plan_login,
    sasl_response,
)
from mailrouting.errors import AddressError, ConfigurationError, LoginStringError

MARKER = "planted-secret-7c1f"
ANY_TEXT = st.text(st.characters())  # surrogates and controls included
TYPED = st.text(st.sampled_from('ab@."\\/ \t\x00é'), max_size=24)
NAME = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters='\\/"'), min_size=1)


def outcome(read, text, error_type):
    """Return what was read, or the error; any other error ends the test."""
    try:
        return read(text)
    except error_type as error:
        return error


@given(ANY_TEXT | TYPED)
def test_a_login_string_reads_back_or_is_refused(text):
    """Any text gives a login that shows as it was typed, or a LoginStringError inside it."""
    login = outcome(parse_login, text, LoginStringError)
    if isinstance(login, LoginStringError):
        assert 0 <= login.position <= len(login.text)
        assert login.text == text.strip(" \t")
        return
    assert str(login) == text.strip(" \t")
    assert find_control(login.text) is None
    assert login.username
    assert login.text.endswith(login.username)
    if login.authname is None:
        assert login.username == login.text
    else:
        separator = login.text[len(login.authname)]
        assert login.text == f"{login.authname}{separator}{login.username}"


@given(st.lists(NAME, min_size=1, max_size=5), st.sampled_from("\\/"))
def test_the_number_of_parts_decides(parts, separator):
    """How many parts there are, and whether the first has an @, gives the two names."""
    login = parse_login(separator.join(parts))
    if len(parts) > 1 and "@" in parts[0]:
        expected = (parts[0], separator.join(parts[1:]))
    elif len(parts) == 3:
        expected = (separator.join(parts[:2]), parts[2])
    else:
        expected = (None, separator.join(parts))
    assert (login.authname, login.username) == expected


@given(
    TYPED.filter(str.strip),
    st.text(st.characters(), max_size=4),
    st.sampled_from(MailProtocol),
    st.sampled_from(Dialect),
    st.sets(st.sampled_from(Mechanism)),
)
@example("a", "\ud800", MailProtocol.IMAP, Dialect.SASL, {Mechanism.PLAIN})
def test_no_error_of_a_login_shows_the_secret(text, tail, protocol, dialect, offered):
    """From string to wire, the only errors are ours, and none has the secret in it."""
    credential = Password.of(f"{MARKER}{tail}")
    try:
        login = parse_login(text)
        attempt = plan_login(login, credential, protocol=protocol, offered=offered, dialect=dialect)
        if attempt.mechanism is Mechanism.PLAIN:
            assert MARKER.encode() in sasl_response(attempt, credential)
        else:
            assert login_arguments(attempt, credential)[1] == f"{MARKER}{tail}"
    except ConfigurationError as error:
        shown = f"{error!r} {error} {error.hint} {vars(error)} {error.__context__!r}"
        assert MARKER not in shown


@given(ANY_TEXT, ANY_TEXT)
def test_a_guard_lets_through_what_can_be_encoded_only(name, secret):
    """A SASL response either is built whole or refused with an error of ours."""
    attempt = LoginAttempt(mechanism=Mechanism.PLAIN, authentication_identity=name)
    with contextlib.suppress(ConfigurationError):
        assert sasl_response(attempt, Password.of(secret)).split(b"\0") == [
            b"",
            name.encode(),
            secret.encode(),
        ]


@given(ANY_TEXT | st.text(st.sampled_from('ab@."\\<>[] +é\ud800'), max_size=24))
@example('x <"a<b"@c.example>')
def test_an_address_reads_back_or_is_refused(text):
    """Any text gives an address that reads back as itself, or an AddressError inside it."""
    address = outcome(AddrSpec.parse, text, AddressError)
    if isinstance(address, AddrSpec):
        assert str(address) == text
        assert address.key == AddrSpec.parse(str(address)).key
        assert text.encode()
    named = outcome(NamedAddress.parse, text, AddressError)
    if isinstance(named, NamedAddress):
        assert NamedAddress.parse(str(named)) == named
    else:
        assert 0 <= named.position <= len(named.text)


@given(ANY_TEXT)
def test_the_book_answers_for_any_text(text):
    """Asking whose an address is never raises."""
    book = AddressBook.build([], separators=[("a", "+")], catch_all=[("b.example", "a")])
    assert book.find(text) is None or text.lower().endswith("b.example")
