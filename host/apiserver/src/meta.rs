//! The rules of names, labels and annotations.

use serde_json::Value;
use uuid::Uuid;

use crate::status::Cause;

/// The maximum size of all annotations of one object together, in bytes.
const ANNOTATION_LIMIT: usize = 256 * 1024;
const SUBDOMAIN_LIMIT: usize = 253;
const LABEL_LIMIT: usize = 63;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
    and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// The form of the names of a resource's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameKind {
    /// Labels, separated by dots.
    Subdomain,
    /// One label, as for namespaces.
    Label,
}

/// Checks the metadata of an object before it is stored.
pub(crate) fn check(object: &Value, names: NameKind) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    let name = &metadata["name"];
    match name.as_str().unwrap_or_default() {
        "" => causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        )),
        text => {
            if let Some(why) = wrong_name(text, names) {
                causes.push(Cause::invalid("metadata.name", name, &why));
            }
        }
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        check_key(key, "metadata.labels", &mut causes);
        let text = value.as_str().unwrap_or_default();
        if text.len() > LABEL_LIMIT {
            let why = format!("must be no more than {LABEL_LIMIT} bytes");
            causes.push(Cause::invalid("metadata.labels", value, &why));
        } else if !text.is_empty() && !is_word(text) {
            causes.push(Cause::invalid("metadata.labels", value, VALUE));
        }
    }
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        check_key(
            &key.to_ascii_lowercase(),
            "metadata.annotations",
            &mut causes,
        );
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATION_LIMIT {
        causes.push(Cause::too_long(
            "metadata.annotations",
            ANNOTATION_LIMIT as u64,
        ));
    }
    check_owners(&metadata["ownerReferences"], &mut causes);
    for finalizer in metadata["finalizers"].as_array().into_iter().flatten() {
        check_key(
            finalizer.as_str().unwrap_or_default(),
            "metadata.finalizers",
            &mut causes,
        );
    }
    causes
}

fn check_owners(references: &Value, causes: &mut Vec<Cause>) {
    for (index, owner) in references.as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let at = format!("metadata.ownerReferences[{index}].{field}");
                causes.push(Cause::invalid(at, &"".into(), "must not be empty"));
            }
        }
    }
    let owners = references.as_array().into_iter().flatten();
    if owners.filter(|owner| owner["controller"] == true).count() > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", references, why));
    }
}

fn wrong_name(name: &str, kind: NameKind) -> Option<String> {
    let (limit, well_formed, why) = match kind {
        NameKind::Subdomain => (SUBDOMAIN_LIMIT, name.split('.').all(is_label), SUBDOMAIN),
        NameKind::Label => (LABEL_LIMIT, is_label(name), LABEL),
    };
    if name.len() > limit {
        return Some(format!("must be no more than {limit} bytes"));
    }
    (!well_formed).then(|| why.to_owned())
}

fn check_key(key: &str, field: &str, causes: &mut Vec<Cause>) {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let value = Value::from(key);
    if let Some(prefix) = prefix
        && !prefix.split('.').all(is_label)
    {
        causes.push(Cause::invalid(
            field,
            &value,
            &format!("prefix part {SUBDOMAIN}"),
        ));
    }
    if name.len() > LABEL_LIMIT {
        let why = format!("name part must be no more than {LABEL_LIMIT} bytes");
        causes.push(Cause::invalid(field, &value, &why));
    } else if !is_word(name) {
        causes.push(Cause::invalid(field, &value, KEY));
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_word(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let outer = |letter: char| letter.is_ascii_alphanumeric();
    text.bytes().all(inner) && text.starts_with(outer) && text.ends_with(outer)
}

/// A name with a random suffix, which is very likely unused.
pub(crate) fn generated(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    const ADDED: usize = 5;
    let end = prefix.floor_char_boundary(SUBDOMAIN_LIMIT - ADDED);
    let random = Uuid::new_v4();
    let letters = random.as_bytes().iter().take(ADDED);
    let added = letters.map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    prefix[..end].chars().chain(added).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(metadata: &Value) -> Vec<String> {
        let causes = check(&json!({ "metadata": metadata }), NameKind::Subdomain);
        causes.into_iter().map(|cause| cause.field).collect()
    }

    #[test]
    fn names_are_subdomains() {
        for name in ["x", "a.b-c", "0"] {
            assert!(fields(&json!({ "name": name })).is_empty(), "{name}");
        }
        for name in ["", "X", "-a", "a-", "a..b", "a_b", "ä", &"a".repeat(254)] {
            assert_eq!(
                fields(&json!({ "name": name })),
                ["metadata.name"],
                "{name}"
            );
        }
        assert_eq!(wrong_name("a.b", NameKind::Label).as_deref(), Some(LABEL));
    }

    #[test]
    fn labels_and_annotations_have_keys_of_words() {
        let good = json!({ "name": "x", "labels": { "a.io/B_c": "", "d": "E-f" }, "annotations": { "A.io/b": "any text" } });
        assert!(fields(&good).is_empty());
        let bad =
            json!({ "name": "x", "labels": { "a b": "x", "c": "-" }, "annotations": { "/": "" } });
        assert_eq!(
            fields(&bad),
            [
                "metadata.labels",
                "metadata.labels",
                "metadata.annotations",
                "metadata.annotations"
            ]
        );
        let long = json!({ "name": "x", "annotations": { "a": "x".repeat(ANNOTATION_LIMIT) } });
        assert_eq!(fields(&long), ["metadata.annotations"]);
    }

    #[test]
    fn generated_names_keep_their_prefix() {
        let name = generated("x-");
        assert_eq!(name.len(), 7);
        assert!(name.starts_with("x-") && name != generated("x-"));
    }
}
