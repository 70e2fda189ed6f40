"""A shell with one job, for tests: gives it the terminal, sees it stop, and does what is typed then: `fg` or `bg`.

shell.py fg|bg COMMAND...      start the job in the foreground or in the background
"""

from __future__ import annotations

import os
import signal
import sys
import termios


def main() -> None:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    before = termios.tcgetattr(0)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        if sys.argv[1] == "fg":
            os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(sys.argv[2], sys.argv[2:])
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        settings = "same" if termios.tcgetattr(0) == before else "changed"
        if not os.WIFSTOPPED(status):
            print(f"[ended {os.waitstatus_to_exitcode(status)}, settings {settings}]", flush=True)
            return
        print(f"[stopped by {os.WSTOPSIG(status)}, settings {settings}]", flush=True)
        if sys.stdin.readline().strip() == "fg":
            os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)


if __name__ == "__main__":
    main()
