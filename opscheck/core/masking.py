"""Masking of likely secrets in text from outside: logs, container messages, program output."""

import re

from opscheck.core.redaction import HIDDEN

# Words are bounded in length, so that no line takes quadratic time.
_SENSITIVE = (
    r"[\w.-]{0,40}(?:pass(?:word|wd|phrase|code)|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"credential|signature|session[_-]?id|sessid)[\w.-]{0,40}"
)
_VALUE = r"(?:\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|(?:(?:bearer|basic|token)\s+)?[^\s,;&\"'}\])]+)"
_HEADER = r"(?:proxy-)?authorization|x-api-key|x-auth-token|(?:set-)?cookie"
_SCHEME = r"bearer|basic|digest|token|negotiate|apikey|aws4-hmac-sha256"
_VENDORS = r"gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|sk_(?:live|test)_|sk-|npm_|pypi-|hv[sb]\."


def _pattern(text: str, shown: str = HIDDEN, flags: int = 0) -> tuple[re.Pattern[str], str]:
    return re.compile(text, flags), shown


# In this order: a whole header before the word inside it.
_PATTERNS = (
    _pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"),
    # https://user:password@host, also with an @ in the password
    _pattern(r"(?<=://)[^\s/\"'<>]+@", f"{HIDDEN}@"),
    _pattern(
        rf"\b({_HEADER})\b(\\?[\"']?\s*[:=]\s*\\?[\"']?)(?:(?:{_SCHEME})\s+)?[^\s\"'\\]+(?:;\s*[^\s\"'\\]+)*",
        rf"\1\2{HIDDEN}",
        re.IGNORECASE,
    ),
    # Not the words of "Basic authentication failed".
    _pattern(r"\b([Bb]earer|[Bb]asic|BEARER|BASIC)\s+(?=\S*[A-Z0-9=])[A-Za-z0-9._~+/=-]{8,}", rf"\1 {HIDDEN}"),
    _pattern(r"\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)+"),
    _pattern(r"\b(?:AKIA|ASIA|ABIA|ACCA|AIDA|AROA)[A-Z0-9]{12,}"),
    _pattern(rf"\b(?:{_VENDORS})[\w-]{{8,}}"),
    _pattern(r"\bAIza[\w-]{20,}"),
    _pattern(rf"\b({_SENSITIVE})(\\?[\"']?\s*(?:=>|:=|=|:)\s*\\?){_VALUE}", rf"\1\2{HIDDEN}", re.IGNORECASE),
    _pattern(r"\b(pass(?:word|wd|phrase)|secret|token)(\s+(?:is|was)\s+)\S+", rf"\1\2{HIDDEN}", re.IGNORECASE),
    _pattern(
        r"(?<!\S)(--?[\w-]{0,40}(?:pass(?:word|wd)?|secret|token|api-key)[\w-]{0,40})(\s+)[^\s-]\S*",
        rf"\1\2{HIDDEN}",
        re.IGNORECASE,
    ),
    # A secret without a name: long, with upper case, lower case and digits.
    _pattern(r"(?<![\w+=-])(?=[\w+=-]*[0-9])(?=[\w+=-]*[A-Z])(?=[\w+=-]*[a-z])[\w+=-]{32,}"),
)


def mask_secrets(text: str) -> str:
    """
    `text` with everything that looks like a credential replaced by `***`.

    A guess on the safe side: it hides a harmless word after `token=` rather than show a secret. Known
    secrets are also hidden by `opscheck.core.redaction`.
    """
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text
