"""The command line's front: find the command, run it, turn errors into messages and exit codes.

The only place that prints an error. `mltrack run` with plain options is parsed without typer, which takes 40 ms.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

from mltrack.errors import MltrackError, NotSealed, StartError, UsageError

EXIT_INTERRUPTED = 130
EXIT_UNEXPECTED = 3
WRAPPERS = ("run", "rerun")
"""Commands that return the exit code of the command they start."""
LONGEST_LINE = 2000
"""Signs of an error that are shown: an argument may be a megabyte."""


def main(argv: Sequence[str]) -> int:
    """Run the command line given as `argv`; returns the exit code."""
    words = list(argv)
    open_closed_streams()
    try:
        return guarded(lambda: flushed(dispatch(words)), words)
    finally:
        discard_unwritten()


def open_closed_streams() -> None:
    """Where a standard stream is closed, open the null device under its number.

    Otherwise the next file that we open would get the number, and what is meant for the terminal would end in it. A
    command that we start does not inherit it: it finds the stream closed, as without us.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number, so it is this one
            if opened != number:
                os.dup2(opened, number, inheritable=False)
                os.close(opened)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def dispatch(argv: list[str]) -> int:
    if argv[:1] == ["run"]:
        from mltrack.cli.quick import parse_run

        options = parse_run(argv[1:])
        if options is not None:
            from mltrack.cli.start import start_run

            return start_run(**options)
    if argv[:1] == ["__complete"]:
        from mltrack.cli.completing import complete

        return complete(argv[1:])
    from mltrack.cli.group import invoke

    return invoke(argv)


def guarded(work: Callable[[], int], argv: Sequence[str]) -> int:
    """Do the work; an error is told in one line, with one line of advice, and becomes its exit code."""
    starts_a_command = command_of(argv) in WRAPPERS
    try:
        return work()
    except MltrackError as error:
        tell_error(error.message, error.hint)
        return (
            StartError.exit_code
            if starts_a_command and not isinstance(error, (StartError, NotSealed))
            else error.exit_code
        )
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone; nothing more is to be said
        return 0
    except UnicodeEncodeError as error:
        if not any(0xDC80 <= ord(sign) <= 0xDCFF for word in argv for sign in word):
            return unexpected(error, argv)
        tell_error("A word of the command line is not valid UTF-8.", "Only file names and the command may be so.")
        return StartError.exit_code if starts_a_command else UsageError.exit_code
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
            where = os.fsdecode(error.filename) if error.filename else "A path"
            tell_error(f"{where}: {error.strerror}.", "Check the paths that you typed, and those in mltrack.yaml.")
            return StartError.exit_code if starts_a_command else UsageError.exit_code
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EPERM):
            where = f" {os.fsdecode(error.filename)}" if error.filename else ""
            tell_error(
                f"Cannot use{where or ' the output'}: {error.strerror}.", "Free some space, or change its permissions."
            )
            return StartError.exit_code if starts_a_command else EXIT_UNEXPECTED
        return unexpected(error, argv)
    except Exception as error:
        return unexpected(error, argv)


def command_of(argv: Sequence[str]) -> str:
    """The name of the command, behind words for the screen (`--no-pager`, `--color never`)."""
    words = iter(argv)
    for word in words:
        if word == "--color":
            next(words, "")
        elif not word.startswith(("--no-pager", "--color=")):
            return word
    return ""


def tell_error(message: str, hint: str | None) -> None:
    hint = hint or "See whether something is wrong here: mltrack doctor"
    try:
        sys.stderr.write(f"error: {one_line(message)}\nhint: {one_line(hint)}\n")
    except OSError:
        pass  # nobody can be told; the exit code says it


def one_line(text: str) -> str:
    """The text without line ends and control characters, which recorded text may hold."""
    joined = " ".join(text.split("\n")) if "\n" in text else text
    if len(joined) > LONGEST_LINE:
        joined = f"{joined[: LONGEST_LINE // 2]} ... {joined[-LONGEST_LINE // 2 :]}"
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in joined)


def unexpected(error: BaseException, argv: Sequence[str]) -> int:
    """A bug: write a report that can be sent as it is, and say where it is."""
    from mltrack.cli.bug_report import write_report

    place = write_report(error, argv)
    tell_error(
        f"mltrack met something it did not expect: {type(error).__name__}: {error}",
        f"A report was written to {place}; please send it with what you were doing." if place else None,
    )
    return EXIT_UNEXPECTED


def flushed(code: int) -> int:
    """The exit code, once all that was printed is written: a full disk behind stdout is an error too."""
    sys.stdout.flush()
    return code


def discard_unwritten() -> None:
    """Flush what can be; what cannot was told already, and must not come up again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
