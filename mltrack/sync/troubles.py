"""What went wrong out there: the errors of a dozen libraries, told apart by what can be done about them.

No library is imported here. They are known by the status that a server gave, by its own word for the trouble, or by the
names of their classes; all of that is looked for along the chain of causes.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

from mltrack.errors import RemoteError
from mltrack.patterns import lazy
from mltrack.redact import Redactor

PASSING_STATUS = {408, 423, 425, 429, 500, 502, 503, 504}
PASSING_CODES = {
    "InternalError", "OperationAborted", "RequestTimeout", "ServerBusy", "ServiceUnavailable", "SlowDown", "Throttling",
    "ThrottlingException", "OperationTimedOut", "RequestTimeTooSlow",
}  # fmt: skip
PASSING_NUMBERS = {
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN,
    errno.ENETRESET, errno.ENETUNREACH, errno.EPIPE, errno.ETIMEDOUT, errno.ESTALE,
}  # fmt: skip
PASSING_CLASSES = {
    # Python and fsspec
    "ConnectionError", "TimeoutError", "FSTimeoutError", "IncompleteRead", "IncompleteReadError", "gaierror",
    # aiohttp
    "ClientConnectionError", "ClientPayloadError", "ServerTimeoutError",
    # botocore
    "HTTPClientError", "ResponseStreamingError", "ResponseParserError",
    # azure
    "ServiceRequestError", "ServiceResponseError",
    # httpx, requests
    "TransportError", "ChunkedEncodingError", "ProxyError", "Timeout",
    # asyncssh
    "ConnectionLost", "SFTPConnectionLost", "SFTPNoConnection", "ServiceNotAvailable",
}  # fmt: skip
LASTING_CLASSES = {
    "SSLError", "ClientSSLError", "ClientConnectorCertificateError", "SSLCertVerificationError", "InvalidURL",
    "InvalidUrlClientError", "UnsupportedProtocol", "ProxyConnectionError",
}  # fmt: skip

NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"}
FULL_CODES = {"QuotaExceeded", "InsufficientStorage"}
FULL_NUMBERS = {errno.ENOSPC, errno.EDQUOT}
REFUSED_NUMBERS = {errno.EACCES, errno.EPERM}
CREDENTIAL_CLASSES = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "ClientAuthenticationError",
    "CredentialUnavailableError",
}

USERINFO = lazy(r"(?<=://)[^/@\s]*@")
QUERY = lazy(r"(?<=[^\s?]\?)[^\s'\")]+=[^\s'\")]*")
MARKUP = lazy(r"<[^>]*>")
LONGEST = 200
"""Characters of a library's own words that are told."""


def links(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        inner = getattr(error, "os_error", None)
        if isinstance(inner, BaseException):
            yield inner
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def classes(error: BaseException) -> set[str]:
    """The names of the classes of an error and its causes."""
    return {kind.__name__ for link in links(error) for kind in type(link).__mro__}


def numbers(error: BaseException) -> set[int]:
    """The numbers of the system's errors; those of TLS are of another kind."""
    found = (link for link in links(error) if isinstance(link, OSError))
    found = (link for link in found if not LASTING_CLASSES & {kind.__name__ for kind in type(link).__mro__})
    return {link.errno for link in found if isinstance(link.errno, int)}


def status_of(error: BaseException) -> int | None:
    """The HTTP status with which a server refused a request."""
    for link in links(error):
        if "HttpProcessingError" in {kind.__name__ for kind in type(link).__mro__}:
            continue  # aiohttp's word for an answer that was cut; its status is made up
        response: Any = getattr(link, "response", None)
        if isinstance(response, dict):  # botocore
            response = response.get("ResponseMetadata", {})
            found = response.get("HTTPStatusCode") if isinstance(response, dict) else None
            if isinstance(found, int):
                return found
        for where in (link, response):
            for name in ("status", "status_code", "code"):
                found = getattr(where, name, None)
                if isinstance(found, int) and 400 <= found < 600:
                    return found
    return None


def codes_of(error: BaseException) -> set[str]:
    """A server's own words for what was wrong: `SlowDown`, `NoSuchBucket`."""
    found: set[str] = set()
    for link in links(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict) and isinstance(response.get("Error"), dict):
            found.add(str(response["Error"].get("Code")))
        code = getattr(link, "error_code", None)  # azure
        if code is not None:
            found.add(str(getattr(code, "value", code)))
    return found


def is_absent(error: BaseException) -> bool:
    """Is it said that a file is not there? That its bucket is not there is another thing."""
    return isinstance(error, FileNotFoundError) and not NO_BUCKET & codes_of(error)


def is_transient(error: BaseException) -> bool:
    """May the same request succeed in a moment?"""
    if isinstance(error, RemoteError):
        return False
    names = classes(error)
    if LASTING_CLASSES & names or isinstance(error, FileNotFoundError):
        return False
    if any(isinstance(link, socket.gaierror) and link.errno == socket.EAI_NONAME for link in links(error)):
        return False
    status = status_of(error)
    if status is not None:
        return status in PASSING_STATUS or bool(PASSING_CODES & codes_of(error))
    return bool(PASSING_CLASSES & names or PASSING_NUMBERS & numbers(error) or PASSING_CODES & codes_of(error))


def reason_of(error: BaseException) -> str:
    """The trouble in a few words on one line, without secrets."""
    code = next(iter(sorted(codes_of(error) - {"None", "Unknown"})), "")
    if code.isalpha():
        return code
    status = status_of(error)
    if status is not None:
        from http import HTTPStatus

        known = status in set(HTTPStatus)
        return f"HTTP {status}" + (f" {HTTPStatus(status).phrase}" if known else "")
    for link in links(error):
        if isinstance(link, OSError) and link.strerror and link.errno:
            return link.strerror if link.errno < 0 or link.errno not in errno.errorcode else os.strerror(link.errno)
    text = next((text for text in map(first_line, links(error)) if text), "")
    return text or type(error).__name__


def first_line(error: BaseException) -> str:
    """What an error says, as far as it may be told."""
    text = MARKUP.sub(" ", str(error)).strip().split("\n")[0]
    text = QUERY.sub("...", USERINFO.sub("", text))
    text = Redactor(os.environ).text(" ".join(text.split()))
    return (text[:LONGEST] + "..." if len(text) > LONGEST else text).rstrip(". ")


def plain(verb: str, shown: str, error: Exception) -> RemoteError:
    """The error that is told: what could not be done to the remote `shown`, and what to do about it."""
    status, codes, found = status_of(error), codes_of(error), numbers(error)
    names = classes(error)
    if found & FULL_NUMBERS or status == 507 or codes & FULL_CODES:
        return RemoteError(f"The remote {shown} is full.", "Free some space there and push again.")
    if errno.EROFS in found or isinstance(error, NotImplementedError) or status in (405, 501):
        return RemoteError(f"The remote {shown} is read-only.", "Push to another one.")
    if CREDENTIAL_CLASSES & names and status is None:
        return RemoteError(f"There are no credentials for the remote {shown}.", "See docs/guides/remotes.md.")
    if status in (401, 403) or REFUSED_NUMBERS & found or isinstance(error, PermissionError):
        why = reason_of(error)
        why = f" ({why})" if why and why not in ("Permission denied", "PermissionError") else ""
        return RemoteError(
            f"The remote {shown} refused to {verb} it{why}.", "Check your credentials and the permissions there."
        )
    if codes & NO_BUCKET or (isinstance(error, FileNotFoundError) and verb != "read"):
        return RemoteError(
            f"The place of the remote {shown} does not exist.", "Create the bucket or folder first, or check the URL."
        )
    return RemoteError(
        f"Could not {verb} the remote {shown}: {reason_of(error)}.", "Check the URL, the network and your credentials."
    )
