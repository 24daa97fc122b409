"""What every part shares: weights, the picture, vitrail, verdicts, records. `run` sets what is read
from the environment."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

ROOT = Path(os.environ["COVERAGE_ROOT"])
OUT = ROOT / "out"
WORK = ROOT / "work"
VITRAIL = os.environ.get("VITRAIL", "build/release/vitrail")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

torch.set_num_threads(int(os.environ.get("COVERAGE_THREADS", "2")))
OUT.mkdir(parents=True, exist_ok=True)
WORK.mkdir(parents=True, exist_ok=True)

EQUAL = 1e-3    # the verdict's bound, max|a-b| / max|b|
SUSPECT = 5e-5  # equal by the bound, but too far off for float32: looked at by hand


def seed_of(text):
    return zlib.crc32(text.encode()) % 2**31


# ---- weights ---------------------------------------------------------------------------------

# What writes into the residual stream: made small for the second pass, in which the tokens'
# variance is near LayerNorm's epsilon, so that a wrong epsilon shows.
STREAM = re.compile(
    r"(patch_embed|patch_embeddings|to_patch_embedding|conv1\b|patch_embedding)|"
    r"(cls_token|reg_token|register_tokens|dist_token|distillation_token|class_embedding|"
    r"pos_embed|position_embedding|positional_embedding|pos_embedding|storage_tokens|mask_token)|"
    r"(attn\.proj|attention\.output\.dense|o_proj|out_proj|to_out|"
    r"mlp\.fc2|output\.dense|mlp\.w3|weights_out|down_proj|c_proj|\.net\.[34]\.|\.fn\.net\.3)")
GAMMA = re.compile(r"(gamma(_[123])?$|lambda[_0-9]*$|ls[12]\.|layer_?scale|\.scale[12]?$)")


@torch.no_grad()
def randomise(model, seed, faint=False):
    """Every parameter and running statistic far from its initialisation."""
    g = torch.Generator().manual_seed(seed)

    def normal(t):
        return torch.randn(t.shape, generator=g, dtype=torch.float32)

    done = set()
    for name, p in model.named_parameters():
        if p.data_ptr() in done and p.numel():
            continue  # tied
        done.add(p.data_ptr())
        if not p.is_floating_point():
            continue
        last = name.rsplit(".", 1)[-1]
        if p.ndim == 0 or p.numel() == 1:
            v = p.float() + 0.1 * normal(p)
        elif GAMMA.search(name) and "norm" not in name.lower():
            v = 0.7 + 0.2 * normal(p)
        elif last == "weight" and p.ndim == 1:
            v = 1 + 0.3 * normal(p)
        elif "bias" in last and "table" not in last and p.ndim == 1:
            v = 0.2 * normal(p)
        elif re.search(r"(token|pos_emb|position|relative|rel_pos|bias|embedding)", name) and not (
                last == "weight" and p.ndim >= 3):
            v = 0.5 * normal(p)
        elif p.ndim >= 2:
            fan_in = p[0].numel() if p.shape[0] > 1 else p.numel()
            v = normal(p) / max(1.0, fan_in) ** 0.5
        else:
            v = 0.5 * normal(p)
        if faint and STREAM.search(name) and "norm" not in name:
            v = v * 3e-3
        p.copy_(v.to(p.dtype))
    for name, b in model.named_buffers():
        if name.endswith("running_mean"):
            b.copy_(0.2 * normal(b))
        elif name.endswith("running_var"):
            b.copy_(0.5 + torch.rand(b.shape, generator=g))
    model.eval()
    return model


# ---- the photo -------------------------------------------------------------------------------

def photo(seed=0, size=(341, 262)):
    """A non-square PNG: smooth colours, edges and grain."""
    path = WORK / f"photo-{seed}-{size[0]}x{size[1]}.png"
    if not path.exists():
        rng = np.random.default_rng(seed)
        w, h = size
        small = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
        base = np.asarray(Image.fromarray(small).resize((w, h), Image.BICUBIC), dtype=np.int32)
        for _ in range(12):
            x, y = rng.integers(0, w - 30), rng.integers(0, h - 30)
            base[y:y + rng.integers(8, 90), x:x + rng.integers(8, 90)] = rng.integers(0, 256, 3)
        base = base + rng.integers(-12, 13, base.shape)
        Image.fromarray(base.clip(0, 255).astype(np.uint8)).save(path)
    return path


# ---- vitrail ---------------------------------------------------------------------------------

class Answer:
    def __init__(self, process, seconds):
        self.rc = process.returncode
        self.out, self.err = process.stdout, process.stderr
        self.seconds = seconds
        lines = [l for l in (self.err or "").splitlines() if l.strip()]
        errors = [l for l in lines if not l.startswith("vitrail: note") and
                  not l.startswith("vitrail: warning")]
        self.message = " / ".join(errors or lines)[:1200]
        if self.rc == 0:
            self.message = ""
        elif '"error"' in (self.out or ""):
            with contextlib.suppress(Exception):
                self.message = json.loads(self.out.splitlines()[0])["error"][:1200]

    @property
    def crashed(self):
        return self.rc < 0 or self.rc >= 128

    def top(self):
        """All logits, in the order of the classes."""
        entries = json.loads(self.out.splitlines()[0])["top"]
        values = np.full(max(e["index"] for e in entries) + 1, np.nan)
        for e in entries:
            values[e["index"]] = e["logit"]
        return values


def vitrail(*args, timeout=300):
    started = time.time()
    try:
        process = subprocess.run([VITRAIL, *map(str, args)], capture_output=True, text=True,
                                 timeout=timeout, errors="replace")
    except subprocess.TimeoutExpired:
        process = subprocess.CompletedProcess(args, 254, "", "TIMEOUT")
    return Answer(process, time.time() - started)


def classify(folder, picture, *more):
    return vitrail("classify", picture, "--model", folder, "--json", "--top", 100000,
                   "--threads", 2, "--batch", 1, *more)


def embed(folder, picture, kind, *more):
    out = WORK / "embedding.npy"
    with contextlib.suppress(FileNotFoundError):
        out.unlink()
    answer = vitrail("embed", picture, "--model", folder, "--kind", kind, "--out", out,
                     "--threads", 2, "--batch", 1, *more)
    answer.values = np.load(out) if answer.rc == 0 and out.exists() else None
    return answer


# ---- verdicts --------------------------------------------------------------------------------

def relative(ours, theirs):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.size != theirs.size:
        return float("inf")
    ours, theirs = ours.reshape(-1), theirs.reshape(-1)
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))


def judge(answer, ours, theirs):
    """verdict, relative error."""
    if answer.crashed:
        return "CRASH", None
    if answer.rc != 0:
        return "REFUSED", None
    error = relative(ours, theirs)
    return ("EQUAL" if error < EQUAL else "WRONG"), error


class Records:
    """One JSON line a case; a case that is there already is not run again."""

    def __init__(self, name):
        self.path = OUT / f"{name}.jsonl"
        self.rows = []
        if self.path.exists():
            self.rows = [json.loads(l) for l in self.path.read_text().splitlines() if l.strip()]
        self.done = {r["case"] for r in self.rows}

    def add(self, case, **fields):
        row = {"case": case, **fields}
        with self.path.open("a") as f:
            f.write(json.dumps(row) + "\n")
        self.done.add(case)
        rel = row.get("rel")
        advice = "" if "advice_verdict" not in row else f"[advice: {row['advice_verdict']}] "
        print(f"{row.get('verdict', '?'):8} {'' if rel is None else f'{rel:.1e}':8} {case}  "
              f"{advice}{row.get('message', '')[:170]}", flush=True)


@contextlib.contextmanager
def folder(name):
    path = WORK / re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        if not os.environ.get("COVERAGE_KEEP"):
            shutil.rmtree(path, ignore_errors=True)


# ---- the advice of a refusal -------------------------------------------------------------------

ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "GeluTanh": "gelu_tanh",
               "QuickGELU": "quick_gelu", "SiLU": "silu", "ReLU": "relu",
               "PytorchGELUTanh": "gelu_tanh", "QuickGELUActivation": "quick_gelu",
               "GELUActivation": "gelu"}


def truths_of(model, data=None):
    """What a user who knows the model would answer to "say --set X=..."."""
    block = next(m for n, m in model.named_modules() if hasattr(m, "attn"))
    truths = {}
    for key in ("num_heads", "heads"):
        if hasattr(block.attn, key):
            truths["num_heads"] = getattr(block.attn, key)
    norm = next((m for m in model.modules() if hasattr(m, "eps")), None)
    truths["layer_norm_epsilon"] = getattr(getattr(block, "norm1", norm), "eps", 1e-6)
    act = next((ACTIVATIONS[type(m).__name__] for m in block.modules()
                if type(m).__name__ in ACTIVATIONS), "gelu")
    truths["activation"] = act
    pool = getattr(model, "global_pool", "token")
    truths["pooling"] = {"token": "class_token", "avg": "mean", "map": "map"}.get(pool, pool)
    if getattr(model, "rope", None) is None:
        truths["position"] = "none" if getattr(model, "pos_embed", None) is None else "learned"
    architecture = (getattr(model, "pretrained_cfg", None) or {}).get("architecture")
    if architecture:
        truths["architecture"] = architecture
    size = getattr(model.patch_embed, "img_size", None)
    if size:
        truths["image_size"] = size[0] if isinstance(size, (tuple, list)) else size
    if data:
        truths.update(mean=",".join(map(str, data["mean"])), std=",".join(map(str, data["std"])),
                      interpolation=data["interpolation"], crop_pct=data["crop_pct"],
                      crop_mode=data.get("crop_mode", "center"))
    return truths


def named_architecture(message, truths):
    """Whether the message lists the model's own name among those that --set architecture takes."""
    if "--set architecture=its name" not in message:
        return False
    listed = re.findall(r"[\w.]+", message[message.index("--set architecture=its name"):])
    return truths.get("architecture") in listed


def follow_advice(ask, answer, truths, rounds=3):
    """Says what the message asks for, with the truth, until it answers or refuses otherwise: the
    architecture where the message names it, else field by field.
    ask(sets) -> Answer. Returns the last answer and what was said."""
    sets = []
    for _ in range(rounds):
        wanted = re.findall(r"--set (\w+)=\.\.\.", answer.message)
        if not sets and named_architecture(answer.message, truths):
            wanted = ["architecture"]
        new = [f"{w}={truths[w]}" for w in wanted if w in truths]
        if answer.rc == 0 or not new or all(n in sets for n in new):
            break
        sets += [n for n in new if n not in sets]
        answer = ask([x for s in sets for x in ("--set", s)])
    return answer, sets
