"""The layer check must find each kind of wrong edge in a tree made for it, and pass a right one."""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import check_layers  # noqa: E402

RIGHT = {
    "include/vitrail/vitrail.h": "#include <string>\n#include <vitrail/export.h>\n",
    "include/vitrail/export.h": "#include <stdint.h>\n",
    "src/core/CMakeLists.txt": "vitrail_layer(core LIBRARIES fmt::fmt)\n",
    "src/core/tensor.h": "#include <vector>\n#include <fmt/format.h>\n",
    "src/kernels/CMakeLists.txt": "vitrail_layer(kernels LINKS core)\n",
    "src/kernels/gemm.h": '#include "core/tensor.h"\n',
    "src/kernels/cpu/gemm.cpp": '#include "kernels/gemm.h"\n#include "kernels/cpu/tile.h"\n',
    "src/kernels/cpu/tile.h": '#include "hwy/highway.h"\n',
    "src/kernels/reference/gemm.h": '#include "core/tensor.h"\n',
    "src/kernels/reference/gemm.cpp": '#include "kernels/reference/gemm.h"\n',
    "src/autograd/CMakeLists.txt": "vitrail_layer(autograd LINKS kernels)\n",
    "src/autograd/tape.h": '#include "core/tensor.h"\n#include "kernels/gemm.h"\n',
    "src/image/CMakeLists.txt": "vitrail_layer(image LINKS core LIBRARIES PNG::PNG)\n",
    "src/image/image.h": '#include "core/tensor.h"\n',
    "apps/cli/main.cpp": '#include <CLI/CLI.hpp>\n#include "autograd/tape.h"\n#include "verbs.h"\n',
    "apps/cli/verbs.h": "#include <string>\n",
    "tests/kernels/gemm_test.cpp": '#include "kernels/reference/gemm.h"\n',
}


class CheckLayers(unittest.TestCase):
    def check(self, **changed):
        """Errors and warnings of the right tree with some files replaced."""
        files = dict(RIGHT, **{name: text for name, text in changed.get("files", {}).items()})
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_layers.check_tree(root)

    def expect(self, name, text, words):
        errors, _ = self.check(files={name: text})
        self.assertEqual(len(errors), 1, errors)
        self.assertIn(name, errors[0])
        self.assertIn(words, errors[0])

    def test_right_tree_passes(self):
        self.assertEqual(self.check(), ([], []))

    def test_upward_include(self):
        self.expect("src/core/tensor.cpp", '#include "kernels/gemm.h"\n', "not below this layer")

    def test_sideways_include(self):
        self.expect("src/image/blur.cpp", '#include "kernels/gemm.h"\n', "not below this layer")

    def test_oracle_outside_tests(self):
        self.expect("src/autograd/cheat.cpp", '#include "kernels/reference/gemm.h"\n',
                    "for tests only")

    def test_oracle_in_programs(self):
        self.expect("apps/cli/cheat.cpp", '#include "kernels/reference/gemm.h"\n',
                    "for tests only")

    def test_private_kernels(self):
        self.expect("src/autograd/tape.cpp", '  #  include "kernels/cpu/tile.h"\n',
                    "private to the kernels")

    def test_public_header_includes_inside(self):
        self.expect("include/vitrail/session.h", '#include "core/tensor.h"\n', "public header")

    def test_public_header_includes_library(self):
        self.expect("include/vitrail/session.h", "#include <fmt/format.h>\n", "public header")

    def test_parser_in_the_library(self):
        self.expect("src/autograd/options.cpp", "#include <CLI/CLI.hpp>\n", "belongs to apps/")

    def test_network_in_the_library(self):
        self.expect("src/autograd/http.cpp", "#include <curl/curl.h>\n", "belongs to apps/")
        fetch = {"src/fetch/CMakeLists.txt": "vitrail_layer(fetch PROGRAMS LINKS formats)\n",
                 "src/fetch/hub.h": "#include <curl/curl.h>\n"}
        self.assertEqual(self.check(files=fetch), ([], []))

    def test_no_layer_links_those_of_the_programs(self):
        for layer, edges in check_layers.EDGES.items():
            self.assertFalse(set(edges) & check_layers.PROGRAM_LAYERS, layer)

    def test_missing_file(self):
        self.expect("src/autograd/tape.cpp", '#include "kernels/gemn.h"\n', "there is no")

    def test_wrong_link(self):
        self.expect("src/kernels/CMakeLists.txt", "vitrail_layer(kernels LINKS core image)\n",
                    "the layer's edges are core")

    def test_unknown_layer(self):
        errors, _ = self.check(files={"src/misc/a.cpp": ""})
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("is no layer", errors[0])

    def test_long_file_warns(self):
        errors, warnings = self.check(files={"src/core/long.cpp": "\n" * 601})
        self.assertEqual(errors, [])
        self.assertEqual(len(warnings), 1)

    def test_every_layer_reaches_core_and_none_itself(self):
        for layer, edges in check_layers.EDGES.items():
            self.assertIn("core", check_layers.below(layer))
            for edge in edges:
                self.assertNotIn(layer, check_layers.below(edge), "a circle of layers")


if __name__ == "__main__":
    unittest.main()
