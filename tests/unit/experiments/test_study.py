"""Trials as Optuna's studies: what is drawn, when, and what is kept of it."""

import numpy as np
import optuna
import pytest

from kseq.experiments._study import Journal, Outcome, Pruning, Study
from kseq.experiments.tune import Space

pytestmark = pytest.mark.above_backends

SPACE = Space((2, 4), (1, 2), (3, 6), (0.001, 0.03), (0.0, 0.3), (0.0,))
WIDE = Space(tuple(range(1, 41)), (1,), tuple(range(1, 41)), (0.01,), (0.2,), (0.0,))


def study(journal=None, **options):
    space = options.pop("space", SPACE)
    return Study(journal or Journal(None), "gru", space, seed=3, **options)


def error_of(own):
    return abs(own["units"] - 30) + abs(own["lookback"] - 5.0)


def run(one, numbers):
    for number in numbers:
        if number not in one.finished:
            draw = one.draw(number)
            one.finish(draw, Outcome({"mae": error_of(draw.own)}, error_of(draw.own)))


def test_all_settings_of_a_space_are_drawn_once():
    one = study()
    run(one, range(1, len(SPACE.grid) + 1))
    assert len(SPACE.grid) == 2 * 2 * 2 * (1 + 2)
    assert sorted(map(str, one.drawn.values())) == sorted(map(str, SPACE.grid))


def test_trials_learn_from_trials():
    one = study(space=WIDE)
    run(one, range(1, 61))
    errors = [error_of(one.drawn[number]) for number in range(1, 61)]
    assert np.mean(errors[-20:]) < np.mean(errors[:10]) / 2


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_is_drawn_depends_on_no_interruption_and_no_order(tmp_path, at_once):
    whole = study(space=WIDE, at_once=at_once)
    run(whole, range(1, 25))
    rng = np.random.default_rng(0)
    path, done = tmp_path / "journal", 0
    for _ in range(5):
        # Each time a new process, which is killed while some trials run.
        one = study(Journal(path), space=WIDE, at_once=at_once)
        assert one.kept == done
        running = []
        for number in range(1, 25):
            while not one.can_draw(number):
                draw = running.pop(int(rng.integers(len(running))))
                one.finish(draw, Outcome({}, error_of(draw.own)))
                done += 1
            if done >= 5 * (_ + 1) and _ < 4:
                break
            if number not in one.finished:
                running.append(one.draw(number))
    for draw in running:
        one.finish(draw, Outcome({}, error_of(draw.own)))
    assert [one.drawn[number] for number in range(1, 25)] == [whole.drawn[number] for number in range(1, 25)]
    # The trials that were told apart by what they knew differ from those drawn one by one.
    alone = study(space=WIDE)
    run(alone, range(1, 25))
    assert (alone.drawn == whole.drawn) == (at_once == 1)


def test_a_trial_waits_for_those_that_it_is_to_know():
    one = study(at_once=2)
    first, second = one.draw(1), one.draw(2)
    assert not one.can_draw(3)
    one.finish(second, Outcome({}, 1.0))
    assert not one.can_draw(3)
    one.finish(first, Outcome({}, 1.0))
    assert one.can_draw(3)


def test_the_journal_is_read_by_optuna(tmp_path):
    path = tmp_path / "journal"
    one = study(Journal(path), at_once=3)
    run(one, [1])
    diverged, pruned = one.draw(2), one.draw(3)
    one.finish(diverged, Outcome({"mae": float("nan")}, float("nan")))
    one.finish(pruned, Outcome({"mae": float("nan")}, 9.0, True, {10: 9.5, 20: 9.0}, {"completed_rung_0": 9.5}))
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    read = optuna.load_study(study_name="gru", storage=optuna.storages.JournalStorage(backend))
    assert [trial.state.name for trial in read.trials] == ["COMPLETE", "FAIL", "PRUNED"]
    assert read.best_value == error_of(one.drawn[1])
    assert read.trials[2].intermediate_values == {10: 9.5, 20: 9.0}
    assert not list(tmp_path.glob("*.lock"))
    # What is kept is what was there.
    again = study(Journal(path), at_once=3)
    assert str(again.rows(3)) == str(one.rows(3))
    for number, trial in one.finished.items():
        kept = again.finished[number]
        for name in ("state", "values", "params", "distributions", "intermediate_values", "system_attrs", "user_attrs"):
            assert str(getattr(kept, name)) == str(getattr(trial, name))


@pytest.mark.parametrize("torn", [b"", b"{", b'{"op_code": 4, "worker_id": "x"'])
def test_a_torn_line_is_cut_off(tmp_path, torn):
    path = tmp_path / "journal"
    run(study(Journal(path)), [1, 2])
    with path.open("ab") as file:
        file.write(torn)
    one = study(Journal(path))
    assert one.kept == 2
    run(one, [3])
    assert study(Journal(path)).kept == 3


def test_a_full_disk_costs_what_is_kept_and_nothing_else(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal")
    one = study(journal)
    run(one, [1])

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(one.study, "add_trial", full)
    run(one, [2, 3])
    assert journal.error is not None
    assert list(one.finished) == [1, 2, 3]
    assert study(Journal(tmp_path / "journal")).kept == 1


def watched(pruning, errors):
    """The epoch after which a training with these errors is ended; None for none."""
    watch = pruning.start()
    ended = [epoch for epoch, error in errors.items() if watch.report(epoch, error)]
    return (ended[0] if ended else None), watch.seen


def finished(one, number, curve, pruner="median", epochs=100):
    epoch, (errors, notes) = watched(Pruning(pruner, epochs, tuple(one.finished.values())), curve)
    draw = one.draw(number)
    one.finish(draw, Outcome({}, min(curve.values()), epoch is not None, errors, notes))
    return epoch


def test_the_median_of_earlier_trials_ends_a_worse_one():
    one = study(pruner="median", epochs=100)
    for number in range(1, 6):
        # Of the first trials none is ended, whatever its errors are.
        assert finished(one, number, {50: float(number), 100: float(number)}) is None
    pruning = one.pruning(6)
    assert pruning.every == 5
    assert watched(pruning, {50: 3.1, 100: 3.1})[0] == 50
    assert watched(pruning, {50: 2.9, 100: 3.1})[0] is None
    # The first tenth of a training is left to all.
    assert watched(pruning, {5: 99.0, 50: 2.9})[0] is None


def test_halving_ends_two_of_three_at_a_rung():
    one = study(pruner="halving", epochs=90)
    ended = [
        finished(one, number, {10: error, 30: error, 90: error}, "halving", 90)
        for number, error in enumerate([5.0, 4.0, 6.0, 3.0, 7.0, 8.0, 4.5, 2.0, 9.0], start=1)
    ]
    assert ended[0] is None
    # The best so far go on; most of the others end at the first rung.
    assert [ended[1], ended[3], ended[7]] == [None, None, None]
    assert [ended[number] for number in (2, 4, 5, 8)] == [10, 10, 10, 10]


def test_a_pruner_that_was_sent_decides_as_here():
    import pickle

    one = study(pruner="halving", epochs=90)
    for number, error in enumerate([5.0, 4.0, 6.0], start=1):
        finished(one, number, {10: error, 30: error}, "halving", 90)
    sent = pickle.loads(pickle.dumps(one.pruning(4)))
    for error in (3.0, 4.5, 9.0):
        assert watched(sent, {10: error})[0] == watched(one.pruning(4), {10: error})[0]
