"""Recurrent networks over packed sequences."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.recording.recorded import Made, made_of
from tests.recording.zoo import Recurrent

N, WORDS = 6, 20


class LastState(Recurrent):
    """Of each direction of the last layer."""

    def forward(self, x: Tensor) -> Tensor:
        lengths = (x != 0).sum(1).clamp(min=1)
        packed = pack_padded_sequence(self.words(x), lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, state = self.network(packed)
        state = state[0] if isinstance(state, tuple) else state
        directions = self.last.in_features // 6
        return self.last(torch.cat([*state[-directions:]], 1))


class MeanOutput(nn.Module):
    """The lengths come with the data, and the steps come first."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.network = nn.GRU(8, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.words(x).transpose(0, 1), lengths, enforce_sorted=False)
        outputs, lengths = pad_packed_sequence(self.network(packed)[0])
        steps = torch.arange(outputs.size(0))[:, None] < lengths
        return self.last((outputs * steps[..., None]).sum(0) / lengths[:, None]) / outputs.size(0)


class ToLength(nn.Module):
    """Padded again to the length that they had."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.LSTM(3, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        lengths = (x.abs().sum(-1) > 0.1).sum(1).clamp(min=1)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states = torch.zeros(1, len(x), 3)
        outputs, _ = pad_packed_sequence(self.network(packed, (states, states))[0], True, -1.0, x.size(1))
        return outputs + x


def _words() -> Tensor:
    return torch.where(torch.arange(7) < torch.randint(2, 8, (N, 1)), torch.randint(1, WORDS, (N, 7)), 0)


def _classes() -> Tensor:
    return torch.randint(0, 3, (N,))


PACKED: dict[str, Callable[[], Made]] = {
    "packed lstm": made_of(
        lambda: LastState(nn.LSTM, num_layers=2, dropout=0.2, bidirectional=True), lambda: (_words(), _classes())
    ),
    "packed gru": made_of(lambda: LastState(nn.GRU), lambda: (_words(), _classes())),
    "packed rnn": made_of(lambda: LastState(nn.RNN, nonlinearity="relu"), lambda: (_words(), _classes())),
    "packed, with lengths": made_of(MeanOutput, lambda: (_words(), torch.randint(1, 8, (N,)), _classes())),
    "packed, to length": made_of(ToLength, lambda: (torch.randn(N, 5, 3), torch.randn(N, 5, 3)), F.mse_loss),
}
