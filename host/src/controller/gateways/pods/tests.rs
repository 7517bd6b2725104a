use serde_json::{Value, json};

use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("edge", name).unwrap()
}

/// A running pod of the gateway `plant`. `change` is merged into it.
fn pod(name: &str, change: Value) -> PodFields {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "edge", "annotations": {"stoker.io/cr-name": "plant"}},
        "spec": {"containers": [{"name": "ignition", "image": "x"}]},
        "status": {"phase": "Running"},
    });
    json_merge(&mut pod, change);
    serde_json::from_value(pod).unwrap()
}

fn json_merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                json_merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn read(change: Value) -> GatewayPod {
    pod("gw-0", change).into_gateway_pod().unwrap().1
}

fn annotations(change: &Value) -> Value {
    json!({"metadata": {"annotations": change}})
}

#[test]
fn a_gateway_has_the_name_of_its_annotation_of_its_label_or_of_its_pod() {
    let both = json!({"metadata": {
        "annotations": {"stoker.io/gateway-name": "blue"}, "labels": {"app.kubernetes.io/name": "ignition"},
    }});
    let label = json!({"metadata": {
        "annotations": {"stoker.io/gateway-name": ""}, "labels": {"app.kubernetes.io/name": "ignition"},
    }});
    for (change, name) in [(both, "blue"), (label, "ignition"), (json!({}), "gw-0")] {
        assert_eq!(read(change).gateway_name, name);
    }
}

#[test]
fn a_pod_has_a_profile_an_account_and_a_phase() {
    let plain = read(json!({}));
    assert_eq!((plain.profile, &*plain.service_account), (None, "default"));
    assert!(plain.is_running);
    let other = read(json!({
        "metadata": {"annotations": {"stoker.io/profile": "edge"}},
        "spec": {"serviceAccountName": "gw"}, "status": {"phase": "Pending"},
    }));
    assert_eq!(
        (other.profile.as_deref(), &*other.service_account),
        (Some("edge"), "gw")
    );
    assert!(!other.is_running);
}

#[test]
fn the_agent_is_an_init_container_of_a_pod_that_asks_for_it() {
    let wanted = annotations(&json!({"stoker.io/inject": "true"}));
    let agent = json!([{"name": "stoker-agent"}]);
    let state =
        |ready| json!([{"name": "other", "ready": true}, {"name": "stoker-agent", "ready": ready}]);
    let injected = |ready| {
        let mut change = json!({
            "spec": {"initContainers": agent}, "status": {"initContainerStatuses": state(ready)},
        });
        json_merge(&mut change, wanted.clone());
        change
    };
    let mut regular = json!({"spec": {"containers": agent}});
    let ready =
        json!({"spec": {"containers": agent}, "status": {"containerStatuses": state(true)}});
    let starting = json!({"spec": {"initContainers": agent}});
    for (change, expected) in [
        (json!({}), AgentContainer::Unknown),
        (
            annotations(&json!({"stoker.io/inject": "yes"})),
            AgentContainer::Unknown,
        ),
        (wanted.clone(), AgentContainer::Missing),
        (injected(true), AgentContainer::Ready),
        (injected(false), AgentContainer::NotReady),
        (starting, AgentContainer::NotReady),
        (ready, AgentContainer::Ready),
        (regular.clone(), AgentContainer::NotReady),
    ] {
        assert_eq!(read(change.clone()).agent, expected, "{change}");
    }
    // A container that is not an init container is not what the injection makes.
    json_merge(&mut regular, wanted);
    assert_eq!(read(regular).agent, AgentContainer::Missing);
}

#[test]
fn an_agent_that_is_started_again_and_again_says_why() {
    let waiting = |restarts: i32, reason: &str| {
        read(json!({
            "spec": {"containers": [{"name": "stoker-agent"}]},
            "status": {"containerStatuses": [{
                "name": "stoker-agent", "ready": false, "restartCount": restarts,
                "state": {"waiting": {"reason": reason, "message": "back-off"}},
            }]},
        }))
        .agent
    };
    let expected = AgentContainer::Waiting("CrashLoopBackOff, 7 restart(s)".to_owned());
    assert_eq!(waiting(7, "CrashLoopBackOff"), expected);
    let expected = AgentContainer::Waiting("ImagePullBackOff".to_owned());
    assert_eq!(waiting(0, "ImagePullBackOff"), expected);
    assert_eq!(waiting(0, ""), AgentContainer::NotReady);
}

#[test]
fn a_pod_that_names_no_object_is_not_kept() {
    for name in ["", "Not a name", "../x"] {
        let pod = pod("x", annotations(&json!({"stoker.io/cr-name": name})));
        assert_eq!(pod.into_gateway_pod(), None);
    }
}

fn index(pods: Vec<PodFields>) -> PodIndex {
    let index = PodIndex::new();
    index.apply(Event::Init);
    for pod in pods {
        assert!(index.apply(Event::InitApply(pod)).is_empty());
    }
    index.apply(Event::InitDone);
    index
}

async fn names(index: &PodIndex, object: &str) -> Vec<String> {
    let pods = index.of(&key(object)).await.unwrap();
    pods.into_iter().map(|pod| pod.pod_name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_pod_concerns_the_objects_that_it_names() {
    let index = index(vec![pod("b", json!({})), pod("a", json!({}))]);
    assert_eq!(names(&index, "plant").await, ["a", "b"]);
    assert_eq!(names(&index, "other").await, [""; 0]);

    let touched = json!({"metadata": {"resourceVersion": "2"}, "status": {"conditions": [{"type": "Ready"}]}});
    let touched = || Event::Apply(pod("a", touched.clone()));
    assert_eq!(index.apply(touched()), [key("plant")]);
    assert_eq!(index.apply(touched()), []);
    let phase = Event::Apply(pod("a", json!({"status": {"phase": "Failed"}})));
    assert_eq!(index.apply(phase), [key("plant")]);
    let moved = pod("a", annotations(&json!({"stoker.io/cr-name": "other"})));
    assert_eq!(
        index.apply(Event::Apply(moved)),
        [key("plant"), key("other")]
    );
    assert_eq!(names(&index, "plant").await, ["b"]);
    assert_eq!(names(&index, "other").await, ["a"]);

    let anonymous = pod("a", annotations(&json!({"stoker.io/cr-name": ""})));
    assert_eq!(index.apply(Event::Apply(anonymous.clone())), [key("other")]);
    assert_eq!(index.apply(Event::Apply(anonymous)), []);
    assert_eq!(
        index.apply(Event::Delete(pod("b", json!({})))),
        [key("plant")]
    );
    assert_eq!(index.apply(Event::Delete(pod("b", json!({})))), []);
    assert_eq!(names(&index, "plant").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_new_list_concerns_the_objects_whose_pods_differ() {
    let other = |name| pod(name, annotations(&json!({"stoker.io/cr-name": "other"})));
    let index = index(vec![pod("a", json!({})), other("b")]);
    index.apply(Event::Init);
    index.apply(Event::InitApply(pod("a", json!({}))));
    // Until the list is complete, the pods of the previous one stay.
    assert_eq!(names(&index, "other").await, ["b"]);
    assert_eq!(index.apply(Event::InitDone), [key("other")]);
    assert_eq!(names(&index, "plant").await, ["a"]);
    assert_eq!(names(&index, "other").await, [""; 0]);
    assert_eq!(index.apply(Event::Apply(other("b"))), [key("other")]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_waits_for_the_first_list_for_a_while() {
    let index = PodIndex::new();
    index.apply(Event::Init);
    index.apply(Event::InitApply(pod("a", json!({}))));
    let started = tokio::time::Instant::now();
    assert_eq!(index.of(&key("plant")).await, None);
    assert_eq!(started.elapsed(), PATIENCE);
    assert_eq!(index.apply(Event::InitDone), [key("plant")]);

    let index = PodIndex::new();
    let list = async {
        index.apply(Event::Init);
        tokio::time::sleep(PATIENCE / 2).await;
        index.apply(Event::InitDone)
    };
    let plant = key("plant");
    let (pods, changed) = tokio::join!(index.of(&plant), list);
    assert_eq!((pods, changed), (Some(Vec::new()), Vec::new()));
}
