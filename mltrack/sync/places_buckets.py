"""Object stores: S3, Google Cloud Storage, Azure Blob. A put makes an object appear whole; folders are names only.

Sessions and credentials are those of s3fs, gcsfs and adlfs. The requests are made here, one for a read or write: their
own ask for the length before each read, cut large files into parts, and look three times whether a folder is a file.
Their own retries are off, for `patience.py` does that and says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from io import BytesIO
from typing import Any

from mltrack.sync.patience import CONNECT, CONNECTIONS, STALL
from mltrack.sync.places import Listed
from mltrack.sync.places_fsspec import Looped, configured, open_url, visible
from mltrack.sync.troubles import status_of

PAST_THE_END = 416
"""The HTTP status of a range that begins behind the last byte."""


class Bucket(Looped, ABC):
    """A bucket, and the prefix of the remote in it."""

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__()
        self.fs = fs
        self.bucket, _, prefix = root.strip("/").partition("/")
        self.prefix = f"{prefix}/" if prefix else ""

    def read(self, path: str) -> bytes:
        return self.wait(self.get(self.prefix + path), 64 << 20)

    def read_range(self, path: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            return self.wait(self.get(self.prefix + path, start, length), length)
        except Exception as error:
            if status_of(error) == PAST_THE_END:
                return b""
            raise

    def write(self, path: str, data: bytes) -> None:
        self.wait(self.put(self.prefix + path, data), len(data))

    def remove(self, path: str) -> None:
        self.wait(self.delete(self.prefix + path))

    def list(self, folder: str) -> dict[str, Listed]:
        prefix = self.prefix + (f"{folder}/" if folder else "")
        return visible(self.wait(self.find(prefix), 64 << 20), len(prefix))

    @abstractmethod
    async def get(self, key: str, start: int | None = None, length: int = 0) -> bytes:
        """An object, or a part of it."""

    @abstractmethod
    async def put(self, key: str, data: bytes) -> None:
        """Make an object, or replace it."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    @abstractmethod
    async def find(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Every object whose key begins so, by its key: `size`, and a time as `modified` finds it."""


class S3(Bucket):
    """Amazon's S3, and what speaks like it."""

    def __init__(self, url: str) -> None:
        config = {
            "connect_timeout": CONNECT,
            "read_timeout": STALL,
            "max_pool_connections": CONNECTIONS,
            "retries": {"max_attempts": 0},
        }
        fs, root = open_url(url, config_kwargs={**config, **configured("s3", "config_kwargs")})
        fs.retries = 1
        super().__init__(fs, root)

    async def end(self) -> None:
        if self.fs._s3 is not None:
            await self.fs._s3creator.__aexit__(None, None, None)

    async def get(self, key: str, start: int | None = None, length: int = 0) -> bytes:
        part = {} if start is None else {"Range": f"bytes={start}-{start + length - 1}"}
        answer = await self.fs._call_s3("get_object", Bucket=self.bucket, Key=key, **part)
        async with answer["Body"] as body:
            return bytes(await body.read())

    def write(self, path: str, data: bytes) -> None:
        body = BytesIO(data)  # whose position tells how much is sent
        self.wait(self.put(self.prefix + path, body), len(data), body.tell)

    async def put(self, key: str, data: Any) -> None:
        await self.fs._call_s3("put_object", Bucket=self.bucket, Key=key, Body=data)

    async def delete(self, key: str) -> None:
        await self.fs._call_s3("delete_object", Bucket=self.bucket, Key=key)

    async def find(self, prefix: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        more: dict[str, str] = {}
        while True:
            page = await self.fs._call_s3("list_objects_v2", Bucket=self.bucket, Prefix=prefix, **more)
            for item in page.get("Contents", ()):
                found[item["Key"]] = {"size": item["Size"], "LastModified": item["LastModified"]}
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}


class Gcs(Bucket):
    """Google Cloud Storage, by its JSON interface."""

    def __init__(self, url: str) -> None:
        import warnings

        from aiohttp import ClientTimeout

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Google's, of an old Python, at every command
            from gcsfs.core import GCSFileSystem

        timeout = ClientTimeout(total=None, sock_connect=CONNECT, sock_read=STALL)
        options = {"session_kwargs": {"timeout": timeout, **configured("gcs", "session_kwargs")}}
        # By its class and not by its protocol, behind which newer versions ask for the sort of bucket first, over gRPC.
        fs = GCSFileSystem(use_listings_cache=False, skip_instance_cache=True, **options)
        once = getattr(type(fs)._request, "__wrapped__", None)
        if once is not None:  # its own retries take half a minute and say nothing
            fs._request = partial(once, fs)
        super().__init__(fs, url.partition("://")[2])

    async def end(self) -> None:
        if self.fs._session is not None:
            await self.fs._session.close()

    async def get(self, key: str, start: int | None = None, length: int = 0) -> bytes:
        end = None if start is None else start + length
        return bytes(await self.fs._cat_file(f"{self.bucket}/{key}", start=start, end=end))

    async def put(self, key: str, data: bytes) -> None:
        in_one_request = {"chunksize": len(data) + 1}
        await self.fs._pipe_file(f"{self.bucket}/{key}", data, **in_one_request)

    async def delete(self, key: str) -> None:
        await self.fs._rm_file(f"{self.bucket}/{key}")

    async def find(self, prefix: str) -> dict[str, dict[str, Any]]:
        found = await self.fs._find(f"{self.bucket}/{prefix}".rstrip("/"), detail=True)
        return {name.partition("/")[2]: info for name, info in found.items()}


class Azure(Bucket):
    """Azure Blob Storage."""

    def __init__(self, url: str) -> None:
        super().__init__(*open_url(url))
        self.options: dict[str, Any] = {"retry_total": 0, "connection_timeout": CONNECT, "read_timeout": STALL}

    async def end(self) -> None:
        await self.fs.service_client.close()

    async def get(self, key: str, start: int | None = None, length: int = 0) -> bytes:
        part = {} if start is None else {"offset": start, "length": length}
        async with self.fs.service_client.get_blob_client(self.bucket, key) as blob:
            try:
                answer = await blob.download_blob(max_concurrency=2, **part, **self.options)
                return bytes(await answer.readall())
            except Exception as error:
                if is_missing(error):
                    raise FileNotFoundError(key) from error
                raise

    async def put(self, key: str, data: bytes) -> None:
        async with self.fs.service_client.get_blob_client(self.bucket, key) as blob:
            await blob.upload_blob(data, overwrite=True, max_concurrency=2, **self.options)

    async def delete(self, key: str) -> None:
        async with self.fs.service_client.get_blob_client(self.bucket, key) as blob:
            try:
                await blob.delete_blob(**self.options)
            except Exception as error:
                if is_missing(error):
                    raise FileNotFoundError(key) from error
                raise

    async def find(self, prefix: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        async with self.fs.service_client.get_container_client(self.bucket) as container:
            async for blob in container.list_blobs(name_starts_with=prefix, **self.options):
                found[blob.name] = {"size": blob.size, "last_modified": blob.last_modified}
        return found


def is_missing(error: Exception) -> bool:
    """Is it Azure's word that a blob is not there?"""
    code = getattr(error, "error_code", None)
    return getattr(code, "value", code) == "BlobNotFound"
