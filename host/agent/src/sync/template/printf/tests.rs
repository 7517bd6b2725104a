//! Formats, and what Go makes of them. The results are those of Go 1.26.

use super::super::{Context, Renderer};

const CASES: &[(&str, &str)] = &[
    (
        r#"{{printf "%d|%5d|%-5d|%05d|%+d|% d" 3 3 3 3 3 3}}"#,
        "3|    3|3    |00003|+3| 3",
    ),
    (
        r#"{{printf "%x %X %#x %o %#o %O %b %#b" 255 255 255 8 8 8 5 5}}"#,
        "ff FF 0xff 10 010 0o10 101 0b101",
    ),
    (
        r#"{{printf "%c %q %U %#U %+q %3c %03c" 65 65 65 0x1F600 0xe4 65 65}}"#,
        r"A 'A' U+0041 U+1F600 '😀' '\u00e4'   A 00A",
    ),
    (
        r#"{{printf "%.3d %8.3d|%-8.3d|%.0d|%3.0d|%+.3d" 5 5 5 0 0 5}}"#,
        "005      005|005     ||   |+005",
    ),
    (
        r#"{{printf "%x %08b %+d %05d %-05d| % d" -255 5 -5 -5 5 -5}}"#,
        "-ff 00000101 -5 -0005 5    | -5",
    ),
    (
        r#"{{printf "%.70000U" 1 | len}} {{printf "%.6U" 255}}"#,
        "70002 U+0000FF",
    ),
    (
        r#"{{printf "%c %U %q" -1 -1 0x110000}}"#,
        "� U+FFFFFFFFFFFFFFFF '�'",
    ),
    (
        r#"{{printf "%s|%5s|%-5s|%.2s|%5.1s|%03s|%-03s|" "äöü" "abc" "abc" "äöü" "abc" "5" "5"}}"#,
        "äöü|  abc|abc  |äö|    a|005|5  |",
    ),
    (
        r#"{{printf "%q %+q %#q %#q %.1q %05q" "a\"\n\t\a\x00" "ä😀\u200b" "ab" "a`b" "ab" "a"}}"#,
        r#""a\"\n\t\a\x00" "\u00e4\U0001f600\u200b" `ab` "a`b" "a" 00"a""#,
    ),
    (
        r#"{{printf "%x %X %#x % x %# X %.1x %6x|%-6x|%06x" "ab" "äb" "ab" "ab" "ab" "ab" "ab" "ab" "ab"}}"#,
        "6162 C3A462 0x6162 61 62 0X61 0X62 61   6162|6162  |006162",
    ),
    (
        r#"{{printf "%v %+v %#v %T %5v|%-5v|%05v" "a" "a" "a" "a" "a" "a" "a"}}"#,
        r#"a a "a" string     a|a    |0000a"#,
    ),
    (
        r#"{{printf "%v %+v %#v %T %05v" 1 1 1 1 -1}}"#,
        "1 1 1 int -0001",
    ),
    (
        r#"{{printf "%v %+v %#v %T %t %6t|%-6t|%06t" true true true true false true true true}}"#,
        "true true true bool false   true|true  |00true",
    ),
    (
        r#"{{printf "%v %+v %#v %T %08v" 1.5 1.5 1.5 1.5 -1.5}}"#,
        "1.5 1.5 1.5 float64 -00001.5",
    ),
    (
        r#"{{printf "%v %T %d %5v|%s" nil nil nil nil nil}}"#,
        "<nil> <nil> %!d(<nil>) <nil>|%!s(<nil>)",
    ),
    (
        r#"{{printf "%v %s %q %#v %T" .Labels .Labels .Labels .Labels .Labels}}"#,
        r#"map[a:1 b:xy] map[a:1 b:xy] map["a":"1" "b":"xy"] map[string]string{"a":"1", "b":"xy"} map[string]string"#,
    ),
    (
        r#"{{printf "%d %4v %.1s %x" .Labels .Labels .Labels .Labels}}"#,
        "map[%!d(string=a):%!d(string=1) %!d(string=b):%!d(string=xy)] map[   a:   1    b:  xy] map[a:1 b:x] map[61:31 62:7879]",
    ),
    (
        r#"{{printf "%e %E %f %F %g %G" 1.5 123456.789 1.5 -2.25 1e-7 1e21}}"#,
        "1.500000e+00 1.234568E+05 1.500000 -2.250000 1e-07 1E+21",
    ),
    (
        r#"{{printf "%.2f %8.3f|%-8.2f|%08.2f %+.1f %.0f %6.2f%% %#.0f" 1.5 1.5 1.5 -1.5 1.5 2.5 12.345 1.0}}"#,
        "1.50    1.500|1.50    |-0001.50 +1.5 2  12.35% 1.",
    ),
    (
        r#"{{printf "%.3g %.10g %#g %#.3g %g %g %g %.0e" 1234.5678 100.0 1.0 0.0 100000.0 1000000.0 0.0001 15.0}}"#,
        "1.23e+03 100 1.00000 0.00 100000 1e+06 0.0001 2e+01",
    ),
    (
        r#"{{printf "%v %v %v %v %v" 1e6 1e20 1e21 123456789.0 0.00001}}"#,
        "1e+06 1e+20 1e+21 1.23456789e+08 1e-05",
    ),
    (
        r#"{{printf "%d %s %f %q %t %x" 1.0 1 2 1.5 1 true}}"#,
        "%!d(float64=1) %!s(int=1) %!f(int=2) %!q(float64=1.5) %!t(int=1) %!x(bool=true)",
    ),
    (
        r#"{{printf "%5d %d %z %!" "x" "x" 1 1}}"#,
        "%!d(string=    x) %!d(string=x) %!z(int=1) %!!(int=1)",
    ),
    (r#"{{printf "100%" }}"#, "100%!(NOVERB)"),
    (r#"{{printf "%d %d" 1}}"#, "1 %!d(MISSING)"),
    (
        r#"{{printf "%d" 1 2 nil "x" .Labels}}"#,
        "1%!(EXTRA int=2, <nil>, string=x, map[string]string=map[a:1 b:xy])",
    ),
    (r#"{{printf "%[2]d %[1]d" 1 2}}"#, "2 1"),
    (
        r#"{{printf "%[3]d %[x]d %[2]*[1]d %[1]*d|" 1 5}}"#,
        "%!d(BADINDEX) %!d(BADINDEX)     1 5|",
    ),
    (
        r#"{{printf "%*d|%-*d|%.*f|%*d" 5 3 5 3 2 3.14159 -4 7}}"#,
        "    3|3    |3.14|7   ",
    ),
    (
        r#"{{printf "%*d %.*f" "a" 1 "b" 1.5}}"#,
        "%!(BADWIDTH)1 %!(BADPREC)1.500000",
    ),
    (r#"{{printf "%[1]s %[1]q" "a"}}"#, r#"a "a""#),
    (r#"{{printf "%20000000d" 1}}"#, "%!(NOVERB)%!(EXTRA int=1)"),
    (r#"{{printf "%% %5%" }}"#, "% %"),
    (r#"{{printf "%s"}}"#, "%!s(MISSING)"),
    (r#"{{printf ""}}"#, ""),
    (
        "{{1.0}} {{1e3}} {{1e6}} {{1234567.0}} {{1e20}} {{1e-5}} {{-0.0}}",
        "1 1000 1e+06 1.234567e+06 1e+20 1e-05 -0",
    ),
    (r#"{{print 1e6 1.5 "a" 1e-7}}"#, "1e+06 1.5a1e-07"),
    ("{{println 1e20 nil}}", "1e+20 <nil>\n"),
    ("{{html 1e6 nil 1}}", "1e+06&lt;no value&gt;1"),
    (r#"{{js "a\u00a0\u200bé"}}"#, r"a\u00A0\u200Bé"),
    (r#"{{print nil "a" nil 1}}"#, "<nil>a<nil> 1"),
    (
        r#"{{define "a"}}{{.}}{{$}}{{print .}}{{if .}}a{{end}}{{range .}}b{{end}}{{with .}}c{{else}}d{{end}}{{end}}{{template "a"}}"#,
        "<no value><no value><nil>d",
    ),
];

fn render(template: &str) -> Result<String, String> {
    let context = Context {
        labels: [("a", "1"), ("b", "xy")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Context::default()
    };
    let text = Renderer::new(&context).render(template);
    text.map(std::borrow::Cow::into_owned)
        .map_err(|error| error.to_string())
}

#[test]
fn values_are_printed_as_go_prints_them() {
    for (template, expected) in CASES {
        assert_eq!(render(template).as_deref(), Ok(*expected), "{template}");
    }
}

#[test]
fn what_is_not_supported_is_an_error() {
    for template in [
        r#"{{printf "%x" 1.5}}"#,
        r#"{{printf "%b" 1.5}}"#,
        r#"{{printf "%p" .Labels}}"#,
        "{{printf 1}}",
        "{{printf}}",
        "{{.}}",
        "{{print .}}",
        "{{range .}}{{end}}",
        r#"{{index . "Ref"}}"#,
        "{{len .}}",
    ] {
        assert!(render(template).is_err(), "{template}");
    }
}
