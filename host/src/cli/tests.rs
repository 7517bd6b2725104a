use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

fn run_flags(arguments: &[&str]) -> RunFlags {
    let arguments = ["stoker", "run"].iter().chain(arguments);
    match Cli::try_parse_from(arguments).expect("arguments").command {
        Command::Run(flags) => *flags,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_value_of_a_repeated_flag_applies() {
    let flags = run_flags(&[
        "--health-probe-bind-address=:8081",
        "--leader-elect",
        "--max-body=1",
        "--health-probe-bind-address=[::]:8082",
        "--leader-elect=false",
        "--max-body=2",
    ]);
    assert_eq!(flags.health_probe_bind_address, "[::]:8082");
    assert!(!flags.leader_elect);
    assert_eq!(flags.max_body, 2);
}

#[test]
fn the_last_list_of_a_repeated_flag_applies() {
    let flags = run_flags(&[
        "--webhook-allowed-sources=10.0.0.0/8,192.0.2.1",
        "--trusted-proxies=10.0.0.0/8",
        "--git-allowed-hosts=a,b",
        "--webhook-cert-dns-names=a",
        "--webhook-allowed-sources=192.0.2.0/24",
        "--trusted-proxies=",
        "--git-allowed-hosts=c",
        "--webhook-cert-dns-names=b,c",
    ]);
    assert_eq!(
        flags.webhook_allowed_sources.as_deref(),
        Some("192.0.2.0/24")
    );
    assert_eq!(flags.trusted_proxies.as_deref(), Some(""));
    assert_eq!(flags.git_allowed_hosts.as_deref(), Some("c"));
    assert_eq!(flags.webhook_cert_dns_names.as_deref(), Some("b,c"));
}

#[test]
fn switches_have_the_spellings_of_go() {
    for text in ["1", "t", "T", "true", "TRUE", "True"] {
        assert!(run_flags(&[&format!("--leader-elect={text}")]).leader_elect);
    }
    for text in ["0", "f", "F", "false", "FALSE", "False"] {
        assert!(!run_flags(&["--leader-elect", &format!("--leader-elect={text}")]).leader_elect);
    }
    let invalid = Cli::try_parse_from(["stoker", "run", "--leader-elect=yes"]);
    assert!(invalid.is_err());
}

#[test]
fn global_flags_can_be_repeated() {
    let cli = Cli::try_parse_from(["stoker", "--log=info", "run", "--log=warn", "--log=debug"]);
    assert_eq!(cli.expect("arguments").log.as_deref(), Some("debug"));
}

#[test]
fn an_example_of_codecommit_needs_the_name_of_its_repository() {
    let send = |flags: &[&str]| {
        let start = [
            "stoker",
            "send",
            "http://localhost/webhook/a/b",
            "--provider",
        ];
        Cli::try_parse_from(start.iter().chain(flags))
    };
    let error = send(&["codecommit"]).unwrap_err().to_string();
    assert!(error.contains("--repo"), "{error}");
    assert!(send(&["codecommit", "--repo", "line-7"]).is_ok());
    assert!(send(&["github"]).is_ok());
}

#[test]
fn plugin_directories_accumulate() {
    let flags = run_flags(&["--plugin-dir=/a", "--plugin-dir=/b"]);
    assert_eq!(flags.plugin_dir, [PathBuf::from("/a"), PathBuf::from("/b")]);
}

#[test]
fn a_test_webhook_needs_a_url_and_a_content() {
    let send = |flags: &[&str]| {
        let parsed = Cli::try_parse_from(["stoker", "send"].iter().chain(flags));
        parsed.map(drop).map_err(|error| error.to_string())
    };
    let url = "http://localhost:9444/webhook/a/b";
    for flags in [
        ["--ref=v1"].as_slice(),
        &["--provider=github"],
        &["--body=-"],
        &["--ref=v1", "--provider=github"],
    ] {
        send(&[&[url], flags].concat()).unwrap();
    }
    assert!(send(&["HTTPS://h/webhook/a/b", "--ref=v1"]).is_ok());
    for url in ["localhost:9444/webhook/a/b", "ftp://h/a", "", "//h"] {
        let error = send(&[url, "--ref=v1"]).unwrap_err();
        assert!(
            error.contains("begins with http:// or https://"),
            "{url}: {error}"
        );
    }
    let error = send(&[url]).unwrap_err();
    for flag in ["--ref", "--provider", "--body"] {
        assert!(error.contains(flag), "{error}");
    }
    assert!(send(&[url, "--ref=v1", "--body=-"]).is_err());
}

#[test]
fn the_global_flags_are_shown_last() {
    let mut command = Cli::command();
    command.build();
    for command in command.get_subcommands() {
        let own = command.get_arguments().filter(|one| !one.is_positional());
        let (global, own): (Vec<_>, Vec<_>) = own.partition(|one| one.is_global_set());
        let last = own.iter().map(|one| one.get_display_order()).max();
        for one in global {
            assert!(
                Some(one.get_display_order()) > last,
                "{} {one}",
                command.get_name()
            );
        }
    }
}
