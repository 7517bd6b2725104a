#!/usr/bin/env bash
# Builds the container images: of Stoker, without the commands for plugin authors and the demo, and of its agent. Each
# contains a static program and the certificates of public authorities.
#
#   build.sh [--arch amd64|arm64]... [--only stoker|stoker-agent]   (default: both architectures and images)
#
# For each architecture and image it writes three files to target/image: the archives stoker-ARCH.oci.tar, for registries,
# and stoker-ARCH.docker.tar, for tools that load images by name, such as kind, and the software bill of materials,
# stoker-ARCH.cdx.json. Those of the agent begin with stoker-agent. It fails if the agent's image has more than 15 MB
# unpacked. It installs missing tools below target/tools, and buildah from Debian's packages if it runs as root. Times in
# the image are those of the commit, and paths of this machine are removed. The certificates are those of this machine.
#
# Environment:
#   CARGO_TARGET_DIR  directory of the build output (default: target/ of this tree)
#   IMAGE             name of the image (default: localhost/stoker)
#   AGENT_IMAGE       name of the agent's image (default: localhost/stoker-agent)
set -euo pipefail
# The modes of files are part of the image.
umask 022

zig=0.14.1 zigbuild=0.24.1 cyclonedx=0.5.9
# The largest size of an unpacked image, in bytes. Each node of a cluster with gateways has the agent's image.
declare -A limits=([stoker-agent]=15000000)
declare -A names=([stoker]=${IMAGE:-localhost/stoker} [stoker-agent]=${AGENT_IMAGE:-localhost/stoker-agent})

die() {
    echo "image: $*" >&2
    exit 1
}

architectures=() programs=(stoker stoker-agent)
while (($#)); do
    case $1 in
        --arch)
            [[ ${2-} == amd64 || ${2-} == arm64 ]] || die "--arch wants amd64 or arm64, not \"${2-}\""
            architectures+=("$2")
            shift 2
            ;;
        --only)
            [[ ${2-} == stoker || ${2-} == stoker-agent ]] || die "--only wants stoker or stoker-agent, not \"${2-}\""
            programs=("$2")
            shift 2
            ;;
        *) die "unknown argument $1" ;;
    esac
done
((${#architectures[@]})) || architectures=(amd64 arm64)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
tools=$target/tools
image=$target/image
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

certificates=/etc/ssl/certs/ca-certificates.crt
is_there() { command -v buildah >/dev/null && [[ -r $certificates ]]; }
if ! is_there && ((EUID == 0)) && command -v apt-get >/dev/null; then
    echo "image: installing buildah and ca-certificates" >&2
    apt-get update --quiet --quiet >&2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends \
        buildah ca-certificates python3-venv >&2
fi
is_there || die "install buildah and ca-certificates; in Debian: apt install buildah ca-certificates"

# The directory of each tool contains its version, so a new version is installed beside the old one. A debug build of a
# tool takes half of the time.
if ! "$tools/zig-$zig/bin/python3" -m ziglang version >/dev/null 2>&1; then
    python3 -m venv --clear "$tools/zig-$zig" || die "install venv; in Debian: apt install python3-venv"
    "$tools/zig-$zig/bin/python3" -m pip install --quiet --disable-pip-version-check "ziglang==$zig"
fi
for tool in "cargo-zigbuild@$zigbuild" "cargo-cyclonedx@$cyclonedx"; do
    [[ -x $tools/$tool/bin/${tool%@*} ]] || cargo install --locked --debug --quiet --root "$tools/$tool" "$tool"
    PATH=$tools/$tool/bin:$PATH
done
export PATH=$tools/zig-$zig/bin:$PATH

# Layers are built as root, without a daemon and without mounts. A flag sets the time; newer versions refuse it together
# with the variable.
build() {
    env --unset=SOURCE_DATE_EPOCH buildah --root "$image/store" --runroot "$image/run" --storage-driver vfs "$@"
}

# Without root, the layers belong to user ids that only a user namespace can remove.
if [[ -d $image ]]; then
    if ((EUID)); then buildah unshare rm -rf "$image"; else rm -rf "$image"; fi
fi
mkdir -p "$image"
revision=$(git rev-parse HEAD)
[[ -z $(git status --porcelain) ]] || revision+=-dirty
# Flags of rustc. The separator is not a space, because paths may contain spaces.
printf -v CARGO_ENCODED_RUSTFLAGS '%s\x1f' "--remap-path-prefix=$root=/stoker" \
    "--remap-path-prefix=$target=/stoker/target" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
unset RUSTFLAGS
echo "$revision" >"$image/revision"

# Lays out the files of Stoker's image: `files_of_stoker DIRECTORY TRIPLE`.
files_of_stoker() {
    # The build script compiles the built-in plugins for the architecture of the image.
    cargo zigbuild --release --locked -p stoker --bin stoker --no-default-features --features cross --target "$2"
    install -D -m 755 "$target/$2/release/stoker" "$1/usr/bin/stoker"
    user_of "$1" stoker 65532
}

# Lays out the files of the agent's image. Injected containers run /agent, as with the Go operator.
files_of_stoker-agent() {
    cargo zigbuild --release --locked -p stoker-agent --bin stoker-agent --target "$2"
    install -D -m 755 "$target/$2/release/stoker-agent" "$1/stoker-agent"
    ln "$1/stoker-agent" "$1/agent"
    user_of "$1" agent 65534
}

# Programs that look up the user's name find one: `user_of DIRECTORY NAME ID`.
user_of() {
    mkdir -p "$1/etc"
    echo "$2:x:$3:$3::/:/sbin/nologin" >"$1/etc/passwd"
    echo "$2:x:$3:" >"$1/etc/group"
}

settings_of_stoker=(
    --user 65532:65532 --env PATH=/usr/bin --entrypoint '["stoker"]' --cmd run --port 9444 --port 9443 --port 8081
    --label org.opencontainers.image.description='Webhook receiver and controller of GatewaySync objects'
)
settings_of_stoker_agent=(
    --user 65534:65534 --env PATH=/ --entrypoint '["/stoker-agent"]' --port 8082 --port 8083
    --label org.opencontainers.image.description='Brings the files of a published commit to a gateway'
)

# Builds one image: `build_image PROGRAM ARCHITECTURE TRIPLE`.
build_image() {
    local program=$1 architecture=$2 triple=$3 name=${names[$1]} container id unpacked
    local -n settings=settings_of_${program/-/_}
    local files=$image/$architecture/$program archive=$image/$program-$architecture.oci.tar
    mkdir -p "$files/etc/ssl/certs"
    "files_of_$program" "$files" "$triple"
    install -m 644 "$certificates" "$files/etc/ssl/certs/ca-certificates.crt"

    container=$(build from --arch "$architecture" scratch)
    build copy --quiet "$container" "$files" / >/dev/null
    build config \
        --arch "$architecture" --os linux "${settings[@]}" \
        --label org.opencontainers.image.title="$program" \
        --label org.opencontainers.image.version="$version" \
        --label org.opencontainers.image.revision="$revision" \
        --label org.opencontainers.image.licenses=Apache-2.0 \
        "$container"
    id=$(build commit --quiet --rm --identity-label=false --timestamp "$SOURCE_DATE_EPOCH" \
        "$container" "$name:$version-$architecture")
    build push --quiet "$id" "oci-archive:$archive:$name:$version-$architecture"
    build push --quiet "$id" "docker-archive:${archive/.oci./.docker.}:$name:$version-$architecture"
    unpacked=$(host/image/size.py "$archive" ${limits[$program]-})
    printf 'image: %s, %s bytes, unpacked %s bytes, program %s bytes\n' \
        "$archive" "$(stat -c %s "$archive")" "$unpacked" "$(stat -c %s "$target/$triple/release/$program")" >&2

    host/image/sbom.py "$program" "$triple" "$image/$program-$architecture.cdx.json"
}

for architecture in "${architectures[@]}"; do
    case $architecture in
        amd64) triple=x86_64-unknown-linux-musl ;;
        arm64) triple=aarch64-unknown-linux-musl ;;
    esac
    rustup --quiet target add "$triple"
    for program in "${programs[@]}"; do
        build_image "$program" "$architecture" "$triple"
    done
done
