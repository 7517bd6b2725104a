//! Removes the custom sections of a component, such as names and producers.

/// The magic number, the version and the layer.
const HEADER_BYTES: usize = 8;
/// The position of the layer in the header: 1 for a component.
const LAYER: usize = 6;
/// Numbers of sections: of every layer, and of a component (component model, binary format).
const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// Returns the binary without its custom sections, at any depth, or `None` if it is not in the binary format. The custom
/// sections are an eighth of a small plugin.
pub(super) fn custom_sections(binary: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = binary.split_at_checked(HEADER_BYTES)?;
    let is_component = header.get(LAYER) == Some(&1);
    let mut stripped = header.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = number(after)?;
        let (content, after) = after.split_at_checked(size)?;
        rest = after;
        match id {
            CUSTOM => {}
            CORE_MODULE | COMPONENT if is_component => {
                push_section(&mut stripped, id, &custom_sections(content)?);
            }
            _ => push_section(&mut stripped, id, content),
        }
    }
    Some(stripped)
}

fn push_section(binary: &mut Vec<u8>, id: u8, content: &[u8]) {
    binary.push(id);
    let mut left = content.len();
    loop {
        let low = u8::try_from(left & 0x7f).unwrap_or_default();
        left >>= 7;
        if left == 0 {
            binary.push(low);
            break;
        }
        binary.push(low | 0x80);
    }
    binary.extend(content);
}

/// Parses a number in LEB128, and returns it with the bytes after it.
fn number(mut bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((number, bytes));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(layer: u8, sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut binary = vec![0, b'a', b's', b'm', 1, 0, layer, 0];
        for (id, content) in sections {
            push_section(&mut binary, *id, content);
        }
        binary
    }

    #[test]
    fn custom_sections_are_removed() {
        let long = [7; 300];
        // Section 4 of a module holds its tables, not a component.
        let module = binary(0, &[(CUSTOM, &[4, 1, 2]), (4, &[1, 2]), (10, &long)]);
        let bare = binary(0, &[(4, &[1, 2]), (10, &long)]);
        let inner = binary(1, &[(CUSTOM, &long)]);
        let component = [
            (CORE_MODULE, module.as_slice()),
            (COMPONENT, &inner),
            (CUSTOM, &long),
            (11, &[9]),
        ];
        let expected = [
            (CORE_MODULE, bare.as_slice()),
            (COMPONENT, &binary(1, &[])),
            (11, &[9]),
        ];
        assert_eq!(
            custom_sections(&binary(1, &component)),
            Some(binary(1, &expected))
        );
    }

    #[test]
    fn a_truncated_component_is_not_stripped() {
        let whole = binary(1, &[(11, &[9])]);
        assert!((1..3).all(|cut| custom_sections(&whole[..whole.len() - cut]).is_none()));
        assert_eq!(custom_sections(b"asm"), None);
    }
}
