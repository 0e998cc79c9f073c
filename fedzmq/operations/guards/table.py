"""Which operation has which guard."""

from __future__ import annotations

from fedzmq.operations.guards import differentiated, endless, forms, grouped, kernels, memory, packed, recurrent, sizes
from fedzmq.operations.guards.guard import MakeGuard, each

_NAMES: dict[MakeGuard, str] = {
    memory.made_from_numbers: """
        fft.fftfreq fft.rfftfreq torch.arange torch.eye torch.full torch.hamming_window torch.hann_window
        torch.ones torch.rand torch.randint torch.randn torch.randperm
        torch.scalar_tensor torch.tril_indices torch.triu_indices torch.zeros
        signal.windows.bartlett signal.windows.blackman signal.windows.cosine signal.windows.exponential
        signal.windows.gaussian signal.windows.general_cosine signal.windows.general_hamming signal.windows.hamming
        signal.windows.hann signal.windows.kaiser signal.windows.nuttall torch.bartlett_window torch.blackman_window
        torch.kaiser_window
    """,
    memory.expanded: "Tensor.broadcast_to Tensor.expand torch.broadcast_to",
    memory.as_many_as(2, "steps"): "torch.linspace torch.logspace",
    memory.enlarged_by_numbers: """
        Tensor.new_full Tensor.new_ones Tensor.new_zeros Tensor.repeat Tensor.stft Tensor.tile
        fft.fft fft.fft2 fft.fftn fft.hfft fft.hfft2 fft.hfftn fft.ifft fft.ifft2 fft.ifftn fft.ihfft fft.ihfft2
        fft.ihfftn fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn
        nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d nn.functional.adaptive_avg_pool3d
        nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool1d_with_indices
        nn.functional.adaptive_max_pool2d nn.functional.adaptive_max_pool2d_with_indices
        nn.functional.adaptive_max_pool3d nn.functional.adaptive_max_pool3d_with_indices
        nn.functional.affine_grid nn.functional.conv_transpose1d nn.functional.conv_transpose2d
        nn.functional.conv_transpose3d nn.functional.fold nn.functional.interpolate
        nn.functional.local_response_norm nn.functional.unfold torch.stft
        torch.tile
        Tensor.multinomial Tensor.nonzero_static nn.functional.max_unpool1d nn.functional.max_unpool2d
        nn.functional.max_unpool3d torch.affine_grid_generator torch.constant_pad_nd torch.conv_tbc torch.expand_copy
        torch.adaptive_max_pool1d torch.multinomial torch.nonzero_static torch.unfold_copy
    """,
    each(kernels.circles, memory.enlarged_by_numbers): "nn.functional.pad",
    memory.drawn: "torch.normal",
    memory.enlarged_by_padding: "nn.functional.conv1d nn.functional.conv2d nn.functional.conv3d",
    memory.multiplied_by_each_other: """
        Tensor.diag Tensor.diag_embed Tensor.diagflat Tensor.ger Tensor.kron Tensor.outer torch.block_diag
        torch.cartesian_prod torch.cdist torch.diag torch.diag_embed torch.diagflat torch.ger torch.kron torch.outer
        Tensor.qr Tensor.svd linalg.lu linalg.qr linalg.svd linalg.vander torch.qr torch.svd torch.vander
    """,
    memory.broadcast: "Tensor.dist Tensor.masked_select torch.dist torch.masked_select",
    memory.sized_by_values: "Tensor.bincount nn.functional.one_hot torch.bincount",
    memory.repeated: "Tensor.repeat_interleave torch.repeat_interleave",
    memory.overlapped: "Tensor.istft torch.istft",
    memory.as_many_as(1, "bins"): "Tensor.histc Tensor.histogram torch.histc torch.histogram",
    memory.gridded: "torch.histogramdd",
    memory.chosen: "torch.combinations",
    memory.between_rows: "Tensor.corrcoef Tensor.cov nn.functional.pdist torch.corrcoef torch.cov",
    memory.multivariate: "Tensor.mvlgamma Tensor.mvlgamma_ special.multigammaln torch.mvlgamma",
    memory.divided: """
        Tensor.dsplit Tensor.hsplit Tensor.split Tensor.tensor_split Tensor.unbind Tensor.vsplit torch.dsplit
        torch.hsplit torch.split torch.tensor_split torch.unbind torch.vsplit
        Tensor.chunk torch.chunk torch.split_copy torch.unbind_copy
    """,
    kernels.truncated_division: "Tensor.div Tensor.div_ Tensor.divide Tensor.divide_ torch.div torch.divide",
    kernels.least_common_multiple: "Tensor.lcm Tensor.lcm_ torch.lcm",
    kernels.fused_step: "torch._fused_adagrad_ torch._fused_adam_ torch._fused_adamw_ torch._fused_sgd_",
    kernels.ctc: "nn.functional.ctc_loss torch.ctc_loss",
    endless.bounded_degree: """
        special.chebyshev_polynomial_t special.chebyshev_polynomial_u special.chebyshev_polynomial_v
        special.chebyshev_polynomial_w special.hermite_polynomial_h special.hermite_polynomial_he
        special.laguerre_polynomial_l special.legendre_polynomial_p special.shifted_chebyshev_polynomial_t
        special.shifted_chebyshev_polynomial_u special.shifted_chebyshev_polynomial_v
        special.shifted_chebyshev_polynomial_w
    """,
    kernels.pivots(1): "linalg.lu_solve",
    kernels.pivots(2): "Tensor.lu_solve torch.lu_solve",
    kernels.pivots(1, pairs=True): "linalg.ldl_solve",
    kernels.bags: "nn.functional.embedding_bag",
    kernels.fractions: """
        nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool2d_with_indices
        nn.functional.fractional_max_pool3d nn.functional.fractional_max_pool3d_with_indices
    """,
    kernels.grids: """
        nn.functional.grid_sample torch.grid_sampler torch.grid_sampler_2d torch.grid_sampler_3d
    """,
    kernels.finite: "linalg.eigvals",
    kernels.written_out: "Tensor.median Tensor.nanmedian torch.median torch.nanmedian",
    kernels.rows: "nn.functional.multi_margin_loss",
    endless.counts: "torch.binomial",
    endless.exponent: "Tensor.matrix_power linalg.matrix_power torch.matrix_power",
    each(endless.bounded_rounds, memory.enlarged_by_numbers): "torch.pca_lowrank torch.svd_lowrank",
    forms.without_out(3): "torch.tensordot",
    forms.without_out(4): "nn.functional.normalize torch.norm",
    forms.without_device_names: "Tensor.to",
    differentiated.graph: "torch.autograd.grad",
    sizes.channels: "torch.native_batch_norm",
    sizes.groups: "torch.native_group_norm",
    sizes.keys_and_values: "nn.functional.scaled_dot_product_attention",
    sizes.magnitudes: "torch._weight_norm",
    sizes.pivots: "torch.lu_unpack",
    sizes.windows: """
        nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d nn.functional.lp_pool1d
        nn.functional.lp_pool2d nn.functional.lp_pool3d nn.functional.max_pool1d nn.functional.max_pool2d
        nn.functional.max_pool3d nn.functional.max_pool1d_with_indices nn.functional.max_pool2d_with_indices
        nn.functional.max_pool3d_with_indices torch.max_pool1d torch.max_pool1d_with_indices torch.max_pool2d
        torch.max_pool3d
    """,
    grouped.product: "torch._grouped_mm",
    packed.pack: "torch._pack_padded_sequence",
    packed.pad: "torch._pad_packed_sequence",
    recurrent.network: "torch.gru torch.lstm torch.rnn_relu torch.rnn_tanh",
    recurrent.cell: "torch.gru_cell torch.lstm_cell torch.rnn_relu_cell torch.rnn_tanh_cell",
}

GUARDS: dict[str, MakeGuard] = {name: make for make, names in _NAMES.items() for name in names.split()}
