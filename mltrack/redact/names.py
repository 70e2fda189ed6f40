"""Names that say secret, and values that are none.

A number, a common word, a path or a variable's name is never hidden because of the name that it is given to.
Patterns are compiled when they are first needed.
"""

from __future__ import annotations

import re

# --- Names -----------------------------------------------------------------------------------------------------------

_HINTS = ("pass", "pwd", "secret", "token", "key", "credential", "auth", "cookie", "jwt", "bearer", "pat")
"""A name that holds none of these is not looked at twice."""
_ALWAYS = {"password", "passwd", "passphrase", "passcode", "apikey", "passwords", "apikeys"}
"""Words that make a name secret wherever they stand in it."""
_SOMETIMES = {"secret", "secrets", "credential", "credentials"}
"""The same, but a short plain word as value is let through."""
_LAST = {"token", "pass", "pwd", "auth", "authorization", "cookie", "jwt", "bearer", "pat"}
"""Words that make a name secret at its end; `key` only after one of _KEYS, else its value must look random."""
_KEYS = {
    "api", "access", "secret", "private", "signing", "encryption", "account", "auth", "license", "subscription",
    "master", "session", "service", "shared", "storage", "deploy", "client", "hmac", "webhook", "app", "ssh",
    "consumer",
}  # fmt: skip
_TOKEN_KINDS = {
    "pad", "eos", "bos", "unk", "mask", "cls", "sep", "special", "image", "video", "audio", "start", "end", "max",
    "min", "num", "per", "stop", "next", "begin", "trigger", "placeholder", "separator", "prefix", "suffix", "extra",
    "object", "prompt", "decoder", "encoder", "boi", "eoi", "soft", "visual", "new", "single", "ignore", "tool",
    "think",
}  # fmt: skip
"""Before `token` these speak of a model's vocabulary."""
_HARMLESS_LAST = {
    "file", "path", "dir", "directory", "name", "type", "len", "length", "size", "count", "num", "rate", "prob",
    "ratio", "limit", "url", "uri", "endpoint", "host", "port", "env", "var", "parallelism", "index", "idx", "dim",
    "mode", "ttl", "policy", "timeout", "expiry", "version", "sock", "field", "column", "format", "algorithm",
    "prompt", "manager", "provider", "backend", "store", "required", "enabled", "strength",
}  # fmt: skip
"""At its end they say that a name is about a secret, and is none."""
_TAILS = {"id", "prod", "dev", "test", "staging", "main", "ro", "rw", "read", "write", "admin", "value", "old", "new"}
_WORDS = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+"

# --- Values ----------------------------------------------------------------------------------------------------------

_COMMON = {
    "true", "false", "none", "null", "yes", "no", "on", "off", "auto", "default", "always", "never", "ask", "prompt",
    "required", "optional", "enabled", "disabled", "env", "keyring", "file", "stdin", "stdout", "password", "passwd",
    "secret", "token", "key", "changeme", "example", "testing", "training", "validation", "inference", "development",
    "production", "staging", "localhost", "anonymous", "postgres", "postgresql", "mysql", "redis", "admin",
    "administrator", "root", "user", "username", "guest", "public", "private", "master", "cosine", "linear",
    "constant", "gradient", "accuracy", "precision", "sequence", "tokenizer", "transformer", "embedding",
    "attention", "distributed", "parallel", "pytorch", "tensorflow", "completed", "finished", "started", "running",
    "unknown", "undefined", "missing", "invalid", "kerberos", "basic", "digest", "oauth", "oauth2",
}  # fmt: skip
_NUMBER = r"[-+]?(?:0[xX][0-9a-fA-F]{1,8}|(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)%?|[-+]?\.?(?i:inf|nan)"
_PATH = (
    r"(?:~|\.{1,2})(?:/.*)?|\$\{?[A-Z_]+\}?/.*|/(?:tmp|dev/\w+)?|[A-Za-z]:\\.*"
    r"|/(?:[a-z]{2,12}|Users|Volumes|Applications|Library|System)/[^=]*"
    r"|[\w.@+/-]+\.(?:json|ya?ml|toml|txt|pem|key|crt|cer|env|ini|cfg|conf|py|p12|pub|sock|csv|md)"
)
_REFERENCE = r"\$\{?[A-Z][A-Z0-9_]*\}?|\{\w+\}|%[A-Z_]+%|\*+|<[^<>]*>|\[[^\[\]]*\]|x{4,}"
"""A variable's name, a placeholder, or a token of a vocabulary (`[PAD]`, `</s>`)."""
_RANDOM = r"(?=(?:[^0-9]*[0-9]){3})(?=(?:[^A-Za-z]*[A-Za-z]){3})[A-Za-z0-9+/=_-]{16,}"


def rank_of(name: str) -> int:
    """How sure a name is: 2 where any value but a number or common word is a secret, 1 where short plain words are not,
    -1 for a bare `key`, which is a secret only if it looks random, 0 for no secret."""
    low = name.lower()
    if not any(hint in low for hint in _HINTS) or low in ("pwd", "oldpwd"):
        return 0
    words = [word.lower() for word in re.findall(_WORDS, name)]
    while len(words) > 1 and (words[-1].isdigit() or words[-1] in _TAILS):
        words.pop()
    if not words or words[-1] in _HARMLESS_LAST:
        return 0
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if _ALWAYS.intersection(words) or any(word.endswith(("password", "passwd", "apikey")) for word in words):
        return 2
    if any(word in ("key", "keys") and words[at - 1] in _KEYS for at, word in enumerate(words) if at):
        return 2
    if _SOMETIMES.intersection(words):
        return 1
    if last == "token":
        return 0 if before in _TOKEN_KINDS else 2 if before else 1
    if last == "key":
        return -1
    return 1 if last in _LAST or (name.isupper() and last.endswith("token")) else 0


def hides(rank: int, value: str) -> bool:
    """Is the value, given to a name of this rank, a secret?"""
    if rank == 0 or is_plain(value):
        return False
    if rank < 0:
        return looks_random(value)
    return rank > 1 or not (len(value) <= 5 and value.isalpha())


def is_plain(value: str) -> bool:
    """Is it a number, a common word, a path, or a reference to a variable? These are hidden for no name."""
    value = value.strip()
    return not value or value.lower() in _COMMON or any(re.fullmatch(p, value) for p in (_NUMBER, _REFERENCE, _PATH))


def looks_random(value: str) -> bool:
    """Is it at least 16 characters of a key's alphabet, letters and digits mixed?"""
    return re.fullmatch(_RANDOM, value) is not None
