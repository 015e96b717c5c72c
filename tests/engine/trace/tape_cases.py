"""What the tests of the tape share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.engine.networks.wired import Function


@torch.library.custom_op("lrp_widgets_tests::double_into", mutates_args={"out"})
def double_into(x: Tensor, out: Tensor) -> None:
    """An operation that writes without returning anything."""
    out.copy_(2 * x)


# Each entry: what a model does with memory, and the same without touching any twice.
def relu_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    F.relu_(h)
    return l["d"](h)


def relu_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](F.relu(l["a"](x)))


def residual_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    y = F.relu(l["c"](F.relu(h)))
    y += h
    return l["d"](y)


def residual_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    return l["d"](F.relu(l["c"](F.relu(h))) + h)


def column_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h[:, 0] += 1
    return l["d"](h)


def column_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1] + 1, h[:, 1:]], 1))


def buffer_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 8, dtype=x.dtype)
    out[:, :4] = l["a"](x)
    out[:, 4:] = F.relu(l["b"](x))
    return l["d"](out[:, 2:6])


def buffer_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](torch.cat([l["a"](x), F.relu(l["b"](x))], 1)[:, 2:6])


def half_filled_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.full((len(x), 4), 0.5, dtype=x.dtype)
    out[:, 1:3] = l["a"](x)[:, :2]
    return l["d"](out)


def half_filled_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    half = torch.full((len(x), 1), 0.5, dtype=x.dtype)
    return l["d"](torch.cat([half, l["a"](x)[:, :2], half], 1))


def loop_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.empty(len(x), 4, dtype=x.dtype)
    for i in range(4):
        out[:, i] = F.linear(x, l["a"].weight[i : i + 1], l["a"].bias[i])[:, 0]
    return l["d"](out.relu_())


def masked_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    h[h < 0] = 0
    return l["d"](h)


def masked_fill_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    return l["d"](h.masked_fill_(h < 0, 0.0))


def data_alias_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    h.data.relu_()
    return l["d"](h)


def detached_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    h.detach().relu_()
    return l["d"](h)


def accumulated_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    total = torch.zeros(len(x), 4, dtype=x.dtype)
    for name in ("a", "b"):
        total += F.relu(l[name](x))
    return l["d"](total)


def accumulated_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](F.relu(l["a"](x)) + F.relu(l["b"](x)))


def put_out_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    a, b = F.relu(l["a"](x)), F.relu(l["b"](x))
    out = torch.empty_like(a)
    torch.add(a, b, out=out)
    torch.mul(out, 2.0, out=out)
    return l["d"](out)


def put_out_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](2 * (F.relu(l["a"](x)) + F.relu(l["b"](x))))


def constant_put_out_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    torch.add(torch.ones(len(x), dtype=x.dtype), 1.0, out=h[:, 1])
    return l["d"](h)


def constant_put_out_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1], torch.full_like(h[:, :1], 2.0), h[:, 2:]], 1))


def expanded_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    wide = h.unsqueeze(1).expand(-1, 3, -1)
    h.add_(1.0)
    return l["d"](wide.mean(1))


def expanded_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"]((F.relu(l["a"](x)) + 1.0).unsqueeze(1).expand(-1, 3, -1).mean(1))


def windows_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    windows = h.unfold(1, 2, 1)
    h[:, 1] *= 2
    return l["d"](F.pad(windows.sum(2), (0, 1)))


def windows_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x)) * torch.tensor([1.0, 2.0, 1.0, 1.0], dtype=x.dtype)
    return l["d"](F.pad(h[:, :-1] + h[:, 1:], (0, 1)))


def nested_views_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    tail = h[:, 1:]
    last = tail[:, 1:]
    last.mul_(3.0)
    tail.add_(1.0)
    return l["d"](h)


def nested_views_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1], h[:, 1:2] + 1.0, 3.0 * h[:, 2:] + 1.0], 1))


def transposed_write_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h.T[1].add_(2.0)
    return l["d"](h)


def transposed_write_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1], h[:, 1:2] + 2.0, h[:, 2:]], 1))


def swapped_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    left = h[:, :2].clone()
    h[:, :2] = h[:, 2:]
    h[:, 2:] = left
    return l["d"](h)


def swapped_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](l["a"](x).roll(2, 1))


def read_between_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    before = l["c"](h)
    h.add_(1.0)
    return l["d"](before + l["c"](h))


def read_between_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](l["c"](h) + l["c"](h + 1.0))


def old_view_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    view = h.view(-1, 2, 2)
    h.mul_(2.0)
    return l["d"](view.flip(1).reshape(-1, 4))


def old_view_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"]((2.0 * F.relu(l["a"](x))).view(-1, 2, 2).flip(1).reshape(-1, 4))


def chunks_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    left, right = h.chunk(2, 1)
    left.add_(right)
    return l["d"](h)


def chunks_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :2] + h[:, 2:], h[:, 2:]], 1))


def copied_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    copy = h.T.contiguous()
    copy.add_(1.0)
    return l["d"](h + copy.T)


def copied_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](h + (h + 1.0))


def erased_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h[:, 0] = 3.0
    h[:, 1].zero_()
    return l["d"](h)


def erased_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([torch.full_like(h[:, :1], 3.0), torch.zeros_like(h[:, :1]), h[:, 2:]], 1))


def reshaped_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h.unsqueeze_(1).transpose_(1, 2)
    return l["d"](h.squeeze_(2))


def scratch_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    scratch = torch.ones(4, dtype=x.dtype)
    h = F.relu(l["a"](x)) + scratch
    scratch.fill_(5.0)  # what the sum above has read is gone
    return l["d"](h + scratch)


def scratch_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](F.relu(l["a"](x)) + torch.ones(4, dtype=x.dtype) + torch.full((4,), 5.0, dtype=x.dtype))


def several_at_once_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    a, b = F.relu(l["a"](x)), F.relu(l["b"](x))
    torch._foreach_mul_([a, b], 2.0)
    return l["d"](a + b)


def several_at_once_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](torch._foreach_mul([F.relu(l["a"](x))], 2.0)[0] + torch._foreach_mul([F.relu(l["b"](x))], 2.0)[0])


def written_without_return_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    out = torch.empty_like(h)
    double_into(h, out)
    return l["d"](out)


def written_without_return_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](2 * F.relu(l["a"](x)))


def input_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    x.mul_(2.0)
    x[:, 0] = 0.25
    return l["d"](F.relu(l["a"](x)))


def input_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    x = 2.0 * x
    return l["d"](F.relu(l["a"](torch.cat([torch.full_like(x[:, :1], 0.25), x[:, 1:]], 1))))


def gathered_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 6, dtype=x.dtype)
    out.index_copy_(1, torch.tensor([4, 1, 2, 0]), F.relu(l["a"](x)))
    return l["d"](out[:, :5:1][:, 1:])


def gathered_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, 1:3], torch.zeros_like(h[:, :1]), h[:, :1]], 1))


IN_PLACE: dict[str, tuple[Function, Function]] = {
    "relu_": (relu_in_place, relu_plain),
    "+= on a residual": (residual_in_place, residual_plain),
    "x[:, 0] += 1": (column_in_place, column_plain),
    "a buffer filled through views": (buffer_in_place, buffer_plain),
    "a buffer filled in part": (half_filled_in_place, half_filled_plain),
    "a buffer filled column by column": (loop_in_place, relu_plain),
    "masked assignment": (masked_in_place, relu_plain),
    "masked_fill_": (masked_fill_in_place, relu_plain),
    ".data": (data_alias_in_place, relu_plain),
    ".detach()": (detached_in_place, relu_plain),
    "a running sum": (accumulated_in_place, accumulated_plain),
    "out=": (put_out_in_place, put_out_plain),
    "out= of a constant": (constant_put_out_in_place, constant_put_out_plain),
    "a write behind an expanded view": (expanded_in_place, expanded_plain),
    "a write behind sliding windows": (windows_in_place, windows_plain),
    "views of views": (nested_views_in_place, nested_views_plain),
    "a write through a transpose": (transposed_write_in_place, transposed_write_plain),
    "halves swapped": (swapped_in_place, swapped_plain),
    "read before and after": (read_between_in_place, read_between_plain),
    "a view older than the write": (old_view_in_place, old_view_plain),
    "a chunk added to its neighbour": (chunks_in_place, chunks_plain),
    "a write to a copy": (copied_in_place, copied_plain),
    "constants written": (erased_in_place, erased_plain),
    "axes changed in place": (reshaped_in_place, relu_plain),
    "a constant that changes": (scratch_in_place, scratch_plain),
    "several at once": (several_at_once_in_place, several_at_once_plain),
    "written, not returned": (written_without_return_in_place, written_without_return_plain),
    "the input": (input_in_place, input_plain),
    "index_copy_": (gathered_in_place, gathered_plain),
}
