"""Networks of the `transformers` package, built from a config with random weights: nothing here is special to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lrp_widgets as lw

transformers = pytest.importorskip("transformers", reason="needs the extra `peers`")

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TEXT: dict[str, Any] = {"vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
GPT2: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4}
EAGER = {"attn_implementation": "eager"}
SHARED = {"num_key_value_heads": 2}
MIXTURE = {"num_local_experts": 4, "num_experts_per_tok": 2}
IMAGE = {"image_size": 32, "patch_size": 8}


def last(output: Any) -> Tensor:
    """The scores of the token that comes next."""
    return output.logits[:, -1]


def text() -> dict[str, Tensor]:
    """Two sentences, the second one shorter."""
    torch.manual_seed(1)
    ids, mask = torch.randint(3, 99, (2, 9)), torch.ones(2, 9, dtype=torch.long)
    ids[1, 6:], mask[1, 6:] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


def alone() -> dict[str, Tensor]:
    """The tokens without a mask."""
    return {"input_ids": text()["input_ids"].clamp(min=3)}


def left_padded() -> dict[str, Tensor]:
    """As texts are put side by side for a decoder: the first queries of the second row see nothing."""
    ids, mask = text()["input_ids"].clamp(min=3), torch.ones(2, 9, dtype=torch.long)
    ids[1, :4], mask[1, :4] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


def pixels() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"pixel_values": torch.rand(2, 3, 32, 32)}


def sound() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"input_values": torch.randn(2, 400)}


# The model's name, its config's name and arguments, the input, the output.
Case = tuple[str, str, dict[str, Any], Callable[[], dict[str, Tensor]], Any]
CASES: dict[str, Case] = {
    "BERT": ("BertForSequenceClassification", "BertConfig", TEXT | SIZES, text, None),
    "DistilBERT": (
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        text,
        None,
    ),
    "GPT-2": ("GPT2LMHeadModel", "GPT2Config", TEXT | {"n_embd": 32, "n_layer": 2, "n_head": 4}, alone, last),
    "GPT-2, left padding": ("GPT2LMHeadModel", "GPT2Config", TEXT | GPT2, left_padded, last),
    "GPT-2, left padding, spelled": ("GPT2LMHeadModel", "GPT2Config", TEXT | GPT2 | EAGER, left_padded, last),
    "LLaMA, left padding": ("LlamaForCausalLM", "LlamaConfig", TEXT | SIZES | SHARED, left_padded, last),
    "BART": (
        "BartForConditionalGeneration",
        "BartConfig",
        TEXT
        | {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
        | {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "decoder_start_token_id": 2},
        text,
        last,
    ),
    "DeBERTa": (
        "DebertaV2ForSequenceClassification",
        "DebertaV2Config",
        TEXT | SIZES | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
        text,
        None,
    ),
    "Mixtral": ("MixtralForCausalLM", "MixtralConfig", TEXT | SIZES | SHARED | MIXTURE, left_padded, last),
    "Mixtral, spelled": (
        "MixtralForCausalLM",
        "MixtralConfig",
        TEXT | SIZES | SHARED | MIXTURE | {"experts_implementation": "eager"},
        left_padded,
        last,
    ),
    "LLaMA": ("LlamaForCausalLM", "LlamaConfig", TEXT | SIZES | {"num_key_value_heads": 2}, alone, last),
    "LLaMA, classes": ("LlamaForSequenceClassification", "LlamaConfig", TEXT | SIZES, text, None),
    "Qwen2": ("Qwen2ForCausalLM", "Qwen2Config", TEXT | SIZES | {"num_key_value_heads": 2}, alone, last),
    "Mamba": ("MambaForCausalLM", "MambaConfig", TEXT | {"hidden_size": 32, "num_hidden_layers": 2}, alone, last),
    "ViT": ("ViTForImageClassification", "ViTConfig", SIZES | IMAGE, pixels, None),
    "Swin": (
        "SwinForImageClassification",
        "SwinConfig",
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
        pixels,
        None,
    ),
    "ConvNeXt": (
        "ConvNextForImageClassification",
        "ConvNextConfig",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
        pixels,
        None,
    ),
    "wav2vec 2": (
        "Wav2Vec2ForSequenceClassification",
        "Wav2Vec2Config",
        SIZES
        | {"conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2}
        | {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2},
        sound,
        None,
    ),
    "CLIP": (
        "CLIPVisionModelWithProjection",
        "CLIPVisionConfig",
        SIZES | IMAGE | {"projection_dim": 7},
        pixels,
        "image_embeds",
    ),
}


NORMALIZES_IN_SINGLE = ("LLaMA", "Qwen2", "Mamba")  # whatever precision the model has


def built(name: str) -> tuple[torch.nn.Module, dict[str, Tensor], Any]:
    """The model in double precision, its input and what to explain of its output."""
    model, config, arguments, make, output = CASES[name]
    torch.manual_seed(0)
    network = getattr(transformers, model)(getattr(transformers, config)(**arguments)).eval()
    if name.startswith("Mixtral"):  # torch multiplies by groups in single precision alone
        return network, make(), output
    x = {key: item.double() if item.is_floating_point() else item for key, item in make().items()}
    return network.double(), x, output


@pytest.mark.parametrize("attention", ["AttnLRP", "held constant"])
@pytest.mark.parametrize("name", CASES)
def test_the_ledger_closes(name: str, attention: str) -> None:
    model, x, output = built(name)
    before = {key: item.clone() for key, item in model.state_dict().items()}
    for composite in (lw.epsilon(attention=attention), lw.alpha_beta(alpha=1, attention=attention)):
        explanation = lw.Explainer(model, output=output).explain(x, method=lw.LRP(composite))
        open_ = [layer.name for layer in explanation.layers if not layer.closes]
        assert not open_ and not explanation.fallbacks
        kept = sum(explanation.absorbed.values())
        size = explanation.explained.abs() + sum(amount.abs() for amount in explanation.absorbed.values())
        rounding = 1e-6 if name.startswith(NORMALIZES_IN_SINGLE) else 1e-12
        rounding = 1e-4 if name.startswith("Mixtral") else rounding
        assert ((explanation.explained - explanation.total - kept).abs() <= rounding * size).all()
        (main, *_), (given, *_) = explanation.relevance.values(), x.values()
        assert main.shape == given.shape and main.dtype == explanation.scores.dtype and bool(main.abs().sum())
    assert all(torch.equal(item, before[key]) for key, item in model.state_dict().items())


def test_a_llama_without_biases_conserves() -> None:
    model, x, output = built("LLaMA")
    held = lw.LRP(lw.epsilon(epsilon=1e-12, attention="held constant"))
    explanation = lw.Explainer(model, output=output).explain(x, method=held)
    assert explanation.total == pytest.approx(explanation.explained, rel=1e-6)


def test_padding_takes_no_relevance_and_changes_none() -> None:
    model, x, _ = built("BERT")
    explainer = lw.Explainer(model)
    padded = explainer.explain(x, target=0).relevance["input_ids"]
    short = {key: item[1:, :6] for key, item in x.items()}
    assert torch.equal(padded[1, 6:], torch.zeros(3).double())
    assert padded[1, :6] == pytest.approx(explainer.explain(short, target=0).relevance["input_ids"][0], rel=1e-9)


@pytest.mark.parametrize("name", ["BERT", "LLaMA"])
def test_simple_taylor_of_tokens_is_that_of_their_embeddings(name: str) -> None:
    model, x, output = built(name)
    here = lw.Explainer(model, output=output).explain(x, target=1, method=lw.SimpleTaylor()).relevance["input_ids"]
    embedded = model.get_input_embeddings()(x["input_ids"]).detach().requires_grad_()
    result = model(inputs_embeds=embedded, attention_mask=x.get("attention_mask"))
    scores = result.logits if output is None else output(result)
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), embedded)
    assert here == pytest.approx((gradient * embedded.detach()).sum(-1), rel=1e-9, abs=1e-12)


def test_experts_as_one_operation_are_explained_as_one_by_one() -> None:
    together, x, output = built("Mixtral")
    apart = built("Mixtral, spelled")[0]
    for composite in (lw.epsilon(), lw.alpha_beta(alpha=1)):
        method = lw.LRP(composite)
        expected = lw.Explainer(apart, output=output).explain(x, method=method).relevance["input_ids"]
        got = lw.Explainer(together, output=output).explain(x, method=method).relevance["input_ids"]
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def test_a_mask_of_the_left_hides_what_it_says() -> None:
    """The padded row alone, without its padding, has the same scores and the same relevance."""
    for name in ("GPT-2, left padding", "GPT-2, left padding, spelled"):
        model, x, output = built(name)
        x["position_ids"] = (x["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        explanation = lw.Explainer(model, output=output).explain(x, target=5, method=lw.LRP(lw.epsilon()))
        padded = explanation.relevance["input_ids"]
        short = {key: item[1:, 4:] for key, item in x.items()}
        alone_ = lw.Explainer(model, output=output).explain(short, target=5, method=lw.LRP(lw.epsilon()))
        assert not padded[1, :4].any()
        torch.testing.assert_close(padded[1:, 4:], alone_.relevance["input_ids"])


def test_switching_an_adapter_off_is_noticed() -> None:
    """As fine-tuned models do it: an attribute of a layer says whether its correction counts."""

    class Adapted(torch.nn.Module):
        def __init__(self, layer: torch.nn.Module) -> None:
            super().__init__()
            self.layer, self.enabled = layer, True
            self.correction = torch.nn.Linear(32, 99, bias=False, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) + self.correction(x) if self.enabled else self.layer(x)

    model, x, output = built("GPT-2")
    model.lm_head = Adapted(model.lm_head)
    explainer = lw.Explainer(model, output=output)
    with_correction = explainer.explain(x, target=5).scores
    model.lm_head.enabled = False
    without = explainer.explain(x, target=5).scores
    assert not torch.allclose(with_correction, without)
    torch.testing.assert_close(without, output(model(**x)).detach())
