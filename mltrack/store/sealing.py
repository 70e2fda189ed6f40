"""Full packs on their way to the disk, while the next one is written."""

from __future__ import annotations

import threading

from mltrack.store.packs import Extent, PackWriter


class Sealing:
    """A full pack on its way to the disk, in a thread of its own where the system has room for one."""

    def __init__(self, writer: PackWriter) -> None:
        self.writer = writer
        self._problem: BaseException | None = None
        self._thread: threading.Thread | None = threading.Thread(target=self._seal, name="mltrack-seal")
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
            self._seal()

    def _seal(self) -> None:
        try:
            self.writer.seal()
        except BaseException as error:
            self._problem = error

    def end(self) -> Extent:
        """Wait for it, and give up its lock. Raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
        self.writer.release()
        if self._problem is not None:
            raise self._problem
        return self.writer.extent
