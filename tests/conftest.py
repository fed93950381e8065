"""One thread for each test process: pytest-xdist runs one on every core, and more threads would wait for each other.

Set before torch is loaded, and inherited by the processes that tests start; a stage still pins its own number.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
