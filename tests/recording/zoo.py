"""Models as people write them: several inputs, masks, weights used twice, losses of their own, outputs of any form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.recording.recorded import Made, made_of

N = 6  # examples
WORDS = 20


class TwoInputs(nn.Module):
    """Numbers, and words of which 0 is padding."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = nn.Linear(6, 5)
        self.words = nn.Embedding(WORDS, 5, padding_idx=0)
        self.last = nn.Linear(10, 3)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        mask = (words != 0).float().unsqueeze(-1)
        mean = (self.words(words) * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.last(torch.cat([self.numbers(x).relu(), mean], 1))


class Recurrent(nn.Module):
    """Takes what the network says at the end of each sequence, wherever that is."""

    def __init__(self, kind: Callable[..., nn.Module], **options: Any) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8, padding_idx=0)
        self.network = kind(8, 6, batch_first=True, **options)
        self.last = nn.Linear(12 if options.get("bidirectional") else 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        length = (x != 0).sum(1).clamp(min=1)
        outputs, _ = self.network(self.words(x))
        return self.last(outputs[torch.arange(len(x)), length - 1])


class CellByHand(nn.Module):
    """Starts from zeros of its own, and writes into them."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.size(0), 4)
        c = torch.zeros_like(h)
        outputs = torch.zeros(x.size(0), x.size(1), 4)
        for step in range(x.size(1)):
            h, c = self.cell(x[:, step], (h, c))
            outputs[:, step] = h
        return self.last(outputs.mean(1))


class Encoder(nn.Module):
    def __init__(self, causal: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8, padding_idx=0)
        self.places = nn.Parameter(torch.randn(5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=causal, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.last = nn.Linear(8, 3)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        padding = x == 0
        mask = nn.Transformer.generate_square_subsequent_mask(5) if self.causal else None
        h = self.encoder(self.words(x) + self.places, mask, None if self.causal else padding)
        there = (~padding).float().unsqueeze(-1)
        return self.last((h * there).sum(1) / there.sum(1).clamp(min=1))


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
        self.last = nn.Linear(8, WORDS)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(y.size(1))
        return self.last(self.transformer(self.words(x), self.words(y), tgt_mask=mask))


class Attention(nn.Module):
    """As in a GPT."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(3, 12)
        self.norm = nn.RMSNorm(4)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, _ = x.shape
        q, k, v = (each.view(rows, length, 2, 2).transpose(1, 2) for each in self.qkv(x).split(4, 2))
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 if self.training else 0.0, is_causal=True)
        return self.last(self.norm(y.transpose(1, 2).reshape(rows, length, 4))).mean(1)


class TiedWords(nn.Module):
    """A language model whose last layer is its first."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.network = nn.GRU(8, 8, batch_first=True)
        self.last = nn.Linear(8, WORDS)
        self.last.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.network(self.words(x))[0])


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.middle = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm, self.average = nn.BatchNorm2d(4), nn.BatchNorm2d(4, momentum=None)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.average(self.middle(F.relu(self.norm(self.middle(x)), inplace=True)))
        y += x
        return self.last(F.relu(y).mean((2, 3)))


class Autoencoder(nn.Module):
    """Gives the input beside what it makes of it, for the loss to compare them."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
        self.decoder = decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder(self.encoder(x)), x


class Variational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 8), nn.Linear(4, 6)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        mean, log = self.encoder(x).chunk(2, 1)
        return {"x": x, "mean": mean, "log": log, "y": self.decoder(mean + torch.randn_like(mean) * (log / 2).exp())}


class Siamese(nn.Module):
    """One network, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 4))

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(one), self.network(other)


class ByIndex(nn.Module):
    """einsum, gather, where, and an index that the module holds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(6, 4, 3) / 3)
        self.second = nn.Parameter(torch.randn(5, 4) / 3)
        self.register_buffer("index", torch.tensor([2, 0, 1]))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.einsum("bi,iok->bok", x, self.first)
        h = h.gather(2, self.index.expand(x.size(0), 4, 3))
        return torch.einsum("bok,co->bck", torch.where(h > 0, h, 0.1 * h), self.second).amax(1)


class OwnBuffers(nn.Module):
    """Writes to one in place, and assigns another anew."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(x)
        with torch.no_grad():
            self.mean.mul_(0.9).add_(h.mean(0), alpha=0.1)
        self.count = self.count + 1
        return h - self.mean / self.count + 0.5 * h.detach()


class Noisy(nn.Module):
    """Draws numbers for each example, and for all, from tensors of its own, and into one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        places = F.dropout(torch.arange(6.0).sin(), 0.3).expand(len(x), 6)
        gain = torch.empty(3)
        gain.uniform_(0.5, 1.5)
        return self.linear(x + 0.1 * torch.randn(x.shape) + places) * gain + torch.rand(3)


class Distributed(nn.Module):
    """As `Variational`, in the words of torch.distributions, and with noise on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 8), nn.Linear(4, 6)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = x + torch.distributions.Normal(0.0, 0.1).sample((len(x), 6))
        mean, scale = self.encoder(x).chunk(2, 1)
        posterior = torch.distributions.Normal(mean, F.softplus(scale) + 1e-3)
        away = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
        return {"x": x, "y": self.decoder(posterior.rsample()), "away": away}


class Graph(nn.Module):
    """Attention over the neighbours in a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes, self.pairs, self.last = nn.Linear(3, 4), nn.Linear(8, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        h = self.nodes(x)
        n = h.size(1)
        pairs = torch.cat([h.unsqueeze(2).expand(-1, -1, n, -1), h.unsqueeze(1).expand(-1, n, -1, -1)], -1)
        scores = F.leaky_relu(self.pairs(pairs).squeeze(-1), 0.2).masked_fill(edges == 0, float("-inf"))
        return self.last(F.elu(scores.softmax(-1) @ h).mean(1))


def beside(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    return F.mse_loss(*outputs)


def variational(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    mean, log = outputs["mean"], outputs["log"]
    return F.mse_loss(outputs["y"], outputs["x"]) - 0.5 * (1 + log - mean.square() - log.exp()).mean()


def distributed(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    return F.mse_loss(outputs["y"], outputs["x"]) + outputs["away"]


def contrastive(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    distance, alike = F.pairwise_distance(*outputs), targets.float()
    return (alike * distance.square() + (1 - alike) * F.relu(1 - distance).square()).mean()


def against_the_others(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    """InfoNCE: of all others in the batch, which is mine?"""
    one, other = (F.normalize(each, dim=1) for each in outputs)
    return F.cross_entropy(one @ other.T / 0.1, torch.arange(len(one)))


def decorrelated(outputs: Tensor, targets: Tensor) -> Tensor:
    """Divides by one example less than there are, by their root, and by the number of pairs."""
    away = outputs - outputs.mean(0)
    covariance = away.T @ away / (len(away) - 1) - torch.eye(3)
    pairs = torch.cdist(outputs, outputs).sum() / (len(outputs) * (len(outputs) - 1))
    return F.cross_entropy(outputs, targets) + covariance.square().sum() / len(outputs) ** 0.5 - 0.1 * pairs


def focal(outputs: Tensor, targets: Tensor) -> Tensor:
    log = F.log_softmax(outputs, 1)[torch.arange(len(targets)), targets]
    return -((1 - log.exp()).square() * log).mean()


def by_word(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.transpose(1, 2), targets, ignore_index=0, label_smoothing=0.1)


def ctc(outputs: Tensor, targets: Tensor) -> Tensor:
    log = outputs.log_softmax(2).transpose(0, 1)
    lengths = [torch.full((len(targets),), each) for each in (len(log), targets.size(1))]
    return F.ctc_loss(log, targets, *lengths)


def gaussian(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.gaussian_nll_loss(outputs[:, :3], targets, F.softplus(outputs[:, 3:]))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout2d(0.2),
        nn.Conv2d(4, 8, 3, groups=2), nn.GroupNorm(2, 8), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(8, 3),
    )  # fmt: skip


def _numbers() -> Tensor:
    return torch.randn(N, 6)


def _words(length: int = 5, most: int = WORDS) -> Tensor:
    return torch.randint(0, most, (N, length))


def _classes(most: int = 3) -> Tensor:
    return torch.randint(0, most, (N,))


def _images() -> Tensor:
    return torch.randn(N, 3, 8, 8)


def _edges() -> Tensor:
    return (torch.rand(N, 5, 5) > 0.5).float() + torch.eye(5)


class Turned(nn.Module):
    """Looks where it likes, from a grid that it makes out of numbers, one for each image."""

    def __init__(self) -> None:
        super().__init__()
        self.where, self.last = nn.Conv2d(3, 2, 3, padding=1), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        still = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).unsqueeze(0).repeat(x.size(0), 1, 1)
        grid = F.affine_grid(still, list(x.shape), align_corners=False) + self.where(x).tanh().permute(0, 2, 3, 1)
        answer: Tensor = self.last(F.grid_sample(x, grid, align_corners=False).mean((2, 3)))
        return answer


def _linear() -> nn.Module:
    return nn.Linear(6, 3)


WEIGHTS = torch.tensor([1.0, 2.0, 0.5])

ZOO: dict[str, Callable[[], Made]] = {
    "two inputs": made_of(TwoInputs, lambda: (_numbers(), _words(), _classes())),
    "gru": made_of(lambda: Recurrent(nn.GRU, num_layers=2, dropout=0.3), lambda: (_words(), _classes())),
    "lstm": made_of(
        lambda: Recurrent(nn.LSTM, num_layers=2, dropout=0.3, bidirectional=True), lambda: (_words(), _classes())
    ),
    "cell by hand": made_of(CellByHand, lambda: (torch.randn(N, 4, 3), _classes())),
    "encoder": made_of(Encoder, lambda: (_words(), _classes())),
    "causal encoder": made_of(lambda: Encoder(causal=True), lambda: (_words(), _classes())),
    "translator": made_of(Translator, lambda: (_words(), _words(4), _words(4)), by_word),
    "attention": made_of(Attention, lambda: (torch.randn(N, 4, 3), _classes())),
    "tied words": made_of(TiedWords, lambda: (_words(), _words()), by_word),
    "cnn": made_of(_cnn, lambda: (_images(), _classes())),
    "residual": made_of(Residual, lambda: (_images(), _classes())),
    "autoencoder": made_of(
        lambda: Autoencoder(nn.ConvTranspose2d(4, 3, 3, 2, 1, 1)), lambda: (_images(), _classes()), beside
    ),
    "turned": made_of(Turned, lambda: (_images(), _classes())),
    "upsampled": made_of(
        lambda: Autoencoder(nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 3, 1))),
        lambda: (_images(), _classes()),
        beside,
    ),
    "variational": made_of(Variational, lambda: (_numbers(), _classes()), variational),
    "distributed": made_of(Distributed, lambda: (_numbers(), _classes()), distributed),
    "siamese": made_of(Siamese, lambda: (_numbers(), _numbers(), _classes(2)), contrastive),
    "against the others": made_of(Siamese, lambda: (_numbers(), _numbers(), _classes()), against_the_others),
    "by index": made_of(ByIndex, lambda: (_numbers(), _classes())),
    "own buffers": made_of(OwnBuffers, lambda: (_numbers(), _classes())),
    "noisy": made_of(Noisy, lambda: (_numbers(), _classes())),
    "graph": made_of(Graph, lambda: (torch.randn(N, 5, 3), _edges(), _classes())),
    "weight norm": made_of(
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3))),
        lambda: (_numbers(), _classes()),
    ),
    "label smoothing": made_of(_linear, lambda: (_numbers(), _classes()), nn.CrossEntropyLoss(label_smoothing=0.1)),
    "class weights": made_of(_linear, lambda: (_numbers(), _classes()), nn.CrossEntropyLoss(WEIGHTS)),
    "positive weights": made_of(
        _linear, lambda: (_numbers(), (_numbers()[:, :3] > 0).float()), nn.BCEWithLogitsLoss(pos_weight=WEIGHTS)
    ),
    "huber": made_of(_linear, lambda: (_numbers(), torch.randn(N, 3)), nn.HuberLoss(delta=0.5)),
    "divergence": made_of(
        _linear,
        lambda: (_numbers(), torch.randn(N, 3).softmax(1)),
        lambda x, y: F.kl_div(x.log_softmax(1), y, reduction="batchmean"),
    ),
    "decorrelated": made_of(_linear, lambda: (_numbers(), _classes()), decorrelated),
    "focal": made_of(_linear, lambda: (_numbers(), _classes()), focal),
    "gaussian": made_of(lambda: nn.Linear(6, 6), lambda: (_numbers(), torch.randn(N, 3)), gaussian),
    "ctc": made_of(
        lambda: nn.Sequential(nn.Unflatten(1, (6, 1)), nn.Linear(1, 5)), lambda: (_numbers(), 1 + _words(2, 4)), ctc
    ),
}
