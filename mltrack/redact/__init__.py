"""Secrets -> placeholders. Everything that is kept passes here first: arguments, variables, URLs, params, the log.

Three ways to know a secret: its form (a JWT, `ghp_...`; `forms.py`), the name that it is given to (`--api-key X`;
`names.py`), and the values of the user's own secret-looking variables, wherever they turn up. What is hidden and what
is not: `docs/guides/secrets.md`. This package imports `re` only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mltrack.redact.forms import KEY_BEGIN, KEY_END, PLACEHOLDER, hide_forms
from mltrack.redact.names import hides, is_plain, looks_random, rank_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

__all__ = ["PLACEHOLDER", "Redactor", "redact_url"]

_KEY_LINES = 128
"""A private key's block in a log ends at the latest after so many lines (a key of 8192 bits has 100), so that a stray
BEGIN does not hide the rest."""

_ALLOWED = {
    "LANG", "LANGUAGE", "TZ", "SOURCE_DATE_EPOCH", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH",
    "CONDA_DEFAULT_ENV", "PYTHONHASHSEED", "PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONUTF8", "PYTHONIOENCODING",
    "PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONWARNINGS", "PYTHONUNBUFFERED", "PYTHONMALLOC", "GPU_DEVICE_ORDINAL",
    "CUBLAS_WORKSPACE_CONFIG", "VECLIB_MAXIMUM_THREADS", "WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
    "GROUP_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID", "SLURM_JOB_NAME", "SLURM_JOB_PARTITION", "SLURM_JOB_NODELIST", "SLURM_NNODES",
    "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_CPUS_PER_TASK", "SLURM_GPUS_ON_NODE",
    "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM", "WANDB_MODE",
    "WANDB_DISABLED", "ACCELERATE_MIXED_PRECISION", "MLTRACK_SEED",
}  # fmt: skip
_ALLOWED_STARTS = (
    "LC_", "OMP_", "MKL_", "OPENBLAS_", "BLIS_", "KMP_", "GOMP_", "NUMEXPR_", "NUMBA_", "MALLOC_", "CUDA_",
    "NVIDIA_TF32_", "CUDNN_", "CUBLAS_", "HIP_", "ROCR_", "HSA_", "NCCL_", "GLOO_", "UCX_", "TORCH_", "PYTORCH_",
    "TORCHINDUCTOR_", "XLA_", "JAX_", "KERAS_",
    "TF_ENABLE_", "TF_DETERMINISTIC_", "TF_CUDNN_", "TF_XLA_", "TF_NUM_", "TF_GPU_", "TF_FORCE_",
)  # fmt: skip


def redact_url(url: str) -> str:
    """A URL without its userinfo (`git@` of an SSH URL stays) and without the secrets of its query and path."""
    return hide_forms(url)


class Redactor:
    """Hides secrets; knows those of one environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        values = sorted(_secrets_of(environment), key=lambda value: (-len(value), value))
        self._values = tuple(values)
        self._octets = tuple(value.encode("utf-8", "surrogateescape").decode("latin-1") for value in values)
        self._key_lines = 0

    def another(self) -> Redactor:
        """One that knows the same secrets, for the lines of another log."""
        twin = Redactor({})
        twin._values, twin._octets = self._values, self._octets
        return twin

    def text(self, text: str) -> str:
        """The text, of any number of lines, without its secrets."""
        return hide_forms(_hide_values(text, self._values))

    def data(self, line: bytes) -> bytes:
        """A line of a log, in any encoding, without its secrets; the line's end stays.

        Lines are to be given in order: those of a private key are known by the line that began it.
        """
        text = line.decode("latin-1")
        if self._key_lines:
            return self._key_line(text)
        hidden = hide_forms(_hide_values(text, self._octets))
        if "PRIVATE KEY" in text and len(re.findall(KEY_BEGIN, text)) > len(re.findall(KEY_END, text)):
            self._key_lines = _KEY_LINES
        return line if hidden is text else hidden.encode("latin-1")

    def _key_line(self, text: str) -> bytes:
        """A line within a private key's block."""
        end = re.search(KEY_END, text)
        if end:
            self._key_lines = 0
            return PLACEHOLDER.encode() + self.data(text[end.end() :].encode("latin-1"))
        self._key_lines -= 1
        return (PLACEHOLDER + text[len(text.rstrip("\r\n")) :]).encode("latin-1")

    def command(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The words of a command; what is given to `--api-key` and the like is hidden whole."""
        words: list[str] = []
        rank, several = 0, False
        for at, word in enumerate(argv):
            option = re.fullmatch(r"--?([A-Za-z][\w.-]*)", word)
            if option and not looks_random(word):
                rank, several = rank_of(option[1]), option[1].endswith("s")
                words.append(self.text(word))
                continue
            if hides(rank, word) or _is_login(argv, at):
                words.append(PLACEHOLDER)
            else:
                is_script = at > 0 and re.fullmatch(r"-[A-Za-z]*c", argv[at - 1])
                words.append(self.text(word) if is_script else self._word(word))
            rank = rank if several else 0
        return tuple(words)

    def _word(self, word: str) -> str:
        pair = re.fullmatch(r"((?:--?|\+{1,2})?([A-Za-z_][\w./@-]*)=|([A-Za-z][\w-]*):\s*)(.*)", word, re.DOTALL)
        if pair is None:
            return self.text(word)
        start, value = pair[1], pair[4]
        if hides(rank_of(pair[2] or pair[3]), value):
            return start + PLACEHOLDER
        whole = self.text(word)
        return whole if pair[3] or whole != word else start + self._word(value)

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Of an environment, the variables that bear on results, by an allow-list and sorted; their values redacted."""
        return {
            name: self.text(value)
            for name, value in sorted(environment.items())
            if (name in _ALLOWED or name.startswith(_ALLOWED_STARTS)) and not hides(rank_of(name), value)
        }

    def params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The params; text that a secret name is given is hidden whole, numbers never."""
        return {self.text(name): self._param(rank_of(name), value) for name, value in params.items()}

    def _param(self, rank: int, value: Any) -> Any:
        if isinstance(value, str):
            return PLACEHOLDER if hides(rank, value) else self.text(value)
        if isinstance(value, (list, tuple)):
            return [self._param(rank, item) for item in value]
        if isinstance(value, dict):
            return {self.text(str(name)): self._param(rank_of(str(name)) or rank, item) for name, item in value.items()}
        return value


def _is_login(argv: Sequence[str], at: int) -> bool:
    """Is the word what `wandb login KEY` or `curl -u NAME:PASSWORD` is given?"""
    program = [word.rpartition("/")[2] for word in argv[:at]]
    if "wandb" in program and "login" in program:
        return bool(re.fullmatch(r"[0-9a-f]{40,}", argv[at]))
    return program[:1] in (["curl"], ["wget"]) and program[-1] in ("-u", "--user", "--proxy-user") and ":" in argv[at]


def _hide_values(text: str, values: Iterable[str]) -> str:
    for value in values:
        if value in text:
            text = text.replace(value, PLACEHOLDER)
    return text


def _secrets_of(environment: Mapping[str, str]) -> set[str]:
    """The values to look for: of variables whose name says secret, and the passwords of URLs in any variable."""
    found: set[str] = set()
    harmless = {environment.get(name) for name in ("USER", "LOGNAME", "HOSTNAME", "HOME", "PWD", "SHELL")}
    for name, value in environment.items():
        rank = rank_of(name)
        if rank and value not in harmless:
            lines = (line for line in value.strip().splitlines() if hides(rank, line))
            found.update(line for line in lines if rank > 1 or not line.isalpha())
        if "://" in value:
            found.update(password for password in re.findall(_PASSWORD, value) if not is_plain(password))
    found.update([_percent_decoded(value) for value in found if "%" in value])
    found.update([_percent_encoded(value) for value in found])
    return {value for value in found if len(value) >= 8}


def _percent_decoded(text: str) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), octets)
    return octets.decode("utf-8", "surrogateescape")


def _percent_encoded(text: str) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in octets)


_PASSWORD = r"://[^\s/@:]*:([^\s/]+)@"
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
