"""The supervisor's side of a local run: signals and keys go to the command, its stops and its end come back.

Must run in the main thread. Where the command shares our session (see `wires.py`), we stay the terminal's foreground
and hand it over only when the command asks for it (it is stopped with SIGTTIN or SIGTTOU), as a shell would on `fg`:
other members of a pipeline, a pager say, need the foreground too.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import Any

from mltrack.executors.messages import PASSED_ON, TYPED, Inbox
from mltrack.executors.terminal import copy_size, is_foreground, make_raw, put_back, sends_interrupt
from mltrack.executors.wires import Wires, high
from mltrack.live.process import is_alive
from mltrack.live.rundir import RunDir

PATIENCE_S = 3.0
"""Three interrupts within this time kill the command."""

POLL_S = 0.2


class Supervisor:
    """Watches one command from its start to its end. A context: signals and terminal are put back at its exit."""

    def __init__(self, inbox: Inbox, orders: int, wires: Wires) -> None:
        self.inbox = inbox
        self.orders = orders
        self.wires = wires
        self.facts: dict[str, Any] = {}
        self.outcome: dict[str, Any] | None = None
        self.is_background = False
        self.typed = b""
        self.is_forwarding = False
        self.lent: int | None = None
        """The terminal whose foreground we handed to the command."""
        self.interrupts: list[float] = []
        self.handlers: dict[int, Any] = {}
        self.wakeup, self.wakeup_end = (high(end) for end in os.pipe())

    def __enter__(self) -> Supervisor:
        for fd in (self.wakeup, self.wakeup_end):
            os.set_blocking(fd, False)
        self.old_wakeup = signal.set_wakeup_fd(self.wakeup_end, warn_on_full_buffer=False)
        for number in PASSED_ON:
            if signal.getsignal(number) != signal.SIG_IGN:
                self.handlers[number] = signal.signal(number, note)
        self.handlers[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave_terminal()
        signal.set_wakeup_fd(self.old_wakeup)
        for number, handler in self.handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for fd in (self.wakeup, self.wakeup_end, self.orders, self.inbox.pipe):
            os.close(fd)
        if self.wires.master is not None:
            os.close(self.wires.master)

    def await_start(self, rundir: RunDir) -> list[Any] | None:
        """Wait until the command runs; returns [errno, what it is about] if it could not be started."""
        while not self.facts:
            for message in self.inbox.receive():
                if "error" in message:
                    return list(message["error"])
                self.take_message(message)
            if self.inbox.is_closed:  # the keeper was killed, maybe after the start
                self.facts = rundir.read("process") or {}
                return None if self.facts else [0, "keeper"]
        return None

    def watch(self) -> dict[str, Any] | None:
        """Pass on what comes until the command ended; its outcome, or None when the keeper was killed."""
        while self.outcome is None and not self.inbox.is_closed:
            ready = self.wait()
            if self.wakeup in ready:
                for number in os.read(self.wakeup, 512):
                    self.take_signal(number)
            if self.inbox.pipe in ready:
                for message in self.inbox.receive():
                    self.take_message(message)
            if self.is_forwarding:
                self.forward(0 in ready, self.wires.master in ready)
        return self.outcome

    def outlive(self) -> None:
        """The keeper was killed: its ends of the streams are closed; wait until the command is gone."""
        import select

        if self.wires.master is not None:
            self.leave_terminal()
            os.close(self.wires.master)
            self.wires = replace(self.wires, master=None)
        while is_alive(self.facts):
            if select.select([self.wakeup], [], [], POLL_S)[0]:
                for number in os.read(self.wakeup, 512):
                    if is_alive(self.facts):
                        os.killpg(self.facts["pgid"], number)

    def wait(self) -> set[int]:
        """The descriptors that something can be done with."""
        import select

        poll = select.poll()
        poll.register(self.wakeup, select.POLLIN)
        poll.register(self.inbox.pipe, select.POLLIN)
        if self.is_forwarding and self.typed and self.wires.master is not None:
            poll.register(self.wires.master, select.POLLOUT)
        elif self.is_forwarding:
            poll.register(0, select.POLLIN)
        return {fd for fd, _ in poll.poll()}

    def order(self, number: int) -> None:
        """Have the keeper signal the command's process group; it alone knows that the pid is still the command's."""
        try:
            os.write(self.orders, bytes((number,)))
        except OSError:
            pass  # the keeper is gone; `watch` sees that

    def take_signal(self, number: int) -> None:
        if number == signal.SIGCONT:
            self.use_terminal()
        elif number == signal.SIGWINCH and self.wires.master is not None:
            copy_size(self.wires.shown_on, self.wires.master)
            if self.wires.is_session:
                return  # the pseudo-terminal has told its foreground
        if number == signal.SIGINT and self.is_third_interrupt():
            number = signal.SIGKILL
        if number in PASSED_ON or number == signal.SIGKILL:
            self.order(number)

    def is_third_interrupt(self) -> bool:
        now = time.monotonic()
        self.interrupts = [at for at in self.interrupts if now - at < PATIENCE_S] + [now]
        return len(self.interrupts) > 2

    def take_message(self, message: dict[str, Any]) -> None:
        if "started" in message:
            self.facts = message["started"]
        elif "ended" in message:
            self.outcome = message["ended"]
            self.is_background = bool(message["background"])
        elif "stopped" in message:
            number = message["stopped"]
            if number in (signal.SIGTTIN, signal.SIGTTOU) and self.lend_terminal():
                self.order(signal.SIGCONT)
            elif number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
                self.stop_ourselves(number)

    def stop_ourselves(self, number: int) -> None:
        """Do as the command did, so that a shell sees its job stopped; on return we were continued."""
        # Ctrl-Z is meant for the whole job: a wrapper (`sh -c`, `time`) that goes on would keep the shell waiting.
        target = 0 if self.is_forwarding or self.lent is not None else os.getpid()
        self.leave_terminal()
        handler = signal.signal(number, signal.SIG_DFL)
        os.kill(target, number)  # without effect when no shell watches us; then the command must go on at once
        signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self.use_terminal()
        if number != signal.SIGTSTP:
            self.lend_terminal()
        self.order(signal.SIGCONT)

    def use_terminal(self) -> None:
        """Forward the keys, if they are ours to forward and we are in the foreground."""
        settings = self.wires.settings
        if settings is not None and self.wires.master is not None and is_foreground(0):
            copy_size(self.wires.shown_on, self.wires.master)
            make_raw(0, settings)
            self.is_forwarding = True

    def leave_terminal(self) -> None:
        if self.is_forwarding and self.wires.settings is not None:
            put_back(0, self.wires.settings)
            self.is_forwarding = False
        if self.lent is not None:
            try:
                os.tcsetpgrp(self.lent, os.getpgrp())
            except OSError:
                pass
            os.close(self.lent)
            self.lent = None

    def lend_terminal(self) -> bool:
        """Make the command the foreground of our controlling terminal; False when we are not in its foreground."""
        if self.wires.is_session:
            return False
        self.leave_terminal()
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            if os.tcgetpgrp(terminal) == os.getpgrp():
                os.tcsetpgrp(terminal, self.facts["pgid"])
                self.lent, terminal = terminal, -1
        except OSError:
            pass
        if terminal >= 0:
            os.close(terminal)
        return terminal < 0

    def forward(self, can_read: bool, can_write: bool) -> None:
        """Keys of the user to the command's terminal."""
        master = self.wires.master
        assert master is not None
        try:
            if can_read and not self.typed:
                self.typed = os.read(0, 1024)
                self.is_forwarding = bool(self.typed)
                self.note_typed_interrupt(master)
            if self.typed:
                self.typed = self.typed[os.write(master, self.typed) :]
        except BlockingIOError:
            pass
        except OSError:
            self.is_forwarding = False  # the terminal has hung up

    def note_typed_interrupt(self, master: int) -> None:
        """A Ctrl-C reaches the command through its terminal, not as a signal to us; it counts all the same."""
        if not sends_interrupt(master, self.typed):
            return
        self.order(signal.SIGINT | TYPED)
        if self.is_third_interrupt():
            self.order(signal.SIGKILL)


def note(number: int, frame: object) -> None:
    """Python writes the signal's number to the wakeup descriptor; nothing else is to be done."""
