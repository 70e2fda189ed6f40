"""Forms of secrets: tokens, keys, URLs with a password, headers, and `name=value` in running text.

A rule is (what the lower-case text must hold, pattern, replacement): most lines hold nothing of the kind, so they cost
a few searches for short strings, and a pattern is compiled when a text first looks like it. Repetitions are bounded
where a hostile line of 64 KiB would make a search quadratic.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mltrack.redact.names import hides, is_plain, rank_of

if TYPE_CHECKING:
    from collections.abc import Callable

PLACEHOLDER = "<redacted>"

KEY_BEGIN = r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
KEY_END = KEY_BEGIN.replace("BEGIN", "END")
_EDGE = (
    r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=\[\dm)|(?<=\[\d\dm)|(?<=;\dm)|(?<=;\d\dm)|(?<=;\d\d\dm)|(?<=%[0-9A-F]{2}))"
)
"""Where a word begins: also after an escape sequence of a terminal, an escaped newline, a percent-encoded character."""

_TOKENS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("akia", "asia", "abia"), r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{16,}"),
    (("github_pat_",), r"github_pat_[A-Za-z0-9_]{20,}"),
    (("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-"),
     r"gl(?:pat|dt|rt|cbt|ptt)-[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-]+)*"),
    (("xox", "xapp-"), r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9\-]{10,}"),
    (("hooks.slack.com/", "/webhooks/"),
     r"(?i)(?<=hooks\.slack\.com/services/)[\w/\-]{10,}|(?<=/webhooks/)\d+/[\w\-]{20,}"),
    (("sk-",),
     _EDGE + r"sk-(?:(?:ant|proj|svcacct|admin|or|lf)-[A-Za-z0-9_\-]{16,}|(?=[A-Za-z]{0,80}[0-9])[A-Za-z0-9]{20,})"),
    (("hf_", "api_org_"), r"(?:hf|api_org)_[A-Za-z0-9]{20,}"),
    (("aiza",), r"AIza[A-Za-z0-9_\-]{30,}"),
    (("ya29.", "gocspx-"), r"ya29\.[A-Za-z0-9_\-]{20,}|GOCSPX-[A-Za-z0-9_\-]{20,}"),
    (("eyj",), _EDGE + r"eyJ[A-Za-z0-9_\-]{5,400}\.[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]*|eyJhcGlf[A-Za-z0-9_\-+/=]{20,}"),
    (("wandb_v",), r"wandb_v\d+_[A-Za-z0-9_]{20,}"),
    (("pypi-",),
     _EDGE + r"pypi-(?:Ag[A-Za-z0-9_\-]{16,}|(?=[\w\-]{0,80}[A-Z])(?=[\w\-]{0,80}[0-9])[A-Za-z0-9_\-]{32,})"),
    (("npm_",), r"npm_[A-Za-z0-9]{30,}"),
    (("_live_", "_test_", "whsec_"), r"(?:[srp]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}"),
    (("dop_v1_", "doo_v1_", "sg.", "dapi"), r"do[op]_v1_[a-f0-9]{40,}|SG\.[\w\-]{16,}\.[\w\-]{16,}|dapi[a-f0-9]{32}"),
    (("gsk_", "r8_", "xai-", "nvapi-", "hvs.", "pplx-"),
     _EDGE + r"(?:gsk_|r8_|xai-|nvapi-|hvs\.|pplx-)(?=[\w\-]{0,80}[0-9])[A-Za-z0-9_\-]{20,}"),
    ((":aa",), r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_\-]{32,}"),
    (("age-secret-key-", "atatt3", "shpat_", "lin_api_"),
     r"AGE-SECRET-KEY-1[A-Z0-9]{50,}|ATATT3[\w\-=]{20,}|shpat_[a-f0-9]{32}|lin_api_[A-Za-z0-9]{30,}"),
)  # fmt: skip
"""(what a lower-case text must hold, the whole secret). Shortest lengths are below the real ones on purpose."""

_SECRET_WORDS = ("pass", "pwd", "secret", "token", "key", "credential", "auth", "cookie", "jwt")
_ENDS = r",;&(){}\[\]\\`"
_NAMED = (
    rf"(?<![A-Za-z0-9_.\-])([\w.\-]{{0,80}}?(?i:{'|'.join(_SECRET_WORDS)})[\w.\-]{{0,40}})"
    r"(\\?[\"']?\s{0,4}(?:=>?|:)\s{0,4}(?:\\?[\"'])?)"
    r"((?<=\\[\"'])[^\"'\\]+|(?<=\")(?:[^\"\\\n]|\\.)+|(?<=')(?:[^'\\\n]|\\.)+"
    rf"|(?<![\"'])[^\s\"'<>{_ENDS}](?:[^\s\"'<>{_ENDS}]|[{_ENDS}](?=[^\s\"'{_ENDS}]))*)"
)


def _named(match: re.Match[str]) -> str:
    """`name=value` and `"name": "value"` in running text, where an unquoted word must look like a secret."""
    name, between, value = match.groups()
    rank = rank_of(name)
    if rank <= 0 or not hides(rank, value) or is_plain(re.split(f"[{_ENDS}]", value)[0]):
        return match[0]
    if re.fullmatch(rf"(?:[\w-]+\s+)?{PLACEHOLDER}", value):
        return match[0]
    quoted = between[-1] in "\"'"
    in_prose = (":" in between or rank == 1) and re.fullmatch(_PROSE, value)
    if not quoted and (in_prose or re.match(_CODE, value)):
        return match[0]
    return f"{name}{between}{PLACEHOLDER}"


_PROSE = r".{0,5}|[A-Za-z][a-z]*(?:[-_/][A-Za-z]?[a-z]*)*[.!?)\]]*|\d+[\d./:%,-]*[a-z]{0,3}"
"""What follows `password:` in a sentence, or `token=` in a table."""
_CODE = (
    r"[A-Za-z_][\w.]*\(|(?:self|args|cfg|config|conf|opt|opts|options|settings|kwargs|os)[.\[]|api_key\b|\w*_token\b"
)
"""What follows `password=` in a line of code, as tracebacks show them."""


def _url(match: re.Match[str]) -> str:
    scheme, userinfo = match[1], next(filter(None, match.groups()[1:]), "")
    if ":" not in userinfo and scheme.lower().endswith(("ssh://", "sftp://", "rsync://", "git://")):
        return match[0]  # the account's name is no secret, and git@ is needed
    return f"{scheme}{PLACEHOLDER}@"


_QUERY_NAMES = {"sig", "signature", "token", "access_token", "id_token", "refresh_token", "awsaccesskeyid", "apikey",
                "api_key", "private_token", "job_token", "client_secret"}  # fmt: skip


def _query(match: re.Match[str]) -> str:
    """A pair of a URL's query or fragment."""
    start, name, value = match.groups()
    signed = name.lower().startswith(("x-amz-", "x-goog-")) and name.lower().endswith(
        ("signature", "credential", "token")
    )
    if signed or name.lower() in _QUERY_NAMES or hides(rank_of(name), value):
        return f"{start}{name}={PLACEHOLDER}"
    return match[0]


_SCHEME = r"([A-Za-z][A-Za-z0-9+.\-]{0,30}://)"
_URL = (
    rf"{_SCHEME}(?:([^\s/:\"'<>?#]{{0,200}}:[^\s/\"'<>]{{0,500}})@"
    r"|([^\s/\"'<>?#]{1,2000})@(?=[^\s/:\"'<>]{0,300}(?::\d{0,5})?(?:[/?#\s\"'<>,;)\]}]|$))"
    rf"|([^\s/:\"'<>]{{0,200}}:(?!\d{{1,5}}[/?#])[^\s\"'<>]{{0,500}})@(?=[\w\[])"
    r"|([^\s/\"'<>?#]{1,2000})@)"
)
"""The userinfo up to the last `@`; also with an `@`, `?`, `#` or `/` in the password that should have been encoded."""
_QUERY_PAIR = r"([?&;#])([A-Za-z][\w.\-]{0,40})=([^&\s#\"'<>]+)"
_SCHEMES = r"(?:bearer|basic|token|digest|apikey|negotiate|aws4-hmac-sha256)\s"
_HEADER = (
    rf"(?i)((?:proxy-)?authorization\\?[\"']?\s{{0,4}}[:=]\s{{0,4}}\\?[\"']?(?:{_SCHEMES}+)?)"
    rf"(?!{_SCHEMES})[^\s\"',<][^\s\"',]{{3,}}"
)
_BEARER = r"(?i)\b(bearer\s+)(?=[^\s\"']{0,200}[0-9])[A-Za-z0-9._~+/\-]{8,}=*"
_COOKIE = r"(?i)\b((?:set-)?cookie:\s*)(?!<)[^\r\n=]{1,200}=[^\r\n]*"
_AWS = r"(?i)(aws.{0,20}secret.{0,30}?[=:\s\"']{1,4})(?<![A-Za-z0-9/+=])[A-Za-z0-9/+=]{40}(?![A-Za-z0-9/+=])"
_WANDB = r"(?i)(wandb.{0,20}(?:key|login).{0,12}?\b)[0-9a-f]{40}\b"

_RULES: tuple[tuple[tuple[str, ...], str, str | Callable[[re.Match[str]], str]], ...] = (
    (("private key",), rf"{KEY_BEGIN}(?s:.*?)(?:{KEY_END}|(?=\r?\n?\Z))", PLACEHOLDER),
    (("://",), _URL, _url),
    (("?", "#", "&"), _QUERY_PAIR, _query),
    (("authorization",), _HEADER, rf"\1{PLACEHOLDER}"),
    (("bearer",), _BEARER, rf"\1{PLACEHOLDER}"),
    (("cookie:",), _COOKIE, rf"\1{PLACEHOLDER}"),
    (("aws",), _AWS, rf"\1{PLACEHOLDER}"),
    (("wandb",), _WANDB, rf"\1{PLACEHOLDER}"),
    *((triggers, pattern, PLACEHOLDER) for triggers, pattern in _TOKENS),
    (_SECRET_WORDS, _NAMED, _named),
)
"""(what a lower-case text must hold, pattern, replacement), in order."""


def hide_forms(text: str) -> str:
    """The text without what has the form of a secret, or a secret's name beside it."""
    low = text.lower()
    for triggers, pattern, replacement in _RULES:
        for trigger in triggers:
            if trigger in low:
                text = re.sub(pattern, replacement, text, flags=re.ASCII)
                break
    return text
