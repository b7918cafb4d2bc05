"""Fuzz the binary readers with atheris (PyPI), which has to be installed for this alone.

    PYTHONPATH=src:tests python tests/fuzz/fuzz_readers.py READER CORPUS_DIR [libFuzzer options: -runs=1000000]

A reader may answer, or raise DataError; all else is a finding, as is work out of proportion to the size. What is found
becomes a case in tests/support/damaged_*.py, which tests/unit/binary/test_damaged_corpus.py reads ever after.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pascal_install", "support"]):
    from support.device_code import DAMAGED
    from support.fuzzing import READERS, seeds

#: Damaged files to start from, where they do not bear the reader's own name.
FROM = {"stream": "fatbin", "zip": "wheel"}


def main() -> None:
    """Write the seeds into the corpus and start."""
    if len(sys.argv) < 3 or sys.argv[1] not in READERS:
        sys.exit(f"usage: fuzz_readers.py {'|'.join(READERS)} CORPUS_DIR [options]")
    name, corpus = sys.argv[1], Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(content)
    for path in DAMAGED.glob(f"{FROM.get(name, name)}-*"):
        (corpus / path.name).write_bytes(path.read_bytes())
    atheris.Setup([sys.argv[0], *sys.argv[2:]], READERS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
