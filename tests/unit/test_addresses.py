"""What an address is, and which addresses are ours."""

import attrs
import pytest
from hypothesis import assume, given, strategies as st

from mailrouting.addresses import (
    AddressBook,
    AddressRole,
    AddrSpec,
    NamedAddress,
    OwnAddress,
    address_key,
    domain_key,
    find_control,
    find_unsendable,
)
from mailrouting.errors import AddressError


def own(text, account_id="a", role=AddressRole.PRIMARY):
    """Claim an address for an account."""
    return OwnAddress(account_id=account_id, role=role, addr=AddrSpec.parse(text))


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("a@b.example", "a", "b.example"),
        ("first.last+x@b.example", "first.last+x", "b.example"),
        ('"with space"@b.example', '"with space"', "b.example"),
        ('"a@b"@c.example', '"a@b"', "c.example"),
        ("用户@例子.example", "用户", "例子.example"),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@localhost", "a", "localhost"),
        (f"{'x' * 64}@b.example", "x" * 64, "b.example"),
    ],
)
def test_addr_spec_is_taken_apart_as_written(text, local, domain):
    """A valid addr-spec keeps its parts as written, and reads back as the same text."""
    address = AddrSpec.parse(text)
    assert (address.local, address.domain, str(address)) == (local, domain, text)


@pytest.mark.parametrize(
    ("local", "domain"),
    [
        ("a\r\nRCPT TO:<x", "b.example"),
        ("a", "b.example\r\nDATA"),
        ("", "b.example"),
        ("a", ""),
        ("a@b", "c.example"),
        ('"a', 'b"@c.example'),
    ],
)
def test_an_addr_spec_is_valid_however_it_is_made(local, domain):
    """Two parts that are no addr-spec, or not its parts, make none: it may go on the wire."""
    with pytest.raises(AddressError):
        AddrSpec(local=local, domain=domain)
    with pytest.raises(AddressError):
        attrs.evolve(AddrSpec.parse("x@y.example"), local=local, domain=domain)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("a", 1),
        ("@b.example", 0),
        ("a..b@c.example", 2),
        (".a@c.example", 0),
        ("a.@c.example", 2),
        ("a b@c.example", 1),
        ("a@", 2),
        ("a@b.", 4),
        ("a@b..c", 2),
        ("a@-b.example", 2),
        ("a@b c", 2),
        ("a@[192.0.2.1", 2),
        ('"a@b.example', 12),
        ('"a"b@c.example', 3),
        ("a\nb@c.example", 1),
        ("a@b.example\u2028", 11),
        ("\ud800@b.example", 0),
        ('"\udfff"@b.example', 13),
        (f"{'x' * 65}@b.example", 65),
        (f"{'é' * 33}@b.example", 33),
        (f"a@{'x' * 64}.example", 2),
        ("a@" + "x" * 400, 320),
        ("a@" + ".".join(["é" * 40] * 6), 2),
    ],
)
def test_what_is_no_addr_spec_is_refused_with_its_position(text, position):
    """A text that is no addr-spec raises an error that says where, and what was expected."""
    with pytest.raises(AddressError) as caught:
        AddrSpec.parse(text)
    assert (caught.value.position, caught.value.text) == (position, text)
    assert caught.value.expected
    assert caught.value.hint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Help@EXAMPLE.org", "help@example.org"),
        ('"help"@example.org', "help@example.org"),
        (r'"he\lp"@example.org', "help@example.org"),
        ("help@BÜCHER.example", "help@xn--bcher-kva.example"),
    ],
)
def test_spellings_of_one_address_share_a_key(one, other):
    """Case, needless quotes and the form of an international domain do not matter."""
    assert AddrSpec.parse(one).key == AddrSpec.parse(other).key
    assert AddrSpec.parse(one) != AddrSpec.parse(other)


def test_domain_key_folds_what_idna_takes_and_lowers_the_rest():
    """A domain that IDNA refuses still compares without regard to case."""
    assert domain_key("Example.ORG.") == "example.org"
    assert domain_key("A..B") == "a..b"


def test_smtputf8_is_needed_for_the_local_part_only():
    """An international domain has an ASCII form, a local part has none."""
    assert AddrSpec.parse("a@bücher.example").is_ascii
    assert not AddrSpec.parse("ä@b.example").is_ascii


def test_a_subaddress_that_does_not_fit_is_refused():
    """A detail that makes the local part longer than 64 octets is an error, not a cut."""
    address = AddrSpec.parse(f"{'x' * 60}@b.example")
    assert str(address.with_detail("+", "abc")) == f"{'x' * 60}+abc@b.example"
    with pytest.raises(AddressError):
        address.with_detail("+", "abcd")


@pytest.mark.parametrize(
    ("text", "name", "addr"),
    [
        ("a@b.example", "", "a@b.example"),
        (" a@b.example\t", "", "a@b.example"),
        ("Sales Team <a@b.example>", "Sales Team", "a@b.example"),
        ('"Sales, \\"EU\\"" <a@b.example>', 'Sales, "EU"', "a@b.example"),
        ("<a@b.example>", "", "a@b.example"),
        ("A < B <a@b.example>", "A < B", "a@b.example"),
        ('Odd <"a<b"@c.example>', "Odd", '"a<b"@c.example'),
        ('" <a@b.example>', '"', "a@b.example"),
    ],
)
def test_named_address_is_read_as_people_type_it(text, name, addr):
    """A display name may stand before the address in angle brackets, quoted or not."""
    address = NamedAddress.parse(text)
    assert (address.name, str(address.addr)) == (name, addr)
    assert NamedAddress.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "Sales", "Sales <>", "Sales a@b.example>", "Sales <a@b c>"])
def test_named_address_needs_an_address(text):
    """A text without a valid addr-spec is refused."""
    with pytest.raises(AddressError):
        NamedAddress.parse(text)


def test_a_display_name_cannot_carry_a_header_field():
    """A control character in a display name is refused when it is made, and when it is read."""
    with pytest.raises(AddressError) as caught:
        NamedAddress(AddrSpec.parse("a@b.example"), "Sales\r\nBcc: x@y.example")
    assert caught.value.position == 5
    with pytest.raises(AddressError):
        NamedAddress.parse("Sales\nX <a@b.example>")


@pytest.mark.parametrize("character", ["\0", "\x1f", "\x7f", "\x85", "\u2028", "\u2029"])
def test_every_kind_of_control_character_is_found(character):
    """C0, DEL, C1 and the Unicode line separators count as control characters."""
    assert find_control(f"ab{character}") == 2


@pytest.mark.parametrize("character", ["\0", "\x01", "\r", "\n", "\ud83d"])
def test_what_no_command_line_carries_is_found(character):
    """What ends or splits a command, and half a surrogate pair, are told by their place."""
    assert find_unsendable(f"ab{character}") == 2


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Jane@BÜCHER.example", "jane@xn--bcher-kva.example"),
        ('"jane"@b.example', "jane@b.example"),
        ("No Address", "no address"),
    ],
)
def test_an_address_that_others_wrote_is_folded_as_far_as_it_can_be(text, folded):
    """An addr-spec has its key, any other text its case folded."""
    assert address_key(text) == folded


def test_the_book_knows_our_addresses_in_every_spelling():
    """Case, IDNA form and quotes do not hide that an address is ours."""
    book = AddressBook.build([own("help@bücher.example")])
    assert book.find("HELP@xn--bcher-kva.example").role is AddressRole.PRIMARY
    assert book.find('"help"@bücher.example').account_id == "a"
    assert book.find("other@bücher.example") is None
    assert book.find("no address at all") is None
    assert book.find("\ud800@bücher.example") is None


def test_the_first_claim_of_an_address_wins():
    """When two accounts claim an address, the one that was given first has it."""
    book = AddressBook.build([own("x@b.example", "one"), own("x@b.example", "two")])
    assert book.find("x@b.example").account_id == "one"


@pytest.mark.parametrize(
    ("text", "addr", "detail"),
    [
        ("help+t1@b.example", "help@b.example", "t1"),
        ("HELP+T1@b.example", "help@b.example", "T1"),
        ("help+a+b@b.example", "help@b.example", "a+b"),
        ("help+@b.example", "help@b.example", ""),
        ("help+desk+x@b.example", "help+desk@b.example", "x"),
    ],
)
def test_a_subaddress_is_ours_with_its_detail(text, addr, detail):
    """Behind the separator stands the detail, whole; the longest of our addresses wins."""
    book = AddressBook.build(
        [own("help@b.example"), own("help+desk@b.example")], separators=[("a", "+")]
    )
    found = book.find(text)
    assert (found.role, str(found.addr), found.detail) == (AddressRole.SUBADDRESS, addr, detail)


def test_a_separator_in_our_own_local_part_hides_no_subaddress():
    """`help-desk-x@` is a subaddress of `help-desk@` when the separator is `-`."""
    book = AddressBook.build([own("help-desk@b.example")], separators=[("a", "-")])
    assert book.find("help-desk-x@b.example").detail == "x"
    assert book.find("help-x@b.example") is None


def test_a_separator_counts_for_its_own_account_only():
    """An account without a subaddress separator has no subaddresses; quotes end the matter."""
    book = AddressBook.build(
        [own("help@b.example", "a"), own("sales@b.example", "b")], separators=[("a", "+")]
    )
    assert book.find("sales+x@b.example") is None
    assert book.find('"help+x"@b.example') is None


def test_a_catch_all_domain_comes_last_and_spares_people():
    """Every address of the domain is ours, but exact ones keep their role and people stay people."""
    book = AddressBook.build(
        [own("help@b.example")],
        catch_all=[("B.example", "all"), ("b.example", "late")],
        people=[AddrSpec.parse("Jane@b.example")],
    )
    assert book.find("help@b.example").role is AddressRole.PRIMARY
    assert book.find("any@b.example").role is AddressRole.CATCH_ALL
    assert book.find("any@b.example").account_id == "all"
    assert book.find("jane@b.example") is None
    assert book.find("any@c.example") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("straße@web.example", "strasse@web.example"),
        ("a@faß.example", "a@fass.example"),
        ("ſam@web.example", "sam@web.example"),
    ],
)
def test_letters_that_look_related_stay_different_people(one, other):
    """Folding is for case and normal form only: nobody is taken for somebody else."""
    assert AddrSpec.parse(one).key != AddrSpec.parse(other).key


def test_the_same_letter_in_two_forms_is_one():
    """A composed and a decomposed letter are one, in local parts and in domains."""
    assert AddrSpec.parse("zo\u00eb@b\u00fccher.example").key == (
        AddrSpec.parse("ZOE\u0308@bu\u0308cher.example").key
    )


_ODD_TEXT = st.text(alphabet='aB1._-+@!"[] \\\t\x7f', max_size=24)
_ODD_ADDRESS = st.tuples(
    st.sampled_from(
        ["help", "HELP+x", "help+", "he.lp", "x", "", ".a", "a..b", "a" * 64, "a" * 65]
    ),
    st.sampled_from(["b.example", "B.Example", "b.example.", "c.example", "-b.example", "b..x", ""])
    | st.integers(60, 66).map("b".__mul__)
    | st.integers(120, 130).map(lambda count: ".".join(["b"] * count)),
).map("@".join)


@given(_ODD_TEXT | _ODD_ADDRESS)
def test_what_an_address_is_does_not_hang_on_its_letters(text):
    """A text in ASCII is an address exactly when it still is with a letter of another script."""
    local = text.rpartition("@")[0]
    assume(local and local[0] not in '".@' and len(local) <= 62)
    assert (AddrSpec.try_parse(text) is None) == (AddrSpec.try_parse(f"ü{text}") is None)


@given(_ODD_TEXT | _ODD_ADDRESS)
def test_the_book_knows_an_address_by_its_key_however_it_is_asked(text):
    """What is found for a text is what is found for the address that it parses to, by its key."""
    book = AddressBook.build(
        [own("help@b.example"), own("help+desk@b.example"), own('"a b"@c.example', "b")],
        separators=[("a", "+")],
        catch_all=[("d.example", "all")],
    )
    address = AddrSpec.try_parse(text)
    found = book.find(text)
    if address is None:
        assert found is None
        return
    assert found == book.find(address)
    local, domain = address.key.rsplit("@", 1)
    is_help = local == "help" or (local.startswith("help+") and not text.startswith('"'))
    assert (found is not None) == (domain == "b.example" and is_help)
