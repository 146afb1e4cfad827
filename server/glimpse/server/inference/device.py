"""Runs encoders on their device, and learns when the device is lost.

After a fault such as an illegal address, CUDA answers every later call of the process with an error, whatever the call
is. Only a new process can use the GPU again. So one more run of the encoder, the probe, follows a run that failed. If
the probe fails too, the server stops, and whatever started it starts it again.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc

from glimpse.backbone import Encoder
from glimpse.backbone.inference.provider_failures import run_failure
from glimpse.server.errors import RequestError
from glimpse.server.scheduling.batcher import Vectors

logger = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0


class DeviceLost(Exception):
    """Raised to end a server whose device answers every run with an error."""

    #: The exit code of the process: EX_TEMPFAIL of sysexits.h, which no other end of a server has.
    exit_code = 75


class DeviceWatch:
    """Reports to the event loop the loss of a device, of any backbone. `error` is set once, and stays."""

    def __init__(self) -> None:
        """Starts with devices that work. Needs a running event loop."""
        self.error: DeviceLost | None = None
        self._loop = asyncio.get_running_loop()
        self._notify: Callable[[], None] | None = None

    def on_loss(self, notify: Callable[[], None]) -> None:
        """Calls `notify` on the event loop when a device is lost; at once if one is lost already."""
        self._notify = notify
        if self.error:
            notify()

    def report(self, error: DeviceLost) -> None:
        """Records a loss; called in any thread."""
        self._loop.call_soon_threadsafe(self._record, error)

    def _record(self, error: DeviceLost) -> None:
        if self.error is None:
            self.error = error
            if self._notify:
                self._notify()


class Device:
    """Runs one encoder, in the threads of its device."""

    def __init__(self, encoder: Encoder, watch: DeviceWatch) -> None:
        """Runs `encoder`, and reports the loss of its device to `watch`."""
        self._encoder, self._watch = encoder, watch
        self._lost = False

    def run(self, encode: Callable[..., Vectors], *inputs: Any) -> Vectors:
        """Returns `encode(*inputs)`, a method of the encoder.

        Raises:
            RequestError: The device is lost; another server can answer.
            Exception: The run failed, and the device works.
        """
        if self._lost:
            raise _lost()
        try:
            return encode(*inputs)
        except Exception as error:
            # A processor has no state that a failed run could leave unusable.
            if self._encoder.on_cpu or self._works():
                raise
            self._lost = True
            name, reason = self._encoder.manifest.name, run_failure(error)
            logger.critical("the device of backbone %s is lost, the server stops: %s", name, reason)
            self._watch.report(DeviceLost(f"the device of backbone {name} is lost: {reason}"))
            raise _lost() from error

    def _works(self) -> bool:
        try:
            self._encoder.probe()
        except Exception:
            logger.exception("a run after a failed run failed too")
            return False
        return True


def _lost() -> RequestError:
    message = "the server's GPU failed, and the server restarts; retry on another server, or later"
    return RequestError(grpc.StatusCode.UNAVAILABLE, "DEVICE_LOST", message, retry_delay=_RETRY_SECONDS)
