"""What a release says of itself agrees: version, changelog, citation, container."""

import re
from pathlib import Path

import pytest

from kseq import __version__

pytestmark = pytest.mark.above_backends

ROOT = Path(__file__).parents[2]


def test_the_version_is_the_same_everywhere():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changelog, re.MULTILINE)[1] == __version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE)[1] == __version__


def test_the_container_is_read_only_and_has_no_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    user = [line for line in lines if line.startswith("USER ")]
    assert user == ["USER 10001:10001"]
    start = lines.index(user[0])
    # Whatever is installed is installed before, by root, and what is written goes to /tmp or /work.
    assert not [line for line in lines[start:] if line.startswith(("RUN", "COPY"))]
    kept = [
        line.split("=")[1]
        for line in lines
        if line.startswith("ENV ") and line.endswith(("matplotlib", "keras", "cache"))
    ]
    assert len(kept) == 3
    assert all(path.startswith("/tmp/") for path in kept)
    allowed = (ROOT / ".dockerignore").read_text().split()
    copied = next(line for line in lines if line.startswith("COPY")).split()[1:-1]
    assert allowed == ["*", *(f"!{pattern}" for pattern in copied)]
