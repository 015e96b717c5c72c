"""The scripts behind the decoder and the experts learn, and write files that load with cards that tell of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lrp_widgets.demo.experts.digits_gaussian import Factors
from lrp_widgets.demo.experts.digits_rbm import Machine
from lrp_widgets.demo.generators.digits_vae import DigitsDecoder
from lrp_widgets.demo.training import train_experts, train_generators
from lrp_widgets.demo.training.train_generators import elbo, train
from lrp_widgets.demo.weights import checksum, describe, load_weights


def bars(n: int = 200) -> torch.Tensor:
    """Pictures of one upright bar each, at one of ten places."""
    x = torch.zeros(n, 1, 28, 28)
    for row in range(n):
        x[row, 0, 4:24, 4 + 2 * (row % 10) : 6 + 2 * (row % 10)] = 1
    return x


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (train_generators, train_experts):
        monkeypatch.setattr(module, "seen_and_unseen", lambda folder: (bars(), bars(40)))


def test_training_raises_the_bound() -> None:
    x, random = bars(), torch.Generator().manual_seed(0)
    before, after = (elbo(*train(x, epochs, 0), x, random).mean().detach() for epochs in (1, 25))
    assert after > before + 20


@pytest.mark.parametrize("script", [train_generators, train_experts])
def test_writes_files_that_load_and_their_cards(script, few: None, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        script.main(["--mnist", "path/to/mnist", "--seed", "3", "--epochs", "2", "--out", str(tmp_path)])
    finally:
        torch.set_num_threads(threads)
    kinds = {"digits_vae": DigitsDecoder, "digits_gaussian": Factors, "digits_rbm": Machine}
    written = sorted(path.stem for path in tmp_path.glob("*.safetensors"))
    assert written == (["digits_vae"] if script is train_generators else ["digits_gaussian", "digits_rbm"])
    for name in written:
        load_weights(kinds[name], name, tmp_path)
        said, card = describe(name, tmp_path), (tmp_path / f"{name}.md").read_text(encoding="utf-8")
        assert said["command"].endswith("--mnist path/to/mnist --seed 3 --epochs 2") and said["command"] in card
        assert said["sha256"] in card and "200 pictures" in card


def test_the_factors_keep_mean_and_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 5, generator=generator) @ torch.randn(5, 784, generator=generator)
    made = train_experts.factors(x.reshape(400, 1, 28, 28))
    covariance = made.factors.double() @ made.factors.double().T + made.deviation.double() ** 2 * torch.eye(784)
    away = (x - x.mean(0)).double()
    sigma = away.T @ away / len(x)
    torch.testing.assert_close(made.mean, x.mean(0), rtol=1e-4, atol=1e-4)
    assert float((covariance - sigma).norm() / sigma.norm()) < 0.05
    assert checksum(made.state_dict()) == checksum(train_experts.factors(x.reshape(400, 1, 28, 28)).state_dict())
