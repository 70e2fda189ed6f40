"""Python imports this at its start; it arranges that a process of a run tells at its end what it used, and steps aside.

The user's own sitecustomize runs as if this one were not there, also where it fails. What the process tells is written
by `_mltrack_process.py`, which is read only then. Nothing here may print, raise or be seen by the program.
"""

import atexit
import os
import sys


class _Process(object):
    """What is remembered of this process until it ends. After a fork, the child has a copy of its own."""

    def __init__(self, directory, loader):
        self.directory = directory
        self.loader = loader
        self.told = None  # the process that has told already
        self.known = ()  # what a forked child had from its parent, which tells of it
        self.is_forked = False
        self.mark = None
        self.rank = None  # among the processes of one training; None for most
        self.variables = {name: os.environ.get(name) for name in _VARIABLES}
        self.is_helper = _is_helper(getattr(sys, "orig_argv", ()))

    def leave_mark(self):
        """A file that goes when the process tells: that of one that was killed before it could stays."""
        if not self.is_helper:
            if not os.path.isdir(self.directory):
                os.mkdir(self.directory)
            mark = os.path.join(self.directory, "%d-%s" % (os.getpid(), os.urandom(6).hex()))
            if os.stat(self.directory).st_size < _MOST:
                fd = os.open(mark + ".began", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                self.mark = mark
                os.write(fd, os.fsencode(sys.prefix))
                os.close(fd)

    def after_fork(self):
        """In a forked child: it tells of what it imports from here on, also where `multiprocessing` ends it."""
        try:
            self.is_forked, self.known, self.mark, self.is_helper = True, frozenset(sys.modules), None, False
            util = sys.modules.get("multiprocessing.util")
            if util is not None:
                util.register_after_fork(self, _Process.finalize)
        except Exception:
            pass

    def finalize(self):
        """`multiprocessing` ends its children without the functions of atexit, but not without these."""
        util = sys.modules["multiprocessing.util"]
        util.Finalize(None, self.tell, exitpriority=-1000)

    def tell(self):
        """Once a process, at its end."""
        try:
            if self.told != os.getpid() and not self.is_helper:
                self.told = os.getpid()
                if self.rank is None and _is_one_of_several():
                    self.rank = _names_of(_RANK, self.loader, os.path.dirname(self.loader.path))["at_end"]()
                names = {"__name__": _REPORT}
                exec(self.loader.get_code(_REPORT), names)
                names["tell"](self)
        except BaseException:
            pass


def _is_helper(words):
    """Is this a process that `multiprocessing` keeps for itself, or mltrack called within a run?"""
    return any("multiprocessing" in word and "import main;" in word for word in words) or any(
        os.path.basename(word) == "mltrack" for word in words[1:3]
    )


_REPORT = "_mltrack_process"
_RANK = "_mltrack_rank"
_WATCH = "_mltrack_watch"
_BEFORE = "_mltrack_before"
_FILES = "_mltrack_files"
_SEVERAL = (
    "WORLD_SIZE",
    "HOROVOD_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "JAX_NUM_PROCESSES",
    "SLURM_STEP_NUM_TASKS",
)
_MOST = 400000  # bytes of the directory itself: some ten thousand processes have told, and that is enough
_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_CBWR",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
)


def _begin(loader, place):
    run = os.environ.get("MLTRACK_RUN_DIR")
    if run and sys.version_info >= (3, 6):
        process = _Process(os.path.join(run, "processes"), type(loader)(_REPORT, os.path.join(place, _REPORT + ".py")))
        _begin_rank(process, run, loader, place)
        atexit.register(process.tell)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=process.after_fork)
        process.leave_mark()


def _is_one_of_several():
    return any(os.environ.get(name, "1") != "1" for name in _SEVERAL)


def _begin_rank(process, run, loader, place):
    """What is to be done at the start of one of several processes that are one training."""
    if _is_one_of_several():
        try:
            process.rank = _names_of(_RANK, loader, place)["begin"](run)
        except Exception:
            pass


def _begin_watch(loader, place):
    """Tell of the files that the process opens and of what it asks of the network; see `_mltrack_watch.py`.

    Where the preloaded library tells of the files, only URLs are left, and nobody asks for one without `http`: until
    that is imported, the process bears no hook.
    """
    directory = os.environ.get("MLTRACK_OBSERVE")
    if not directory or os.environ.get("MLTRACK_HOOK") == "off" or not hasattr(sys, "addaudithook"):
        return
    _tell_hook(directory)
    if not _has_library(directory):
        names = _names_of(_FILES, loader, place, _names_of(_BEFORE, loader, place, _names_of(_WATCH, loader, place)))
        names["watch"](names["Files"](directory))
        return

    def begin():
        names = _names_of(_WATCH, loader, place)
        names["watch"](names["Watch"](directory))

    if "http" in sys.modules:
        begin()
    else:
        _at_import["http"] = begin


def _has_library(directory):
    """Is the preloaded library in this process? What it says of the process outlives an exec without it.

    Its descriptor of the journal, from 100 on, does not; where that is not found, the memory of the process is asked.
    """
    if os.environ.get("MLTRACK_WATCHED", "").lstrip("0") != str(os.getpid()):
        return False
    try:
        journal = os.stat(_journal(directory))
        for number in range(100, 103):
            found = os.fstat(number)
            if (found.st_ino, found.st_dev) == (journal.st_ino, journal.st_dev):
                return True
    except OSError:
        pass
    try:
        with open("/proc/self/maps", "rb") as maps:
            return b"/preload.so" in maps.read()
    except OSError:
        return False


def _journal(directory):
    return os.path.join(directory, os.uname()[1].replace("/", "_") + ".log")


_at_import = {}  # name of a module -> what is done before it is looked for


def _tell_hook(directory):
    """The line of the journal that says that this process has the hook."""
    import time

    fd = os.open(_journal(directory), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        name = (sys.executable or "").replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
        os.write(fd, os.fsencode("h %d %d\t%s\n" % (os.getpid(), time.time_ns(), name)))
    finally:
        os.close(fd)


def _names_of(name, loader, place, names=()):
    """What a file beside this one defines. It is executed, not imported: the program finds no module of ours."""
    names = dict(names, __name__=name)
    exec(type(loader)(name, os.path.join(place, name + ".py")).get_code(name), names)
    return names


def _step_aside(place):
    """From here on `import sitecustomize` finds the user's own, if there is one. False if that cannot be arranged."""
    finder = sys.path_importer_cache.get(place)
    if finder is None or not hasattr(finder, "find_spec"):
        return False
    find = finder.find_spec

    def find_spec(name, target=None):
        if name in _at_import:
            try:
                _at_import.pop(name)()
            except Exception:
                pass
        return None if name == "sitecustomize" else find(name, target)

    finder.find_spec = find_spec
    del sys.modules["sitecustomize"]
    return True


def _run_old_ones(place):
    """The user's own sitecustomize in Python 2."""
    import imp

    found = imp.find_module("sitecustomize", [entry for entry in sys.path if entry != place])
    try:
        sys.modules["sitecustomize"] = imp.load_module("sitecustomize", *found)
    finally:
        if found[0]:
            found[0].close()


if __name__ == "sitecustomize":
    _place = os.path.dirname(__file__)
    for _start in (_begin_watch, _begin):
        try:
            _start(__loader__, _place)
        except Exception:
            pass
    if sys.version_info < (3,):
        _run_old_ones(_place)
    elif _step_aside(_place):
        import sitecustomize  # noqa: F401  # without one of the user's, this fails just as it would without this file
    else:
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
