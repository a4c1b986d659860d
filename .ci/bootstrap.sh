#!/usr/bin/env bash
# Create the virtualenv from hashed locks. Arguments: an interpreter (or ""), the virtualenv's folder.
set -euo pipefail

wanted="${1:-}"
venv="$2"

is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; }

python=""
for candidate in ${wanted:+"$wanted"} python3.11 python3 python /usr/bin/python3.11 /usr/local/bin/python3.11; do
  if command -v "$candidate" >/dev/null 2>&1 && is_311 "$candidate"; then
    python="$candidate"
    break
  fi
  if [ -n "$wanted" ]; then
    echo "setup: PYTHON=$wanted is not a working Python 3.11." >&2
    exit 1
  fi
done
if [ -z "$python" ]; then
  echo "setup: no Python 3.11 found. Install python3.11, or name one: make setup PYTHON=/path/to/python3.11" >&2
  exit 1
fi

if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
  echo "setup: $python cannot create virtual environments (modules venv and ensurepip)." >&2
  echo "       On Debian and Ubuntu: apt-get install python3.11-venv. Or name another: make setup PYTHON=..." >&2
  exit 1
fi

# A virtualenv that is half built, of another version or moved from elsewhere is made anew.
if [ -e "$venv" ] && ! { is_311 "$venv/bin/python" &&
  "$venv/bin/python" -c 'import pip, sys; sys.exit(0)' >/dev/null 2>&1 &&
  head -1 "$venv/bin/pip" | grep -qF "$(cd "$venv" && pwd -P)/bin/python"; }; then
  rm -rf "$venv"
fi
if [ ! -e "$venv" ]; then
  echo "setup: creating $venv with $("$python" --version)"
  "$python" -m venv "$venv"
fi

quiet_pip=(-m pip --disable-pip-version-check install --quiet --no-input --no-warn-script-location)
echo "setup: installing the locked dependencies"
"$venv/bin/python" "${quiet_pip[@]}" --require-hashes --only-binary :all: -r requirements/installer.lock
# UV_PYTHON_DOWNLOADS: the interpreter is the one above. UV_NO_CONFIG: a machine's own defaults stay out.
if ! UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV="$PWD/$venv" "$venv/bin/uv" pip install --quiet --compile-bytecode --require-hashes \
  --python "$venv/bin/python" -r requirements/dev.lock -r requirements/installer.lock; then
  # Some machines configure only pip (mirror, certificate); the lock is the same either way.
  echo "setup: uv could not install; trying pip with the same lock" >&2
  "$venv/bin/python" "${quiet_pip[@]}" --require-hashes -r requirements/dev.lock
fi
