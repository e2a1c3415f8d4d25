"""Read dates (RFC 5322 §3.3), tolerantly."""

import email.utils
import re
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["parse_date"]

_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_COMMENT = re.compile(r"\([^()]{0,100}\)")
_LONGEST = 200
_DAY_SECONDS = 86400


def parse_date(text: str) -> datetime | None:
    """Return the moment, aware, or None when it cannot be read or lies outside 1970 to 2100.

    A date without a zone is read as UTC.

    >>> parse_date("Mon, 2 Mar 2026 09:00:00 +0100").isoformat()
    '2026-03-02T09:00:00+01:00'
    """
    text = _COMMENT.sub(" ", text[:_LONGEST]).strip()
    moment = _rfc5322(text) or _iso8601(text)
    if moment is None or not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        return None
    return moment


def _rfc5322(text: str) -> datetime | None:
    try:
        parsed = email.utils.parsedate_tz(text)
        if parsed is None:
            return None
        offset = parsed[9] or 0
        zone = timezone(timedelta(seconds=offset)) if abs(offset) < _DAY_SECONDS else UTC
        year, month, day, hour, minute, second = parsed[:6]
        # A leap second is a second later; datetime knows none.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
    except (ValueError, IndexError, TypeError, OverflowError):
        # parsedate_tz raises instead of returning None on some broken dates.
        return None
    return moment


def _iso8601(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
