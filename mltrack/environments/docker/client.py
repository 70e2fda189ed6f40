"""The program that stands for a container: `python -m mltrack.environments.docker.client SPEC.json COMMAND...`.

It makes the container, gives it its own standard streams and the signals that it gets, and ends as the container ended;
the container and its anonymous volumes are gone by then. Only the main thread speaks to the engine, but for two helpers
with connections of their own: one waits for the end, one takes samples of what is used.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltrack.environments.docker.engine import Engine, Refused, connect
from mltrack.environments.docker.orders import PASSED
from mltrack.environments.docker.streams import INTERRUPT, SUSPEND, Sink, receive, send, send_keys
from mltrack.environments.docker.targets import Targets
from mltrack.environments.docker.troubles import exit_code_of
from mltrack.environments.docker.usage import Usage
from mltrack.environments.docker.watcher import Watcher
from mltrack.errors import EnvironmentFailed
from mltrack.formats.samples import NAME as SAMPLES

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
HEARD = (*FORWARDED, signal.SIGTSTP, signal.SIGWINCH)
NOT_STARTED = 125
PATIENCE_S = 3.0
"""Ctrl-C three times within this time kills the container."""

ENDED, BROKEN = 200, 201
"""Not signals: what our own threads write to the pipe that wakes the main thread."""


def main() -> None:
    """Never returns."""
    spec = json.loads(Path(sys.argv[1]).read_bytes())
    spec["config"]["Cmd"] = sys.argv[2:]
    client = None
    try:
        client = Client(spec, dict(os.environ))
        ending = client.work()
    except EnvironmentFailed as error:
        say(error.message)
        if error.hint:
            say(f"hint: {error.hint}")
        ending = exit_code_of(error.said) if isinstance(error, Refused) else NOT_STARTED
        if client is not None and client.has_begun:
            ending = -signal.SIGKILL  # it is not known how the command ended, and 125 says that it never began
    if client is not None and not client.is_gone:
        say(f"the container {spec['container']} could not be removed and may live on")
    leave(ending)


def say(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"mltrack: {text}\n".encode(errors="replace"))


def leave(ending: int) -> None:
    """Exit with a code, or for a negative one die by that signal, as the command did."""
    if ending < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        with suppress(OSError, ValueError):
            signal.signal(-ending, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-ending])
        os.kill(os.getpid(), -ending)
        ending = 128 - ending
    os._exit(ending)  # a thread may still hang on standard input


class Client:
    """One container, from its making to its removal."""

    def __init__(self, spec: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        self.spec = spec
        self.variables = variables
        self.engine: Engine = connect(variables)
        self.is_terminal = os.isatty(0) and os.isatty(1)
        self.container = ""
        self.sent: set[int] = set()
        self.interrupts: list[float] = []
        self.exit_code: int | None = None
        self.lost: EnvironmentFailed | None = None
        self.wakeup, self.waker = os.pipe()
        self.settings: list[Any] | None = None
        self.has_begun = False
        """May the command have begun?"""
        self.is_gone = False
        """Is the container removed?"""

    def work(self) -> int:
        """See the container through; its exit code, or minus the signal that ended it."""
        watcher = Watcher(self.spec["container"], self.variables)
        targets = Targets(self.spec["project"])
        self.listen()
        try:
            targets.make(self.spec["targets"])
            self.start()
            usage = Usage(self.variables, self.container, Path(self.spec["usage"]).with_name(SAMPLES))
            self.start_threads(usage)
            self.follow()
            return self.ending(usage)
        finally:
            self.put_back_terminal()
            self.remove()
            if self.is_gone:
                targets.remove()
                watcher.done()
            else:
                watcher.take_over()

    def remove(self) -> None:
        with suppress(EnvironmentFailed):
            self.engine.remove(self.spec["container"])
            self.is_gone = True

    def listen(self) -> None:
        """Have signals wake the main thread by a pipe; those that we were told to ignore stay ignored."""
        for fd in (self.wakeup, self.waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        for number in HEARD:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, frame: None)

    # -- the start

    def start(self) -> None:
        """Make the container, take hold of its streams, start it; once more without an init if the engine has none."""
        config = self.config()
        try:
            self.try_start(config)
        except Refused as error:
            if not is_about_init(error.said):
                raise
            say("this engine has no init program: processes that the command leaves behind are not reaped")
            config["HostConfig"]["Init"] = False
            self.engine.remove(self.spec["container"])
            self.try_start(config)
        if self.is_terminal:
            self.use_terminal()

    def try_start(self, config: Mapping[str, Any]) -> None:
        self.container = self.engine.create(config, self.spec["container"])
        self.stream = self.engine.attach(self.container)
        self.has_begun = True
        try:
            self.engine.begin(self.container, self.spec["subject"])
        except Refused:
            self.has_begun = False
            raise

    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.spec["config"]
        config["Env"] = [f"{name}={self.variables[PASSED + name]}" for name in self.spec["variables"]]
        if self.is_terminal:
            config["Env"] += [f"TERM={self.variables.get('TERM', 'xterm')}"] * ("TERM" not in self.spec["variables"])
            config["HostConfig"]["ConsoleSize"] = list(self.size())
        has_input = self.is_terminal or not os.isatty(0)
        return {
            **config,
            "Tty": self.is_terminal,
            "OpenStdin": has_input,
            "StdinOnce": has_input,
            "AttachStdin": has_input,
            "AttachStdout": True,
            "AttachStderr": True,
        }

    def start_threads(self, usage: Usage) -> None:
        out, err = (Sink(fd, lambda: self.wake(BROKEN)) for fd in (1, 2))

        def bring() -> None:
            receive(self.stream, out, None if self.is_terminal else err)

        def await_end() -> None:
            try:
                with connect(self.variables) as engine:
                    self.exit_code = engine.wait(self.container)
            except EnvironmentFailed as error:
                self.lost = error
            usage.stop()
            self.wake(ENDED)

        self.bringing = threading.Thread(target=bring, daemon=True)
        self.bringing.start()
        for work in (await_end, usage.follow, self.feed):
            threading.Thread(target=work, daemon=True).start()

    def feed(self) -> None:
        if self.is_terminal:
            send_keys(self.stream, 0, self.take_keys)
        elif not os.isatty(0):
            send(self.stream, 0)

    # -- while it runs

    def wake(self, what: int) -> None:
        with suppress(OSError):
            os.write(self.waker, bytes((what,)))

    def follow(self) -> None:
        """Do what signals and threads ask for, until the container has ended."""
        import select

        while True:
            select.select([self.wakeup], [], [])
            for number in os.read(self.wakeup, 512):
                if number == ENDED:
                    return
                self.take(number)

    def take(self, number: int) -> None:
        if number == signal.SIGWINCH:
            if self.is_terminal:
                self.engine.resize(self.container, *self.size())
        elif number == signal.SIGTSTP:
            self.suspend()
        elif number == BROKEN:
            self.engine.signal(self.container, signal.SIGPIPE)
        elif number in FORWARDED or number == signal.SIGKILL:
            self.sent.add(number)
            self.engine.signal(self.container, number)

    def suspend(self) -> None:
        """Stop, with the container, until a shell continues us."""
        is_paused = True
        try:
            self.engine.pause(self.container)
        except EnvironmentFailed:
            is_paused = False  # without a freezer it goes on, until its output is full
        self.put_back_terminal()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        if is_paused:
            self.engine.unpause(self.container)
        if self.is_terminal:
            self.use_terminal()

    # -- the terminal

    def size(self) -> tuple[int, int]:
        """(rows, columns) of the terminal."""
        try:
            found = os.get_terminal_size(1)
        except OSError:
            return 24, 80
        return found.lines, found.columns

    def use_terminal(self) -> None:
        """Let every key through: the terminal inside makes of them what they mean."""
        import termios
        import tty

        self.engine.resize(self.container, *self.size())
        with suppress(termios.error):
            self.settings = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSANOW)

    def put_back_terminal(self) -> None:
        if self.settings is not None:
            import termios

            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSANOW, self.settings)
            self.settings = None

    def take_keys(self, data: bytes) -> bytes:
        """What of the keys goes inside: Ctrl-Z stops us, with the container; Ctrl-C thrice kills it."""
        if SUSPEND in data:
            self.wake(signal.SIGTSTP)
            data = data.replace(SUSPEND, b"")
        if INTERRUPT in data:
            now = time.monotonic()
            self.interrupts = [at for at in self.interrupts if now - at < PATIENCE_S] + [now] * data.count(INTERRUPT)
            self.sent.add(signal.SIGINT)
            if len(self.interrupts) > 2:
                self.wake(signal.SIGKILL)
        return data

    # -- the end

    def ending(self, usage: Usage) -> int:
        """How it ended, once all that it wrote was passed on."""
        if self.exit_code is None:
            raise self.lost or EnvironmentFailed("The container's end was not seen.", "See the engine's own log.")
        self.bringing.join()
        is_out = False
        with suppress(EnvironmentFailed):  # how it ended is known
            is_out = bool((self.engine.inspect(self.container).get("State") or {}).get("OOMKilled"))
        usage.write(Path(self.spec["usage"]), is_out)
        if is_out:
            say("the container ran out of memory, and its engine's system killed a process in it")
        number = self.exit_code - 128
        if number in self.sent or (is_out and number == signal.SIGKILL):
            return -number
        return self.exit_code


def is_about_init(said: str) -> bool:
    return "docker-init" in said or "catatonit" in said or "init binary" in said.replace("-", " ")


if __name__ == "__main__":
    main()
