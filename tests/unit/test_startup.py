"""How processes of kseq's own begin: what goes on around imports, in processes that are begun for it."""

import importlib.util
import os
import subprocess
import sys

import pytest

from kseq import startup

pytestmark = pytest.mark.long


def said(code, folder, **variables):
    """What a script prints that is run in a folder, in a process of its own; a variable that is None is not set."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False,
        env={name: value for name, value in {**os.environ, **variables}.items() if value is not None},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


AROUND = """
import contextlib
from kseq.imports import wrap_import

@contextlib.contextmanager
def spoken():
    print("before")
    yield
    print("after")

wrap_import("package", spoken)
wrap_import("package", spoken)
"""


@pytest.mark.above_backends
def test_a_context_surrounds_the_first_import_of_a_package_once(tmp_path):
    (tmp_path / "package.py").write_text("print('within')")
    code = f"{AROUND}import package\nimport package\nprint(type(package.__loader__).__name__)"
    assert said(code, tmp_path) == ["before", "within", "after", "SourceFileLoader"]


@pytest.mark.above_backends
def test_who_only_asks_for_a_package_takes_no_context_away(tmp_path):
    (tmp_path / "package.py").write_text("print('within')")
    asked = "importlib.util.find_spec('package').name"
    code = f"import importlib.util\n{AROUND}print({asked}, {asked})\nimport package"
    assert said(code, tmp_path) == ["package", "package", "before", "within", "after"]


@pytest.mark.above_backends
def test_a_package_that_is_not_there_is_missed_as_ever(tmp_path):
    code = f"{AROUND}try:\n    import package\nexcept ModuleNotFoundError as error:\n    print(error.name)"
    assert said(code, tmp_path) == ["package"]


IMPORTED = """
from kseq import startup
{before}
import gc, sys, keras
print('sklearn' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 0)
import sklearn
print(sklearn.__name__)
"""


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("before", "there"), [("", "True"), ("startup.lighten_imports()", "False")], ids=["as ever", "own"]
)
def test_only_a_process_of_kseq_imports_less_of_keras(before, there, tmp_path):
    pytest.importorskip("sklearn")
    assert said(IMPORTED.format(before=before), tmp_path) == [there, "True", str(there == "False"), "sklearn"]


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.parametrize("chosen", ["", "mine"])
@pytest.mark.parametrize("imports", ["jax", "kseq.layers, jax"])
def test_programs_of_jax_are_kept_where_the_user_says_or_in_a_folder_of_kseq(imports, chosen, tmp_path):
    asked = str(tmp_path / chosen) if chosen else None
    code = (
        "from kseq import startup\nstartup.lighten_imports()\n"
        f"import {imports}\nprint(jax.config.jax_compilation_cache_dir)"
    )
    # As a command does it: the backend is chosen, which asks what is installed, before Keras is imported.
    (folder,) = said(code, tmp_path, JAX_COMPILATION_CACHE_DIR=asked, KERAS_BACKEND="jax")
    assert folder.endswith(chosen or startup._processor())


@pytest.mark.above_backends
def test_the_oldest_programs_go_beyond_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(startup, "_KEPT", 25)
    for age, name in enumerate("abcd"):
        (tmp_path / name).write_bytes(b"0" * 10)
        os.utime(tmp_path / name, (0, 1000 - age))
    startup._tidy(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]
