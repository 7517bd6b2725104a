#!/usr/bin/env bash
# Builds and tests the templates of `stoker plugin new`. Each new project is built once, which writes its lock file, and
# committed; then a fresh clone of it is built twice and tested. No build may change a file of the clone.
#
#   run.sh STOKER DIRECTORY [LANGUAGE...]
#
# STOKER is the binary. The clones stay in DIRECTORY/LANGUAGE. A language whose tools are missing is skipped with a
# message, or is an error where the variable CI is set.
set -euo pipefail

stoker=$(realpath "$1")
mkdir -p "$2"
directory=$(realpath "$2")
shift 2
languages=("$@")
((${#languages[@]})) || languages=(rust c go js python)

# Both builds of the Rust project use it, so that the bindings are compiled once.
export CARGO_TARGET_DIR="$directory/.target"
# Components of JavaScript and Python hold an interpreter.
limit=(--max-size 30000000)

missing_tools() {
    case $1 in
    rust) command -v cargo >/dev/null || echo "Rust (https://rustup.rs)" ;;
    go) command -v go >/dev/null || echo "Go 1.21 or later (https://go.dev/dl)" ;;
    js) command -v npm >/dev/null || echo "Node.js 20 or later with npm (https://nodejs.org)" ;;
    python) python3 -c 'import ensurepip, venv' 2>/dev/null || echo "Python 3 with venv (Debian: python3-venv)" ;;
    c)
        { command -v clang && command -v wasm-ld || python3 -c 'import ensurepip, venv'; } >/dev/null 2>&1 ||
            echo "clang with lld, or Python 3 with venv (Debian: clang lld, or python3-venv)"
        ;;
    esac
}

native_tests() {
    case $1 in
    rust) cargo test --quiet ;;
    go) go test ./... ;;
    js) npm test --silent ;;
    python) python3 -m unittest --quiet ;;
    esac
}

build_twice() {
    local language=$1 origin=$directory/.origin/$1 clone=$directory/$1
    rm -rf "$origin" "$clone"
    "$stoker" plugin new bench --lang "$language" --dir "$origin"
    "$stoker" plugin build "${limit[@]}" "$origin"

    git -C "$origin" init --quiet
    git -C "$origin" add --all
    git -C "$origin" -c user.name=test -c user.email=test@example.com commit --quiet --message "A plugin"
    git clone --quiet "$origin" "$clone"
    "$stoker" plugin build "${limit[@]}" "$clone"
    "$stoker" plugin build "${limit[@]}" "$clone"
    "$stoker" plugin test "${limit[@]}" "$clone"
    (cd "$clone" && native_tests "$language")
    local changed
    changed=$(git -C "$clone" status --porcelain)
    [[ -z $changed ]] || {
        printf '%s: a build left changes in the clone:\n%s\n' "$language" "$changed" >&2
        return 1
    }
}

skipped=()
for language in "${languages[@]}"; do
    missing=$(missing_tools "$language")
    if [[ -n $missing ]]; then
        skipped+=("the template $language is not tested: install $missing")
        continue
    fi
    printf '\n--> %s\n' "$language"
    started=$SECONDS
    build_twice "$language"
    echo "$language: $((SECONDS - started)) seconds"
done
if ((${#skipped[@]})); then
    printf '%s\n' "${skipped[@]}" >&2
    [[ -z ${CI:-} ]]
fi
