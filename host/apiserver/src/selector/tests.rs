use serde_json::json;

use super::*;

fn labelled(selector: &str) -> bool {
    let object = json!({ "metadata": { "labels": { "app": "web", "tier": "3", "a.io/b": "" } } });
    LabelSelector::parse(selector)
        .expect(selector)
        .matches(&object)
}

#[test]
fn label_requirements_hold_or_not() {
    for selector in [
        "",
        "app=web",
        "app==web,tier=3",
        "app != db",
        "app in (db, web)",
        "app notin (db)",
        "other notin (db)",
        "app",
        "!other",
        "a.io/b=",
        "tier>2",
        "tier<4,app in (web)",
        "other!=x",
    ] {
        assert!(labelled(selector), "{selector}");
    }
    for selector in [
        "app=db",
        "other",
        "!app",
        "app notin (web)",
        "app in (db)",
        "tier>3",
        "other=x",
    ] {
        assert!(!labelled(selector), "{selector}");
    }
}

#[test]
fn broken_label_selectors_are_bad_requests() {
    for selector in [
        "=x",
        "app in web",
        "app in (web",
        "app web",
        "app=web,",
        "a!b",
        "tier>x",
    ] {
        let failure = LabelSelector::parse(selector).expect_err(selector);
        assert_eq!(failure.code, 400, "{selector}");
    }
}

#[test]
fn fields_are_selected_by_known_paths_only() {
    let object =
        json!({ "metadata": { "name": "a" }, "involvedObject": { "kind": "GatewaySync" } });
    let known = ["involvedObject.kind"];
    let matches = |text: &str| {
        FieldSelector::parse(text, &known, str::to_owned)
            .expect(text)
            .matches(&object)
    };
    assert!(matches("metadata.name=a,involvedObject.kind==GatewaySync"));
    assert!(matches("metadata.namespace=,metadata.name!=b"));
    assert!(!matches("metadata.name=b"));
    assert_eq!(
        FieldSelector::parse("spec.x=1", &known, str::to_owned)
            .expect_err("unknown")
            .code,
        400
    );
    assert_eq!(
        FieldSelector::parse("metadata.name", &known, str::to_owned)
            .expect_err("no operator")
            .code,
        400
    );
}
