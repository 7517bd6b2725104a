//! An API server that needs seconds for an answer.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_slow_has_the_rest_of_the_time() {
    for (fault, seconds) in [
        (Fault::SlowAnswer as fn(f64) -> Fault, 2.1),
        (Fault::SlowAnswer, 3.0),
        (Fault::SlowAnswer, 5.5),
        // What is given up has no effect, so that two more calls are needed.
        (Fault::Slow, 2.5),
    ] {
        let api = FakeApi::with_faults((0..8).map(|_| fault(seconds)));
        let requester = requester(&api);
        let submitted = requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
        assert_eq!(submitted.await.unwrap(), written("v1"), "{seconds}");
        assert_eq!(api.requested_ref(), "v1");
    }
    let api = FakeApi::with_faults((0..8).map(|_| Fault::Slow(5.5)));
    let found = requester(&api).read(&key(), in_seconds(8)).await;
    assert!(found.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_did_not_answer_is_not_one_that_cannot_be_reached() {
    let api = FakeApi::with_faults((0..8).map(|_| Fault::Lost));
    let hanging = requester(&api);
    let lost = hanging.submit(api.target(), announcement("v1"), in_seconds(8));
    let text = lost.await.unwrap_err().to_string();
    assert_eq!(text, "the Kubernetes API server did not answer in time");
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let api = FakeApi::with_faults((0..99).map(|_| Fault::Status(unavailable, 0)));
    let failing = requester(&api);
    let failed = failing.submit(api.target(), announcement("v1"), in_seconds(8));
    let text = failed.await.unwrap_err().to_string();
    assert_eq!(text, "the Kubernetes API server cannot be reached");
}
