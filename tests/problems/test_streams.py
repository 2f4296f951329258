import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.problems import streams

ALL = [*streams.STREAMS.values(), streams.dirichlet(100.0)]


def epoch(stream, labels, size=64, seed=0):
    return list(stream(labels, size, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.name)
@settings(max_examples=40)
@given(labels=st.lists(st.integers(0, 6), max_size=60), size=st.integers(1, 70))
def test_an_epoch_shows_each_sample_once_in_full_batches(stream, labels, size):
    labels = torch.tensor(labels, dtype=torch.int64)
    batches = epoch(stream, labels, size)
    shown = torch.cat(batches)
    assert torch.equal(shown.sort().values, torch.arange(len(labels)))
    assert all(len(batch) == size for batch in batches[:-1])
    assert shown.dtype == torch.int64


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.name)
def test_the_generator_decides_and_the_next_epoch_is_another(stream):
    labels = torch.arange(500) % 10
    generator = torch.Generator().manual_seed(4)
    one, two = (torch.cat(list(stream(labels, 50, generator))) for _ in range(2))
    assert torch.equal(one, torch.cat(epoch(stream, labels, 50, seed=4)))
    assert not torch.equal(one, two)


def test_shuffled_batches_are_those_of_randperm():
    order = torch.randperm(100, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.cat(epoch(streams.shuffled, torch.zeros(100, dtype=torch.int64), 7, seed=3)), order)


def test_sorted_batches_hold_one_class_and_blocks_of_classes_follow_each_other():
    labels = torch.arange(1000) % 10
    shown = labels[torch.cat(epoch(streams.sorted_by_class, labels, 50))]
    assert int((shown.diff() != 0).sum()) == 9
    assert all(len(set(labels[batch].tolist())) == 1 for batch in epoch(streams.sorted_by_class, labels, 50))
    firsts = {int(labels[epoch(streams.sorted_by_class, labels, 50, seed)[0][0]]) for seed in range(20)}
    assert len(firsts) > 3
    within = torch.cat(epoch(streams.sorted_by_class, labels, 50))[:100]
    assert not torch.equal(within, within.sort().values)


def evenness(stream):
    """Mean over the batches of Σ share², 1 for one class a batch; about 0.1 for ten in equal parts."""
    labels = torch.arange(4000) % 10
    shares = [torch.bincount(labels[batch], minlength=10) / len(batch) for batch in epoch(stream, labels, 100)]
    return float(torch.stack(shares).square().sum(1).mean())


def test_alpha_sets_how_uneven_the_mixtures_are():
    small, middle, large = (evenness(streams.dirichlet(alpha)) for alpha in (0.01, 0.1, 1e4))
    assert small > 0.8
    assert small > middle > 0.4
    assert large < 0.12
    assert evenness(streams.shuffled) < 0.12
    # Without the classes running out, E Σ p² = (1 + α)/(1 + 10 α): 0.18 for α = 1.
    assert abs(evenness(streams.dirichlet(1.0)) - 2 / 11) < 0.06


def test_a_batch_does_not_show_its_classes_one_after_the_other():
    labels = torch.arange(1000) % 2
    batch = labels[epoch(streams.dirichlet(1e4), labels, 200)[0]]
    assert int((batch.diff() != 0).sum()) > 50


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.name)
def test_streams_travel_to_other_processes_and_are_found_by_name(stream):
    assert pickle.loads(pickle.dumps(stream)) == stream
    assert streams.get(stream.name) == stream


@pytest.mark.parametrize("name", ["sorted", "dirichlet()", "dirichlet(-1)", "dirichlet(1.2.3)", "dirichlet(0.5) "])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match=r"no stream is called .*: there are shuffled, sorted_by_class, dirichlet"):
        streams.get(name)


def test_what_is_no_name_is_refused_and_a_stream_is_itself():
    assert streams.get(streams.sorted_by_class) is streams.sorted_by_class
    for thing in (None, 3, lambda labels, batch_size, generator: iter(())):
        with pytest.raises(ValueError, match=r"stream=.* must be a Stream or a name: there are shuffled, sorted_by"):
            streams.get(thing)


def test_an_alpha_has_one_name_whatever_type_it_has():
    stream = streams.dirichlet(1.0)
    for alpha in (1, np.float32(1), torch.tensor(1.0)):
        assert streams.dirichlet(alpha) == stream == streams.get(streams.dirichlet(alpha).name)


@pytest.mark.parametrize("alpha", [5e-324, 1e-6, 1e6, 1.7e308])
@pytest.mark.parametrize("classes", [1, 10])
def test_the_smallest_and_the_largest_alpha_still_show_all_samples(alpha, classes):
    labels = torch.arange(100) % classes
    batches = epoch(streams.dirichlet(alpha), labels, 20)
    assert torch.equal(torch.cat(batches).sort().values, torch.arange(100))
    assert len(set(labels[batches[0]].tolist())) >= classes / 2 if alpha > 1 else len(set(batches[0])) == 20


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf"), "0.5", None])
def test_bad_alphas_are_named(alpha):
    with pytest.raises(ValueError, match=f"alpha={alpha!r} must be a positive number"):
        streams.dirichlet(alpha)
