# The commands of people and CI. `cargo run --release -- demo` and `cargo test` work without it.

cargo_target := env("CARGO_TARGET_DIR", "target")
# The profile of the programs that the tests run. `dev` uses those that `cargo test` builds.
profile := env("STOKER_PROFILE", "release")
programs := cargo_target / if profile == "dev" { "debug" } else { profile }
image_arch := if arch() == "aarch64" { "arm64" } else { "amd64" }

_default:
    @just --list --unsorted

# Formats the code.
fmt:
    cargo fmt --all

# Checks format and lints, warnings included. The program in the image has fewer features.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy -p stoker --no-default-features --locked -- -D warnings

# Runs every test that needs no cluster.
test:
    cargo test --locked

# Runs the payload files of every plugin, and of the hostile guests, through the real host.
test-plugins *FLAGS:
    cargo run --profile {{ profile }} --locked --quiet -- plugin test {{ FLAGS }} plugins/*/payloads tests/guests/*/payloads

# Searches for inputs that break an invariant, for a number of seconds: of the authentication, the bodies, the answers of
# plugins, the values of the domain, the git protocol, and each built-in plugin. `just test` tries some hundred of them.
[doc("Searches for inputs that break an invariant, for a number of seconds.")]
fuzz SECONDS="300":
    #!/usr/bin/env bash
    set -euo pipefail
    packages=(-p stoker -p stoker-api -p stoker-git)
    for manifest in plugins/*/Cargo.toml; do
        packages+=(-p "$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -n 1)")
    done
    cargo test --quiet --locked --lib --no-run "${packages[@]}"
    export PROPTEST_CASES=20000
    # Each round tries others: proptest chooses at random, and the plugins continue after the last delivery.
    end=$((SECONDS + {{ SECONDS }}))
    for ((round = 1; SECONDS < end; round++)); do
        STOKER_FIRST_RANDOM_REQUEST=$((round * 20000)) cargo test --quiet --locked --lib "${packages[@]}" -- \
            auth:: payload:: plugin::reply:: detection:: wire:: no_delivery_causes
    done

# Sends deliveries that the senders' own libraries sign to a real receiver. Needs Node.js 20 or later
# with npm; without them, it is skipped with a message, or fails where the variable CI is set.
[doc("Sends deliveries that the senders' own libraries sign.")]
test-senders:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v npm >/dev/null; then
        echo "skipped: install Node.js 20 or later with npm (https://nodejs.org)" >&2
        [[ -z ${CI-} ]]
        exit
    fi
    cargo build --profile {{ profile }} --locked --bin stoker
    mkdir -p "{{ cargo_target }}/senders"
    cp tests/senders/* "{{ cargo_target }}/senders/"
    npm ci --silent --no-fund --no-audit --prefix "{{ cargo_target }}/senders"
    STOKER="$(realpath "{{ programs }}/stoker")" npm test --silent --prefix "{{ cargo_target }}/senders"

# Renders the Helm chart and compares it with the golden files, then installs it in a real kube-apiserver and runs the
# commands of the documents, story by story. Builds helm and the control plane on first use.
[doc("Tests the Helm chart: renders it, installs it in a real kube-apiserver, and runs the commands of the documents.")]
test-chart: render-chart (chart-stories "values definition readme quick-start guide senders private injection agents migrating parts")

# Builds the container image for this machine's architecture, and runs the same stories with it.
test-image: && (chart-stories "readme quick-start guide senders private injection agents migrating parts" "--image" cargo_target / "image/stoker-" + image_arch + ".oci.tar" "--agent-image" cargo_target / "image/stoker-agent-" + image_arch + ".oci.tar")
    host/image/build.sh --arch {{ image_arch }}

[private]
[positional-arguments]
chart-stories STORIES *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    shift
    cargo build --profile {{ profile }} --locked --bin stoker --bin stoker-agent
    assets=$(tests/control-plane/build.sh)
    helm=$(tests/chart/helm.sh)
    for story in {{ STORIES }}; do
        cargo run --locked --quiet -p stoker-tests --bin with-control-plane -- --assets "$assets" -- \
            python3 -B tests/chart/live/live.py $story --kubectl "$assets/kubectl" --helm "$helm" \
            --stoker "{{ programs }}/stoker" --agent "{{ programs }}/stoker-agent" "$@"
    done

# Renders the Helm chart and compares it with the golden files; `--update` writes them. Builds helm on first use.
render-chart *ARGS:
    tests/chart/run.sh {{ ARGS }}

# Runs the demo, and fails if a step has an unexpected result.
demo:
    cargo run --profile {{ profile }} --locked -- demo --once

# Runs the integration tests against a real kube-apiserver, built on first use. `KUBEBUILDER_ASSETS` names a directory
# with kube-apiserver, etcd and kubectl instead; `just test-e2e-kubeconfig` uses the cluster of `KUBECONFIG`.
[doc("Runs the integration tests against a real kube-apiserver, built on first use.")]
test-e2e *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    assets=$(tests/control-plane/build.sh)
    cargo run --locked --quiet -p stoker-tests --bin with-control-plane -- --assets "$assets" -- \
        cargo test --locked -p stoker-tests --test integration -- {{ ARGS }}

# Sends webhooks to two replicas while the API server and the replicas are stopped and started again, and checks that
# every webhook that was answered with 202 is on its object afterwards, itself or a later one.
[doc("Checks that no accepted webhook is lost while servers fail.")]
test-nothing-lost SECONDS="120":
    #!/usr/bin/env bash
    set -euo pipefail
    assets=$(tests/control-plane/build.sh)
    cargo build --release --locked --bin stoker
    cargo run --locked --quiet -p stoker-tests --bin nothing-lost -- --assets "$assets" \
        --stoker "{{ cargo_target }}/release/stoker" {{ SECONDS }}

# Runs the integration tests against the cluster of `KUBECONFIG`.
test-e2e-kubeconfig *ARGS:
    cargo run --locked --quiet -p stoker-tests --bin with-control-plane -- --use-kubeconfig -- \
        cargo test --locked -p stoker-tests --test integration -- {{ ARGS }}

# Builds the project that `stoker plugin new` creates in each language, and then a fresh clone of it twice. Needs Go,
# Node.js and Python; a language whose tools are missing is skipped with a message.
[doc("Builds the template of each language, and a fresh clone of it twice.")]
test-templates *LANGUAGES:
    cargo build --profile {{ profile }} --locked --bin stoker
    tests/templates/run.sh "{{ programs }}/stoker" "{{ cargo_target }}/templates" {{ LANGUAGES }}

# Creates a plugin from each template, for `bench`.
bench-templates: test-templates

# Measures, and writes docs/benchmarks.md with its plots. Run `just bench-templates` first to include the other languages.
# `STOKER` names another program to measure, such as that of the image. It is for `bench-scale`, too.
[doc("Measures, and writes docs/benchmarks.md with its plots.")]
bench:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo bench --locked -p stoker-tests --bench detection
    cargo build --release --locked --workspace --bins
    assets=$(tests/control-plane/build.sh)
    cargo run --release --locked --quiet -p stoker-tests --bin with-control-plane -- --assets "$assets" -- \
        cargo run --release --locked --quiet -p stoker-tests --bin bench -- --templates "{{ cargo_target }}/templates" docs

# Measures the controller with 100, 1,000 and 10,000 objects on a real API server, and writes target/scale/benchmarks.md.
# It takes half an hour. Nothing else should run meanwhile.
[doc("Measures the controller with up to 10,000 objects on a real API server.")]
bench-scale *COUNTS:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --workspace --bins
    assets=$(tests/control-plane/build.sh)
    mkdir -p "{{ cargo_target }}/scale"
    cargo run --release --locked --quiet -p stoker-tests --bin with-control-plane -- --assets "$assets" -- \
        cargo run --release --locked --quiet -p stoker-tests --bin bench -- scale "{{ cargo_target }}/scale" {{ COUNTS }}

# Measures the agent on a real API server, and with repositories of 50,000 files and of 2 GB, and writes
# target/agent/benchmarks.md. It needs 10 GB of disk below target/ meanwhile. Nothing else should run.
[doc("Measures the agent: from a webhook to the disk, 50,000 files and 2 GB, and the bytes of its fetches.")]
bench-agent:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --workspace --bins
    assets=$(tests/control-plane/build.sh)
    mkdir -p "{{ cargo_target }}/agent"
    cargo run --release --locked --quiet -p stoker-tests --bin with-control-plane -- --assets "$assets" -- \
        cargo run --release --locked --quiet -p stoker-tests --bin bench -- agent "{{ cargo_target }}/agent"

# Measures the memory and the latency of Stoker during attacks, and prints a table. Nothing else should run meanwhile.
[doc("Measures the memory and the latency of Stoker during attacks.")]
bench-attacks *ARGS:
    cargo build --release --locked --bin stoker
    cargo run --release --locked --quiet -p stoker-tests --bin attacks -- \
        --stoker "{{ cargo_target }}/release/stoker" {{ ARGS }}

# Builds the container images for amd64 and arm64, or for `--arch`, into target/image. Needs Debian's buildah.
image *ARGS:
    host/image/build.sh {{ ARGS }}

# Pushes and signs the images of `just image` and the chart, of the tag that is checked out: `IMAGE` such as
# ghcr.io/acme/stoker-operator, `CHARTS` such as oci://ghcr.io/acme/charts. More arguments are flags of cosign.
[doc("Pushes and signs the images and the chart of the tag that is checked out.")]
[positional-arguments]
publish IMAGE CHARTS *COSIGN:
    host/image/publish.sh "$@"

# Logs in at a registry, for `publish`. Reads the password from standard input.
login REGISTRY USER:
    mkdir -p ~/.docker
    buildah login --authfile ~/.docker/config.json --username {{ quote(USER) }} --password-stdin {{ quote(REGISTRY) }}

# Checks the links between the documents, that each of their commands is tested, and their tables against the code.
docs:
    python3 -B tests/docs/links.py
    python3 -B tests/docs/commands.py
    python3 -B tests/docs/facts.py

# Draws docs/demo.svg, the output of the demo, for the README.
picture:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --bin stoker
    python="{{ cargo_target }}/tools/python/bin/python"
    test -x "$python" || python3 -m venv "{{ cargo_target }}/tools/python"
    "$python" -m pip install --quiet --disable-pip-version-check rich==14.1.0
    { echo '$ stoker demo --once'; "{{ cargo_target }}/release/stoker" demo --once; } |
        "$python" -B tests/docs/picture.py "stoker demo" docs/demo.svg

# Builds docs/ as a book, into target/book. Builds mdBook on first use.
book: docs
    #!/usr/bin/env bash
    set -euo pipefail
    tools="{{ cargo_target }}/tools"
    test -x "$tools/bin/mdbook" ||
        cargo install --locked --debug --root "$tools" --no-default-features mdbook@0.5.4
    "$tools/bin/mdbook" build docs --dest-dir "$(realpath "{{ cargo_target }}")/book"

# Runs all checks of CI.
ci:
    .ci/run

# Checks licences, sources and advisories of the dependencies (needs cargo-deny).
deny:
    cargo deny check
