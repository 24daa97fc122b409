"""OpenVINO's CPU plugin: f32, bf16, and int8 (NNCF: weights and activations; the rest in bf16)."""
import numpy
import openvino

import models


class Engine:
    version = openvino.__version__.split("-")[0]

    def __init__(self, spec):
        images = numpy.load(models.input_path(spec))
        core = openvino.Core()
        model = core.read_model(models.openvino_path(spec))
        model.reshape(list(images.shape))
        compiled = core.compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(spec["threads"]),
            "INFERENCE_PRECISION_HINT": "f32" if spec["precision"] == "f32" else "bf16"})
        self.request = compiled.create_infer_request()
        self.feed = {0: images}

    def run(self):
        self.result = self.request.infer(self.feed, share_inputs=True, share_outputs=True)

    def answer(self):
        return numpy.array(self.result[0], dtype=numpy.float32)


def load(spec):
    return Engine(spec)
