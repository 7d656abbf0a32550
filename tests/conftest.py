"""A test run names its backend: results of one backend say nothing of another."""

import base64
import contextlib
import gc
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

#: A PNG of one pixel.
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")

#: What charts are built of, each of which Bokeh checks for a tenth of a second.
PARTS = (
    "figure", "ColumnDataSource", "HoverTool", "Span", "FactorRange", "NoOverlap", "BasicTicker", "BasicTickFormatter",
    "DatetimeTickFormatter",
)  # fmt: skip


class Blank:
    """A figure of Bokeh's, or any part of one, that holds nothing."""

    name, height = "chart", 340

    def __getattr__(self, name: str) -> "Blank":
        """Return another part."""
        return self

    def __setattr__(self, name: str, value: object) -> None:
        """Forget it."""

    def __call__(self, *values: object, **options: object) -> "Blank":
        """Return another part."""
        return self

    def __iter__(self) -> Iterator["Blank"]:
        """Run over no parts."""
        return iter(())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run ask for everything."""
    parser.addoption("--every", action="store_true", help="all cases, on every backend")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run on a backend that nobody chose: Keras would pick one, and the others would go untested."""
    backend = os.environ.get("KERAS_BACKEND")
    if backend not in ("torch", "tensorflow", "jax"):
        raise pytest.UsageError(f"received KERAS_BACKEND {backend!r}; set it to torch, tensorflow or jax, or run tox.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``thorough``, and ``above_backends`` on TensorFlow and JAX, unless ``--every`` asks.

    The latter call nothing of a backend, or train many small networks, each of which TensorFlow and JAX compile for
    seconds. Coverage, under which Python takes half as long again, is measured there of what that backend alone runs,
    and on PyTorch where tests run lines that quicker ones do not.
    """
    on_torch = os.environ["KERAS_BACKEND"] == "torch"
    # Their lines run as they are imported, for the first time perhaps in a test where coverage looks away.
    for module in ("kseq.storage.schemas", "kseq.storage.card_schemas", "kseq.kernels.cpu"):
        importlib.import_module(module)
    for item in items:
        folders, name = set(item.path.parts), item.path.name
        if not on_torch:
            measured = "layers" in folders or ("kernels" in folders and os.environ["KERAS_BACKEND"] in name)
        else:
            measured = item.get_closest_marker("long") is None and not {"fuzz", "browser"} & folders
        if not measured:
            item.add_marker("no_cover")
    if config.getoption("--every"):
        return
    names = ["thorough"] if on_torch else ["thorough", "above_backends"]
    kept, left_out = [], []
    for item in items:
        (left_out if any(map(item.get_closest_marker, names)) else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.fixture(scope="session", autouse=True)
def optimizing(request: pytest.FixtureRequest) -> Callable[[bool], None]:
    """Let JAX and TensorFlow optimize programs little, which takes a third of the time of tests that run each once.

    Returns:
        Callable[[bool], None]: Tells them whether to optimize, as they do for users, and here with ``--every``.
    """
    backend, every = os.environ["KERAS_BACKEND"], request.config.getoption("--every")

    def tell(much: bool) -> None:
        much = much or every
        if backend == "jax":
            import jax

            jax.config.update("jax_disable_most_optimizations", not much)
            # Of processes that tests begin.
            os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(not much))
        elif backend == "tensorflow":
            import tensorflow

            tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": not much})

    tell(False)
    return tell


@pytest.fixture
def optimized(optimizing: Callable[[bool], None]) -> Iterator[None]:
    """Programs are optimized as users' are."""
    optimizing(True)
    yield
    optimizing(False)


@contextlib.contextmanager
def _uncovered(item: pytest.Item) -> Iterator[None]:
    """Let coverage look away around a test that is marked ``no_cover``, as pytest-cov does in the test."""
    control = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    if control is None or not control.started or item.get_closest_marker("no_cover") is None:
        yield
        return
    control.pause()
    try:
        yield
    finally:
        control.resume()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Fixtures that train take longer than the tests that share them."""
    with _uncovered(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """See :func:`pytest_runtest_setup`."""
    with _uncovered(item):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _sketches():
    """Leave out what Matplotlib and Bokeh do with a figure that kseq has made: half of the time of a run with cells.

    Yields a set: while it holds something, figures are drawn.
    """
    from matplotlib.figure import Figure

    from kseq.report.html import charts, page

    drawn = set()
    savefig, json_item = Figure.savefig, page.json_item

    def saved(self, file, **options):
        if drawn:
            savefig(self, file, **options)
        elif isinstance(file, str | Path):
            Path(file).write_bytes(PIXEL)
        else:
            file.write(PIXEL)

    def embedded(figure):
        return json_item(figure) if drawn else {}

    def unless_blank(make):
        return lambda *values, **options: make(*values, **options) if drawn else Blank()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", saved)
        patch.setattr(page, "json_item", embedded)
        for name in PARTS:
            patch.setattr(charts, name, unless_blank(getattr(charts, name)))
        yield drawn


@pytest.fixture(scope="module", autouse=True)
def _drawn_in_a_module(_sketches, request):
    """Draw in a file of tests that is marked ``pictures`` as a whole, also for fixtures that its tests share."""
    if any(request.node.iter_markers("pictures")):
        _sketches.add(request.node)
    yield
    _sketches.discard(request.node)


@pytest.fixture(autouse=True)
def _drawn_in_a_test(_sketches, request):
    """Draw in a test that is marked ``pictures`` or ``slow``."""
    if any(request.node.get_closest_marker(name) for name in ("pictures", "slow")):
        _sketches.add(request.node)
    yield
    _sketches.discard(request.node)


@pytest.fixture(scope="module", autouse=True)
def _spare_the_collector():
    """Keep what a file of tests leaves in memory (modules, compiled code) out of later garbage collections.

    A frozen object is never looked at again. With three libraries loaded a full collection takes a third of a second,
    and Keras, statsmodels and pytest ask for hundreds.
    """
    gc.collect()
    gc.freeze()
