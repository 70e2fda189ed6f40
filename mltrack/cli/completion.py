"""`mltrack completion`: the scripts by which bash, zsh and fish ask `mltrack __complete`, and where they go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from mltrack.errors import StorageError, UsageError

BASH = r"""# bash completion for mltrack: made by `mltrack completion bash`
_mltrack() {
    local program=mltrack how line
    [[ $1 == */* ]] && program=${1/#\~\//$HOME/}
    COMPREPLY=()
    {
        IFS= read -r how || return 0
        case $how in
            words)
                while IFS= read -r line; do COMPREPLY+=("$line"); done
                ;;
            directories)
                compopt +o nospace -o dirnames 2>/dev/null || COMPREPLY=($(compgen -d -- "$2"))
                ;;
            commands)
                COMPREPLY=($(compgen -c -- "$2"))
                compopt +o nospace +o nosort 2>/dev/null
                ;;
            *)
                compopt +o nospace -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "$2"))
                ;;
        esac
    } < <(command "$program" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null </dev/null)
}
complete -o nospace -o nosort -F _mltrack mltrack 2>/dev/null || complete -o nospace -F _mltrack mltrack
"""

ZSH = r"""#compdef mltrack
# zsh completion for mltrack: made by `mltrack completion zsh`
_mltrack() {
    local program=mltrack how line
    local -a answer before whole open as_is
    [[ $words[1] == */* ]] && program=${(Q)words[1]/#\~\//$HOME/}
    before=("${(@Q)words[2,CURRENT-1]}")
    answer=("${(@f)$(command $program __complete zsh "${before[@]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    how=$answer[1]
    shift answer
    case $how in
        words|plain)
            [[ $how == plain ]] && as_is=(-Q)
            for line in $answer; do
                if [[ $line == +* ]]; then open+=("${line#+}"); else whole+=("${line#=}"); fi
            done
            (( $#open )) && _describe -V 'mltrack' open $as_is -S ''
            (( $#whole )) && _describe -V 'mltrack' whole $as_is
            ;;
        directories) _files -/ ;;
        commands) _command_names -e ;;
        command*)
            shift ${how#command } words
            (( CURRENT -= ${how#command } ))
            _normal
            ;;
        files) _files ;;
    esac
}
if [[ $funcstack[1] == _mltrack ]]; then
    _mltrack "$@"
else
    compdef _mltrack mltrack
fi
"""

FISH = r"""# fish completion for mltrack: made by `mltrack completion fish`
function __mltrack_complete
    set -l words (commandline -opc)
    set -l program mltrack
    string match -q '*/*' -- $words[1]; and set program $words[1]
    set -l answer (command $program __complete fish (commandline -cp | string collect) 2>/dev/null </dev/null)
    switch "$answer[1]"
        case words
            printf '%s\n' $answer[2..-1]
        case directories
            __fish_complete_directories (commandline -ct)
        case 'command *'
            set -l skip (string replace 'command ' '' -- $answer[1])
            complete -C (string join ' ' -- (string escape -- $words[(math $skip + 1)..-1]) (commandline -ct))
        case commands
            complete -C (commandline -ct)
        case files
            __fish_complete_path (commandline -ct)
    end
end
complete -c mltrack -e
complete -c mltrack -k -f -a '(__mltrack_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    shell: Annotated[str | None, typer.Argument(metavar="[bash|zsh|fish]", help="By default yours, by $SHELL.")] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Write it where that shell looks. No file of yours is edited.")
    ] = False,
) -> None:
    """Let your shell complete commands, runs, names and queries: print its script, or install it.

    To try it: source <(mltrack completion bash), or: mltrack completion fish | source
    """
    shell = shell or os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SCRIPTS:
        raise UsageError(f"There is no completion for {shell or 'an unknown shell'}.", "Name one: bash, zsh or fish.")
    if not install:
        print(SCRIPTS[shell], end="")
        return
    place = place_of(shell, os.environ)
    write(place, SCRIPTS[shell])
    print(f"Written: {place}\n{advice(shell, place)}")


def place_of(shell: str, variables: Mapping[str, str]) -> Path:
    """Where a shell looks for completions of one user."""
    home = Path(variables.get("HOME") or Path.home())
    data = Path(variables.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell == "bash":
        own = variables.get("BASH_COMPLETION_USER_DIR", "").partition(":")[0]
        return (Path(own) if own else data / "bash-completion") / "completions" / "mltrack"
    if shell == "fish":
        return Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "completions" / "mltrack.fish"
    return data / "zsh" / "site-functions" / "_mltrack"


def write(place: Path, text: str) -> None:
    """Write a script whole, or not at all. Raises StorageError."""
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text)
        os.replace(new, place)
    except OSError as error:
        raise StorageError(
            f"{place} cannot be written: {error.strerror}.", "Print the script, and put it where your shell looks."
        ) from error


def advice(shell: str, place: Path) -> str:
    """What is left to do, so that it works in the next shell."""
    if shell == "fish":
        return "It works in every new fish."
    if shell == "zsh":
        return (
            "zsh looks there once this line is in your ~/.zshrc, before compinit is called (mltrack edits no file of "
            f"yours):\n    fpath=({place.parent} $fpath)\nIf compinit is not called there yet, add behind it:\n"
            "    autoload -Uz compinit && compinit"
        )
    return (
        "It works in every new bash that loads the package bash-completion. Without that package, add this line to "
        f"your ~/.bashrc (mltrack edits no file of yours):\n    source {place}"
    )
