"""A scratch folder in which the commands of the documents run: tiny things under the names that the
documents use, and a hub on this machine."""
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

from command import BINARY, SOURCE, model_files, vitrail, write_png, write_safetensors
from hub_case import clean_environment
from hub_server import Hub, Server

CLASSES = ["ant", "bee", "cat", "dog", "elk"]
# Checkpoints, under every name that a document gives one.
MODELS = ["path/to/vit-base-patch16-224", "path/to/vit-tiny", "path/to/model",
          "vit-base-patch16-224", "vit-tiny", "vit_tiny", "MODEL"]
# Folders with a folder a class.
CLASS_FOLDERS = ["my-pictures", "photos", "cifar10", "DATA"]
PICTURES = ["photo.jpg", "PICTURE"]
PICTURE_FOLDERS = ["pictures", "holiday", "imagenet", "flowers17"]
SCENES = "scenes:count=16,val=8,test=8"
HUB_MODELS = ["google/vit-base-patch16-224", "someone/tiny"] + [
    model["repository"] for model in vitrail("models", "--json").json() if model["repository"]]


def fill_classes(folder, count, shift=0):
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            write_png(folder / name / f"{name}-{i}.png", shade=50 * number + 3 * i + shift)


def write_fashion_mnist(folder):
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 10)):
        pixels = bytes((i * 7 + i // 784 * 31) % 256 for i in range(count * 784))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 0x803, count, 28, 28) + pixels)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count)))


def write_cifar10(folder):
    folder.mkdir(parents=True)
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        (folder / name).write_bytes(b"".join(
            bytes([label]) + bytes((label * 23 + i) % 256 for i in range(3072))
            for label in range(10)))


class World:
    """`folder`: where commands run. `environment`: what they run with."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        files = model_files() | {"README.md": b"a model"}
        self.hubs = {name: Hub(files, name=name) for name in HUB_MODELS}
        self.hub = Server(self.answer)
        (self.folder / "bin").mkdir()
        (self.folder / "build" / "release").mkdir(parents=True)
        for link in (self.folder / "bin" / "vitrail", self.folder / "build/release/vitrail"):
            link.symlink_to(os.path.abspath(BINARY))
        self.environment = clean_environment(self.folder / "hub")
        self.environment.update(
            VITRAIL_MODELS=str(SOURCE / "models"),
            HF_ENDPOINT=self.hub.address,
            PATH=f"{self.folder / 'bin'}:{os.environ['PATH']}",
            OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        self.must("vitrail pull vit_tiny -q")  # by one who was asked for the default, and said yes
        self.make_inputs()

    def close(self):
        self.hub.close()
        for hub in self.hubs.values():
            hub.close()
        self.temporary.cleanup()

    def answer(self, request):
        """Each repository's own hub answers; v1.0 is a tag of all."""
        request.path = request.path.replace("/revision/v1.0", "/revision/v1")
        for name, hub in self.hubs.items():
            if f"/{name}/" in request.path:
                return hub.answer(request)
        request.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def make_inputs(self):
        for name in MODELS:
            model = self.folder / name
            model.mkdir(parents=True)
            for file, content in model_files().items():
                (model / file).write_bytes(content)
            (model / "labels.txt").write_text("\n".join(CLASSES) + "\n")
        for name in CLASS_FOLDERS:
            fill_classes(self.folder / name, 4)
        for part, count in (("train", 4), ("val", 2)):
            fill_classes(self.folder / "flowers" / part, count)
        for name in PICTURES:
            shutil.copy(SOURCE / "tests/golden/image/jpeg_444_baseline.jpg", self.folder / name)
        for name in PICTURE_FOLDERS:
            (self.folder / name).mkdir()
            for i in range(3):
                write_png(self.folder / name / f"{i}.png", shade=20 * i)
        write_fashion_mnist(self.folder / "data" / "fashion-mnist")
        write_cifar10(self.folder / "data" / "cifar10")
        self.write_reference(self.folder / "reference.safetensors")

    def write_reference(self, path):
        """What the model answers to a picture, as a reference with which it then agrees."""
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 12, 12)}".ljust(117) + "\n"
        values = [0.1] * 432
        (self.folder / "input.npy").write_bytes(
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            + struct.pack("<432f", *values))
        self.must("vitrail bench vit-tiny --input input.npy --output output.npy --runs 1 -q")
        answer = struct.unpack("<5f", (self.folder / "output.npy").read_bytes()[-20:])
        write_safetensors(path, {"input": ((1, 3, 12, 12), values), "logits": ((1, 5), answer)})

    def make_run(self, name):
        """A finished run in Vitrail's own form: of photos/, or without labels of scenes."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        what = (f"{SCENES} --preset scenes_dino" if "dino" in name else
                "folder:photos --arch vit_lite_6_4 --set depth=1 --set image_size=16")
        self.must(f"vitrail train --data {what} --out {name} --epochs 1 --batch 4 -q")

    def must(self, command):
        result = self.run(command)
        assert result.returncode == 0, (command, result.stderr)

    def run(self, command):
        return subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, errors="replace", timeout=800,
                              stdin=subprocess.DEVNULL)
