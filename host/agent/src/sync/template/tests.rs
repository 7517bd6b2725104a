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
fn errors_name_the_line() {
    let renderer = Renderer::new(&context());
    let start = "# a file\n{{if true}}\n\n{{- /* c\nd */ -}}\n";
    let define = "{{define \"x\"}}\n  {{.nope}}\n{{end}}\n";
    for (template, expected) in [
        (
            "{{.Vars.nope}}",
            r#"executing template "{{.Vars.nope}}": line 1: map has no entry for key: nope"#,
        ),
        (
            &*format!("{start}{{{{end}}}}\n  a: {{{{.Vars.sitename}}}}\n{{{{.Ref}}}}"),
            r#"executing template "a: {{.Vars.sitename}}": line 7: map has no entry for key: sitename"#,
        ),
        ("{{if\n.Ref}}{{else\nif .Vars.nope}}\n{{else}}{{end}}", ""),
        (
            "{{range 3}}\n{{if eq . 2}}\n{{slice $.Ref 9}}{{end}}{{end}}",
            r#"executing template "{{slice $.Ref 9}}{{end}}{{end}}": line 3: "#,
        ),
        (
            &format!("{define}\n{{{{template \"x\" .Vars}}}}"),
            r#"executing template "{{.nope}}": line 2: map has no entry for key: nope"#,
        ),
        (
            "a\n{{with .Vars}}\n{{upper .Ref}}{{end}}",
            r#"parsing template "{{upper .Ref}}{{end}}": line 3: undefined function: upper"#,
        ),
        (
            "a\n{{.Ref}}\n{{$x}}",
            r#"parsing template "{{$x}}": line 3: undefined variable: $x"#,
        ),
        (
            "a\n{{.Ref}}\n{{.Ref)}}",
            r#"parsing template "{{.Ref)}}": line 3, column 7: "#,
        ),
        (
            "a\nb {{end}}",
            r#"parsing template "b {{end}}": line 2: unexpected {{end}}"#,
        ),
    ] {
        let found = renderer.render(template).map_err(|error| error.to_string());
        match found {
            Ok(_) => assert_eq!(expected, "", "{template}"),
            Err(error) => {
                assert!(
                    !expected.is_empty() && error.starts_with(expected),
                    "{error}"
                );
            }
        }
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
