//! Recognises files that are not components: other formats, and the usual ways in which a binary file is damaged in
//! transfer, each with advice.

use wasmparser::BinaryReaderError;

use super::super::error::LoadError;

/// The magic number of WebAssembly, a version, and a layer: 1 for a component (component model, binary format).
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// The same header of a core module.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// The replacement for each byte that is not UTF-8 when a program reads binary data as text.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

const AS_TEXT: &str = "it was written as text, which replaced or removed bytes: copy it as binary data; in a ConfigMap, use `binaryData`, which `kubectl create configmap --from-file` does, and base64 in a template";
const LINE_ENDINGS: &str = "its line endings were converted, as of text: copy it as binary data, and mark *.wasm as binary in .gitattributes";

/// The first bytes of other formats.
const FORMATS: [(&[u8], &str); 12] = [
    (b"\x1f\x8b", "it is compressed with gzip: decompress it"),
    (
        b"PK\x03\x04",
        "it is a ZIP archive: take the component out of it",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "it is compressed with Zstandard: decompress it",
    ),
    (b"\xfd7zXZ\0", "it is compressed with xz: decompress it"),
    (b"BZh", "it is compressed with bzip2: decompress it"),
    (
        b"\x7fELF",
        "it is a program or a compiled module for one kind of processor: use the component that it was made of",
    ),
    (
        b"\xcf\xfa\xed\xfe",
        "it is a program for macOS: build the plugin as a WebAssembly component",
    ),
    (
        b"MZ",
        "it is a program for Windows: build the plugin as a WebAssembly component",
    ),
    (
        b"!<arch>",
        "it is a static library: build the plugin as a WebAssembly component",
    ),
    (
        b"BC\xc0\xde",
        "it is LLVM bitcode: build the plugin as a WebAssembly component",
    ),
    (
        b"\xff\xfe",
        "it is UTF-16 text, which PowerShell writes with `>`: write binary data to the file",
    ),
    (b"%PDF", "it is a PDF document"),
];

/// The first characters of other texts, in lower case.
const TEXTS: [(&str, &str); 13] = [
    (
        "version https://git-lfs.github.com/spec/",
        "it is a pointer of Git LFS, not the file: run `git lfs pull`",
    ),
    (
        "<",
        "it is an HTML or XML page, often an error page of a download: download the file itself",
    ),
    ("{{", "it is a template that was not rendered"),
    (
        "{",
        "it is JSON, often the error of a download: download the file itself",
    ),
    (
        "[",
        "it is JSON, often the error of a download: download the file itself",
    ),
    (
        "(module",
        "it is WebAssembly text, not binary: convert it with `wasm-tools parse`, and make a component of it",
    ),
    (
        "(component",
        "it is WebAssembly text, not binary: convert it with `wasm-tools parse`",
    ),
    (
        ";;",
        "it is WebAssembly text, not binary: convert it with `wasm-tools parse`",
    ),
    ("package ", "it is an interface definition, not a component"),
    ("data:", "it is a data URL: decode what follows the comma"),
    (
        "agfzb",
        "it is base64 text: decode it; in a ConfigMap, base64 belongs in `binaryData`, encoded once",
    ),
    (
        "h4si",
        "it is base64 text of a gzip file: decode and decompress it",
    ),
    (
        "0061736d",
        "it is hexadecimal text: write it as binary data",
    ),
];

/// Refuses a file that does not start with the header of a component.
pub(super) fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.starts_with(COMPONENT) {
        return Ok(());
    }
    if bytes.starts_with(MODULE) {
        return Err(LoadError::CoreModule);
    }
    Err(LoadError::NotWasm { what: kind(bytes) })
}

/// The reason why a file with the header of a component is invalid.
pub(super) fn invalid(bytes: &[u8], source: BinaryReaderError) -> LoadError {
    let what = if was_text(bytes) {
        AS_TEXT
    } else if source.message().contains("unexpected end") {
        "it ends too early: copy or download it again"
    } else if has_converted_line_endings(bytes) {
        LINE_ENDINGS
    } else {
        return LoadError::Invalid(source);
    };
    LoadError::Damaged { what, source }
}

fn kind(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "it is empty".to_owned();
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.len() < COMPONENT.len() && COMPONENT.starts_with(bytes) {
        return "it ends too early: copy or download it again".to_owned();
    }
    // The header without its zero bytes, or with the carriage return converted as the end of a line.
    if bytes.starts_with(b"asm")
        || bytes.starts_with(b"\0asm\n")
        || bytes.starts_with(b"\xef\xbf\xbdasm")
    {
        return AS_TEXT.to_owned();
    }
    if let Some([_, _, _, _, version @ ..]) = bytes.starts_with(b"\0asm").then_some(bytes) {
        let version = hex::encode(&version[..version.len().min(4)]);
        return format!(
            "it is WebAssembly of a version or layer that is not known here: {version}"
        );
    }
    if let Some((_, what)) = FORMATS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*what).to_owned();
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "it is a tar archive: take the component out of it".to_owned();
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return "all its bytes are zero: copy or download it again".to_owned();
    }
    let text = std::str::from_utf8(bytes).ok();
    let Some(text) = text.filter(|text| !text.contains('\0')) else {
        let start = hex::encode(&bytes[..bytes.len().min(8)]);
        return format!("it starts with the bytes {start}");
    };
    let start = text.trim_start().get(..64).unwrap_or(text.trim_start());
    let start = start.to_ascii_lowercase();
    let known = TEXTS.iter().find(|(first, _)| start.starts_with(first));
    let what = known.map_or("it is text: write it as binary data", |(_, what)| what);
    what.to_owned()
}

/// Whether a program read the file as text and wrote it again. Nearly every section of a component has bytes that are
/// not UTF-8, so valid UTF-8 with replacement characters is not a coincidence.
fn was_text(bytes: &[u8]) -> bool {
    let has_replacements = bytes
        .windows(REPLACEMENT.len())
        .any(|part| part == REPLACEMENT);
    has_replacements && std::str::from_utf8(bytes).is_ok()
}

/// Whether there are several line feeds, and each has a carriage return before it.
fn has_converted_line_endings(bytes: &[u8]) -> bool {
    let feeds = bytes.split(|byte| *byte == b'\n').count() - 1;
    let pairs = bytes.windows(2).filter(|pair| *pair == b"\r\n").count();
    feeds >= 4 && feeds == pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        check_header(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_a_file_is_instead_is_named() {
        let cases: [(&[u8], &str); 22] = [
            (b"", "it is empty"),
            (&[0; 4096], "all its bytes are zero"),
            (b"\0", "ends too early"),
            (b"\0asm\x0d\0", "ends too early"),
            (b"\0asm\x01\0\0\0", "core WebAssembly module"),
            (b"\0asm\x0c\0\x01\0", "0c000100"),
            (b"\0asm\n\0\x01\0", "binaryData"),
            (b"asm\x0d\x01", "binaryData"),
            (b"AGFzbQ0AAQA=", "base64 text"),
            (b" \n AGFzbQ0AAQA=", "base64 text"),
            (b"data:application/wasm;base64,AGFzbQ0AAQA=", "data URL"),
            (b"H4sIAAAAAAAAA", "gzip"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"PK\x03\x04..", "ZIP"),
            (b"<!DOCTYPE html><html>", "HTML"),
            (b"\xef\xbb\xbf<html>", "HTML"),
            (b"{\"message\": \"Not Found\"}", "JSON"),
            (b"(module (func))", "wasm-tools parse"),
            (b";; a comment\n(component)", "wasm-tools parse"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
                "git lfs pull",
            ),
            (b"package stoker:detect@0.1.0;", "interface definition"),
            (b"\xff\xfe\0a", "UTF-16"),
        ];
        for (bytes, words) in cases {
            let why = refusal(bytes);
            assert!(why.contains(words), "{bytes:?}: {why}");
        }
        assert!(refusal("é".repeat(40).as_bytes()).contains("it is text"));
        assert!(refusal(b"\x80\x81\x82").contains("808182"));
        assert!(refusal(b"ab\0\0").contains("61620000"));
    }

    #[test]
    fn a_component_that_was_damaged_as_text_is_recognised() {
        let binary = [
            COMPONENT,
            &[0, 200, 1, 4, b'n', b'a', b'm', b'e'],
            &[b'x'; 195],
        ]
        .concat();
        let text = String::from_utf8_lossy(&binary).into_owned();
        let why = super::super::inspect(text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(why.contains("binaryData"), "{why}");
        let why = super::super::inspect(&binary[..100])
            .unwrap_err()
            .to_string();
        assert!(why.contains("ends too early"), "{why}");
    }
}
