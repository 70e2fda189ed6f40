"""What does not enter the tree, and the reason that is told: secrets, sizes, names that git refuses.

Pure rules. They hold for untracked files only: what the user committed is part of the code whatever it is called.
"""

from __future__ import annotations

from dataclasses import dataclass

from mltrack.patterns import lazy, lazy_bytes

UNTRACKED_LIMIT = "code.untracked_limit"
UNTRACKED_TOTAL = "code.untracked_total"

REFUSED_NAME = lazy_bytes(rb"(?i)(?:^|/)(?:\.git|git~1)[ .]*(?::[^/]*|\\[^/]*)?(?:/|$)")
"""Names that git will not have in a tree, because some file systems take them for `.git`."""

EXAMPLES = lazy(r"\.(example|sample|template|dist|defaults?)$")

SECRET_NAMES = lazy(
    r"""(?x)
    \.env(rc)? | \.env\..+ | .+\.env
    | .+\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc\.key)
    | id_(rsa|dsa|ecdsa|ed25519)(_.*)?
    | \.?netrc | _netrc | \.pypirc | \.npmrc | \.git-credentials | \.htpasswd | \.pgpass | \.my\.cnf | kaggle\.json
    | \.?credentials(\.(json|ya?ml|toml|ini|cfg|csv|txt))? | .*[-_]credentials\.(json|ya?ml|toml|ini)
    | \.?secrets?(\.(json|ya?ml|toml|ini|cfg|txt))? | client_secret.*\.json | service[-_]account.*\.json
    | kubeconfig | \.dockercfg | \.boto | \.s3cfg | krb5cc.* | x509up_.* | \.xauthority
    | [^.]*api[-_]?keys?([-_][^.]*)?(\.(json|ya?ml|toml|ini|cfg|txt))? | token(\.(txt|json))?
    | (hf|gh|github|gitlab|wandb|slack|access|auth|api|bearer|refresh)[-_]token(\.(txt|json))?
    """
)


@dataclass
class Budget:
    """How much of untracked files may still be captured: bytes each, bytes together."""

    each: int
    together: int
    spent: int = 0

    def refusal(self, size: int) -> str | None:
        """The reason why a file of this size is left out, or None: then it is counted."""
        if size > self.each:
            return f"larger than {size_text(self.each)} ({UNTRACKED_LIMIT})"
        if self.spent + size > self.together:
            return f"untracked files exceed {size_text(self.together)} together ({UNTRACKED_TOTAL})"
        self.spent += size
        return None


def may_hold_secrets(path: bytes) -> bool:
    """Does the file's name say that it holds passwords or keys?"""
    name = path.rpartition(b"/")[2].decode("utf-8", "replace").lower()
    return SECRET_NAMES.fullmatch(name) is not None and EXAMPLES.search(name) is None


def refusal(path: bytes) -> str | None:
    """The reason why an untracked file is left out for its name, or None."""
    if REFUSED_NAME.search(path):
        return "git does not accept this name"
    return "may hold secrets" if may_hold_secrets(path) else None


def is_ours(path: bytes) -> bool:
    """Is the path in mltrack's own directory?"""
    return b".mltrack" in path and b".mltrack" in path.split(b"/")


def size_text(size: int) -> str:
    """A limit as a person wrote it: 10 MiB."""
    for unit, width in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << width and size % (1 << width) == 0:
            return f"{size >> width} {unit}"
    return f"{size} bytes"
