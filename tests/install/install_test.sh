#!/usr/bin/env bash
# Installs a finished build into a fresh folder, looks at what was installed, builds programs against
# it as a stranger's project would (find_package and pkg-config, shared and static, no path into this
# tree), and uninstalls it.
#   install_test.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source_dir=$1
build_dir=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
prefix=$work/prefix
fail() { echo "install test: $*" >&2; exit 1; }

# Installing writes the list that uninstalling reads: the one of the user's own installation, if
# there is one, is put back.
mkdir "$work/manifests"
mv "$build_dir"/install_manifest*.txt "$work/manifests/" 2>/dev/null || true
finish() {
  rm -f "$build_dir"/install_manifest*.txt
  mv "$work"/manifests/*.txt "$build_dir/" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# quietly NAME COMMAND...: the output only of what fails.
quietly() {
  local log=$work/$1.log
  shift
  "$@" >"$log" 2>&1 </dev/null || { cat "$log" >&2; fail "$* failed"; }
}

# As after ./demo, which builds the command alone: what is missing is built.
rm -f "$build_dir"/lib/libvitrail.so*
quietly install cmake --install "$build_dir" --prefix "$prefix"
lib=$prefix/lib
[[ -d $lib ]] || lib=$(dirname "$(find "$prefix" -name libvitrail.so)")

# Where the loader searches the library's folder by its cache, that is renewed, or the user is told
# to; elsewhere it is left alone. With a stand-in for the system's own ldconfig.
cat >"$work/ldconfig" <<TEXT
#!/bin/sh
case " \$* " in
  *" -v -N -X "*) echo "\$LOADER_FOLDER: (from /etc/ld.so.conf.d/libc.conf:2)" ;;
  *) echo renewed >>"$work/renewed" ;;
esac
TEXT
chmod +x "$work/ldconfig"
# install_where FOLDER: installs where the loader searches FOLDER.
install_where() {
  PATH=$work:$PATH LOADER_FOLDER=$1 quietly install cmake --install "$build_dir" --prefix "$prefix"
}
install_where "$lib/elsewhere"
if [[ -e $work/renewed ]] || grep -q 'sudo ldconfig' "$work/install.log"; then
  fail "the loader's cache is renewed for a folder that it does not search"
fi
install_where "$lib"
if ((EUID == 0)); then
  [[ -e $work/renewed ]] || fail "the loader's cache is not renewed"
else
  grep -q 'sudo ldconfig' "$work/install.log" || fail "nobody is told to renew the loader's cache"
fi
for file in bin/vitrail include/vitrail/{vitrail,version}.h "${lib#"$prefix"/}"/libvitrail.so \
  "${lib#"$prefix"/}"/{cmake/vitrail/vitrailConfig.cmake,pkgconfig/vitrail.pc}; do
  [[ -e $prefix/$file ]] || fail "$file was not installed"
done
export PKG_CONFIG_PATH=$lib/pkgconfig
version=$(pkg-config --modversion vitrail)
[[ $("$prefix/bin/vitrail" --version) == *"$version"* ]] || fail "the command is not of $version"

# Whole outputs are kept before they are searched: `grep -q` ends at the first match, and the command
# before it in a pipe then fails, when it has more to write, in a shell that looks at every command.
# Only what include/vitrail offers may be seen from outside, and all of it by this name.
exported=$(nm -DC --defined-only "$lib/libvitrail.so")
inside=$(cut -c 20- <<<"$exported" |
  grep -vE '^((vtable|typeinfo|typeinfo name) for )?(vit::|vitrail::Error)' || true)
[[ -z $inside ]] || fail "the library exports its inside: $(head -n 3 <<<"$inside")"
grep -q ' vit::Session::classify' <<<"$exported" || fail "the library does not export its interface"
headers() { objdump -p "$1"; }
soname=$(headers "$lib/libvitrail.so" | awk '$1 == "SONAME" {print $2}')
[[ $soname == "libvitrail.so.${version%.*}" && -e $lib/$soname ]] ||
  fail "SONAME $soname does not follow version $version"
for binary in "$prefix/bin/vitrail" "$lib/libvitrail.so" "$lib"/vitrail/*.so; do
  [[ ! -e $binary ]] || ! grep -E 'RUNPATH|RPATH' <<<"$(headers "$binary")" ||
    fail "$binary looks for libraries where it was built"
done
! grep -rlF -e "$source_dir" -e "$build_dir" "$prefix/include" "$lib/cmake" "$lib/pkgconfig" ||
  fail "these name a folder of the build"

# The installed program finds the installed models: the source tree is out of its sight.
picture=$work/scene.png
cd "$work"
"$prefix/bin/vitrail" data render --size 128 --seed 5 --out "$picture"
"$prefix/bin/vitrail" classify "$picture" --model scenes --json

# A program finds the models beside the shared library; one that holds the static library does not
# know where it came from.
where_models_are() { echo "VITRAIL_MODELS=$([[ $1 == shared ]] || echo "$prefix/share/vitrail/models")"; }
# by_cmake KIND: a program of the installed package.
by_cmake() {
  local kind=$1
  quietly configure cmake -S "$here/program" -B "$work/$kind" -G Ninja -DKIND="$kind" \
    -DCMAKE_PREFIX_PATH="$prefix"
  quietly build cmake --build "$work/$kind"
  [[ $(env "$(where_models_are "$kind")" "$work/$kind/version" "$picture") == "$version" ]] ||
    fail "a program with the $kind library says another version than $version"
}
# by_pkg_config KIND OPTIONS...: the same by pkg-config and the compiler alone.
by_pkg_config() {
  local kind=$1 name=$1_by_pkg_config flags
  shift
  read -ra flags <<<"$(pkg-config --cflags --libs "$@" vitrail)"
  quietly compile g++ -std=c++20 "$here/program/version.cpp" -o "$work/$name" "${flags[@]}"
  [[ $(env "$(where_models_are "$kind")" LD_LIBRARY_PATH="$lib" "$work/$name" "$picture") == "$version" ]] ||
    fail "a program by pkg-config $* says another version than $version"
}
needs_library() { grep -q 'NEEDED.*libvitrail' <<<"$(headers "$1")"; }

by_cmake shared
by_pkg_config shared
for program in "$work/shared/version" "$work/shared_by_pkg_config"; do
  needs_library "$program" || fail "$program does not use the shared library"
done

# The project of docs/INSTALL.md.
mkdir "$work/own"
awk '/^```cmake/ {inside = 1; next} /^```/ {inside = 0} inside' "$source_dir/docs/INSTALL.md" \
  >"$work/own/CMakeLists.txt"
cp "$source_dir/examples/classify.cpp" "$work/own/my_program.cpp"
quietly configure cmake -S "$work/own" -B "$work/own/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix"
quietly build cmake --build "$work/own/build"
quietly answer "$work/own/build/my_program" "$picture" scenes

# Root installs from the build of another, as by sudo: what the build gets is the other's, who can
# install in turn. Only root can see to it.
if ((EUID == 0)); then
  owner=$(stat -c %u:%g "$build_dir")
  chown 65534:65534 "$build_dir"
  rm -f "$build_dir"/install_manifest*.txt
  cmake --install "$build_dir" --prefix "$prefix" >"$work/install.log" 2>&1 || installed=$?
  lists=$(stat -c %u "$build_dir"/install_manifest.txt)
  chown "$owner" "$build_dir" "$build_dir"/install_manifest.txt
  ((${installed:-0} == 0)) || fail "root cannot install from another's build"
  [[ $lists == 65534 ]] || fail "the list of what root installed is not of the build's owner"
fi

# The examples, and those of docs/API.md, which name a photo.jpg.
cp -r "$source_dir/examples" "$work/examples"
python3 "$source_dir/tests/tools/api_doc.py" programs "$source_dir/docs/API.md" "$work/examples"
mkdir "$work/build"
cp "$picture" "$work/build/photo.jpg"
quietly configure cmake -S "$work/examples" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$prefix" -DVITRAIL_EXAMPLE_PICTURE="$picture"
quietly build cmake --build "$work/build"
ctest --test-dir "$work/build" --output-on-failure --no-tests=error

# The static library beside the shared one, then alone.
quietly static cmake --build "$build_dir" --target vitrail_static
quietly install cmake --install "$build_dir" --prefix "$prefix" --component static
by_cmake static
mkdir "$work/shared_library"
mv "$lib"/libvitrail.so* "$work/shared_library"
by_pkg_config static --static
for program in "$work/static/version" "$work/static_by_pkg_config"; do
  ! needs_library "$program" || fail "$program needs the shared library"
done
mv "$work"/shared_library/* "$lib"
# Of a build that is static throughout, pkg-config says what it needs without being asked.
quietly configure cmake -S "$source_dir" -B "$work/static_build" -G Ninja -DBUILD_SHARED_LIBS=OFF \
  -DVITRAIL_TESTS=OFF -DVITRAIL_APPS=OFF
grep -q -- '-lhwy' <<<"$(PKG_CONFIG_PATH=$work/static_build pkg-config --libs vitrail)" ||
  fail "the pkg-config file of a static build leaves out what the library needs"

quietly uninstall cmake --build "$build_dir" --target uninstall
left=$(find "$prefix" ! -type d -o -name vitrail)
[[ -z $left ]] || fail "uninstalling leaves $(head -n 3 <<<"$left")"
! cmake --build "$build_dir" --target uninstall >"$work/again.log" 2>&1 ||
  fail "uninstalling twice succeeds"
grep -q 'Nothing to uninstall' "$work/again.log" || fail "uninstalling twice does not say why it fails"
echo "install test: all is well"
