from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
import torch

from fedzmq.errors import LimitExceeded, OperationRefused
from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.guards import differentiated
from fedzmq.operations.guards.guard import product
from fedzmq.operations.guards.memory import enlarged_by_numbers

LIMIT = 1 << 30
BIG = 1 << 40
ONES = torch.ones(2, 3)
INDEX = torch.tensor([1, 2])
IMAGE = torch.ones(1, 1, 4, 4)
KERNEL = torch.ones(1, 1, 3, 3)
LONG = torch.ones(1 << 16, 1)
WIDE = torch.ones(1).expand(1 << 20)  # a view of four bytes
EMPTY = torch.zeros(1 << 31, 0)  # that no bytes are needed for
NAN = float("nan")
LEAST = torch.tensor([-(1 << 63)])
NOWHERE = torch.full((1, 2, 2, 2), NAN)


def ask(name: str, *arguments: Any, **keywords: Any) -> None:
    guard = CATALOG.guard(CATALOG.number_of(name))
    assert guard is not None, f"{name} has no guard"
    guard(LIMIT, arguments, keywords)


def run(name: str, *arguments: Any, **keywords: Any) -> None:
    ask(name, *arguments, **keywords)
    CATALOG.functions[CATALOG.number_of(name)](*arguments, **keywords)


TOO_LARGE: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("torch.zeros", (BIG,), {}),
    ("linalg.qr", (LONG,), {"mode": "complete"}),
    ("Tensor.qr", (LONG, False), {}),
    ("linalg.svd", (LONG,), {}),
    ("torch.svd", (LONG, False), {}),
    ("linalg.lu", (LONG,), {}),
    ("torch.lu_unpack", (LONG, torch.ones(1, dtype=torch.int32)), {}),
    ("torch.vander", (LONG[:, 0],), {}),
    ("linalg.vander", (LONG[:, 0],), {}),
    ("torch.masked_select", (LONG, LONG.mT > 0), {}),
    ("torch.svd_lowrank", (ONES, BIG), {}),
    ("nn.functional.fractional_max_pool2d", (torch.ones(1 << 31, 1, 0, 2), 2, 2), {}),
    ("Tensor.dist", (LONG, LONG.mT), {}),
    ("torch.zeros", ([BIG, 0, 1][:1],), {}),
    ("torch.ones", (1 << 20, 1 << 20), {"dtype": torch.bool}),
    ("torch.full", ((BIG,), 1.0), {}),
    ("torch.normal", (0.0, 1.0, (BIG,)), {}),
    ("torch.rand", (), {"size": (BIG,)}),
    ("torch.randint", (5, (BIG,)), {}),
    ("torch.randperm", (BIG,), {}),
    ("torch.eye", (1 << 20,), {}),
    ("torch.arange", (BIG,), {}),
    ("torch.arange", (0, 1, 1e-12), {}),
    ("torch.linspace", (0, 1, BIG), {}),
    ("torch.hann_window", (BIG,), {}),
    ("torch.tril_indices", (1 << 20, 1 << 20), {}),
    ("fft.fftfreq", (BIG,), {}),
    ("Tensor.new_zeros", (ONES, (BIG,)), {}),
    ("Tensor.new_full", (ONES, (BIG,), 1.0), {}),
    ("Tensor.repeat", (ONES, BIG, 1), {}),
    ("Tensor.repeat", (ONES, torch.tensor(BIG), 1), {}),
    ("torch.tile", (ONES, (BIG,)), {}),
    ("Tensor.repeat_interleave", (INDEX, BIG), {}),
    ("torch.repeat_interleave", (torch.tensor([BIG]),), {}),
    ("torch.repeat_interleave", (INDEX, torch.tensor([BIG, 1])), {}),
    ("nn.functional.one_hot", (INDEX, BIG), {}),
    ("nn.functional.one_hot", (torch.tensor([BIG]),), {}),
    ("torch.bincount", (torch.tensor([BIG]),), {}),
    ("Tensor.bincount", (INDEX,), {"minlength": BIG}),
    ("torch.histc", (ONES, BIG), {}),
    ("torch.native_group_norm", (torch.ones(0), None, None, BIG, 1, 0, 1, 1e-5), {}),
    ("torch.istft", (torch.ones(6, 10, dtype=torch.complex64), 10), {"length": BIG}),
    ("nn.functional.pad", (ONES, (0, BIG)), {}),
    ("nn.functional.interpolate", (IMAGE,), {"size": (1 << 20, 1 << 20)}),
    ("nn.functional.interpolate", (IMAGE,), {"scale_factor": 1e6}),
    ("nn.functional.adaptive_avg_pool2d", (IMAGE, 1 << 20), {}),
    ("nn.functional.conv_transpose2d", (IMAGE, IMAGE), {"stride": 1 << 20}),
    ("nn.functional.conv2d", (IMAGE, IMAGE), {"padding": 1 << 20}),
    ("nn.functional.conv2d", (IMAGE, IMAGE, None, 1, (1 << 20, 1 << 20)), {}),
    ("nn.functional.affine_grid", (torch.ones(1, 2, 3), (1, 1, 1 << 20, 1 << 20), False), {}),
    ("fft.fft", (ONES, BIG), {}),
    ("torch.vander", (ONES[0], BIG), {}),
    ("torch.outer", (WIDE, WIDE), {}),
    ("torch.kron", (WIDE, WIDE), {}),
    ("torch.diag", (WIDE,), {}),
    ("torch.diag_embed", (WIDE,), {}),
    ("torch.diag", (ONES[0], BIG), {}),
    ("torch.diagflat", (ONES[0], 1 << 20), {}),
    ("torch.diag_embed", (ONES[0],), {"offset": 1 << 20}),
    ("torch.adaptive_max_pool1d", (IMAGE[0], BIG), {}),
    ("nn.functional.local_response_norm", (IMAGE, BIG), {}),
    ("torch.cdist", (WIDE[:, None], WIDE[:, None]), {}),
    ("torch.cartesian_prod", (WIDE, WIDE), {}),
    ("torch.tensor_split", (ONES, BIG), {}),
    ("Tensor.unbind", (WIDE,), {}),
    ("Tensor.split", (WIDE, 1), {}),
    ("torch.chunk", (WIDE, BIG), {}),
    ("torch.split_copy", (WIDE, 1), {}),
    ("torch.expand_copy", (ONES[:, :1], (2, BIG)), {}),
    ("torch.constant_pad_nd", (ONES, (0, BIG)), {}),
    ("torch.logspace", (0, 1, BIG), {}),
    ("torch.kaiser_window", (BIG,), {}),
    ("signal.windows.cosine", (BIG,), {}),
    ("torch.combinations", (torch.ones(1000), 9), {}),
    ("torch.combinations", (ONES[0], BIG), {}),
    ("torch.cov", (WIDE[:, None],), {}),
    ("torch.corrcoef", (WIDE[:, None],), {}),
    ("torch.mvlgamma", (ONES, BIG), {}),
    ("torch.histogram", (ONES, BIG), {}),
    ("torch.histogramdd", (torch.ones(2, 9), 1000), {}),
    ("torch.histogramdd", (ONES, [BIG, 1, 1]), {}),
    ("torch.histogramdd", (torch.ones(1, 1).expand(1, BIG), 1), {}),
    ("torch.nonzero_static", (ONES,), {"size": BIG}),
    ("torch.multinomial", (ONES, BIG, True), {}),
    ("torch.diagflat", (ONES[:, :0],), {"offset": 1 << 20}),
    ("Tensor.repeat", (ONES[0, 0], 1 << 29), {}),
    ("torch.tile", (), {"input": ONES[0, 0], "dims": (1 << 29,)}),
    ("fft.hfftn", (EMPTY,), {"s": (8,)}),
    ("nn.functional.pad", (EMPTY, (0, 1)), {}),
    ("torch.cdist", (EMPTY, EMPTY), {}),
    ("nn.functional.pdist", (WIDE[:, None],), {}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), TOO_LARGE, ids=lambda value: str(value)[:30])
def test_a_result_that_is_too_large_is_refused_before_it_is_made(
    name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    with pytest.raises((LimitExceeded, OperationRefused, RuntimeError)):  # torch's own says that a size overflows
        ask(name, *arguments, **keywords)


@pytest.mark.parametrize("box", [torch.tensor, lambda number: torch.tensor([number])], ids=["scalar", "one element"])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("nn.functional.pad", lambda big: (ONES, [big, 0])),
        ("Tensor.repeat", lambda big: (ONES[0], big)),
        ("torch.normal", lambda big: (0.0, 1.0, [big])),
        ("nn.functional.conv1d", lambda big: (ONES[None], ONES[None], None, 1, [big])),
        ("nn.functional.one_hot", lambda big: (INDEX, big)),
        ("torch.bincount", lambda big: (INDEX, None, big)),
        ("torch.histogramdd", lambda big: (ONES, big)),
        ("torch.histogramdd", lambda big: (ONES, [big, 2, 2])),
        ("torch.chunk", lambda big: (WIDE, big)),
        ("torch.svd_lowrank", lambda big: (torch.eye(4), 2, big)),
        ("torch.matrix_power", lambda big: (torch.eye(2), -big - (1 << 63) + BIG)),
        ("nn.functional.max_pool1d", lambda big: (ONES, big, 1, 0)),
    ],
)
def test_a_number_in_a_tensor_is_a_number(name: str, call: Any, box: Any) -> None:
    with pytest.raises((LimitExceeded, OperationRefused, RuntimeError, TypeError)):
        ask(name, *call(box(BIG)))


def test_a_number_of_a_narrow_dtype_does_not_overflow_where_bytes_are_counted() -> None:
    with pytest.raises(LimitExceeded):
        ask("torch.repeat_interleave", ONES, INDEX, output_size=torch.tensor(1 << 30, dtype=torch.int32))


def test_a_scalar_is_not_enlarged_to_find_out_how_large_it_would_be() -> None:
    asked: list[torch.device] = []

    def repeat(value: torch.Tensor, *sizes: int) -> torch.Tensor:
        asked.append(value.device)
        return value.repeat(*sizes)

    with pytest.raises(LimitExceeded):
        enlarged_by_numbers("Tensor.repeat", repeat)(LIMIT, (torch.tensor(1.0), 1 << 29), {})
    assert asked == [torch.device("meta")]


EVERYDAY: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("torch.zeros", (2, 3), {"dtype": torch.float64}),
    ("torch.full", ((2,), 1e30), {}),
    ("torch.arange", (10**9, 10**9 + 5), {}),
    ("torch.randint", (0, 1 << 40, (4,)), {}),
    ("torch.normal", (ONES, 1.0), {}),
    ("torch.normal", (0.0, 1.0, (2, 3)), {}),
    ("Tensor.repeat", (ONES, 2, 2), {}),
    ("Tensor.repeat_interleave", (INDEX, 2), {}),
    ("torch.repeat_interleave", (INDEX, INDEX), {"dim": 0}),
    ("nn.functional.one_hot", (INDEX,), {}),
    ("nn.functional.one_hot", (INDEX, 5), {}),
    ("torch.bincount", (INDEX,), {}),
    ("nn.functional.pad", (ONES, (1, 1)), {"value": 1e30}),
    ("nn.functional.interpolate", (IMAGE,), {"scale_factor": 2.0}),
    ("nn.functional.adaptive_avg_pool2d", (IMAGE, (1, 1)), {}),
    ("nn.functional.conv_transpose2d", (IMAGE, IMAGE, None, 2, 1), {}),
    ("nn.functional.conv2d", (IMAGE, KERNEL), {"padding": "same"}),
    ("nn.functional.conv2d", (IMAGE, IMAGE, None, 1, (2, 2)), {}),
    ("fft.rfft", (torch.ones(1 << 10), 1 << 10), {}),
    ("torch.outer", (ONES[0], ONES[0]), {}),
    ("torch.diag", (torch.ones(300, 300),), {}),
    ("Tensor.split", (WIDE, 1 << 10), {}),
    ("torch.tensor_split", (ONES, 2), {}),
    ("torch.tensor_split", (ONES, (1,)), {}),
    ("Tensor.unbind", (ONES,), {}),
    ("Tensor.to", (ONES, torch.float64), {}),
    ("torch.norm", (ONES,), {}),
    ("torch.div", (INDEX, 2), {"rounding_mode": "trunc"}),
    ("torch.split", (torch.ones(1).expand(1 << 17), [1 << 16, 1 << 16]), {}),
    ("torch.chunk", (ONES, 2, 1), {}),
    ("torch.linspace", (torch.tensor(0.0), 1.0, 5), {}),
    ("torch.cov", (torch.ones(300, 300),), {}),
    ("torch.mvlgamma", (ONES + 3, 2), {}),
    ("torch.combinations", (INDEX, 2), {"with_replacement": True}),
    ("torch.histogramdd", (torch.eye(5, 2), [2, 3]), {}),
    ("torch.histogram", (ONES, 4), {}),
    ("signal.windows.gaussian", (8,), {"std": 2.0}),
    ("special.hermite_polynomial_h", (ONES, torch.tensor(4)), {}),
    ("special.legendre_polynomial_p", (0.5, torch.tensor([1.0, float("nan")])), {}),
    ("nn.functional.embedding_bag", (INDEX, ONES.repeat(2, 1), torch.tensor([0, 1])), {}),
    ("nn.functional.embedding_bag", (INDEX, ONES.repeat(2, 1), torch.tensor([0, 2])), {"include_last_offset": True}),
    ("nn.functional.embedding_bag", (INDEX[:0], ONES.repeat(2, 1), INDEX[:0]), {}),
    ("nn.functional.fractional_max_pool2d", (IMAGE, 2), {"output_size": 2, "_random_samples": torch.zeros(1, 1, 2)}),
    ("torch.grid_sampler", (IMAGE, torch.zeros(1, 2, 2, 2), 0, 1, False), {}),
    ("torch.svd_lowrank", (torch.eye(4), 2), {}),
    ("torch.native_batch_norm", (IMAGE, None, None, None, None, True, 0.1, 1e-5), {}),
    ("torch.native_batch_norm", (ONES, *[torch.ones(3)] * 4, False, 0.1, 1e-5), {}),
    ("torch.native_group_norm", (ONES, torch.ones(3), None, 2, 3, 1, 3, 1e-5), {}),
    ("nn.functional.scaled_dot_product_attention", (ONES, ONES, torch.ones(2, 5)), {}),
    ("nn.functional.grid_sample", (IMAGE, torch.zeros(1, 2, 2, 2)), {"padding_mode": "border", "align_corners": False}),
    ("nn.functional.grid_sample", (IMAGE, NOWHERE), {"align_corners": False}),
    ("nn.functional.max_pool1d", (ONES, 2), {}),
    ("nn.functional.max_pool2d", (IMAGE, 2, 1), {"padding": 1, "dilation": 3}),
    ("nn.functional.pad", (IMAGE, (1, 1, 0, 2), "circular"), {}),
    ("nn.functional.pad", (IMAGE, (-1, 1)), {}),
    ("nn.functional.pad", (IMAGE, (-1, 2, 1, -1), "circular"), {}),
    ("nn.functional.multi_margin_loss", (ONES, INDEX), {}),
    ("torch._weight_norm", (ONES, ONES[:, :1], 0), {}),
    ("torch._weight_norm", (ONES, torch.tensor(1.0), -1), {}),
    ("torch.binomial", (ONES, ONES / 2), {}),
    ("torch.median", (ONES.t()[::2], 0), {}),
    ("torch.lu_unpack", torch.linalg.lu_factor(torch.eye(5).expand(2, 5, 5)), {}),
    ("torch.matrix_power", (torch.eye(2), -3), {}),
    ("torch.lcm", (INDEX, INDEX), {}),
    ("torch.lcm", (torch.tensor([-128], dtype=torch.int8), torch.tensor([5], dtype=torch.int8)), {}),
    ("torch.multinomial", (ONES, 2), {}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), EVERYDAY, ids=lambda value: str(value)[:30])
def test_everyday_arguments_pass(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    run(name, *arguments, **keywords)


def lstm(**changes: Any) -> list[Any]:
    network = torch.nn.LSTM(4, 3, 2, bidirectional=True)
    state = torch.zeros(4, 2, 3)
    call = {
        "input": torch.ones(5, 2, 4),
        "hx": (state, state),
        "params": list(network._flat_weights),
        "has_biases": True,
        "num_layers": 2,
        "dropout": 0.0,
        "train": False,
        "bidirectional": True,
        "batch_first": False,
    }
    return list({**call, **changes}.values())


def test_a_good_lstm_passes() -> None:
    run("torch.lstm", *lstm())


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_what_a_recurrent_module_calls_passes(name: str, batch_first: bool) -> None:
    calls: list[Any] = []

    class Recorded(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function in (torch.lstm, torch.gru, torch.rnn_tanh):
                calls.append((function, args))
            return super().__torch_function__(function, types, args, kwargs or {})

    for extra in ({}, {"proj_size": 2}) if name == "LSTM" else ({},):
        module = getattr(torch.nn, name)(4, 3, 2, batch_first=batch_first, bidirectional=True, **extra)
        module(torch.ones(5, 2, 4).as_subclass(Recorded))
        module(torch.ones(5, 4).as_subclass(Recorded))
    for function, arguments in list(calls):
        run(CATALOG.name(CATALOG.number(function)), *arguments)
    assert calls


@pytest.mark.parametrize(
    "changes",
    [
        {"params": []},
        {"params": [torch.ones(1)] * 16},
        {"params": "weights"},
        {"num_layers": 3},
        {"num_layers": -1},
        {"num_layers": True},
        {"num_layers": 1 << 40},
        {"has_biases": False},
        {"bidirectional": 1},
        {"dropout": float("nan")},
        {"hx": (torch.zeros(4, 2, 3),)},
        {"hx": (torch.zeros(4, 9, 3),) * 2},
        {"hx": (torch.tensor(0.0),) * 2},
        {"input": torch.ones(5, 2, 9)},
        {"input": torch.ones(0, 2, 4)},
        {"input": torch.ones(5)},
    ],
    ids=str,
)
def test_a_hostile_lstm_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(OperationRefused):
        run("torch.lstm", *lstm(**changes))


def run_grouped(ends: Any, **changes: Any) -> None:
    run("torch._grouped_mm", torch.ones(5, 4), torch.ones(3, 4, 4), offs=torch.tensor(ends, **changes))


def test_rows_are_multiplied_group_by_group() -> None:
    run_grouped([2, 2, 5], dtype=torch.int32)


@pytest.mark.parametrize("ends", [[2, 3, 4], [2, 3, 6], [3, 2, 5], [-1, 2, 5], [5], [], [[2, 3, 5]]], ids=str)
def test_groups_that_leave_rows_out_or_reach_beyond_them_are_refused(ends: list[Any]) -> None:
    with pytest.raises(OperationRefused):
        run_grouped(ends, dtype=torch.int32)


def test_the_ends_of_groups_are_int32() -> None:
    with pytest.raises(OperationRefused, match="int32"):
        run_grouped([2, 3, 5], dtype=torch.int64)


WEIGHTS = list(torch.nn.LSTM(4, 3)._flat_weights)


def run_packed(sizes: Any, data: Any = torch.ones(5, 4)) -> None:  # noqa: B008 - nobody writes to it
    states = torch.zeros(1, 3, 3)
    run("torch.lstm", data, sizes, (states, states), WEIGHTS, True, 1, 0.0, False, False)


def test_packed_sequences_run() -> None:
    run_packed(torch.tensor([3, 2]))
    run("torch._pack_padded_sequence", torch.ones(3, 2, 4), torch.tensor([2, 2, 1]), True)
    run("torch._pad_packed_sequence", torch.ones(5, 4), torch.tensor([3, 2]), True, 0.0, 2)


@pytest.mark.parametrize(
    "sizes", [[9, 9], [3, 1], [2, 3], [5, 0], [6, -1], [5], [[3, 2]], [3.0, 2.0], [], [1, 1, 1, 1, 1]], ids=str
)
def test_packed_sequences_of_wrong_sizes_are_refused(sizes: list[Any]) -> None:
    with pytest.raises(OperationRefused):
        run_packed(torch.tensor(sizes))
    if sizes not in ([5], [1, 1, 1, 1, 1]):  # good ones, but for the states of three
        with pytest.raises(OperationRefused):
            run("torch._pad_packed_sequence", torch.ones(5, 4), torch.tensor(sizes), True, 0.0, 2)


def test_packed_rows_of_three_dimensions_are_refused() -> None:
    with pytest.raises(OperationRefused):
        run_packed(torch.tensor([3, 2]), torch.ones(5, 1, 4))


@pytest.mark.parametrize("lengths", [[2, 2], [1, 2, 2], [3, 2, 1], [2, 1, 0], [2, 1, -1], [2.0, 1.0, 1.0]], ids=str)
def test_lengths_that_are_none_are_refused(lengths: list[Any]) -> None:
    with pytest.raises(OperationRefused):
        run("torch._pack_padded_sequence", torch.ones(3, 2, 4), torch.tensor(lengths), True)


@pytest.mark.parametrize(("length", "error"), [(1, OperationRefused), (BIG, LimitExceeded), (2.0, OperationRefused)])
def test_a_padded_length_is_neither_too_short_nor_too_large(length: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        run("torch._pad_packed_sequence", torch.ones(5, 4), torch.tensor([3, 2]), True, 0.0, length)


def test_a_cell_with_weights_that_do_not_fit_is_refused() -> None:
    cell = torch.nn.GRUCell(4, 3)
    x, h = torch.ones(2, 4), torch.ones(2, 3)
    run("torch.gru_cell", x, h, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    for weights in ((cell.weight_hh, cell.weight_ih), (cell.weight_ih, cell.weight_hh[:1])):
        with pytest.raises(OperationRefused):
            run("torch.gru_cell", x, h, *weights, cell.bias_ih, cell.bias_hh)


SGD = {"weight_decay": 0.0, "momentum": 0.0, "lr": 0.1, "dampening": 0.0, "nesterov": False, "maximize": False}
SGD["is_first_step"] = False


@pytest.mark.parametrize(
    ("weights", "gradients"),
    [
        ([torch.ones(999)], [torch.ones(1)]),
        ([torch.ones(2), torch.ones(2)], [torch.ones(2)]),
        ([torch.ones(4, 4)], [torch.ones(4, 4).mT]),
        ([torch.ones(1).expand(99)], [torch.ones(1).expand(99)]),
        ([torch.ones(2)], [3.0]),
    ],
    ids=["short", "missing", "strides", "expanded", "number"],
)
def test_a_fused_step_over_lists_that_do_not_fit_is_refused(weights: list[Any], gradients: list[Any]) -> None:
    with pytest.raises(OperationRefused):
        run("torch._fused_sgd_", weights, gradients, [], **SGD)


def test_a_fused_step_over_lists_that_fit_passes() -> None:
    weights = torch.ones(3, 2)
    run("torch._fused_sgd_", [weights], [torch.ones(3, 2)], [], **SGD)
    assert weights.flatten().tolist() == pytest.approx([0.9] * 6)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_a_division_that_ends_the_process_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(OperationRefused):
        run("torch.div", torch.tensor([torch.iinfo(dtype).min], dtype=dtype), -1, rounding_mode="trunc")


@pytest.mark.parametrize(
    ("value", "divisor"),
    [
        (torch.tensor([0], dtype=torch.uint8), torch.tensor([-1])),
        (torch.tensor([-128], dtype=torch.int8), torch.tensor([-1])),
        (torch.tensor([7]), torch.tensor([255], dtype=torch.uint8)),
    ],
    ids=["unsigned", "widened", "by unsigned"],
)
def test_a_division_whose_result_has_room_passes(value: torch.Tensor, divisor: torch.Tensor) -> None:
    run("torch.div", value, divisor, rounding_mode="trunc")


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_a_degree_of_a_wide_unsigned_dtype_is_looked_at(dtype: torch.dtype) -> None:
    run("special.chebyshev_polynomial_t", ONES, torch.tensor(4, dtype=dtype))
    with pytest.raises(OperationRefused):
        run("special.chebyshev_polynomial_t", ONES, torch.tensor(60_000, dtype=dtype))


LOG_PROBS = torch.zeros(5, 2, 4).log_softmax(2)


def test_a_good_ctc_loss_passes() -> None:
    run("nn.functional.ctc_loss", LOG_PROBS, torch.tensor([[1, 2], [3, 1]]), (5, 5), (2, 2))


@pytest.mark.parametrize(
    ("targets", "inputs", "lengths", "blank"),
    [
        (torch.tensor([[1, 9], [1, 1]]), (5, 5), (2, 2), 0),
        (torch.tensor([[1, 2], [1, 1]]), (9, 5), (2, 2), 0),
        (torch.tensor([[1, 2], [1, 1]]), (5, 5), (2, 7), 0),
        (torch.tensor([[1, 2], [1, 1]]), (5, 5), (-1, 2), 0),
        (torch.tensor([[1, 2], [1, 1]]), (5,), (2, 2), 0),
        (torch.tensor([[1, 2], [1, 1]]), (5, 5), (2, 2), 4),
        (torch.tensor([1, 2, 3]), (5, 5), (2, 2), 0),
    ],
)
def test_a_hostile_ctc_loss_is_refused(targets: torch.Tensor, inputs: Any, lengths: Any, blank: int) -> None:
    with pytest.raises(OperationRefused):
        run("nn.functional.ctc_loss", LOG_PROBS, targets, inputs, lengths, blank)


def test_out_by_position_is_refused() -> None:
    with pytest.raises(OperationRefused):
        run("nn.functional.normalize", ONES, 2.0, 1, 1e-12, torch.empty(1))
    with pytest.raises(OperationRefused):
        run("torch.tensordot", ONES, ONES, 2, torch.empty(1))


def test_a_device_as_text_is_refused() -> None:
    with pytest.raises(OperationRefused):
        run("Tensor.to", ONES, "meta")


HOSTILE: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("linalg.lu_solve", (torch.eye(2), torch.tensor([1, 99], dtype=torch.int32), ONES), {}),
    ("linalg.lu_solve", (torch.eye(2),), {"pivots": torch.tensor([0, 1], dtype=torch.int32), "B": ONES}),
    ("torch.lu_solve", (ONES, torch.eye(2), torch.tensor([1, -2], dtype=torch.int32)), {}),
    ("linalg.ldl_solve", (torch.eye(2), torch.tensor([1, -2], dtype=torch.int32), ONES), {}),
    ("linalg.ldl_solve", (torch.eye(2), torch.tensor([-9, -9], dtype=torch.int32), ONES), {}),
    ("nn.functional.embedding_bag", (INDEX, ONES.repeat(2, 1), torch.tensor([0, 9, 1])), {}),
    ("nn.functional.embedding_bag", (INDEX, ONES.repeat(2, 1), torch.tensor([0, -7])), {}),
    ("nn.functional.embedding_bag", (ONES, INDEX), {}),
    ("nn.functional.embedding_bag", (INDEX, ONES.repeat(2, 1), INDEX[:0]), {}),
    ("nn.functional.embedding_bag", (INDEX, ONES.repeat(2, 1), INDEX[:1] * 0), {"include_last_offset": True}),
    ("nn.functional.embedding_bag", (INDEX, ONES.repeat(2, 1), torch.tensor([0, 1])), {"include_last_offset": True}),
    (
        "nn.functional.fractional_max_pool2d",
        (IMAGE, 2),
        {"output_size": 2, "_random_samples": torch.full((1, 1, 2), 1e9)},
    ),
    ("torch.grid_sampler_2d", (IMAGE, torch.zeros(1, 2, 2, 2), 99, 0, False), {}),
    ("torch.grid_sampler", (IMAGE, torch.zeros(1, 2, 2, 2), 0, -1, False), {}),
    ("special.chebyshev_polynomial_t", (ONES * 2, torch.tensor(1e12)), {}),
    ("special.hermite_polynomial_he", (ONES, 1 << 40), {}),
    ("torch.svd_lowrank", (torch.eye(4), 2, BIG, torch.eye(4)), {}),
    ("torch.pca_lowrank", (torch.eye(4),), {"niter": BIG}),
    ("torch.native_batch_norm", (IMAGE, None, None, None, None, False, 0.1, 1e-5), {}),
    ("torch.native_batch_norm", (ONES, torch.ones(2), None, None, None, True, 0.1, 1e-5), {}),
    ("torch.native_batch_norm", (ONES, None, None, torch.ones(9), torch.ones(9), True, 0.1, 1e-5), {}),
    ("torch.native_group_norm", (ONES, None, None, 2, 3, 9, 3, 1e-5), {}),
    ("torch.native_group_norm", (ONES, None, None, -2, 3, -1, 3, 1e-5), {}),
    ("torch.native_group_norm", (ONES, torch.ones(2), None, 2, 3, 1, 3, 1e-5), {}),
    ("torch.ctc_loss", (LOG_PROBS, torch.tensor([[1, 9], [1, 1]]), (5, 5), (2, 2)), {}),
    ("nn.functional.scaled_dot_product_attention", (ONES, ONES, torch.ones(9, 3)), {}),
    ("nn.functional.grid_sample", (IMAGE, NOWHERE, "bilinear", "border", False), {}),
    ("nn.functional.grid_sample", (IMAGE, NOWHERE + float("inf")), {"padding_mode": "reflection"}),
    ("torch.grid_sampler_2d", (IMAGE, NOWHERE, 0, 1, False), {}),
    ("linalg.eigvals", (torch.full((3, 3), NAN),), {}),
    ("nn.functional.max_pool1d", (ONES, (1 << 63) - 1), {}),
    ("nn.functional.max_pool1d", (ONES, 1 << 31, 1, 1 << 30), {}),
    ("nn.functional.max_pool2d", (IMAGE, 4), {"stride": 1, "padding": 2, "dilation": (1, 1 << 23)}),
    ("nn.functional.grid_sample", (IMAGE, NOWHERE.nan_to_num(3.4e38)), {"padding_mode": "reflection"}),
    ("nn.functional.pad", (IMAGE[0], (3, -3)), {"mode": "circular"}),
    ("nn.functional.pad", (IMAGE, [0, 0, -1, 4], "circular"), {}),
    ("nn.functional.multi_margin_loss", (ONES[:0], INDEX[:0]), {}),
    ("torch._weight_norm", (torch.ones(300, 4), ONES[:1, :1], 0), {}),
    ("torch._weight_norm", (ONES, ONES[:1, :1]), {"dim": 1}),
    ("torch._weight_norm", (ONES[:0], ONES[:0], 0), {}),
    ("nn.functional.pdist", (ONES[:0],), {}),
    ("torch.median", (WIDE[:9], 0), {}),
    ("Tensor.nanmedian", (ONES[:1].expand(9, 3),), {"dim": 0}),
    ("torch.lu_unpack", (ONES.repeat(2, 1), torch.ones(12, 3, dtype=torch.int32)), {}),
    ("torch.lu_unpack", (ONES,), {"LU_pivots": torch.ones(9, dtype=torch.int32)}),
    ("torch.binomial", (torch.tensor([NAN]), torch.tensor([0.5])), {}),
    ("torch.matrix_power", (torch.eye(2), -(1 << 63)), {}),
    ("Tensor.lcm_", (LEAST, LEAST + 5), {}),
    ("torch.lcm", (LEAST.int() - (1 << 31), torch.tensor([5], dtype=torch.int32)), {}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), HOSTILE, ids=lambda value: str(value)[:30])
def test_what_a_kernel_would_trust_is_looked_at_first(
    name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    with pytest.raises(OperationRefused):
        ask(name, *arguments, **keywords)


def test_the_pivots_of_a_factorisation_pass() -> None:
    matrix = torch.rand(3, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    matrix = matrix + matrix.mT
    factors, pivots = torch.linalg.ldl_factor(matrix)
    run("linalg.ldl_solve", factors, pivots, torch.rand(3, 1))
    run("linalg.lu_solve", *torch.linalg.lu_factor(matrix), torch.rand(3, 1))


def test_the_inverse_of_a_complex_spectrum_of_moderate_size_runs() -> None:
    run("torch.istft", torch.ones(8, 10, 10, dtype=torch.complex64), 10, window=torch.ones(10), onesided=False)


def test_a_gradient_of_gradients_is_refused_once_its_graph_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differentiated, "MOST_NODES", 100)
    x = torch.full((), 0.5, requires_grad=True)
    y = x.sin()
    ask("torch.autograd.grad", [y], [x], None, create_graph=True)
    for _ in range(6):
        (y,) = torch.autograd.grad([y * x], [x], create_graph=True)

    with pytest.raises(LimitExceeded, match="the operations that gradients go through"):
        ask("torch.autograd.grad", [y], [x], None, create_graph=True)


def test_a_gradient_in_another_form_than_a_plan_has_is_refused() -> None:
    x = torch.ones((), requires_grad=True)
    with pytest.raises(OperationRefused, match="it takes outputs, inputs and their gradients"):
        ask("torch.autograd.grad", [x * 2], [x], torch.ones(3), is_grads_batched=True)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("linalg.qr", (LONG,)),
        ("linalg.svd", (LONG, False)),
        ("torch.svd", (LONG,)),
        ("torch.masked_select", (LONG, LONG > 0)),
        ("torch.masked_select", (LONG, torch.ones(5) > 0)),
    ],
)
def test_of_a_long_operand_what_is_no_larger_is_made(name: str, arguments: tuple[Any, ...]) -> None:
    ask(name, *arguments)


def test_a_product_is_multiplied_no_further_than_any_memory_reaches() -> None:
    assert product(itertools.repeat(2)) == sys.maxsize + 1
