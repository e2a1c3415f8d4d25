from collections.abc import Sequence

def parse_fetch_response(
    text: Sequence[bytes | tuple[bytes, bytes] | None],
    normalise_times: bool = ...,
    uid_is_key: bool = ...,
) -> dict[int, dict[bytes, object]]: ...
