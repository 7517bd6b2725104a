#!/usr/bin/env bash
# Tests the chart with each way in which Helm passes values on: null, strings, defaults of other charts that
# `--reuse-values` keeps, and a parent chart. Without a cluster, and without a golden file: the result is compared with
# what the chart's own defaults render.
#
#   handover.sh HELM
set -euo pipefail
cd "$(dirname "$0")/../.."

helm=$1
chart=charts/stoker-operator
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

failed=0
count=0
fail() {
    printf 'FAILED handover: %s\n' "$*" >&2
    failed=1
}
render() { "$helm" template stoker "$@" --namespace stoker-system --kube-version 1.35.0; }
# Compares what the arguments render with the defaults.
same_as_defaults() {
    local what=$1
    shift
    count=$((count + 1))
    if ! render "$@" >"$scratch/rendered" 2>&1; then
        fail "$what: $(<"$scratch/rendered")"
    else
        diff -u "$scratch/defaults" "$scratch/rendered" || fail "$what: the result differs from the defaults"
    fi
}

render $chart >"$scratch/defaults"
mapfile -t paths < <(python3 tests/chart/values.py --paths)

# Null removes a default. The four objects of Kubernetes and the number of replicas are then absent, and each other value
# has its default again.
of_kubernetes=(replicaCount resources podSecurityContext securityContext topologySpreadConstraints)
for path in "${paths[@]}"; do
    if [[ " ${of_kubernetes[*]} " != *" $path "* ]]; then
        same_as_defaults "$path is null" $chart --set "$path=null"
    elif ! render $chart --set "$path=null" >"$scratch/rendered" 2>&1; then
        fail "$path is null: $(<"$scratch/rendered")"
    elif cmp -s "$scratch/defaults" "$scratch/rendered"; then
        fail "$path is null: it is not removed"
    fi
done

# Numbers and booleans as strings.
while read -r path value; do
    same_as_defaults "$path is the string \"$value\"" $chart --set-string "$path=$value"
done < <(python3 tests/chart/values.py --scalars)

# With --reuse-values, Helm uses the defaults of the installed chart in place of this chart's. Here that chart has none.
cp -R $chart "$scratch/reused"
: >"$scratch/reused/values.yaml"
render $chart --set "$(printf '%s=null,' "${of_kubernetes[@]}" | sed 's/,$//')" >"$scratch/without"
count=$((count + 1))
diff -u "$scratch/without" <(render "$scratch/reused" 2>&1) || fail "no value is kept from the installed chart"

# The chart as a dependency of another one, which Helm renders below the parent's name.
parent() {
    rm -rf "$scratch/parent"
    mkdir -p "$scratch/parent/charts"
    cp -R $chart "$scratch/parent/charts"
    printf '%s\n' 'apiVersion: v2' 'name: platform' 'version: 0.1.0' 'dependencies:' \
        "  - {name: stoker-operator, version: 0.9.0, condition: $1.enabled${2-}}" >"$scratch/parent/Chart.yaml"
    cat >"$scratch/parent/values.yaml"
}
below_the_parent() { sed "s|^# Source: platform/charts/$1/|# Source: stoker-operator/|"; }
render_parent() { render "$scratch/parent" "$@" 2>"$scratch/errors" | below_the_parent "$name"; }
check_parent() {
    local what=$1
    shift
    count=$((count + 1))
    render_parent "$@" >"$scratch/rendered" || true
    diff -u "$scratch/defaults" "$scratch/rendered" || fail "$what: $(<"$scratch/errors")"
}

name=stoker-operator
parent stoker-operator <<'EOF'
global: {imageRegistry: registry.example.com}
stoker-operator: {enabled: true}
EOF
check_parent "below a parent chart that switches it on"
check_parent "below a parent chart, with null" --set stoker-operator.webhookReceiver=null,stoker-operator.preStopSeconds=null
[[ -z $(render_parent --set stoker-operator.enabled=false) ]] || fail "below a parent chart that switches it off"
render_parent --set stoker-operator.podSecurityContext.runAsUser=null >"$scratch/rendered" || true
if ! grep -q '^ *fsGroup: 65532' "$scratch/rendered" || grep -q '^ *runAsUser' "$scratch/rendered"; then
    fail "below a parent chart, without runAsUser: $(<"$scratch/rendered")"
fi

name=bridge
parent bridge ', alias: bridge' <<<'bridge: {nameOverride: stoker-operator}'
sed 's|helm.sh/chart: bridge-|helm.sh/chart: stoker-operator-|' <(render_parent) >"$scratch/rendered"
diff -u "$scratch/defaults" "$scratch/rendered" || fail "below a parent chart, with an alias"

if ((failed)); then exit 1; fi
echo "ok: $count ways to pass values"
