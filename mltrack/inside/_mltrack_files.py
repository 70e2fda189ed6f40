"""What a Python process does to files, told from its audit events: where the preloaded library is not there to do it.

Executed after `_mltrack_watch.py` and `_mltrack_before.py`, among the names of those files, and by their rules. An
audit event comes before what it tells of, which may fail: so the file is looked at, and what is not there is not told.
"""
# ruff: noqa: F821

import os
import sys

_MOST_PATHS = 300000

_TO_WRITE = os.O_WRONLY | os.O_RDWR
_NO_FILE = getattr(os, "O_PATH", 0)
_TEMPORARY = getattr(os, "O_TMPFILE", 0)
_MORE = _TO_WRITE | os.O_CREAT | os.O_TRUNC | _NO_FILE | _TEMPORARY  # a flag of these: not simply to read
_KIND, _FILE, _DIRECTORY = 0o170000, 0o100000, 0o040000


class Files(Before):
    """A watch that tells of files, hosts and programs too."""

    def __init__(self, directory):
        Before.__init__(self, directory)
        self.apart = ("/proc/", "/sys/", "/dev/", os.path.dirname(directory) + "/")
        self.ports = set()
        self.is_said = False

    def handlers(self):
        return {
            "urllib.Request": self.on_request,
            "http.client.send": self.on_send,
            "open": self.on_open,
            "os.rename": self.on_rename,
            "os.remove": self.on_remove,
            "os.rmdir": self.on_remove,
            "os.mkdir": self.on_mkdir,
            "os.link": self.on_link,
            "os.symlink": self.on_symlink,
            "os.truncate": self.on_truncate,
            "os.listdir": self.to_list,
            "os.scandir": self.to_list,
            "sqlite3.connect": self.on_sqlite,
            "ctypes.dlopen": self.on_load,
            "socket.getaddrinfo": self.on_lookup,
            "socket.connect": self.on_connect,
            "subprocess.Popen": self.on_popen,
            "os.exec": self.on_exec,
            "os.posix_spawn": self.on_exec,
            "os.spawn": self.on_spawn,
            "os.system": self.on_system,
        }

    # Paths

    def absolute(self, path, directory=-1):
        """The absolute path, or None for what is not told of."""
        if type(path) is not str:
            if path is None:
                path = "."
            elif isinstance(path, int):
                return None
            path = os.fsdecode(path)
        if path[:1] != "/":
            if not path:
                return None
            path = (os.getcwd() if directory == -1 else _place_of(directory)) + "/" + path
        if "//" in path or "/./" in path or "/.." in path or path[-2:] == "/." or path[-1] == "/":
            path = _normal(path)
        if path.startswith(self.apart) and path[:9] != "/dev/shm/":
            return None
        return path

    def remember(self, letter, path):
        paths = self.told[letter]
        if len(paths) > _MOST_PATHS:
            paths.clear()
        paths.add(path)

    def forget(self, path):
        for paths in self.told.values():
            paths.discard(path)

    # Files

    def on_open(self, path, mode, flags):
        if type(path) is int or type(flags) is not int:
            return
        if mode is None and self.is_elsewhere(path, flags):
            return
        path = self.absolute(path)
        if path is None:
            return
        if not flags & _MORE or flags & _MORE == os.O_DIRECTORY:
            if path not in self.reads:
                self.to_read(path, mode is not None)
        elif not flags & _NO_FILE and not (_TEMPORARY and flags & _TEMPORARY == _TEMPORARY):
            self.to_write(path, flags & os.O_TRUNC, flags & _TO_WRITE)

    def is_elsewhere(self, path, flags):
        """Is it relative to a directory that `os.open` was given? The event does not name that: it is said instead.

        Who clears directories away or walks through them opens nothing else: that need not be said.
        """
        if os.fsdecode(path)[:1] == "/" or flags & os.O_DIRECTORY:
            return False
        frame = _program()
        if frame is None or not any(type(one) is tuple and "dir_fd" in one for one in frame.f_code.co_consts):
            return False
        if not self.is_said and frame.f_globals.get("__name__") not in ("shutil", "os"):
            self.is_said = True
            self.tell("!", "", "os.open with dir_fd")
        return True

    def to_read(self, path, is_no_directory=False):
        """`is_no_directory`: it is opened by `open`, which refuses directories; so the cheaper question is enough."""
        if is_no_directory:
            kind = _FILE if os.access(path, os.R_OK) else None
        else:
            try:
                kind = os.stat(path).st_mode & _KIND
            except OSError:
                return
        if kind == _FILE:
            self.remember("r", path)
            self.tell("r", path)
        elif kind == _DIRECTORY:
            self.to_list(path)

    def to_list(self, path):
        path = self.absolute(path)
        if path is not None and path not in self.told["s"] and os.path.isdir(path):
            self.remember("s", path)
            self.tell("s", path)

    def to_write(self, path, empties, is_writing=True):
        try:
            found = os.stat(path)
        except OSError:
            if os.path.isdir(os.path.dirname(path)):
                self.remember("w", path)
                self.tell("w", path)
            return
        if found.st_mode & _KIND != _FILE:
            return
        was_read, letter = path in self.reads, "w" if empties else "u"
        if not empties and not is_writing:
            if not was_read:
                self.to_read(path)
            return
        was_changed = path in self.told["u"]
        if path in self.told["w"] or (letter == "u" and was_changed) or not os.access(path, os.W_OK):
            return
        if not was_changed and (was_read or letter == "u") and not _is_copied_never(path):
            self.reads.add(path)  # so that our own opening is not told
            self.keep(path)
            if not was_read:
                self.reads.discard(path)
        self.remember(letter, path)
        self.tell(letter, path)

    def on_truncate(self, path, length=0):
        path = self.absolute(path)
        if path is not None and os.path.exists(path):
            self.to_write(path, False)

    def on_sqlite(self, path):
        flags = os.O_RDWR | os.O_CREAT
        if isinstance(path, (bytes, os.PathLike)):
            path = os.fsdecode(path)
        if not isinstance(path, str) or not path or path == ":memory:":
            return
        if path.startswith("file:"):
            path, _, query = path[5:].partition("#")[0].partition("?")
            if "mode=memory" in query or path in ("", ":memory:"):
                return
            path = _decoded("/" + path[2:].partition("/")[2] if path.startswith("//") else path)
            if "mode=ro" in query or "immutable=1" in query:
                flags = os.O_RDONLY
        self.on_open(path, None, flags)

    def on_rename(self, source, target, source_directory=-1, target_directory=-1):
        old, new = self.absolute(source, source_directory), self.absolute(target, target_directory)
        if not os.path.lexists(old if old is not None else source):
            return
        if new is not None:
            self.before_loss(new)
            self.forget(new)
        if old is not None:
            self.forget(old)
        if old is not None and new is not None:
            self.tell("m", old, new)
        elif new is not None:
            self.tell("w", new)
        elif old is not None:
            self.tell("d", old)
        if new is not None:
            self.remember("w", new)

    def on_remove(self, path, directory=-1):
        path = self.absolute(path, directory)
        if path is not None and os.path.lexists(path):
            self.before_loss(path)
            self.forget(path)
            self.tell("d", path)

    def on_mkdir(self, path, mode=0o777, directory=-1):
        path = self.absolute(path, directory)
        if path is not None and not os.path.lexists(path) and os.access(os.path.dirname(path), os.W_OK):
            self.tell("k", path)

    def on_symlink(self, source, target, directory=-1):
        path = self.absolute(target, directory)
        if path is not None and not os.path.lexists(path):
            self.forget(path)
            self.tell("l", path, source)

    def on_link(self, source, target, source_directory=-1, target_directory=-1):
        path = self.absolute(target, target_directory)
        if path is not None and not os.path.lexists(path):
            self.forget(path)
            self.tell("l", path, self.absolute(source, source_directory) or source)

    def on_load(self, name):
        if isinstance(name, str) and "/" in name:
            self.on_open(name, None, os.O_RDONLY)

    # Hosts

    def on_lookup(self, host, port=None, *more):
        host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if isinstance(host, str) and not self.is_here(host):
            self.ports.add(port if type(port) is int else str(port))
            self.tell_host(host, port)

    def on_connect(self, connection, address):
        if type(address) is tuple and len(address) > 1 and getattr(connection, "type", 1) & 15 == 1:
            host, port = address[:2]
            if (
                isinstance(host, str)
                and port not in self.ports
                and str(port) not in self.ports
                and not self.is_here(host)
            ):
                self.tell_host(host, port)

    def tell_host(self, host, port):
        url = ("tcp://[%s]%s" if ":" in host else "tcp://%s%s") % (host, "" if port is None else ":%s" % port)
        if url not in self.urls and len(self.urls) < _MOST_URLS:
            self.urls.add(url)
            self.tell("n", url)

    # Other programs, where the library is not there to watch them

    def on_start(self, program, words, environment):
        program = _found(os.fsdecode(program))
        path = self.absolute(program) if program else None
        if path is None:
            return
        name = path.rpartition("/")[2]
        if not name.startswith(("python", "pypy")):
            why, letter = "no library", "x"
        else:
            why, letter = _isolating([os.fsdecode(word) for word in words][1:]), "i"
            if why is None and environment is not None and not _carries_us(environment):
                why = "environment"
        if why is not None and path + why not in self.told[letter]:
            self.remember(letter, path + why)
            self.tell(letter, path, why)

    def on_popen(self, program, words, directory=None, environment=None):
        if isinstance(words, (str, bytes)):
            words = [words]
        self.on_start(program, list(words), environment)

    def on_exec(self, program, words, environment=None):
        self.on_start(program, list(words), environment)

    def on_spawn(self, mode, program, words, environment=None):
        self.on_start(program, list(words), environment)

    def on_system(self, command):
        self.on_start("/bin/sh", [], None)


def _program():
    """The frame of the program that called what we were told of."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in (__name__, "_mltrack_watch", "_mltrack_before"):
        frame = frame.f_back
    return frame


def _place_of(directory):
    is_number = type(directory) is int and directory >= 0
    return os.readlink("/proc/self/fd/%d" % directory) if is_number else os.getcwd()


def _normal(path):
    """Without empty parts and dots; what leads upwards is followed as the system does, through links."""
    head, mark, tail = path.rpartition("/..")
    if mark and tail[:1] in ("", "/"):
        path = os.path.realpath(head + mark) + tail
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _decoded(text):
    """`%20` as it stands in a URI, as the character."""
    parts = text.split("%")
    data = os.fsencode(parts[0])
    for part in parts[1:]:
        try:
            data += bytes((int(part[:2], 16),)) + os.fsencode(part[2:])
        except ValueError:
            data += b"%" + os.fsencode(part)
    return os.fsdecode(data)


def _found(name):
    """Where a program lies."""
    if "/" in name:
        return name
    for place in os.environ.get("PATH", "/bin:/usr/bin").split(":"):
        if os.access(os.path.join(place, name), os.X_OK):
            return os.path.join(place, name)
    return None


def _isolating(words):
    """The switch that keeps us out of a Python, in the words before its script."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word[:1] != "-" or word[:2] == "--" or word == "-":
            return None
        else:
            for at, letter in enumerate(word[1:], 2):
                if letter in "IES":
                    return "-" + letter
                if letter in "cm":
                    return None
                if letter in "WX":
                    skip = at == len(word)
                    break
    return None


def _carries_us(environment):
    names = [os.fsdecode(name) for name in environment]
    return "MLTRACK_OBSERVE" in names and "PYTHONPATH" in names
