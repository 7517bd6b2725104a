#!/usr/bin/env bash
# Builds the container image. It contains a static program, without the commands for plugin authors and the demo, and the
# certificates of public authorities.
#
#   build.sh [--arch amd64|arm64]...   (default: both)
#
# For each architecture it writes three files to target/image: the archives stoker-ARCH.oci.tar, for registries, and
# stoker-ARCH.docker.tar, for tools that load images by name, such as kind, and the software bill of materials,
# stoker-ARCH.cdx.json. It installs missing tools below target/tools, and buildah from Debian's packages if it runs as
# root. Times in the image are those of the commit, and paths of this machine are removed. The certificates are those of
# this machine.
#
# Environment:
#   CARGO_TARGET_DIR  folder of the build output (default: target/ of this tree)
#   IMAGE             name of the image (default: localhost/stoker)
set -euo pipefail
# The modes of files are part of the image.
umask 022

zig=0.14.1 zigbuild=0.24.1 cyclonedx=0.5.9
name=${IMAGE:-localhost/stoker}

die() {
    echo "image: $*" >&2
    exit 1
}

architectures=()
while (($#)); do
    case $1 in
        --arch)
            [[ ${2-} == amd64 || ${2-} == arm64 ]] || die "--arch wants amd64 or arm64, not \"${2-}\""
            architectures+=("$2")
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

# The folder of each tool contains its version, so a new version is installed beside the old one. A debug build of a tool
# takes half of the time.
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
for architecture in "${architectures[@]}"; do
    case $architecture in
        amd64) triple=x86_64-unknown-linux-musl ;;
        arm64) triple=aarch64-unknown-linux-musl ;;
    esac
    rustup --quiet target add "$triple"
    # The build script compiles the built-in plugins for the architecture of the image.
    cargo zigbuild --release --locked -p stoker --bin stoker --no-default-features --features cross --target "$triple"

    files=$image/$architecture
    mkdir -p "$files/usr/bin" "$files/etc/ssl/certs"
    install -m 755 "$target/$triple/release/stoker" "$files/usr/bin/stoker"
    install -m 644 "$certificates" "$files/etc/ssl/certs/ca-certificates.crt"
    # Programs that look up the user's name, such as ssh, find one.
    echo 'stoker:x:65532:65532::/:/sbin/nologin' >"$files/etc/passwd"
    echo 'stoker:x:65532:' >"$files/etc/group"

    container=$(build from --arch "$architecture" scratch)
    build copy --quiet "$container" "$files" / >/dev/null
    build config \
        --arch "$architecture" --os linux --user 65532:65532 --env PATH=/usr/bin \
        --entrypoint '["stoker"]' --cmd run --port 9444 --port 8081 \
        --label org.opencontainers.image.title=stoker \
        --label org.opencontainers.image.description='Webhook receiver and controller of GatewaySync objects' \
        --label org.opencontainers.image.version="$version" \
        --label org.opencontainers.image.revision="$revision" \
        --label org.opencontainers.image.licenses=Apache-2.0 \
        "$container"
    id=$(build commit --quiet --rm --identity-label=false --timestamp "$SOURCE_DATE_EPOCH" \
        "$container" "$name:$version-$architecture")
    archive=$image/stoker-$architecture.oci.tar
    build push --quiet "$id" "oci-archive:$archive:$name:$version-$architecture"
    build push --quiet "$id" "docker-archive:${archive/.oci./.docker.}:$name:$version-$architecture"
    printf 'image: %s, %s bytes, program %s bytes\n' \
        "$archive" "$(stat -c %s "$archive")" "$(stat -c %s "$files/usr/bin/stoker")" >&2

    host/image/sbom.py "$triple" "$image/stoker-$architecture.cdx.json"
done
