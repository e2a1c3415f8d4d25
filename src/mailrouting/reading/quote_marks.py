"""Recognise the lines that mail programs draw above earlier mail, and the marks of quoted lines."""

import re

__all__ = [
    "LONGEST_LINE",
    "has_forward_subject",
    "is_forward_end",
    "is_forward_marker",
    "is_original_marker",
    "is_rule",
    "may_be_mark",
    "unquoted",
]

LONGEST_LINE = 400
"""Characters of a line that are looked at."""
_FORWARDED = (
    "forwarded message(?: from .{1,200})?|start of forwarded message|forwarded by .{1,80}|weitergeleitet von .{1,80}|begin forwarded message|forwarded|weitergeleitete nachricht|anfang der weitergeleiteten nachricht"
    "|weitergeleitete mail|message transféré|message transmis|début du message transféré|début du message réexpédié|mensaje reenviado"
    "|inicio del mensaje reenviado|messaggio inoltrato|inizio messaggio inoltrato|mensagem encaminhada"
    "|mensagem reencaminhada|início da mensagem (?:encaminhada|reencaminhada)|doorgestuurd bericht"
    "|begin doorgestuurd bericht|videresendt (?:meddelelse|melding|besked)|start på videresendt besked"
    "|videresendt e-post|vidarebefordrat (?:meddelande|mejl|brev)|vidarebefordrat mail|välitetty viesti|edelleenlähetetty viesti|välitetty viesti alkaa"
    "|przekazana wiadomość|wiadomość przesłana dalej|treść przekazanej wiadomości|początek przekazywanej wiadomości|przeposlaná zpráva|přeposlaná zpráva"
    "|začátek přeposílané zprávy|začátek přeposlané zprávy|preposlaná správa|začiatok preposlanej správy|továbbított (?:üzenet|levél)|továbbított levél kezdete"
    "|mesaj redirecționat|mesaj redirecţionat|început mesaj redirecționat|începutul mesajului redirecționat|începe mesajul redirecționat|iletilmiş mesaj|iletilen ileti|ileti başlangıcı|i̇letilmiş mesaj|i̇leti başlangıcı|yönlendirilen ileti"
    "|пересылаемое сообщение|пересланное сообщение|начало переадресованного сообщения|перенаправленное сообщение|перенаправлене повідомлення|переслане повідомлення|початок листа, що пересилається"
    "|початок переспрямованого повідомлення|proslijeđena poruka|započni proslijeđenu poruku|posredovano sporočilo|转发的邮件|转发邮件|开始转发邮件|转发邮件信息|轉寄的郵件|轉寄郵件|転送されたメッセージ|メッセージを転送|転送メッセージ|전달된 메시지(?: 시작)?|개시된 메시지"
)
_ORIGINAL = (
    "original message|original appointment|reply message|ursprüngliche nachricht|originalnachricht|message d'origine|message original|mensaje original"
    "|messaggio originale|mensagem original|oorspronkelijk bericht|oprindelig meddelelse|opprinnelig melding|ursprungligt meddelande|originalmeddelande"
    "|alkuperäinen viesti|wiadomość oryginalna|původní zpráva|pôvodná správa|eredeti üzenet|mesaj original|orijinal mesaj|özgün ileti"
    "|исходное сообщение|оригинальное сообщение|вихідне повідомлення|原始邮件|原始郵件|元のメッセージ|원본 메시지|original email"
)
_FORWARD_MARKER = re.compile(
    rf"[\s>*\ufeff]{{0,12}}(?:[-—_=]{{2,60}}\s{{0,2}}(?:{_FORWARDED})\s?:?\s{{0,2}}[-—_=]{{2,60}}|(?:{_FORWARDED})\s?[:：]\s{{0,9}}$)",
    re.IGNORECASE,
)
_FORWARD_END = re.compile(
    r"[\s>*\ufeff]{0,12}[-—_=]{2,60}\s{0,2}(?:end of forwarded message|(?:конец|завершение) пересылаемого сообщения)"
    r"\s{0,2}[-—_=]{2,60}\s{0,9}",
    re.IGNORECASE,
)
_ORIGINAL_MARKER = re.compile(
    rf"[\s>*\ufeff]{{0,12}}[-—_=]{{2,60}}\s?(?:{_ORIGINAL})\s?:?\s?[-—_=]{{2,60}}[\s*]{{0,9}}",
    re.IGNORECASE,
)
# All markers and rules begin with one of these, or end in a colon.
_SHORTEST_MARK = 5
_MARK = re.compile(r"[\s>*\ufeff]*+[-—_=\d]")
_RULE = re.compile(r"[\s>]{0,12}(?:_{5,200}|-{20,200}|={20,200})\s{0,9}")
_FORWARD_SUBJECT = re.compile(
    r"\s{0,5}(?:\[[^\]]{0,60}\]\s{0,3})?\[?(?:fwd?|wg|tr|rv|enc|i|pd|vs|vb|doorst|ilt|yml|fs|továbbítás|转发|轉寄|転送)\s{0,2}[:：]",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"[ \t]{0,4}[>|]\s?")


def may_be_mark(line: str) -> bool:
    """Tell cheaply whether a line may be a rule, or a marker that ends in no colon."""
    # What begins with a letter behind `>` begins with no mark.
    return (
        len(line) >= _SHORTEST_MARK
        and not line.lstrip("> ")[:1].isalpha()
        and _MARK.match(line) is not None
    )


def is_forward_marker(line: str) -> int:
    """Return where the marker of a forwarded mail ends in a line; 0 when there is none."""
    if ":" not in line and "：" not in line and not _MARK.match(line):
        return 0
    match = _FORWARD_MARKER.match(line[:LONGEST_LINE])
    return match.end() if match else 0


def is_forward_end(line: str) -> bool:
    """Tell whether a line says that a forwarded mail ends here."""
    return _FORWARD_END.fullmatch(line[:LONGEST_LINE]) is not None


def is_original_marker(line: str) -> bool:
    """Tell whether a line says `-----Original Message-----` in some language."""
    return _ORIGINAL_MARKER.fullmatch(line[:LONGEST_LINE]) is not None


def is_rule(line: str) -> bool:
    """Tell whether a line is the rule that Outlook draws above a quoted header."""
    return _RULE.fullmatch(line[:LONGEST_LINE]) is not None


def has_forward_subject(subject: str) -> bool:
    """Tell whether a subject begins with `Fwd:` in some language."""
    return _FORWARD_SUBJECT.match(subject[:LONGEST_LINE]) is not None


def unquoted(line: str) -> str:
    """Return a line without one level of `> `."""
    match = _QUOTE.match(line)
    return line[match.end() :] if match else line
