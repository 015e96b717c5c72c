"""What each ATen op is to LRP, apart from the parametric maps that take a rule (affine.py).

OPERATORS says which op has which rule; the rules are in the files beside, one family each. An own op is registered in
one line, `lw.operators.OPERATORS["mylib::myop"] = lw.operators.routing`. An op that is not in the table falls back to
a ⊙ vjp(R / (z + ε)), and the explanation names it.
"""

from __future__ import annotations

from lrp_widgets.engine.layers.softmax import WEIGHTED
from lrp_widgets.engine.operators.attention import attention, softmax, weighted_mean
from lrp_widgets.engine.operators.complex_pairs import complex_rule
from lrp_widgets.engine.operators.first_order import fallback, taylor
from lrp_widgets.engine.operators.identity_routing import identity, lookup, overwriting, routing
from lrp_widgets.engine.operators.linear import gate_last, gathered, linear, multilinear, product_over, written_into
from lrp_widgets.engine.operators.normalization import batch_statistics, group_norm, layer_norm
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pooling import grid_sample, max_pool, pool
from lrp_widgets.engine.operators.products import matrix_product, product, quotient
from lrp_widgets.engine.operators.pullback import OperatorRule
from lrp_widgets.engine.operators.sums import residual_sum
from lrp_widgets.engine.operators.tokens import token_rule
from lrp_widgets.engine.trace.step import Step

__all__ = [
    "OPERATORS",
    "Options",
    "fallback",
    "identity",
    "operator_rule",
    "overwriting",
    "pool",
    "product",
    "routing",
    "taylor",
]


_ELEMENTWISE = (
    "relu relu6 leaky_relu prelu _prelu_kernel elu celu selu gelu silu mish softplus threshold hardtanh hardswish "
    "hardsigmoid sigmoid log_sigmoid_forward tanh rrelu_with_noise softshrink hardshrink clamp clamp_min clamp_max "
    "pow square sqrt rsqrt exp expm1 log log1p abs neg sign erf reciprocal _to_copy to native_dropout dropout "
    "feature_dropout positive round floor ceil trunc frac clone contiguous acos acosh asin asinh atan atanh cos cosh "
    "sin sinh sinc tan deg2rad rad2deg log10 log2 exp2 digamma lgamma mvlgamma polygamma erfc erfinv logit "
    "nan_to_num sgn angle floor_divide remainder fmod copysign heaviside ldexp nextafter xlogy special_xlog1py "
    "special_entr special_i0e special_i1 special_i1e special_ndtri special_log_ndtr special_erfcx special_airy_ai "
    "special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 special_modified_bessel_i0 "
    "special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1 "
    "special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_spherical_bessel_j0 special_zeta "
    "special_chebyshev_polynomial_t special_chebyshev_polynomial_u special_chebyshev_polynomial_v "
    "special_chebyshev_polynomial_w special_hermite_polynomial_h special_hermite_polynomial_he "
    "special_laguerre_polynomial_l special_legendre_polynomial_p special_shifted_chebyshev_polynomial_t "
    "special_shifted_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_v "
    "special_shifted_chebyshev_polynomial_w"
)
_ROUTING = (
    "view _unsafe_view reshape permute transpose t unsqueeze squeeze flatten unflatten expand repeat slice select "
    "split unsafe_split split_with_sizes unsafe_split_with_sizes unsafe_chunk chunk unbind cat stack index "
    "index_select gather narrow constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
    "replication_pad2d replication_pad3d roll flip rot90 pixel_shuffle pixel_unshuffle channel_shuffle masked_fill "
    "where masked_select index_copy slice_scatter select_scatter as_strided copy diagonal tril triu unfold im2col "
    "fill zero scatter max min amax amin topk sort adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
    "maximum minimum upsample_nearest1d upsample_nearest2d upsample_nearest3d movedim swapaxes squeeze_copy view_copy "
    "permute_copy expand_copy masked_scatter index_fill alias_copy as_strided_copy diagonal_copy diagonal_scatter "
    "narrow_copy split_copy split_with_sizes_copy t_copy transpose_copy unbind_copy unfold_copy unsqueeze_copy diag "
    "diag_embed block_diag take take_along_dim kthvalue mode median nanmedian cummax cummin aminmax fmax fmin "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d max_unpool2d max_unpool3d "
    "fractional_max_pool2d fractional_max_pool3d _unsafe_masked_index _unsafe_index resize _pack_padded_sequence"
)
_POOLING = (
    "avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool1d _adaptive_avg_pool2d _adaptive_avg_pool3d "
    "adaptive_avg_pool1d mean sum cumsum upsample_linear1d upsample_bilinear2d upsample_bicubic2d "
    "upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa col2im unfold_backward"
)

# Sums of elements that an index gathers; constants in them are biases.
_LINEAR = (
    "index_add scatter_add segment_reduce trace nll_loss_forward nll_loss2d_forward "
    "_embedding_bag _unsafe_masked_index_put_accumulate _unsafe_index_put renorm _sparse_addmm _sparse_mm"
)
# Which arguments an operator multiplies with each other.
_MULTILINEAR = {
    "convolution": (0, 1), "_convolution": (0, 1), "linear": (0, 1), "addcmul": (1, 2), "addcdiv": (1,), "addr": (1, 2),
    "cross": (0, 1), "linalg_cross": (0, 1), "vdot": (0, 1), "ger": (0, 1), "_grouped_mm": (0, 1),
}  # fmt: skip
# Not linear, and common enough to be meant: what first order leaves over has the operator's name.
_TAYLOR = (
    "linalg_vector_norm norm dist hypot std var std_mean var_mean logsumexp logcumsumexp logaddexp logaddexp2 glu "
    "mse_loss huber_loss smooth_l1_loss soft_margin_loss multi_margin_loss multilabel_margin_loss_forward "
    "binary_cross_entropy binary_cross_entropy_with_logits _ctc_loss _cdist_forward _pdist_forward cumprod"
)

_MOVES = frozenset(_ROUTING.split()) | {"clone", "contiguous", "_to_copy", "detach"}

OPERATORS: dict[str, OperatorRule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), identity),
    **dict.fromkeys(_ROUTING.split(), routing),
    **dict.fromkeys(_POOLING.split(), pool),
    **dict.fromkeys(("max_pool1d", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d"), max_pool),
    **dict.fromkeys(("add", "sub", "rsub"), residual_sum),
    "mul": product,
    "div": quotient,
    **dict.fromkeys(("mm", "bmm", "matmul", "dot", "mv", "_trilinear"), matrix_product),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv"), matrix_product),
    **dict.fromkeys(("grid_sampler_2d", "grid_sampler_3d"), grid_sample),
    "embedding": lookup,
    "as_strided_scatter": overwriting,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit"), batch_statistics),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), softmax),
    WEIGHTED: weighted_mean,
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
        ),
        attention,
    ),
    **dict.fromkeys(_TAYLOR.split(), taylor),
    **dict.fromkeys(_LINEAR.split(), linear),
    **{op: multilinear(*factors) for op, factors in _MULTILINEAR.items()},
    "lerp": gate_last,
    "prod": product_over,
    **dict.fromkeys(("index_put", "put"), written_into),
    **dict.fromkeys(("scatter_reduce", "index_reduce"), gathered),
}


def operator_rule(step: Step) -> OperatorRule:
    """The rule of a step without a rule; `fallback` where the table has none."""
    if step.op.startswith("complex::") and step.op not in OPERATORS:
        return complex_rule(step, _MOVES)
    if (of_tokens := token_rule(step)) is not None:
        return of_tokens
    rule = OPERATORS.get(step.op, fallback)
    # An elementwise op of two active tensors (x ** y) is not the identity for either of them.
    return fallback if rule is identity and len(step.inputs) > 1 else rule
