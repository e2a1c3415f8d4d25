"""Read the configuration file of the command: TOML, one table an account or department."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import attrs

from mailrouting.accounts import EmailAccount, Severity, account_from_dict
from mailrouting.auth import Bearer, Credential, Password
from mailrouting.directory import Directory, directory_from_dict
from mailrouting.errors import AccountError, ConfigurationError, MailroutingError
from mailrouting.session import Direction

__all__ = ["Config", "FileCredentials", "read_config"]

SCHEMA = 1
_SECRETS = ("password_env", "password_file", "token_env", "token_file")
_OWN_KEYS = frozenset({"state", "ca_file", "accounts", "departments"})


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

    def get(self, account_id: str, direction: Direction) -> Credential:  # noqa: ARG002
        """Return the account's secret; inbound and outbound have the same.

        Raises:
            ConfigurationError: None is configured, or its place is empty.
        """
        place = self.places.get(account_id)
        if place is None:
            raise ConfigurationError(
                f"account {account_id} has no secret",
                hint=f"Give it one of {', '.join(_SECRETS)}.",
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
        directory: Accounts and departments.
        credentials: Where the secrets are.
        state: The SQLite file of intake and tickets.
        ca_file: Certificate authorities that are trusted instead of the system's, or None.
    """

    directory: Directory
    credentials: FileCredentials
    state: Path
    ca_file: Path | None


def read_config(path: Path) -> Config:
    """Read a configuration file, whole or not at all.

    Raises:
        ConfigurationError: Names the file, the line or key, what was found and what is expected.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}", hint="Name a file that is there."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: byte {error.start} is no UTF-8", hint="Save the file as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path}: no TOML: {error}", hint="Mend that line; see https://toml.io."
        ) from error
    try:
        return _config(path, data)
    except MailroutingError as error:
        raise ConfigurationError(f"{path}: {error}", hint=error.hint) from error


def _config(path: Path, data: dict[str, object]) -> Config:
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
    rest = {key: value for key, value in data.items() if key not in _OWN_KEYS}
    rest["departments"] = [
        _department(department_id, table)
        for department_id, table in _tables(data, "departments").items()
    ]
    directory = attrs.evolve(
        directory_from_dict({"schema": SCHEMA, **rest}), accounts=tuple(accounts)
    )
    _refuse_problems(directory)
    ca_file = _text(data, "ca_file")
    return Config(
        directory=directory,
        credentials=FileCredentials(places=places, folder=path.parent),
        state=path.parent / (_text(data, "state") or "mailrouting.sqlite"),
        ca_file=path.parent / ca_file if ca_file else None,
    )


def _refuse_problems(directory: Directory) -> None:
    """Refuse what cannot work, all of it at once."""
    errors = [
        f"accounts.{account_id}.{problem.field}: {problem.message}"
        if account_id
        else f"{problem.field}: {problem.message}"
        for account_id, problem in directory.all_problems()
        if problem.severity is Severity.ERROR
    ]
    if errors:
        raise AccountError("\n  ".join(errors), hint="Mend these; nothing was fetched.")


def _account(account_id: str, table: object, places: dict[str, SecretPlace]) -> EmailAccount:
    field = f"accounts.{account_id}"
    settings = _table(table, field)
    _refuse_id(settings, field)
    if "password" in settings or "token" in settings:
        raise AccountError(
            f"{field}: found a secret in the file, expected one of {', '.join(_SECRETS)}",
            field=field,
            hint="Keep secrets out of the configuration file.",
        )
    for kind in _SECRETS:
        place = settings.pop(kind, None)
        if place is None:
            continue
        if not isinstance(place, str) or account_id in places:
            raise AccountError(
                f"{field}.{kind}: expected one text, the name of a variable or file",
                field=f"{field}.{kind}",
            )
        places[account_id] = SecretPlace(kind=kind, place=place)
    try:
        return account_from_dict({"schema": SCHEMA, "id": account_id, **settings})
    except AccountError as error:
        error.args = (f"{field}.{error}" if error.field else f"{field}: {error}",)
        raise


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
