#!/usr/bin/env bash
# Pushes the images and the chart of the tag that is checked out, and signs them.
#
#   publish.sh IMAGE CHARTS [COSIGN FLAG]...
#
# IMAGE is a repository, such as ghcr.io/acme/stoker-operator, and CHARTS the registry of the chart, such as
# oci://ghcr.io/acme/charts. The image of the agent is beside it, as ghcr.io/acme/stoker-agent. The pushed chart refers to
# both images. Without flags, cosign signs without a key, with the
# identity of the workflow that runs this, or of the person who confirms it. Run `just image` and log in at the registries
# first. Missing versions of helm and cosign are built with Go.
#
# Environment:
#   CARGO_TARGET_DIR  directory of the build output (default: target/ of this tree)
set -euo pipefail

cosign_version=v2.6.1
architectures=(amd64 arm64)

die() {
    echo "publish: $*" >&2
    exit 1
}

(($# >= 2)) || die "usage: publish.sh IMAGE CHARTS [COSIGN FLAG]..."
repository=$1 charts=$2
shift 2
[[ $repository == */* ]] || die "$repository is not a repository, such as ghcr.io/acme/stoker-operator"
agent_repository=${repository%/*}/stoker-agent
[[ $agent_repository != "$repository" ]] || die "$repository is the repository of the agent's image"
[[ $charts == oci://* ]] || die "$charts is not a registry of charts, such as oci://ghcr.io/acme/charts"

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
image=$target/image
chart=charts/stoker-operator
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD)

# All checks come before the first push.
git tag --points-at HEAD | grep -qxF "v$version" || die "check out the tag v$version"
[[ -z $(git status --porcelain) ]] || die "there are changes that are not committed"
for line in "version: $version" "appVersion: \"$version\""; do
    grep -qxF "$line" $chart/Chart.yaml || die "Chart.yaml lacks the line $line"
done
[[ -r $image/revision && $(<"$image/revision") == "$revision" ]] || die "the image was built from another commit: run just image"
for architecture in "${architectures[@]}"; do
    for file in "$image"/stoker{,-agent}"-$architecture".{oci.tar,cdx.json}; do
        [[ -r $file ]] || die "$file is missing: run just image"
    done
done

helm=$(tests/chart/helm.sh)
cosign=$(command -v cosign || true)
if [[ -z $cosign || $("$cosign" version --json 2>/dev/null) != *"\"$cosign_version\""* ]]; then
    cosign=$target/tools/cosign-$cosign_version/cosign
    [[ -x $cosign ]] || command -v go >/dev/null || die "install Go, or cosign $cosign_version"
    mkdir -p "$(dirname "$cosign")"
    cosign=$(cd "$(dirname "$cosign")" && pwd)/cosign
    [[ -x $cosign ]] ||
        GOBIN=$(dirname "$cosign") GOFLAGS='' go install "github.com/sigstore/cosign/v2/cmd/cosign@$cosign_version"
fi

# A registry on this machine uses plain HTTP. cosign does this without a flag.
verify=() plain=()
[[ $repository != localhost:* ]] || verify=(--tls-verify=false)
[[ $charts != oci://localhost:* ]] || plain=(--plain-http)

build() { buildah --root "$image/store" --runroot "$image/run" --storage-driver vfs "$@"; }
# The digest of the manifest in an archive, which is the same in a registry: `digest_of PROGRAM ARCHITECTURE`.
digest_of() {
    tar -xOf "$image/$1-$2.oci.tar" index.json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["manifests"][0]["digest"])'
}

# Pushes a list of images and prints its digest: `push LIST TO`. Some versions of buildah exit with 0 after a failed push.
# They do not write a digest then.
push() {
    rm -f "$image/digest"
    build manifest push --all --format oci ${verify[@]+"${verify[@]}"} --digestfile "$image/digest" "$1" "$2" >&2
    [[ -s $image/digest ]] || die "the image could not be pushed to $2"
    cat "$image/digest"
}

# Pushes and signs one image for all architectures: `publish PROGRAM REPOSITORY [COSIGN FLAG]...`.
publish() {
    local program=$1 repository=$2 list=localhost/$1-release:$version digest found architecture
    shift 2
    if build manifest exists "$list"; then build manifest rm "$list" >/dev/null; fi
    build manifest create "$list" >/dev/null
    for architecture in "${architectures[@]}"; do
        build manifest add "$list" "oci-archive:$image/$program-$architecture.oci.tar" >/dev/null
    done
    rm -rf "$image/layout"
    digest=$(push "$list" "dir:$image/layout")
    # A published image is never replaced. An interrupted release continues.
    if found=$("$cosign" triangulate "$repository:$version" 2>&1); then
        [[ $found == *"${digest/:/-}"* ]] || die "$repository:$version is published already, as another image: $found"
    elif [[ $found != *MANIFEST_UNKNOWN* && $found != *NAME_UNKNOWN* && $found != *"404"* ]]; then
        die "cannot find out whether $repository:$version is published: $found"
    fi
    push "$list" "docker://$repository:$version" >/dev/null
    "$cosign" sign --yes "$@" "$repository@$digest"
    for architecture in "${architectures[@]}"; do
        "$cosign" attest --yes "$@" --type cyclonedx --predicate "$image/$program-$architecture.cdx.json" \
            "$repository@$(digest_of "$program" "$architecture")"
    done
    echo "published $repository:$version@$digest"
}
publish stoker-agent "$agent_repository" "$@"
publish stoker "$repository" "$@"

rm -rf "$image/chart"
mkdir -p "$image/chart"
git archive HEAD $chart | tar -x -C "$image/chart"
# Sets the repository of an image in a file of the chart: `name_image VALUE REPOSITORY FILE`.
name_image() {
    sed -i "/^$1:/,/^  repository: /s|^  repository: .*|  repository: $2|" "$3"
    grep -qxF "  repository: $2" "$3" || die "$3 does not name the image $2"
}
for file in values.yaml files/defaults.yaml; do
    name_image image "$repository" "$image/chart/$chart/$file"
    name_image agentImage "$agent_repository" "$image/chart/$chart/$file"
done
"$helm" package --destination "$image/chart" "$image/chart/$chart" >/dev/null
package=$image/chart/stoker-operator-$version.tgz
pushed=$("$helm" push ${plain[@]+"${plain[@]}"} "$package" "$charts" 2>&1) || die "$pushed"
chart_digest=$(sed -n 's/^Digest: //p' <<<"$pushed")
[[ $chart_digest ]] || die "the output of helm lacks the digest: $pushed"
"$cosign" sign --yes "$@" "${charts#oci://}/stoker-operator@$chart_digest"

echo "published $charts/stoker-operator:$version@$chart_digest"
