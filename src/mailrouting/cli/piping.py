"""Define the command for mail servers. It imports what it needs when it is called."""

import sys
from pathlib import Path

import click

from mailrouting.cli.common import config_option, tell

__all__ = ["accept"]


class _UsageError(click.UsageError):
    exit_code = 64  # EX_USAGE


class _Sysexits(click.Command):
    """Say with the status of sysexits.h that the command line is wrong."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _UsageError(error.format_message(), ctx=ctx) from error


@click.command(cls=_Sysexits)
@config_option
@click.option("--account", "account_id", required=True, help="The account that it came for.")
@click.option("--sender", help="The reverse-path; empty is the null reverse-path.")
@click.option("--recipient", "recipients", multiple=True, help="A forward-path; repeatable.")
@click.option("--defer", is_flag=True, help="Exit with 75 where it would be 67 or 78.")
def accept(
    *,
    config_path: Path,
    account_id: str,
    sender: str | None,
    recipients: tuple[str, ...],
    defer: bool,
) -> None:
    """Take in one mail from a mail server's pipe.

    The mail is kept, not converted: `fetch` or `worker` does that. A fetch that is at work does not
    matter.

    Exit status, as sysexits.h has it: 0 when the mail is on the disk; 75 when trying again may help:
    the state is locked, the disk is full, anything unforeseen; 64 for the command line, 65 for no
    mail at all, 67 for no such account, 78 for the configuration. Mail servers give mail back to its
    sender with those four.
    """
    from mailrouting.cli.accepting import EX_CONFIG, EX_NOUSER, EX_TEMPFAIL, accept_mail  # noqa: PLC0415 - see the module's docstring
    from mailrouting.intake.calling import ours  # noqa: PLC0415 - likewise

    try:
        status = accept_mail(
            sys.stdin.buffer,
            config_path=config_path,
            account_id=account_id,
            sender=sender,
            recipients=recipients,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the mail server has the mail still
        tell(ours(error))
        status = EX_TEMPFAIL
    sys.exit(EX_TEMPFAIL if defer and status in (EX_NOUSER, EX_CONFIG) else status)
