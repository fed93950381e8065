"""How the tests share the cores: one thread for each test process, and the longest files first.

The number is set before torch is loaded, and the processes that tests start inherit it; a stage still pins its own.
"""

import os
from pathlib import Path

# pytest-xdist runs a process on every core: more threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# They run a real dvc, and take longest. A file is tested in one process: begun last, it would leave the other idle.
FIRST = [
    f"test_{name}.py" for name in ("stages", "pipeline", "pipelines", "sibling_pipelines", "share", "folder_pipeline")
]


def pytest_collection_modifyitems(items):
    """Put the longest files first; the others, and the tests within a file, keep their order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(Path(item.path).name, len(FIRST)))
