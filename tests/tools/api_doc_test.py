#!/usr/bin/env python3
"""Tests api_doc.py: that it finds names of every kind, and misses none that the page lacks."""
import pathlib
import tempfile
import unittest

import api_doc

HEADER = """// struct Commented { int out; };
#pragma once
#include <string>
namespace vit {
enum class Colour : std::uint8_t {
  red,    // as blood
  green,
};
struct Options {
  int first = 0, second = 1;
  std::optional<std::int64_t> third;
  std::function<void(int)> fourth = {};
};
class VITRAIL_API Thing {
 public:
  explicit Thing(const std::string& path = "", const Options& options = {});
  const std::string& fifth() const;
  std::vector<float> sixth(std::int64_t layer, const Options& options = {}) const;
  bool seventh() const noexcept { return hidden_ == nullptr; }
 private:
  void secret();
  int hidden_;
};
using Eighth = std::vector<int>;
VITRAIL_API void ninth(Eighth values);
}  // namespace vit
"""
NAMES = {"Colour", "red", "green", "Options", "first", "second", "third", "fourth", "Thing",
         "fifth", "sixth", "seventh", "Eighth", "ninth"}


class ApiDoc(unittest.TestCase):
    def test_finds_names_of_every_kind(self):
        self.assertEqual(api_doc.public_names(HEADER), NAMES)

    def test_misses_no_name_that_the_page_lacks(self):
        with tempfile.TemporaryDirectory() as folder:
            include, page = pathlib.Path(folder) / "include", pathlib.Path(folder) / "API.md"
            include.mkdir()
            (include / "thing.h").write_text(HEADER)
            page.write_text(" ".join(NAMES))
            self.assertEqual(api_doc.check_names(include, page), 0)
            for name in NAMES:
                page.write_text(" ".join(NAMES - {name}))
                self.assertEqual(api_doc.check_names(include, page), 1, name)

    def test_knows_the_real_headers(self):
        root = pathlib.Path(__file__).parent.parent.parent
        names = api_doc.names_of(root / "include/vitrail")
        for name in ("classify", "explain", "Result", "value", "ModelBytes", "stop", "int8",
                     "set_log_callback", "train", "top", "attention_maps"):
            self.assertIn(name, names)
        self.assertNotIn("content_", names)

    def test_makes_a_program_of_each_block(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "API.md"
            page.write_text("a\n```cpp\nint a = 1;\n```\nb\n```sh\nls\n```\n"
                            "```cpp\nint main() {}\n```\n")
            self.assertEqual(api_doc.write_programs(page, folder), 0)
            self.assertIn("int main() try {\n  int a = 1;\n",
                          (pathlib.Path(folder) / "doc_1.cpp").read_text())
            self.assertEqual((pathlib.Path(folder) / "doc_2.cpp").read_text(), "int main() {}\n")
            page.write_text("no block")
            self.assertEqual(api_doc.write_programs(page, folder), 1)


if __name__ == "__main__":
    unittest.main()
