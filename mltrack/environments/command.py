"""The words of a command: which program starts in the end, behind `env`, `nice`, `uv run` and their like.

Pure: nothing here looks at a file. What stays in front of the program (`env A=1`, `nice -n 5`) is kept apart from a
*launcher* (`uv run`, `poetry run`), which chooses the environment and is dropped when that is built again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mltrack.nouns import noun
from mltrack.patterns import lazy

DEPTH = 8
"""Prefixes and shebangs that are followed; more of them is a loop."""

PYTHON_NAME = lazy(r"(python|pypy)(\d+(\.\d+)*t?)?w?$")

ASSIGNMENT = lazy(r"[A-Za-z_][A-Za-z0-9_]*=")

MPI_VALUES = frozenset(
    (
        "-n", "-np", "--n", "--np", "-c", "-N", "-npernode", "--npernode", "-npersocket", "--npersocket", "-ppn",
        "-H", "-host", "--host", "-hosts", "-hostfile", "--hostfile", "-machinefile", "--machinefile", "-f",
        "-x", "-wdir", "--wdir", "-wd", "-path", "--path", "-prefix", "--prefix", "-bind-to", "--bind-to",
        "-map-by", "--map-by", "-rank-by", "--rank-by", "-rankfile", "--rankfile", "-am", "--am", "-tune", "--tune",
        "-output-filename", "--output-filename", "-timeout", "--timeout", "-genvlist", "-envlist", "-launcher",
        "-iface", "-stdin", "--stdin",
    )
)  # fmt: skip
MPI_PAIRS = frozenset({"-mca", "--mca", "-gmca", "--gmca", "-genv", "-env"})
"""Options that take the next two words."""

SRUN_VALUES = frozenset(
    (
        "-A", "-B", "-c", "-C", "-d", "-D", "-e", "-G", "-i", "-J", "-L", "-m", "-M", "-n", "-N", "-o", "-p", "-q",
        "-r", "-S", "-t", "-T", "-w", "-W", "-x", "--account", "--chdir", "--constraint", "--cpu-bind", "--cpu-freq",
        "--cpus-per-gpu", "--cpus-per-task", "--dependency", "--distribution", "--error", "--exclude", "--export",
        "--gpu-bind", "--gpus", "--gpus-per-node", "--gpus-per-task", "--gres", "--hint", "--input", "--jobid",
        "--job-name", "--mail-type", "--mail-user", "--mem", "--mem-bind", "--mem-per-cpu", "--mem-per-gpu", "--mpi",
        "--nodelist", "--nodes", "--ntasks", "--ntasks-per-node", "--open-mode", "--output", "--partition", "--qos",
        "--reservation", "--signal", "--time", "--unbuffered-size", "--wait",
    )
)  # fmt: skip

PREFIXES: dict[str, tuple[frozenset[str], int]] = {
    "caffeinate": (frozenset({"-t", "-w"}), 0),
    "catchsegv": (frozenset(), 0),
    "chronic": (frozenset(), 0),
    "chrt": (frozenset({"-T", "-P", "-D"}), 1),
    "dumb-init": (frozenset({"-r", "--rewrite"}), 0),
    "eatmydata": (frozenset(), 0),
    "flock": (frozenset({"-w", "--wait", "--timeout", "-E", "--conflict-exit-code"}), 1),
    "ionice": (frozenset({"-c", "-n", "--class", "--classdata"}), 0),
    "mpiexec": (MPI_VALUES, 0),
    "mpirun": (MPI_VALUES, 0),
    "nice": (frozenset({"-n", "--adjustment"}), 0),
    "nohup": (frozenset(), 0),
    "numactl": (frozenset({"-i", "-m", "-N", "-C", "-p", "-P", "-S", "-f"}), 0),
    "setsid": (frozenset(), 0),
    "srun": (SRUN_VALUES, 0),
    "stdbuf": (frozenset({"-i", "-o", "-e", "--input", "--output", "--error"}), 0),
    "strace": (frozenset({"-a", "-b", "-e", "-E", "-I", "-o", "-O", "-P", "-s", "-S", "-u", "-U", "-X"}), 0),
    "taskset": (frozenset(), 1),
    "time": (frozenset({"-f", "-o", "--format", "--output"}), 0),
    "timeout": (frozenset({"-k", "-s", "--kill-after", "--signal"}), 1),
    "tini": (frozenset({"-p", "-e"}), 0),
    "unbuffer": (frozenset(), 0),
    "valgrind": (frozenset(), 0),
    "xvfb-run": (frozenset({"-e", "-f", "-n", "-p", "-s", "-w", "--server-args", "--server-num"}), 0),
}
"""Programs that start another one as it is -> their options that take the next word, and how many words follow."""

HATCH_NAME = lazy(r"([A-Za-z0-9][A-Za-z0-9._-]*):(?=.)")
"""`hatch run test:pytest` starts pytest in the environment `test`."""

DISTRIBUTION = lazy(r"[A-Za-z0-9._-]*")

PATH_FLAGS = frozenset("IEsSP")

UV_VALUES = frozenset(
    (
        "--extra",
        "--no-extra",
        "--group",
        "--no-group",
        "--only-group",
        "--no-editable-package",
        "--env-file",
        "-w",
        "--with",
        "--with-editable",
        "--with-requirements",
        "--package",
        "--python-platform",
        "--index",
        "--default-index",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "--index-strategy",
        "--keyring-provider",
        "-P",
        "--upgrade-package",
        "--upgrade-group",
        "--resolution",
        "--prerelease",
        "--prerelease-package",
        "--fork-strategy",
        "--exclude-newer",
        "--exclude-newer-package",
        "--no-sources-package",
        "--reinstall-package",
        "--link-mode",
        "-C",
        "--config-setting",
        "--config-settings-package",
        "--no-build-isolation-package",
        "--no-build-package",
        "--no-binary-package",
        "--cache-dir",
        "--refresh-package",
        "-p",
        "--python",
        "--color",
        "--allow-insecure-host",
        "--directory",
        "--project",
        "--config-file",
        "--from",
    )
)

LAUNCHERS: dict[str, frozenset[str]] = {
    "conda": frozenset({"-n", "--name", "-p", "--prefix", "--cwd"}),
    "hatch": frozenset({"-e", "--env", "-p", "--project", "--data-dir", "--cache-dir", "--config"}),
    "mamba": frozenset({"-n", "--name", "-p", "--prefix", "--cwd"}),
    "micromamba": frozenset({"-n", "--name", "-p", "--prefix", "--cwd", "-r", "--root-prefix", "-a", "--attach"}),
    "pdm": frozenset({"-c", "--config", "-p", "--project", "-L", "--lockfile", "--venv"}),
    "pipenv": frozenset({"--python"}),
    "pipx": frozenset({"--spec", "--python", "--pip-args", "--index-url", "-i", "--with", "--backend"}),
    "pixi": frozenset({"-e", "--environment", "--manifest-path", "--color", "-p", "--platform"}),
    "poetry": frozenset({"-C", "--directory", "-P", "--project"}),
    "rye": frozenset({"-p", "--pyproject"}),
    "uv": UV_VALUES,
}
"""Programs whose `run` starts a command in an environment of their choice -> their options that take the next word."""


UV_HOW = frozenset({"-m", "--module", "-s", "--script", "--gui-script"})
"""Options of `uv run` that say what the first word is."""


@noun
class Launcher:
    """`uv run --extra gpu`: the program as it was written, and its options."""

    name: str
    """A key of `LAUNCHERS`, or `uvx`: that builds an environment for one package and is also `uv tool run`."""
    program: str
    options: tuple[str, ...]
    """The words before and after `run`, without those that say what kind of thing is started."""
    start: tuple[str, ...] = ()
    """The words that start another command in the same environment, in their order."""
    as_script: bool = False

    def words(self) -> tuple[str, ...]:
        """The words that start another command in the same environment."""
        return self.start or (self.program, "run", *self.options)


@noun
class Command:
    """A command taken apart. `argv` is what starts in the end; `kept` stands in front of it, in order."""

    argv: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    """As the program sees them: `env A=1` has been applied."""
    kept: tuple[str, ...] = ()
    launcher: Launcher | None = None


def unwrap(argv: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> Command:
    """Take a command apart. One that cannot be understood is left as it is, from the place that is strange."""
    command = Command(argv, cwd, variables)
    for _ in range(DEPTH):
        peeled = peel(command)
        if peeled is None or not peeled.argv:
            break
        command = peeled
    return command


def peel(command: Command) -> Command | None:
    """The command without its first prefix or launcher, or None where there is none."""
    if not command.argv:
        return None
    name = Path(command.argv[0]).name
    if name == "env":
        return peel_env(command)
    if name in PREFIXES:
        values, positional = PREFIXES[name]
        end = past_options(command.argv, 1, values) + positional
        return replace(command, argv=command.argv[end:], kept=command.kept + command.argv[:end])
    if command.launcher is None and (name == "uvx" or (name == "uv" and "tool" in command.argv)):
        return peel_tool(command, name) or (peel_launcher(command, name) if name == "uv" else None)
    if name in LAUNCHERS and command.launcher is None:
        return peel_launcher(command, name)
    return None


def past_options(words: tuple[str, ...], start: int, values: frozenset[str]) -> int:
    """The index of the first word from `start` that is neither an option nor the value of one."""
    index = start
    while index < len(words) and words[index].startswith("-") and words[index] != "-":
        if words[index] == "--":
            return index + 1
        index += 3 if words[index] in MPI_PAIRS else 2 if words[index] in values else 1
    return index


def peel_env(command: Command) -> Command:
    """`env -i -u NAME -C DIR A=1 COMMAND`, and `env -S "WORDS"`."""
    words, index = command.argv, 1
    variables, cwd = dict(command.variables), command.cwd
    while index < len(words):
        word = words[index]
        following = words[index + 1] if index + 1 < len(words) else ""
        if word in ("-S", "--split-string") or word.startswith(("-S", "--split-string=")):
            inner, rest = split_string(words, index)
            words = words[:index] + inner + rest
            continue
        if word in ("-i", "-", "--ignore-environment"):
            variables.clear()
        elif word in ("-u", "--unset"):
            variables.pop(following, None)
            index += 1
        elif word in ("-C", "--chdir"):
            cwd = cwd / following
            index += 1
        elif ASSIGNMENT.match(word):
            name, _, value = word.partition("=")
            variables[name] = value
        elif not word.startswith("-"):
            break
        index += 1
    kept = command.kept + words[:index]
    return replace(command, argv=words[index:], kept=kept, variables=variables, cwd=cwd)


def split_string(words: tuple[str, ...], index: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words within the value of `env -S`, and the words behind it."""
    import shlex

    word = words[index]
    if word in ("-S", "--split-string"):
        text, rest = (words[index + 1] if index + 1 < len(words) else ""), words[index + 2 :]
    else:
        text, rest = word.removeprefix("--split-string=").removeprefix("-S"), words[index + 1 :]
    try:
        return tuple(shlex.split(text)), rest
    except ValueError:
        return (text,), rest


def peel_launcher(command: Command, name: str) -> Command | None:
    """`uv [options] run [options] COMMAND`, and the other programs of `LAUNCHERS`."""
    values = LAUNCHERS[name]
    verb = past_options(command.argv, 1, values)
    if command.argv[verb : verb + 1] != ("run",):
        return None
    end = past_options(command.argv, verb + 1, values)
    before, after, inner = command.argv[1:verb], command.argv[verb + 1 : end], command.argv[end:]
    how = [word for word in (*before, *after) if word in UV_HOW] if name == "uv" else []
    before, after = (tuple(word for word in words if word not in how and word != "--") for words in (before, after))
    if name == "uv":
        inner = python_words(inner, how)
    elif name == "hatch" and inner and (found := HATCH_NAME.match(inner[0])):
        before, inner = (*before, "-e", found[1]), (inner[0][found.end() :], *inner[1:])
    elif name == "pipx" and inner and inner[0].endswith(".py"):
        inner = ("python", *inner)
    elif name == "pipx" and inner and not any(word.partition("=")[0] == "--spec" for word in after):
        after, inner = (*after, "--spec", inner[0]), (DISTRIBUTION.match(inner[0])[0], *inner[1:])  # type: ignore[index]
    as_script = name == "uv" and ("-s" in how or "--script" in how)
    start = (command.argv[0], *before, "run", *after)
    return replace(command, argv=inner, launcher=Launcher(name, command.argv[0], (*before, *after), start, as_script))


def peel_tool(command: Command, name: str) -> Command | None:
    """`uvx [options] NAME` and `uv tool run [options] NAME`: a program of a package, in an environment of its own."""
    verb = 1
    if name == "uv":
        place = past_options(command.argv, 1, UV_VALUES)
        if command.argv[place : place + 2] != ("tool", "run"):
            return None
        verb = place + 2
    end = past_options(command.argv, verb, UV_VALUES)
    options, inner = command.argv[verb:end], command.argv[end:]
    if not inner:
        return None
    options = tuple(word for word in options if word != "--")
    program, _, version = inner[0].partition("@")
    is_named = any(word.partition("=")[0] == "--from" for word in options)
    if not is_named and not is_python(program):
        options = (*options, "--from", inner[0])
    elif version and not is_named:
        options = (*options, "-p", version)
    start = (*command.argv[:verb], *options)
    inner = (program, *inner[1:])
    return replace(command, argv=inner, launcher=Launcher("uvx", command.argv[0], options, start))


def python_words(words: tuple[str, ...], how: list[str]) -> tuple[str, ...]:
    """What `uv run` makes of its words: a script or a module is started by the environment's Python."""
    if not words:
        return words
    if "-m" in how or "--module" in how:
        return ("python", "-m", *words)
    if how or words[0] == "-" or words[0].endswith((".py", ".pyw")):
        return ("python", *words)
    return words


def is_python(word: str) -> bool:
    """Is this the name of a Python interpreter, or a path that ends in one?"""
    return PYTHON_NAME.match(Path(word).name) is not None


def interpreter_flags(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The options of `python` that change where it looks for modules: -I, -E, -s, -S, -P."""
    flags: set[str] = set()
    is_value = False
    for word in argv[1:]:
        if is_value:
            is_value = False
        elif not word.startswith("-") or word == "-":
            break
        elif not word.startswith("--"):
            letters, taking = plain_letters(word[1:])
            flags.update(letters & PATH_FLAGS)
            if taking in ("c", "m"):
                break
            is_value = taking != "" and word.endswith(taking)
    return tuple(f"-{letter}" for letter in sorted(flags))


def plain_letters(cluster: str) -> tuple[set[str], str]:
    """`uIW` -> ({"u", "I"}, "W"): the letters of a cluster of options up to the one that takes a value."""
    for position, letter in enumerate(cluster):
        if letter in "cmWX":
            return set(cluster[:position]), letter
    return set(cluster), ""
