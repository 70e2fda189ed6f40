"""The bug report of an unexpected error: Markdown, secrets redacted, ready to be sent."""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from mltrack.redact import Redactor
from mltrack.version import VERSION


def write_report(error: BaseException, argv: Sequence[str]) -> Path | None:
    """Write the report below the user's state directory; its path, or None when it cannot be written."""
    redactor = Redactor(os.environ)
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    text = (
        f"# mltrack {VERSION} met something it did not expect\n\n"
        f"- command: `mltrack {' '.join(redactor.command(argv))}`\n"
        f"- Python: {platform.python_version()} on {platform.platform()}\n"
        f"- time: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n\n"
        f"```\n{redactor.text(trace)}```\n"
    )
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.environ.get("HOME") or "/tmp", ".local", "state")
    place = Path(base) / "mltrack" / f"report-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.md"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", errors="replace")
    except OSError:
        sys.stderr.write(text)
        return None
    return place
