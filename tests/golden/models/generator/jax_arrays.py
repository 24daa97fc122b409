"""google's JAX archives (.npz) of ViT and AugReg, read by timm; and in big_vision's names."""

import numpy
import timm

from .recorder import Case

# Parts of a block: google's names, big_vision's.
GOOGLE = ("MultiHeadDotProductAttention_1", "LayerNorm_2", "MlpBlock_3")
BIG_VISION = ("MultiHeadDotProductAttention_0", "LayerNorm_1", "MlpBlock_0")


def jax_arrays(tensors, heads, prefix, block_names, positions):
    """timm's tensors as JAX stores them: kernels [in, out], pictures [h, w, in, out], heads apart."""
    arrays = {}
    attention, norm2, mlp = block_names

    def put(name, tensor):
        arrays[prefix + name] = tensor.numpy()

    def norm(name, module):
        put(name + "/scale", tensors[module + ".weight"])
        put(name + "/bias", tensors[module + ".bias"])

    def dense(name, module):
        put(name + "/kernel", tensors[module + ".weight"].T)  # numpy.savez keeps the order: Fortran
        put(name + "/bias", tensors[module + ".bias"])

    put("embedding/kernel", tensors["patch_embed.proj.weight"].permute(2, 3, 1, 0))
    put("embedding/bias", tensors["patch_embed.proj.bias"])
    put("cls", tensors["cls_token"])
    put(positions, tensors["pos_embed"])
    norm("Transformer/encoder_norm", "norm")
    dense("head", "head")
    depth = sum(name.endswith("norm1.weight") for name in tensors)
    for i in range(depth):
        block, here = f"Transformer/encoderblock_{i}/", f"blocks.{i}."
        norm(block + "LayerNorm_0", here + "norm1")
        norm(block + norm2, here + "norm2")
        weights = tensors[here + "attn.qkv.weight"].chunk(3)
        biases = tensors[here + "attn.qkv.bias"].chunk(3)
        for name, weight, bias in zip(("query", "key", "value"), weights, biases):
            put(f"{block}{attention}/{name}/kernel", weight.T.unflatten(1, (heads, -1)))
            put(f"{block}{attention}/{name}/bias", bias.unflatten(0, (heads, -1)))
        out = tensors[here + "attn.proj.weight"].T
        put(f"{block}{attention}/out/kernel", out.unflatten(0, (heads, -1)))
        put(f"{block}{attention}/out/bias", tensors[here + "attn.proj.bias"])
        for number in (1, 2):
            dense(f"{block}{mlp}/Dense_{number - 1}", f"{here}mlp.fc{number}")
    return arrays


def _case(name, prefix, block_names, positions="Transformer/posembed_input/pos_embedding"):
    heads = 3
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=16, patch_size=4, embed_dim=12, depth=2, num_heads=heads,
        mlp_ratio=2, num_classes=5)
    for block in model.blocks:
        block.attn.fused_attn = False

    def write_weights(folder, tensors):
        arrays = jax_arrays(tensors, heads, prefix, block_names, positions)
        numpy.savez(folder / "model.npz", **arrays)
        if block_names is GOOGLE and not prefix:  # what timm makes of the file
            again = timm.create_model(
                "vit_tiny_patch16_224", img_size=16, patch_size=4, embed_dim=12, depth=2,
                num_heads=heads, mlp_ratio=2, num_classes=5)
            again.load_pretrained(str(folder / "model.npz"))
            for parameter, tensor in again.state_dict().items():
                assert (tensor == tensors[parameter]).all(), parameter

    return Case(
        family="timm", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(3, 16, 16), blocks=lambda m: list(m.blocks),
        attention=lambda m: [b.attn.attn_drop for b in m.blocks], write_weights=write_weights,
        settings={"activation": "gelu", "layer_norm_epsilon": "1e-6", "pooling": "class_token"})


def cases():
    yield _case("jax_google", "", GOOGLE)
    yield _case("jax_big_vision", "params/", BIG_VISION, positions="pos_embedding")
