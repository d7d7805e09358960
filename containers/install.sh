#!/bin/sh
# Install the pinned environment, awd and its compiled kernels: the one step of both recipes beside it.
#   containers/install.sh SOURCE DESTINATION
# SOURCE has the files that a recipe copies, DESTINATION gets a virtual environment. TORCH_INDEX is
# where torch comes from; without it, it is the usual index, which has the CUDA build on Linux.
set -eu
source=$1 destination=$2
"${PYTHON:-python3}" -m venv "$destination"
pip="$destination/bin/python -m pip --no-cache-dir --disable-pip-version-check"
if [ -n "${TORCH_INDEX:-}" ]; then
    $pip install "$(grep '^torch==' "$source/requirements.txt")" --index-url "$TORCH_INDEX"
fi
$pip install --requirement "$source/requirements.txt"
$pip install --no-deps --no-build-isolation "$source"
cd / # not in SOURCE, whose awd Python would import
"$destination/bin/python" -m awd.model.kernels | tee /dev/stderr | grep -q 'are in place'
"$destination/bin/awd" plan suites=kim2024 > /dev/null
