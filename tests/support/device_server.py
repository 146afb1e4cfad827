"""Makes a server search on a device that stands in for a GPU, however few examples there are."""

import sys
import threading
import time
from pathlib import Path
from unittest.mock import patch

from glimpse.index.search.device_rows import upkeep
from glimpse.server import runtime
from glimpse.server.classification import neighbors
from support.device import FakeDevice


def use_device() -> None:
    """Gives this process a device with small parts; every use of it is a line of the server's log.

    While there is a file `hold` in the server's data folder, a use does not end.
    """
    fake = FakeDevice()
    hold = Path(sys.argv[sys.argv.index("--data") + 1]) / "hold"

    def use(name: str) -> None:
        print("device:", name, file=sys.stderr)
        while hold.exists():
            time.sleep(0.002)

    fake.hook = use
    vars(upkeep).update(PART_ROWS=64, _MOVED=16, _TAIL_BYTES=512)
    neighbors._MAX_INLINE = 0
    device = fake.device(lambda work: threading.Thread(target=work).start())
    patch.object(runtime, "first_gpu", lambda _: device).start()
