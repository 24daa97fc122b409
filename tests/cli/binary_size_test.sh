#!/usr/bin/env bash
# The command stays small. usage: binary_size_test.sh STRIP BINARY
set -euo pipefail
# Twelve types of networks and half a hundred families of files: 10.2 MB with g++ 12.
limit=10500000
# g++ 14 makes it a third larger than g++ 12.
comment=$(readelf -p .comment "$2")
if [[ $comment =~ GCC:\ \([^\)]*\)\ 1[4-9] ]]; then limit=14000000; fi

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
"$1" -o "$stripped" "$2"
size=$(stat -c %s "$stripped")
echo "$size bytes without symbols; the limit is $limit"
((size < limit))
