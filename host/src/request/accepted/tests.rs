use super::*;

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn detection(event: Option<&str>) -> Detection {
    Detection {
        event: event.map(str::to_owned),
        ..crate::request::detection("v1")
    }
}

fn announcement(plugin: &str, detection: Detection, fingerprint: Fingerprint) -> Announcement {
    Announcement {
        plugin: plugin.into(),
        plugin_number: 0,
        detections: vec![detection],
        fingerprint,
    }
}

fn with_one(
    accepted: &AcceptedDeliveries,
    id: u8,
    plugin: &str,
    at: Option<&str>,
) -> AcceptedDeliveries {
    let detection = Detection {
        git_ref: GitRef::parse(&format!("v{id}")).unwrap(),
        occurred_at: at.map(|text| text.parse().unwrap()),
        ..detection(None)
    };
    let fingerprint = Fingerprint {
        signed: Some(Signed::Id([id; 32])),
        sent: None,
    };
    let announcement = announcement(plugin, detection.clone(), fingerprint);
    accepted.with(&announcement, &detection, now())
}

#[test]
fn what_is_signed_identifies_a_delivery_where_it_is_unique() {
    let (signed, sent) = ([1; 32], [2; 32]);
    let (of_signed, of_sent) = (Some(DeliveryId([1; 16])), Some(DeliveryId([2; 16])));
    let cases = [
        (Some(Signed::Id(signed)), Some(sent), None, of_signed),
        (Some(Signed::Id(signed)), None, None, of_signed),
        (
            Some(Signed::Body(signed)),
            Some(sent),
            Some("push"),
            of_signed,
        ),
        (Some(Signed::Body(signed)), Some(sent), None, of_sent),
        (Some(Signed::Body(signed)), None, None, None),
        (None, Some(sent), Some("push"), of_sent),
        (None, None, Some("push"), None),
    ];
    for (signed, sent, event, expected) in cases {
        let fingerprint = Fingerprint { signed, sent };
        let announcement = announcement("github", detection(event), fingerprint);
        let id = DeliveryId::of(&announcement, &announcement.detections[0]);
        assert_eq!(id, expected, "{announcement:?}");
        let accepted = AcceptedDeliveries {
            deliveries: expected.into_iter().collect(),
            events: Vec::new(),
        };
        assert_eq!(accepted.may_have(&announcement), expected.is_some());
        assert!(!AcceptedDeliveries::default().may_have(&announcement));
    }
    let timed = Detection {
        occurred_at: Some(now()),
        ..detection(None)
    };
    let with_id = Detection {
        delivery_id: Some("7".to_owned()),
        ..detection(None)
    };
    let fingerprint = Fingerprint {
        signed: Some(Signed::Body([1; 32])),
        sent: None,
    };
    for detection in [timed, with_id] {
        let announcement = announcement("github", detection.clone(), fingerprint.clone());
        assert_eq!(DeliveryId::of(&announcement, &detection), of_signed);
    }
}

#[test]
fn what_a_plugin_reports_identifies_a_delivery_that_is_not_signed() {
    let named = |plugin, git_ref: &str, id: Option<&str>| {
        let detection = Detection {
            git_ref: GitRef::parse(git_ref).unwrap(),
            delivery_id: id.map(str::to_owned),
            ..detection(None)
        };
        announcement(plugin, detection, Fingerprint::default())
    };
    let first = named("cloudevents", "v1", Some("7"));
    let accepted = AcceptedDeliveries::default().with(&first, &first.detections[0], now());
    for (other, expected) in [
        (first.clone(), true),
        (named("generic", "v1", Some("7")), false),
        (named("cloudevents", "v2", Some("7")), false),
        (named("cloudevents", "v1", Some("8")), false),
        (named("cloudevents", "v1", None), false),
    ] {
        let id = DeliveryId::of(&other, &other.detections[0]);
        let has = id.is_some_and(|id| accepted.has(id));
        assert_eq!(has, expected, "{other:?}");
        assert!(accepted.may_have(&other) || !has, "{other:?}");
    }
    // A proxy adds another id to each retry.
    let mut retry = first.clone();
    for id in [3, 4] {
        retry.fingerprint.sent = Some([id; 32]);
        let id = DeliveryId::of(&retry, &retry.detections[0]).unwrap();
        assert!(accepted.has(id) && accepted.may_have(&retry));
    }
    assert!(!accepted.may_have(&named("cloudevents", "v1", None)));
    assert!(!AcceptedDeliveries::default().may_have(&first));
}

#[test]
fn for_a_signed_body_the_events_of_all_signed_bodies_count() {
    let at = |plugin, signed, git_ref: &str, time: &str| {
        let detection = Detection {
            git_ref: GitRef::parse(git_ref).unwrap(),
            occurred_at: Some(time.parse().unwrap()),
            ..detection(None)
        };
        announcement(plugin, detection, Fingerprint { signed, sent: None })
    };
    let body = |byte| Some(Signed::Body([byte; 32]));
    let sent = [
        at("registry", None, "v3", "2026-01-01T11:30:00Z"),
        at("github", body(1), "v1", "2026-01-01T11:00:00Z"),
        // One without a signature does not hide that others were signed.
        at("github", None, "v2", "2026-01-01T11:10:00Z"),
    ];
    let accepted = sent
        .iter()
        .fold(AcceptedDeliveries::default(), |accepted, sent| {
            accepted.with(sent, &sent.detections[0], now())
        });
    let (deliveries, events) = (accepted.deliveries(), accepted.events());
    assert_eq!(
        AcceptedDeliveries::read(deliveries.as_deref(), events.as_deref()),
        accepted
    );
    let last = |plugin, signed| {
        let announcement = at(plugin, signed, "v9", "2026-01-01T10:00:00Z");
        let last = accepted.last_event_for(&announcement, now());
        last.map(|last| last.git_ref.clone())
    };
    assert_eq!(last("gitea", body(2)).as_deref(), Some("v2"));
    assert_eq!(last("registry", body(2)).as_deref(), Some("v3"));
    assert_eq!(last("github", None).as_deref(), Some("v2"));
    assert_eq!(last("gitea", None), None);
    assert_eq!(last("gitea", Some(Signed::Id([2; 32]))), None);
    let soon = at("cloudevents", body(3), "v4", "2026-01-01T12:04:00Z");
    let accepted = accepted.with(&soon, &soon.detections[0], now());
    let last = |plugin| {
        let announcement = at(plugin, body(2), "v9", "2026-01-01T10:00:00Z");
        let last = accepted.last_event_for(&announcement, now());
        last.map(|last| last.git_ref.clone())
    };
    assert_eq!(last("gitea").as_deref(), Some("v2"));
    assert_eq!(last("cloudevents").as_deref(), Some("v4"));
}

#[test]
fn the_memory_is_bounded_and_survives_its_annotations() {
    let mut accepted = AcceptedDeliveries::default();
    assert_eq!((accepted.deliveries(), accepted.events()), (None, None));
    for id in 0..40 {
        let plugin = format!("plugin-{id}");
        accepted = with_one(&accepted, id, &plugin, Some("2026-01-01T11:00:00Z"));
    }
    assert!(!accepted.has(DeliveryId([7; 16])) && accepted.has(DeliveryId([8; 16])));
    assert!(accepted.last_event("plugin-23", now()).is_none());
    assert!(accepted.last_event("plugin-24", now()).is_some());
    let (deliveries, events) = (accepted.deliveries().unwrap(), accepted.events().unwrap());
    assert_eq!(deliveries.len(), 32 * 32 + 31);
    assert_eq!(
        AcceptedDeliveries::read(Some(&deliveries), Some(&events)),
        accepted
    );
    // More than what fits, and what a person edited.
    let longer = format!("{deliveries},x,{}", "ab".repeat(16));
    let read = AcceptedDeliveries::read(Some(&longer), Some("{"));
    assert!(read.has(DeliveryId([0xab; 16])) && read.deliveries.len() == 31);
    assert!(read.events.is_empty());
}

#[test]
fn the_time_of_a_plugin_does_not_go_back_and_is_not_in_the_future() {
    let last = |accepted: &AcceptedDeliveries| {
        accepted
            .last_event("a", now())
            .map(|last| last.git_ref.clone())
    };
    let accepted = with_one(
        &AcceptedDeliveries::default(),
        1,
        "a",
        Some("2026-01-01T11:00:00Z"),
    );
    assert_eq!(last(&accepted).as_deref(), Some("v1"));
    let accepted = with_one(&accepted, 2, "a", Some("2026-01-01T10:00:00Z"));
    let accepted = with_one(&accepted, 3, "b", Some("2026-01-01T11:30:00Z"));
    let accepted = with_one(&accepted, 4, "a", None);
    let accepted = with_one(&accepted, 5, "a", Some("2026-01-01T12:05:01Z"));
    assert_eq!(last(&accepted).as_deref(), Some("v1"));
    let accepted = with_one(&accepted, 6, "a", Some("2026-01-01T12:05:00Z"));
    assert_eq!(last(&accepted).as_deref(), Some("v6"));
    let spoofed = r#"[{"plugin": "a", "ref": "v1\u202e9", "at": "2026-01-01T11:00:00Z"}]"#;
    assert_eq!(last(&AcceptedDeliveries::read(None, Some(spoofed))), None);
    let future = r#"[{"plugin": "a", "ref": "v9", "at": "2027-01-01T00:00:00Z"}]"#;
    assert_eq!(last(&AcceptedDeliveries::read(None, Some(future))), None);
}
