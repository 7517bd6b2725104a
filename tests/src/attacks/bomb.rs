//! A compressed body that is a thousand times larger when it is decompressed.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};

/// The part of the decompressed body that is written at a time.
const PART: usize = 1 << 20;
/// The number of parts.
const PARTS: usize = 256;

/// Returns 256 MiB of zeros, compressed by gzip.
pub(super) fn bomb() -> Result<Vec<u8>> {
    let mut gzip = Command::new("gzip")
        .arg("-9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run gzip")?;
    let mut input = gzip.stdin.take().context("gzip has no input")?;
    let feeder = std::thread::spawn(move || {
        let zeros = vec![0; PART];
        (0..PARTS).try_for_each(|_| input.write_all(&zeros))
    });
    let output = gzip.wait_with_output()?;
    ensure!(output.status.success(), "gzip failed: {}", output.status);
    let fed = feeder.join();
    fed.map_err(|_| anyhow!("the thread that feeds gzip panicked"))??;
    Ok(output.stdout)
}
