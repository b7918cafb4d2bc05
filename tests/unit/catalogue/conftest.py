"""What the tests of `catalogue refresh` start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.mirror import Mirror
from support.refreshing import Place


@pytest.fixture
def place(tmp_path: Path, mirror: Mirror) -> Iterator[Place]:
    one = Place(tmp_path, mirror)
    yield one
    one.fetcher.close()
