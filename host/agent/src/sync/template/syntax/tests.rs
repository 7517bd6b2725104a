//! Templates and what Go makes of them. The results are those of Go 1.26.

use proptest::prelude::*;

use super::super::{Context, Renderer};
use super::*;

fn render(template: &str) -> Result<String, String> {
    let context = Context {
        gateway_name: "blue".to_owned(),
        labels: [("a", "1"), ("b", "2")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Context::default()
    };
    let rendered = Renderer::new(&context).render(template);
    rendered
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| error.to_string())
}

#[test]
fn comments_and_trim_markers_have_the_results_of_go() {
    for (template, expected) in [
        ("key: a\n{{- /* c */}}\nkey2: b", "key: a\nkey2: b"),
        ("key: a\n{{- /* c */ -}}\nkey2: b", "key: akey2: b"),
        ("key: a\n{{/* c */ -}}\nkey2: b", "key: a\nkey2: b"),
        ("a {{/* c */}} {{- .GatewayName}}", "a blue"),
        ("{{/*\n\n*/}}{{/*}}*/}}x", "x"),
        ("a\u{a0}{{- .GatewayName -}}\u{a0}b", "a\u{a0}blue\u{a0}b"),
        ("a\u{b}{{- .GatewayName -}}\u{c}b", "a\u{b}blue\u{c}b"),
        ("a \t\r\n{{- .GatewayName -}} \t\r\nb", "ablueb"),
        ("{ {{- /* c */ -}} {.GatewayName}}", "{{.GatewayName}}"),
        ("{ {{- .GatewayName -}} }", "{blue}"),
        ("{{- 3}}", "3"),
        ("{{-3}}", "-3"),
        (r#"{{"}}" -}} {{`{{`}}{{'a'}}"#, "}}{{97"),
        ("{{print `a\nb`}}", "a\nb"),
        ("{{if .GatewayName -}} a {{- else -}} b {{- end}} c", "a c"),
        (
            "{{range .Labels}}{{if eq . \"2\"}}{{break}}{{end}}{{.}}{{else}}x{{end}}",
            "1",
        ),
        ("{{if false}}a{{else if false}}b{{else}}c{{end}}d", "cd"),
        (
            "{{with .GatewayName}}{{.}}{{else with .Labels}}b{{end}}",
            "blue",
        ),
        (
            "{{block \"x\" .}}{{if true}}{{.GatewayName}}{{end}}{{end}}",
            "blue",
        ),
    ] {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template:?}");
    }
}

#[test]
fn an_unbalanced_template_is_an_error_with_its_line() {
    for (template, expected) in [
        (
            r#"{"a": "{{.GatewayName}}{{end}}","b": 1}"#,
            "line 1: unexpected {{end}}",
        ),
        ("x\n{{else}}abc", "line 2: unexpected {{else}}"),
        (
            "x{{else if true}}abc{{end}}",
            "line 1: unexpected {{else if true}}",
        ),
        (
            "x\n{{if .GatewayName}}abc\n",
            "line 2: {{if}} has no {{end}}",
        ),
        ("{{define \"x\"}}a", "line 1: {{define}} has no {{end}}"),
        (
            "{{if true}}{{define \"x\"}}a{{end}}{{end}}",
            "line 1: unexpected {{define \"x\"}}",
        ),
        (
            "{{block \"x\" .}}a{{else}}b{{end}}",
            "line 1: unexpected {{else}}",
        ),
        (
            "{{if true}}a{{else}}b{{else}}c{{end}}",
            "line 1: unexpected {{else}}",
        ),
        (
            "{{if true}}a{{else}}b{{else if true}}c{{end}}",
            "line 1: unexpected {{else if true}}",
        ),
        (
            "{{if true}}a{{else with .}}b{{end}}",
            "line 1: unexpected {{else with .}}",
        ),
        (
            "{{range .Labels}}a{{else if true}}b{{end}}",
            "line 1: unexpected {{else if true}}",
        ),
        ("{{if true}}a{{end x}}", "line 1: unexpected {{end x}}"),
        (
            "{{range .Labels}}{{else}}{{break}}{{end}}",
            "line 1: {{break}} outside {{range}}",
        ),
        ("{{continue}}", "line 1: {{continue}} outside {{range}}"),
        (
            "{{range .Labels}}{{block \"x\" .}}{{break}}{{end}}{{end}}",
            "line 1: {{break}} outside {{range}}",
        ),
        ("\n{{/* c", "line 2: the comment is not closed"),
        (
            "{{/* c */ x}}",
            "line 1: the comment ends before the action",
        ),
        ("{{ /* c */}}", "line 1: unexpected '/' in an action"),
        (
            "{{.GatewayName\u{a0}}}",
            "line 1: unexpected '\\u{a0}' in an action",
        ),
        (
            "{{print \"a\nb\"}}",
            "line 1: the text in quotes is not closed",
        ),
        ("{{\n.GatewayName", "line 1: the action is not closed"),
        ("{{.GatewayName}", "line 1: unexpected '}' in an action"),
        (
            "{{.GatewayName\"a\"}}",
            "line 1: unexpected '\"' in an action",
        ),
    ] {
        let error = normalise(template).unwrap_err();
        assert_eq!(error.to_string(), expected, "{template:?}");
    }
}

#[test]
fn literals_have_the_values_of_go() {
    for (literal, expected) in [
        (
            "0x10 0b101 0o17 017 1_000 0x_1f 0_7 0XF -0x10 +5 -0",
            "16 5 15 15 1000 31 7 15 -16 5 0",
        ),
        (
            "1.5 .5 1. 1.e3 08.5 09e1 1e-400 -0.0 1E2 1_0.5",
            "1.5 0.5 1 1000 8.5 90 0 -0 100 10.5",
        ),
        ("0x1p-2 0X1P4", "0.25 16"),
        ("9223372036854775807", "9223372036854775807"),
        (r#""\a\b\f\n\r\t\v\\\"""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\""),
        (
            r#""\x41\101\u00e4\U0001F600\xc3\xa9'""#,
            "AA\u{e4}\u{1f600}\u{e9}'",
        ),
        (
            r#"'a' 'ä' '\n' '\'' '\x41' '\xff' '\377' '\u00e4' '"'"#,
            "97 228 10 39 65 255 255 228 34",
        ),
        ("`a\r\n\\d`", "a\n\\d"),
    ] {
        let template = format!("{{{{print {literal}}}}}");
        assert_eq!(render(&template).as_deref(), Ok(expected), "{template:?}");
    }
}

#[test]
fn what_is_no_literal_of_go_is_an_error() {
    for literal in [
        "08",
        "1e400",
        "-1e400",
        "1__0",
        "1_",
        "5_e1",
        "0x",
        "0b12",
        "1e",
        "0x1.8",
        "1a",
        "1i",
        "99999999999999999999",
        "1+77",
        "8-7",
        "+",
        "++1",
        "..Ref",
        ".Ref(1)",
        r#""a"`b`"#,
        r#""\q""#,
        r#""\d+""#,
        r#""\'""#,
        r#"'\"'"#,
        "''",
        "'ab'",
        r#""\ud800""#,
        r#""\400""#,
        r"'\400'",
        r#""\x4""#,
        r#""\xff""#,
    ] {
        let template = format!("{{{{if false}}}}{{{{print {literal}}}}}{{{{end}}}}");
        assert!(render(&template).is_err(), "{template:?}");
    }
    for template in [
        "{{block \"x\"}}{{end}}",
        "{{block üü .}}{{end}}",
        "{{block é é}}a{{end}}",
        "{{block 日本日 .}}a{{end}}",
        "{{range 2}}{{range 0}}{{else}}{{break}}{{end}}x{{end}}",
    ] {
        assert!(render(template).is_err(), "{template:?}");
    }
}

#[test]
fn the_library_names_the_line_of_the_template() {
    let error = render("a\n{{- /*\n*/ -}}\n\n{{upper .GatewayName}}\n{{3 3}}").unwrap_err();
    assert!(error.contains("upper"), "{error}");
    let error = render("a\n{{- /*\n*/ -}}\n\n{{.GatewayName)}}").unwrap_err();
    assert!(error.contains(" line 5, column 13: "), "{error}");
}

#[test]
fn deep_templates_are_refused_or_rendered() {
    let chain = |branches: usize| {
        let branches = "{{else if false}}b".repeat(branches);
        render(&format!(
            "{{{{if false}}}}a{branches}{{{{else}}}}c{{{{end}}}}"
        ))
    };
    assert_eq!(chain(179).as_deref(), Ok("c"));
    for branches in [180, 100_000] {
        let error = chain(branches).unwrap_err();
        assert!(
            error.ends_with("more than 180 blocks and branches of {{else if}} are in each other"),
            "{error}"
        );
    }
    let nested = |depth: usize| {
        let (start, end) = ("{{if true}}".repeat(depth), "{{end}}".repeat(depth));
        render(&format!("{start}a{end}"))
    };
    assert_eq!(nested(99).as_deref(), Ok("a"));
    for depth in [100, 100_000] {
        let error = nested(depth).unwrap_err();
        assert!(
            error.ends_with("line 1: more than 99 blocks are in each other"),
            "{error}"
        );
    }
    // The chain is in a template that calls itself, which the library bounds.
    let branches = "{{else if false}}b".repeat(170);
    let recursive = format!(
        "{{{{define \"x\"}}}}{{{{if false}}}}{branches}{{{{else}}}}{{{{template \"x\" .}}}}{{{{end}}}}{{{{end}}}}{{{{template \"x\" .}}}}"
    );
    render(&recursive).unwrap_err();
    let parentheses = format!("{{{{{}1{}}}}}", "(".repeat(50_000), ")".repeat(50_000));
    render(&parentheses).unwrap_err();
}

/// Renders a template with the library alone.
fn render_as_it_is(template: &str) -> Option<String> {
    let template = gotmpl::Template::new("t").parse(template).ok()?;
    let mut output = String::new();
    let name = gotmpl::Value::String("blue".into());
    template.execute_fmt(&mut output, &name).ok()?;
    Some(output)
}

/// Templates that the library reads as Go does: the blocks are closed, and no comment begins with a trim marker.
fn template() -> impl Strategy<Value = String> {
    let left = || prop::sample::select(vec!["{{", "{{- ", "{{\n"]);
    let right = || prop::sample::select(vec!["}}", " -}}", "\n}}"]);
    let text = prop::sample::select(vec!["", " ", "\n", "a", "{", "}", "}}", "é \t", "\r\n"]);
    let value = prop::sample::select(vec![
        ".",
        "\"}}\"",
        "`{{\n`",
        "'{'",
        "-3",
        "(len .)",
        ". | printf `%s`",
    ]);
    let action =
        (left(), value, right()).prop_map(|(left, value, right)| format!("{left}{value}{right}"));
    let comment =
        prop::sample::select(vec!["{{/* c */}}", "{{/*\n}}*/ -}}"]).prop_map(str::to_owned);
    let leaf = prop_oneof![4 => text.prop_map(str::to_owned), 4 => action, 1 => comment];
    let leaves = || prop::collection::vec(leaf.clone(), 0..5).prop_map(|parts| parts.concat());
    let begin = prop::sample::select(vec!["if true", "if false", "with .", "range 2"]);
    let branch = (left(), right(), leaves())
        .prop_map(|(left, right, body)| format!("{left}else{right}{body}"));
    let block = (left(), begin, right(), leaves(), prop::option::of(branch)).prop_map(
        |(left, begin, right, body, other)| {
            format!(
                "{left}{begin}{right}{body}{}{{{{end}}}}",
                other.unwrap_or_default()
            )
        },
    );
    prop::collection::vec(prop_oneof![leaves(), block], 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_normal_template_has_the_same_result(template in template()) {
        let normal = normalise(&template);
        let expected = render_as_it_is(&template);
        prop_assert_eq!(normal.as_deref().ok().and_then(render_as_it_is), expected);
        if let Ok(normal) = normal {
            prop_assert_eq!(normalise(&normal), Ok(normal.clone()));
        }
    }

    #[test]
    fn the_normal_form_of_any_text_is_its_own(template in r#"([{}"`'/* \n.a-]|\{\{|\}\}|end|else|if |range |\{\{- | -\}\}|/\*|\*/){0,20}"#) {
        if let Ok(normal) = normalise(&template) {
            prop_assert_eq!(normalise(&normal), Ok(normal.clone()));
            prop_assert!(lines(&normal) <= lines(&template));
        }
    }
}
