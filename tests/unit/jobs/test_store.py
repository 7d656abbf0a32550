"""Finished results are kept by what decides them, and read back bit for bit."""

import numpy as np
import pandas as pd
import pytest

from kseq.jobs import Store, digest
from kseq.jobs._codec import Damaged, decoded, encoded
from kseq.jobs.job import key_of
from kseq.jobs.store import MISSING

pytestmark = pytest.mark.above_backends

FACTS = {"cell": "gru", "seeds": (0, 1), "rate": 0.1}


def test_a_result_comes_back_bit_for_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3))
    result = {"epochs": (3, 4), "curves": {"loss": values}, "none": None, "nan": float("nan"), "names": ["a"]}
    Store(tmp_path).put(FACTS, result)
    found = Store(tmp_path).get(key_of(FACTS))
    assert found["epochs"] == (3, 4)
    assert found["curves"]["loss"].tobytes() == values.tobytes()
    assert found["none"] is None
    assert np.isnan(found["nan"])
    assert found["names"] == ["a"]


def test_keys_do_not_depend_on_order_or_on_the_kind_of_sequence():
    assert key_of({"b": [1, 2], "a": np.float64(0.5)}) == key_of({"a": 0.5, "b": (1, 2)})
    assert key_of({"a": 1}) != key_of({"a": 2})


@pytest.mark.parametrize("place", [0, 40, 100, -1])
def test_a_damaged_result_is_noticed_and_made_again(tmp_path, place):
    store = Store(tmp_path)
    store.put(FACTS, {"forecasts": np.arange(10.0)})
    file = store.file(key_of(FACTS))
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    again = Store(tmp_path)
    assert again.get(key_of(FACTS)) is MISSING
    assert again.damaged == [file]
    again.put(FACTS, {"forecasts": np.arange(10.0)})
    assert again.get(key_of(FACTS))["forecasts"].tolist() == list(range(10))


def test_a_result_under_another_key_counts_as_damaged(tmp_path):
    store = Store(tmp_path)
    store.put(FACTS, 1)
    other = {**FACTS, "cell": "lstm"}
    store.file(key_of(other)).parent.mkdir(exist_ok=True)
    store.file(key_of(FACTS)).rename(store.file(key_of(other)))
    assert store.get(key_of(other)) is MISSING
    assert len(store.damaged) == 1


def test_fresh_reads_nothing_of_before_and_replaces_it(tmp_path):
    Store(tmp_path).put(FACTS, 1)
    fresh = Store(tmp_path, fresh=True)
    assert fresh.get(key_of(FACTS)) is MISSING
    fresh.put(FACTS, 2)
    assert fresh.get(key_of(FACTS)) == 2
    assert Store(tmp_path).get(key_of(FACTS)) == 2


def test_what_was_used_longest_ago_goes_first_where_there_is_no_room(tmp_path):
    keys = []
    for seed in range(4):
        facts = {"seed": seed}
        Store(tmp_path).put(facts, np.zeros(1000))
        keys.append(key_of(facts))
    import os

    for age, key in enumerate(keys):
        os.utime(Store(tmp_path).file(key), (1000 - age, 1000 - age))
    small = Store(tmp_path, limit=20_000)
    assert small.get(keys[3]) is not MISSING
    small.sweep()
    assert small.removed == 2
    assert [small.has(key) for key in keys] == [True, False, False, True]


def test_a_run_that_makes_more_than_there_is_room_for_keeps_the_first_and_says_so(tmp_path):
    old = Store(tmp_path)
    assert old.put({"seed": -1}, np.zeros(1000))
    store = Store(tmp_path, limit=20_000)
    assert [store.put({"seed": seed}, np.zeros(1000)) for seed in range(4)] == [True, True, False, False]
    assert "would take more than" in store.failed
    assert not store.has(key_of({"seed": -1}))
    store.sweep()
    assert (store.size <= 20_000, store.removed) == (True, 1)
    # A smaller one fits, and is kept.
    assert store.put({"seed": 9}, np.zeros(1))


def test_a_result_that_is_larger_than_the_limit_is_not_kept_and_told(tmp_path):
    store = Store(tmp_path, limit=100)
    store.put(FACTS, np.zeros(1000))
    assert not store.has(key_of(FACTS))
    assert "larger than the room" in store.failed


def test_a_state_is_kept_at_intervals_and_goes_with_the_result(tmp_path):
    store = Store(tmp_path)
    state = store.state(key_of(FACTS), seconds=3600)
    state.save("first", {"epoch": 1})
    assert state.load("first") is None
    state.save("first", {"epoch": 2}, now=True)
    assert store.state(key_of(FACTS)).load("first") == {"epoch": 2}
    store.put(FACTS, 1)
    assert store.state(key_of(FACTS)).load("first") is None


def test_only_plain_values_are_kept_and_read():
    with pytest.raises(TypeError, match="expected numbers, text and arrays"):
        encoded({"model": object()})
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        encoded(np.array([object()]))
    with pytest.raises(Damaged):
        decoded(b"another file")


def test_a_digest_is_that_of_the_content():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": pd.Categorical(["x", "y"])}, index=pd.date_range("2020", periods=2))
    assert digest(frame) == digest(frame.copy())
    assert digest(frame) != digest(frame.assign(a=[1.0, 3.0]))
    assert digest(frame.index) != digest(frame.index + pd.Timedelta("1D"))
    assert digest((range(3), np.zeros(2))) != digest((range(4), np.zeros(2)))
    assert digest([np.zeros(2, "float32")]) != digest([np.zeros(2)])
