#!/usr/bin/env bash
# Builds the kube-apiserver and the etcd that the end-to-end tests run against, and a kubectl to look at them with,
# and prints the directory that holds them. What it does meanwhile it says on standard error.
#
# Environment:
#   KUBEBUILDER_ASSETS  a directory with ready-made kube-apiserver, etcd and kubectl;
#                       if set, nothing is built
#   CARGO_TARGET_DIR    where build output goes (default: target/ of this tree)
set -euo pipefail

programs=(etcd kube-apiserver kubectl)

die() {
	echo "control-plane: $*" >&2
	exit 1
}

# The version go.mod pins a module at, read without Go so that an up-to-date
# build directory needs no Go at all.
pinned_version() {
	sed -n "s|^[[:space:]]*$1 \(v[^ ]*\).*|\1|p" "$module/go.mod" | head -n 1
}

has_programs() {
	local program
	for program in "${programs[@]}"; do
		[[ -x "$1/$program" ]] || return 1
	done
}

check_go() {
	local needed found
	needed=$(sed -n 's/^go \([0-9.]*\)$/\1/p' "$module/go.mod")
	command -v go >/dev/null ||
		die "building the control plane needs Go $needed or newer; install it," \
			"or set KUBEBUILDER_ASSETS to a directory with kube-apiserver, etcd and kubectl"
	# Asked inside the module, so that a Go which may switch to a newer toolchain
	# answers with that one. A Go which may not fails here: its own version is
	# then found by asking outside of any module.
	found=$(cd "$module" && go env GOVERSION 2>/dev/null) ||
		found=$(cd / && go env GOVERSION 2>/dev/null) || found=unknown
	found=${found#go}
	[[ $(printf '%s\n' "$needed" "$found" | sort -V | head -n 1) == "$needed" ]] ||
		die "building the control plane needs Go $needed or newer, this is Go $found"
}

# build PROGRAM PACKAGE [GO-BUILD-ARGS...]: without cgo, so that no C compiler
# is needed, and renamed into place only when complete.
build() {
	local program=$1 package=$2
	shift 2
	(cd "$module" && CGO_ENABLED=0 GOWORK=off GOOS= GOARCH= \
		go build -mod=readonly -trimpath "$@" -o "$partial/$program" "$package") >&2 ||
		die "building $program failed"
	mv -f "$partial/$program" "$output/$program"
}

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
	has_programs "$KUBEBUILDER_ASSETS" ||
		die "KUBEBUILDER_ASSETS is $KUBEBUILDER_ASSETS, which lacks an executable kube-apiserver, etcd or kubectl"
	(cd "$KUBEBUILDER_ASSETS" && pwd)
	exit
fi

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubernetes=$(pinned_version k8s.io/kubernetes)
etcd=$(pinned_version go.etcd.io/etcd/server/v3)
[[ -n $kubernetes && -n $etcd ]] || die "cannot read the pinned versions from $module/go.mod"

output=${CARGO_TARGET_DIR:-$module/../../target}/control-plane/$kubernetes
mkdir -p "$output"
output=$(cd "$output" && pwd)
# Tells apart binaries of another etcd or other dependencies below the same
# Kubernetes version; written last, so it vouches for all of them.
stamp=$output/built-from.mod

if ! { has_programs "$output" && cmp -s "$module/go.mod" "$stamp"; }; then
	check_go
	echo "control-plane: building kube-apiserver and kubectl $kubernetes and etcd $etcd into $output" \
		"(once; 4 to 8 minutes on 2 cores, plus the download of the modules)" >&2
	partial=$(mktemp -d "$output/partial.XXXXXX")
	trap 'rm -rf "$partial"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM

	IFS=. read -r major minor _ <<<"${kubernetes#v}"
	version=k8s.io/component-base/version
	build etcd go.etcd.io/etcd/server/v3 -ldflags "-s -w"
	stamped="-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=$major \
		-X $version.gitMinor=$minor -X $version.gitTreeState=clean"
	build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver -ldflags "$stamped"
	build kubectl k8s.io/kubernetes/cmd/kubectl -ldflags "$stamped"
	cp "$module/go.mod" "$partial/stamp"
	mv -f "$partial/stamp" "$stamp"
fi

echo "$output"
