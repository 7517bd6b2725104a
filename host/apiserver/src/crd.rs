//! Custom resource definitions: the resources that they define, and their checks.

use serde_json::{Value, json};

use crate::builtin;
use crate::resource::{GroupResource, Resource, Rules, View};
use crate::schema::{Refusal, Schema};
use crate::status::{Cause, Failure};
use crate::table::{Cell, Column, JsonPath, PathError};
use crate::time;

pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";
/// The finalizer that keeps a definition until all objects of its kind are removed.
pub(crate) const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Sets the names that a definition omits, and its status.
pub(crate) fn fill(definition: &mut Value, old: Option<&Value>) {
    let names = &mut definition["spec"]["names"];
    if let Some(kind) = names["kind"].as_str().map(ToOwned::to_owned) {
        if names["singular"].is_null() {
            names["singular"] = kind.to_lowercase().into();
        }
        if names["listKind"].is_null() {
            names["listKind"] = format!("{kind}List").into();
        }
    }
    let names = names.clone();
    if definition["spec"]["conversion"].is_null() {
        definition["spec"]["conversion"] = json!({ "strategy": "None" });
    }
    if old.is_none() {
        definition["status"] = json!({ "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ] });
    }
    let mut stored: Vec<Value> = definition["status"]["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for version in definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if version["storage"] == true && !stored.contains(&version["name"]) {
            stored.push(version["name"].clone());
        }
    }
    definition["status"]["acceptedNames"] = names;
    definition["status"]["storedVersions"] = stored.into();
}

/// A condition that is true from now on.
pub(crate) fn condition(kind: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": time::now() })
}

/// Returns the name under which the objects of a definition are stored.
pub(crate) fn defines(definition: &Value) -> GroupResource {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &definition["spec"];
    GroupResource {
        group: text(&spec["group"]),
        plural: text(&spec["names"]["plural"]),
    }
}

/// Returns the resources that a definition defines, one for each served version.
pub(crate) fn resources(definition: &Value) -> Result<Vec<Resource>, Failure> {
    check(definition)?;
    let versions = definition["spec"]["versions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let served = versions
        .iter()
        .enumerate()
        .filter(|(_, version)| version["served"] == true);
    served
        .map(|(index, version)| resource(definition, version, index))
        .collect()
}

fn invalid(definition: &Value, causes: &[Cause]) -> Failure {
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    Failure::invalid(GROUP, "CustomResourceDefinition", name, causes)
}

fn check(definition: &Value) -> Result<(), Failure> {
    let spec = &definition["spec"];
    check_implemented(spec)?;
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    let defined = defines(definition);
    let expected = format!("{}.{}", defined.plural, defined.group);
    let mut causes = Vec::new();
    if name != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    if !defined.group.contains('.') {
        let why = "should be a domain with at least one dot";
        causes.push(Cause::invalid("spec.group", &json!(defined.group), why));
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &json!("versions"), why));
    }
    if spec["preserveUnknownFields"] == true {
        let why = "must be false in order to use defaults in the schema";
        causes.push(Cause::invalid(
            "spec.preserveUnknownFields",
            &json!(true),
            why,
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        if version["schema"]["openAPIV3Schema"].is_null() {
            let at = format!("spec.versions[{index}].schema.openAPIV3Schema");
            causes.push(Cause::required(at, "schemas are required"));
        }
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(invalid(definition, &causes))
    }
}

/// Features of Kubernetes that this server does not implement.
fn check_implemented(spec: &Value) -> Result<(), Failure> {
    let refuse = |what: String| Err(Failure::not_implemented(what));
    let strategy = &spec["conversion"]["strategy"];
    if !strategy.is_null() && strategy != "None" {
        return refuse(format!(
            "the conversion strategy {strategy} (spec.conversion.strategy)"
        ));
    }
    for (index, version) in spec["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let at = format!("spec.versions[{index}]");
        if !version["subresources"]["scale"].is_null() {
            return refuse(format!("the scale subresource ({at}.subresources.scale)"));
        }
        if !version["selectableFields"].is_null() {
            return refuse(format!("selectable fields ({at}.selectableFields)"));
        }
    }
    Ok(())
}

fn resource(definition: &Value, version: &Value, index: usize) -> Result<Resource, Failure> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(&text).collect()
    };
    let at = format!("spec.versions[{index}].schema.openAPIV3Schema");
    let meta = builtin::metadata()
        .map_err(|error| Failure::new(500, "InternalError", error.to_string()))?;
    let source = builtin::with_envelope(version["schema"]["openAPIV3Schema"].clone(), &meta);
    let schema = Schema::compile(&source, &at).map_err(|refusal| match refusal {
        Refusal::Unimplemented(what) => Failure::not_implemented(what),
        Refusal::Invalid { path, why } => {
            invalid(definition, &[Cause::invalid(path, &json!(""), &why)])
        }
    })?;
    let status = !version["subresources"]["status"].is_null();
    Ok(Resource {
        name: defines(definition),
        version: text(&version["name"]),
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        singular: text(&names["singular"]),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        custom: true,
        status,
        rules: Rules {
            generation: true,
            ..Rules::default()
        },
        schema,
        source,
        columns: columns(definition, version, index)?,
        view: View::Plain,
        selectable: Vec::new(),
    })
}

fn columns(definition: &Value, version: &Value, index: usize) -> Result<Vec<Column>, Failure> {
    let mut columns = vec![Column::name()];
    let Some(listed) = version["additionalPrinterColumns"].as_array() else {
        columns.push(Column::age());
        return Ok(columns);
    };
    for (position, column) in listed.iter().enumerate() {
        let text = |field: &str| column[field].as_str().unwrap_or_default().to_owned();
        let path = JsonPath::parse(&text("jsonPath")).map_err(|error| match error {
            PathError::Unimplemented(what) => Failure::not_implemented(what),
            PathError::Invalid(why) => {
                let at =
                    format!("spec.versions[{index}].additionalPrinterColumns[{position}].jsonPath");
                invalid(definition, &[Cause::invalid(at, &column["jsonPath"], &why)])
            }
        })?;
        let cell = if text("type") == "date" {
            Cell::Age(path)
        } else {
            Cell::Path(path)
        };
        columns.push(Column {
            name: text("name"),
            kind: text("type"),
            format: text("format"),
            description: text("description"),
            priority: column["priority"].as_i64().unwrap_or_default(),
            cell,
        });
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Value {
        let mut definition = json!({ "metadata": { "name": "things.example.io" }, "spec": {
            "group": "example.io", "scope": "Namespaced", "names": { "plural": "things", "kind": "Thing" },
            "versions": [{ "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object" } }, "subresources": { "status": {} } }] } });
        fill(&mut definition, None);
        definition
    }

    #[test]
    fn a_definition_is_established_with_its_names() {
        let definition = definition();
        assert_eq!(
            definition["status"]["acceptedNames"]["listKind"],
            "ThingList"
        );
        assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
        assert_eq!(definition["status"]["conditions"][1]["type"], "Established");
        let resources = resources(&definition).expect("resources");
        assert_eq!(resources[0].singular, "thing");
        assert!(resources[0].status && resources[0].namespaced);
        assert_eq!(resources[0].columns.len(), 2);
    }

    #[test]
    fn what_is_not_implemented_is_named() {
        let mut scaled = definition();
        scaled["spec"]["versions"][0]["subresources"]["scale"] = json!({});
        let failure = resources(&scaled).expect_err("a refusal");
        assert_eq!(failure.code, 501);
        assert!(failure.message.contains("scale"), "{}", failure.message);
        let mut ruled = definition();
        ruled["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
            json!([{ "rule": "self == oldSelf" }]);
        assert_eq!(resources(&ruled).expect_err("a refusal").code, 501);
    }

    #[test]
    fn a_wrong_name_is_invalid() {
        let mut definition = definition();
        definition["metadata"]["name"] = "thing.example.io".into();
        let failure = resources(&definition).expect_err("a refusal");
        assert_eq!((failure.code, failure.reason), (422, "Invalid"));
    }
}
