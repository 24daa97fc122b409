"""ONNX Runtime: the exported graph, or the one with its own attention operator ("fused")."""
import numpy
import onnxruntime

import models


class Engine:
    version = onnxruntime.__version__

    def __init__(self, spec):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = spec["threads"]
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Workers spin while a run lasts, and not while the other engines have their turn.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.add_free_dimension_override_by_name("batch", spec["batch"])
        self.session = onnxruntime.InferenceSession(
            str(models.onnx_path(spec)), options, providers=["CPUExecutionProvider"])
        self.feed = {"images": numpy.load(models.input_path(spec))}

    def run(self):
        self.logits = self.session.run(None, self.feed)[0]

    def answer(self):
        return self.logits


def load(spec):
    return Engine(spec)
