"""The entries of torch's list of operations that no pointer serves, each with its reason."""

from __future__ import annotations

_REASONS = {
    "it gives a value, and only get() brings values": "item allclose equal",
    "memory that was not written may hold another's values": "empty_strided empty_permuted new_empty_strided",
    "its result would reach memory beyond the tensor's elements": """
        as_strided as_strided.partial_views as_strided_copy as_strided_scatter
    """,
    "it resizes memory that others may share": "resize_ resize_as_",
    "tensors on workers are dense": "sparse.sampled_addmm sparse.mm.reduce to_sparse",
    "its backward trusts the lengths that its caller gives": "_segment_reduce.lengths _segment_reduce.offsets",
    "it is private to torch: what its own functions are made of": """
        _batch_norm_with_update _chunk_cat _native_batch_norm_legit _softmax_backward_data _unsafe_masked_index
        _unsafe_masked_index_put_accumulate _upsample_bilinear2d_aa max_pool2d_with_indices_backward
        native_dropout_backward slice torch.ops.aten._safe_softmax.default
    """,
}

OUTSIDE: dict[str, str] = {name: reason for reason, names in _REASONS.items() for name in names.split()}

# Their values mean nothing, and on a worker are zeros; all else about them is compared.
UNWRITTEN = frozenset({"empty", "empty_like", "new_empty"})

# A worker computes them in pieces of its own choice, and in a dtype of 16 bits the sums are rounded elsewhere.
REGROUPED: dict[str, str] = dict.fromkeys(
    ("nn.functional.linear_cross_entropy.chunked", "nn.functional.linear_cross_entropy.chunked_none"),
    "the worker chooses in what pieces it is computed, and 16 bits show it",
)

_OUT_REASONS = {
    "here out= gives other values than the function does": "fft.ihfft2 fft.ihfftn",
    "here it takes no out= of no elements": "normal",
    "its driver gelsy rounds by where its memory lies, here too, and a wider out= is compared closer": "linalg.lstsq",
}

OUTSIDE_OUT: dict[str, str] = {name: reason for reason, names in _OUT_REASONS.items() for name in names.split()}
