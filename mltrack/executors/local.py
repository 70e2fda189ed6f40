"""Runs a command as a process of this machine: mechanism in `keeping.py` and `supervisor.py`, meeting here.

    supervisor (we) ── keeper ── command        each the parent of the next, each in a process group of its own

The keeper is forked first and starts the command, so that output, outcome and lock outlive us.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from mltrack.errors import MltrackError, StartError
from mltrack.executors import Command, Outcome
from mltrack.executors.keeping import Job, keep
from mltrack.executors.messages import PASSED_ON, Inbox
from mltrack.executors.program import failed_to_start, find_program
from mltrack.executors.supervisor import Supervisor
from mltrack.executors.wires import Wires, high, is_open, lay_wires
from mltrack.live.process import is_alive
from mltrack.live.rundir import RunDir

HELD_BACK = frozenset((*PASSED_ON, signal.SIGCHLD))
"""Signals that wait while processes are forked, so that none is lost or handled twice."""

STOP_POLL_S = 0.02


def execute(
    command: Command, rundir: RunDir, beside: Callable[[], None], when_ended: Callable[[], None] = lambda: None
) -> Outcome:
    """Run the command to its end, with `beside()` in a thread next to it.

    `when_ended()` is called when the command has ended and the terminal is free, though `beside` may still be at work.
    Call it from the main thread of a process with no other threads. `process.json` is written before the command's
    first instruction, `outcome.json` at its end. Raises CommandNotFound or NotExecutable when there is nothing to run,
    and, once the command ended, what `beside` raised.
    """
    program = find_program(command)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        keeper, supervisor = fork_keeper(command, program, rundir, frozenset(int(number) for number in mask))
        with supervisor:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            problem = supervisor.await_start(rundir)
            if problem is not None:
                os.waitpid(keeper, 0)
                raise start_error(command, program, problem)
            finish_beside = start_beside(beside)
            ended = supervisor.watch()
            if ended is None:
                supervisor.outlive()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.waitpid(keeper, os.WNOHANG if supervisor.is_background else 0)
    outcome = Outcome(**ended) if ended is not None else unseen_outcome(supervisor.facts, rundir)
    when_ended()
    finish_beside()
    return outcome


def fork_keeper(command: Command, program: str, rundir: RunDir, mask: frozenset[int]) -> tuple[int, Supervisor]:
    """Fork the keeper, which starts the command. Returns its pid, and the supervisor's side of it."""
    open_standard_streams()
    wires = lay_wires(command.quiet)
    orders_read, orders_write = (high(end) for end in os.pipe())
    reports_read, reports_write = (high(end) for end in os.pipe())
    os.set_blocking(orders_read, False)
    ignored = frozenset(int(number) for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN)
    job = Job(command, program, rundir, wires, orders_read, reports_write, os.getpid(), mask, ignored)
    supervisor = Supervisor(Inbox(reports_read), orders_write, wires)
    supervisor.use_terminal()  # before the command can write to it
    try:
        pid = os.fork()
    except OSError:
        supervisor.leave_terminal()
        raise
    if pid == 0:
        for fd in (orders_write, reports_read):
            os.close(fd)
        keep(job)
    for fd in {orders_read, reports_write, *ends_of_others(wires)}:
        os.close(fd)
    return pid, supervisor


def ends_of_others(wires: Wires) -> set[int]:
    """The descriptors that are the keeper's and the command's, not ours."""
    return {source for _, source, _ in wires.sources if source != wires.master} | wires.command_ends


def open_standard_streams() -> None:
    """Give closed standard streams /dev/null, so that no pipe of ours takes their numbers."""
    for fd in (0, 1, 2):
        if not is_open(fd):
            os.open(os.devnull, os.O_RDWR)


def start_error(command: Command, program: str, problem: list[Any]) -> StartError:
    number, of = problem
    if of == "keeper":
        return StartError("The command was not started: the keeper of its output was killed.", "Try again.")
    if of.startswith("bind"):
        return not_bound(of.removeprefix("bind"), number)
    return failed_to_start(command, program, OSError(number, os.strerror(number), str(command.cwd) if of else None))


def not_bound(target: str, number: int) -> StartError:
    what = target or "a mount namespace"
    return StartError(
        f"The command was not started: {what} could not be made for it alone: {os.strerror(number)}.",
        "Put the data at its place, then try again.",
    )


def start_beside(beside: Callable[[], None]) -> Callable[[], None]:
    """Run `beside` in a thread; the returned function waits for its end and raises what it raised."""
    import threading

    raised: list[BaseException] = []

    def work() -> None:
        try:
            beside()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, name="mltrack-beside", daemon=True)
    thread.start()

    def finish() -> None:
        thread.join()
        if raised:
            raise raised[0]

    return finish


def unseen_outcome(facts: Mapping[str, Any], rundir: RunDir) -> Outcome:
    """The outcome of a command whose keeper was killed: it is gone, and nobody could see how it ended."""
    now = time.time()
    outcome = Outcome(
        exit_code=None,
        signal=None,
        status="lost",
        started_at=facts["started_at"],
        finished_at=now,
        duration_s=now - facts["started_at"],
        peak_memory_bytes=None,
        cpu_seconds=None,
        log_size_bytes=rundir.output.stat().st_size if rundir.output.exists() else 0,
        log_truncated=False,
        log_error="the keeper of the output was killed",
    )
    rundir.write("outcome", asdict(outcome))
    return outcome


def stop(facts: Mapping[str, Any], rundir: RunDir, grace_s: float = 10) -> bool:
    """SIGTERM to the process group of a run (`facts`: its `process.json`), and SIGKILL after the grace, in seconds.

    The run's status becomes interrupted. False when the command was already gone, or cannot be judged from here.
    """
    if not is_alive(facts):
        return False
    rundir.write("stop", {"at": time.time()})
    deadline = time.monotonic() + grace_s
    for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped command would not see the first without the second
        signal_group(facts, number)
    while is_alive(facts):
        if time.monotonic() > deadline:
            signal_group(facts, signal.SIGKILL)
        time.sleep(STOP_POLL_S)
    return True


def signal_group(facts: Mapping[str, Any], number: int) -> None:
    try:
        os.killpg(facts["pgid"], number)
    except ProcessLookupError:
        pass  # it ended this moment
    except PermissionError as error:
        message = f"Process {facts['pid']} may not be stopped by this user."
        raise MltrackError(message, "Ask its owner, or root.") from error
