"""Looks whether an archive is still at its URL, and a commit still in its repository, without fetching either."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

SECONDS = 20.0

OURS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_NAMESPACE")


def look_at_url(url: str, variables: Mapping[str, str]) -> str | None:
    """What is wrong with an archive's URL; None if it answers."""
    from http.client import HTTPException
    from urllib.error import HTTPError

    from mltrack.environments.python.fetching import logins_of, opener, reason_of, request_for

    address, logins = url.partition("#")[0], logins_of(variables)
    for method, headers in (("HEAD", {}), ("GET", {"Range": "bytes=0-0"})):
        try:
            request = request_for(address, logins, method=method, headers=headers)
            with opener(variables).open(request, timeout=SECONDS):
                return None
        except HTTPError as error:
            error.close()
            if method == "HEAD" and error.code in (400, 403, 405, 501):
                continue  # a server that does not know HEAD, or a signature that is for GET
            return f"Its URL answers {error.code} {error.reason}."
        except (OSError, HTTPException, ValueError) as error:
            return f"Its URL cannot be reached: {reason_of(error)}."
    return None


def look_at_repository(url: str, variables: Mapping[str, str]) -> str | None:
    """What is wrong with `git+https://host/path@commit`; None if the commit can be had, or nobody can tell."""
    kind, _, address = url.partition("#")[0].partition("+")
    address, _, commit = address.rpartition("@")
    if kind != "git":
        return None
    code, said = git(variables, "ls-remote", "--", address)
    if code:
        return f"Its repository cannot be read: {said.strip().splitlines()[-1] if said.strip() else 'no answer'}"
    if commit in said:
        return None
    return look_at_commit(address, commit, variables)


def look_at_commit(address: str, commit: str, variables: Mapping[str, str]) -> str | None:
    """Ask for a commit that is no branch's newest: without its files, where the server can leave them out."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        git(variables, "init", "--quiet", "--bare", place)
        words = ("fetch", "--quiet", "--depth=1", "--filter=tree:0", "--no-tags", "--", address, commit)
        code, said = git(variables, "-C", place, *words)
    if code == 0:
        return None
    if "dumb http" in said or "does not support shallow" in said:
        return None  # such a server has only whole histories; whether this one has the commit is not known
    return f"Its repository does not give commit {commit[:12]}."


def git(variables: Mapping[str, str], *words: str) -> tuple[int, str]:
    """Run git without a question on the terminal; its exit code and what it said."""
    given = {name: text for name, text in variables.items() if name not in OURS}
    given |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "LC_ALL": "C"}
    given.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10")
    try:
        done = subprocess.run(
            ["git", "-c", "core.hooksPath=" + os.devnull, *words],
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 1, f"it does not answer within {SECONDS:.0f} s"
    except OSError as error:
        return 1, f"git does not start: {error}"
    return done.returncode, done.stdout.decode(errors="replace")
