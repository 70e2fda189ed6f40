"""What was in a file before a Python process changes or removes it: kept where the preloaded library does not do it.

Executed after `_mltrack_watch.py`, among the names of that file, and by its rules.
"""
# ruff: noqa: F821

import os

_MOST_BYTES = 64 << 20  # of a file that is copied before it is changed
_MOST_BYTES_IN_ALL = 1 << 30  # of the whole run
_SPARE = 256 << 20  # left free on the disk
_UNIT = 4096
_MOST_OPEN = 32
_NEVER = (
    *("/.git/", "/.cache/", "/__pycache__/", "/site-packages/", "/dist-packages/", "/.mltrack/", "/.ssh/", "/.aws/"),
    *("/.gnupg/", "/.kube/", "/.docker/", "/.netrc", "/.pgpass", "/.env", "/id_rsa", "/id_ed25519", "/.kaggle/"),
    *("/.config/", "/.huggingface/", "/secrets", "/secret.", "/credentials"),
)
_ENDS = ("/token", ".pem", ".key", ".p12", ".pfx", "-wal", "-shm", "-journal")
_TOPS = ("/dev/", "/run/", "/var/", "/etc/", "/usr/")


class Before(Watch):
    """A watch that keeps what was in files; who is told of them knows which were read and written."""

    def __init__(self, directory):
        Watch.__init__(self, directory)
        self.reads = set()
        self.told = {"r": self.reads, "w": set(), "u": set(), "s": set(), "x": set(), "i": set()}
        self.left_open = 0

    def before_loss(self, path):
        """Of a file that was read and is about to lose its name: it gets another one. Its bytes stay, so they count."""
        if path not in self.reads or path in self.told["w"] or path in self.told["u"]:
            return
        if not os.path.isfile(path) or os.path.islink(path) or _is_copied_never(path):
            return
        name, kept = _name_of(path), "-"
        try:
            self.make_place()
            place = os.path.join(self.directory, "before", name)
            found = os.stat(path)
            if _has_room(self.directory, 0):
                os.link(path, place)
                if self.reserve(found.st_blocks * 512):
                    kept = "%s %d" % (name, found.st_ctime_ns)
                else:
                    os.unlink(place)
        except FileExistsError:
            return
        except OSError:
            pass
        self.tell("b", path, kept)

    def keep(self, path):
        """Copy a file. Where the program has it open, ours stays open: to close it would drop the program's locks."""
        name, kept = _name_of(path), "-"
        place = os.path.join(self.directory, "before", name)
        try:
            self.make_place()
            target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return  # another process kept it before us
        except OSError:
            target = None
        if target is not None:
            try:
                changed_ns = self.copy(path, target)
                if changed_ns is not None:
                    kept = "%s %d" % (name, changed_ns)
            finally:
                os.close(target)
                if kept == "-":
                    os.unlink(place)
        self.tell("b", path, kept)

    def copy(self, path, target):
        """Copy it, if it is not changed meanwhile. When it was changed last, in nanoseconds; None where that failed."""
        found = os.stat(path)
        size = found.st_size
        if size > _MOST_BYTES or not _has_room(self.directory, size) or not self.reserve(size):
            return None
        if self.left_open >= _MOST_OPEN and _is_open_here(found, None):
            return None
        source = None
        try:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            found = os.fstat(source)
            is_whole = _copy(source, target) and os.fstat(source).st_ctime_ns == found.st_ctime_ns
            return found.st_ctime_ns if is_whole else None
        except OSError:
            return None
        finally:
            if source is not None and _is_open_here(found, source):
                self.left_open += 1
            elif source is not None:
                os.close(source)

    def reserve(self, size):
        """Set so many bytes aside of those that the run may keep. All its processes append to one file that counts."""
        units = size // _UNIT + 1
        fd = os.open(os.path.join(self.directory, "kept"), _APPEND, 0o600)
        try:
            if (os.fstat(fd).st_size + units) * _UNIT > _MOST_BYTES_IN_ALL:
                return False
            done = os.write(fd, bytes(units))
            return done == units and os.lseek(fd, 0, os.SEEK_CUR) * _UNIT <= _MOST_BYTES_IN_ALL
        finally:
            os.close(fd)

    def make_place(self):
        place = os.path.join(self.directory, "before")
        if not os.path.isdir(place):
            try:
                os.mkdir(place, 0o700)
            except FileExistsError:
                pass


def _is_copied_never(path):
    """Nobody's data, or somebody's secret: must not lie in a second place."""
    if path.startswith(_TOPS) and not path.startswith("/var/tmp/"):
        return True
    return path.endswith(_ENDS) or any(part in path for part in _NEVER)


def _name_of(path):
    """The name of the copy is that of the path, so that of the whole run the first one stays."""
    value = 0xCBF29CE484222325
    for byte in os.fsencode(path):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return "h%016x" % value


def _has_room(place, size):
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize > 2 * size + _SPARE


def _is_open_here(found, own):
    """Is this file open in this process, apart from our descriptor of it?"""
    try:
        numbers = os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd")
    except OSError:
        return True
    for number in map(int, numbers):
        if number != own:
            try:
                other = os.fstat(number)
            except OSError:
                continue
            if other.st_ino == found.st_ino and other.st_dev == found.st_dev:
                return True
    return False


def _copy(source, target):
    while True:
        block = os.read(source, 1 << 20)
        if not block:
            return True
        if os.write(target, block) != len(block):
            return False
