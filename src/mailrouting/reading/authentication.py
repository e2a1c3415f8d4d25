"""Read Authentication-Results (RFC 8601), as servers really write it.

Whom to believe is the account's business; here is only what was said, and where it stands. Local
parts in the field are the sender's own words (`smtp.mailfrom="x; dmarc=pass"@...`), so what is
quoted never splits a result, and of what stands in comments nothing is taken.
"""

import attrs

__all__ = ["AuthenticationResults", "MethodResult", "parse_authentication_results"]

_MOST_RESULTS = 200
# Quoted separators, while the field is split at those that are not.
_HIDDEN = {" ": "\ue000", ";": "\ue001", "=": "\ue002"}
_SHOWN = {ord(hidden): shown for shown, hidden in _HIDDEN.items()}
_STRANGERS = dict.fromkeys(_SHOWN, "\ufffd")


@attrs.frozen(kw_only=True)
class MethodResult:
    """Hold the result of one method.

    Attributes:
        method: `spf`, `dkim`, `dmarc` and others in lower case, without a version.
        result: `pass`, `fail`, `none` and others in lower case; empty when it cannot be read.
        reason: The value of `reason`, or an empty text.
        properties: Name in lower case (`header.from`, `smtp.mailfrom`) and value as written, in
            order; a name that stands twice is in here twice. Microsoft's `action` is one too.
    """

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values of a property; `name` is in lower case."""
        return tuple(value for found, value in self.properties if found == name)


@attrs.frozen(kw_only=True)
class AuthenticationResults:
    """Hold one Authentication-Results field.

    Attributes:
        position: How many Received fields stand above it. A server writes both on top, so 0 is
            what the server wrote that took the mail last, if that server removes forged ones.
        authserv_id: Who says so, as written; empty where the field names nobody, as Microsoft's.
        results: What each method found, in order; empty for `none`, and for a field that is cut
            off inside a quoted string or comment, of which nothing can be believed.
        raw: The value, unfolded.
    """

    position: int = 0
    authserv_id: str = ""
    results: tuple[MethodResult, ...] = ()
    raw: str = ""


def parse_authentication_results(value: str, *, position: int = 0) -> AuthenticationResults:
    """Read the value of one field. Never raises; linear.

    >>> found = parse_authentication_results("mx.example.org; dmarc=pass header.from=example.com")
    >>> found.authserv_id, found.results[0].method, found.results[0].values("header.from")
    ('mx.example.org', 'dmarc', ('example.com',))

    Args:
        value: The value, unfolded; encoded words are left as they are (RFC 2047 §5).
        position: How many Received fields stand above it.
    """
    first, *others = _segments(value)
    head = first.partition(" ")[0]
    authserv_id = ""
    if "=" in head:
        others = [first, *others]  # Microsoft writes no authserv-id
    else:
        authserv_id = head.translate(_SHOWN)
    found = [_result(segment) for segment in others[:_MOST_RESULTS]]
    is_cut = len(others) > _MOST_RESULTS
    return AuthenticationResults(
        position=position,
        authserv_id=authserv_id,
        results=() if is_cut else tuple(one for one in found if one),
        raw=value,
    )


def _segments(value: str) -> list[str]:
    """Split a field at its semicolons: no comments, one space between words, none around `=`."""
    plain: list[str] = []
    depth, quoted, escaped = 0, False, False
    for character in value.translate(_STRANGERS):
        if escaped:
            escaped = False
            if quoted:
                plain.append(_HIDDEN.get(character, character))
        elif character == "\\" and (quoted or depth):
            escaped = True
        elif character == '"' and not depth:
            quoted = not quoted
        elif quoted:
            plain.append(_HIDDEN.get(character, character))
        elif character in "()":
            depth += 1 if character == "(" else -1
            plain.append(" ")
        elif depth == 0:
            plain.append(character)
        if depth < 0:
            break
    if depth or quoted:
        return [""]
    words = " ".join("".join(plain).replace("=", " = ").split()).replace(" = ", "=")
    return [segment.strip() for segment in words.split(";")]


def _result(segment: str) -> MethodResult | None:
    first, *others = segment.split(" ")
    methodspec, mark, result = first.partition("=")
    method = methodspec.partition("/")[0]  # without its version
    if not mark or not method:
        return None  # `none`, or nothing
    reason = ""
    properties: list[tuple[str, str]] = []
    for word in others:
        name, mark, value = word.partition("=")
        if mark and name.lower() == "reason" and not reason:
            reason = value.translate(_SHOWN)
        elif mark:
            properties.append((name.lower().translate(_SHOWN), value.translate(_SHOWN)))
    is_plain = "=" not in result
    return MethodResult(
        method=method.lower().translate(_SHOWN),
        result=result.lower().translate(_SHOWN) if is_plain else "",
        reason=reason,
        properties=tuple(properties),
    )
