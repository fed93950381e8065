"""A thread that sends journals while a stage computes, so that no server can hold a stage up."""

import sys
import threading
import time

from defectdistill.tracking.delivery import Delivery, deliver_left
from defectdistill.tracking.journal import Journal, waiting
from defectdistill.tracking.store import connect, first_line, is_local, shown_uri, wait_longer

PATIENCE = 8.0  # seconds that a stage waits for a server, at its end (and at its start, where tracking is required)
LOCAL_PATIENCE = 120.0  # the same for an SQLite file, which other experiments may be writing
IMPORT_PATIENCE = 60.0
RETRY = 15.0  # seconds between two tries while a store does not answer


class Unreachable(OSError):
    """The MLflow store does not take what a stage has to say."""


class Sender(threading.Thread):
    """Sends what other stages left behind, then one journal as it grows, until it is closed."""

    def __init__(self, journal: Journal):
        super().__init__(name="mlflow sender", daemon=True)
        self.journal = journal
        self.imported, self.wake, self.answered = threading.Event(), threading.Event(), threading.Event()
        self.closing = False
        self.error: Exception | None = None
        self.failing_since: float | None = None
        self.delivery: Delivery | None = None

    def run(self) -> None:
        """Send until the journal is closed and sent, or the process ends."""
        while True:
            last = self.closing  # whatever was written before `closing` is sent in this round
            try:
                import mlflow  # noqa: F401 - seconds that are no server's fault

                self.imported.set()
                self.send()
                self.error = self.failing_since = None
            except Exception as error:  # a store may fail in any way: what was not sent is kept
                self.error = error
                self.failing_since = self.failing_since or time.monotonic()
            self.imported.set()  # or it cannot be: nobody has to wait for it
            self.answered.set()
            if last:
                return
            self.wake.wait(RETRY if self.error else None)
            self.wake.clear()

    def send(self) -> None:
        """Send what is there now."""
        if self.delivery is None:
            delivery = Delivery(connect())
            deliver_left(delivery)
            self.delivery = delivery  # not before: what others left is tried again, earlier runs first
        self.delivery.send(self.journal)

    def tell(self) -> None:
        """Say that the journal has grown."""
        if self.error is None:
            self.wake.set()

    def check(self) -> None:
        """Raise Unreachable if the store has not answered for a while."""
        if self.failing_since is not None and time.monotonic() - self.failing_since > PATIENCE:
            raise self.unreachable()

    def wait_for_answer(self) -> None:
        """Wait for the first try; raise Unreachable if it failed or takes too long."""
        self.imported.wait(IMPORT_PATIENCE)
        if not self.answered.wait(LOCAL_PATIENCE if is_local() else PATIENCE) or self.error:
            raise self.unreachable()

    def close(self, required: bool) -> None:
        """Send the rest, for as long as patience lasts; what is left stays on disk, which `required` makes an error."""
        self.closing = True
        self.wake.set()
        self.imported.wait(IMPORT_PATIENCE)
        self.join(LOCAL_PATIENCE if is_local() else PATIENCE)
        for what in self.delivery.left_out if self.delivery else []:
            print(f"left out of MLflow: {what}", file=sys.stderr)
        if not self.is_alive() and self.error is None:
            self.journal.remove()
            return
        if not self.is_alive():
            self.journal.lock.release()
        if required:
            raise self.unreachable()
        print(
            f"MLflow at {shown_uri()} did not take everything ({self.reason()}); it is kept and "
            "goes out with the next stage, or by `defectdistill sync`",
            file=sys.stderr,
        )

    def reason(self) -> str:
        """Return in a line why the store did not take everything."""
        return first_line(self.error) if self.error else "too slow"

    def unreachable(self) -> Unreachable:
        """Return the error that says what is wrong and what to do."""
        return Unreachable(
            f"MLflow at {shown_uri()} does not answer ({self.reason()}), and tracking.required is true: "
            "start the server, or set tracking.required: false; what was measured is kept"
        )


def send_left() -> tuple[int, list[str], int]:
    """Send all journals whose writers are gone; returns how many, what was left out, and how many are being written.

    Raises Unreachable with the reason where the store does not take them; they are kept.
    """
    if not waiting():  # no store is made for nothing
        return 0, [], 0
    try:
        delivery = Delivery(connect())
        wait_longer()
        sent = deliver_left(delivery)
    except Exception as error:  # whatever a store can fail with
        raise Unreachable(
            f"MLflow at {shown_uri()} does not take what {len(waiting())} runs have to say ({first_line(error)}); "
            "it is kept: start the server, or set MLFLOW_TRACKING_URI, and try again"
        ) from error
    return sent, delivery.left_out, len(waiting())
