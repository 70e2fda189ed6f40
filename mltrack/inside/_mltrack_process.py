"""What a process of a run tells at its end: the modules it imported, and what moved its numbers.

Executed by `sitecustomize.py`, not imported, in a process that is about to end: it looks only at modules that are there
already and imports none, for the program's own directory may hold a `json.py`. Whatever fails is left out.
"""

import os
import sys

_OWN = os.path.dirname(os.path.abspath(sys._getframe().f_code.co_filename)) + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep
_SMALL = 400  # bytes of an __init__.py that may be that of a namespace, whose parts belong to several distributions
_STARTED = ("__main__", "_distutils_hack")  # setuptools is asked for at every start, used or not
_MOST_MODULES = 4000
_MOST_BYTES = 2000000
_BLAS = ("libopenblas", "libscipy_openblas", "libmkl_rt", "libmkl_core", "libblis", "libblas.", "libatlas")
_OPENMP = ("libgomp", "libiomp5", "libomp")
_SHARED = _BLAS + _OPENMP + ("libcudart", "libcudnn.", "libcudnn-", "libcublas.", "libcublas-", "libnccl")


def tell(process):
    """Write `<pid>-<random>.json` whole, then take the mark away."""
    mark = process.mark or os.path.join(process.directory, "%d-%s" % (os.getpid(), os.urandom(6).hex()))
    try:
        modules = modules_of(process.known)
        if process.is_forked and (not modules or os.stat(process.directory).st_size > 400000):
            return
        text = encode(describe(process, modules)).encode("ascii")
        if len(text) <= _MOST_BYTES:
            write(mark, text)
    finally:
        if process.mark:
            os.unlink(mark + ".began")


def write(mark, text):
    aside = mark + ".tmp"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        whole = os.write(fd, text) == len(text)
    finally:
        os.close(fd)
    if whole:
        os.rename(aside, mark + ".json")
    else:
        os.unlink(aside)


def describe(process, modules):
    now = {name: os.environ.get(name) for name in process.variables}
    changed = {name: text or "" for name, text in now.items() if text != process.variables[name]}
    return {
        "format": 1,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "executable": sys.executable,
        "prefix": sys.prefix,
        "started": started(),
        "program": program(),
        "forked": process.is_forked,
        "rank": "" if process.rank is None else str(process.rank),
        "host": os.uname()[1],
        "error": uncaught(),
        "modules": modules,
        "facts": {} if process.is_forked else facts(),
        "variables": changed,
    }


def started():
    """`script`, `module` (python -m), `code` (-c, standard input, interactive)."""
    if contents(sys.modules.get("__main__")).get("__spec__") is not None:
        return "module"
    return "code" if getattr(sys, "argv", [""])[:1] in ([], [""], ["-"], ["-c"]) else "script"


def program():
    """The name of the script or module that was started; empty for other code."""
    spec = contents(sys.modules.get("__main__")).get("__spec__")
    name = getattr(spec, "name", None) or os.path.basename("".join(getattr(sys, "argv", [""])[:1]))
    return "" if started() == "code" else str(name)[:200]


def uncaught():
    """The name of the exception that is the end of this process; empty where there is none."""
    return str(getattr(getattr(sys, "last_type", None), "__name__", ""))[:100]


def contents(module):
    """A module's names, without asking it: some load what they are asked for."""
    try:
        return object.__getattribute__(module, "__dict__")
    except Exception:
        return {}


def modules_of(known=()):
    """Module -> file, for each package outside the standard library; of a namespace, for each part of it."""
    found, whole = {}, set()
    for name in sorted(sys.modules):
        parent = name.rpartition(".")[0]
        if parent in whole:
            whole.add(name)
            continue
        if name in known or name in _STARTED or (parent and parent not in sys.modules):
            continue
        names = contents(sys.modules.get(name))
        file = names.get("__file__")
        if isinstance(file, str) and not is_part_only(file, names.get("__path__")):
            whole.add(name)
        if isinstance(file, str) and not is_own(file) and len(found) < _MOST_MODULES:
            found[name] = file
    return found


def is_part_only(file, path):
    """May other distributions have modules below this package?"""
    if path is None:
        return False
    try:
        return len(path) > 1 or os.stat(file).st_size < _SMALL
    except Exception:
        return False


def is_own(file):
    """Of the standard library, or of mltrack's."""
    if file.startswith(_OWN):
        return True
    rest = file[len(_STANDARD) :] if file.startswith(_STANDARD) else None
    return rest is not None and not rest.startswith(("site-packages" + os.sep, "dist-packages" + os.sep))


def facts():
    """Key -> text; see `docs/reference/machine-interface.md`."""
    found = {}
    shared = shared_libraries()
    ask(found, None, quietly, frameworks, found)
    ask(found, None, name_libraries, found, shared)
    ask(found, None, ask_libraries, found, shared)
    return {key: str(value)[:300] for key, value in found.items() if value is not None}


def quietly(function, *args):
    """Call a function without the warnings of deprecated switches."""
    warnings = sys.modules.get("warnings")
    if warnings is None:
        return function(*args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def frameworks(found):
    for name, look in (("torch", of_torch), ("numpy", of_numpy), ("tensorflow", of_tensorflow), ("jax", of_jax)):
        if name in sys.modules:
            ask(found, None, look, found, sys.modules[name])
    threads = sys.modules.get("sklearn.utils._openmp_helpers")
    if threads is not None:
        ask(found, "openmp.threads", lambda: threads._openmp_effective_n_threads())


def ask(found, key, function, *args):
    """Keep what the function returns, if it returns anything; what raises is not known."""
    try:
        value = function(*args)
        if key and value is not None:
            found[key] = value
    except Exception:
        pass


def of_torch(found, torch):
    version = contents(sys.modules.get("torch.version"))
    found["torch"] = version.get("__version__")
    found["torch.git"] = version.get("git_version")
    found["torch.cuda"] = version.get("cuda")
    found["torch.hip"] = version.get("hip")
    for key, function in (
        ("torch.threads", lambda: torch.get_num_threads()),
        ("torch.threads.interop", lambda: torch.get_num_interop_threads()),
        ("torch.dtype", lambda: torch.get_default_dtype()),
        ("torch.deterministic", lambda: deterministic(torch)),
        ("torch.cudnn.benchmark", lambda: torch.backends.cudnn.benchmark),
        ("torch.cudnn.deterministic", lambda: torch.backends.cudnn.deterministic),
        ("torch.tf32.matmul", lambda: torch.backends.cuda.matmul.allow_tf32),
        ("torch.tf32.cudnn", lambda: torch.backends.cudnn.allow_tf32),
        ("torch.matmul_precision", lambda: torch.get_float32_matmul_precision()),
    ):
        ask(found, key, function)
    if torch.cuda.is_initialized():
        ask(found, "torch.cudnn", lambda: torch.backends.cudnn.version())
        names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        found["torch.devices"] = ", ".join(names)


def deterministic(torch):
    if not torch.are_deterministic_algorithms_enabled():
        return "False"
    return "warn" if torch.is_deterministic_algorithms_warn_only_enabled() else "True"


def of_numpy(found, numpy):
    config = contents(sys.modules.get("numpy.__config__"))
    blas = config.get("CONFIG", {}).get("Build Dependencies", {}).get("blas", {})
    if blas.get("name"):
        found["blas"] = ("%s %s" % (blas["name"], blas.get("version", ""))).strip()
        return
    for key in ("blas_ilp64_opt_info", "blas_opt_info"):
        names = config.get(key, {}).get("libraries")
        if names:
            found["blas"] = " ".join(sorted(set(names)))
            return


def of_tensorflow(found, tensorflow):
    found["tensorflow"] = contents(tensorflow).get("__version__")
    build = contents(sys.modules.get("tensorflow.python.platform.build_info")).get("build_info") or {}
    found["tensorflow.cuda"] = build.get("cuda_version")
    found["tensorflow.cudnn"] = build.get("cudnn_version")
    config = sys.modules.get("tensorflow.python.framework.config")
    for key, name in (
        ("tensorflow.deterministic", "is_op_determinism_enabled"),
        ("tensorflow.tf32", "tensor_float_32_execution_enabled"),
    ):
        ask(found, key, lambda name=name: getattr(config, name)())


def of_jax(found, jax):
    found["jax"] = contents(jax).get("__version__")
    for key, name in (
        ("jax.x64", "jax_enable_x64"),
        ("jax.matmul_precision", "jax_default_matmul_precision"),
        ("jax.prng", "jax_default_prng_impl"),
    ):
        ask(found, key, lambda name=name: getattr(jax.config, name))


def shared_libraries():
    """The files of numeric libraries that are loaded."""
    try:
        with open("/proc/self/maps", "rb") as file:
            lines = file.read().decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        return []
    paths = {line.split(None, 5)[5] for line in lines if ".so" in line and line.count("/") > 1}
    return sorted(path for path in paths if os.path.basename(path).startswith(_SHARED))


def name_libraries(found, paths):
    """The names of files, which hold a digest in a wheel, and elsewhere often the version."""
    names = sorted({os.path.basename(path) for path in paths})
    for key, stems in (("blas.files", _BLAS), ("openmp", _OPENMP)):
        listed = [name for name in names if name.startswith(stems)]
        if listed:
            found[key] = ", ".join(listed)
    for key in ("cuda", "cudnn", "cublas", "nccl"):
        stem = {"cuda": "libcudart"}.get(key, "lib" + key)
        versions = [name.partition(".so.")[2] for name in names if name.startswith((stem + ".", stem + "-"))]
        known = sorted({version for version in versions if version.count(".") > 1})
        if known:  # `libcudart.so.12` of a wheel says less than the wheel's own version
            found[key] = ", ".join(known)


def ask_libraries(found, paths):
    """What OpenBLAS, MKL and OpenMP say of themselves, where the program has loaded ctypes anyway."""
    ctypes = sys.modules.get("ctypes")
    if ctypes is None or not hasattr(os, "RTLD_NOLOAD"):
        return
    answers = {}
    for path in paths:
        ask(found, None, ask_library, ctypes, path, answers)
    for key, values in answers.items():
        found.setdefault(key, ", ".join(sorted(values)))


def ask_library(ctypes, path, answers):
    """Only of a library that is loaded already: it is never loaded for this."""
    name = os.path.basename(path)
    library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
    if "openblas" in name:
        keep(answers, "blas.kernel", openblas(ctypes, library, "openblas_get_corename", True))
        keep(answers, "blas.threads", openblas(ctypes, library, "openblas_get_num_threads", False))
    elif name.startswith("libmkl_rt"):
        keep(answers, "blas.threads", library.MKL_Get_Max_Threads())
    elif name.startswith(_OPENMP):
        keep(answers, "openmp.threads", library.omp_get_max_threads())


def keep(answers, key, value):
    if value is not None:
        answers.setdefault(key, set()).add(str(value))


def openblas(ctypes, library, name, is_text):
    """Call a function of OpenBLAS under whichever of its names this build has."""
    for prefix in ("scipy_", ""):
        for suffix in ("64_", "_64", ""):
            try:
                function = getattr(library, prefix + name + suffix)
            except AttributeError:
                continue
            function.restype = ctypes.c_char_p if is_text else ctypes.c_int
            value = function()
            return value.decode() if isinstance(value, bytes) else value
    return None


def encode(value):
    """JSON of texts, truth values and tables."""
    if isinstance(value, dict):
        return "{%s}" % ",".join(["%s:%s" % (encode(str(key)), encode(value[key])) for key in sorted(value)])
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"%s"' % "".join([escape(letter) for letter in value])


def escape(letter):
    number = ord(letter)
    if 32 <= number < 127 and letter not in '"\\':
        return letter
    if number > 0xFFFF:
        number -= 0x10000
        return "\\u%04x\\u%04x" % (0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF))
    return "\\u%04x" % number
