"""Every error that mltrack raises on purpose.

    MltrackError            3  an unexpected failure
    ├── UsageError          2  wrong usage
    │   └── ConfigError     2  a broken or unknown setting
    ├── CheckFailed         1  a checked thing does not hold
    ├── NotFound            4  no such run, path, name
    │   └── Ambiguous       4  more than one fits
    ├── RemoteError         5  a remote is unreachable or refused
    ├── DataMissing         6  bytes that a record names are not here
    │   └── Damaged         6  bytes that are here are not what was recorded
    ├── FormatTooNew        2  written by a newer mltrack
    ├── EnvironmentFailed   3  an environment cannot be captured or rebuilt
    ├── StorageError        3  the disk is full, or the directory may not be written
    ├── NotSealed           the command's own code: its run could not be sealed, and will be by the next command
    └── StartError        125  a command could not be started
        ├── NotExecutable 126
        └── CommandNotFound 127

An error is a message (what happened), a hint (what to do next) and an exit code. `cli/app.py` is the only place
that prints one.
"""

from __future__ import annotations


class MltrackError(Exception):
    """A failure that is told to the user in one line, with one line of advice."""

    exit_code = 3

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MltrackError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class CheckFailed(MltrackError):
    exit_code = 1


class NotFound(MltrackError):
    exit_code = 4


class Ambiguous(NotFound):
    pass


class RemoteError(MltrackError):
    exit_code = 5


class DataMissing(MltrackError):
    exit_code = 6


class Damaged(DataMissing):
    pass


class FormatTooNew(MltrackError):
    exit_code = 2


class EnvironmentFailed(MltrackError):
    exit_code = 3


class StorageError(MltrackError):
    exit_code = 3


class NotSealed(MltrackError):
    """A command ended, and its record could not be written. The exit code is the command's."""

    def __init__(self, message: str, exit_code: int, advice: str | None = None) -> None:
        advice = advice or "Free some space."
        super().__init__(message, f"Its directory stays, and the next mltrack command records the run. {advice}")
        self.exit_code = exit_code


class StartError(MltrackError):
    exit_code = 125


class NotExecutable(StartError):
    exit_code = 126


class CommandNotFound(StartError):
    exit_code = 127
