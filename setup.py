"""Builds the preloaded library of `mltrack/observe/`; all else about the package stands in pyproject.toml.

It is no module of Python's, and knows nothing of Python: it is built as one, since that is how an installer builds what
is written in C. Without a compiler, or on another system than Linux, mltrack is installed without it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

FLAGS = "-std=gnu11 -O2 -g0 -fPIC -shared -fvisibility=hidden -fno-delete-null-pointer-checks -Wall -Wextra"
REFUSED = "-U_FORTIFY_SOURCE -U_FILE_OFFSET_BITS"
"""With these set by a compiler's defaults, the functions that we define would be macros."""
LIBRARIES = "-Wl,--as-needed,-O1,--hash-style=gnu,-z,now,-s -ldl -lpthread"
"""On older systems `dlsym` is in a library of its own. `now`: to look a function up late needs stack, which a signal's
handler may not have."""


class BuildPreload(build_ext):
    """Calls the compiler itself: the one that built this Python, with its flags, may not be here."""

    def get_ext_filename(self, fullname: str) -> str:
        return os.path.join(*fullname.split(".")) + ".so"

    def build_extension(self, ext: Extension) -> None:
        target = self.get_ext_fullpath(ext.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        aside = f"{target}.{os.getpid()}"
        words = [*shlex.split(f"{FLAGS} {REFUSED}"), "-o", aside, *ext.sources, *shlex.split(LIBRARIES)]
        asked = os.environ.get("CC")
        for compiler in [asked] if asked else ["cc", "gcc", "clang"]:
            try:
                subprocess.run([*shlex.split(compiler), *words], check=True)
                os.replace(aside, target)
                return
            except (OSError, subprocess.CalledProcessError):
                continue
        raise CompileError("no C compiler could build it: what C programs read will not be seen")

    def copy_extensions_to_source(self) -> None:
        """For an editable installation. Written in place, it would kill the programs that have it loaded."""
        for ext in self.extensions:
            built = os.path.join(self.build_lib, self.get_ext_filename(ext.name))
            if os.path.exists(built):
                place = self.get_ext_filename(ext.name)
                aside = f"{place}.{os.getpid()}"
                self.copy_file(built, aside)
                os.replace(aside, place)


SOURCES = sorted(glob("mltrack/observe/preload*.c"))
PRELOAD = Extension("mltrack.observe.preload", SOURCES, depends=["mltrack/observe/preload.h"], optional=True)

setup(ext_modules=[PRELOAD] if sys.platform == "linux" else [], cmdclass={"build_ext": BuildPreload})
