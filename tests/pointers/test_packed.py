from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.pointers.loopback import Place


def outputs_of(network: nn.Module, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(network(packed)[0], batch_first=True)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_network_runs_over_packed_sequences_on_a_worker(kind: type[nn.RNNBase], bob: Place) -> None:
    network = kind(4, 3, batch_first=True, bidirectional=True)
    there = copy.deepcopy(network).send(bob)
    x, lengths = torch.randn(3, 5, 4), torch.tensor([2, 4, 1])
    expected, as_long = outputs_of(network, x, lengths)
    expected.square().sum().backward()

    outputs, lengths_there = outputs_of(there, x.send(bob), lengths.send(bob))
    outputs.square().sum().backward()

    assert torch.equal(lengths_there.get(), as_long)
    torch.testing.assert_close(outputs.get(), expected)
    for one, other in zip(there.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(one.grad.get(), other.grad)
