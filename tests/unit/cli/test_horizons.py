"""``--horizons FILE``: a mapping, or one line that says what the file is."""

import click
import pytest

from kseq.cli.types import Horizons

pytestmark = pytest.mark.above_backends


def test_steps_by_id(tmp_path):
    file = tmp_path / "steps.csv"
    file.write_text("unique_id,h\n001,6\nNA,12\n")
    assert Horizons().convert(str(file), None, None) == {"001": 6, "NA": 12}


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00\x81", b'a,b\n"x,1\n', b"a,b\n1,2,3\n4,5\n6,7,8,9\n"])
def test_what_is_no_such_file_is_told(tmp_path, content):
    file = tmp_path / "steps.csv"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(click.BadParameter, match=r"steps\.csv.*expected a .*header and two columns"):
        Horizons().convert(str(file), None, None)
    with pytest.raises(click.BadParameter, match=r"none\.csv, which cannot be read \(No such file"):
        Horizons().convert(str(tmp_path / "none.csv"), None, None)
