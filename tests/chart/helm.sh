#!/usr/bin/env bash
# Prints the path of the helm that the chart's tests use, and builds it if it is missing. Messages go to standard error.
#
# Environment:
#   CARGO_TARGET_DIR  directory of the build output (default: target/ of this tree)
set -euo pipefail

# The golden files depend on the version, because helm's functions change.
version=v3.19.0

# A helm that was built by `go install` does not know its patch version, so the directory's name has it.
if helm=$(command -v helm) && [[ $("$helm" version --template '{{.Version}}') == "$version" ]]; then
    echo "$helm"
    exit
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "${CARGO_TARGET_DIR:-$root/target}/tools/helm-$version"
output=$(cd "${CARGO_TARGET_DIR:-$root/target}/tools/helm-$version" && pwd)
if [[ ! -x $output/helm ]]; then
    command -v go >/dev/null || {
        echo "helm.sh: building helm $version needs Go; install it, or put helm $version on the PATH" >&2
        exit 1
    }
    echo "helm.sh: building helm $version into $output (once; 2 to 10 minutes on 2 cores)" >&2
    GOBIN=$output GOFLAGS= CGO_ENABLED=0 go install "helm.sh/helm/v3/cmd/helm@$version" >&2
fi
echo "$output/helm"
