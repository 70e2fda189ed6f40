"""`import mltrack` inside a run: log metrics, parameters and artifacts. Outside of a run all of it does nothing.

Every point is one write to an append-only file, so it survives the death of the process, costs a few microseconds and
waits for nobody. Nothing here raises into a training: what cannot be logged is said once on stderr.

Where the whole mltrack is installed as well, its modules and its command line are found through this one.
"""

import errno as _errno
import json as _json
import os as _os
import sys as _sys
import time as _time

__path__ = [_os.path.dirname(_os.path.dirname(_os.path.abspath(__file__)))]
__all__ = ["log", "log_artifact", "log_metric", "log_params", "run_id", "runs", "start_run"]

_RESERVED = ("step", "t")
_NAMES_KEPT = 10000
_LOWEST = 100  # a descriptor's number that a program which closes and opens its own will hardly reach

_ASK = (
    "mltrack.runs() needs the whole mltrack, which is not installed for %s: install mltrack-ledger there, or ask the"
    " command: mltrack ls QUERY --json" % _sys.executable
)

_names = {}  # name of a metric -> its JSON, with the comma and the colon
_end = None  # of a line: names the rank, where this process is one of several; known with the first line
_warned = set()
_write = _os.write
_clock = _time.time


def __getattr__(name):
    if name == "__version__":
        from mltrack.version import VERSION

        return VERSION
    raise AttributeError("module 'mltrack' has no attribute %r" % name)


class _Journal:
    """A file of JSON lines named by a variable of the environment; `fd` is None outside of a run."""

    def __init__(self, variable):
        self.variable = variable
        self.fd = None
        self.open()

    def open(self):
        path, self.fd = _os.environ.get(self.variable), None
        if path:
            try:
                self.fd = _high(_os.open(path, _os.O_WRONLY | _os.O_APPEND | _os.O_CREAT, 0o666))
            except OSError as error:
                _warn(self.variable, "%s cannot be written: %s" % (path, error.strerror))

    def append(self, line):
        """Write a line whole, in one call; after a short write (the disk is full) the next line begins anew."""
        try:
            if _write(self.fd, line) != len(line):
                _write(self.fd, b"\n")
        except OSError as error:
            if error.errno != _errno.EBADF:
                raise
            self.open()  # the program has closed all descriptors, as one does that becomes a daemon
            if self.fd is not None:
                _write(self.fd, line)


def _high(fd):
    """The same descriptor under a high number, not inherited by other programs."""
    try:
        from fcntl import F_DUPFD_CLOEXEC, fcntl

        copy = fcntl(fd, F_DUPFD_CLOEXEC, _LOWEST)
    except (ImportError, OSError):
        return fd
    _os.close(fd)
    return copy


def _warn(subject, text):
    """Say it on stderr, once for each subject."""
    if subject not in _warned:
        _warned.add(subject)
        try:
            _sys.stderr.write("mltrack: %s\n" % text)
        except Exception:
            pass


_metrics = _Journal("MLTRACK_METRICS")
_params = _Journal("MLTRACK_PARAMS")


def run_id():
    """The id of the run that this process belongs to; None outside of one."""
    return _os.environ.get("MLTRACK_RUN_ID")


def log(metrics, step=None):
    """Log numbers: `log({"loss": 0.1, "acc": 0.9}, step=3)`. A few microseconds; nothing outside of a run.

    A number is an int, a float, or what turns into one (a NumPy scalar, a tensor of one element). Tables within the
    table give names with dots. What is no number is left out, and said once.
    """
    if _metrics.fd is None:
        return
    try:
        end = _end or _find_end()
        if step is None:
            step = metrics.get("step")
        line = '{"t":%.6f' % _clock() if step is None else _with_step(step)
        for name, value in metrics.items():
            if type(value) is float and value - value == 0.0 and name in _names:
                line += _names[name] + repr(value)
            else:
                line += _pair(name, value)
        _metrics.append((line + end).encode())
    except Exception as error:
        _warn("log", "metrics are not logged: %s" % error)


def _find_end():
    """How lines of this process end. Asked again after a fork: the child may have been given another rank."""
    global _end
    try:
        import _mltrack_rank
    except ImportError:
        from mltrack.inside import _mltrack_rank  # logging from outside of `mltrack run`'s own path
    if _end is None and hasattr(_os, "register_at_fork"):
        _os.register_at_fork(after_in_child=_forget_end)
    rank = _mltrack_rank.of(_os.environ)
    _end = "}\n" if rank is None else ',"rank":%d}\n' % rank[0]
    return _end


def _forget_end():
    global _end
    _end = ""


def log_metric(name, value, step=None):
    """Log one number."""
    log({name: value}, step)


def _with_step(step):
    if type(step) is int:
        return '{"step":%d,"t":%.6f' % (step, _clock())
    return '{"step":%s,"t":%.6f' % (_number("step", step) or "null", _clock())


def _pair(name, value):
    """`,"name":value`; nothing when the value is no number."""
    if name in _RESERVED:
        if name == "t":
            _warn(name, "a metric cannot be called t: that is the time of a point")
        return ""
    if isinstance(value, dict):
        return "".join([_pair("%s.%s" % (name, inner), item) for inner, item in value.items()])
    number = _number(name, value)
    if number is None:
        return ""
    if name == "rank":
        return _called_rank(number)
    text = _names.get(name)
    if text is None:
        text = "," + _json.dumps(str(name)) + ":"
        if len(_names) < _NAMES_KEPT:
            _names[name] = text
    return text + number


def _called_rank(number):
    """A whole `rank` in a line is that of the process: a metric of that name is told from it by its point."""
    if _end != "}\n":
        _warn("rank", "a metric cannot be called rank here: that is the number of the process")
        return ""
    return ',"rank":' + (number + ".0" if number.lstrip("-").isdigit() else number)


def _number(name, value):
    """The value as JSON text; None when it is no number."""
    try:
        if hasattr(value, "item"):
            value = value.item()
        if isinstance(value, (str, bytes, bytearray)):
            raise TypeError
        value = int(value) if isinstance(value, int) else float(value)
    except Exception:
        _warn(("value", name), "%s is not logged: %.60r is not a number" % (name, value))
        return None
    return repr(value) if value - value == 0 else '"%s"' % _name_of(value)


def _name_of(value):
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def log_params(params):
    """Log parameters: `log_params({"optimizer": "adam"})`, or the namespace of argparse.

    Values are numbers, texts, lists or tables of such; of anything else its text is kept.
    """
    if _params.fd is None:
        return
    try:
        table = params if isinstance(params, dict) or not hasattr(params, "__dict__") else vars(params)
        _params.append((_json.dumps(_plain(dict(table))) + "\n").encode())
    except Exception as error:
        _warn("params", "params are not logged: %s" % error)


def _plain(value):
    """The value in the types of JSON."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "tolist"):  # arrays and scalars of NumPy and its relatives
        value = value.tolist()
    if isinstance(value, float):
        return value if value - value == 0 else _name_of(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, str)) else str(value)


def log_artifact(path, name=None):
    """Keep a copy of a file or directory, as it is now, with the run: under its own name, or the one given.

    The same name again replaces the copy. Symbolic links in a directory stay links.
    """
    target = _os.environ.get("MLTRACK_ARTIFACTS")
    if not target:
        return
    try:
        place = _place(target, _os.fspath(path), name)
        if place != _os.path.realpath(path):
            _copy(_os.fspath(path), place, _os.path.dirname(_os.path.abspath(target)))
    except Exception as error:
        _warn(("artifact", str(path)), "the artifact %s is not kept: %s" % (path, error))


def _place(target, path, name):
    """Where the copy goes: below the directory of the run's artifacts, whatever the name."""
    parts = (name or _os.path.basename(_os.path.abspath(path))).split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("%r is no name for an artifact" % (name,))
    top = _os.path.realpath(target)
    parent = _os.path.realpath(_os.path.join(top, *parts[:-1]))
    if parent != top and not parent.startswith(top + _os.sep):
        raise ValueError("%r leads out of the directory of artifacts" % (name,))
    _os.makedirs(parent, exist_ok=True)
    return _os.path.join(parent, parts[-1])


def _copy(path, place, aside):
    """Copy beside the artifacts first, so that a killed process leaves no half of one among them."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix=".artifact-", dir=aside) as scratch:
        copy = _os.path.join(scratch, "copy")
        if _os.path.isdir(path):
            try:
                shutil.copytree(path, copy, symlinks=True)
            except shutil.Error as error:
                _warn(("part", path), "of the artifact %s some files are not kept: %s" % (path, error))
        else:
            shutil.copy(path, copy)
        if _os.path.isdir(place) and not _os.path.islink(place):
            _os.rename(place, _os.path.join(scratch, "old"))
        elif _os.path.isdir(copy) and _os.path.lexists(place):
            _os.unlink(place)
        _os.replace(copy, place)


class _Run:
    """The run that this process belongs to; outside of `mltrack run`, one that records nothing."""

    log = staticmethod(log)
    log_metric = staticmethod(log_metric)
    log_params = staticmethod(log_params)
    log_artifact = staticmethod(log_artifact)

    @property
    def id(self):
        return run_id()

    def close(self):
        """Nothing is left to do: every point is written when it is logged."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def runs(*query, **more):
    """The runs that fit a query, as the whole mltrack finds them: `runs("metrics.acc > 0.9", limit=5)`."""
    if _sys.version_info < (3, 10):
        raise ImportError(_ASK)
    try:
        from mltrack.operations.asking import runs as ask

        return ask(*query, **more)
    except ImportError as error:
        raise ImportError("%s (%s)" % (_ASK, error))


def start_run():
    """The run of this process as an object. It does not begin one: that is what `mltrack run -- COMMAND` is for."""
    return _Run()


def _main():
    """The command line: `python -m mltrack` within a run finds this file first."""
    from importlib.util import find_spec

    if find_spec("typer") is None:
        _sys.exit("mltrack: the command line is not installed for %s; `mltrack` itself has it." % _sys.executable)
    from mltrack.__main__ import main

    main()


if __name__ == "__main__":
    _main()
