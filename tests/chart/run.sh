#!/usr/bin/env bash
# Tests the chart without a cluster: compares what each of values/*.yaml renders with golden/, checks that each of
# refused/*.yaml is refused, and runs handover.sh. `--update` writes the golden files instead; read the difference.
#
# Comments at the beginning of a values file set how it is used:
#   # args: ARGUMENTS    additional arguments of helm, such as --kube-version 1.32.0
#   # release: NAME      the release's name (default: stoker)
#   # namespace: NAME    the release's namespace (default: stoker-system)
#   # expect: WORDS      a part of the error message (refused/ only)
set -euo pipefail
cd "$(dirname "$0")/../.."

chart=charts/stoker-operator
tests=tests/chart
helm=$(tests/chart/helm.sh)
update=
if [[ ${1-} == --update ]]; then update=yes; fi

failed=0
fail() {
    printf 'FAILED %s\n' "$*" >&2
    failed=1
}
note() { sed -n "s/^# $2: //p" "$1"; }
# The definition of the resource is in one golden file only, as it would be most of the others.
render() {
    local file=$1 args release namespace
    shift
    read -ra args <<<"$(note "$file" args)"
    release=$(note "$file" release) namespace=$(note "$file" namespace)
    "$helm" template "${release:-stoker}" "$rendered_chart" --namespace "${namespace:-stoker-system}" \
        --kube-version 1.35.0 --set crds.install=false --values "$file" ${args[@]+"${args[@]}"} "$@"
}
# `helm template` does not print NOTES.txt, so here it is one more document.
with_notes() {
    cp -R "$chart" "$1"
    local templates=$1/templates
    {
        echo '{{- define "notes" }}'
        cat "$templates/NOTES.txt"
        echo '{{- end }}'
    } >"$templates/_notes.tpl"
    rm "$templates/NOTES.txt"
    printf 'notes: |\n{{ include "notes" . | indent 2 }}\n' >"$templates/notes.yaml"
}
# Runs the lines of the notes that send a webhook, with a kubectl and a curl that print their arguments.
printed_curl() {
    local lines
    lines=$(render "$1" --show-only templates/notes.yaml | sed -n '/^ *secret=/,/-d "$body"/p')
    bash -euc 'kubectl() { echo "kubectl $*" >&2; echo my-webhook-secret; }
        curl() { printf "%s\n" "$@"; }
        '"$lines" 2>&1
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
with_notes "$scratch/stoker-operator"
rendered_chart=$scratch/stoker-operator

"$helm" lint --strict --quiet "$chart" || fail "lint"
python3 $tests/values.py || fail "values, schema and README"
python3 $tests/metrics.py || fail "metrics"
python3 -m json.tool $chart/files/dashboards/stoker.json >/dev/null || fail "dashboard"

count=0
for file in $tests/values/*.yaml; do
    name=$(basename "$file" .yaml)
    golden=$tests/golden/$name.yaml
    if ! rendered=$(render "$file" 2>&1); then
        fail "$name: $rendered"
    elif [[ $update ]]; then
        printf '%s\n' "$rendered" >"$golden"
    else
        diff -u "$golden" <(printf '%s\n' "$rendered") || fail "$name: it does not render $golden"
    fi
    count=$((count + 1))
done

for golden in $tests/golden/*.yaml; do
    [[ -e $tests/values/$(basename "$golden") ]] || fail "$golden: no values file renders it"
done

for file in $tests/refused/*.yaml; do
    name=$(basename "$file" .yaml)
    expected=$(note "$file" expect)
    if said=$(render "$file" 2>&1); then
        fail "refused/$name: it is not refused"
    elif [[ -z $expected || $said != *"$expected"* ]]; then
        fail "refused/$name: the message lacks \"$expected\": $said"
    fi
    count=$((count + 1))
done

# The signature of `{"ref": "v1.0.0"}` with `my-webhook-secret`, by another program than openssl.
signature=$(python3 -c 'import hmac, sys; print(hmac.digest(*(word.encode() for word in sys.argv[1:]), "sha256").hex())' \
    my-webhook-secret '{"ref": "v1.0.0"}')
for name in guide-inline-secret guide-existing-secret; do
    said=$(printed_curl $tests/values/$name.yaml) || fail "$name: the lines of the notes fail: $said"
    for word in "X-Hub-Signature-256: sha256=$signature" "http://localhost:9444/webhook/my-namespace/my-sync"; do
        [[ $said == *"$word"* ]] || fail "$name: the curl of the notes lacks \"$word\": $said"
    done
done

$tests/handover.sh "$helm" || fail "handover"

if ((failed)); then exit 1; fi
echo "ok: $count values files"
