import pytest

from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.source import samples


@pytest.fixture
def tree(tmp_path):
    """Return a function that makes files, each with bytes of its own, and runs the source over them."""

    def run(*paths, **settings):
        for path in paths:
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.write_bytes(f"bytes of {path}".encode())
        items = list(samples(tmp_path, **settings))
        assert [item.name for item in items] == sorted(item.name for item in items)
        found = {item.name: item for item in items if not isinstance(item, Rejected)}
        return found, {item.name: item.reason for item in items if isinstance(item, Rejected)}

    run.root = tmp_path
    return run
