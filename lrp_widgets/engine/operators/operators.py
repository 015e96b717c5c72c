"""What each ATen op is to LRP, apart from the parametric maps that take a rule (affine.py).

OPERATORS says which op has which rule; the rules are in the files beside, one family each. An own op is registered in
one line, `lw.operators.OPERATORS["mylib::myop"] = lw.operators.routing`. An op that is not in the table falls back to
a ⊙ vjp(R / (z + ε)), and the explanation names it.
"""

from __future__ import annotations

from lrp_widgets.engine.operators.attention import attention, softmax
from lrp_widgets.engine.operators.first_order import fallback, taylor
from lrp_widgets.engine.operators.identity_routing import identity, lookup, overwriting, routing
from lrp_widgets.engine.operators.normalization import batch_statistics, group_norm, layer_norm
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pooling import max_pool, pool
from lrp_widgets.engine.operators.products import matrix_product, product, quotient
from lrp_widgets.engine.operators.pullback import OperatorRule
from lrp_widgets.engine.operators.sums import residual_sum
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
    "feature_dropout positive round floor clone contiguous"
)
_ROUTING = (
    "view _unsafe_view reshape permute transpose t unsqueeze squeeze flatten unflatten expand repeat slice select "
    "split unsafe_split split_with_sizes unsafe_split_with_sizes unsafe_chunk chunk unbind cat stack index "
    "index_select gather narrow constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
    "replication_pad2d replication_pad3d roll flip rot90 pixel_shuffle pixel_unshuffle channel_shuffle masked_fill "
    "where masked_select index_put index_copy slice_scatter select_scatter as_strided copy diagonal tril triu unfold "
    "im2col fill zero scatter max min amax amin topk sort adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
    "maximum minimum upsample_nearest1d upsample_nearest2d upsample_nearest3d movedim swapaxes squeeze_copy view_copy "
    "permute_copy expand_copy masked_scatter index_fill"
)
_POOLING = (
    "avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool1d _adaptive_avg_pool2d _adaptive_avg_pool3d "
    "adaptive_avg_pool1d mean sum cumsum upsample_linear1d upsample_bilinear2d upsample_bicubic2d "
    "upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa col2im grid_sampler_2d grid_sampler_3d"
)

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
    "embedding": lookup,
    "as_strided_scatter": overwriting,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit"), batch_statistics),
    **dict.fromkeys(("_softmax", "_log_softmax"), softmax),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
        ),
        attention,
    ),
    **dict.fromkeys(("linalg_vector_norm", "logsumexp", "glu"), taylor),
}


def operator_rule(step: Step) -> OperatorRule:
    """The rule of a step without a rule; `fallback` where the table has none."""
    rule = OPERATORS.get(step.op, fallback)
    # An elementwise op of two active tensors (x ** y) is not the identity for either of them.
    return fallback if rule is identity and len(step.inputs) > 1 else rule
