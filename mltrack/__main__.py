"""`python -m mltrack`, and the console script."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; never returns.

    Everything is closed and flushed when the command line returns, so the process ends at once: taking the
    interpreter apart would cost 7 ms.
    """
    if sys.argv[1:] == ["--version"]:  # answered without importing the command line, which takes 40 ms
        from mltrack.version import VERSION

        sys.stdout.write(f"mltrack {VERSION}\n")
        sys.stdout.flush()
        os._exit(0)
    from mltrack.cli.app import main as run

    os._exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
