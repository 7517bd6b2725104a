use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A delivery for the only object, from one second to another.
fn delivery(number: u32, begun: u64, ended: u64, reply: Reply) -> Delivery {
    Delivery {
        number,
        object: 0,
        begun: seconds(begun),
        ended: seconds(ended),
        cuts: Vec::new(),
        reply,
    }
}

const ACCEPTED: Reply = Reply::Done { status: 202 };
const UNAVAILABLE: Reply = Reply::Unavailable {
    has_retry_after: true,
};

/// What happened to these deliveries, with these stores (delivery and second) in order. The last one stays.
fn evidence(deliveries: Vec<Delivery>, stores: &[(u32, u64)]) -> Evidence {
    let store = |&(number, seen): &(u32, u64)| Store {
        number,
        seen: seconds(seen),
    };
    Evidence {
        deliveries,
        stores: stores.iter().map(store).collect(),
        last: vec![stores.last().map(|&(number, _)| number)],
        windows: Vec::new(),
        unhandled: 0,
    }
}

fn outage(kind: Kind, from: u64, to: u64) -> Window {
    Window {
        kind,
        from: seconds(from),
        to: seconds(to),
    }
}

/// Returns the only failure.
fn failure(evidence: &Evidence) -> String {
    let verdict = Verdict::new(evidence);
    match verdict.failures() {
        [only] => only.clone(),
        failures => panic!("{failures:?}"),
    }
}

#[test]
fn every_delivery_that_is_stored_is_kept() {
    let deliveries = vec![delivery(0, 0, 1, ACCEPTED), delivery(1, 2, 3, ACCEPTED)];
    let verdict = Verdict::new(&evidence(deliveries, &[(0, 1), (1, 3)]));
    assert_eq!(verdict.failures(), [""; 0]);
    assert!(verdict.to_string().contains("| sent | 2 |"), "{verdict}");
}

#[test]
fn a_concurrent_delivery_may_be_stored_instead() {
    // Both were under way at the same time, in either order.
    for stored in [0, 1] {
        let deliveries = vec![delivery(0, 0, 3, ACCEPTED), delivery(1, 1, 3, ACCEPTED)];
        let verdict = Verdict::new(&evidence(deliveries, &[(stored, 2)]));
        assert_eq!(verdict.failures(), [""; 0], "{stored}");
    }
}

#[test]
fn a_delivery_that_is_never_stored_is_lost() {
    let deliveries = vec![delivery(0, 0, 1, ACCEPTED), delivery(1, 2, 3, ACCEPTED)];
    let mut evidence = evidence(deliveries, &[(0, 1)]);
    // The watch might have missed it, but the object has an older request.
    assert_eq!(Verdict::new(&evidence).failures().len(), 2);
    // A later delivery hides the loss at the end, but the watch shows it.
    evidence.deliveries.push(delivery(2, 30, 31, ACCEPTED));
    evidence.stores.push(Store {
        number: 2,
        seen: seconds(31),
    });
    evidence.last = vec![Some(2)];
    assert_eq!(
        failure(&evidence),
        "1 deliveries were accepted and never stored: [1]"
    );
}

#[test]
fn a_delivery_that_an_older_one_replaces_is_lost() {
    let deliveries = vec![delivery(0, 0, 1, ACCEPTED), delivery(1, 2, 3, ACCEPTED)];
    assert_eq!(
        failure(&evidence(deliveries, &[(0, 1), (1, 3), (0, 4)])),
        "1 deliveries were accepted and replaced by older ones: [1]"
    );
}

#[test]
fn an_object_without_a_request_has_lost_it() {
    let found = evidence(vec![delivery(0, 0, 1, ACCEPTED)], &[]);
    assert_eq!(Verdict::new(&found).failures().len(), 2);
}

#[test]
fn a_delivery_without_an_answer_may_be_stored_late() {
    let mut cut = delivery(0, 0, 1, Reply::None);
    cut.cuts = vec![seconds(1)];
    let accepted = [delivery(1, 2, 3, ACCEPTED), delivery(2, 2, 3, ACCEPTED)];
    let deliveries = [vec![cut], accepted.into()].concat();
    let mut evidence = evidence(deliveries, &[(1, 3), (2, 3), (0, 4)]);
    evidence.windows = vec![outage(Kind::Replica, 0, 2)];
    assert_eq!(Verdict::new(&evidence).failures(), [""; 0]);
}

#[test]
fn an_answer_of_503_needs_an_outage_and_a_time() {
    let deliveries = |reply| {
        vec![
            delivery(0, 0, 1, ACCEPTED),
            delivery(1, 10, 18, reply),
            delivery(2, 20, 21, ACCEPTED),
        ]
    };
    let stores = [(0, 1), (2, 21)];
    let mut found = evidence(deliveries(UNAVAILABLE), &stores);
    assert_eq!(failure(&found), "1 answers were 503 without an outage: [1]");
    found.windows = vec![outage(Kind::Replica, 9, 12)];
    assert_eq!(failure(&found), "1 answers were 503 without an outage: [1]");
    found.windows = vec![outage(Kind::ApiServer, 9, 12)];
    assert_eq!(Verdict::new(&found).failures(), [""; 0]);

    let without = Reply::Unavailable {
        has_retry_after: false,
    };
    let mut found = evidence(deliveries(without), &stores);
    found.windows = vec![outage(Kind::ApiServer, 9, 12)];
    assert_eq!(
        failure(&found),
        "1 answers were 503 without Retry-After: [1]"
    );
}

#[test]
fn a_connection_is_cut_only_where_a_replica_ends() {
    let mut cut = delivery(0, 0, 3, ACCEPTED);
    cut.cuts = vec![seconds(2)];
    let mut found = evidence(vec![cut], &[(0, 3)]);
    assert_eq!(
        failure(&found),
        "1 deliveries were cut while no replica ended: [0]"
    );
    found.windows = vec![outage(Kind::Replica, 1, 2)];
    assert_eq!(Verdict::new(&found).failures(), [""; 0]);
}

#[test]
fn other_answers_and_unhandled_requests_are_failures() {
    let deliveries = vec![
        delivery(0, 0, 1, ACCEPTED),
        delivery(1, 2, 3, Reply::Other { status: 500 }),
    ];
    let mut found = evidence(deliveries, &[(0, 1)]);
    assert_eq!(failure(&found), "unexpected answers: [(1, 500)]");
    found.deliveries.pop();
    found.unhandled = 1;
    assert_eq!(failure(&found), "1 requests were not handled");
}

#[test]
fn a_run_in_which_almost_nothing_is_accepted_fails() {
    let deliveries = vec![
        delivery(0, 0, 1, ACCEPTED),
        delivery(1, 2, 3, UNAVAILABLE),
        delivery(2, 2, 3, UNAVAILABLE),
    ];
    let mut found = evidence(deliveries, &[(0, 1)]);
    found.windows = vec![outage(Kind::ApiServer, 2, 3)];
    assert_eq!(failure(&found), "only 1 of 3 were accepted");
    assert_eq!(Verdict::new(&evidence(Vec::new(), &[])).failures().len(), 1);
}

#[test]
fn latencies_are_counted_without_disturbances() {
    let deliveries = vec![
        delivery(0, 0, 1, ACCEPTED),
        delivery(1, 10, 18, ACCEPTED),
        delivery(2, 30, 32, ACCEPTED),
    ];
    let mut found = evidence(deliveries, &[(0, 1), (1, 18), (2, 32)]);
    found.windows = vec![outage(Kind::ApiServer, 9, 15)];
    assert_eq!(undisturbed(&found), [seconds(1), seconds(2)]);
    assert_eq!(percentile(&undisturbed(&found), 0.99), seconds(2));
    assert_eq!(percentile(&[], 0.5), Duration::ZERO);
}
