"""Python's audit events of a process of a run, written into the journal that `observe/__init__.py` describes.

Executed by `sitecustomize.py`. Where the preloaded library is in the process, that tells of the files, and only what it
cannot know is told here: the URLs. Else `_mltrack_files.py` does both. Imports nothing that is not there already, never
prints, never raises: but what a signal handler of the program raises while we work is passed on.
"""

import os
import sys
import time

_LOWEST = 100  # a descriptor's number that a program which closes and opens its own will hardly reach
_MOST_LINES = 2000000
_MOST_URLS = 1000
_HERE = ("localhost", "0.0.0.0", "::", "::1", "")
_OURS = (__name__, "_mltrack_before", "_mltrack_files", "os", "posixpath", "genericpath", "codecs")
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Watch(object):
    """What this process has told, and where it tells it. A forked child has a copy of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.host = os.uname()[1]
        self.path = os.path.join(directory, self.host.replace("/", "_") + ".log")
        self.fd = self.device = self.inode = None
        self.lines = 0
        self.urls = set()

    def handlers(self):
        return {"urllib.Request": self.on_request, "http.client.send": self.on_send}

    # The journal

    def open(self):
        fd = os.open(self.path, _APPEND, 0o666)
        for number in range(_LOWEST, _LOWEST + 100):
            try:
                os.fstat(number)
            except OSError:
                try:
                    os.dup2(fd, number, False)
                except OSError:
                    break
                os.close(fd)
                fd = number
                break
        found = os.fstat(fd)
        self.fd, self.device, self.inode = fd, found.st_dev, found.st_ino

    def write(self, line):
        """Append a line, if the descriptor is still ours: a program may have closed it, and opened its own there."""
        self.lines += 1
        if self.lines > _MOST_LINES:
            if self.lines > _MOST_LINES + 1:
                return
            line = self.line("!", "", "too much to tell")
        try:
            found = os.fstat(self.fd)
            is_ours = found.st_ino == self.inode and found.st_dev == self.device
        except (OSError, TypeError):
            is_ours = False
        if not is_ours:
            self.open()
        elif not found.st_nlink:
            self.lines = _MOST_LINES + 1  # the run is over, and its directory gone
            return
        done = os.write(self.fd, line)
        if done != len(line):
            os.write(self.fd, b"\n")

    def line(self, letter, path, other=None):
        if "\n" in path or "\\" in path or "\t" in path:
            path = escaped(path)
        text = "%s %d %d\t%s" % (letter, os.getpid(), time.time_ns(), path)
        return os.fsencode(text + "\n" if other is None else text + "\t" + escaped(other) + "\n")

    def tell(self, letter, path, other=None):
        self.write(self.line(letter, path, other))

    # Network

    def on_request(self, url, data=None, headers=None, method=None):
        if isinstance(url, str) and method in (None, "GET", "HEAD") and (method or data is None):
            self.tell_url(url)

    def on_send(self, connection, data):
        if type(data) is bytes and data[:5] in (b"GET /", b"GET h", b"HEAD ") and b" HTTP/1." in data[:20000]:
            head = data[:20000].decode("latin-1").split("\r\n")
            path = head[0].split(" ")[1]
            hosts = [line[5:].strip() for line in head[1:] if line[:5].lower() == "host:"]
            if path[:1] == "/" and hosts:
                secure = getattr(type(connection), "default_port", 80) == 443
                path = "http%s://%s%s" % ("s" if secure else "", hosts[0], path)
            self.tell_url(path)

    def tell_url(self, url):
        scheme, mark, rest = url.partition("://")
        if not mark or scheme.lower() in ("file", "data", "") or len(url) > 20000:
            return
        rest, _, query = rest.partition("#")[0].partition("?")
        host, slash, path = rest.partition("/")
        host = host.rpartition("@")[2]
        if self.is_here(without_port(host)):
            return
        if query:
            query = "?" + "&".join(part.partition("=")[0] + "=" if "=" in part else "" for part in query.split("&"))
        url = scheme + "://" + host + slash + path + query
        if url not in self.urls and len(self.urls) < _MOST_URLS:
            self.urls.add(url)
            self.tell("n", url)

    def is_here(self, host):
        return host in _HERE or host[:4] == "127." or host.lower() == self.host.lower()


def escaped(path):
    return path.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def without_port(host):
    if host[:1] == "[":
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_ours(error):
    """Did it arise in what we called? What a signal handler of the program raised meanwhile did not."""
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    return place.tb_frame.f_globals.get("__name__") in _OURS


def watch(found):
    """Begin. From here on, each audit event passes by `hook`; most of them are none of ours."""
    find = found.handlers().get

    def hook(event, args):
        handle = find(event)
        if handle is not None:
            try:
                handle(*args)
            except Exception as error:
                if not is_ours(error):
                    raise

    sys.addaudithook(hook)
