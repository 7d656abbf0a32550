"""Rows of a database, by an address and a query; nothing is written, and no password is shown."""

import sqlite3

import numpy as np
import pandas as pd
import pytest

from kseq import DataError
from kseq.data import read_sql
from kseq.data.formats.sql import without_password
from kseq.errors import ConfigError

pytest.importorskip("sqlalchemy")

pytestmark = pytest.mark.above_backends


@pytest.fixture
def frame():
    rng = np.random.default_rng(11)
    parts = [
        pd.DataFrame(
            {"shop": id, "day": pd.date_range("2001-01-01", periods=30).astype(str), "sold": rng.normal(size=30)}
        )
        for id in ("001", "NA")
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def address(tmp_path, frame):
    with sqlite3.connect(tmp_path / "shops.db") as connection:
        frame.to_sql("sales", connection, index=False)
    connection.close()
    return f"sqlite:///{tmp_path / 'shops.db'}"


def test_a_panel_and_a_series_of_a_query(address, frame):
    panel = read_sql(address, "select * from sales", id="shop")
    assert panel.ids.tolist() == ["001", "NA"]
    assert panel.y[:, 0].tolist() == frame["sold"].tolist()
    series = read_sql(address, "select day, sold from sales where shop = 'NA' and day like '2001-01-%' order by day")
    assert series.y[:, 0].tolist() == frame["sold"][30:].tolist()
    assert series.index[0] == pd.Timestamp("2001-01-01")
    assert series.origin.reader == "read_sql"


def test_a_colon_in_text_is_no_parameter(address):
    query = "select day, sold, ' :x 10:30' as note from sales where shop = '001' and day > '2001-01-01 00:00'"
    assert len(read_sql(address, query)) == 29


def test_duckdb_without_a_server(tmp_path, frame):
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("duckdb_engine")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.register("f", frame)
        connection.execute("create table sales as select shop, cast(day as timestamp) as day, sold from f")
    panel = read_sql(f"duckdb:///{tmp_path / 'a.duckdb'}", "select * from sales", id="shop")
    assert panel.y[:, 0].tolist() == frame["sold"].tolist()
    with pytest.raises(DataError, match="did not answer the query"):
        read_sql(f"duckdb:///{tmp_path / 'a.duckdb'}", "drop table sales")


def test_nothing_is_written(tmp_path, address):
    for query in ("drop table sales", "delete from sales", "create table x (a int)"):
        with pytest.raises(DataError, match="did not answer the query"):
            read_sql(address, query)
    with pytest.raises(DataError, match="where there is no file"):
        read_sql(f"sqlite:///{tmp_path / 'nothing.db'}", "select 1")
    assert not (tmp_path / "nothing.db").exists()


@pytest.mark.parametrize("query", ["select * from nothing", "selec 1", "select day, sold from sales where 1 = 0"])
def test_queries_that_give_nothing(address, query):
    with pytest.raises(DataError, match=r"mend the query|gives no rows"):
        read_sql(address, query)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
     ("postgresql://me:se@cr:et@host/db", "postgresql://me:***@host/db"),
     ("postgresql://me:$PGPASSWORD@host/db", "postgresql://me:$PGPASSWORD@host/db"),
     ("snowflake://host/db?user=a&password=b&warehouse=c", "snowflake://host/db?user=a&password=***&warehouse=c"),
     ("sqlite:///a.db", "sqlite:///a.db"), ("postgresql://me@host/db", "postgresql://me@host/db")],
)  # fmt: skip
def test_addresses_are_shown_without_passwords(address, shown):
    assert without_password(address) == shown


def test_no_message_holds_a_password():
    for address in (
        "postgresql://me:hunter2@localhost:1/db",
        "nosuch://me:hunter2@localhost/db",
        "me:hunter2@localhost",
    ):
        with pytest.raises(DataError) as raised:
            read_sql(address, "select 1")
        assert "hunter2" not in str(raised.value)


def test_variables_of_the_environment(address, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOPS", "shops")
    named = address.replace("shops.db", "$SHOPS.db")
    series = read_sql(named, "select day, sold from sales where shop = 'NA'")
    assert len(series) == 30
    assert series.origin.arguments["address"] == named
    with pytest.raises(DataError, match=r"received \$NOT_SET in the address"):
        read_sql("sqlite:///$NOT_SET.db", "select 1")


def test_a_recorded_address_asks_for_its_password():
    with pytest.raises(DataError, match="was recorded without its password; give it again with sql"):
        read_sql("postgresql://me:***@host/db", "select 1")


def test_an_address_without_a_query(address):
    for query in (None, " "):
        with pytest.raises((DataError, ConfigError), match="without a query; give one with query"):
            read_sql(address, query)
