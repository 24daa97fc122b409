"""TorchScript archives: traced and scripted modules, and OpenAI's CLIP, which is one."""
import importlib

import torch
from PIL import Image

from common import classify, folder, judge, randomise, seed_of
from conventions.originals import CFG, PREPARED, said
from conventions.shared import PICTURE, ask_file, note, timm_pixels, timm_reference, tiny, wanted

GROUP = "torchscript"
ARCH = said("architecture=vit_tiny_patch16_224")


def vit():
    return importlib.import_module("vit_pytorch.vit").ViT(
        image_size=64, patch_size=16, num_classes=7, dim=48, depth=2, heads=3, mlp_dim=80,
        dim_head=16)


class Wrapper(torch.nn.Module):
    """A user's own module around a model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


class OpenAi(torch.nn.Module):
    """The archives that OpenAI published: both towers, and three numbers as buffers."""

    def __init__(self):
        super().__init__()
        import open_clip
        clip = open_clip.CLIP(64, {"image_size": 64, "layers": 2, "width": 128, "patch_size": 16},
                              {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2,
                               "layers": 1}, quick_gelu=True)
        for name, module in clip.named_children():
            setattr(self, name, module)
        for name, parameter in clip.named_parameters(recurse=False):
            setattr(self, name, parameter)
        for name, number in {"input_resolution": 64, "context_length": 8, "vocab_size": 99}.items():
            self.register_buffer(name, torch.tensor(number))

    def forward(self, image):
        return self.visual(image)


def openai():
    case = "openai_clip/torchscript"
    if not wanted(case):
        return
    from open_clip.transform import image_transform
    model = randomise(OpenAi(), seed_of(case))
    pixels = image_transform(64, False)(Image.open(PICTURE))[None]
    with folder(case) as path, torch.inference_mode():
        torch.jit.save(torch.jit.trace(model.half().float(), pixels), str(path / "ViT-B-32.pt"))
        answer = classify(path / "ViT-B-32.pt", PICTURE)
        note(case, GROUP, *judge(answer, answer.top() if answer.rc == 0 else None,
                                 model(pixels)[0]), answer)


def cases():
    for way in ("traced", "scripted", "traced_wrapper"):
        case = f"torchscript/timm_{way}"
        if not wanted(case):
            continue
        with folder(case) as path:
            model = tiny(seed_of(case))
            whole = Wrapper(model) if way == "traced_wrapper" else model
            program = (torch.jit.script(model) if way == "scripted" else
                       torch.jit.trace(whole, timm_pixels(model)))
            torch.jit.save(program, str(path / "model.pt"))
            ask_file(case, GROUP, path / "model.pt", ARCH, timm_reference(model)[0])
    case = "torchscript/vit_pytorch"
    if wanted(case):
        with folder(case) as path, torch.inference_mode():
            model = randomise(vit(), seed_of(case))
            pixels = timm_pixels(None, dict(CFG))
            torch.jit.save(torch.jit.trace(model, pixels), str(path / "model.pt"))
            ask_file(case, GROUP, path / "model.pt",
                     said("heads=3", "pooling=class_token", "activation=gelu", *PREPARED),
                     model(pixels)[0])
    openai()
