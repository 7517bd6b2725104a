use stoker_api::detection::GitRef;

use super::*;

const REPO: &str = "https://user:s3cret@example.com/plant/config.git";

fn detection(git_ref: &str, repositories: &[&str], event: Option<&str>) -> Detection {
    Detection {
        repositories: repositories.iter().map(|&name| name.to_owned()).collect(),
        event: event.map(str::to_owned),
        ..crate::request::detection(git_ref)
    }
}

fn outcome(
    webhook: &WebhookSpec,
    repo: &str,
    detections: &[Detection],
) -> Result<Vec<String>, String> {
    let rules = Rules::parse(webhook, repo).unwrap();
    match rules.accepted(detections) {
        Ok(accepted) => Ok(accepted.iter().map(|one| one.git_ref.to_string()).collect()),
        Err(Rejection::Ignored(ignored)) => Err(ignored.reason().code().to_owned()),
        Err(Rejection::Invalid(why)) => Err(why),
    }
}

fn checked(check: RepositoryCheck) -> WebhookSpec {
    WebhookSpec {
        repository_check: Some(check),
        ..WebhookSpec::default()
    }
}

#[test]
fn a_delivery_must_be_about_the_repository_by_the_check_of_the_object() {
    use RepositoryCheck::{Lenient, Off, Strict};
    // The names of the repository, and whether each check accepts them: strict, lenient, off.
    let cases: &[(&[&str], [bool; 3])] = &[
        (&[], [false, true, true]),
        (&["plant/config"], [true, true, true]),
        (&["https://example.com/plant/config"], [true, true, true]),
        (&["config"], [false, true, true]),
        (&["group/plant/config"], [false, true, true]),
        (&["other/config"], [false, false, true]),
        (&["https://example.org/plant/config"], [false, false, true]),
        (&["other/config", "plant/config"], [true, true, true]),
    ];
    for (names, expected) in cases {
        for (check, is_accepted) in [Strict, Lenient, Off].into_iter().zip(expected) {
            let found = outcome(&checked(check), REPO, &[detection("v1", names, None)]);
            assert_eq!(found.is_ok(), *is_accepted, "{check:?} {names:?}");
            if let Err(code) = found {
                let expected = if names.is_empty() {
                    "no-repository"
                } else {
                    "other-repository"
                };
                assert_eq!(code, expected);
            }
        }
    }
}

#[test]
fn of_several_repositories_those_of_the_object_stay() {
    let detections = [
        detection("v1", &["app/code"], None),
        detection("v2", &["plant/config"], None),
        detection("v3", &[], None),
    ];
    let found = outcome(&WebhookSpec::default(), REPO, &detections);
    assert_eq!(found.unwrap(), ["v2", "v3"]);
}

#[test]
fn the_message_names_both_repositories_without_credentials() {
    let rules = Rules::parse(&WebhookSpec::default(), REPO).unwrap();
    let names = ["a/b", "https://u:s3cret@example.com/a/b", "a/c", "a/d"];
    let Err(Rejection::Ignored(reason)) = rules.accepted(&[detection("v1", &names, None)]) else {
        panic!("the delivery is about another repository");
    };
    assert_eq!(
        reason.to_string(),
        "the webhook is about a/b, https://example.com/a/b, a/c, and not about https://example.com/plant/config.git"
    );
}

#[test]
fn a_repository_that_cannot_be_compared_is_an_error_where_it_is_compared() {
    let named = [detection("v1", &["a/b"], None)];
    let error = outcome(&WebhookSpec::default(), "file:///x", &named).unwrap_err();
    assert!(error.starts_with("spec.git.repo: "), "{error}");
    assert!(outcome(&WebhookSpec::default(), "", &[detection("v1", &[], None)]).is_ok());
    assert!(outcome(&checked(RepositoryCheck::Off), "", &named).is_ok());
}

#[test]
fn each_filter_has_its_reason_and_the_detection_that_came_furthest_gives_it() {
    let list = |patterns: &[&str]| Some(patterns.iter().map(|&text| text.to_owned()).collect());
    let webhook = WebhookSpec {
        refs: list(&["v*"]),
        events: list(&["release.*"]),
        semver: Some(">=2".to_owned()),
        ..WebhookSpec::default()
    };
    let ok = detection("refs/tags/v2", &[], Some("release.published"));
    let other_ref = detection("refs/heads/main", &[], Some("release.published"));
    let other_event = detection("refs/tags/v2", &[], Some("push"));
    let no_event = detection("refs/tags/v2", &[], None);
    let other_version = detection("refs/tags/v1", &[], Some("release.published"));
    let cases = [
        (vec![ok.clone()], Ok(vec!["refs/tags/v2".to_owned()])),
        (vec![other_ref.clone()], Err("ref-not-accepted")),
        (vec![other_event.clone()], Err("event-not-accepted")),
        (vec![no_event], Err("event-not-accepted")),
        (vec![other_version.clone()], Err("version-not-accepted")),
        (
            vec![other_ref.clone(), other_version.clone(), other_event],
            Err("version-not-accepted"),
        ),
        (
            vec![other_ref, other_version, ok],
            Ok(vec!["refs/tags/v2".to_owned()]),
        ),
    ];
    for (detections, expected) in cases {
        let found = outcome(&webhook, REPO, &detections);
        assert_eq!(found, expected.map_err(str::to_owned), "{detections:?}");
    }
}

#[test]
fn a_detection_without_an_event_is_accepted_unless_a_pattern_requires_one() {
    for (events, is_accepted) in [
        (&["!release.released"][..], true),
        (&["!*"], true),
        (&["*"], false),
        (&["push", "!release.released"], false),
    ] {
        let webhook = WebhookSpec {
            events: Some(events.iter().map(|&text| text.to_owned()).collect()),
            ..WebhookSpec::default()
        };
        let found = outcome(&webhook, REPO, &[detection("v1", &[], None)]);
        assert_eq!(found.is_ok(), is_accepted, "{events:?}");
        let released = [detection("v1", &[], Some("release.released"))];
        let found = outcome(&webhook, REPO, &released);
        assert_eq!(found.is_ok(), events == ["*"], "{events:?}");
    }
}

#[test]
fn a_bare_name_means_the_tag_where_versions_are_accepted() {
    let rules = |refs: Option<&str>| {
        let webhook = WebhookSpec {
            refs: refs.map(|pattern| vec![pattern.to_owned()]),
            semver: Some(">=2".to_owned()),
            ..WebhookSpec::default()
        };
        Rules::parse(&webhook, REPO).unwrap()
    };
    // The patterns, a ref, and the ref that is requested if it is accepted.
    for (refs, git_ref, requested) in [
        (None, "v2.1.0", Some("refs/tags/v2.1.0")),
        (None, "refs/tags/v2.1.0", Some("refs/tags/v2.1.0")),
        (None, "refs/heads/v2.1.0", None),
        (None, "main", None),
        (Some("v*"), "v2.1.0", Some("refs/tags/v2.1.0")),
        (Some("!refs/heads/**"), "v2.1.0", Some("refs/tags/v2.1.0")),
        (Some("refs/heads/*"), "v2.1.0", None),
        (Some("!refs/tags/v2*"), "v2.1.0", None),
    ] {
        let (rules, detections) = (rules(refs), [detection(git_ref, &[], None)]);
        let accepted = rules.accepted(&detections).ok();
        let found = accepted.map(|accepted| {
            let accepted = accepted[0];
            let qualified = rules.qualify(accepted);
            qualified.unwrap_or_else(|| accepted.git_ref.clone())
        });
        let found = found.as_ref().map(GitRef::as_str);
        assert_eq!(found, requested, "{refs:?} {git_ref}");
    }
}

#[test]
fn the_name_of_a_tag_means_no_branch() {
    // The patterns, a ref, the ref that is requested if a plugin says that it is a tag, and the one otherwise.
    type Case<'a> = (&'a [&'a str], &'a str, Option<&'a str>, Option<&'a str>);
    const CASES: &[Case<'_>] = &[
        (&[], "v2", Some("v2"), Some("v2")),
        (&["v*"], "v2", Some("v2"), Some("v2")),
        (&["refs/heads/*"], "v2", None, Some("refs/heads/v2")),
        (
            &["refs/tags/*"],
            "v2",
            Some("refs/tags/v2"),
            Some("refs/tags/v2"),
        ),
        (&["!refs/heads/**"], "v2", Some("refs/tags/v2"), None),
        (&["v*", "!refs/heads/**"], "v2", Some("refs/tags/v2"), None),
        (
            &["refs/tags/v*", "!refs/heads/**"],
            "v2",
            Some("refs/tags/v2"),
            None,
        ),
        (&["!refs/tags/**"], "v2", None, None),
        (&[], "gtmq_1", Some("refs/tags/gtmq_1"), None),
        (&["gtmq_*"], "gtmq_1", Some("gtmq_1"), Some("gtmq_1")),
        (&["!x"], "heads/x", Some("refs/tags/heads/x"), None),
        (
            &["!refs/heads/**"],
            "refs/tags/v2",
            Some("refs/tags/v2"),
            Some("refs/tags/v2"),
        ),
        (&["refs/tags/*"], "refs/heads/v2", None, None),
    ];
    for &(refs, git_ref, of_tag, of_any) in CASES {
        for (is_tag, expected) in [(true, of_tag), (false, of_any)] {
            let webhook = WebhookSpec {
                refs: Some(refs.iter().map(|&text| text.to_owned()).collect()),
                ..WebhookSpec::default()
            };
            let rules = Rules::parse(&webhook, REPO).unwrap();
            let detection = Detection {
                is_tag,
                ..detection(git_ref, &[], None)
            };
            let is_accepted = rules.accepted(std::slice::from_ref(&detection)).is_ok();
            let requested = is_accepted.then(|| {
                let qualified = rules.qualify(&detection);
                qualified.unwrap_or_else(|| detection.git_ref.clone())
            });
            let requested = requested.as_ref().map(GitRef::as_str);
            assert_eq!(requested, expected, "{refs:?} {git_ref} {is_tag}");
        }
    }
}

#[test]
fn an_invalid_rule_is_an_error_that_names_the_field() {
    let list = |text: &str| Some(vec![text.to_owned()]);
    let cases = [
        (
            WebhookSpec {
                refs: list("v[1]"),
                ..WebhookSpec::default()
            },
            "spec.webhook.refs: ",
        ),
        (
            WebhookSpec {
                events: list("!"),
                ..WebhookSpec::default()
            },
            "spec.webhook.events: ",
        ),
        (
            WebhookSpec {
                semver: Some("x y".to_owned()),
                ..WebhookSpec::default()
            },
            "spec.webhook.semver: ",
        ),
    ];
    for (webhook, field) in cases {
        let error = Rules::parse(&webhook, REPO).unwrap_err();
        assert!(error.starts_with(field), "{error}");
    }
}
