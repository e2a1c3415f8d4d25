"""Time the reader beside others in one run, and weigh it on a large mail: `make bench`.

Seconds are processor time of one core, so other work on the machine disturbs little. In every round
each reader reads the whole set once, in rotated order; a ratio is the median of the rounds' ratios.
Nothing is asserted.
"""

import argparse
import cProfile
import gc
import mmap
import platform
import pstats
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from mails import large, medium, small
from readers import READERS, Reader

OWN = "mailrouting"
MIB = 1024 * 1024
SMALL, SLOW = 2 * MIB, 0.1
STATUS = Path("/proc/self/status")  # its VmHWM begins anew with each program; ru_maxrss does not


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Time the reader beside others.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each set, 7 if not given")
    parser.add_argument("--weigh", nargs=2, metavar=("READER", "FILE"), help="used by itself")
    parser.add_argument("--each", type=Path, metavar="FOLDER", help="time every .eml in a folder")
    parser.add_argument("--profile", action="store_true", help="show where our time on S goes")
    arguments = parser.parse_args()
    if arguments.profile:
        _profile(small(200))
        return
    if arguments.each:
        _print_each(arguments.each)
        return
    if arguments.weigh:
        name, path = arguments.weigh
        print(_growth(READERS[name], Path(path)))
        return
    print(f"Python {platform.python_version()}, {arguments.rounds} rounds, processor time")
    sets = {"S": small(400), "M": medium(60), "L": [large()]}
    for name, mails in sets.items():
        _print_set(name, mails, _rounds(mails, arguments.rounds))
    _print_memory(sets["L"][0])


def _rounds(mails: list[bytes], rounds: int) -> dict[str, list[float]]:
    names = list(READERS)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        _seconds(READERS[name], mails[:20])  # fills the caches of imports and patterns
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(_seconds(READERS[name], mails))
    return seconds


def _seconds(reader: Reader, mails: list[bytes]) -> float:
    gc.collect()
    began = time.process_time()
    for raw in mails:
        reader(raw)
    return time.process_time() - began


def _print_set(name: str, mails: list[bytes], seconds: dict[str, list[float]]) -> None:
    size = statistics.fmean(map(len, mails))
    print(f"\n{name}: {len(mails)} of {size / 1000:,.1f} KB")
    for reader, times in seconds.items():
        each = statistics.median(times) / len(mails)
        ratios = [theirs / ours for theirs, ours in zip(times, seconds[OWN], strict=True)]
        print(
            f"  {reader:15} {each * 1000:9.3f} ms a mail   {size / each / 1e6:7.1f} MB/s"
            f"   x {statistics.median(ratios):6.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def _print_memory(raw: bytes) -> None:
    if not STATUS.exists():
        print("\nmemory: not measured, it needs Linux")
        return
    print(
        f"\nL from a file: growth of the peak in a fresh process, mail of {len(raw) / 1e6:.1f} MB"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.eml")
        path.write_bytes(raw)
        for name in READERS:
            command = [sys.executable, __file__, "--weigh", name, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            grown = int(done.stdout)
            print(f"  {name:15} {grown / 1e6:7.1f} MB   x {grown / len(raw):5.2f} of the mail")


def _profile(mails: list[bytes]) -> None:
    _seconds(READERS[OWN], mails[:20])
    profile = cProfile.Profile()
    profile.runcall(_seconds, READERS[OWN], mails)
    stats = pstats.Stats(profile).strip_dirs()
    stats.sort_stats("tottime").print_stats(25)
    stats.sort_stats("cumtime").print_stats(40)


def _print_each(folder: Path) -> None:
    """Print which mails of a folder take longest: each the best of three, to leave noise out."""
    times: list[tuple[float, int, Path]] = []
    for path in sorted(folder.rglob("*.eml")):
        raw = path.read_bytes()
        best = min(_seconds(READERS[OWN], [raw]) for _ in range(3))
        times.append((best, len(raw), path.relative_to(folder)))
    small_ones = [seconds for seconds, size, _ in times if size <= SMALL]
    over = sum(seconds > SLOW for seconds in small_ones)
    print(f"{len(times)} mails, {len(small_ones)} of at most {SMALL / MIB:.0f} MiB")
    print(f"{over} of these over {SLOW} s; the slowest of all:")
    for seconds, size, path in sorted(times, reverse=True)[:5]:
        print(f"  {seconds:7.4f} s  {size / 1000:10,.1f} KB  {path}")


def _growth(reader: Reader, path: Path) -> int:
    reader(small(1)[0])
    before = _peak()
    if reader is READERS[OWN]:
        with path.open("rb") as file, _mapped(file) as source:
            reader(source)
    else:
        reader(path.read_bytes())  # the others take bytes only
    return _peak() - before


def _mapped(file: BinaryIO) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    if found is None:
        raise SystemExit(f"{STATUS} says no VmHWM")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
