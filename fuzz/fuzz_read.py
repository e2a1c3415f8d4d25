"""Search for a mail that breaks the reader: `make fuzz`.

A finding is an exception, a reading over 1 s per MiB (and 0.2 s), or a peak of memory over 4 times
the mail (and 32 MiB). The mail is then left in `.fuzz/`; give its path as the only argument to see
it again.
"""

import json
import random
import sys
import time
import tracemalloc
import zlib

import atheris

with atheris.instrument_imports(include=["mailrouting.reading"]):
    from mailrouting.reading import Defect, Helpers, Message, identify, read, to_json_dict
    from mailrouting.reading.limits import DEFAULT
    from mailrouting.reading.reader import _read

MIB = 1024 * 1024
SECONDS, SECONDS_PER_MIB = 0.2, 1.0
MEMORY, MEMORY_PER_BYTE = 32 * MIB, 4
# tracemalloc slows a reading down many times, so one mail in this many is weighed.
WEIGHED = 64
# One mutation in this many repeats a slice: what is quadratic shows only in long runs.
STUFFED = 8
TRIES = 3


def test_one_mail(data: bytes) -> None:
    """Read one mail in every way that the promises speak of."""
    if zlib.crc32(data) % WEIGHED == 0:
        _weigh(data)
        return
    _time(data)


def _understand(data: bytes) -> Message:
    message = read(data)
    identify(data)
    json.dumps(to_json_dict(message), ensure_ascii=False).encode()
    for one in message.attachments:
        if one.is_complete and len(one.content) != one.size:
            raise AssertionError(f"{one.content_type} has {len(one.content)} bytes, not {one.size}")
    return message


def _time(data: bytes) -> None:
    allowed = SECONDS + SECONDS_PER_MIB * len(data) / MIB
    needed = 0.0
    # Processor time, and the best of some tries: other work on the machine is no finding.
    for _ in range(TRIES):
        began = time.process_time()
        message = _understand(data)
        needed = time.process_time() - began
        if needed <= allowed:
            break
    else:
        raise AssertionError(f"{needed:.2f} s for {len(data)} bytes; {allowed:.2f} s are allowed")
    _judge(data, message)


def _judge(data: bytes, message: Message) -> None:
    if Defect.READER_FAULT in message.defects:
        # `read` turns every exception into this defect: behind its door the traceback is seen.
        _read(data, DEFAULT, Helpers())
        raise AssertionError("the reader failed once and not again")
    if message.raw != data:
        raise AssertionError("the raw bytes were changed")
    position = 0
    for span in message.reply.spans:
        if span.start != position or span.end < span.start:
            raise AssertionError(f"the spans do not adjoin at {position}")
        position = span.end
    if position != len(message.reply.text):
        raise AssertionError("the spans do not cover the text")


def _weigh(data: bytes) -> None:
    tracemalloc.start()
    try:
        _understand(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    allowed = MEMORY + MEMORY_PER_BYTE * len(data)
    if peak > allowed:
        raise AssertionError(f"{peak} bytes for a mail of {len(data)}; {allowed} are allowed")


def mutate(data: bytes, longest: int, seed: int) -> bytes:
    """Change a mail: mostly as libFuzzer does, now and then by repeating a slice many times."""
    chance = random.Random(seed)
    if not data or chance.randrange(STUFFED):
        return atheris.Mutate(data, longest)
    start = chance.randrange(len(data))
    piece = data[start : start + chance.choice((1, 2, 4, 16, 64, 256))]
    room = max(longest - len(data), 0) // len(piece)
    times = chance.randint(0, min(room, chance.choice((8, 64, 1024, 65536))))
    return data[:start] + piece * times + data[start:]


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_mail, custom_mutator=mutate)
    atheris.Fuzz()
