"""Every kind of data says in one place what an input is; shapes are guessed, and what cannot be guessed is sayable."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from lrp_widgets.evaluation.continuity.neighbourhoods import neighbourhood_of
from lrp_widgets.modalities import MODALITIES, Features, Graph, Modality, Picture, Signal, Volume, modality_of, named
from lrp_widgets.modalities.modality import patches

# Inputs of each kind, and of none.
INPUTS = {
    "picture": torch.rand(2, 3, 8, 14),
    "volume": torch.rand(2, 1, 4, 6, 8),
    "signal": torch.rand(2, 2, 50),
    "features": torch.rand(2, 98),
    "sequence": torch.eye(4)[torch.randint(4, (2, 30))].mT,
    "tokens": torch.randint(50, (2, 12)),
    "graph": torch.rand(2, 7, 3),
    "array": torch.rand(2, 1, 2, 3, 4, 5),
}
KINDS = [pytest.param(kind(), id=kind.name) for kind in (*MODALITIES, Modality)]


@pytest.mark.parametrize(
    ("shape", "dtype", "name"),
    [
        ((2, 1, 28, 28), torch.float32, "picture"),
        ((2, 3, 28, 28), torch.float64, "picture"),
        ((2, 5, 6, 7), torch.float32, "picture"),
        ((2, 3, 8, 8), torch.uint8, "picture"),
        ((2, 1, 4, 6, 8), torch.float32, "volume"),
        ((2, 3, 100), torch.float32, "signal"),
        ((2, 10), torch.float16, "features"),
        ((2, 10), torch.int64, "tokens"),
        ((2, 10), torch.int32, "tokens"),
        ((7,), torch.float32, "array"),
        ((1, 1, 1, 1, 1, 1), torch.float32, "array"),
        ((), torch.float32, "array"),
    ],
    ids=str,
)
def test_a_shape_is_guessed(shape: tuple[int, ...], dtype: torch.dtype, name: str) -> None:
    assert modality_of(torch.zeros(shape, dtype=dtype)).name == name


@pytest.mark.parametrize("inputs", [(torch.rand(1, 3, 4, 4),), {"x": torch.rand(1, 2)}, None, np.zeros((1, 1, 2, 2))])
def test_what_is_no_single_tensor_is_no_kind(inputs: Any) -> None:
    assert modality_of(inputs) == Modality()


def test_sequences_and_graphs_are_only_taken_by_their_names() -> None:
    assert [kind.name for kind in MODALITIES if not kind.guessed] == ["sequence", "graph"]
    for name in ("sequence", "graph"):
        assert modality_of(INPUTS[name]) == Signal()
        assert named(name).fits(INPUTS[name])


def test_a_kind_has_a_name() -> None:
    names = [kind.name for kind in MODALITIES]
    assert names == ["picture", "volume", "signal", "features", "sequence", "tokens", "graph"]
    for kind in MODALITIES:
        assert named(kind.name) == kind()
        assert named(kind()) == kind()
    assert named(Modality()) == Modality()
    said = (
        "modality must be one of 'picture', 'volume', 'signal', 'features', 'sequence', 'tokens', 'graph', "
        "or a modality"
    )
    with pytest.raises(ValueError) as error:
        named("image")
    assert str(error.value) == f"{said}, got 'image'."
    with pytest.raises(TypeError) as error:
        named(3)
    assert str(error.value) == f"{said}, got 3."


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_a_frozen_value_in_words(kind: Modality) -> None:
    assert kind == type(kind)() and hash(kind) == hash(type(kind)()) and kind != object()
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind.anything = 1  # type: ignore[attr-defined]
    words = (kind.name, kind.element, kind.elements, kind.view)
    assert all(words) and kind.elements != kind.element
    assert kind.layout.startswith("(n, ") and kind.domain[0] < kind.domain[1]
    assert neighbourhood_of(kind.neighbourhood).picture <= kind.planar


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_lays_its_elements_out(kind: Modality) -> None:
    x = INPUTS[kind.name]
    assert kind.fits(x)
    grid = kind.grid(x)
    assert grid.shape[0] == 2 and len(grid.shape) == (5 if kind.name == "volume" else 4)
    assert torch.equal(kind.from_grid(grid, x), x)
    assert torch.equal(kind.from_grid(grid[:1].repeat(3, *[1] * (len(grid.shape) - 1)), x)[2], x[0])
    assert torch.equal(kind.without_channels(kind.with_channels(x), x), x)
    side = kind.side(x)
    assert 1 <= side <= grid.shape[-1]
    labels = kind.regions(x, side)
    assert labels.shape == grid.shape[2:]
    assert labels.unique().tolist() == list(range(int(labels.max()) + 1))
    assert kind.space(x) and 0 not in kind.space(x)
    strips = kind.thumbnails(x, 0.0, 1.0)
    assert len(strips) == 2
    assert set(kind.uploads(x)) <= {"picture", "array"}


@pytest.mark.parametrize(
    ("name", "space", "side", "grid"),
    [
        ("picture", (2, 3), 2, (2, 3, 8, 14)),
        ("volume", (2, 3, 4), 2, (2, 1, 4, 6, 8)),
        ("signal", (2,), 1, (2, 2, 1, 50)),
        ("features", (1,), 2, (2, 1, 1, 98)),
        ("sequence", (2,), 1, (2, 4, 1, 30)),
        ("tokens", (1,), 1, (2, 1, 1, 12)),
        ("graph", (1,), 1, (2, 3, 1, 7)),
        ("array", (2, 3, 4, 5), 2, (2, 1, 1, 120)),
    ],
)
def test_axes_regions_and_grid(name: str, space: tuple[int, ...], side: int, grid: tuple[int, ...]) -> None:
    kind = Modality() if name == "array" else named(name)
    x = INPUTS[name]
    assert kind.space(x) == space
    assert kind.side(x) == side
    assert kind.grid(x).shape == grid


def test_a_row_without_channels_gets_one() -> None:
    assert Features().with_channels(INPUTS["features"]).shape == (2, 1, 98)
    assert Modality().with_channels(torch.rand(4)).shape == (4, 1, 1)
    for name in ("picture", "volume", "signal"):
        assert named(name).with_channels(INPUTS[name]) is INPUTS[name]


def test_no_axis_but_the_batch() -> None:
    assert Modality().space(torch.rand(3)) == ()


def test_regions_of_a_plane_and_of_a_row() -> None:
    assert Picture().regions(torch.rand(1, 3, 3, 5), 2).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    assert Features().regions(torch.rand(1, 5), 3).tolist() == [[0, 0, 0, 1, 1]]
    assert torch.equal(Picture().regions(torch.rand(2, 1, 6, 7), 4), patches(6, 7, 4))
    assert Signal().regions(torch.rand(1, 3, 5), 2).tolist() == [[0, 0, 1, 1, 2]]
    assert Graph().regions(torch.rand(1, 5, 3), 2).tolist() == [[0, 0, 1, 1, 2]]


def test_regions_of_a_volume_are_cubes() -> None:
    labels = Volume().regions(torch.rand(1, 2, 3, 2, 5), 2)
    slices = [[[0, 0, 1, 1, 2], [0, 0, 1, 1, 2]]] * 2 + [[[3, 3, 4, 4, 5], [3, 3, 4, 4, 5]]]
    assert labels.tolist() == slices
    assert Volume().side(torch.rand(1, 1, 32, 32, 32)) == 9  # four along each side: about 49 in all


def test_how_a_coarse_map_is_enlarged() -> None:
    modes = {kind.name: kind.interpolation for kind in MODALITIES if kind.interpolation}
    assert modes == {"picture": "bilinear", "volume": "trilinear", "signal": "linear", "sequence": "linear"}


def test_what_today_is_whole() -> None:
    """Other kinds follow, each in its own file."""
    assert [kind.name for kind in MODALITIES if kind.planar] == ["picture"]
    assert {kind.name for kind in MODALITIES if kind.removable} == {kind.name for kind in MODALITIES}
    assert [kind.name for kind in MODALITIES if not kind.adjacent] == ["tokens", "graph"]
    assert {kind.neighbourhood for kind in MODALITIES if kind is not Picture} == {"noise"}
    assert Picture.neighbourhood == "translation"


def test_an_image_in_the_domain() -> None:
    x = torch.tensor([[[-1.0, 0.0, 3.0, float("nan")]]])
    image = Picture().image(x, -1.0, 1.0)
    assert image is not None and image.dtype == np.float32
    assert image.tolist() == [[0, 0.5, 1, 0]]
    colours = Picture().image(torch.ones(3, 2, 4), (0.0, 0.0, 0.0), (1.0, 2.0, 4.0))
    assert colours is not None and colours.shape == (2, 4, 3)
    assert colours[0, 0].tolist() == [1, 0.5, 0.25]
    assert Picture().image(torch.ones(5, 2, 4), 0.0, 1.0) is None
    assert Volume().image(torch.ones(3, 2, 4), 0.0, 1.0) is None


def test_thumbnails_are_images_or_strips_on_one_scale() -> None:
    images = Picture().thumbnails(INPUTS["picture"], 0.0, 1.0)
    assert len(images) == 2 and images[1].shape == (8, 14, 3)
    strips = Features().thumbnails(torch.tensor([[0.0, 2.0], [4.0, float("nan")]]), 0.0, 1.0)
    assert isinstance(strips, np.ndarray) and strips.shape == (2, 8, 2)
    assert strips[:, 3].tolist() == [[0, 0.5], [1, 0]]
    assert np.asarray(Picture().thumbnails(torch.rand(2, 5, 3, 4), 0.0, 1.0)).shape == (2, 8, 60)


def test_what_may_be_uploaded() -> None:
    assert (
        Picture().uploads(torch.rand(1, 1, 4, 4)) == Picture().uploads(torch.rand(1, 3, 4, 4)) == ("picture", "array")
    )
    assert Picture().uploads(torch.rand(1, 4, 4, 4)) == ()
    assert Features().uploads(INPUTS["features"]) == Graph().uploads(INPUTS["graph"]) == ()
