# shellcheck shell=bash
# Shared by ./demo, ./test and tools/lint: quiet steps with progress, and a log when one fails.
# Sourced, from the repository's root, under `set -euo pipefail`.

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# jobs: compilers at once; a kernel file can take more than a gigabyte.
jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ {print int($2 / 1500000)}' /proc/meminfo)
  ((memory < 1)) && memory=1
  echo $((cores < memory ? cores : memory))
}

# show_progress NAME: reads ninja's lines; one line that moves at a terminal, else one a tenth.
show_progress() {
  local name=$1 line shown=0 percent
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*)$ ]] || continue
    percent=$((100 * BASH_REMATCH[1] / BASH_REMATCH[2]))
    if [[ -t 2 ]]; then
      printf '\r\033[K%s: %3d%%  %.60s' "$name" "$percent" "${BASH_REMATCH[3]##*/}" >&2
    elif ((percent >= shown + 10)); then
      shown=$((percent / 10 * 10))
      say "$name: $shown%"
    fi
  done
  if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
}

# build PRESET "CMAKE OPTIONS" TARGET...: configures and builds into build/PRESET. A tree that it makes
# compiles several files at a time, which takes a third of the time; one that is there stays as it is.
build() {
  local preset=$1 options=$2
  shift 2
  local folder=build/$preset started=$SECONDS
  local log=$folder/build.log
  mkdir -p "$folder"
  [[ -e $folder/CMakeCache.txt ]] || options+=" -DVITRAIL_UNITY=ON"
  say "Building ($preset) ..."
  # shellcheck disable=SC2086 # the options are words
  if ! { cmake --preset "$preset" $options >"$log" 2>&1 &&
    cmake --build "$folder" -j "$(jobs)" --target "$@" 2>&1 | tee -a "$log" |
    show_progress "  $preset"; }; then
    tail -n 30 "$log" >&2
    die "The build failed; the whole log is $log"
  fi
  say "Built in $((SECONDS - started)) s."
}
