"""The scripts of the README run as they stand, but for their epochs and seeds."""

import re
from pathlib import Path

import keras
import pytest
from sklearn.linear_model import Ridge

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.above_backends
def test_the_scripts_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scripts = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    names = {
        "Ridge": Ridge,
        "my_builder": lambda outputs: keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(outputs)]),
    }
    assert len(scripts) == 3
    for script in scripts:
        short = re.sub(r"epochs=\d+", "epochs=1", script)
        short = re.sub(r"seeds=\d+, units=\d+", "seeds=1, units=4", short)
        exec(short.replace("rivals=", "epochs=1, seeds=1, rivals="), names)
    assert (tmp_path / "first-run/table.csv").exists()
