"""The names of environment variables that move numbers: threads, determinism, hash seeds, choices of numeric libraries.

Pure. Paths of a machine (`CUDA_HOME`) are none of them.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIXES = (
    "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "VECLIB_", "NUMEXPR_", "NUMBA_NUM_", "CUBLAS_", "CUDNN_",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_", "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "NVIDIA_TF32", "NCCL_",
    "TF_", "XLA_", "JAX_", "PYTORCH_", "TORCH_ALLOW_TF32", "TORCH_DETERMINISTIC", "PYTHONHASHSEED",
    "TOKENIZERS_PARALLELISM",
)  # fmt: skip
LOCAL = ("TZ", "LANG", "LC_")
"""Of the machine rather than of the numbers, though they can move some: a container has its own."""


def moving_numbers(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables that move numbers."""
    return {name: text for name, text in variables.items() if name.startswith(PREFIXES)}
