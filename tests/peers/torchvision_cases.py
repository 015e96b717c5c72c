"""A small member of every family of torchvision's classifiers: its own classes, a few narrow layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import FusedMBConvConfig, MBConvConfig
from torchvision.models.regnet import BlockParams
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2
from torchvision.models.vgg import make_layers

CLASSES = 10


def slim(build: Callable[[], models.AlexNet | models.VGG]) -> nn.Module:
    """AlexNet and VGG with a hundredth of the numbers in their dense layers, which nothing else can narrow."""
    with torch.device("meta"):
        model = build()
    dense = [module for module in model.classifier.children() if isinstance(module, nn.Linear)]
    widths = [dense[0].in_features, 32, 32, CLASSES]
    for i, layer in enumerate(dense):
        layer.out_features, layer.in_features = widths[i + 1], widths[i]
        layer.weight, layer.bias = (nn.Parameter(torch.empty(s)) for s in ((widths[i + 1], widths[i]), widths[i + 1]))
    model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.BatchNorm2d):
            module.reset_parameters()
    return model


def efficientnet(first: FusedMBConvConfig | MBConvConfig) -> nn.Module:
    blocks = [first, MBConvConfig(6, 3, 2, 8, 16, 2), MBConvConfig(6, 5, 2, 16, 24, 1)]
    return models.EfficientNet(blocks, dropout=0.2, last_channel=64, num_classes=CLASSES)


def convnext() -> nn.Module:
    return models.ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=CLASSES)


def regnet(se_ratio: float | None) -> nn.Module:
    stages = BlockParams.from_init_params(depth=5, w_0=16, w_a=12.0, w_m=2.0, group_width=8, se_ratio=se_ratio)
    return models.RegNet(stages, num_classes=CLASSES, stem_width=8)


swin = partial(models.SwinTransformer, [4, 4], 8, [2, 2], [1, 2], [2, 2], num_classes=CLASSES)

# The family, how to build it, and the smallest image that it takes.
SMALL: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (lambda: slim(models.alexnet), 63),
    "vgg": (lambda: slim(lambda: models.VGG(make_layers([8, "M", 16, "M", 512, "M"]))), 32),
    "vgg_bn": (lambda: slim(lambda: models.VGG(make_layers([8, "M", 16, "M", 512, "M"], batch_norm=True))), 32),
    "resnet": (lambda: models.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=CLASSES), 32),
    "resnext": (lambda: models.ResNet(Bottleneck, [1, 1, 1, 1], CLASSES, groups=8, width_per_group=2), 32),
    "wide_resnet": (lambda: models.ResNet(Bottleneck, [1, 1, 1, 1], CLASSES, width_per_group=32), 32),
    "densenet": (lambda: models.DenseNet(8, (2, 2, 2, 2), 16, num_classes=CLASSES), 32),
    "squeezenet": (lambda: models.squeezenet1_1(num_classes=CLASSES), 32),
    "googlenet": (lambda: models.GoogLeNet(CLASSES, aux_logits=False, init_weights=False), 32),
    "inception": (lambda: models.Inception3(CLASSES, aux_logits=False, init_weights=False), 75),
    "mobilenet_v2": (lambda: models.mobilenet_v2(num_classes=CLASSES, width_mult=0.25), 32),
    "mobilenet_v3": (lambda: models.mobilenet_v3_small(num_classes=CLASSES, width_mult=0.25), 32),
    "mnasnet": (lambda: models.MNASNet(0.25, CLASSES), 32),
    "shufflenet_v2": (lambda: models.ShuffleNetV2([2, 2, 2], [8, 16, 32, 64, 64], CLASSES), 32),
    "efficientnet": (lambda: efficientnet(MBConvConfig(1, 3, 1, 16, 8, 1)), 32),
    "efficientnet_v2": (lambda: efficientnet(FusedMBConvConfig(4, 3, 1, 16, 8, 1)), 32),
    "regnet_x": (lambda: regnet(None), 32),
    "regnet_y": (lambda: regnet(0.25), 32),
    "convnext": (convnext, 32),
    "vit": (lambda: models.VisionTransformer(16, 4, 2, 2, 16, 32, num_classes=CLASSES), 16),
    "swin": (lambda: swin(), 32),
    "swin_v2": (lambda: swin(block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2), 32),
    "maxvit": (lambda: models.MaxVit((32, 32), 8, 4, [8, 16], [1, 1], 4, 0.2, num_classes=CLASSES), 32),
}
