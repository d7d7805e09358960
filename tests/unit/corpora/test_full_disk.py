"""A disk that fills up while a text is fetched or encoded."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_texts import ROOT, folder_of, tree

from awd import corpora

LIMITED = """
import resource, sys
from pathlib import Path
from awd import corpora
from awd.errors import InputError
raw, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
import numpy  # before the limit, which also holds for cached bytecode
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    {call}
except InputError as error:
    print(error)
    sys.exit(7)
"""


def run_limited(call: str, raw: Path, out: Path, limit: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", LIMITED.format(call=call), str(raw), str(out), str(limit)]
    command += [corpora.fingerprint("tiny", {"tiny": str(raw)})] if "tiny" in call else []
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("limit", [4_000, 50_000])
def test_a_full_disk_leaves_no_half_fetched_text(tmp_path, limit):
    """The operating system refuses a write; no split appears, not even those that fitted."""
    call = "corpora.fetch('known-entropy', out)"
    done = run_limited(call, tmp_path, tmp_path / "out", limit)
    assert done.returncode == 7, done.stderr
    assert f"cannot write {tmp_path / 'out'}" in done.stdout
    assert tree(tmp_path / "out") == []


@pytest.mark.parametrize("limit", [1_000, 30_000, 140_000])
def test_a_full_disk_leaves_no_half_written_array(tmp_path, limit):
    """Whatever is there can be read, no temporary file stays, and no record vouches for it."""
    raw = folder_of(
        tmp_path / "raw",
        {
            "train": "".join(f"word{number:09} " for number in range(12_000)).encode(),
            "valid": b"word000000001 " * 60_000,
            "test": b"word000000001 " * 800,
        },
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "corpus.json").write_text(json.dumps({"corpus": "an earlier one"}))
    call = "corpora.encode('tiny', raw, out, fingerprint=sys.argv[4])"
    done = run_limited(call, raw, out, limit)
    assert done.returncode == 7, done.stderr
    assert f"cannot write {out}" in done.stdout
    assert set(tree(out)) <= {"train.npy", "valid.npy", "test.npy"}
    for path in out.iterdir():
        assert np.load(path).ndim == 1
