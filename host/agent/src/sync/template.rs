//! The templates in profiles and files, and what they know about the gateway.

mod budget;
mod functions;
mod print;
mod printf;
mod syntax;
mod tree;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::{MissingKey, Template, TemplateError as Cause, ToValue as _, Value};

use budget::Budget;
use syntax::SyntaxError;
use tree::TreeError;

/// The label with the ordinal of a pod in its `StatefulSet`.
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
/// The largest result of one template, in bytes.
const MAX_OUTPUT: usize = 16 << 20;
/// The largest number of iterations in one template.
const MAX_ITERATIONS: u64 = 1_000_000;
/// The name of a template among those that it defines.
const ROOT: &str = "\0";

/// What the templates of a gateway know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The name of the gateway: `GatewayName`.
    pub gateway_name: String,
    /// The name of its pod: `PodName`.
    pub pod_name: String,
    /// The namespace of the object: `Namespace`.
    pub namespace: String,
    /// The ref that the commit was found by: `Ref`.
    pub git_ref: String,
    /// The id of the commit: `Commit`.
    pub commit: String,
    /// The name of the object: `CRName`.
    pub cr_name: String,
    /// The ordinal of the pod: `PodOrdinal`.
    pub pod_ordinal: i64,
    /// The labels of the pod: `Labels`.
    pub labels: BTreeMap<String, String>,
    /// The variables of the profile: `Vars`.
    pub vars: BTreeMap<String, String>,
}

impl Context {
    /// Returns the ordinal of a pod: the label that Kubernetes sets on the pods of a `StatefulSet`, or the number at the
    /// end of the pod's name, or 0.
    #[must_use]
    pub fn pod_ordinal(labels: &BTreeMap<String, String>, pod_name: &str) -> i64 {
        let label = labels.get(POD_INDEX).and_then(|label| label.parse().ok());
        let end = pod_name.rsplit('-').next().unwrap_or(pod_name);
        label.or_else(|| end.parse().ok()).unwrap_or(0)
    }

    fn to_value(&self) -> Value {
        let fields = [
            ("GatewayName", self.gateway_name.to_value()),
            ("PodName", self.pod_name.to_value()),
            ("Namespace", self.namespace.to_value()),
            ("Ref", self.git_ref.to_value()),
            ("Commit", self.commit.to_value()),
            ("CRName", self.cr_name.to_value()),
            ("PodOrdinal", Value::Int(self.pod_ordinal)),
            ("Labels", texts(&self.labels)),
            ("Vars", texts(&self.vars)),
        ];
        let fields = fields.map(|(name, value)| (Arc::from(name), value));
        Value::Map(Arc::new(fields.into()))
    }
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    let entries = map.iter();
    let entries = entries.map(|(key, value)| (Arc::from(key.as_str()), value.to_value()));
    Value::Map(Arc::new(entries.collect()))
}

/// A template cannot be parsed or executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("parsing template {text:?}: {cause}")]
    Syntax { text: String, cause: SyntaxError },
    #[error("parsing template {text:?}: {cause}")]
    Parse { text: String, cause: TreeError },
    #[error("executing template {text:?}: {cause}")]
    Execute { text: String, cause: Cause },
    #[error("the result of a template is larger than {MAX_OUTPUT} bytes")]
    TooLarge,
}

/// Renders templates with one context.
pub(crate) struct Renderer {
    context: Value,
}

impl Renderer {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: context.to_value(),
        }
    }

    /// Renders a template. Its functions are those of Go's `text/template`, and a missing key is an error. A text
    /// without `{{` is returned as it is.
    pub(crate) fn render<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, TemplateError> {
        if !text.contains("{{") {
            return Ok(Cow::Borrowed(text));
        }
        let normal = syntax::normalise(text).map_err(|cause| TemplateError::Syntax {
            text: excerpt(text),
            cause,
        })?;
        let (root, trees) = tree::read(&normal).map_err(|cause| TemplateError::Parse {
            text: excerpt(text),
            cause,
        })?;
        let template = Template::new(ROOT)
            .missing_key(MissingKey::Error)
            .max_range_iters(MAX_ITERATIONS);
        let template = functions::add(template, &Arc::new(Budget::default()));
        let template = trees
            .into_iter()
            .fold(template, |template, (name, tree)| {
                template.add_parse_tree(&name, tree)
            })
            .add_parse_tree(ROOT, root);
        let mut output = Output::default();
        let result = template.execute_template_fmt(&mut output, ROOT, &self.context);
        if output.is_full {
            return Err(TemplateError::TooLarge);
        }
        result.map_err(|cause| TemplateError::Execute {
            text: excerpt(text),
            cause,
        })?;
        Ok(Cow::Owned(output.text))
    }
}

/// The beginning of a template for an error message.
fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}

/// A text of a limited size.
#[derive(Default)]
struct Output {
    text: String,
    is_full: bool,
}

impl fmt::Write for Output {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > MAX_OUTPUT {
            self.is_full = true;
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        let entries = entries.iter();
        entries
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn context() -> Context {
        Context {
            gateway_name: "blue".to_owned(),
            pod_name: "gw-2".to_owned(),
            namespace: "demo".to_owned(),
            git_ref: "main".to_owned(),
            commit: "1fba38c0123456789".to_owned(),
            cr_name: "cr".to_owned(),
            pod_ordinal: 2,
            labels: map(&[("site", "north"), ("app.kubernetes.io/name", "blue")]),
            vars: map(&[
                ("env", "prod"),
                ("empty", ""),
                ("literal", "{{.GatewayName}}"),
            ]),
        }
    }

    #[test]
    fn templates_have_the_results_of_go() {
        let renderer = Renderer::new(&context());
        for (template, expected) in [
            ("services/{{ .GatewayName }}/x", "services/blue/x"),
            (
                "{{.PodName}} {{.Namespace}} {{.Ref}} {{.Commit}} {{.CRName}}",
                "gw-2 demo main 1fba38c0123456789 cr",
            ),
            ("{{.Vars.env}}-{{.PodOrdinal}}", "prod-2"),
            (r#"{{index .Labels "app.kubernetes.io/name"}}"#, "blue"),
            (r#"{{index .Vars "nope"}}"#, ""),
            (r#"{{if eq .Vars.env "prod"}}P{{else}}D{{end}}"#, "P"),
            ("{{if .Vars.empty}}a{{else}}b{{end}}", "b"),
            (r#"{{printf "%03d" .PodOrdinal}}"#, "002"),
            ("{{slice .Commit 0 7}}", "1fba38c"),
            (r#"{{.Commit | printf "%.7s"}}"#, "1fba38c"),
            ("a {{- .GatewayName -}} b", "ablueb"),
            ("{{/* c */}}x", "x"),
            (
                "{{range $k,$v := .Labels}}{{$k}}={{$v}};{{end}}",
                "app.kubernetes.io/name=blue;site=north;",
            ),
            ("{{.Vars.literal}}", "{{.GatewayName}}"),
            ("}}", "}}"),
            ("{{with .Vars}}{{.env}}{{end}}", "prod"),
            (r#"{{define "x"}}{{.Ref}}{{end}}{{template "x" .}}"#, "main"),
            ("{{len .Vars}}", "3"),
            (r#"{{define "this template"}}x{{end}}y"#, "y"),
            (
                r#"{{define "a"}}1{{end}}{{define "a"}} {{end}}{{template "a"}}"#,
                "1",
            ),
            ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
            ("{{with $x := .Ref}}{{$x}}{{else}}{{$x}}{{end}}", "main"),
            ("{{$k := 0}}{{range $k = 3}}{{end}}{{$k}}", "2"),
            (r#"{{html "a" "<"}}"#, "a&lt;"),
            (r#"{{urlquery "a b" "c/d"}}"#, "a+bc%2Fd"),
            (r#"{{js "a'" 1 2 "b"}}"#, r"a\'1 2b"),
            (r#"{{"<" | html "a"}}{{html}}"#, "a&lt;"),
        ] {
            let found = renderer.render(template);
            assert_eq!(
                found.unwrap_or_else(|error| panic!("{template}: {error}")),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn what_go_refuses_is_an_error() {
        let renderer = Renderer::new(&context());
        for template in [
            "{{.Vars.nope}}",
            "{{.Labels.nope}}",
            "{{if .Labels.nope}}1{{end}}",
            "{{.Nope}}",
            "{{.gatewayname}}",
            "{{.Labels.app.kubernetes.io}}",
            r#"{{define "a"}}{{.Vars}}{{end}}{{template "a"}}"#,
            r#"{{define "a"}}{{$.Vars.env}}{{end}}{{template "a"}}"#,
            "{{(or nil nil).x}}",
            "{{index nil}}",
            r#"{{template "this template"}}"#,
            r#"{{eq .PodOrdinal "2"}}"#,
        ] {
            let error = renderer.render(template).unwrap_err();
            assert!(
                matches!(error, TemplateError::Execute { .. }),
                "{template}: {error}"
            );
        }
        for template in [
            "{{.Vars.my-key}}",
            "{{upper .GatewayName}}",
            r#"{{default "x" .Vars.env}}"#,
            "{{if false}}{{upper .GatewayName}}{{end}}",
            r#"{{define "x"}}{{range .Vars}}{{else}}{{printf "%s" (upper .)}}{{end}}{{end}}"#,
            "{{",
            "{{.GatewayName",
        ] {
            let error = renderer.render(template).unwrap_err();
            assert!(
                matches!(
                    error,
                    TemplateError::Parse { .. } | TemplateError::Syntax { .. }
                ),
                "{template}: {error}"
            );
        }
    }

    #[test]
    fn loops_and_results_are_bounded() {
        let renderer = Renderer::new(&context());
        let endless = "{{range 2000000}}{{end}}";
        assert!(matches!(
            renderer.render(endless),
            Err(TemplateError::Execute { .. })
        ));
        let nested = "{{range 2000}}{{range 2000}}{{end}}{{end}}";
        assert!(matches!(
            renderer.render(nested),
            Err(TemplateError::Execute { .. })
        ));
        let large = r#"{{range 1000}}{{printf "%60000d" 1}}{{end}}"#;
        assert!(matches!(
            renderer.render(large),
            Err(TemplateError::TooLarge)
        ));
        let doubled = (0..60).fold(String::new(), |text, level| {
            let next = level + 1;
            format!(
                r#"{text}{{{{define "{level}"}}}}{{{{template "{next}"}}}}{{{{template "{next}"}}}}{{{{end}}}}"#
            )
        });
        for template in [
            &format!(r#"{doubled}{{{{define "60"}}}}{{{{end}}}}{{{{template "0"}}}}"#),
            r#"{{$s := "aaaaaaaaaaaaaaaa"}}{{range 40}}{{$s = print $s $s}}{{end}}{{len $s}}"#,
            r#"{{$s := "a&aaaaaaaaaaaaaa"}}{{range 40}}{{$s = html $s $s}}{{end}}{{len $s}}"#,
            r#"{{range 999}}{{range 999}}{{printf "%50000d" 1 | len}}{{end}}{{end}}"#,
            r#"{{$s := printf "%999999d" 1}}{{$t := print $s}}{{range 999999}}{{$e := eq $s $t}}{{end}}"#,
            r#"{{$s := printf "%999999d" 1}}{{range 999999}}{{$t := slice $s 1}}{{end}}"#,
            "{{range 999999}}{{if 0}}{{else if and 0 1 2 3 4 5 6 7 8 9}}{{end}}{{end}}",
        ] {
            let error = renderer.render(template);
            assert!(
                matches!(error, Err(TemplateError::Execute { .. })),
                "{template}"
            );
        }
        let recursive = r#"{{define "x"}}{{template "x" .}}{{end}}{{template "x" .}}"#;
        assert!(matches!(
            renderer.render(recursive),
            Err(TemplateError::Execute { .. })
        ));
    }

    #[test]
    fn the_ordinal_is_that_of_the_label_or_of_the_name() {
        for (label, name, expected) in [
            (Some("4"), "gw-2", 4),
            (Some("x"), "gw-2", 2),
            (None, "gw-2", 2),
            (None, "gw-007", 7),
            (None, "gw-7f9c4d5b6-12345", 12345),
            (None, "5", 5),
            (None, "gw", 0),
            (None, "gw-7f9c4d5b6-x7k2p", 0),
            (None, "", 0),
        ] {
            let labels = label.map(|label| (POD_INDEX.to_owned(), label.to_owned()));
            let labels = labels.into_iter().collect();
            assert_eq!(
                Context::pod_ordinal(&labels, name),
                expected,
                "{label:?} {name}"
            );
        }
    }
}
