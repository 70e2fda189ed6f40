"""Every sort of remote, as the tests see it: which server it needs, its URL, and where its credentials lie.

A `Kind` sets up what a user would have: variables, ~/.ssh, ~/.netrc, fsspec's configuration.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec.config
import pytest

from tests.sync.servers import AZURE_KEY, S3_KEY, S3_SECRET, State, azure_login


@dataclass
class Site:
    """One server as one test sees it, at a port that may be a proxy's."""

    kind: Kind
    state: State
    patch: pytest.MonkeyPatch
    home: Path
    tmp: Path
    port: int = 0
    folder: str = ""

    def url(self, name: str = "remote") -> str:
        """The URL of an empty remote, as the user would give it."""
        return self.kind.url(self, f"{self.folder}/{name}")

    def at(self, port: int) -> None:
        """Reach the server through another port from now on."""
        self.port = port
        self.kind.login(self)

    def login(self, **changes: Any) -> None:
        """Set up the credentials; `key` and `secret` may be wrong ones."""
        self.kind.login(self, **changes)


@dataclass(frozen=True)
class Kind:
    name: str
    server: str | None
    url: Callable[[Site, str], str]
    login: Callable[..., None]
    parts: tuple[str, ...] = ()
    replaces_at_once: bool = True
    """Does a reader never miss a file that is being replaced?"""
    share: str = ""
    """Of a WebDAV server, the share that it uses."""
    bucket: Callable[[Site, str], str] | None = None
    """The URL of a remote in a bucket that is not there."""


def no_login(site: Site, **_: Any) -> None:
    pass


# -- SSH


def ssh_url(site: Site, path: str) -> str:
    return f"sftp://127.0.0.1:{site.port}{site.state['files']}/{path}"


def ssh_login(site: Site, key: str | None = None, known: bool = True) -> None:
    place = site.home / ".ssh"
    place.mkdir(exist_ok=True, mode=0o700)
    (place / "id_ed25519").write_bytes(Path(key or site.state["id"]).read_bytes())
    (place / "id_ed25519").chmod(0o600)
    line = site.state["known"].replace(f":{site.state['port']} ", f":{site.port} ")
    (place / "known_hosts").write_text(line if known else "")
    (place / "config").write_text(f"User {site.state['user']}\n")
    site.patch.delenv("SSH_AUTH_SOCK", raising=False)


# -- S3


def s3_url(site: Site, path: str) -> str:
    return f"s3://tests/{path}"


def s3_login(site: Site, key: str = S3_KEY, secret: str = S3_SECRET) -> None:
    site.patch.setenv("AWS_ACCESS_KEY_ID", key)
    site.patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    site.patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    site.patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{site.port}")
    site.patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


# -- Azure


def azure_url(site: Site, path: str) -> str:
    return f"az://tests/{path}"


def azure_env(site: Site, key: str = AZURE_KEY) -> None:
    site.patch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_login(site.port, key))


# -- Google


def gcs_url(site: Site, path: str) -> str:
    return f"gs://tests/{path}"


def gcs_login(site: Site) -> None:
    options = {"token": "anon", "project": "p", "endpoint_url": f"http://127.0.0.1:{site.port}"}
    site.patch.setitem(fsspec.config.conf, "gcs", options)
    file = site.home / ".config" / "fsspec" / "google.json"  # for processes that start anew
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"gcs": options}))


# -- WebDAV


def dav_url(site: Site, path: str) -> str:
    return f"webdav://127.0.0.1:{site.port}/open/{path}"


def closed_url(site: Site, path: str) -> str:
    return f"webdav://127.0.0.1:{site.port}/closed/{path}"


def netrc(site: Site, secret: str = "pa55word") -> None:
    file = site.home / ".netrc"
    file.write_text(f"machine 127.0.0.1 login me password {secret}\n")
    file.chmod(0o600)


# -- no server


def directory_url(site: Site, path: str) -> str:
    place = site.tmp / "disk" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return str(place)


def memory_url(site: Site, path: str) -> str:
    return f"memory://{path}"


KINDS = [
    Kind("directory", None, directory_url, no_login),
    Kind("memory", None, memory_url, no_login),
    Kind("sftp", "sshd", ssh_url, ssh_login, ("sshd",)),
    Kind("radosgw", "radosgw", s3_url, s3_login, ("radosgw",), bucket=lambda site, path: f"s3://nosuchbucket/{path}"),
    Kind("moto", "moto", s3_url, s3_login, bucket=lambda site, path: f"s3://nosuchbucket/{path}"),
    Kind("azure", "azurite", azure_url, azure_env, ("azurite",), bucket=lambda site, path: f"az://nosuchbucket/{path}"),
    Kind("gcs", "gcs", gcs_url, gcs_login, bucket=lambda site, path: f"gs://nosuchbucket/{path}"),
    Kind("webdav", "webdav", dav_url, no_login, share="open", replaces_at_once=False),
    Kind("webdav-login", "webdav", closed_url, netrc, share="closed", replaces_at_once=False),
]


def params(*names: str) -> list[Any]:
    """The kinds of these names, or all, as parameters of a test."""
    chosen = [kind for kind in KINDS if not names or kind.name in names]
    return [pytest.param(kind, id=kind.name, marks=[pytest.mark.needs(part) for part in kind.parts]) for kind in chosen]


def make_bucket(kind: Kind, port: int) -> None:
    """Make the bucket `tests`, which may be there."""
    if kind.login is s3_login:
        import boto3

        client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=S3_KEY, aws_secret_access_key=S3_SECRET,
            region_name="us-east-1",
        )  # fmt: skip
        client.create_bucket(Bucket="tests")
        client.close()
    elif kind.login is azure_env:
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import BlobServiceClient

        with BlobServiceClient.from_connection_string(azure_login(port)) as service:
            try:
                service.create_container("tests")
            except ResourceExistsError:
                pass


def unused() -> str:
    """A name that no other test has."""
    return f"t{os.urandom(6).hex()}"
