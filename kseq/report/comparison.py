"""The result of a comparison, which draws, shows and writes itself.

:func:`kseq.compare` fills a :class:`Comparison` from beginning to end; a script may fill one row by row with the
callback :class:`kseq.Evaluation`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kseq.comparison.tables import Tables
from kseq.errors import ConfigError
from kseq.naming import checked
from kseq.validation import require_path


class Comparison(Tables):
    """All rows of one comparison, on one set of windows; table, picture and files are made from it.

    Args:
        data: The windows of one or many series that every row forecasts.
        settings: Settings that decided the numbers, for the record; None where a script fills the rows.
        backtest: The folds of a backtest and what each training sees, see :mod:`kseq.comparison.backtest`; None
            without one.

    Attributes:
        backtest: The backtest, as given.
        folds: Parts of each series in each fold of the backtest; empty without one.
        trainings: The windowed series that models are trained on, in the order of time: ``data`` itself without a
            backtest. Joined rows hold forecasts of the validation parts of all of them.
        order: Permutation from the concatenated test windows of all trainings to ``data.test``; None without a
            backtest.
        search: Trials of the tuning that chose the cells' settings, see :mod:`kseq.experiments.tune`; None without one.

    Example:
        >>> comparison = Comparison(make_windows(load_series("nino12")))  # doctest: +SKIP
        >>> comparison.add_baselines()  # doctest: +SKIP
        >>> model.fit(batches, callbacks=[Evaluation(comparison, "LSTM")])  # doctest: +SKIP
        >>> comparison.write("runs/first")  # doctest: +SKIP
    """

    @checked("Comparison.plot")
    def plot(
        self, path: str | Path | None = None, ids: Sequence[Any] | None = None, *, interactive: bool = False
    ) -> Any:
        """Draw all models over the test part; write the picture to ``path`` where one is given.

        Args:
            path: Path of the picture; its suffix says the format, ``.png`` where it has none. Of interactive charts,
                path of a page.
            ids: Series of a panel to draw; a few by default.
            interactive: Whether to draw charts to zoom into, which a notebook shows where they are made. Defaults to
                False.

        Returns:
            matplotlib.figure.Figure: The picture; :class:`kseq.report.html.interactive.Interactive` of an interactive
            one.
        """
        path = path if path is None else require_path(path)
        if interactive:
            from kseq.report.html.forecasts import interactive_of

            charts = interactive_of(self, ids)
            if path is not None:
                charts.save(path)
            return charts
        from kseq.report.lettering import save
        from kseq.report.plot import plot_predictions

        return save(plot_predictions(self, ids), path)

    def _repr_html_(self) -> str:
        """The table and the verdict, as a notebook shows them."""
        from kseq.report.table import as_html, shown_of_target, shown_table

        targets = {f"Target {one.data.series.targets[0]}": shown_of_target(one) for one in self.by_target}
        return as_html(shown_table(self), self.verdict, targets)

    @checked("Comparison.write")
    def write(self, path: str | Path, predictions: str = "csv") -> list[Path]:
        """Write table, forecasts, pictures and record into a folder, made where it is missing; return the files.

        What an earlier run has left there is replaced; other files in the folder stay. A picture that cannot be drawn
        is left out with a warning.

        Args:
            path: Path of the folder.
            predictions: ``"csv"`` or ``"parquet"``, the file of all forecasts, or ``"none"`` for no such file.

        Raises:
            ConfigError: No name of a folder; one that cannot be written or is being written by another process; a file
                there that kseq has not written, by a name such as ``table.csv``, or one that the series was read from.
            OutputError: A ConfigError too: there was no room; its ``files`` are paths where the files are instead.
        """
        from kseq.report import run_folder

        path = require_path(path)
        if not self.rows:
            raise ConfigError("this comparison has no rows yet; call add_baselines, or fit with kseq.Evaluation.")
        with run_folder.folder(path, inputs=self.inputs) as folder:
            return run_folder.write(self, folder, predictions=predictions)

    @property
    def inputs(self) -> list[Path]:
        """The files that the series and forecasts of others were read from, if any."""
        origin = self.data.series.origin
        read = origin.files if origin is not None else []
        path = self.beside.others.path if self.beside is not None else None
        return read if path is None else [*read, path]

    @property
    def traps(self) -> list[str]:
        """Former name of :attr:`cautions`."""
        return self.cautions
