"""What a machine does in its own way and no file of the project says: its time zone, the umask, the locales it has.

Light: `mltrack run` asks before every start. Never raises: what cannot be read is None.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

LOCALTIME = "/etc/localtime"
ZONES = "/usr/share/zoneinfo"
EVERYWHERE = ("C", "POSIX", "C.UTF-8", "C.utf8", "")
ALL_OF_GLIBC = 0x1FBF
"""LC_ALL_MASK of glibc's newlocale()."""


def habits() -> dict[str, str]:
    """What is recorded of them: `time_zone`, `umask`."""
    found = {"time_zone": time_zone(), "umask": umask()}
    return {name: text for name, text in found.items() if text is not None}


def time_zone() -> str | None:
    """The name of the machine's own zone, which counts where TZ is not set."""
    try:
        place = os.path.realpath(LOCALTIME)
    except OSError:
        return None
    if not os.path.exists(place):
        return "UTC"  # so the C library has it
    _, is_zone, name = place.partition("/zoneinfo/")
    return name.removeprefix("posix/") if is_zone else None


def has_zone(name: str) -> bool:
    """Does this machine know a time zone?"""
    return not os.path.isabs(name) and ".." not in name and os.path.isfile(os.path.join(ZONES, name))


def umask() -> str | None:
    """The permissions that new files do not get, as in `0022`."""
    try:
        with open("/proc/self/status") as file:
            return next((line.split()[1] for line in file if line.startswith("Umask:")), None)
    except OSError:
        return None


def locale_of(variables: Mapping[str, str]) -> str:
    """The locale that variables ask for, as far as one name tells it."""
    return variables.get("LC_ALL") or variables.get("LC_CTYPE") or variables.get("LANG") or "C"


def has_locale(name: str) -> bool | None:
    """Does this machine have a locale? Programs fall back to C without a word where it has not. None: not known."""
    if name in EVERYWHERE:
        return True
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "newlocale") or not hasattr(libc, "gnu_get_libc_version"):
        return None
    libc.newlocale.restype = ctypes.c_void_p
    libc.newlocale.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    libc.freelocale.argtypes = (ctypes.c_void_p,)
    made = libc.newlocale(ALL_OF_GLIBC, os.fsencode(name), None)
    if made:
        libc.freelocale(made)
    return bool(made)
