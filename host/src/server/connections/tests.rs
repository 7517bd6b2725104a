use futures::FutureExt as _;

use super::super::open_request::OpenRequest;
use super::*;

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";

fn connect(connections: &Arc<Connections>, address: &str) -> Arc<OpenConnection> {
    let admitted = connections.admit(address.parse().unwrap());
    Arc::new(admitted.now_or_never().unwrap().connection)
}

#[tokio::test]
async fn the_oldest_idle_connection_is_replaced() {
    let connections = Connections::new(3);
    let opened = [A, A, A].map(|address| connect(&connections, address));
    // The first connection was used after the others were opened.
    drop(OpenRequest::begin(&opened[0]));
    let new = connect(&connections, A);
    let replaced = opened
        .each_ref()
        .map(|connection| connection.replaced.is_cancelled());
    assert_eq!(replaced, [false, true, false]);
    assert!(!new.replaced.is_cancelled());
    assert_eq!(connections.len(), 3);
}

#[tokio::test]
async fn the_address_with_the_most_connections_loses_one() {
    let connections = Connections::new(3);
    let opened = [B, A, A].map(|address| connect(&connections, address));
    let new = connect(&connections, B);
    let replaced = opened
        .each_ref()
        .map(|connection| connection.replaced.is_cancelled());
    assert_eq!(replaced, [false, true, false]);
    drop(new);
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_not_interrupted() {
    let connections = Connections::new(2);
    let opened = [A, A].map(|address| connect(&connections, address));
    let requests = opened.each_ref().map(OpenRequest::begin);
    drop(requests[0].body());
    // The body of the second request has not arrived.
    let third = connect(&connections, B);
    assert!(!opened[0].replaced.is_cancelled() && opened[1].replaced.is_cancelled());
    let request = OpenRequest::begin(&third);
    drop(request.body());
    assert!(
        connections
            .admit(A.parse().unwrap())
            .now_or_never()
            .is_none()
    );
    drop(request);
    connect(&connections, A);
    assert!(third.replaced.is_cancelled() && !opened[0].replaced.is_cancelled());
}

#[tokio::test]
async fn a_connection_whose_answers_are_not_taken_is_replaced() {
    let connections = Connections::new(2);
    let opened = [A, A].map(|address| connect(&connections, address));
    // The first connection has an answer to send, and a request that is being answered.
    let requests = [0, 0, 1].map(|index| OpenRequest::begin(&opened[index]));
    for request in &requests {
        drop(request.body());
    }
    requests[0].answered();
    assert!(connections.try_admit(B.parse().unwrap()).is_none());
    requests[2].answered();
    let third = connect(&connections, B);
    assert!(!opened[0].replaced.is_cancelled() && opened[1].replaced.is_cancelled());
    requests[1].answered();
    // Later than the answers of the first connection.
    drop(OpenRequest::begin(&third));
    connect(&connections, B);
    assert!(opened[0].replaced.is_cancelled() && !third.replaced.is_cancelled());
    drop(requests);
}

#[tokio::test]
async fn a_body_that_does_not_end_after_its_answer_is_not_expected() {
    let connections = Connections::new(1);
    let connection = connect(&connections, A);
    let request = OpenRequest::begin(&connection);
    let body = request.body();
    request.answered();
    assert_eq!(connection.pause().unwrap().1, Pause::Answers);
    drop(request);
    assert_eq!(connection.pause().unwrap().1, Pause::NextRequest);
    drop(body);
    assert_eq!(connection.pause().unwrap().1, Pause::NextRequest);
}

#[tokio::test]
async fn an_idle_connection_is_replaced_before_one_that_receives() {
    let connections = Connections::new(2);
    let opened = [A, B].map(|address| connect(&connections, address));
    let _request = OpenRequest::begin(&opened[0]);
    connect(&connections, A);
    assert!(!opened[0].replaced.is_cancelled() && opened[1].replaced.is_cancelled());
}

/// Opens connections whose bodies do not arrive.
fn stall(
    connections: &Arc<Connections>,
    address: &str,
    number: usize,
) -> Vec<(Arc<OpenConnection>, OpenRequest)> {
    let stalled = (0..number).map(|_| {
        let connection = connect(connections, address);
        let request = OpenRequest::begin(&connection);
        (connection, request)
    });
    stalled.collect()
}

#[tokio::test]
async fn bodies_that_do_not_arrive_exclude_no_new_connection() {
    for honest in [A, B] {
        let connections = Connections::new(64);
        let mut stalled = stall(&connections, A, 64);
        // In the handshake of TLS and while its headers arrive, it has no request.
        let new = connect(&connections, honest);
        stalled.extend(stall(&connections, A, 32));
        assert!(!new.replaced.is_cancelled(), "{honest}");
        let _request = OpenRequest::begin(&new);
        stalled.extend(stall(&connections, A, 32));
        assert!(!new.replaced.is_cancelled(), "{honest}");
        // The oldest ones were replaced.
        let replaced = stalled
            .iter()
            .take_while(|(connection, _)| connection.replaced.is_cancelled());
        assert_eq!(replaced.count(), 65, "{honest}");
        assert_eq!(connections.len(), 64, "{honest}");
    }
}

#[tokio::test]
async fn connections_without_a_request_do_not_interrupt_bodies() {
    let connections = Connections::new(64);
    let bodies = [stall(&connections, A, 8), stall(&connections, B, 8)];
    let _idle: Vec<_> = (0..640).map(|_| connect(&connections, A)).collect();
    let mut bodies = bodies.iter().flatten();
    assert!(bodies.all(|(connection, _)| !connection.replaced.is_cancelled()));
}

#[tokio::test]
async fn requests_that_are_being_answered_leave_the_share_as_it_is() {
    let connections = Connections::new(64);
    let answered = stall(&connections, A, 60);
    for (_, request) in &answered {
        drop(request.body());
    }
    let body = stall(&connections, B, 1);
    let idle: Vec<_> = (0..640).map(|_| connect(&connections, A)).collect();
    assert!(!body[0].0.replaced.is_cancelled());
    let left = idle.iter().filter(|idle| !idle.replaced.is_cancelled());
    assert_eq!(left.count(), 3);
}

#[tokio::test]
async fn a_quarter_is_kept_for_connections_without_a_request() {
    let connections = Connections::new(64);
    let idle: Vec<_> = (0..64).map(|_| connect(&connections, A)).collect();
    let _stalled = stall(&connections, B, 640);
    let left = idle.iter().filter(|idle| !idle.replaced.is_cancelled());
    assert_eq!(left.count(), 16);
}

#[tokio::test]
async fn a_replaced_connection_does_not_remove_the_new_one() {
    let connections = Connections::new(1);
    let first = connect(&connections, A);
    let second = connect(&connections, A);
    let request = OpenRequest::begin(&first);
    drop((request, first));
    assert_eq!(connections.len(), 1);
    drop(second);
    assert_eq!(connections.len(), 0);
    assert!(connections.table().groups.is_empty());
}

#[test]
fn one_client_has_a_whole_64() {
    let group = |text: &str| group(text.parse().unwrap()).to_string();
    assert_eq!(group("2001:db8::1:2:3:4"), "2001:db8::");
    assert_eq!(group("::ffff:192.0.2.1"), A);
    assert_eq!(group(A), A);
}
