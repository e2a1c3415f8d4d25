"""Recognise attributions: `On Monday Ann wrote:` and what programs write in other languages.

Per line, a bounded stretch of it, with patterns that cannot run away. What is not recognised
stays visible: a quote too many costs a reader a second, a hidden answer costs the customer.
"""

import re
from collections.abc import Iterator, Sequence

from mailrouting.reading.quote_marks import LONGEST_LINE, may_be_mark, unquoted
from mailrouting.reading.quoted_headers import ADDRESS, CLOCK, LEAST_EVIDENCE

__all__ = [
    "attribution_length",
    "introduces",
    "is_programs_attribution",
    "is_sender_line",
    "may_begin",
]

_MOST_ATTRIBUTION_LINES = 6
_VERB = re.compile(
    r"\b(?:wrote|writes|schrieb|schreef|a écrit|escribió|ha scritto|escreveu|skrev|kirjoitti|napisał(?:\(a\)|a)?|napsala?(?:\(a\))?"
    r"|napísala?|írta|a scris|yazdı|написала?|написав|пише|пишет|wrote the following|έγραψε|viết|je napisao|je napisala|ezt írta|geschrieben|skrev følgende"
    r"|pisze)\b|写道|寫道|のメール|님이 작성|כתב|كتب",
    re.IGNORECASE,
)
# In these languages programs name the sender without a verb.
_DATED_SENDER = re.compile(
    r"[\s>\ufeff\u200e\u200f\u202a-\u202e]{0,12}(?:"
    r"(?:(?:пн|вт|ср|чт|пт|сб|вс|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье), )?"
    r"\d{1,2} [а-я]{3,8}\.? \d{4}(?: г\.)?,? (?:в )?\d{1,2}:\d\d(?: [+-]\d\d:\d\d)?(?:,| от)"
    r"|\d{4}年\d{1,2}月\d{1,2}日(?:\([月火水木金土日]\))? (?:午前|午後)?\d{1,2}(?::\d\d|時\d{1,2}分)[、,]?"
    r"|(?:בתאריך|ב-).{5,60} ב-?(?:שעה )?\d{1,2}:\d\d,?(?: מאת)?"
    r"|في .{5,60}\d{1,2}:\d\d.{0,40}(?:،|من|بواسطة)"
    r")\s?[^<>]{1,120}<\s?[^<>\s@]{1,120}@[^<>\s]{1,255}>",
    re.IGNORECASE,
)
_STRONG = re.compile(r"<mailto|\b\d{1,2}[:.h]\d{2}\b|\b(?:19|20)\d\d\b|年")
_DAY = re.compile(r"\b(?:19|20|٢٠)\d\d\b|\b\d{1,2}[/.-]\d{1,2}[/.-]\d{2}\b|[年년]")
_TELLS_WHO = re.compile(r"[@\d]")
# Who writes about letters says I and you; a mail program names people.
_PRONOUN = re.compile(
    r"\bI\b(?![.'])|\b(?:we|you|your|our|my|ich|wir|je|nous|vous|yo|usted|ik|jag|jeg)\b"
    r"|^\s{0,9}(?:We|You|Your|Our|My|Ihre?|Unsere?|Mein|Votre|Notre|Su|Il tuo|Uw)\b"
)
_WITH_MARK = re.compile(r"\S*@\S*")
_DASHED = re.compile(r"\s{0,4}-{2,6}\s(.{10,300}?)\s-{2,6}\s{0,4}")
# White space, what quotes add, and marks of direction (UAX #9 §2).
_BEHIND_COLON = " \t\xa0>\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
_ENDS_SENTENCE = re.compile(r"[^\W\d_]{2}[.!?]$")
# A sentence that ends within is no attribution; names and months have shorter abbreviations.
_SENTENCE_END = re.compile(r"[.!?](?<=[^\W\d_]{5}.)(?:\s+[^\W\d_]|\s*$)")
_SENTENCE_WITHIN = re.compile(r"[.!?](?<=[^\W\d_]{5}.)\s+[^\W\d_]")
_BEGIN = re.compile(
    r"[\s>*\ufeff]{0,12}(?:(?:on|at|am|le|el|il|em|den|d\.|op|dne|dnia|w dniu|pe|στις|vào|u|dana|ons?dag|il giorno|tarihinde|пн|вт|ср|чт|пт|сб|вс|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье|في)\b|在|于|\u202b?ב|\d{1,4}[-/. 年]"
    r"|[^<>]{1,80}<[^<>\s]{1,320}@)",
    re.IGNORECASE,
)
# With seconds it is the line of a log.
_DATE_AND_NAME = re.compile(
    r"[\s\ufeff]{0,9}\d{4}[-/]\d{1,2}[-/]\d{1,2} (?!\d{1,2}:\d\d:)(?:[^<>]{1,120}<[^<>\s@]{1,120}@[^<>\s@]{1,255}\.[^<>\s@.]{2,63}>|\d{1,2}:\d\d GMT[+-]\d\d:\d\d .{1,120})\s{0,9}:?\s{0,9}"
)


def may_begin(lines: Sequence[str]) -> tuple[set[int], set[int]]:
    """Return the lines where earlier mail may begin: on all others the exact rules find nothing.

    Returns:
        The lines that a marker, a quoted header or an attribution may begin on; and those that
        only an attribution may begin on, because it would end in a colon some lines below.
    """
    colons = [index for index, line in enumerate(lines) if ":" in line or "：" in line]
    above = {index for colon in colons for index in _may_lead_to(lines, colon)}
    # Most lines begin with a letter, and no mark does: a call for each would take its time.
    marks = [
        index
        for index, line in enumerate(lines)
        if line and not line[0].isalpha() and may_be_mark(line)
    ]
    return {*colons, *marks}, above


def _may_lead_to(lines: Sequence[str], colon: int) -> Iterator[int]:
    """Yield the lines above, on which an attribution may begin that ends here."""
    for index in range(colon - 1, max(colon - _MOST_ATTRIBUTION_LINES, -1), -1):
        yield index
        # A blank line ends an attribution, unless it is its second or stands behind a bracket.
        if not lines[index + 1].strip() and _ends_without_bracket(lines[index]):
            return


def _ends_without_bracket(line: str) -> bool:
    return "<" not in line and ">" not in line and len(line) <= LONGEST_LINE and bool(line.strip())


def attribution_length(lines: Sequence[str], start: int) -> int:
    """Return over how many lines `On Monday Ann wrote:` stands from a line on; 0 for none."""
    first = lines[start][:LONGEST_LINE]
    if not first.strip():
        return 0
    if not first[:1].isalpha() and _DATE_AND_NAME.fullmatch(first):
        return 1
    dashed = _DASHED.fullmatch(first)
    if dashed and _has_verb(dashed[1]) and _STRONG.search(dashed[1]):
        return 1  # Zoho: `---- On Mon, 2 Mar 2026 ... wrote ---`
    joined = first
    for length in range(1, _MOST_ATTRIBUTION_LINES + 1):
        if len(joined) <= LONGEST_LINE and _says_who(lines, start + length, joined):
            return length if _is_attribution(lines, start, length, joined) else 0
        if length == 1 and not _BEGIN.match(first):
            return 0
        index = start + length
        if index >= len(lines):
            return 0
        if length > 1 and not lines[index].strip() and not joined.rstrip().endswith(("<", ">")):
            return 0
        joined = f"{joined} {unquoted(lines[index][:LONGEST_LINE]).strip()}"
    return 0


def _says_who(lines: Sequence[str], below: int, text: str) -> bool:
    """Tell whether a text says before its colon who wrote what stands below."""
    if not _ends_in_colon(text):
        return False
    if _has_verb(text) or _DATED_SENDER.match(text):
        return True
    return _is_address_and_date(text) and _quote_follows(lines, below)


def _is_attribution(lines: Sequence[str], start: int, length: int, text: str) -> bool:
    is_strong = "@" in text or _STRONG.search(text) or _quote_follows(lines, start + length)
    return bool(is_strong) and not _holds_sentence(lines[start : start + length])


def is_programs_attribution(lines: Sequence[str]) -> bool:
    """Tell whether an attribution has two of day, time and address, as mail programs write it.

    People write `In 2023 Mr. Smith wrote:` above words of their own.
    """
    text = " ".join(line[:LONGEST_LINE] for line in lines)
    if sum(one.search(text) is not None for one in (CLOCK, _DAY, ADDRESS)) < LEAST_EVIDENCE:
        return False
    if _PRONOUN.search(_WITH_MARK.sub(" ", text)):
        return False
    return not any(_ENDS_SENTENCE.search(line[:LONGEST_LINE].rstrip()) for line in lines[:-1])


def is_sender_line(line: str) -> bool:
    """Tell whether a line names a sender and a date before a colon, as Yandex writes it."""
    return len(line) <= LONGEST_LINE and _ends_in_colon(line) and _is_address_and_date(line)


def introduces(line: str) -> bool:
    """Tell whether a person announces what stands below: `My config is:`."""
    return _ends_in_colon(line) and not _has_verb(line) and not _TELLS_WHO.search(line)


def _holds_sentence(lines: Sequence[str]) -> bool:
    *above, last = (line[:LONGEST_LINE].rstrip() for line in lines)
    return any(map(_SENTENCE_END.search, above)) or _SENTENCE_WITHIN.search(last) is not None


def _is_address_and_date(text: str) -> bool:
    """Tell whether a text is an attribution in whatever language; above a quote it is one."""
    return all(one.search(text) for one in (ADDRESS, CLOCK, _DAY))


def _has_verb(text: str) -> bool:
    return " wrote:" in text or _VERB.search(text) is not None


def _ends_in_colon(text: str) -> bool:
    return text.rstrip(_BEHIND_COLON).endswith((":", "："))


def _quote_follows(lines: Sequence[str], index: int) -> bool:
    for line in lines[index : index + 3]:
        if line.strip():
            return line.lstrip().startswith(">")
    return False
