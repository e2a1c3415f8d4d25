"""Read dates (RFC 5322 §3.3), tolerantly."""

import email.utils
import re
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["parse_date"]

_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_COMMENT = re.compile(r"\([^()]{0,100}\)")
# What nearly every program writes; a comment names the zone.
_PLAIN = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{1,2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" (20\d\d) (\d\d):(\d\d):([0-5]\d) ([+-])(0\d|1[0-4])([0-5]\d)(?: \([A-Za-z]{1,9}\))?",
    re.ASCII,
)
_ODD_ZONE = re.compile(r"(?:GMT|UTC?)?([+-]\d{2}):?(\d{2})$", re.IGNORECASE)
# `9:00 PM`: neither of the two forms knows it.
_TWELVE_HOURS = re.compile(r"\b(0?[1-9]|1[0-2])(:\d\d(?::\d\d)?)\s?([ap])\.?m\b\.?", re.IGNORECASE)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_LONGEST = 200
_DAY_SECONDS = 86400


def parse_date(text: str) -> datetime | None:
    """Return the moment, aware, or None when it cannot be read or lies outside 1970 to 2100.

    A date without a zone is read as UTC.

    >>> parse_date("Mon, 2 Mar 2026 09:00:00 +0100").isoformat()
    '2026-03-02T09:00:00+01:00'
    """
    plain = _PLAIN.fullmatch(text)
    return (_plain(plain) if plain else None) or _any(text)


def _plain(found: re.Match[str]) -> datetime | None:
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    zone = timezone(-offset if sign == "-" else offset)
    try:
        return datetime(
            int(year),
            _MONTHS.index(month) // 3 + 1,
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=zone,
        )
    except ValueError:  # the 31st of a month of 30 days
        return None


def _any(text: str) -> datetime | None:
    text = _COMMENT.sub(" ", text[:_LONGEST]).strip()
    text = _TWELVE_HOURS.sub(_of_24_hours, text)
    moment = _rfc5322(text) or _iso8601(text)
    if moment is None or not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        return None
    return moment


def _of_24_hours(found: re.Match[str]) -> str:
    hour = int(found[1]) % 12 + (12 if found[3] in "pP" else 0)
    return f"{hour:02}{found[2]}"


def _rfc5322(text: str) -> datetime | None:
    try:
        # `+01:00` and `GMT+0100` are read as no zone at all.
        parsed = email.utils.parsedate_tz(_ODD_ZONE.sub(r"\1\2", text))
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
