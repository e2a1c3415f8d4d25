"""Find where a signature begins: behind its mark, or the line that a device adds."""

import re
from collections.abc import Callable, Sequence

__all__ = ["signature_begin"]

_LONGEST_SIGNATURE = 30
_LONGEST_LOOSE_SIGNATURE = 10
_LONGEST_LOOSE_LINE = 72
_MARK = re.compile(r"-- [ \t\xa0]{0,3}")
# People divide their texts by these as well.
_LOOSE_MARK = re.compile(r"(?:--|—|__)[ \t\xa0]{0,3}")
_MARKS = frozenset("-—_")
_SENTENCE = re.compile(r"\w[?!]|(?:\S+\s+){4}\S*\w[.;](?:\s|$)")
_PERSON = re.compile(
    r"\b(?:please|i|we|you|can|bitte|ich|wir|sie|je|nous|vous|yo|usted|io|eu)\b", re.IGNORECASE
)
_CONTACT = re.compile(r"@|https?:|www\.|\+?\d[\d ()/.-]{6,30}")
# Behind `--` names and titles are written large, but for short words between them.
_SMALL_WORD = re.compile(r"[^\W\d_]{4}")
_DECORATION = re.compile(r"[\s\-_=*#~+ᐧ—]{1,200}")
_LONGEST_DEVICE_LINE = 160
_SENT = (
    r"sent|posted|written|gesendet|gesandt|versendet|envoyé|enviado|enviada|inviato|verzonden|verstuurd|sendt|skickat|skickades|lähetetty"
    r"|wysłane|wysłano|отправлено|надіслано|küldve|odesláno|odoslané|trimis|gönderildi|poslano|εστάλη"
)
_FROM = r"from|with|via|by|using|on|von|vom|mit|über|aus|depuis|de|à partir|desde|do|da|dal|con|met|van|vanaf|fra|från|med|z|ze|с|из|з|din|s|pomocí"
_DEVICE = (
    r"iphone|ipad|ipod|android|samsung|galaxy|blackberry|huawei|xiaomi|oneplus|pixel \d|nokia|lumia|xperia|motorola|htc|windows phone"
    r"|windows \d|smartphone|smart phone|cell|mobile|mobil|handy|phone|telefon|téléphone|teléfono|telefono|telefoon|telefone|puhelin|телефон|móvil|celular"
    r"|cellulare|tablet|outlook|gmail|yahoo|aol|proton ?mail|tutanota|tuta|fairemail|k-9|bluemail|airmail|spark|mailbird|thunderbird|gmx|web\.de"
    r"|zoho|fastmail|hey|superhuman|icloud|macbook|apple watch|mail for windows|mail für windows|mail pour windows|mail para windows|courrier|correo|posta|nine"
    r"|verizon|t-mobile|at&t|4g|lte|t-online|freenet|orange|mail\.ru|яндекс|yandex|wireless|mailapp|mail app|e-mail app|mailspring|workspace|airwatch|boxer"
)
_FAREWELL = re.compile(
    rf"[\s(<\[*_]{{0,5}}(?:(?:{_SENT}) (?:{_FROM}) |(?:{_SENT}) (?=iphone|min|mein)|von mein\w{{0,2}} |from my |min |desde mi |diese nachricht wurde"
    rf"|downloaded from|get outlook |télécharger outlook|obtener outlook|outlook (?=für )|ottieni outlook|download outlook|pobierz outlook"
    rf"|ladda ner outlook|hent outlook|hanki outlook|descarregar o outlook|obter o outlook|скачать outlook|iphoneから送信|從我的|发自我的|從我|发自|(?=iphone\S{{0,12}} gönderildi))",
    re.IGNORECASE,
)
_HAS_DEVICE = re.compile(rf"(?<![\w])(?:{_DEVICE})", re.IGNORECASE)
# These name the device themselves.
_COMPLETE = re.compile(r".*(?:iphoneから送信|從我的|发自我的|從我|发自)", re.IGNORECASE)
_LINK = re.compile(
    r"[<\[(](?:https?:|mailto:)[^<>\s]{0,500}[>\])]?|https?:\S{1,500}", re.IGNORECASE
)
_PLATFORM = re.compile(
    r"(?:(?:für|pour|para|per|voor|til|för|do|na|dla|for) )?(?:ios|android|mac|windows|mobile|iphone|ipad)\b",
    re.IGNORECASE,
)
_SENTENCE_BEHIND = re.compile(r"[.!?;:]\s+\S")
# The small words of footers: with any other, somebody goes on to say something.
_FOOTER_WORDS = frozenset({
    "a", "an", "the", "my", "our", "on", "for", "from", "with", "via", "by", "using", "mobile", "phone", "cell", "smartphone", "smart", "device", "app",
    "secure", "encrypted", "email", "e-mail", "mail", "network", "wireless", "tablet", "client", "beta", "powered", "gesendet", "verschickt", "versendet",
    "geschickt", "mit", "der", "dem", "von", "mein", "meinem", "meiner", "handy", "wurde", "pour", "mon", "sur", "depuis", "para", "mi", "meu", "do",
    "su", "dal", "mio", "il", "de", "da", "del", "op", "voor", "mijn", "van", "met", "min", "fra", "og", "till", "na", "z", "mojego", "e", "telefon",
    "telefono", "telefone", "telefoon", "mobil", "mobiel", "tel", "iphone", "ipad", "ipod", "android", "samsung", "galaxy", "outlook", "gmail", "yahoo",
    "inc", "cellulare", "celular", "courrier", "correo", "posta", "herunterladen", "beziehen", "secured", "free",
})  # fmt: skip
_NEAR = 3  # words within which the device is named
_APOLOGY = re.compile(
    r"[.,;!]?\s{0,3}(?:so |and |-\s)?(?:please |bitte |kindly )?(?:excuse|forgive|pardon|sorry|apolog|entschuldig|pardonnez|disculp|perdon|scusa)",
    re.IGNORECASE,
)


def signature_begin(lines: Sequence[str], end: int, *, is_free: Callable[[int], bool]) -> int:
    """Return the index of the line where the signature begins; `end` when there is none.

    The last mark counts: what stands between two of them may be a person's second part. Behind `--`
    without its space, which people draw between parts too, only short lines are a signature.

    Args:
        lines: The text's lines.
        end: Behind the last line of the sender's own.
        is_free: Tells whether a line is not quoted.
    """
    begin = _behind_mark(lines, end, is_free)
    if begin < end:
        while begin > 1 and is_free(begin - 1) and _is_decoration(lines[begin - 1]):
            begin -= 1
    index = begin
    while index > 1 and is_free(index - 1):
        if _is_farewell_of_a_device(lines[index - 1]):
            begin = index - 1
        elif not _is_decoration(lines[index - 1]):
            break
        index -= 1
    if begin == end:
        return end
    while begin > 1 and is_free(begin - 1) and _is_decoration(lines[begin - 1]):
        begin -= 1
    return begin


def _behind_mark(lines: Sequence[str], end: int, is_free: Callable[[int], bool]) -> int:
    first = max(end - _LONGEST_SIGNATURE, 0)
    for index in range(end - 1, first - 1, -1):
        if not is_free(index):
            break
        if not _is_mark(lines[index]) or not any(map(str.strip, lines[:index])):
            continue
        above = [line for line in lines[:index] if line[:1] in _MARKS]
        is_only_one = not any(map(_is_mark, above))
        is_sure = is_only_one and _MARK.fullmatch(lines[index])
        return index if is_sure or _is_short(lines[index + 1 : end]) else end
    return end


def _is_mark(line: str) -> bool:
    if line[:1] not in _MARKS:
        return False
    return _MARK.fullmatch(line) is not None or _LOOSE_MARK.fullmatch(line) is not None


def _is_short(lines: Sequence[str]) -> bool:
    """Tell whether lines look like name and address, not like sentences."""
    written = [line for line in lines if line.strip()]
    if len(written) > _LONGEST_LOOSE_SIGNATURE or any(map(_speaks, written)):
        return False
    return any(map(_CONTACT.search, written)) or all(map(_is_title, written))


def _speaks(line: str) -> bool:
    is_long = len(line) > _LONGEST_LOOSE_LINE
    return is_long or _SENTENCE.search(line) is not None or _PERSON.search(line) is not None


def _is_title(line: str) -> bool:
    words = line.split()
    return len(words) == 1 or not any(
        word[0].islower() and _SMALL_WORD.match(word) for word in words
    )


def _is_decoration(line: str) -> bool:
    return not line.strip() or _DECORATION.fullmatch(line[:250]) is not None


def _is_farewell_of_a_device(line: str) -> bool:
    """Tell whether a line is `Sent from my iPhone` and no more, in some language."""
    begin = _FAREWELL.match(line) if len(line) <= _LONGEST_DEVICE_LINE else None
    if begin is None:
        return False
    rest = _LINK.sub(" ", line[begin.end() :]).strip(" \t\xa0*_<>()[].")
    apology = _APOLOGY.search(rest)
    rest = rest[: apology.start()] if apology else rest
    if _COMPLETE.match(begin.group()):
        return len(rest.split()) <= _NEAR
    if "outlook" in begin.group().lower():
        return _PLATFORM.match(rest) is not None and len(rest.split()) <= _NEAR
    words = [word.strip(",.()<>\"'") for word in rest.split()]
    names_device = _HAS_DEVICE.search(" ".join(words[:_NEAR])) is not None
    is_footer = all(
        word.lower() in _FOOTER_WORDS
        or _HAS_DEVICE.match(word)
        or not (word.isascii() and word[:1].islower())
        for word in words
    )
    return names_device and is_footer and not _SENTENCE_BEHIND.search(rest)
