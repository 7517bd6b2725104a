//! The queue between the log and its writer, bounded in bytes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

/// The maximum size of the lines in the queue in bytes.
const QUEUE_BYTES: usize = 8 << 20;
/// The maximum size of a line in bytes. The rest of a longer line is cut off.
const LINE_BYTES: usize = 16 << 10;
/// What a short line counts in bytes, because each line has a cost besides its text.
const LEAST_BYTES: usize = 128;
/// The end of a line that was cut off.
const CUT: &[u8] = "…\n".as_bytes();

/// The entrance of the queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    lines: NonBlocking,
    state: Arc<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The size of the lines in the queue.
    bytes: AtomicUsize,
    /// The number of lines that were dropped.
    dropped: AtomicUsize,
}

impl Queue {
    /// Starts the thread that writes the lines. Dropping the guard writes the remaining lines.
    pub(super) fn start(writer: impl Write + Send + 'static) -> (Self, WorkerGuard) {
        let state = Arc::new(State::default());
        let exit = Exit {
            writer,
            state: Arc::clone(&state),
        };
        let (lines, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUE_BYTES / LEAST_BYTES)
            .finish(exit);
        (Self { lines, state }, guard)
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }
}

impl State {
    /// Returns the number of lines that were dropped since the last call.
    pub(super) fn take_dropped(&self) -> usize {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Takes the place of a line, if there is one.
    fn take(&self, cost: usize) -> bool {
        let fits = |bytes: usize| Some(bytes + cost).filter(|bytes| *bytes <= QUEUE_BYTES);
        let taken = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.is_ok()
    }
}

fn cost(line: &[u8]) -> usize {
    line.len().max(LEAST_BYTES)
}

impl Write for Queue {
    /// Writes one whole line. A line that does not fit is dropped, so that nothing waits for the reader of the log.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let short;
        let queued = if line.len() > LINE_BYTES {
            let text = String::from_utf8_lossy(&line[..LINE_BYTES - CUT.len()]);
            let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
            short = [text.as_bytes(), CUT].concat();
            &short
        } else {
            line
        };
        if self.state.take(cost(queued)) {
            self.lines.write_all(queued)?;
        } else {
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The exit of the queue, in the thread that writes.
struct Exit<W> {
    writer: W,
    state: Arc<State>,
}

impl<W: Write> Write for Exit<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    /// Writes one line, as it was put into the queue.
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.writer.write_all(line);
        self.state.bytes.fetch_sub(cost(line), Ordering::Relaxed);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that takes a line when it is told to.
    struct SlowReader {
        next: Receiver<()>,
        read: Lines,
    }

    impl Write for SlowReader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.next.recv().ok();
            self.read.lock().unwrap().push(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Lines = Arc<Mutex<Vec<Vec<u8>>>>;

    fn slow() -> (Queue, WorkerGuard, Sender<()>, Lines) {
        let (tell, next) = channel();
        let read = Arc::new(Mutex::default());
        let reader = SlowReader {
            next,
            read: Arc::clone(&read),
        };
        let (queue, guard) = Queue::start(reader);
        (queue, guard, tell, read)
    }

    #[test]
    fn a_slow_reader_loses_lines_beyond_the_bytes_of_the_queue() {
        let (mut queue, guard, tell, read) = slow();
        let line = [b'x'; 8 << 10];
        for _ in 0..2000 {
            queue.write_all(&line).unwrap();
        }
        assert!(queue.state.bytes.load(Ordering::Relaxed) <= QUEUE_BYTES);
        let dropped = queue.state.take_dropped();
        assert_eq!(dropped, 2000 - QUEUE_BYTES / line.len());
        assert_eq!(queue.state.take_dropped(), 0);
        // The reader takes everything from now on.
        drop(tell);
        drop(guard);
        assert_eq!(read.lock().unwrap().len(), 2000 - dropped);
        assert_eq!(queue.state.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let (mut queue, guard, tell, read) = slow();
        queue.write_all("ö".repeat(LINE_BYTES).as_bytes()).unwrap();
        drop((tell, guard));
        let read = read.lock().unwrap();
        let line = std::str::from_utf8(&read[0]).unwrap();
        assert!(line.len() <= LINE_BYTES && line.ends_with("ö…\n"));
    }
}
