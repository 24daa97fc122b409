#!/usr/bin/env bash
# Installs a finished build into a fresh folder, then builds and runs the examples against what was
# installed, as a stranger's project would: find_package, one target, no path into this tree.
#   install_test.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source_dir=$1
build_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build_dir" --prefix "$prefix" >"$work/install.log" ||
  { cat "$work/install.log"; exit 1; }

fail() { echo "install test: $*" >&2; exit 1; }
for file in bin/vitrail include/vitrail/vitrail.h lib/cmake/vitrail/vitrailConfig.cmake; do
  [[ -e $prefix/$file ]] || fail "$file was not installed"
done
# Only names of include/vitrail may be seen from outside.
library=$prefix/lib/libvitrail.so
inside=$(nm -DC --defined-only "$library" | grep -E ' [TBDR] vitrail::' | grep -v 'vitrail::Error' || true)
[[ -z $inside ]] || fail "the library exports its inside: $(head -n 3 <<<"$inside")"

# The installed program finds the installed models: the source tree is out of its sight.
picture=$work/scene.png
cd "$work"
"$prefix/bin/vitrail" data render --size 128 --seed 5 --out "$picture"
"$prefix/bin/vitrail" classify "$picture" --json

# The examples, and those of docs/API.md, which name a photo.jpg.
cp -r "$source_dir/examples" "$work/examples"
python3 "$source_dir/tests/tools/api_doc.py" programs "$source_dir/docs/API.md" "$work/examples"
mkdir "$work/build"
cp "$picture" "$work/build/photo.jpg"
cmake -S "$work/examples" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$prefix" -DVITRAIL_EXAMPLE_PICTURE="$picture" >"$work/configure.log" 2>&1 ||
  { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build"
ctest --test-dir "$work/build" --output-on-failure --no-tests=error
