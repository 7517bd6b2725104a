use std::hint::black_box;

use super::stoker::detect::diagnostics;
use super::{Outcome, Request, found};

const MIB: usize = 1 << 20;

pub(super) fn behave(behaviour: &str, request: &Request) -> Result<Outcome, String> {
    let announce = |git_ref: String| Ok(Outcome::Found(vec![found(git_ref)]));
    match behaviour {
        "ok" => announce("v1".into()),
        "not-mine" => Ok(Outcome::NotMine),
        "loop" => compute(),
        "host-call-loop" => ask(request),
        "memory-copy" => copy(),
        "allocate" => allocate(),
        "recurse" => announce(format!("v{}", recurse(1))),
        "panic" => panic!("as told"),
        "giant-result" => announce("v".repeat(5 * MIB)),
        "giant-argument" => announce(request.header(&"x".repeat(5 * MIB)).unwrap_or_default()),
        "giant-reason" => Ok(Outcome::Ignored("\u{1b}[31m\u{202e}".repeat(32 * 1024))),
        "many-detections" => Ok(Outcome::Found(
            (0..5_000).map(|_| found("v1".into())).collect(),
        )),
        "invalid-ref" => announce("--upload-pack=\u{7}x y..z".into()),
        "nothing-found" => Ok(Outcome::Found(Vec::new())),
        "log-flood" => log(),
        other => Err(format!("unknown behaviour {other}")),
    }
}

fn compute() -> ! {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_mul(3).wrapping_add(1));
    }
}

fn ask(request: &Request) -> ! {
    loop {
        black_box(request.string_at("/ref"));
    }
}

fn copy() -> ! {
    let mut bytes = vec![0_u8; 12 * MIB];
    loop {
        black_box(&mut bytes).copy_within(0..6 * MIB, 6 * MIB);
    }
}

fn allocate() -> ! {
    let mut kept = Vec::new();
    // The memory is not written to, so that its limit ends the call long before the limit of time, on any machine.
    loop {
        kept.push(black_box(Vec::<u8>::with_capacity(MIB)));
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[0]
}

fn log() -> Result<Outcome, String> {
    for number in 0..100 {
        diagnostics::log(&format!("\u{1b}[2Jline {number} {}", "x".repeat(2048)));
    }
    Ok(Outcome::Ignored("logged".into()))
}
