#!/usr/bin/env bash
# The command stays small. usage: binary_size_test.sh STRIP BINARY
set -euo pipefail
limit=9000000
# g++ 14 makes it a third larger than g++ 12.
comment=$(readelf -p .comment "$2")
if [[ $comment =~ GCC:\ \([^\)]*\)\ 1[4-9] ]]; then limit=11500000; fi

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
"$1" -o "$stripped" "$2"
size=$(stat -c %s "$stripped")
echo "$size bytes without symbols; the limit is $limit"
((size < limit))
