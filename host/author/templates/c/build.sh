#!/bin/sh
# Compiles the plugin with clang and wasm-ld if they are installed, and otherwise with the compiler in the Python package
# ziglang.
set -eu

if command -v clang >/dev/null && command -v wasm-ld >/dev/null; then
  compiler="clang --target=wasm32-unknown-unknown"
else
  if ! .tools/bin/python -c 'import ziglang' 2>/dev/null; then
    python3 -m venv .tools
    .tools/bin/pip install --quiet --disable-pip-version-check ziglang==0.17.1
  fi
  compiler=".tools/bin/python -m ziglang cc -target wasm32-freestanding"
fi

mkdir -p build
# Without a C library of the system, the module imports nothing from an operating system. The default stack would be most
# of the memory that a host resets after each call.
$compiler -std=c17 -Os -flto -Wall -Wextra -Wno-unused-parameter -ffreestanding -nostdlib -Ilibc \
  -Wl,--no-entry -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=65536 \
  -o build/plugin.wasm detect.c component.c bindings/detector.c libc/libc.c
