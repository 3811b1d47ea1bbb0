"""Service models write patterns for Java's regular expressions; this makes them Python's.

Pure. Differences handled: `\\d \\w \\s` are ASCII in Java, `.` stops at every line terminator, `\\p{…}` classes,
`\\z`, and the literal `-`, `[` and `&&` that Python warns about inside a character class.
https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/regex/Pattern.html
"""

from __future__ import annotations

import functools
import logging
import re
import unicodedata

logger = logging.getLogger(__name__)

_NOT_LINE_END = r"[^\n\r\u0085\u2028\u2029]"
_SEPARATORS = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ASCII_CLASSES = {  # content of a character class
    "d": "0-9",
    "w": "a-zA-Z0-9_",
    "s": r" \t\n\x0b\f\r",
    "h": r" \t\u00a0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000",
}
_PROPERTIES = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
    "Z": _SEPARATORS,
}
_CATEGORY_NAMES = {"IsLetter": "L", "IsAlphabetic": "L", "IsDigit": "Nd", "IsPunctuation": "P"}
_ASSIGNED_END = 0x32400  # planes above hold private use, tags and variation selectors only


@functools.cache
def _category_ranges() -> dict[str, str]:
    """Every Unicode general category as the content of a character class (25 ms, once, and only for odd patterns)."""
    ranges: dict[str, list[list[int]]] = {}
    for code in range(_ASSIGNED_END):
        category = ranges.setdefault(unicodedata.category(chr(code)), [])
        if category and category[-1][1] == code - 1:
            category[-1][1] = code
        else:
            category.append([code, code])
    return {
        name: "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in category) for name, category in ranges.items()
    }


def _property(name: str) -> str:
    """The content of a character class for `\\p{name}`. KeyError when there is none."""
    if name in _PROPERTIES:
        return _PROPERTIES[name]
    category = _CATEGORY_NAMES.get(name, name.removeprefix("Is"))
    found = [content for key, content in _category_ranges().items() if key.startswith(category)]
    if not found:
        raise KeyError(name)
    return "".join(found)


_TOKEN = re.compile(
    r"""\\[pP]\{(?P<property>\w+)\}
      | \\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})
      | \\x\{(?P<code>[0-9a-fA-F]+)\}
      | \\(?P<escape>.)
      | (?P<open>\[\^?\]?)
      | (?P<plain>.)""",
    re.DOTALL | re.VERBOSE,
)
_CLASS_AHEAD = re.compile(r"\\[dwshp]")


def _code_point(match: re.Match[str]) -> str:
    """Java's `\\x{h…h}` or surrogate pair as Python's escape."""
    if match["code"]:
        return rf"\U{int(match['code'], 16):08x}"
    return rf"\U{0x10000 + ((int(match['high'], 16) - 0xD800) << 10) + int(match['low'], 16) - 0xDC00:08x}"


def _escape(character: str, inside: bool) -> str:
    if character in _ASCII_CLASSES:
        content = _ASCII_CLASSES[character]
        return content if inside else f"[{content}]"
    if character in "DWSH" and not inside:
        return f"[^{_ASCII_CLASSES[character.lower()]}]"
    if character in "zZ":
        return r"\Z"
    return re.escape(character) if not character.isalnum() else "\\" + character


def _property_class(text: str, name: str, inside: bool, alphanumeric: bool) -> str:
    content = r"\w" if alphanumeric and name in ("L", "N") else _property(name)
    if not text.startswith(r"\P"):
        return content if inside else f"[{content}]"
    if inside:
        raise KeyError(text)
    return f"[^{content}]"


def _translated(pattern: str) -> str:
    # `[\p{L}\p{N}_…]`, the pattern of every tag, is exactly Python's Unicode `\w`: no table of ranges needed
    alphanumeric = {"L", "N"} <= set(re.findall(r"\\p\{(\w+)\}", pattern)) and "_" in pattern
    result: list[str] = []
    inside = after_class = False
    for match in _TOKEN.finditer(pattern):
        text = match[0]
        is_class = False
        if match["property"]:
            result.append(_property_class(text, match["property"], inside, alphanumeric))
            is_class = True
        elif match["high"] or match["code"]:
            result.append(_code_point(match))
        elif match["escape"]:
            result.append(_escape(match["escape"], inside))
            is_class = match["escape"] in _ASCII_CLASSES
        elif not inside:
            inside = bool(match["open"])
            result.append(_NOT_LINE_END if text == "." else text.replace("]", r"\]") if inside else text)
        else:
            inside = text != "]"
            beside_class = text == "-" and (after_class or _CLASS_AHEAD.match(pattern, match.end()))
            result.append("".join(f"\\{c}" for c in text) if text[0] in "[&|~" or beside_class else text)
        after_class = is_class
    return "".join(result)


@functools.cache
def compile_java(pattern: str) -> re.Pattern[str] | None:
    """The pattern for `fullmatch`, as `java.util.regex.Matcher.matches`; None (said in the log) if not translatable."""
    try:
        return re.compile(_translated(pattern))
    except (re.error, KeyError) as error:
        logger.warning("a model's pattern is not checked: %s", error, extra={"pattern": pattern})
        return None
