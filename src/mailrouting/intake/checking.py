"""Refuse an account whose settings cannot work, before anything is opened."""

from mailrouting.accounts import EmailAccount, Severity
from mailrouting.directory import Directory
from mailrouting.errors import AccountError

__all__ = ["refuse_problems"]


def refuse_problems(account: EmailAccount, directory: Directory) -> None:
    """Do nothing when the account can be fetched; how it sends does not matter here.

    Raises:
        AccountError: Its settings contradict themselves or the directory's.
    """
    for problem in directory.problems(account):
        if problem.severity is Severity.ERROR and not problem.field.startswith("outbound"):
            raise AccountError(
                str(problem),
                account_id=account.id,
                field=problem.field,
                hint="Change the account's settings; nothing was fetched.",
            )
