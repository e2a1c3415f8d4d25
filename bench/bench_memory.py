"""Weigh a fetch: the peak memory of the client, in a fresh process each: `make bench-memory`.

The base is what the process holds after an empty poll: the interpreter, our modules, the store, the
desk and a TLS connection. Mail goes from local Dovecot into SQLite and is moved. Nothing is asserted.
Pages of mapped files count as memory here, though the system can drop them at any time.
"""

import argparse
import gc
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_turns import Bench, Reached, dovecot, fetcher

from mails import large, small

STATUS = Path("/proc/self/status")  # its VmHWM begins anew with each program; ru_maxrss does not
RESET = Path("/proc/self/clear_refs")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Weigh a fetch.")
    parser.add_argument("--mails", type=int, default=10_000, help="small mails in one poll")
    parser.add_argument("--large", type=int, default=4, help="mails of 27 MB on the wire")
    parser.add_argument("--weigh", nargs=5, help="used by itself")
    arguments = parser.parse_args()
    if arguments.weigh:
        _weigh(*arguments.weigh)
        return
    print(f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}, peak over base")
    with dovecot() as server:
        bench = Bench(server, 0)
        for what, mails, bar in (
            (
                f"{arguments.mails} small mails in one poll",
                small(arguments.mails),
                "<= 24 over base",
            ),
            (f"{arguments.large} mails of 27 MB", [large()] * arguments.large, "<= 96 in all"),
        ):
            # Different to the fingerprint, each of the same size.
            raws = [b"X-Number: %09d\r\n" % number + raw for number, raw in enumerate(mails)]
            base, peak = _weighed(bench, raws)
            print(
                f"  {what:34} base {base:6.1f} MiB, peak {peak:6.1f} MiB,"
                f" {peak - base:6.1f} over base   asked {bar}"
            )


def _weighed(bench: Bench, mails: list[bytes]) -> tuple[float, float]:
    name, empty = bench.mailbox(mails), bench.mailbox([])
    with tempfile.TemporaryDirectory(prefix="mr-bench-") as folder:
        port = str(bench.server.tls_port)
        command = [sys.executable, __file__, "--weigh", name, empty, port, bench.server.ca_file]
        done = subprocess.run([*command, folder], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the fetch failed:\n{done.stdout}{done.stderr}")
    base, peak = done.stdout.split()[-2:]
    return float(base), float(peak)


def _weigh(name: str, empty: str, port: str, ca_file: str, folder: str) -> None:
    reached = Reached(ca_file)
    first = fetcher(reached, empty, int(port), Path(folder))
    assert first.run("help").error is None
    fetching = fetcher(reached, name, int(port), Path(folder))
    gc.collect()
    base = kilobytes("VmRSS")
    RESET.write_text("5")  # the peak begins anew
    report = fetching.run("help")
    if report.error is not None or report.stored != report.acknowledged or not report.stored:
        raise SystemExit(str(report))
    print(base / 1024, kilobytes("VmHWM") / 1024)


def kilobytes(name: str) -> int:
    """Return a line of this process's status: VmRSS, VmHWM."""
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1])


if __name__ == "__main__":
    main()
