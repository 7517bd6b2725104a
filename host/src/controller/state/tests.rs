use serde_json::json;

use super::*;
use crate::controller::tests::fixture::key;

const SECOND: Duration = Duration::from_secs(1);

fn lookup_key(generation: i64, requested_at: Option<&str>) -> LookupKey {
    LookupKey {
        uid: Some("u".to_owned()),
        generation: Some(generation),
        git_ref: "main".to_owned(),
        requested_ref: None,
        requested_at: requested_at.map(str::to_owned),
        annotations: 0,
    }
}

/// The inputs with a request for the ref `main`.
fn requested(lookup_key: LookupKey) -> LookupKey {
    LookupKey {
        requested_ref: Some("main".to_owned()),
        ..lookup_key
    }
}

fn found() -> Lookup {
    let commit = CommitId::parse(&"a".repeat(40)).unwrap();
    let found = ResolvedCommit {
        git_ref: GitRef::parse("main").unwrap(),
        commit,
        kind: SyncedRefKind::Tag,
        short_name: Some("main".to_owned()),
        alias_agrees: false,
    };
    Lookup {
        at: Instant::now(),
        result: Ok(found),
        missing: None,
    }
}

#[test]
fn a_lookup_depends_on_the_object_the_spec_and_the_request() {
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut object = json!({
            "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
            "metadata": {"name": "a", "uid": "u", "generation": 1, "annotations": {}},
            "spec": {"git": {"repo": "https://h/r", "ref": "main"}, "gateway": {"api": {"secretName": "s"}}, "sync": {"profiles": {}}},
        });
        change(&mut object);
        LookupKey::of(&serde_json::from_value(object).unwrap())
    };
    let plain = with(&|_| ());
    assert_eq!(
        plain,
        with(&|object| object["metadata"]["annotations"] = json!({"stoker.io/requested-ref": ""}))
    );
    assert_eq!(
        plain,
        with(&|object| object["status"] = json!({"observedGeneration": 1}))
    );
    for annotations in [
        json!({"stoker.io/requested-ref": "v1"}),
        json!({"stoker.io/requested-ref": "main"}),
        json!({"stoker.io/requested-at": "t"}),
        json!({"example.com/reconcile": "now"}),
        json!({"stoker.io/accepted-host-key": "SHA256:x"}),
    ] {
        assert_ne!(
            plain,
            with(&|object| object["metadata"]["annotations"] = annotations.clone())
        );
    }
    for name in [
        "stoker.io/accepted-deliveries",
        "stoker.io/accepted-events",
        "stoker.io/requested-by",
        "stoker.io/requested-over",
        "kubectl.kubernetes.io/last-applied-configuration",
    ] {
        assert_eq!(
            plain,
            with(&|object| object["metadata"]["annotations"] = json!({ name: "x" })),
            "{name}"
        );
    }
    assert_ne!(
        plain,
        with(&|object| object["metadata"]["generation"] = json!(2))
    );
    assert_ne!(
        plain,
        with(&|object| object["metadata"]["uid"] = json!("v"))
    );
}

/// How old the lookup may be that a pass needs, or `None` if the last one is used in any case.
fn oldest(
    states: &ObjectStates,
    lookup_key: &LookupKey,
    interval: Option<Duration>,
) -> Option<Duration> {
    match states.usable(&key(), lookup_key, interval, None) {
        Usable::Lookup { .. } => None,
        Usable::NotBefore { at, .. } => Some(at.elapsed()),
        Usable::Later(left) => panic!("a lookup is possible only in {left:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_valid_for_one_interval() {
    let (states, one) = (ObjectStates::default(), lookup_key(1, None));
    assert_eq!(oldest(&states, &one, None), Some(Duration::ZERO));
    tokio::time::advance(SECOND).await;
    assert_eq!(oldest(&states, &one, None), Some(SECOND));
    states.store_lookup(&key(), &one, found());
    let minute = Some(60 * SECOND);
    tokio::time::advance(59 * SECOND).await;
    assert_eq!(oldest(&states, &one, minute), Some(59 * SECOND));
    tokio::time::advance(SECOND).await;
    let oldest_of_others = Duration::from_nanos(59_999_999_999);
    assert_eq!(oldest(&states, &one, minute), Some(oldest_of_others));
    assert_eq!(
        oldest(&states, &one, None),
        None,
        "without polling it is valid for ever"
    );
}

#[tokio::test(start_paused = true)]
async fn another_key_needs_another_lookup() {
    for other in [
        lookup_key(2, None),
        lookup_key(1, Some("t")),
        requested(lookup_key(1, None)),
    ] {
        let states = ObjectStates::default();
        states.store_lookup(&key(), &lookup_key(1, None), found());
        assert_eq!(oldest(&states, &other, None), Some(Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn the_removal_of_a_request_for_the_same_ref_needs_no_other_lookup() {
    let (states, one) = (ObjectStates::default(), lookup_key(1, Some("t")));
    states.store_lookup(&key(), &requested(one.clone()), found());
    assert_eq!(oldest(&states, &one, None), None);
    // The same request again is a new one.
    tokio::time::advance(SECOND).await;
    let again = oldest(&states, &requested(one), None);
    assert_eq!(again, Some(Duration::ZERO));
    for other in [lookup_key(1, None), lookup_key(2, Some("t"))] {
        let states = ObjectStates::default();
        let before = requested(lookup_key(1, Some("t")));
        states.store_lookup(&key(), &before, found());
        assert_eq!(oldest(&states, &other, None), Some(Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_may_have_begun_before_the_pass_that_needs_it() {
    let (states, one) = (ObjectStates::default(), lookup_key(1, None));
    let arrived = Instant::now();
    tokio::time::advance(SECOND).await;
    for since in [Some(arrived), None] {
        let usable = states.usable(&key(), &one, None, since);
        assert!(matches!(usable, Usable::NotBefore { at, is_first: true, .. } if at == arrived));
    }
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_five_minutes() {
    let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
    for seconds in [30, 60, 120, 240, 300, 300] {
        let delay = seconds * SECOND;
        assert_eq!(
            states.record_failure(&key, &one, None),
            Retry { delay, left: delay }
        );
        tokio::time::advance(10 * SECOND).await;
        // A pass that another event started.
        assert_eq!(
            states.record_failure(&key, &one, None),
            Retry {
                delay,
                left: delay.saturating_sub(10 * SECOND)
            }
        );
        tokio::time::advance(delay.saturating_sub(10 * SECOND)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn waits_do_not_grow_while_a_ref_is_requested() {
    let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
    for _ in 0..4 {
        let retry = states.record_failure(&key, &requested(one.clone()), None);
        assert_eq!(retry.left, 30 * SECOND);
        tokio::time::advance(retry.left).await;
    }
    // They grow from the beginning after the removal.
    for seconds in [60, 120] {
        let retry = states.record_failure(&key, &one, None);
        assert_eq!(retry.left, seconds * SECOND);
        tokio::time::advance(retry.left).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_what_a_publication_lacks_does_not_grow() {
    let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
    for _ in 0..3 {
        let retry = states.record_failure(&key, &one, None);
        tokio::time::advance(retry.left).await;
    }
    states.record_failure(&key, &one, None);
    let delay = 30 * SECOND;
    for seconds in [30, 20, 10, 30] {
        let left = seconds * SECOND;
        let retry = states.record_blocked(&key, &one);
        assert_eq!(retry, Retry { delay, left });
        tokio::time::advance(10 * SECOND).await;
    }
    tokio::time::advance(20 * SECOND).await;
    assert_eq!(states.record_failure(&key, &one, None).delay, delay);
}

#[tokio::test(start_paused = true)]
async fn a_new_request_resets_the_wait_once() {
    let (states, key) = (ObjectStates::default(), key());
    states.record_failure(&key, &lookup_key(1, None), None);
    tokio::time::advance(30 * SECOND).await;
    let request = lookup_key(1, Some("t"));
    assert_eq!(
        states.record_failure(&key, &request, None).delay,
        30 * SECOND
    );
    tokio::time::advance(30 * SECOND).await;
    assert_eq!(
        states.record_failure(&key, &request, None).delay,
        60 * SECOND,
        "the same request does not reset it again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_lookup_is_valid_until_the_next_try() {
    let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
    states.record_failure(&key, &one, None);
    states.store_lookup(
        &key,
        &one,
        Lookup {
            at: Instant::now(),
            result: Err("gone".to_owned()),
            missing: None,
        },
    );
    tokio::time::advance(29 * SECOND).await;
    assert_eq!(oldest(&states, &one, Some(SECOND)), Some(29 * SECOND));
    tokio::time::advance(SECOND).await;
    assert_eq!(oldest(&states, &one, None), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_waits_after_errors_start_with_one_second() {
    let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
    // Also before the first lookup.
    let mut waits = vec![states.record_error(&key).as_secs()];
    states.store_lookup(&key, &one, found());
    waits.extend((1..11).map(|_| states.record_error(&key).as_secs()));
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    states.record_success(&key, &one);
    assert_eq!(states.record_error(&key), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_removed_object_has_no_state() {
    let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
    states.store_lookup(&key, &one, found());
    states.remove(&key);
    assert!(states.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_changed_annotation_needs_one_new_lookup_and_keeps_the_delays() {
    let states = ObjectStates::default();
    let before = lookup_key(1, None);
    let annotated = LookupKey {
        annotations: 1,
        ..before.clone()
    };
    let missing = || Lookup {
        result: Err("the ref does not exist".to_owned()),
        ..found()
    };
    for (lookup, interval) in [
        (missing(), None),
        (missing(), Some(60 * SECOND)),
        (found(), None),
        (found(), Some(60 * SECOND)),
    ] {
        states.remove(&key());
        states.store_lookup(&key(), &before, lookup.clone());
        let retry = lookup
            .result
            .is_err()
            .then(|| states.record_failure(&key(), &before, None));
        tokio::time::advance(SECOND).await;
        let now = Instant::now();
        let usable = states.usable(&key(), &annotated, interval, None);
        let is_new = matches!(usable, Usable::NotBefore { at, is_first: false, is_requested: true } if at == now);
        assert!(is_new, "{usable:?}");
        let last = states.last_commit(&key(), &annotated);
        assert_eq!(
            last.is_some(),
            lookup.result.is_ok(),
            "the last commit stays"
        );
        if let Some(retry) = retry {
            let left = states.record_failure(&key(), &annotated, None).left;
            assert_eq!(left + SECOND, retry.left);
        }
        let again = Lookup { at: now, ..lookup };
        states.store_lookup(&key(), &annotated, again);
        tokio::time::advance(SECOND).await;
        let usable = states.usable(&key(), &annotated, interval, None);
        let is_used = match usable {
            Usable::Lookup { .. } => true,
            Usable::NotBefore { at, .. } => at == now,
            Usable::Later(_) => false,
        };
        assert!(is_used, "one lookup is enough: {usable:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_asked_does_not_use_up_what_is_awaited() {
    let (states, key, before) = (ObjectStates::default(), key(), lookup_key(1, None));
    let annotated = LookupKey {
        annotations: 1,
        ..before.clone()
    };
    let failed = || Lookup {
        result: Err("it is not asked".to_owned()),
        ..found()
    };
    let is_first = |lookup_key, refusal: &Lookup| match states.usable(&key, lookup_key, None, None)
    {
        Usable::NotBefore {
            at,
            is_first,
            is_requested: true,
        } => {
            assert!(refusal.at < at, "the refusal is no answer to the next try");
            is_first
        }
        usable => panic!("{usable:?}"),
    };
    // The first lookup.
    states.usable(&key, &before, None, None);
    let refusal = failed();
    states.store_refusal(&key, &before, refusal.clone(), 20 * SECOND);
    assert!(is_first(&before, &refusal));
    // One after a change of an annotation, in the middle of a long wait.
    states.store_lookup(&key, &before, failed());
    for _ in 0..4 {
        let retry = states.record_failure(&key, &before, None);
        tokio::time::advance(retry.left).await;
    }
    assert_eq!(
        states.record_failure(&key, &before, None).left,
        300 * SECOND
    );
    tokio::time::advance(SECOND).await;
    states.usable(&key, &annotated, None, None);
    for seconds in [20, 19] {
        let refusal = failed();
        states.store_refusal(&key, &annotated, refusal.clone(), seconds * SECOND);
        assert!(!is_first(&annotated, &refusal));
        let left = states.record_failure(&key, &annotated, None).left;
        assert_eq!(left, seconds * SECOND);
        tokio::time::advance(SECOND).await;
    }
    // A poll, which nobody waits for.
    states.store_lookup(&key, &annotated, found());
    tokio::time::advance(60 * SECOND).await;
    states.store_refusal(&key, &annotated, failed(), 20 * SECOND);
    let usable = states.usable(&key, &annotated, None, None);
    let is_awaited = matches!(usable, Usable::NotBefore { is_requested, .. } if is_requested);
    assert!(!is_awaited, "{usable:?}");
}
