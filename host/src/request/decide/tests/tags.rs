//! Releases, which name their tag without `refs/tags/`.

use super::*;

/// A release that reports its time.
fn release(tag: &str, occurred_at: &str) -> Announcement {
    let mut release = announcement(tag, Some(occurred_at), None);
    release.detections[0].is_tag = true;
    release.detections[0].event = Some("release.published".to_owned());
    release
}

fn accepting(refs: &[&str]) -> WebhookSpec {
    WebhookSpec {
        refs: Some(refs.iter().map(|&text| text.to_owned()).collect()),
        ..WebhookSpec::default()
    }
}

#[test]
fn a_release_is_no_branch() {
    let release = release("v2.0.0", "2026-01-01T11:00:00Z");
    for (refs, requested) in [
        (&[][..], Ok("v2.0.0")),
        (&["refs/heads/*"], Err("ref-not-accepted")),
        (&["!refs/heads/**"], Ok("refs/tags/v2.0.0")),
        (&["v*", "!refs/heads/**"], Ok("refs/tags/v2.0.0")),
    ] {
        let webhook = accepting(refs);
        let found = match decided(&object(), &webhook, &release) {
            Decision::Write(request) => Ok(request.git_ref.to_string()),
            _ => Err(code(&object(), &webhook, &release)),
        };
        assert_eq!(found, requested.map(str::to_owned), "{refs:?}");
    }
}

#[test]
fn a_release_and_the_push_of_its_tag_do_not_supersede_each_other() {
    let (earlier, later) = ("2026-01-01T11:00:00Z", "2026-01-01T11:00:01Z");
    let push = |git_ref, time| announcement(git_ref, Some(time), None);
    let webhook = WebhookSpec::default();
    for (last, then, expected) in [
        (
            push("refs/tags/v3", later),
            release("v3", earlier),
            "already-requested",
        ),
        (
            release("v3", later),
            push("refs/tags/v3", earlier),
            "already-requested",
        ),
        (
            release("v3", later),
            release("v3", earlier),
            "already-requested",
        ),
        (
            push("refs/tags/v3", later),
            release("v2", earlier),
            "superseded",
        ),
        (
            push("refs/heads/v3", later),
            release("v3", earlier),
            "superseded",
        ),
        (push("v3", later), push("v3", earlier), "superseded"),
    ] {
        let state = after(&object(), &last);
        assert_eq!(code(&state, &webhook, &then), expected, "{last:?} {then:?}");
        // Something else was requested since.
        let state = RequestState {
            requested_ref: Some("refs/tags/v1".to_owned()),
            ..state
        };
        assert_eq!(code(&state, &webhook, &then), "superseded", "{then:?}");
    }
}
