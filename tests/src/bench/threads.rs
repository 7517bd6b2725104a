//! Measures the gain of a second thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use stoker::metrics::Metrics;
use stoker::plugin::{Chain, Question};

use super::calls::{chain, median, question, runtime};
use super::release;
use super::report::{Row, Table};

/// The duration of each measurement of a pair.
const TIME: Duration = Duration::from_millis(250);
/// The number of pairs, of which the medians are used.
const ROUNDS: usize = 24;
/// The number of handovers in a measurement of their duration.
const HANDOVERS: u32 = 100_000;
/// The maximum time of a handover between two cores that share a cache, in nanoseconds.
const NEAR: f64 = 90.0;

/// Compares the calls per second of two threads with those of one.
pub fn threads() -> Result<Table> {
    ensure!(
        available_parallelism()?.get() > 1,
        "two threads need two processors"
    );
    let (setup, metrics) = (runtime()?, Metrics::new());
    let chain = chain(&setup, &metrics)?;
    // Each thread has its own webhooks.
    let question = || question(&release("v2.0.0"), Some("release"));
    let questions = [question()?, question()?];
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let (mut near, mut far, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = handover();
        one.push(rate(&chain, &questions[..1])?);
        two.push(rate(&chain, &questions)?);
        let ratio = two.last().zip(one.last()).map(|(two, one)| two / one);
        let after = handover();
        match (before < NEAR, after < NEAR) {
            (true, true) => near.extend(ratio),
            (false, false) => far.extend(ratio),
            // The machine moved the threads during the measurement.
            _ => moved.extend(ratio),
        }
    }
    let mut rows = vec![
        Row::new("one thread", median(&mut one) / 1e3, ""),
        Row::new("two threads", median(&mut two) / 1e3, ""),
    ];
    let row = |what: &str, mut ratios: Vec<f64>| {
        let note = format!("median of {}", ratios.len());
        Row::new(&format!("ratio, {what}"), median(&mut ratios), &note)
    };
    let all = [near.as_slice(), &far, &moved].concat();
    rows.push(row("all", all).at_least(1.6));
    for (what, ratios) in [("near cores", near), ("far cores", far)] {
        if !ratios.is_empty() {
            rows.push(row(what, ratios));
        }
    }
    Ok(Table {
        name: "threads".into(),
        title: "Two threads against one".into(),
        text: "Calls of the `github` plugin per second, each with a new instance, on one thread and on two. Passing a value between two cores takes about 35 ns if they share a cache, and about 175 ns if a virtual machine runs them far apart, in which case the engine's shared pools cost more. The distance is measured before and after each pair. The ratio should be at least 1.6.",
        unit: "thousand calls a second",
        rows,
    })
}

/// Returns the calls per second, with a thread for each question.
fn rate(chain: &Arc<Chain>, questions: &[Arc<Question>]) -> Result<f64> {
    let count = |question: &Arc<Question>| -> Result<u32> {
        let runtime = runtime()?;
        let plugins = chain.plugins();
        let github = plugins
            .iter()
            .find(|plugin| plugin.descriptor().name == "github")
            .context("no plugin github")?;
        let started = Instant::now();
        runtime.block_on(async {
            let mut calls = 0;
            while started.elapsed() < TIME {
                for _ in 0..100 {
                    github.ask(chain.sandbox(), question).await.0?;
                }
                calls += 100;
            }
            Ok(calls)
        })
    };
    let total = std::thread::scope(|scope| {
        let running: Vec<_> = questions
            .iter()
            .map(|question| scope.spawn(|| count(question)))
            .collect();
        let ended = running.into_iter().map(|thread| match thread.join() {
            Ok(calls) => calls,
            Err(_) => Err(anyhow::anyhow!("a thread panicked")),
        });
        ended.sum::<Result<u32>>()
    })?;
    Ok(f64::from(total) / TIME.as_secs_f64())
}

/// Returns the time to pass a value from one thread to another, in nanoseconds.
fn handover() -> f64 {
    let value = AtomicU32::new(0);
    let take_turns = |first: u32| {
        for turn in (first..HANDOVERS).step_by(2) {
            while value.load(Ordering::Acquire) != turn {
                std::hint::spin_loop();
            }
            value.store(turn + 1, Ordering::Release);
        }
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| take_turns(0));
        scope.spawn(|| take_turns(1));
    });
    started.elapsed().as_secs_f64() * 1e9 / f64::from(HANDOVERS)
}
