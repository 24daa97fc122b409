"""The check of files' own names must find each kind of clash, and let pass what is none."""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import check_file_names  # noqa: E402


def own(declarations):
    """A file with these declarations in its anonymous namespace."""
    return f'#include <string>\nnamespace vitrail {{\nnamespace {{\n{declarations}\n}}\n}}\n'


class CheckFileNames(unittest.TestCase):
    def errors(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_file_names.check_tree(root)

    def both(self, first, second):
        return self.errors({"src/core/first.cpp": own(first), "src/core/second.cpp": own(second)})

    def expect_clash(self, first, second, name):
        errors = self.both(first, second)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("src/core/first.cpp:4", errors[0])
        self.assertIn(f"src/core/second.cpp:4: {name} ", errors[0])

    def test_each_kind_of_name(self):
        self.expect_clash("struct Row { int a; };", "struct Row { int b; };", "Row")
        self.expect_clash("class Row : public Base { int a; };", "enum class Row { a };", "Row")
        self.expect_clash("template <typename T>\nstruct Word { T value; };".replace("\n", " "),
                          "struct Word { int value; };", "Word")
        self.expect_clash("constexpr const char* kPlace = \"a\";", "constexpr auto kPlace = 1;",
                          "kPlace")
        self.expect_clash("constexpr Field kName{0, 100}, kMagic{257, 5};",
                          "constexpr std::string_view kMagic = \"{\";", "kMagic")
        self.expect_clash("const std::array<int, 2> kRows[] = {{1, 2}};", "int kRows;", "kRows")
        self.expect_clash("enum : int { kRgb = 2 };", "constexpr int kRgb = 2;", "kRgb")
        self.expect_clash("constexpr auto kFields = [](auto& o) { o.a(); };",
                          "constexpr auto kFields = [](auto& o) { o.b(); };", "kFields")
        self.expect_clash("using Names = std::set<int>;", "using Names = std::vector<int>;", "Names")

    def test_functions_by_their_parameters(self):
        self.expect_clash("int sum(const Shape& one, int axis = 0) { return 0; }",
                          "int sum(const Shape& other, int) { return 1; }", "sum")
        self.assertEqual(self.both("int sum(const Shape& one) { return 0; }",
                                   "int sum(const Tensor& one) { return 0; }"), [])
        self.expect_clash("int sum(int a) { return 0; }", "constexpr int sum = 1;", "sum")

    def test_what_is_no_clash(self):
        same = "namespace fs = std::filesystem; using nlohmann::json; using Pair = A<int>;"
        self.assertEqual(self.both(same, same), [])
        self.assertEqual(self.both("// struct Row { };", "struct Row { int a; };"), [])
        self.assertEqual(self.both('const char* kText = "struct Row { };";',
                                   "struct Row { int a; };"), [])
        self.assertEqual(self.both("struct Row { int size; };", "int size;"), [])
        self.assertEqual(self.both("int a() { int row = 1; return row; }", "int row;"), [])

    def test_other_targets_and_kernels(self):
        row, other = own("struct Row { int a; };"), own("struct Row { int b; };")
        self.assertEqual(self.errors({"src/core/a.cpp": row, "src/kernels/b.cpp": other}), [])
        simd = '#include "hwy/foreach_target.h"\n' + other
        self.assertEqual(self.errors({"src/core/a.cpp": row, "src/core/b.cpp": simd}), [])
        for folder in ("apps/cli", "tests/core"):
            self.assertEqual(len(self.errors({"src/core/a.h": "", f"{folder}/a.cpp": row,
                                              f"{folder}/b.cpp": other})), 1)

    def test_names_of_headers(self):
        header = "namespace vitrail {\nstruct Row { int a; };\nconstexpr int kRows = 3;\n}\n"
        row = own("struct Row { int b; };")
        errors = self.errors({"src/core/row.h": header, "src/kernels/a.cpp": row})
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("src/core/row.h:2", errors[0])
        self.assertEqual(len(self.errors({"src/core/row.h": header,
                                          "src/core/a.cpp": own("int kRows = 1;")})), 1)
        # A layer whose headers the file cannot include.
        self.assertEqual(self.errors({"src/kernels/row.h": header, "src/core/a.cpp": row}), [])
        forward = "namespace vitrail {\nstruct Row;\n}\n"
        self.assertEqual(self.errors({"src/core/row.h": forward, "src/core/a.cpp": row}), [])


if __name__ == "__main__":
    unittest.main()
