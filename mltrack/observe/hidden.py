"""What holds passwords or keys, by where it lies and what it begins with; by names of files: `git/exclusions.py`."""

from __future__ import annotations

import re

SECRET_PLACES = (
    ".ssh", ".aws", ".kaggle", ".docker", ".gnupg", ".azure", ".kube", ".config/gcloud", ".config/gh", ".oci",
    ".password-store", ".huggingface/token", ".cache/huggingface/token", ".cache/huggingface/stored_tokens",
    ".config/wandb", ".config/rclone", ".git-credentials", ".config/git/credentials",
)  # fmt: skip
"""In a home directory, wherever that is: somebody's is mounted elsewhere, or copied into the project."""
SECRET_PLACE = re.compile("/(" + "|".join(map(re.escape, SECRET_PLACES)) + ")(/|$)")
KEY = b"PRIVATE KEY-----"
"""In the first bytes of a private key, whatever its file is called."""
KEY_SIZES = range(64, 1 << 14)
"""Bytes of files that are looked into for one."""
NO_KEYS = frozenset((
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".npy", ".npz", ".pt", ".csv", ".tsv", ".parquet", ".wav", ".flac",
    ".mp3", ".gz", ".zip",
))  # fmt: skip
"""Suffixes of what data sets have many of: those are not looked into."""
