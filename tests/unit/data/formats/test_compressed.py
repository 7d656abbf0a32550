"""Compressed files are read as what they hold; what is damaged, hidden or a bomb is refused in one line."""

import bz2
import gzip
import lzma
import os
import zipfile

import numpy as np
import pandas as pd
import pytest

from kseq import DataError
from kseq.data import read_file

pytestmark = pytest.mark.above_backends


@pytest.fixture(scope="module")
def frame():
    y = np.random.default_rng(3).normal(20, 5, 60).round(3)
    return pd.DataFrame({"ds": pd.date_range("1999-03-01", periods=60), "y": y})


@pytest.fixture(scope="module")
def text(frame):
    return frame.to_csv(index=False).encode()


def packed(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_a_stream_is_unpacked_by_its_bytes_whatever_it_is_called(tmp_path, frame, text, suffix, pack):
    for name in (f"flow.csv.{suffix}", "flow.csv"):
        (tmp_path / name).write_bytes(pack(text))
        series = read_file(tmp_path / name)
        assert series.y[:, 0].tolist() == frame["y"].tolist()
        assert series.index[0] == frame["ds"][0]
        assert series.name == "flow"
        assert series.origin.arguments["path"] == str(tmp_path / name)


def test_a_zip_of_one_file_beside_what_is_no_data(tmp_path, frame, text):
    path = packed(
        tmp_path / "a.zip", {"README.md": "on it", "__MACOSX/._flow.csv": "x", "data/flow.csv": text, "x/": ""}
    )
    series = read_file(path)
    assert series.y[:, 0].tolist() == frame["y"].tolist()
    assert "data/flow.csv in a.zip" in series.read


def test_a_zip_of_several_files_is_asked_which(tmp_path, frame, text):
    path = packed(tmp_path / "b.zip", {"other.csv": "ds,y\n2001-01-01,3\n", "data/flow.csv": text})
    with pytest.raises(
        DataError, match=r"holds 2 files \(other.csv, data/flow.csv\), expected one: name it with member"
    ):
        read_file(path)
    for name in ("flow.csv", "data/flow.csv"):
        assert read_file(path, member=name).y[:, 0].tolist() == frame["y"].tolist()
    with pytest.raises(DataError, match=r"received member 'flow', expected one of its files: other.csv, data/flow.csv"):
        read_file(path, member="flow")


def test_a_spreadsheet_in_a_zip_and_a_gzip_in_a_zip(tmp_path, frame, text):
    pytest.importorskip("python_calamine")
    frame.to_excel(tmp_path / "flow.xlsx", index=False)
    path = packed(tmp_path / "c.zip", {"flow.xlsx": (tmp_path / "flow.xlsx").read_bytes()})
    assert read_file(path).y[:, 0].tolist() == frame["y"].tolist()
    path = packed(tmp_path / "d.zip", {"flow.csv.gz": gzip.compress(text)})
    assert read_file(path).y[:, 0].tolist() == frame["y"].tolist()


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path):
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"2001-01-01,1\n" * 6_000_000, 9))
    assert os.path.getsize(tmp_path / "bomb.csv.gz") < 500_000
    with pytest.raises(DataError, match=r"unpacks to more than 67,108,864 bytes.*Unpack it yourself if you trust it"):
        read_file(tmp_path / "bomb.csv.gz")
    path = packed(tmp_path / "bomb.zip", {"a.csv": b"1,2\n" * 17_000_000}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="unpacks to more than"):
        read_file(path)


def test_long_series_of_few_values_are_no_bomb(tmp_path):
    y = np.tile([0, 0, 0, 1], 25_000)
    (tmp_path / "rain.csv.gz").write_bytes(gzip.compress(pd.DataFrame({"y": y}).to_csv(index=False).encode()))
    assert len(read_file(tmp_path / "rain.csv.gz")) == 100_000


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_damaged_files(tmp_path, text, kind):
    packs = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    path = tmp_path / f"cut.csv.{kind}"
    if kind == "zip":
        packed(path, {"cut.csv": text}, compression=zipfile.ZIP_DEFLATED)
        whole = path.read_bytes()
    else:
        whole = packs[kind](text)
    for damaged in (whole[: len(whole) // 2], whole[:40] + b"\x55\xaa" * 20 + whole[80:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cut off or damaged: copy or download it again"):
            read_file(path)


def test_archives_that_are_not_unpacked_say_what_to_do(tmp_path, text):
    (tmp_path / "a.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd" + b"0" * 50)
    with pytest.raises(DataError, match="compressed by zstd; expected gzip, bzip2, xz or zip: unpack it first"):
        read_file(tmp_path / "a.csv.zst")
    import tarfile

    (tmp_path / "a.csv").write_bytes(text)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.csv", "a.csv")
    with pytest.raises(DataError, match="is a tar archive; expected one file"):
        read_file(tmp_path / "a.tar.gz")
    content = bytearray(packed(tmp_path / "e.zip", {"a.csv": text}).read_bytes())
    for begin, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(begin) + at] |= 1
    (tmp_path / "e.zip").write_bytes(content)
    with pytest.raises(DataError, match="is encrypted; expected a zip without a password"):
        read_file(tmp_path / "e.zip")
    with pytest.raises(DataError, match="is a zip without files"):
        read_file(packed(tmp_path / "f.zip", {"a/": ""}))


def test_an_empty_file_within(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match="is empty"):
        read_file(tmp_path / "a.csv.gz")
