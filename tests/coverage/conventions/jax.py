"""Google's archive of a ViT, as JAX writes it, through timm's own mapping backwards."""
import numpy as np
import timm

from common import folder, relative, seed_of
from conventions.shared import ask_file, timm_reference, tiny, wanted
from conventions.timm_files import ARCH


def cases():
    case = "jax/npz"
    if not wanted(case):
        return
    group = "original repositories"
    with folder(case) as path:
        model = tiny(seed_of(case))
        np.savez(path / "Ti_16.npz", **jax_names(model))
        again = timm.create_model("vit_tiny_patch16_224")
        again.load_pretrained(str(path / "Ti_16.npz"))
        assert relative(timm_reference(again)[0], timm_reference(model)[0]) < 1e-6
        ask_file(case, group, path / "Ti_16.npz", ARCH, timm_reference(model)[0])
        ask_file(case + "_folder", group, path, ARCH, timm_reference(model)[0])


def jax_names(m):
    def T_(t):
        return t.detach().numpy().T

    w = {"embedding/kernel": m.patch_embed.proj.weight.detach().permute(2, 3, 1, 0).numpy(),
         "embedding/bias": m.patch_embed.proj.bias.detach().numpy(),
         "cls": m.cls_token.detach().numpy(),
         "Transformer/posembed_input/pos_embedding": m.pos_embed.detach().numpy(),
         "Transformer/encoder_norm/scale": m.norm.weight.detach().numpy(),
         "Transformer/encoder_norm/bias": m.norm.bias.detach().numpy(),
         "head/kernel": T_(m.head.weight), "head/bias": m.head.bias.detach().numpy()}
    d, h = m.embed_dim, m.blocks[0].attn.num_heads
    for i, b in enumerate(m.blocks):
        p = f"Transformer/encoderblock_{i}/"
        a = p + "MultiHeadDotProductAttention_1/"
        w[p + "LayerNorm_0/scale"] = b.norm1.weight.detach().numpy()
        w[p + "LayerNorm_0/bias"] = b.norm1.bias.detach().numpy()
        w[p + "LayerNorm_2/scale"] = b.norm2.weight.detach().numpy()
        w[p + "LayerNorm_2/bias"] = b.norm2.bias.detach().numpy()
        for n, t, s in zip(("query", "key", "value"), b.attn.qkv.weight.detach().chunk(3),
                           b.attn.qkv.bias.detach().chunk(3)):
            w[a + n + "/kernel"] = t.numpy().T.reshape(d, h, d // h)
            w[a + n + "/bias"] = s.numpy().reshape(h, d // h)
        w[a + "out/kernel"] = T_(b.attn.proj.weight).reshape(h, d // h, d)
        w[a + "out/bias"] = b.attn.proj.bias.detach().numpy()
        for r, l in enumerate((b.mlp.fc1, b.mlp.fc2)):
            w[p + f"MlpBlock_3/Dense_{r}/kernel"] = T_(l.weight)
            w[p + f"MlpBlock_3/Dense_{r}/bias"] = l.bias.detach().numpy()
    return w
