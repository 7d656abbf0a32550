"""Rows of a database, by an address of SQLAlchemy and a query.

SQLite and DuckDB need no server; their files are opened to be read alone, and one that is not there is not made. What
the query changes is never committed. An address is shown and recorded without its password; ``$NAME`` in it stands for
a variable of the environment, so that an address with a password can be repeated.
"""

import os
import re
from typing import Any

import pandas as pd

from kseq.data.formats.found import Found, library, reason
from kseq.errors import DataError, Parameter

_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")

#: Arguments of an address that are secrets.
_SECRETS = re.compile(r"([?&;][\w-]*(?:pass|pwd|token|secret|key)[\w-]*=)(?!\$)[^&;]*", re.I)

#: A colon that SQLAlchemy would take for the beginning of a parameter.
_BOUND = re.compile(r"(?<!:):(?=\w)")

#: Databases that are files, and how their drivers are told not to write.
_FILES = ("sqlite", "duckdb")

#: In place of a password.
HIDDEN = "***"

#: Extras that bring the drivers of databases.
_EXTRAS = {"duckdb": "duckdb"}


def without_password(address: str) -> str:
    """The address as it may be shown and recorded.

    Example:
        >>> without_password("postgresql://me:secret@host/db")
        'postgresql://me:***@host/db'
        >>> without_password("postgresql://me:$PGPASSWORD@host/db")
        'postgresql://me:$PGPASSWORD@host/db'
    """
    scheme, mark, rest = address.rpartition("://") if "://" not in address else address.partition("://")
    # A password may hold an @; a host holds none.
    login, at, host = rest.rpartition("@")
    user, colon, password = login.partition(":")
    if at and colon and not _VARIABLE.fullmatch(password):
        login = f"{user}:{HIDDEN}"
    host = _SECRETS.sub(rf"\1{HIDDEN}", host)
    return f"{scheme}{mark}{login}{at}{host}"


def name_of(address: str) -> str:
    """How data of a database are called where their user says nothing."""
    name = address.partition("?")[0].rpartition("/")[2]
    return name.partition(".")[0] or "query"


def read(address: str, query: str | None) -> Found:
    """Read the rows of a query.

    Args:
        address: Address of the database, such as ``sqlite:///sales.db``.
        query: Query in SQL.

    Raises:
        DataError: A library is missing, the address is none, the database does not answer, or the query fails.
    """
    shown = without_password(address)
    if query is None or not query.strip():
        raise DataError("received ", Parameter("sql"), f" {shown} without a query; give one with ", Parameter("query"),
                        ', such as "select ds, y from sales".')  # fmt: skip
    sqlalchemy = library("sqlalchemy", "sql", shown)
    if HIDDEN in address:
        raise DataError(
            f"the address {shown} was recorded without its password; give it again with ", Parameter("sql"),
            ", or write $NAME in the address for a variable of the environment.",
        )  # fmt: skip
    try:
        url = sqlalchemy.make_url(_expanded(address))
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise DataError(
            f"received the address {shown}, expected one of SQLAlchemy, such as sqlite:///sales.db, duckdb:///sales.db "
            "or postgresql://user:$PASSWORD@host/database."
        ) from error
    url, arguments = _read_only(url, shown)
    try:
        engine = sqlalchemy.create_engine(url, connect_args=arguments)
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        backend = url.get_backend_name()
        extra = _EXTRAS.get(backend)
        hint = f"pip install 'kseq[{extra}]'" if extra else f"install its driver for SQLAlchemy ({reason(error)})"
        raise DataError(f"{shown} needs a driver for {backend}: {hint}.") from error
    # Drivers raise errors of their own beside those of SQLAlchemy.
    try:
        with engine.connect() as connection:
            frame = pd.read_sql_query(sqlalchemy.text(_BOUND.sub(r"\:", query)), connection)
            connection.rollback()
    except Exception as error:
        inner = error.__cause__ or error
        told = _cleaned(reason(getattr(inner, "orig", None) or inner), url)
        raise DataError(f"{shown} did not answer the query ({told}); mend the query or the address.") from error
    finally:
        engine.dispose()
    if frame.empty:
        raise DataError(f"{shown}: the query gives no rows; expected one a time step.")
    return Found(frame, (f"{len(frame):,} rows of a query",))


def _expanded(address: str) -> str:
    def value(found: re.Match) -> str:
        name = found.group(1).strip("{}")
        if name not in os.environ:
            raise DataError(
                f"received ${name} in the address of a database, which the environment does not hold; set it."
            )
        return os.environ[name]

    return _VARIABLE.sub(value, address)


def _read_only(url: Any, shown: str) -> tuple[Any, dict[str, Any]]:
    """The address of a file that exists, opened to be read; other addresses as they are."""
    backend, path = url.get_backend_name(), url.database
    if backend not in _FILES or not path or path == ":memory:" or path.startswith("file:"):
        return url, {}
    if not os.path.isfile(path):
        raise DataError(f"received the address {shown}, where there is no file {path}; expected a database.")
    if backend == "duckdb":
        return url, {"read_only": True}
    return url.set(database=f"file:{path}", query={**url.query, "mode": "ro", "uri": "true"}), {}


def _cleaned(text: str, url: Any) -> str:
    """A message without the password, which some drivers repeat."""
    return text.replace(str(url.password), HIDDEN) if url.password else text
