"""The keeper's side of a local run: it starts the command, keeps its output, sees how it ends.

Runs in a process of its own, forked by `local.py`, and never returns from there. Being the command's parent it knows
the outcome even if the supervisor was killed, and writes `outcome.json` either way.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from dataclasses import asdict
from typing import Any, NoReturn

from mltrack.errors import StorageError
from mltrack.executors import Command
from mltrack.executors.messages import INTERRUPTS, PASSED_ON, TYPED, tell
from mltrack.executors.terminal import processes_output, put_back
from mltrack.executors.wires import Wires, high
from mltrack.live.keeper import DRAIN, Pump, Stream, close_all_but
from mltrack.live.logwriter import LogWriter
from mltrack.live.process import own_place, start_time
from mltrack.live.ranks import RankLogs
from mltrack.live.rundir import RunDir
from mltrack.nouns import noun

DEAF_TO = (*PASSED_ON, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE)
MADE_DEFAULT = (*DEAF_TO, signal.SIGXFSZ, signal.SIGCHLD)
"""Signals that Python, or the keeper, treats in its own way; the command must not inherit that."""


@noun
class Job:
    """All that the keeper needs."""

    command: Command
    program: str
    rundir: RunDir
    wires: Wires
    orders: int
    """Reading end of the pipe from the supervisor."""
    reports: int
    """Writing end of the pipe to it."""
    supervisor: int
    mask: frozenset[int]
    """Signals that were blocked when we were called; the command gets the same mask."""
    ignored: frozenset[int]
    """Signals that were ignored; so for the command."""


def keep(job: Job) -> NoReturn:
    """Be the keeper, in a process that was just forked with all signals of PASSED_ON and SIGCHLD blocked."""
    try:
        Keeper(job).work()
    except BaseException as error:
        tell(2, {"mltrack": f"the keeper of the output failed: {error!r}"})
        os._exit(70)
    os._exit(0)


class Keeper:
    """The command's parent."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.pid = 0
        self.facts: dict[str, Any] = {}
        self.began = 0.0
        self.usage: Any = None
        self.wait_status: int | None = None
        self.stopped_by: int | None = None
        self.is_interrupted = False
        self.is_alone = False
        self.is_hurried = False

    def work(self) -> None:
        """See a command through, from its start until nobody holds its output."""
        self.wakeup = listen_to_children()
        own_session(self.job.wires)
        self.start()
        pump = self.pump()
        while self.wait_status is None:
            self.attend(pump.step(self.ears()))
            self.report_stop(pump)
        pump.drain(DRAIN)
        pump.end_log()
        self.end(pump)
        while pump.is_open or (pump.is_pending and not self.is_hurried):
            pump.step(())

    def start(self) -> None:
        """Start the command, once its facts are on disk: whoever finds `process.json` can judge the run."""
        job = self.job
        self.ranks = self.rank_logs()
        go_read, go_write = (high(end) for end in os.pipe())
        failed_read, failed_write = (high(end) for end in os.pipe())
        self.pid = os.fork()
        if self.pid == 0:
            os.close(go_write)
            become(job, go_read, failed_write)
        os.close(failed_write)
        os.close(go_read)
        self.facts = facts_of(self.pid, job.supervisor)
        try:
            job.rundir.write("process", self.facts)
        except StorageError:
            pass  # a full disk stops no training
        self.began = time.monotonic()
        os.write(go_write, b"!")
        problem = os.read(failed_read, 8192)
        for fd in (go_write, failed_read):
            os.close(fd)
        if problem:
            number, _, of = os.fsdecode(problem).partition(" ")
            tell(job.reports, {"error": [int(number), of]})
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        tell(job.reports, {"started": self.facts})

    def pump(self) -> Pump:
        """The pump of the command's streams, and no descriptor open besides it."""
        job, lock = self.job, self.job.rundir.lock_fd
        sources = {source for _, source, _ in job.wires.sources}
        close_all_but(
            {
                *(0, 1, 2, *sources, job.orders, job.reports, self.wakeup, *WAKEUP_ENDS),
                *(fd for fd in (lock, self.ranks.fd if self.ranks is not None else None) if fd is not None),
            }
        )
        streams = [
            Stream(letter, source, shown, self.shape if job.wires.is_session and source == job.wires.master else None)
            for letter, source, shown in job.wires.sources
        ]
        returns = "o" if job.wires.is_session else ""
        log = LogWriter(job.rundir.output, job.command.log_limit_bytes, job.command.redact, returns)
        self.log = log
        if job.wires.settings is None:
            rest_from(0)
        return Pump(streams, log, self.began, self.ranks)

    def rank_logs(self) -> RankLogs | None:
        """Ready before the command's first instruction."""
        command = self.job.command
        if command.new_redact is None:
            return None
        return RankLogs(self.job.rundir.path, command.log_limit_bytes, command.new_redact)

    def shape(self, data: bytes) -> bytes:
        """While the user's terminal is not raw (the job is in the background, say), it makes its own `\\r\\n`."""
        return data.replace(b"\r\n", b"\n") if processes_output(self.job.wires.shown_on) else data

    def ears(self) -> list[int]:
        return [self.wakeup] if self.is_alone else [self.wakeup, self.job.orders]

    def attend(self, ready: set[int]) -> None:
        """Obey the supervisor first, so that an interrupt is known before the death that it causes."""
        if self.job.orders in ready or (self.wakeup in ready and not self.is_alone):
            self.obey()
        if self.wakeup in ready:
            os.read(self.wakeup, 512)
            self.look_after_command()

    def obey(self) -> None:
        """Pass on the signals that the supervisor got; without it, be alone."""
        try:
            orders = os.read(self.job.orders, 512)
        except BlockingIOError:
            return
        if not orders:
            self.is_alone = True
            if self.job.wires.settings is not None:
                put_back(0, self.job.wires.settings)
        for order in orders:
            number = order & ~TYPED
            self.is_interrupted |= number in INTERRUPTS
            if self.wait_status is not None:
                self.is_hurried |= number == signal.SIGKILL
            elif not order & TYPED:
                send(self.pid, number)

    def look_after_command(self) -> None:
        while self.wait_status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self.stopped_by = os.WSTOPSIG(status)
            else:
                self.wait_status, self.usage = status, usage

    def report_stop(self, pump: Pump) -> None:
        """Tell of a stop when all that the command wrote before is shown: then its user is back at the shell."""
        if self.stopped_by is not None:
            pump.drain(DRAIN)
            if not pump.is_pending:
                tell(self.job.reports, {"stopped": self.stopped_by})
                self.stopped_by = None

    def end(self, pump: Pump) -> None:
        """Write the outcome, let go of the run's lock, pass on what came, and only then report."""
        job = self.job
        outcome = self.outcome(pump)
        try:
            if any(pump.ranks_told.values()):
                job.rundir.write("ranks", pump.ranks_told)
            job.rundir.write("outcome", outcome)
        except StorageError:
            pass  # the supervisor has it from our report
        job.rundir.unlock()
        while pump.is_pending and not self.is_hurried:
            if job.orders in pump.step(() if self.is_alone else (job.orders,)):
                self.obey()
        outcome["output_error"] = output_error(pump)
        tell(job.reports, {"ended": outcome, "background": pump.is_open})
        os.close(job.reports)

    def outcome(self, pump: Pump) -> dict[str, Any]:
        assert self.wait_status is not None
        exit_code = os.WEXITSTATUS(self.wait_status) if os.WIFEXITED(self.wait_status) else None
        by_signal = os.WTERMSIG(self.wait_status) if os.WIFSIGNALED(self.wait_status) else None
        if self.job.rundir.read("stop") is not None:
            status = "interrupted"
        elif exit_code == 0:
            status = "finished"
        else:
            status = "interrupted" if self.is_interrupted or by_signal in INTERRUPTS else "failed"
        return {
            "exit_code": exit_code,
            "signal": by_signal,
            "status": status,
            "started_at": self.facts["started_at"],
            "finished_at": time.time(),
            "duration_s": pump.now(),
            "peak_memory_bytes": self.usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "cpu_seconds": round(self.usage.ru_utime + self.usage.ru_stime, 6),
            "log_size_bytes": self.log.size,
            "log_truncated": self.log.truncated,
            "log_error": self.log.error,
            "is_interrupted": self.is_interrupted,
            "output_error": output_error(pump),
        }


def become(job: Job, go: int, failed: int) -> NoReturn:
    """Turn the process that the keeper forked into the command."""
    wires, command = job.wires, job.command
    of = ""
    try:
        os.setpgid(0, 0)
        if wires.stdin is not None:
            os.tcsetpgrp(wires.stdin, os.getpid())
            os.dup2(wires.stdin, 0)
        os.dup2(wires.stdout, 1)
        os.dup2(wires.stderr, 2)
        for number in MADE_DEFAULT:
            signal.signal(number, signal.SIG_IGN if number in job.ignored else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        if os.read(go, 1) != b"!":
            os._exit(125)
        if command.binds:
            from mltrack.executors.mounts import make_binds

            of = "bind"
            make_binds(command.binds)
        of = "cwd"
        os.chdir(command.cwd)
        of = ""
        signal.pthread_sigmask(signal.SIG_SETMASK, job.mask)
        execute_program(job.program, command)
    except OSError as error:
        of = f"{of}{os.fsdecode(error.filename)}" if of == "bind" and error.filename else of
        os.write(failed, b"%d %s" % (error.errno or errno.EIO, os.fsencode(of)))
    finally:
        os._exit(125)


def execute_program(program: str, command: Command) -> None:
    """execve(); a text file without a #! line goes to /bin/sh, as execvp() and every shell have it."""
    try:
        os.execve(program, command.argv, command.environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        with open(program, "rb") as file:
            if b"\0" in file.read(128):
                raise
        os.execve("/bin/sh", ["/bin/sh", program, *command.argv[1:]], command.environment)


WAKEUP_ENDS: list[int] = []
"""The end that signal handlers write to."""


def listen_to_children() -> int:
    """Be deaf to what would end or stop a process; returns a descriptor that is readable when a child changed."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    reading, writing = (high(end) for end in os.pipe())
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    WAKEUP_ENDS[:] = [writing]
    return reading


def own_session(wires: Wires) -> None:
    """Keep out of the way of the terminal's signals and of a `kill -9` to the job; lead the command's own session."""
    if wires.stdin is None:
        os.setpgid(0, 0)
        return
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(wires.stdin, termios.TIOCSCTTY, 0)


def facts_of(pid: int, supervisor: int) -> dict[str, Any]:
    """What tells later whether this very process still lives."""
    return {
        "pid": pid,
        "pgid": pid,
        "start_time": start_time(pid),
        **asdict(own_place()),
        "supervisor": supervisor,
        "keeper": os.getpid(),
        "started_at": time.time(),
    }


def send(pid: int, number: int) -> None:
    """Signal the command's process group; the command must not have been waited for yet."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        try:
            os.kill(pid, number)  # it has moved to another group
        except ProcessLookupError:
            pass
    except PermissionError:
        pass  # it has become another user's


def rest_from(fd: int) -> None:
    """Hold no end of a standard stream that is not ours to read."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, fd)
    os.close(nothing)


def output_error(pump: Pump) -> str | None:
    return next((stream.error for stream in pump.streams if stream.error is not None), None)
