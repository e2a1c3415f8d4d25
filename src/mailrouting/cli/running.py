"""Define the commands that run accounts. Each imports what it needs when it is called."""

import sys
from pathlib import Path

import click

from mailrouting.cli.common import FAILED, config_option, load, stop
from mailrouting.errors import MailroutingError

__all__ = ["fetch", "worker"]


@click.command()
@config_option
@click.option("--account", "account_ids", multiple=True, help="Only this account; repeatable.")
@click.option("--due", is_flag=True, help="Only accounts whose time has come.")
@click.option("--watch", is_flag=True, help="Go on with what is due until SIGTERM or SIGINT.")
@click.option(
    "--preview", is_flag=True, help="Only count what a first run would take in; change nothing."
)
@click.option(
    "--accept-rescan",
    is_flag=True,
    help="Take in old mail that a server's new numbering brings up; with --account.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def fetch(
    *,
    config_path: Path,
    account_ids: tuple[str, ...],
    due: bool,
    watch: bool,
    preview: bool,
    accept_rescan: bool,
    as_json: bool,
) -> None:
    """Fetch every account's mail into tickets.

    Without --due every account is tried, also one that failed a moment ago.

    Exit status: 0 when every account was fetched or another fetch is at work, 1 when one failed,
    2 when the command line or the configuration is wrong and nothing was fetched. With --watch 0
    when it was stopped and ended cleanly, 1 when another fetch is at work.
    """
    from mailrouting.cli.fetching import run_fetch  # noqa: PLC0415 - see the module's docstring

    modes = {"--due": due, "--watch": watch, "--preview": preview, "--accept-rescan": accept_rescan}
    chosen = [name for name, is_on in modes.items() if is_on]
    if len(chosen) > 1:
        raise click.UsageError(f"{chosen[0]} and {chosen[1]} exclude each other.")
    if account_ids and (due or watch):
        raise click.UsageError(f"{chosen[0]} and --account exclude each other.")
    if accept_rescan and not account_ids:
        raise click.UsageError("--accept-rescan wants --account: say yes to one mailbox.")
    config = load(config_path)
    try:
        if preview:
            from mailrouting.cli.previewing import run_preview  # noqa: PLC0415 - likewise

            done = run_preview(config, account_ids=account_ids, as_json=as_json)
        elif watch:
            from mailrouting.cli.working import watch as keep_fetching  # noqa: PLC0415 - likewise

            done = keep_fetching(config, as_json=as_json)
        else:
            done = run_fetch(
                config,
                account_ids=account_ids,
                due=due,
                accept_rescan=accept_rescan,
                as_json=as_json,
            )
    except MailroutingError as error:
        stop(error)
    sys.exit(0 if done else FAILED)


@click.command()
@config_option
@click.option(
    "--threads", type=click.IntRange(1, 256), default=8, show_default=True, help="Accounts at once."
)
@click.option(
    "--per-host",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Of those, accounts on one server.",
)
@click.option(
    "--stop-seconds",
    type=click.FloatRange(1, 3600),
    default=30,
    show_default=True,
    help="How long a stop waits for what is at work.",
)
@click.option("--isolate", is_flag=True, help="Read each mail in a child process.")
@click.option(
    "--deadline",
    type=click.FloatRange(1, 600),
    default=60,
    show_default=True,
    help="Seconds that a child may take for a mail.",
)
@click.option(
    "--memory",
    type=click.IntRange(128, 1 << 20),
    default=1024,
    show_default=True,
    help="MiB that a child may have.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line and run.")
def worker(
    *,
    config_path: Path,
    threads: int,
    per_host: int,
    stop_seconds: float,
    isolate: bool,
    deadline: float,
    memory: int,
    as_json: bool,
) -> None:
    """Run every account when it is due, until a signal.

    Many run at once; SIGTERM and SIGINT end it.

    The first signal finishes the mails in hand and gives back what is held; a second one ends the
    process at once. Several workers and a fetch may be at work on one state.

    Exit status: 0 when it was stopped and all ended in time, 1 when some had to be left or the
    state is away, 2 when the command line or the configuration is wrong.
    """
    from mailrouting.cli.working import run_worker  # noqa: PLC0415 - see the module's docstring
    from mailrouting.isolation import Isolation  # noqa: PLC0415 - likewise
    from mailrouting.worker import WorkerLimits  # noqa: PLC0415 - likewise

    config = load(config_path)
    isolation = Isolation(deadline_seconds=deadline, memory_bytes=memory << 20) if isolate else None
    limits = WorkerLimits(
        threads=threads, per_host=min(per_host, threads), stop_seconds=stop_seconds
    )
    try:
        done = run_worker(config, limits=limits, isolation=isolation, as_json=as_json)
    except MailroutingError as error:
        stop(error)
    sys.exit(0 if done else FAILED)
