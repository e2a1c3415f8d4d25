"""Read the configuration file of the command: TOML, one table an account or department."""

import codecs
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import attrs

from mailrouting.accounts import EmailAccount, Problem, Severity, account_from_dict
from mailrouting.accounts.plain import SCHEMA, unknown_key
from mailrouting.auth import Bearer, Credential, Password
from mailrouting.directory import Directory, directory_from_dict
from mailrouting.errors import AccountError, ConfigurationError, MailroutingError
from mailrouting.session import Direction

__all__ = ["Config", "FileCredentials", "read_config"]

_SECRETS = ("password_env", "password_file", "token_env", "token_file")
_OWN_KEYS = frozenset({"state", "ca_file", "accounts", "departments"})
_KEYS = ("state", "ca_file", *(field.name for field in attrs.fields(Directory)))
_SECRET_KEY = re.compile("passw|secret|token", re.IGNORECASE)
_INDEXED = re.compile(r"^departments\[(\d+)\]")


@attrs.frozen(kw_only=True)
class SecretPlace:
    """Say where a secret is: never the secret itself.

    Attributes:
        kind: `password_env`, `password_file`, `token_env` or `token_file`.
        place: The variable's name or the file's path.
    """

    kind: str
    place: str


@attrs.frozen(kw_only=True)
class FileCredentials:
    """Bring secrets from files and environment variables, read when they are asked for.

    Attributes:
        places: Account id to where its secret is.
        folder: What relative paths are relative to.
    """

    places: Mapping[str, SecretPlace]
    folder: Path

    def get(self, account_id: str, direction: Direction) -> Credential:  # noqa: ARG002 - one secret for both
        """Return the account's secret; inbound and outbound have the same.

        Raises:
            ConfigurationError: None is configured, or its place is empty.
        """
        place = self.places.get(account_id)
        if place is None:
            raise ConfigurationError(
                f"account {account_id} has no secret",
                hint=f"Give it {_alternatives()}.",
            )
        value = self._read(account_id, place)
        return Bearer.of(value) if place.kind.startswith("token") else Password.of(value)

    def _read(self, account_id: str, place: SecretPlace) -> str:
        if place.kind.endswith("_env"):
            value = os.environ.get(place.place, "")
            what = f"the environment variable {place.place}"
        else:
            what = f"the file {place.place}"
            try:
                value = (self.folder / place.place).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(
                    f"account {account_id}: {what} cannot be read: {type(error).__name__}",
                    hint="Write the secret into it, readable by this user alone.",
                ) from None
        if not value:
            raise ConfigurationError(
                f"account {account_id}: {what} is empty or not set",
                hint="Put the secret there.",
            )
        return value


@attrs.frozen(kw_only=True)
class Config:
    """Be what the file says.

    Attributes:
        path: The file.
        directory: Accounts and departments.
        credentials: Where the secrets are.
        state: The SQLite file of intake and tickets.
        ca_file: Certificate authorities that are trusted instead of the system's, or None.
        warnings: What may be so, and hardly is meant so: key and sentence.
    """

    path: Path
    directory: Directory
    credentials: FileCredentials
    state: Path
    ca_file: Path | None
    warnings: tuple[str, ...] = ()

    def require_account(self, account_id: str, *, named: str) -> None:
        """Do nothing when there is such an account.

        Raises:
            ConfigurationError: There is none; names the option and the accounts that there are.
        """
        if self.directory.find_account(account_id) is None:
            raise ConfigurationError(
                f"{named}: there is no account {account_id!r}",
                hint=f"Name one of: {', '.join(one.id for one in self.directory.accounts)}.",
            )


def read_config(path: Path) -> Config:
    """Read a configuration file, whole or not at all.

    Raises:
        ConfigurationError: Names the file, the line or key, what was found and what is expected.
    """
    data = _parsed(path)
    try:
        return _config(path, data)
    except MailroutingError as error:
        raise ConfigurationError(f"{path}: {error}", hint=error.hint) from error


def _parsed(path: Path) -> dict[str, object]:
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}", hint="Name a file that is there."
        ) from error
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path}: line {line}: the byte 0x{content[error.start]:02x} is no UTF-8",
            hint="Save the file as UTF-8.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path}: no TOML: {error}", hint="Mend that line; see https://toml.io."
        ) from error


def _config(path: Path, data: dict[str, object]) -> Config:
    for key in data:
        if key not in (*_KEYS, "schema"):
            raise _with_fitting_hint(unknown_key(key, _KEYS))
    places: dict[str, SecretPlace] = {}
    accounts = [
        _account(account_id, table, places)
        for account_id, table in _tables(data, "accounts").items()
    ]
    if not accounts:
        raise AccountError(
            "accounts: found none, expected at least one table like [accounts.support]",
            field="accounts",
            hint="Add an account.",
        )
    departments = _tables(data, "departments")
    directory = attrs.evolve(_directory(data, departments), accounts=tuple(accounts))
    ca_file = _text(data, "ca_file")
    return Config(
        path=path,
        directory=directory,
        credentials=FileCredentials(places=places, folder=path.parent),
        state=path.parent / (_text(data, "state") or "mailrouting.sqlite"),
        ca_file=path.parent / ca_file if ca_file else None,
        warnings=_warnings(directory, tuple(departments)),
    )


def _directory(data: dict[str, object], departments: dict[str, object]) -> Directory:
    rest = {key: value for key, value in data.items() if key not in _OWN_KEYS}
    rest["departments"] = [_department(name, table) for name, table in departments.items()]
    try:
        return directory_from_dict({"schema": SCHEMA, **rest})
    except AccountError as error:
        error.args = (_named(str(error), tuple(departments)),)
        raise _with_fitting_hint(error) from None


def _warnings(directory: Directory, departments: Sequence[str]) -> tuple[str, ...]:
    """Return what may be so; refuse what cannot work, all of it at once."""
    found: dict[Severity, list[str]] = {Severity.ERROR: [], Severity.WARNING: []}
    for account_id, problem in directory.all_problems():
        if problem.code == "default-missing":
            continue  # who only fetches needs no address to answer from
        found[problem.severity].append(_problem_text(account_id, problem, departments))
    if found[Severity.ERROR]:
        raise AccountError("\n  ".join(found[Severity.ERROR]), hint="Mend these.")
    return tuple(found[Severity.WARNING])


def _problem_text(account_id: str, problem: Problem, departments: Sequence[str]) -> str:
    room = f"accounts.{account_id}." if account_id else ""
    return f"{room}{_named(problem.field, departments)}: {problem.message}"


def _named(text: str, departments: Sequence[str]) -> str:
    """Call departments as the file does: by name, not by number."""
    return _INDEXED.sub(lambda found: f"departments.{departments[int(found[1])]}", text)


def _with_fitting_hint(error: AccountError) -> AccountError:
    """Say where secrets belong when a key looks like one."""
    if _SECRET_KEY.search(error.field.rpartition(".")[2]) and ": unknown" in str(error):
        error.hint = f"Keep secrets out of this file: use {_alternatives()} in [accounts.NAME]."
    return error


def _alternatives() -> str:
    return f"{', '.join(_SECRETS[:-1])} or {_SECRETS[-1]}"


def _account(account_id: str, table: object, places: dict[str, SecretPlace]) -> EmailAccount:
    field = f"accounts.{account_id}"
    settings = _table(table, field)
    _refuse_id(settings, field)
    if "password" in settings or "token" in settings:
        raise AccountError(
            f"{field}: found a secret in the file, expected the place where it is",
            field=field,
            hint=f"Keep secrets out of the configuration file: use {_alternatives()}.",
        )
    found = [kind for kind in _SECRETS if kind in settings]
    if len(found) > 1:
        raise AccountError(
            f"{field}: found {' and '.join(found)}, expected one of them: an account has one secret",
            field=f"{field}.{found[1]}",
            hint="Keep one of them.",
        )
    for kind in found:
        place = settings.pop(kind)
        if not isinstance(place, str):
            raise AccountError(
                f"{field}.{kind}: expected a text, the name of a variable or file",
                field=f"{field}.{kind}",
            )
        places[account_id] = SecretPlace(kind=kind, place=place)
    try:
        return account_from_dict({"schema": SCHEMA, "id": account_id, **settings})
    except AccountError as error:
        error.args = (f"{field}.{error}" if error.field else f"{field}: {error}",)
        raise _with_fitting_hint(error) from None


def _department(department_id: str, table: object) -> dict[str, object]:
    field = f"departments.{department_id}"
    settings = _table(table, field)
    _refuse_id(settings, field)
    return {"id": department_id, "name": department_id, **settings}


def _refuse_id(settings: dict[str, object], field: str) -> None:
    if "id" in settings:
        raise AccountError(
            f"{field}.id: found an id, expected none: the table's name is the id",
            field=f"{field}.id",
            hint="Rename the table instead.",
        )


def _tables(data: dict[str, object], key: str) -> dict[str, object]:
    return _table(data.get(key, {}), key)


def _table(value: object, field: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise AccountError(
            f"{field}: found {type(value).__name__}, expected a table like [{field}]", field=field
        )
    return dict(cast("dict[str, object]", value))


def _text(data: dict[str, object], key: str) -> str | None:
    value = data.get(key)
    if value is None or isinstance(value, str):
        return value
    raise AccountError(f"{key}: found {value!r}, expected a text", field=key)
