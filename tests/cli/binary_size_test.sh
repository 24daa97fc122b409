#!/usr/bin/env bash
# The command stays small. usage: binary_size_test.sh STRIP BINARY
set -euo pipefail
limit=9000000

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
"$1" -o "$stripped" "$2"
size=$(stat -c %s "$stripped")
echo "$size bytes without symbols; the limit is $limit"
((size < limit))
