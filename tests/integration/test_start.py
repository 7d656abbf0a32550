"""What is loaded as a command starts, counted in modules: what is not loaded takes no time."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kseq
from kseq.cli import COMMANDS, load, main

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

#: Packages that take tenths of a second, and are needed once there is something to compute or to draw.
HEAVY = ("numpy", "pandas", "scipy", "statsmodels", "matplotlib", "bokeh", "jinja2", "numba", "keras", "torch", "rich")


def loaded_by(code):
    """Names of the modules that are there after some code has run in a process of its own."""
    code = f"import json, sys\nbefore = set(sys.modules)\n{code}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-S", "-c", PATHS + code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# Without site, which loads what other packages ask for at every start; where packages lie is told instead, and where
# kseq lies: an editable install finds it by a hook of site.
PATHS = f"import sys; sys.path[:] = {[*sys.path, str(Path(kseq.__file__).parents[1])]!r}\n"


def test_the_package_loads_a_few_modules():
    modules = loaded_by("import kseq")
    assert not set(HEAVY) & {name.partition(".")[0] for name in modules}
    assert len(modules) < 60


@pytest.mark.parametrize("typed", [["--help"], ["--version"], ["compare", "--help"], ["fit", "--help"]], ids=" ".join)
def test_help_loads_no_package_that_computes_and_only_the_command_that_is_named(typed):
    modules = loaded_by(f"from kseq.cli import main\nassert main({typed}) == 0")
    packages = {name.partition(".")[0] for name in modules}
    assert not set(HEAVY) & packages
    assert "click" in packages
    # Click takes some 60 of them, a command up to 30.
    assert len(modules) < (220 if typed[1:] else 190)
    # What is told of `fit` is told of a comparison's options too.
    named = {"compare": {"compare"}, "fit": {"fit", "compare"}}.get(typed[0], set())
    assert {name for name in COMMANDS if f"kseq.cli.{name}" in modules} == named


def test_help_has_a_whole_line_for_each_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", shown, re.MULTILINE)
        assert load(name).name == name


def test_a_comparison_loads_what_draws_and_tests_after_its_training():
    modules = loaded_by(
        "import kseq.data, kseq.settings, kseq.report.run_folder\n"
        "import kseq.baselines, kseq.evaluation.verdict, kseq.preprocessing.windows\n"
        "kseq.data.load_series('nino12')"
    )
    assert "kseq.evaluation.significance" in modules
    late = {"matplotlib", "bokeh", "jinja2", "statsmodels", "keras", "scipy.stats", "scipy.optimize", "scipy.signal"}
    assert not late & set(modules)


def loaded_by_command(typed, folder):
    """Names of the modules that are there when a command has ended in a process of its own."""
    code = (
        "import json, sys\nfrom kseq.cli import main\n"
        f"sys.argv = ['kseq', *{typed.split()!r}]\nassert main() == 0\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


#: What Keras imports where it is installed, and what a network has no use for.
NEEDLESS = {"sklearn", "matplotlib", "torch._dynamo.convert_frame", "statsmodels", "scipy.stats", "bokeh"}


def test_a_model_is_fitted_and_forecasts_without_what_keras_imports_for_others(tmp_path):
    fitting = loaded_by_command("fit --cell gru --epochs 1 --units 3 --lookback 6 --out m.keras --quiet", tmp_path)
    assert "keras" in fitting
    assert not NEEDLESS & fitting
    assert not NEEDLESS & loaded_by_command("forecast --model m.keras --steps 2 --quiet", tmp_path)


OWN = """
import keras

def build(lookback, features, horizon):
    model = keras.Sequential([keras.Input((lookback, features)), keras.layers.Flatten(), keras.layers.Dense(horizon)])
    # It refuses where Keras found no scikit-learn.
    keras.wrappers.SKLearnRegressor(model)
    return model
"""


def test_functions_of_a_user_find_all_of_keras(tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "own.py").write_text(OWN)
    typed = "compare --cells gru --cell own=own.py:build --epochs 1 --units 3 --lookback 6 --seeds 1 --out run --quiet"
    assert "sklearn" in loaded_by_command(f"{typed} --baselines persistence --transform none", tmp_path)
