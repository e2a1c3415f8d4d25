"""Turn configured values into plain dictionaries and back (floor 2).

What is plain can go through JSON or come from TOML: dictionaries, lists, strings, numbers,
booleans, None. Every field is written, so that a later default changes no stored account. A value
with one field that says it all may be written as that alone (`"keep"` for `{"action": "keep"}`).
"""

import difflib
import enum
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NoReturn, TypeGuard, TypeVar, cast, get_args, get_origin

import attrs

from mailrouting.accounts.endpoint import Endpoint
from mailrouting.accounts.settings import (
    AfterFetch,
    ArrivesIn,
    EmailAccount,
    FirstRun,
    InboundSettings,
    OutboundAuth,
    OutboundSettings,
)
from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.auth import Login, parse_login
from mailrouting.errors import AccountError, AddressError, LoginStringError

__all__ = [
    "SCHEMA",
    "account_from_dict",
    "account_to_dict",
    "read_document",
    "unknown_key",
    "write_document",
]

SCHEMA: Final = 1

_T = TypeVar("_T")
_SHORT = (AfterFetch, Endpoint, FirstRun)
_LONGEST_QUOTE = 40
_LARGE = 10**18
_SECRET_WORDS = ("password", "passwd", "secret", "token")
_BASIC: dict[type, str] = {str: "a text", int: "a whole number", bool: "true or false"}


def account_to_dict(account: EmailAccount) -> dict[str, object]:
    """Write an account as a plain dictionary, with the number of its schema.

    Reading it back gives an equal account.

    >>> account = EmailAccount(id="help", address=NamedAddress.parse("help@example.org"))
    >>> account_from_dict(account_to_dict(account)) == account
    True
    """
    return write_document(account)


def account_from_dict(data: Mapping[str, object]) -> EmailAccount:
    """Read an account from a plain dictionary.

    Fields that are left out have their default; times are seconds, days `2026-01-31`, and an
    address is `help@example.org` or `Help <help@example.org>`. A login is a login string, or
    `{"authname": ..., "username": ...}` for what no string says.

    Raises:
        AccountError: A key is unknown or missing, a value has the wrong type, or the schema is
            unknown: names the field, what was found and what is expected.
    """
    known = data.get("id")
    try:
        return read_document(EmailAccount, data)
    except AccountError as error:
        error.account_id = known if isinstance(known, str) else None
        raise


def write_document(value: attrs.AttrsInstance) -> dict[str, object]:
    """Write any configured value as a plain dictionary with the number of its schema."""
    return {"schema": SCHEMA, **_write_fields(value)}


def read_document(kind: type[_T], data: Mapping[str, object]) -> _T:
    """Read what `write_document` wrote.

    Raises:
        AccountError: As for `account_from_dict`.
    """
    fields = _mapping(data, "")
    schema = fields.pop("schema", None)
    if isinstance(schema, bool) or schema != SCHEMA:
        _fail("schema", schema, f"the number {SCHEMA}")
    return cast("_T", _read_fields(kind, fields, ""))


def _fail(path: str, found: object, expected: str, *, hint: str = "") -> NoReturn:
    raise AccountError(
        f"{path or 'the data'}: found {_describe(found)}, expected {expected}",
        field=path,
        hint=hint,
    )


def unknown_key(path: str, expected: Iterable[str]) -> AccountError:
    """Return the error for a key that nobody knows; the hint names the one that may be meant.

    >>> unknown_key("inbound.firstrun", ["folder", "first_run"]).hint
    'Did you mean first_run?'
    """
    known = tuple(expected)
    name = path.rpartition(".")[2]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else "Take it out, or check its spelling."
    if any(word in name.casefold() for word in _SECRET_WORDS):
        hint = "Take it out: a secret has no place here, it comes through Credentials."
    return AccountError(
        f"{path}: unknown, expected one of {', '.join(known)}", field=path, hint=hint
    )


def _describe(found: object) -> str:
    """Name what was found; a text is quoted only when it is short, a container never."""
    if found is None:
        return "nothing"
    if isinstance(found, bool | float) or (isinstance(found, int) and abs(found) < _LARGE):
        return repr(found)
    if isinstance(found, str):
        return f"a text of {len(found)} characters" if len(found) > _LONGEST_QUOTE else repr(found)
    return f"a value of type {type(found).__name__}"


# What an annotation holds is known at run time only: hence `Any` from here on.


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _write(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, date):
        return value.isoformat()
    if _is_list(value):
        return [_write(item) for item in value]
    if isinstance(value, AddrSpec | NamedAddress):
        return str(value)
    if isinstance(value, Login):
        return _write_login(value)
    if isinstance(value, ArrivesIn):
        return {"arrives_in": value.account_id}
    return _write_object(value) if attrs.has(value.__class__) else value


def _write_object(value: Any) -> Any:
    fields = _write_fields(value)
    first, *others = fields
    if isinstance(value, _SHORT) and all(fields[name] is None for name in others):
        return fields[first]
    return fields


def _write_fields(value: Any) -> dict[str, object]:
    names = [field.name for field in attrs.fields(value.__class__)]
    fields = {name: _write(getattr(value, name)) for name in names}
    if isinstance(value, OutboundSettings) and isinstance(value.auth, Login):
        # A login string may read `none`: a bare text is one of the choices, never a login.
        fields["auth"] = {"login": fields["auth"]}
    return fields


def _write_login(login: Login) -> Any:
    try:
        if parse_login(login.text) == login:
            return login.text
    except LoginStringError:
        pass
    return {"authname": login.authname, "username": login.username}


def _read(kind: Any, data: Any, path: str) -> Any:
    """Read one value of an annotated type."""
    if reader := _READERS.get(kind):
        return reader(data, path)
    if isinstance(kind, types.UnionType):
        [other] = (member for member in get_args(kind) if member is not types.NoneType)
        return None if data is None else _read(other, data, path)
    if get_origin(kind) is tuple:
        if not _is_list(data):
            _fail(path, data, "a list")
        item = get_args(kind)[0]
        return tuple(_read(item, value, f"{path}[{index}]") for index, value in enumerate(data))
    if issubclass(kind, enum.Enum):
        return _read_enum(kind, data, path)
    if kind in _BASIC:
        if type(data) is not kind:
            _fail(path, data, _BASIC[kind])
        return data
    if kind in _SHORT and not _is_mapping(data):
        return kind(_read(attrs.fields(kind)[0].type, data, path))
    return _read_fields(kind, _mapping(data, path), path)


def _mapping(data: Any, path: str) -> dict[str, Any]:
    if not _is_mapping(data):
        _fail(path, data, "a table of settings")
    return {str(key): value for key, value in data.items()}


def _read_fields(kind: Any, data: dict[str, Any], path: str) -> Any:
    fields = {field.name: field for field in attrs.fields(kind)}
    prefix = f"{path}." if path else ""
    for name in data:
        if name not in fields:
            raise unknown_key(f"{prefix}{name}", fields)
    for name, field in fields.items():
        if name not in data and field.default is attrs.NOTHING:
            _fail(f"{prefix}{name}", None, "a value: it has no default")
    values = {name: _read(fields[name].type, data[name], f"{prefix}{name}") for name in data}
    try:
        return kind(**values)
    except AccountError as error:
        error.field = f"{prefix}{error.field}"
        raise


def _read_enum(kind: type[enum.Enum], data: Any, path: str) -> enum.Enum:
    for member in kind:
        if type(data) is str and member.value == data:
            return member
    _fail(path, data, f"one of {', '.join(str(member.value) for member in kind)}")


def _read_seconds(data: Any, path: str) -> timedelta:
    if isinstance(data, bool) or not isinstance(data, int | float):
        _fail(path, data, "a number of seconds")
    try:
        return timedelta(seconds=data)
    except (OverflowError, ValueError):  # too long for a timedelta, or no number
        _fail(path, data, "a finite number of seconds")


def _read_date(data: Any, path: str) -> date:
    if isinstance(data, date) and not isinstance(data, datetime):
        return data
    if isinstance(data, str):
        try:
            return date.fromisoformat(data)
        except ValueError:
            pass
    _fail(path, data, "a day like 2026-01-31")


def _read_addr(data: Any, path: str) -> AddrSpec:
    if not isinstance(data, str):
        _fail(path, data, "an address like help@example.org")
    try:
        return AddrSpec.parse(data)
    except AddressError as error:
        raise AccountError(f"{path}: {error}", field=path, hint=error.hint) from error


def _read_address(data: Any, path: str) -> NamedAddress:
    try:
        if isinstance(data, str):
            return NamedAddress.parse(data)
        address: NamedAddress = _read_fields(NamedAddress, _mapping(data, path), path)
    except AddressError as error:
        raise AccountError(f"{path}: {error}", field=path, hint=error.hint) from error
    return address


def _read_login(data: Any, path: str) -> Login:
    try:
        if isinstance(data, str):
            return parse_login(data)
        names = _mapping(data, path)
        for name in names.keys() - {"authname", "username"}:
            raise unknown_key(f"{path}.{name}", ("authname", "username"))
        return Login.of(
            authname=_read(str | None, names.get("authname"), f"{path}.authname"),
            username=_read(str, names.get("username"), f"{path}.username"),
        )
    except LoginStringError as error:
        raise AccountError(f"{path}: {error}", field=path, hint=error.hint) from error


def _read_auth(data: Any, path: str) -> OutboundAuth | Login:
    if not _is_mapping(data):
        return OutboundAuth(_read_enum(OutboundAuth, data, path))
    names = _mapping(data, path)
    for name in names.keys() - {"login"}:
        raise unknown_key(f"{path}.{name}", ("login",))
    return _read_login(names.get("login"), f"{path}.login")


def _read_inbound(data: Any, path: str) -> InboundSettings | ArrivesIn | None:
    if data is None:
        return None
    names = _mapping(data, path)
    if names.keys() == {"arrives_in"}:
        return ArrivesIn(_read(str, names["arrives_in"], f"{path}.arrives_in"))
    settings: InboundSettings = _read_fields(InboundSettings, names, path)
    return settings


_READERS: dict[Any, Callable[[Any, str], Any]] = {
    timedelta: _read_seconds,
    date: _read_date,
    AddrSpec: _read_addr,
    NamedAddress: _read_address,
    Login: _read_login,
    OutboundAuth | Login: _read_auth,
    InboundSettings | ArrivesIn | None: _read_inbound,
}
