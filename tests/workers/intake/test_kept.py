"""The file of what is kept is the one that safetensors would write, and says the same hash of itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from whichopt.workers.intake.kept import METADATA, Kept
from whichopt.workers.intake.together import ROWS


@pytest.mark.parametrize("rows", [1, ROWS, 2 * ROWS + 1])
@pytest.mark.parametrize(("numbers", "codes"), [(3, 2), (0, 1), (1, 0)])
def test_the_bytes_are_those_of_safetensors(rows: int, numbers: int, codes: int, tmp_path: Path) -> None:
    random = np.random.default_rng(rows)
    kept = Kept(
        rows,
        [random.normal(size=rows) for _ in range(numbers)],
        [random.integers(-1, 9, rows).astype(np.int16) for _ in range(codes)],
        {
            "target": np.arange(rows),
            "part": np.zeros(rows, np.int8),
            "group": np.arange(rows, dtype=np.int32),
            "time": random.normal(size=rows),
        },
    )
    words = '{"name":"\\u00e9 \\"\\n\x01"} é\x7f/'
    content = kept.write(tmp_path / "kept", words)
    written = (tmp_path / "kept").read_bytes()
    assert written == save(kept.tensors(), metadata={METADATA: words})
    assert content == hashlib.sha256(written).hexdigest()
