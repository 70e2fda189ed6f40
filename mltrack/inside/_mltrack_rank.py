"""Which rank a process is, of a training that runs as several processes; and its part in the run's logs.

`of` is asked by `mltrack.py` too; `begin` by `sitecustomize.py`, at the start of a Python process that is a rank. From
then on what the process writes to standard output and error is also sent to the keeper of the run, through a FIFO in
the run directory: never waiting, and never to a file, for only the keeper takes secrets out. Standard library only,
Python >= 3.6; nothing here may print, raise, or be seen by the program.
"""

import atexit
import errno
import io
import os
import sys
import time

SOURCES = (
    # rank, how many there are, rank on its host; whoever starts processes within another's is named first
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, accelerate, deepspeed
    ("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),  # MPICH, Intel MPI
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK"),  # MVAPICH
    ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES", ""),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # the second is not there in a batch script
)
LAUNCHERS = ("torchrun", "torch.distributed.run", "torch.distributed.launch", "accelerate", "deepspeed", "horovodrun",
             "accelerate.commands.launch", "deepspeed.launcher.launch", "deepspeed.launcher.runner")  # fmt: skip
"""Programs that start ranks and are none, whatever they were started by."""

_TOLD = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "MASTER_ADDR", "MASTER_PORT")
_TOLD_STARTS = ("OMP_", "MKL_", "OPENBLAS_", "KMP_", "NCCL_", "GLOO_", "UCX_", "TORCH_", "PYTORCH_", "XLA_", "JAX_")
_TOLD_PARTS = ("RANK", "WORLD_SIZE", "PROCID", "LOCALID", "NTASKS", "NODEID", "NNODES")
_HIDDEN = ("TOKEN", "KEY", "SECRET", "PASS", "AUTH", "CRED")
_MOST = 300  # characters of a value
_MOST_WAITING = 4 << 20  # bytes
_SET_SIZE, _ROOM = 1031, 1 << 20  # F_SETPIPE_SZ, which older Pythons have no name for
_is_blocking, _send, _clock = os.get_blocking, os.write, time.monotonic
_LOWEST = 100  # a descriptor's number that a program which closes and opens its own will hardly reach
FIFO = "ranks.fifo"


def of(environ):
    """(rank, how many there are, rank on its host or None) of a process with these variables; None if it is no rank."""
    for name, many, local in SOURCES:
        found = _whole(environ.get(name)), _whole(environ.get(many)), _whole(environ.get(local))
        if found[0] is not None and found[1] is not None and found[1] > 1:
            return found if found[0] < found[1] else None
    many, local = _whole(environ.get("WORLD_SIZE")), _whole(environ.get("LOCAL_RANK"))
    if many is not None and local is not None and environ.get("NODE_RANK") == "0" and local < many > 1:
        return local, many, local  # Lightning's own start of processes names no rank, but the first host's are known
    return None


def _whole(text):
    return int(text) if text and len(text) < 8 and text.isdigit() else None


def is_launcher(words):
    """Does this command line start ranks?"""
    words, names = list(words), [os.path.basename(word) for word in words[:1]]
    del words[:1]
    while words:
        word = words.pop(0)
        if word in ("-X", "-W"):
            del words[:1]
        elif word == "-m" or not word.startswith("-"):
            names += words[:1] if word == "-m" else [os.path.basename(word)]
            break
    return any(name in LAUNCHERS for name in names)


def own():
    """What `of` says of this process; None too for a launcher."""
    words = getattr(sys, "orig_argv", None) or [sys.executable] + getattr(sys, "argv", [])
    return None if is_launcher(words) else of(os.environ)


def at_end():
    """The rank of this process now, or None: the first process of a training may have made itself one of several."""
    found = own()
    return None if found is None else found[0]


def begin(run):
    """Tell of this process, if it is a rank, and have its output copied; returns its rank, or None."""
    found = own()
    if found is None:
        return None
    try:
        copy = _Copy(os.path.join(run, FIFO), found[0])
    except OSError:  # another host, or no keeper any more
        copy = None
    try:
        _tell(os.path.join(run, "ranks"), found, copy is not None)
    except OSError:
        pass
    if copy is None:
        return found[0]
    for name, number, letter in (("stdout", 1, b"o"), ("stderr", 2, b"e")):
        stream = getattr(sys, name)
        if stream is getattr(sys, "__%s__" % name):
            copied = _with_copy(stream, number, copy, letter)
            setattr(sys, name, copied)
            setattr(sys, "__%s__" % name, copied)
    return found[0]


def _tell(directory, found, has_log):
    """Write `<rank>`, whichever process of the rank is the first: entries `name=text`, each ended by a NUL."""
    if not os.path.isdir(directory):
        try:
            os.mkdir(directory)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
    facts = [
        ("rank", found[0]),
        ("of", found[1]),
        ("local_rank", "" if found[2] is None else found[2]),
        ("host", os.uname()[1]),
        ("pid", os.getpid()),
        ("log", int(has_log)),
        ("prefix", sys.prefix),
        ("python", "%d.%d.%d" % sys.version_info[:3]),
    ]
    facts += [(name, text) for name, text in sorted(os.environ.items()) if _may_tell(name) and len(text) <= _MOST]
    try:
        fd = os.open(os.path.join(directory, str(found[0])), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return
        raise
    try:
        os.write(fd, b"".join([os.fsencode("%s=%s" % fact) + b"\0" for fact in facts]))
    finally:
        os.close(fd)


def _may_tell(name):
    if any(part in name.upper() for part in _HIDDEN):
        return False
    return name in _TOLD or name.startswith(_TOLD_STARTS) or any(part in name for part in _TOLD_PARTS)


class _Copy(object):
    """Sends what streams write to the keeper, in frames (`live/ranks.py`). Each is one write, of a size that a pipe
    takes whole or not at all, so that those of several processes do not mix."""

    def __init__(self, path, rank):
        self.path = path
        self.rank = rank
        self.fd = None
        self.forget()
        self.open()
        atexit.register(self.finish)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def open(self):
        """Raises OSError where nobody reads."""
        flags = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
        first = os.open(self.path, os.O_WRONLY | flags)  # fails where nobody reads: on another host, say
        try:
            # Being a reader too, we are never sent a SIGPIPE.
            self.fd = _high(os.open(self.path, os.O_RDWR | flags))
        finally:
            os.close(first)
        self.file = os.fstat(self.fd)[1:3]
        self.checked = _clock()
        self.room = min(os.fpathconf(self.fd, "PC_PIPE_BUF"), 4096) - 40

    def send(self, letter, data):
        """Never waits, never raises an error: what finds no room is kept here; what is too much of that is counted."""
        try:
            if not self.is_ours():
                self.fd = None
                self.open()
            if not self.waiting or self.is_rid_of_waiting():
                data = self.send_now(letter, data)
        except Exception:
            pass
        if data and self.waiting_size + len(data) <= _MOST_WAITING:
            self.waiting.append((letter, data))
            self.waiting_size += len(data)
        else:
            self.lost += len(data)

    def send_now(self, letter, data):
        """What found no room."""
        while data:
            piece = data[: self.room]
            try:
                _send(self.fd, b"\1R%d %s %d %d\n%s" % (self.rank, letter, self.lost, len(piece), piece))
            except BlockingIOError:
                break
            self.lost = 0
            data = data[self.room :]
        return data

    def is_rid_of_waiting(self):
        while self.waiting:
            letter, data = self.waiting[0]
            rest = self.send_now(letter, data)
            self.waiting_size -= len(data) - len(rest)
            if rest:
                self.waiting[0] = letter, rest
                return False
            del self.waiting[0]
        return True

    def finish(self):
        """At the end of the process, what waits gets a third of a second."""
        try:
            for _ in range(30):
                if self.is_rid_of_waiting():
                    return
                time.sleep(0.01)
        except Exception:
            pass

    def forget(self):
        """In a forked child: its parent sends what waits."""
        self.waiting, self.waiting_size, self.lost = [], 0, 0

    def is_ours(self):
        """Or has the program closed all descriptors, and opened others?"""
        self.checked = _clock()
        try:
            return os.fstat(self.fd)[1:3] == self.file
        except OSError:
            return False


def _high(fd):
    """The same descriptor under a high number; and room for a burst of lines, where the system lets us have it."""
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    copy = fcntl(fd, F_DUPFD_CLOEXEC, _LOWEST)
    os.close(fd)
    try:
        fcntl(copy, _SET_SIZE, _ROOM)
    except OSError:
        pass
    return copy


class _File(io.FileIO):
    """Standard output or error, of which a copy is sent: its `write` is one of those that follow. The copy goes first,
    so that an interrupt in between looks to the program as one before the write."""


def _copied(write, copy, letter):
    """`write` of a file below a buffer. Written for speed: a line that is flushed by itself costs it twice."""
    head = b"\1R%d %s 0 " % (copy.rank, letter) + b"%d\n%s"
    room = copy.room
    ahead = 0  # of the next bytes, so many are sent already: they were not written when that was tried

    def write_and_copy(data):
        nonlocal ahead
        size = len(data) if type(data) is bytes else memoryview(data).nbytes
        if ahead or size > room or copy.lost or copy.waiting or _clock() - copy.checked > 1.0:
            copy.send(letter, bytes(data)[ahead:])
        else:
            try:
                if _is_blocking(copy.fd):  # not ours any more: fstat would tell more, and costs as much as the write
                    raise OSError
                _send(copy.fd, head % (size, data))
            except Exception:
                copy.send(letter, bytes(data))
        ahead = size
        done = write(data)
        ahead = 0 if done == size else size - (done or 0)
        return done

    return write_and_copy


def _copied_by_lines(write, copy, letter):
    """`write` of a file without a buffer, to which Python writes each word for itself: they are sent together."""
    ahead = 0
    held = []

    def let_go():
        if held:
            copy.send(letter, b"".join(held))
            held.clear()

    def write_and_copy(data):
        nonlocal ahead
        text = bytes(data)
        if not ahead:
            held.append(text)
        elif len(text) > ahead:
            held.append(text[ahead:])
        if b"\n" in text or b"\r" in text or len(held) > 200 or len(text) > 1000:
            let_go()
        ahead = len(text)
        done = write(data)
        ahead = 0 if done == ahead else ahead - (done or 0)
        return done

    atexit.register(let_go)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=held.clear)  # the parent sends what it holds
    return write_and_copy


_File.__name__ = _File.__qualname__ = "FileIO"
_File.__module__ = "_io"


def _with_copy(stream, number, copy, letter):
    """The same text stream over a file that sends a copy; unchanged where it is not as Python makes a standard one."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if type(stream) is not io.TextIOWrapper or type(raw) is not io.FileIO or raw.fileno() != number:
        return stream
    stream.flush()
    file = _File(number, "wb", closefd=False)
    file.write = (_copied_by_lines if buffer is raw else _copied)(file.write, copy, letter)
    file.name = raw.name
    size = getattr(raw, "_blksize", io.DEFAULT_BUFFER_SIZE)
    if sys.version_info >= (3, 14):
        size = max(min(size, 8 << 20), io.DEFAULT_BUFFER_SIZE)
    inner = file if buffer is raw else io.BufferedWriter(file, max(size, 1))
    options = {"line_buffering": stream.line_buffering, "newline": "\n"}
    if hasattr(stream, "write_through"):
        options["write_through"] = stream.write_through
    elif inner is file:  # Python 3.6, unbuffered
        options["write_through"] = True
    made = io.TextIOWrapper(inner, stream.encoding, stream.errors, **options)
    made.mode = stream.mode
    return made
