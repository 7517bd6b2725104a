#!/usr/bin/env python3
"""Prints the unpacked size of an image in bytes, and fails if it is larger than a limit.

    size.py ARCHIVE [LIMIT]

The archive has the image layout of the Open Container Initiative. Links take no space, and a file counts in each layer
that has it.
"""

import gzip
import io
import json
import sys
import tarfile


def blob(archive, descriptor):
    return archive.extractfile(f"blobs/{descriptor['digest'].replace(':', '/')}").read()


def unpacked(path):
    """The size of the files in all layers."""
    with tarfile.open(path) as archive:
        (found,) = json.load(archive.extractfile("index.json"))["manifests"]
        manifest = json.loads(blob(archive, found))
        size = 0
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(archive, layer)))) as files:
                size += sum(file.size for file in files if file.isreg())
    return size


def main():
    path, *limit = sys.argv[1:]
    size = unpacked(path)
    print(size)
    if limit and size > int(limit[0]):
        sys.exit(f"image: {path} has {size} bytes unpacked, and may have {int(limit[0])}")


if __name__ == "__main__":
    main()
