use super::*;

#[test]
fn addresses_have_the_forms_of_the_go_operator() {
    let parse =
        |text| address("--x", text).map(|address| address.map(|address| address.to_string()));
    assert_eq!(parse("0").unwrap(), None);
    assert_eq!(parse(":8081").unwrap().unwrap(), "[::]:8081");
    assert_eq!(parse("8081").unwrap().unwrap(), "[::]:8081");
    assert_eq!(parse("0.0.0.0:8081").unwrap().unwrap(), "0.0.0.0:8081");
    assert_eq!(parse("127.0.0.1:8081").unwrap().unwrap(), "127.0.0.1:8081");
    assert_eq!(parse("[::]:8081").unwrap().unwrap(), "[::]:8081");
    assert!(parse("localhost").is_err() && parse(":x").is_err() && parse(":70000").is_err());
}

#[test]
fn networks_are_parsed_and_no_network_is_none() {
    let parse = |list| networks("--x", list);
    assert_eq!(parse(None).unwrap(), None);
    assert_eq!(parse(Some("")).unwrap(), None);
    // A list that accepts all sources by mistake would be the opposite of what it says.
    assert!(parse(Some(" ")).is_err() && parse(Some(",")).is_err());
    let found = parse(Some("10.0.0.0/8, 2001:db8::1")).unwrap();
    let expected = Networks::parse(&["10.0.0.0/8", "2001:db8::1"]).unwrap();
    assert_eq!(found, Some(expected));
    let error = parse(Some("10.0.0.0/8,x")).unwrap_err();
    assert_eq!(error.to_string(), "--x is invalid");
}

#[test]
fn git_hosts_are_parsed_and_no_host_allows_all() {
    assert_eq!(git_hosts(None).unwrap(), AllowedHosts::default());
    assert_eq!(git_hosts(Some("")).unwrap(), AllowedHosts::default());
    let found = git_hosts(Some("git.example.com, *.plant")).unwrap();
    assert_ne!(found, AllowedHosts::default());
    // A list that allows all hosts by mistake would be the opposite of what it says.
    assert!(git_hosts(Some(",")).is_err());
    let error = git_hosts(Some("git.example.com,https://h")).unwrap_err();
    assert_eq!(error.to_string(), "--git-allowed-hosts is invalid");
}

#[test]
fn the_memory_for_bodies_has_room_for_one_body() {
    assert_eq!(body_memory(Some(10), 10).unwrap(), 10);
    assert_eq!(body_memory(None, 10).unwrap(), 32 << 20);
    assert_eq!(body_memory(None, 64 << 20).unwrap(), 64 << 20);
    assert!(body_memory(Some(9), 10).is_err() && body_memory(Some(2 << 30), 10).is_err());
    assert!(object_rate(0).is_err() && object_rate(1).is_ok());
}

#[test]
fn a_certificate_needs_its_key() {
    let path = || Some(PathBuf::from("/f"));
    assert!(tls_files(None, None).unwrap().is_none());
    assert!(tls_files(path(), path()).unwrap().is_some());
    assert!(tls_files(path(), None).is_err() && tls_files(None, path()).is_err());
}

#[test]
fn a_secret_with_two_sources_is_an_error() {
    let names = ("--file", "VARIABLE");
    assert!(secret((None, None), None, names).unwrap().is_none());
    assert!(secret((Some("x".into()), None), Some("/f".into()), names).is_err());
    // An empty variable is a source, so that webhooks are refused rather than accepted without a signature.
    assert!(matches!(
        secret((Some(OsString::new()), None), None, names).unwrap(),
        Some(SecretSource::Inline(_))
    ));
}

#[test]
fn a_previous_secret_is_further_lines_beside_a_present_one() {
    let names = ("--file", "VARIABLE");
    let some = |text: &str| Some(OsString::from(text));
    let values = |present, previous| {
        let source = secret((present, previous), None, names).unwrap().unwrap();
        source.read_all().map(|secret| secret.values().to_vec())
    };
    assert_eq!(values(some("b"), some("a")).unwrap(), ["b", "a"]);
    assert_eq!(values(some("b"), some("")).unwrap(), ["b"]);
    assert!(values(some(" "), some("a")).is_err());
    assert!(secret((None, some("a")), None, names).is_err());
    assert!(secret((None, some("a")), Some("file".into()), names).is_err());
    assert!(secret((some("b"), None), Some("file".into()), names).is_err());
    assert!(secret((None, some("")), None, names).unwrap().is_none());
}

#[test]
fn a_secret_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let names = ("--file", "VARIABLE");
    let bytes = || Some(OsString::from_vec(vec![0xff, 0xfe]));
    for (present, previous, variable) in [
        (bytes(), None, "VARIABLE"),
        (Some("a".into()), bytes(), "VARIABLE_PREVIOUS"),
        (None, bytes(), "VARIABLE_PREVIOUS"),
    ] {
        let error = secret((present, previous), None, names).unwrap_err();
        let expected = format!("{variable} is set, but its value is not UTF-8");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_name_of_a_secret_may_have_a_key() {
    let parse = |text| stored_secret(text).map(|secret| (secret.name, secret.key));
    let pair = |name: &str, key: &str| (name.to_owned(), key.to_owned());
    assert_eq!(parse("hook").unwrap(), pair("hook", "webhook-secret"));
    assert_eq!(parse("hook/a.b").unwrap(), pair("hook", "a.b"));
    for text in ["", "/", "hook/", "/key", "Hook", "../x"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

fn run_config(arguments: &[&str]) -> Result<HostConfig, ConfigError> {
    use clap::Parser as _;
    let arguments = ["stoker", "run"].iter().chain(arguments);
    let crate::cli::Command::Run(flags) =
        crate::cli::Cli::try_parse_from(arguments).unwrap().command
    else {
        panic!("another command")
    };
    (*flags).try_into()
}

#[test]
fn agents_are_injected_with_the_flags_of_the_go_operator() {
    let injection = |arguments: &[&str]| run_config(arguments).unwrap().injection;
    assert_eq!(injection(&[]), None);
    assert_eq!(
        injection(&["--webhook-cert-path=/certs", "--webhook-port=0"]),
        None
    );
    let found = injection(&[
        "--webhook-cert-path=/certs",
        "--webhook-cert-key=key.pem",
        "--default-agent-image=agent:1",
    ]);
    let files = TlsFiles {
        certificate: "/certs/tls.crt".into(),
        key: "/certs/key.pem".into(),
    };
    assert_eq!(
        found,
        Some(InjectionConfig {
            address: "[::]:9443".parse().unwrap(),
            certificate: CertificateConfig::Files(files),
            agent_image: "agent:1".to_owned(),
        })
    );
}

#[test]
fn an_own_certificate_needs_a_secret_and_names() {
    let own = [
        "--webhook-cert-secret=cert",
        "--webhook-cert-dns-names=a.svc,b.svc",
    ];
    let CertificateConfig::Own {
        secret,
        names,
        configuration,
    } = run_config(&own).unwrap().injection.unwrap().certificate
    else {
        panic!("files")
    };
    assert_eq!((secret.as_str(), configuration), ("cert", None));
    assert_eq!(names, ["a.svc", "b.svc"]);
    let error = |arguments: &[&str]| run_config(arguments).unwrap_err();
    assert!(matches!(error(&own[..1]), ConfigError::NoCertificateNames));
    let both = [own[0], own[1], "--webhook-cert-path=/certs"];
    assert!(matches!(error(&both), ConfigError::TwoCertificates));
    let invalid = ["--webhook-cert-secret=A/B", own[1]];
    assert!(matches!(
        error(&invalid),
        ConfigError::CertificateSecret { .. }
    ));
}

#[test]
fn an_empty_value_of_a_flag_of_the_go_operator_is_absent() {
    let empty = [
        "--webhook-cert-path=",
        "--kubeconfig=",
        "--default-agent-image=",
    ];
    assert_eq!(run_config(&empty).unwrap().injection, None);
    let own = [
        "--webhook-cert-path=",
        "--webhook-cert-secret=cert",
        "--webhook-cert-dns-names=a.svc",
    ];
    let own = run_config(&own).unwrap().injection.unwrap();
    assert!(matches!(own.certificate, CertificateConfig::Own { .. }));
    for image in ["--default-agent-image=", "--default-agent-image= "] {
        let flags = [
            "--webhook-cert-path=/certs",
            "--webhook-cert-name=",
            "--webhook-cert-key=",
            image,
        ];
        let found = run_config(&flags).unwrap().injection.unwrap();
        let files = TlsFiles {
            certificate: "/certs/tls.crt".into(),
            key: "/certs/tls.key".into(),
        };
        assert_eq!(found.certificate, CertificateConfig::Files(files));
        assert_eq!(found.agent_image, "ghcr.io/knorrlabs/stoker-agent:latest");
    }
}
