"""A run made once more from its ``run.json``, and compared with it figure by figure.

The record holds how the series was read, the settings, the backend and the device. On the same backend, versions and
machine every figure comes out the same, bit for bit; elsewhere it is said what differs, and by how much.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from inspect import signature
from pathlib import Path
from typing import Any

from kseq import data as readers
from kseq._version import __version__
from kseq.comparison.others import read_others
from kseq.data import Series
from kseq.errors import ConfigError, DataError, Parameter
from kseq.experiments.compare import compare
from kseq.jobs import FOLDER
from kseq.jobs.job import key_of
from kseq.models.own import Own, own_rows
from kseq.report.comparison import Comparison
from kseq.settings import Settings
from kseq.storage import plain
from kseq.storage.regular import read_regular
from kseq.text import listed
from kseq.training.budget import Training

#: Functions of :mod:`kseq.data` that a record may name.
READERS = ("load_series", "read_csv", "read_parquet", "read_panel", "read_sql")


#: Folder, in one of kept trainings, of those of repetitions that have not ended.
REPEATED = "repeated"


@dataclass(frozen=True)
class Recorded:
    """A run as its record describes it.

    Args:
        path: The record, ``run.json``.
        record: Content of the record, see :attr:`kseq.Comparison.record`.
        own: The user's functions, named again.
    """

    path: Path
    record: Mapping[str, Any]
    own: Mapping[str, Own] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path, *, cells: Any = (), rivals: Any = ()) -> "Recorded":
        """Read the record of a run.

        Args:
            path: The run's folder, or its ``run.json``.
            cells: Functions of a user's own that the run was made with, by the names of their rows, as
                :func:`kseq.compare` takes them: a record alone brings no code.
            rivals: The same of regressors.

        Raises:
            ConfigError: There is no record, it is none of kseq's, or functions are missing or are none of the run's.
        """
        # msgspec is needed where a record is read alone.
        from kseq.storage import parsing, schemas

        path = file = Path(path)
        expected = "expected the folder of a run, or its run.json"
        try:
            file = path / "run.json" if path.is_dir() else path
            content = read_regular(file, parsing.LARGEST)
        except FileNotFoundError as error:
            raise ConfigError(f"received {path}, where there is no {file.name}; {expected}.") from error
        except OSError as error:
            raise ConfigError(f"received {file}, which cannot be read ({error.strerror}); {expected}.") from error
        except ValueError as error:
            raise ConfigError(f"received {str(path)!r}, which is no name of a file ({error}); {expected}.") from error
        try:
            whole = parsing.parse_any(content)
        except ValueError as error:
            raise ConfigError(f"received {file}, which is not JSON ({error}); {expected}.") from error
        try:
            known = parsing.parse(content, schemas.RunRecord)
        except ValueError as error:
            raise ConfigError(f"received {file}, which is no record of a run ({error}); {expected}.") from error
        recorded = cls(
            file, _with_unknown_settings(dict(known), whole), {**own_rows(cells, "cell"), **own_rows(rivals, "rival")}
        )
        recorded._require_named_again()
        return recorded

    def _require_named_again(self) -> None:
        """Refuse a run with functions of its user's own that are not named, and functions that it was made without."""
        settings = self.record["settings"]
        known = settings.get("own", {})
        if settings and not known and not settings.get("cells") and settings.get("baselines") == []:
            raise ConfigError(
                f"{self.path} is the record of a run without cells and baselines, expected some; forecasts that others "
                "made are judged again by kseq judge."
            )
        for name, one in known.items():
            given = self.own.get(name)
            if given is None or given.kind != one["kind"]:
                where = one.get("function") or "a script"
                again = one.get("function") or "module:function"
                raise ConfigError(
                    f"{self.path}: row {name!r} was made by {where}, and a record's code is never imported; name it "
                    "again with ", Parameter(one["kind"]), f" {name}={again}.",
                )  # fmt: skip
        strange = [name for name in self.own if name not in known]
        if strange:
            raise ConfigError(
                "received ", Parameter(self.own[strange[0]].kind), f" {strange[0]}, and {self.path} has no such row of "
                f"its own; expected {', '.join(known) or 'none'}.",
            )  # fmt: skip

    @property
    def backend(self) -> str | None:
        """The backend of the run."""
        return self.record["backend"]

    @property
    def device(self) -> str:
        """``"cpu"``, or ``"gpu"`` where the run was made on one."""
        return "cpu" if self.record["device"] == "cpu" else "gpu"

    @property
    def files(self) -> list[Path]:
        """The files that the series of the run, and forecasts of others, were read from, if any."""
        path = ((self.record["series"].get("origin") or {}).get("arguments") or {}).get("path")
        others = (self.record.get("with_forecasts") or {}).get("path")
        return [Path(one) for one in (path, others) if isinstance(one, str)]

    @property
    def settings(self) -> Settings:
        """The settings of the run.

        Raises:
            ConfigError: The run had none, or some that this version does not know.
        """
        given = self.record["settings"]
        if not given:
            raise ConfigError(
                f"{self.path} is the record of rows that a script added one by one; run that script again."
            )
        self._require_known("settings", given, [one.name for one in fields(Settings)])
        budget = [one.name for one in fields(Training)]
        self._require_known("settings of the training", given.get("training", {}), budget)
        # Networks of a record that says nothing of a skip had none.
        given = {"skip": "none", **given}
        settings = Settings(**{name: _tuples(value) for name, value in given.items()} | {"own": self.own})
        blocks = {model.get("members_at_once") for model in self.record["models"] if model["kind"] == "cell"}
        if settings.members == 0 and len(blocks) == 1:
            # How many seeds train at once was chosen by the run's machine, and moves the last bits.
            settings = replace(settings, members=blocks.pop() or 0)
        return settings

    def series(self, file: Path | None = None, sql: str | None = None) -> Series:
        """Read the series of the run again.

        Args:
            file: Present place of the run's file; by default where it was.
            sql: Address of the run's database, whose password is not in the record; by default the one that is.

        Raises:
            DataError: The data are not there, or are others.
            ConfigError: A file is named for a run that had none.
        """
        data = self.record["series"]
        origin = data.get("origin")
        if origin is None:
            raise DataError(
                f"{self.path}: the series {data['name']!r} ({data['rows']} rows) was made by a script, and its data "
                "are not in the record; run that script again."
            )
        reader, arguments = origin["reader"], dict(origin["arguments"])
        self._require_known("reader", [reader], READERS)
        # A reader hands over to from_frame what it does not know itself.
        known = {*signature(getattr(readers, reader)).parameters, *readers.READING_OPTIONS}
        self._require_known("reading options", arguments, known)
        if file is not None:
            if "path" not in arguments:
                raise ConfigError(
                    "received ",
                    Parameter("file"),
                    f" {file} for a run on {data['name']!r}, a built-in series; leave it out.",
                )
            arguments["path"] = str(file)
        if sql is not None:
            if "address" not in arguments:
                raise ConfigError("received ", Parameter("sql"), " for a run on no database; leave it out.")
            arguments["address"] = sql
        try:
            signature(getattr(readers, reader)).bind(**arguments)
        except TypeError as error:
            raise ConfigError(
                f"{self.path} does not say how the series was read ({reader}: {error}); expected the record of a run."
            ) from error
        # Unlike Path.exists, it is false for names that no file can have.
        if "path" in arguments and not os.path.exists(arguments["path"]):
            raise DataError(
                f"{self.path} was made from {arguments['path']}, which does not exist here; bring it, or say where it "
                "is with ",
                Parameter("file"),
                ".",
            )
        series = getattr(readers, reader)(**arguments)
        if series.fingerprint != origin["sha256"]:
            here = _extent(len(series), series.index[0], series.index[-1], series.fingerprint)
            there = _extent(data["rows"], data["first"], data["last"], origin["sha256"])
            raise DataError(
                f"the data have changed since {self.path} was made: received {here}, expected {there}; bring them as "
                "they were."
            )
        return series

    def forecasts(self, file: Path | None = None) -> Path | None:
        """The file of forecasts of others that stood beside the rows of the run; None where there was none.

        Args:
            file: Path at which it is now; by default where it was.

        Raises:
            DataError: It is not there, or is another; or the forecasts were not read from a file.
            ConfigError: A file is named for a run that had none.
        """
        known = self.record.get("with_forecasts")
        if known is None:
            if file is not None:
                raise ConfigError(
                    "received ", Parameter("with_forecasts"), f" {file} for a run without forecasts of others; leave "
                    "it out.",
                )  # fmt: skip
            return None
        if known["path"] is None and file is None:
            raise DataError(
                f"{self.path}: forecasts of others ({listed(known['models'])}) came from a script, and are not in the "
                "record; run that script again."
            )
        path = file or Path(known["path"])
        if not os.path.exists(path):
            raise DataError(
                f"{self.path} was made with forecasts from {path}, which does not exist here; bring it, or say where "
                "it is with ", Parameter("with_forecasts"), ".",
            )  # fmt: skip
        found = read_others(path).sha256
        if found != known["sha256"]:
            raise DataError(
                f"the forecasts in {path} have changed since {self.path} was made: received SHA-256 {found[:12]}, "
                f"expected {known['sha256'][:12]}; bring them as they were."
            )
        return path

    def repeat(
        self,
        series: Series,
        progress: Callable[[str, int, int], None] | None = None,
        executor: Any = None,
        with_forecasts: Path | None = None,
        keep: Path | None = None,
    ) -> Comparison:
        """Make the comparison again, on the backend that has been chosen.

        Args:
            series: The series from :meth:`series`.
            progress: As in :func:`kseq.compare`.
            executor: As there.
            with_forecasts: The file from :meth:`forecasts`; None for none.
            keep: Folder in which trainings of this repetition are kept until it has ended, so that one that was stopped
                goes on. Trainings of the run itself, or of another repetition that has ended, are never read. None,
                the default, keeps none.

        Raises:
            ConfigError: As in :attr:`settings`.
        """
        settings = self.settings
        if keep is None:
            return compare(series, settings, progress=progress, executor=executor, with_forecasts=with_forecasts)
        own = Path(keep) / REPEATED / key_of({"record": plain(self.record)})[:16]
        made = compare(series, settings, progress=progress, executor=executor, with_forecasts=with_forecasts, keep=own)
        shutil.rmtree(own, ignore_errors=True)
        with contextlib.suppress(OSError):
            # Other repetitions may be at work beside it.
            own.parent.rmdir()
            if own.parents[1].name == FOLDER:
                own.parents[1].rmdir()
        return made

    def _require_known(self, what: str, names: Any, known: Any) -> None:
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ConfigError(
                f"{self.path} was made by another version, kseq {self.record['kseq']} ({what} {', '.join(unknown)}, "
                f"unknown to kseq {__version__}); install that version to repeat it."
            )


def _with_unknown_settings(known: dict[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Put settings and options of reading that no schema names back into a record: they decide its figures."""
    settings = dict(known["settings"])
    settings |= {name: value for name, value in whole["settings"].items() if name not in settings}
    for part, given in settings.items():
        if part == "training":
            settings[part] = whole["settings"][part] | given
        if part == "by_cell":
            settings[part] = {cell: whole["settings"][part][cell] | own for cell, own in given.items()}
    series = dict(known["series"])
    if series.get("origin") is not None:
        arguments = whole["series"]["origin"]["arguments"] | series["origin"]["arguments"]
        series["origin"] = {**series["origin"], "arguments": arguments}
    return {**known, "settings": settings, "series": series}


def _tuples(value: Any) -> Any:
    """Tuples for JSON's lists, as settings hold them."""
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _extent(rows: int, first: Any, last: Any, sha256: str) -> str:
    """Describe the data in a few words."""
    return f"{rows} rows from {first} to {last} (fingerprint {sha256[:12]})".replace(" 00:00:00", "")
