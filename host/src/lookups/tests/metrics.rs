//! The time of the conversations.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::*;

#[tokio::test(start_paused = true)]
async fn the_time_of_each_conversation_is_measured_to_its_end() {
    let mut registry = Registry::default();
    let (servers, lookups) = Servers::measured_by(LookupMetrics::register(&mut registry));
    servers.set("slow", Behaviour::AnswersIn(4 * SECOND));
    servers.set("hung", Behaviour::NeverAnswers);
    servers.set("down", Behaviour::IsUnreachable);
    for (name, url) in [("one", "slow/r"), ("two", "hung/r")] {
        let asked = Asked::now(name, url, "main");
        assert!(asked.look_up(&lookups).await.is_none());
    }
    sleep(LONGEST).await;
    Asked::now("three", "down/r", "main").error(&lookups).await;
    // What is known is no conversation.
    let known = Asked {
        not_before: Instant::now() - LONGEST,
        ..Asked::now("three", "down/r", "main")
    };
    known.error(&lookups).await;
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for (bucket, number) in [("0.1", 1), ("2.5", 1), ("5.0", 2), ("30.0", 2), ("+Inf", 3)] {
        let bucket = format!("_bucket{{le=\"{bucket}\"}} {number}");
        let line = format!("stoker_controller_ref_resolve_duration_seconds{bucket}");
        assert!(text.contains(&line), "{line}\n{text}");
    }
}
