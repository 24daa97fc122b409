#!/usr/bin/env python3
"""vitrail bench: what it reports, and what it refuses. usage: bench_test.py BINARY SOURCE_DIR"""
import math
import os
import pathlib
import struct
import sys
import tempfile
import unittest

from command import GOLDENS, read_safetensors, vitrail, write_png

MODEL = GOLDENS / "timm" / "augreg"  # 5 classes at 12 x 12


def write_npy(path, shape, values):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
                                   + header.encode() + struct.pack(f"<{len(values)}f", *values))


def read_npy(path):
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<H", data[8:10])[0]
    header, body = data[10:10 + size].decode(), data[10 + size:]
    assert "'<f4'" in header, header
    return header, struct.unpack(f"<{len(body) // 4}f", body)


class BenchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def report(self, *arguments):
        result = vitrail("bench", *arguments, "--json")
        self.assertEqual(result.status, 0, result.errors)
        return result.json()[0]

    def refuses(self, *arguments, saying, status=2):
        result = vitrail("bench", *arguments)
        self.assertEqual(result.status, status, result.errors)
        errors = [line for line in result.errors
                  if not line.startswith(("vitrail: warning: ", "vitrail: note: "))]
        self.assertEqual(len(errors), 1, errors)
        self.assertIn(saying, errors[0])
        self.assertEqual(result.out, "")


class Model(BenchTest):
    def test_times_are_in_order_and_rates_follow_from_them(self):
        report = self.report(MODEL, "--runs", 20, "--batch", 2, "--threads", 1)
        self.assertEqual((report["runs"], report["batch"], report["threads"]), (20, 2, 1))
        times = [report[f"milliseconds_{name}"] for name in ("best", "p50", "p90", "p99")]
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[0], 0)
        self.assertLessEqual(report["milliseconds_p50"], report["milliseconds"])
        self.assertLessEqual(report["milliseconds"], report["milliseconds_p90"])
        seconds = report["milliseconds"] * 1e-3
        self.assertAlmostEqual(report["pictures_per_second"] * seconds, 2, places=6)
        self.assertAlmostEqual(report["gflops"] * seconds * 1e9 / (2 * 2 * report["multiply_adds"]),
                               1, places=6)
        self.assertAlmostEqual(report["share_of_peak"] * report["peak_gflops"], report["gflops"],
                               places=6)
        self.assertGreater(report["share_of_peak"], 0)  # how much: bench/speed_gate

    def test_memory(self):
        report = self.report(MODEL, "--runs", 1)
        self.assertGreater(report["peak_memory_bytes"], report["pool_peak_bytes"])
        self.assertGreater(report["pool_peak_bytes"], 0)
        self.assertGreater(report["pool_reserved_bytes"], 0)

    def test_every_precision_has_a_peak(self):
        for name in ("f32", "bf16", "int8"):
            report = self.report(MODEL, "--runs", 1, "--threads", 1, "--precision", name)
            self.assertEqual(report["precision"], name)
            self.assertGreater(report["peak_gflops"], 0)

    def test_says_which_arithmetic_ran(self):
        def arithmetic(precision, **variables):
            result = vitrail("bench", MODEL, "--runs", 1, "--precision", precision, "--json",
                             environment={**os.environ, **variables})
            self.assertEqual(result.status, 0, result.errors)
            return result.json()[0]["isa"], result.json()[0]["arithmetic"]

        isa, words = arithmetic("bf16", VITRAIL_BF16="widen")
        self.assertNotEqual(isa, "avx512_bf16")
        self.assertEqual(words, "bf16 widened to f32")
        self.assertEqual(arithmetic("f32")[1], "f32 multiply-adds")
        peak = vitrail("bench", "--peak", "--json").json()
        peak = peak[0] if isinstance(peak, list) else peak
        self.assertEqual(set(peak["arithmetic"]), {"f32", "bf16", "int8"})
        if peak["bf16_dot_speed"] > 0:  # the machine has the instruction
            self.assertEqual(arithmetic("bf16", VITRAIL_BF16="dot"),
                             ("avx512_bf16", "bf16 dot products"))
            words = "dot products" if peak["bf16_dot_speed"] > 0.8 else "widened to f32"
            self.assertEqual(arithmetic("bf16")[1], f"bf16 {words}")
        refused = vitrail("bench", MODEL, environment={**os.environ, "VITRAIL_BF16": "maybe"})
        self.assertEqual(refused.status, 1)
        self.assertIn("'maybe' is neither dot nor widen", refused.errors[-1])

    def test_auto_says_what_it_took_and_why(self):
        result = vitrail("bench", MODEL, "--runs", 1, "--precision", "auto", "--json")
        self.assertEqual(result.status, 0, result.errors)
        said = [line for line in result.errors if "precision auto is " in line]
        self.assertEqual(len(said), 1, result.errors)
        self.assertIn(f"precision auto is {result.json()[0]['precision']}", said[0])
        self.assertIn("vitrail quantize", said[0])

    def test_text(self):
        text = vitrail("bench", MODEL, "--runs", 3, "--probe").out
        for word in ("augreg at 12x12", "pictures/s", "% of the machine's", "MB resident"):
            self.assertIn(word, text)


class Profile(BenchTest):
    def test_adds_up(self):
        report = self.report(MODEL, "--runs", 5, "--profile", "--batch", 2)
        profile = report["profile"]
        for rows in (profile["layers"], profile["kinds"]):
            self.assertAlmostEqual(sum(row["milliseconds"] for row in rows),
                                   profile["milliseconds"], places=6)
            self.assertAlmostEqual(sum(row["share"] for row in rows), 1, places=6)
            self.assertEqual(sum(row.get("multiply_adds", 0) for row in rows),
                             2 * report["multiply_adds"])
        paths = {(row["path"], row["operation"]) for row in profile["layers"]}
        for row in (("blocks.1.attn.qkv", "linear"), ("blocks.0.attn", "attention"),
                    ("blocks.0.norm1", "layer_norm"), ("head", "linear"), ("", "between")):
            self.assertIn(row, paths)
        self.assertIn("f32_peak_gflops", profile)

    def test_text(self):
        text = vitrail("bench", MODEL, "--runs", 2, "--profile").out
        for word in ("blocks.0.attn (attention)", "blocks.*.mlp.fc1", "between", "the whole"):
            self.assertIn(word, text)


class Train(BenchTest):
    def test_steps(self):
        report = self.report(MODEL, "--train", "--runs", 3, "--batch", 4, "--threads", 2)
        self.assertEqual((report["runs"], report["batch"], report["precision"]), (3, 4, "f32"))
        forward = self.report(MODEL, "--runs", 1)["multiply_adds"]
        self.assertEqual(report["multiply_adds"], 3 * forward)
        self.assertGreater(report["pictures_per_second"], 0)
        self.assertGreater(report["share_of_peak"], 0)  # how much: bench/speed_gate
        rounded = self.report(MODEL, "--train", "--runs", 1, "--batch", 2, "--precision", "bf16")
        self.assertEqual(rounded["precision"], "bf16")
        self.assertIn("training augreg",
                      vitrail("bench", MODEL, "--train", "--runs", 1, "--batch", 2).out)

    def test_activation_checkpointing_keeps_less_for_the_same_step(self):
        steps = ("vit_tiny_patch16_224", "--size", 96, "--train", "--runs", 1, "--batch", 16)
        plain, less = self.report(*steps), self.report(*steps, "--activation-checkpointing")
        self.assertLess(less["activation_bytes"], 0.25 * plain["activation_bytes"])
        for field in ("first_loss", "first_gradient_norm"):
            self.assertEqual(less[field], plain[field])

    def test_the_first_step_is_that_of_the_given_pictures(self):
        pictures, output = self.folder / "pictures.npy", self.folder / "logits.npy"
        write_npy(pictures, (3, 3, 12, 12), [(i * 37 % 101) / 50 - 1 for i in range(3 * 432)])
        self.report(MODEL, "--input", pictures, "--runs", 1, "--output", output)
        logits = read_npy(output)[1]
        report = self.report(MODEL, "--input", pictures, "--runs", 1, "--train")
        self.assertEqual((report["batch"], report["labels"]), (3, [0, 2, 4]))
        losses = []
        for i, label in enumerate(report["labels"]):
            row = logits[5 * i:5 * i + 5]
            losses.append(math.log(sum(math.exp(x) for x in row)) - row[label])
        self.assertAlmostEqual(report["first_loss"], sum(losses) / 3, places=5)
        self.assertGreater(report["first_gradient_norm"], 0)

    def test_refusals(self):
        self.refuses(MODEL, "--train", "--precision", "int8", saying="int8")
        self.refuses(MODEL, "--train", "--profile", saying="--profile")


class Loading(BenchTest):
    def test_what_loading_costs(self):
        for workers in (0, 1):
            report = self.report("vitc_nano_patch8", "--data", "scenes:count=64,size=32", "--set",
                                 "flip_probability=1", "--set", "epochs=3", "--batch", 4, "--runs",
                                 1, "--threads", 2, "--workers", workers)
            self.assertEqual((report["batch"], report["workers"]), (4, workers))
            attainable = report["pictures_per_second_in_memory"] * report[
                "core_milliseconds_computing"] / (report["core_milliseconds_computing"] +
                                                  report["core_milliseconds_loading"])
            self.assertAlmostEqual(report["pictures_per_second_attainable"] / attainable, 1, 6)
            self.assertAlmostEqual(
                report["pictures_per_second"] / attainable / report["share_of_attainable"], 1, 6)

    def test_refusals(self):
        self.refuses("vitc_nano_patch8", "--data", "scenes", "--size", 32, saying="--size")
        self.refuses("vitc_nano_patch8", "--data", "scenes", "--labels", "x", saying="--labels")


class Pictures(BenchTest):
    def setUp(self):
        super().setUp()
        for i in range(3):
            write_png(self.folder / f"{i}.png", width=64 + i, height=48, shade=i)

    def test_the_parts_of_a_picture(self):
        report = self.report(MODEL, "--pictures", self.folder, self.folder / "0.png",
                             "--threads", 1, "--runs", 20)
        self.assertEqual((report["pictures"], report["runs"]), (4, 20))
        parts = report["thread_milliseconds"]
        self.assertAlmostEqual(parts["decode"] + parts["resize"] + parts["rest"], parts["all"],
                               places=9)
        self.assertGreater(min(parts["decode"], parts["resize"]), 0)
        self.assertAlmostEqual(report["milliseconds_a_picture"] * 4, report["milliseconds"],
                               places=9)
        text = vitrail("bench", "--pictures", self.folder, "--runs", 2).out
        self.assertIn("3 pictures as", text)

    def test_refusals(self):
        (self.folder / "0.png").write_bytes(b"no picture")
        self.refuses(MODEL, "--pictures", self.folder, saying="0.png", status=1)
        self.refuses("--pictures", self.folder, "--train", saying="--train")
        self.refuses("--pictures", self.folder / "none.png", saying="none.png", status=1)


class Files(BenchTest):
    def setUp(self):
        super().setUp()
        tensors = read_safetensors(MODEL / "golden.safetensors")
        self.shape, self.values = tensors["input"]
        self.logits = tensors["logits"][1]
        self.input, self.output = self.folder / "pictures.npy", self.folder / "logits.npy"
        write_npy(self.input, self.shape, self.values)

    def test_runs_the_file_and_writes_its_logits(self):
        report = self.report(MODEL, "--input", self.input, "--output", self.output, "--runs", 1)
        self.assertEqual(report["batch"], self.shape[0])
        header, values = read_npy(self.output)
        self.assertIn(f"({self.shape[0]}, 5)", header)
        for ours, golden in zip(values, self.logits, strict=True):
            self.assertAlmostEqual(ours, golden, places=4)

    def test_refusals(self):
        self.refuses(MODEL, "--input", self.input, "--batch", 2, saying="--batch")
        self.refuses(MODEL, "--input", self.input, "--size", 24, saying="--size")
        self.refuses(MODEL, "--input", self.folder / "none.npy", saying="none.npy", status=1)
        write_npy(self.input, (len(self.values),), self.values)
        self.refuses(MODEL, "--input", self.input, saying="[pictures, 3, height, width]", status=1)


class Peak(BenchTest):
    def test_all_peaks(self):
        report = self.report("--peak", "--threads", 2)
        self.assertEqual([peak["threads"] for peak in report["peaks"]], [1, 2])
        for peak in report["peaks"]:
            for name in ("f32_gflops", "bf16_gflops", "int8_gflops", "read_gigabytes_per_second"):
                self.assertGreater(peak[name], 0)
        self.assertIn("2 threads", vitrail("bench", "--peak", "--threads", 2).out)

    def test_takes_no_model(self):
        self.refuses(MODEL, "--peak", saying="--peak takes no model")
        self.refuses("--peak", "--precision", "f32", saying="--precision")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
