"""DINOv2 and DINOv3 as their own hub serves them, and in checkpoints of their training."""
import torch

from conventions.originals import CFG, CLASS, PREPARED, case_of, dino_head, said, small
from conventions.shared import prefixed, tiny

CFG_224 = dict(CFG, input_size=(3, 224, 224))
CFG_56 = dict(CFG, input_size=(3, 56, 56), crop_pct=1.0)
CLASS_56 = [*CLASS, *said("crop_pct=1")]
# Of DINOv3 the file says everything but the preprocessing; without the periods not the heads, too.
SAID_3 = said(*PREPARED)


def dinov2(seed):
    return small(seed, "vit_small_patch14_dinov2", num_classes=0, img_size=56, patch_size=14)


def dinov2_reg(seed):
    return small(seed, "vit_small_patch14_reg4_dinov2", num_classes=0, img_size=56, patch_size=14)


def dinov2_names(m, reg=False, chunks=0):
    out = {"mask_token": torch.randn(1, 96)}
    for n, t in m.state_dict().items():
        if n == "reg_token":
            n = "register_tokens"
        if n == "pos_embed" and reg:
            t = torch.cat([torch.zeros(1, 1, t.shape[-1]), t], 1)
        if chunks and n.startswith("blocks."):
            i = int(n.split(".")[1])
            n = f"blocks.{i // chunks}." + n[len("blocks."):]
        out[n] = t
    return out


def dinov3(seed, name="vit_small_patch16_dinov3_qkvb"):
    return tiny(seed, name, depth=2, embed_dim=192, num_heads=3, img_size=224, num_classes=0)


def dinov3_names(m, masked=True):
    """What facebook's code saves: the bias of q, k and v in one, with a mask of ones and, for k,
    zeros, that it is multiplied with; the periods of the rotation in bfloat16."""
    out = {"mask_token": torch.randn(1, 192), "storage_tokens": m.reg_token}
    if masked:
        out["rope_embed.periods"] = (100 ** (torch.arange(16) / 16)).bfloat16()
    for n, t in m.state_dict().items():
        n = n.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        if n == "reg_token" or n.endswith("v_bias"):
            continue
        if n.endswith("q_bias"):
            v = m.state_dict()[n.replace("q_bias", "v_bias")]
            n = n.replace("q_bias", "qkv.bias")
            k = torch.randn(t.shape) if masked else torch.zeros(t.shape)
            if masked:
                out[n + "_mask"] = torch.cat([torch.ones_like(t), torch.zeros_like(t),
                                              torch.ones_like(t)])
            t = torch.cat([t, k, v])
        out[n] = t
    return out


@torch.no_grad()
def rounded_periods(seed):
    """timm's model turns by the rule; the hub's by the periods as bfloat16 has them."""
    model = dinov3(seed)
    model.rope.periods.copy_(model.rope.periods.bfloat16().float())
    if model.rope.pos_embed_cached is not None:
        model.rope._cache_embed(model.rope.feat_shape)
    return model


def cases():
    case_of("dinov2/hub", dinov2, dinov2_names, CLASS_56, data=CFG_56)
    case_of("dinov2/hub_reg4", dinov2_reg, lambda m: dinov2_names(m, True), CLASS_56, data=CFG_56)
    case_of("dinov2/chunked", dinov2, lambda m: dinov2_names(m, chunks=2), CLASS_56, data=CFG_56)
    case_of("dinov2/teacher_checkpoint", dinov2, lambda m: {"teacher": {
        **prefixed(dinov2_names(m), "backbone."), **prefixed(dino_head(), "dino_head."),
        **prefixed(dino_head(), "ibot_head.")}}, CLASS_56, data=CFG_56)
    case_of("dinov2/linear_classifier", dinov2, lambda m: {
        **prefixed(dinov2_names(m), "backbone."), "linear_head.weight": torch.randn(7, 192),
        "linear_head.bias": torch.randn(7)}, CLASS_56, data=CFG_56)
    case_of("dinov3/hub", rounded_periods, dinov3_names, SAID_3, data=CFG_224)
    case_of("dinov3/hub_without_rope_tensor", dinov3, lambda m: dinov3_names(m, masked=False),
            [*SAID_3, *said("num_heads=3")], data=CFG_224)
