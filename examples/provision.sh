#!/bin/sh
# Provision a machine from a script: make an environment, install into it, act on the exit code.
# usage: provision.sh ENVIRONMENT PACKAGE... (options for pascal-install come from PASCAL_INSTALL_* variables)
set -u
environment=${1:?usage: provision.sh ENVIRONMENT PACKAGE...}
shift

[ -x "$environment/bin/python" ] || python3 -m venv "$environment" || exit 5
"$environment/bin/pip" install --quiet "${PASCAL_INSTALL_PACKAGE:-pascal-install}" || exit 7

"$environment/bin/pascal-install" install "$@" --python "$environment/bin/python" --quiet
code=$?
case $code in
  0) echo "ready: $environment" ;;
  3) echo "no published build runs on this machine's GPU, driver and Python; the reasons stand above" >&2 ;;
  4) echo "GPU or driver not usable: name the GPU in PASCAL_INSTALL_GPU, or mend the driver" >&2 ;;
  7) echo "the network failed; nothing was changed, run this again" >&2 ;;
  8 | 9) echo "the install failed; the environment is as it was before" >&2 ;;
  *) echo "pascal-install ended with $code" >&2 ;;
esac
exit "$code"
