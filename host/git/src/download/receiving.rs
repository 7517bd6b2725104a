//! Receives a pack, in the forms in which servers send it.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::messages::Messages;
use super::{Download, FetchProgress};
use crate::advertisement::SideBands;
use crate::error::{GitError, plain};
use crate::packet::{Packet, PacketSource, Packets};

/// The maximum size of a part of a pack that waits for being written, which is that of a packet.
const MAX_PART: usize = 64 * 1024;

impl Download<'_> {
    /// Passes the pack of an answer on, to its end or until it is not wanted any more.
    pub(super) async fn receive_pack<S: PacketSource>(
        &mut self,
        packets: &mut Packets<S>,
        side_bands: SideBands,
        parts: mpsc::Sender<Bytes>,
    ) -> Result<(), GitError> {
        match side_bands {
            SideBands::None => self.receive_plain_pack(packets, parts).await,
            SideBands::Used => self.receive_side_bands(packets, parts).await,
        }
    }

    /// Passes a pack on that arrives as it is, to the end of the answer.
    async fn receive_plain_pack<S: PacketSource>(
        &mut self,
        packets: &mut Packets<S>,
        parts: mpsc::Sender<Bytes>,
    ) -> Result<(), GitError> {
        loop {
            let mut rest = self.in_time(packets.bytes()).await?;
            if rest.is_empty() {
                return Ok(());
            }
            while !rest.is_empty() {
                let part = rest.split_to(rest.len().min(MAX_PART));
                self.bytes += part.len() as u64;
                if parts.send(part).await.is_err() {
                    return Ok(());
                }
            }
            (self.show)(FetchProgress::Received(self.bytes));
        }
    }

    /// Passes a pack on that arrives in side bands.
    async fn receive_side_bands<S: PacketSource>(
        &mut self,
        packets: &mut Packets<S>,
        parts: mpsc::Sender<Bytes>,
    ) -> Result<(), GitError> {
        let mut messages = Messages::default();
        let idle = self.client.fetch_limits.idle;
        let mut last_progress = Instant::now();
        loop {
            // A server that sends keep-alive messages all the time never lets the wait for the next packet end.
            if last_progress.elapsed() > idle {
                return Err(GitError::NoProgress { limit: idle });
            }
            let line = match self.in_time(packets.next()).await? {
                Packet::Line(line) => line,
                Packet::Flush => return Ok(()),
                Packet::Delimiter => return Err(GitError::malformed("a delimiter in a pack")),
            };
            match line.data().split_first() {
                // Servers send empty parts while they compute.
                Some((1, [])) => {}
                Some((1, part)) => {
                    self.bytes += part.len() as u64;
                    if parts.send(line.data_from(1)).await.is_err() {
                        return Ok(());
                    }
                    (self.show)(FetchProgress::Received(self.bytes));
                    last_progress = Instant::now();
                }
                Some((2, text)) => {
                    messages.add(text, |text| {
                        (self.show)(FetchProgress::Message(text));
                        last_progress = Instant::now();
                    });
                }
                Some((3, message)) => {
                    return Err(GitError::Remote {
                        message: plain(message),
                    });
                }
                _ => return Err(GitError::malformed("a pack in an unknown side band")),
            }
        }
    }
}
