#!/usr/bin/env bash
# Pushes the image and the chart of the tag that is checked out, and signs both.
#
#   publish.sh IMAGE CHARTS [COSIGN FLAG]...
#
# IMAGE is a repository, such as ghcr.io/acme/stoker-operator, and CHARTS the registry of the chart, such as
# oci://ghcr.io/acme/charts. The chart that is pushed names that image. Without flags, cosign signs without a key, as the
# identity of the workflow that runs this, or of the person who is asked for one. `just image` comes first; who is not
# logged in at the registries is refused by them. The helm and the cosign that the machine lacks are built with Go.
#
# Environment:
#   CARGO_TARGET_DIR  where build output goes (default: target/ of this tree)
set -euo pipefail

cosign_version=v2.6.1

die() {
    echo "publish: $*" >&2
    exit 1
}

(($# >= 2)) || die "say where to: publish.sh IMAGE CHARTS [COSIGN FLAG]..."
repository=$1 charts=$2
shift 2

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
image=$target/image
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[[ $(git describe --exact-match --tags 2>/dev/null) == "v$version" ]] || die "check out the tag v$version"
git diff --quiet HEAD || die "there are changes that are not committed"
grep -qx "version: $version" charts/stoker-operator/Chart.yaml || die "Chart.yaml is not of version $version"

helm=$(tests/chart/helm.sh)
cosign=$(command -v cosign || true)
if [[ -z $cosign ]]; then
    mkdir -p "$target/tools/cosign-$cosign_version"
    cosign=$(cd "$target/tools/cosign-$cosign_version" && pwd)/cosign
    [[ -x $cosign ]] || GOBIN=$(dirname "$cosign") GOFLAGS='' go install "github.com/sigstore/cosign/v2/cmd/cosign@$cosign_version"
fi

build() { buildah --root "$image/store" --runroot "$image/run" --storage-driver vfs "$@"; }

list=localhost/stoker-release:$version
build manifest exists "$list" && build manifest rm "$list" >/dev/null
build manifest create "$list" >/dev/null
for architecture in amd64 arm64; do
    archive=$image/stoker-$architecture.oci.tar
    [[ -r $archive ]] || die "$archive is missing: just image"
    tar -xOf "$archive" index.json | grep -q "\"[^\"]*:$version-$architecture\"" || die "$archive is of another version: just image"
    build manifest add "$list" "oci-archive:$archive" >/dev/null
done
# A registry on this machine speaks plain HTTP, as all tools but these two take for granted.
verify=() plain=()
[[ $repository != localhost:* ]] || verify=(--tls-verify=false)
[[ $charts != oci://localhost:* ]] || plain=(--plain-http)
# Some versions of buildah end with 0 though they could not push, and write no digest then.
rm -f "$image/digest"
build manifest push --all --format oci "${verify[@]}" --digestfile "$image/digest" "$list" \
    "docker://$repository:$version" >&2
[[ -s $image/digest ]] || die "the image could not be pushed"
digest=$(<"$image/digest")
"$cosign" sign --yes "$@" "$repository@$digest"
"$cosign" attest --yes "$@" --type cyclonedx --predicate "$image/stoker.cdx.json" "$repository@$digest"

rm -rf "$image/chart"
mkdir -p "$image/chart"
cp -R charts/stoker-operator "$image/chart/"
sed -i "0,/^  repository: .*/s||  repository: $repository|" "$image/chart/stoker-operator/values.yaml"
"$helm" package --destination "$image/chart" "$image/chart/stoker-operator" >/dev/null
pushed=$("$helm" push "${plain[@]}" "$image/chart/stoker-operator-$version.tgz" "$charts" 2>&1) || die "$pushed"
chart_digest=$(sed -n 's/^Digest: //p' <<<"$pushed")
[[ $chart_digest ]] || die "helm does not say which digest it pushed: $pushed"
"$cosign" sign --yes "$@" "${charts#oci://}/stoker-operator@$chart_digest"

echo "published $repository:$version@$digest and $charts/stoker-operator:$version@$chart_digest"
