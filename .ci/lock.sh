#!/usr/bin/env bash
# Resolve pyproject.toml into hashed locks that name no host. Arguments: the uv to use, then its options.
set -euo pipefail

uv="$1"
shift
compile=("$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@")
"${compile[@]}" pyproject.toml -o requirements/runtime.lock
"${compile[@]}" pyproject.toml --group dev -c requirements/runtime.lock -o requirements/dev.lock
"${compile[@]}" requirements/installer.in -o requirements/installer.lock
if grep -nE '://|file:|--(extra-)?index|--find-links' requirements/*.lock; then
  echo "lock: a lock names a place on some machine; see the lines above" >&2
  exit 1
fi
