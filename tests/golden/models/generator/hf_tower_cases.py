"""transformers: encoders that are a ViT under another name (MSN, MAE, I-JEPA, InternVL), and the
towers of pictures of CLIP, OWL-ViT, SigLIP and BLIP."""

import torch
import transformers as T

from .hf_cases import (LIBRARY, OLDER_VIT, _check_spelling, _exact_softmax, _older, _Rows)
from .recorder import Case

VIT = dict(hidden_size=12, num_attention_heads=3, num_hidden_layers=1, intermediate_size=20,
           image_size=16, patch_size=4)
TWO = {**VIT, "num_hidden_layers": 2}
TEXT = dict(vocab_size=9, hidden_size=8, intermediate_size=9, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=4, projection_dim=6, bos_token_id=0,
            eos_token_id=1, pad_token_id=1)


def _layers(model):
    """The blocks of the encoder, whatever holds it."""
    for name in ("vision_model", "vit", "ijepa"):
        model = getattr(model, name, model)
    if hasattr(model, "encoder"):
        return list(getattr(model.encoder, "layers", None) or model.encoder.layer)
    return list(model.layers)


def _attention(layer):
    return layer.self_attn if hasattr(layer, "self_attn") else layer.attention


def _answer(output):
    """Logits, a projection, the pooled vector, or what Vitrail pools where the library does not."""
    for name in ("logits", "image_embeds", "pooler_output"):
        value = getattr(output, name, None)
        if value is not None:
            return value
    return output.last_hidden_state[:, 0]


def _case(name, model, processor, picture=None, attention=False, to_file=dict, answer=_answer,
          call=None, faint=False, steps=10, config=None):
    vision = config or model.config
    side = getattr(vision, "image_size", None)
    shown = picture or ((side, side) if isinstance(side, int) else tuple(side))
    extra = {} if call or picture is None else {"interpolate_pos_encoding": True}

    def forward(m, x):
        return answer(call(m, x) if call else m(pixel_values=x, **extra))

    def write_config(folder):
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)
        processor.save_pretrained(folder)
        _check_spelling(model, folder)

    model.set_attn_implementation("eager")
    return Case(
        family="hf_tower", name=name, library=LIBRARY, model=model, picture=(3, *shown), blocks=_layers,
        forward=_exact_softmax(forward), to_file=to_file,
        attention=(lambda m: [_Rows(_attention(layer)) for layer in _layers(m)]) if attention else None,
        write_config=write_config, metadata={"format": "pt"}, faint=faint, steps=steps)


def _bare_encoder(tensors):
    """As the library writes a classifier of MSN: the encoder without the prefix."""
    return {name.replace("vit.encoder.", "encoder."): tensor
            for name, tensor in _older(OLDER_VIT)(tensors).items()}


def _every_patch(model, x):
    """MAE's encoder without its masking: every patch, in its place."""
    noise = torch.arange(float((x.shape[2] // 4) * (x.shape[3] // 4))).expand(len(x), -1)
    return model(pixel_values=x, noise=noise, interpolate_pos_encoding=True)


def _mae(model):
    for name, parameter in model.named_parameters():  # fixed there, trained here
        parameter.requires_grad_(True)
    return model


def _encoder_cases():
    vit = T.ViTImageProcessor(size={"height": 16, "width": 16})
    older = _older(OLDER_VIT)
    yield _case("msn_base", T.ViTMSNModel(T.ViTMSNConfig(**TWO)), vit, (12, 20), attention=True,
                to_file=older)
    yield _case("msn_classifier", T.ViTMSNForImageClassification(T.ViTMSNConfig(
        **VIT, num_labels=5, qkv_bias=False)), vit, to_file=_bare_encoder, faint=True)
    yield _case("mae", _mae(T.ViTMAEModel(T.ViTMAEConfig(**VIT, mask_ratio=0.0))), vit, (8, 12),
                attention=True, to_file=older, call=_every_patch)
    mean = lambda output: output.last_hidden_state.mean(dim=1)
    yield _case("ijepa_base", T.IJepaModel(T.IJepaConfig(**TWO)), vit, (20, 12), attention=True,
                to_file=older, answer=mean)
    yield _case("ijepa_classifier", T.IJepaForImageClassification(T.IJepaConfig(
        **VIT, num_labels=5)), vit, to_file=older, faint=True)
    internvl = dict(image_size=[16, 16], patch_size=[4, 4], layer_scale_init_value=0.7)
    crops = T.GotOcr2ImageProcessor(size={"height": 16, "width": 16})
    yield _case("internvl", T.InternVLVisionModel(T.InternVLVisionConfig(**{**TWO, **internvl})),
                crops, attention=True)
    yield _case("internvl_norm", T.InternVLVisionModel(T.InternVLVisionConfig(
        **{**VIT, **internvl}, attention_bias=True, use_mean_pooling=False)), crops, (12, 20),
        call=lambda m, x: m(pixel_values=x), faint=True)


def _clip(**more):
    return T.CLIPConfig(text_config=TEXT, vision_config={**VIT, "projection_dim": 6},
                        projection_dim=6, **more)


def _siglip(**more):
    return T.SiglipConfig(text_config={k: v for k, v in TEXT.items() if k != "projection_dim"},
                          vision_config={**VIT}, **more)


def _tower_cases():
    clip = T.CLIPImageProcessor(size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16})
    yield _case("clip_vision", T.CLIPVisionModel(T.CLIPVisionConfig(**TWO)), clip, (12, 20),
                attention=True)
    yield _case("clip_projection", T.CLIPVisionModelWithProjection(T.CLIPVisionConfig(
        **VIT, projection_dim=6, hidden_act="gelu")), clip, faint=True)
    config = _clip()
    yield _case("clip", T.CLIPModel(config), clip, config=config.vision_config,
                call=lambda m, x: m.get_image_features(pixel_values=x))
    config = _clip(num_labels=5)
    yield _case("clip_classifier", T.CLIPForImageClassification(config), clip, attention=True,
                config=config.vision_config)
    owl = T.OwlViTImageProcessor(size={"height": 16, "width": 16})
    yield _case("owlvit", T.OwlViTVisionModel(T.OwlViTVisionConfig(**VIT)), owl, (8, 12))
    siglip = T.SiglipImageProcessor(size={"height": 16, "width": 16})
    yield _case("siglip_vision", T.SiglipVisionModel(T.SiglipVisionConfig(**TWO)), siglip, (12, 12),
                attention=True)
    yield _case("siglip_faint", T.SiglipVisionModel(T.SiglipVisionConfig(
        **VIT, layer_norm_eps=1e-5, hidden_act="gelu")), siglip, faint=True)
    config = _siglip(num_labels=5)
    yield _case("siglip_classifier", T.SiglipForImageClassification(config), siglip, (20, 16),
                config=config.vision_config)
    blip = T.BlipImageProcessor(size={"height": 16, "width": 16})
    # Its last norm is applied twice, which are two norms to Vitrail once they are trained.
    yield _case("blip", T.BlipVisionModel(T.BlipVisionConfig(**TWO)), blip, (12, 20),
                attention=True, steps=0)
    yield _case("blip_2", T.Blip2VisionModel(T.Blip2VisionConfig(**VIT, qkv_bias=False)), blip,
                faint=True, steps=0)


def _aimv2_cases():
    clip = T.CLIPImageProcessor(size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16})
    mean = lambda output: output.last_hidden_state.mean(dim=1)
    yield _case("aimv2", T.Aimv2VisionModel(T.Aimv2VisionConfig(**TWO, use_head=False)), clip,
                attention=True, answer=mean, faint=True)
    # The attention that pools is not run.
    yield _case("aimv2_biases", T.Aimv2VisionModel(T.Aimv2VisionConfig(
        **VIT, qkv_bias=True, mlp_bias=True, hidden_act="gelu")), clip, answer=mean)


def _packed(model, x):
    """Patches of every picture, pixel by pixel, as SigLIP 2 takes them."""
    batch, channels, height, width = x.shape
    rows, columns = height // 4, width // 4
    patches = x.reshape(batch, channels, rows, 4, columns, 4).permute(0, 2, 4, 3, 5, 1)
    return model(pixel_values=patches.reshape(batch, rows * columns, -1),
                 pixel_attention_mask=torch.ones(batch, rows * columns, dtype=torch.long),
                 spatial_shapes=torch.tensor([[rows, columns]] * batch))


def _siglip2_cases():
    processor = T.Siglip2ImageProcessor(patch_size=4, max_num_patches=16)
    vision = {k: v for k, v in VIT.items() if k != "image_size"}
    yield _case("siglip2_vision", T.Siglip2VisionModel(T.Siglip2VisionConfig(
        **{**vision, "num_hidden_layers": 2}, num_patches=16)), processor, (12, 20),
        attention=True, call=_packed)
    yield _case("siglip2_shrunk", T.Siglip2VisionModel(T.Siglip2VisionConfig(
        **vision, num_patches=25)), processor, (8, 12), call=_packed, faint=True)
    config = T.Siglip2Config(text_config={k: v for k, v in TEXT.items() if k != "projection_dim"},
                             vision_config={**vision, "num_patches": 16}, num_labels=5)
    yield _case("siglip2_classifier", T.Siglip2ForImageClassification(config), processor, (16, 16),
                config=config.vision_config, call=_packed)


TIPS_NAMES = [
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("embeddings.position_embeddings", "pos_embed"), ("embeddings.", ""),
    ("layernorm.", "norm."), ("encoder.layer.", "blocks."), (".attention.o_proj.", ".attn.proj."),
    (".attention.q_proj.", ".attn.qkv."), (".layer_scale1.lambda1", ".ls1.gamma"),
    (".layer_scale2.lambda1", ".ls2.gamma"), (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."), (".mlp.gate_proj.", ".mlp.w12."), (".mlp.down_proj.", ".mlp.w3."),
]


def _original_names(tensors):
    """TIPSv2's files: q, k and v in one tensor, and gate above value."""
    named = {}
    for name, tensor in tensors.items():
        if any(part in name for part in ("k_proj", "v_proj", "up_proj")):
            continue
        if "q_proj" in name:
            tensor = torch.cat([tensors[name.replace("q_proj", part)]
                                for part in ("q_proj", "k_proj", "v_proj")])
        if "gate_proj" in name:
            tensor = torch.cat([tensor, tensors[name.replace("gate_proj", "up_proj")]])
        for there, here in TIPS_NAMES:
            name = name.replace(there, here)
        named[name] = tensor
    return named


def _tips_cases():
    processor = T.BitImageProcessor(size={"shortest_edge": 18},
                                    crop_size={"height": 16, "width": 16})
    vit = {k: v for k, v in VIT.items() if k != "intermediate_size"}
    plain = lambda m, x: m(pixel_values=x)
    yield _case("tips", T.Tipsv2VisionModel(T.Tipsv2VisionConfig(
        **{**vit, "num_hidden_layers": 2}, mlp_ratio=2, num_register_tokens=2)), processor, (12, 20),
        attention=True, to_file=_original_names, call=plain)
    yield _case("tips_gated", T.Tipsv2VisionModel(T.Tipsv2VisionConfig(
        **vit, mlp_ratio=2, use_swiglu_ffn=True)), processor, (8, 8), to_file=_original_names,
        call=plain, faint=True)


def cases():
    yield from _encoder_cases()
    yield from _tower_cases()
    yield from _aimv2_cases()
    yield from _siglip2_cases()
    yield from _tips_cases()
