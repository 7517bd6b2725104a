//! Fetches one commit into a store: its files, without its history. The server sends only the objects that the store
//! does not have.
//!
//! This module handles the protocol. The pack goes to the store as it arrives.

mod messages;
mod receiving;
mod server;
mod storing;

use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef};
use tokio::time::timeout;

use server::Server;
pub(super) use server::skip_to_pack;
use storing::Storing;

use super::GitClient;
use super::advertisement::{self, Advertised, Advertisement, Common, SideBands, Wants};
use super::candidates::Query;
use super::connection::Connection;
use super::error::GitError;
use super::fetch::not_found;
use super::offer::Offer;
use super::packet::{Packet, Packets};
use super::remote::Remote;
use super::request::{Request, Version};
use super::resolve::read_refs;
use super::store::{Basis, FetchLock, MAX_OBJECT, ObjectStore, PackLimits};

/// The limits of the fetch of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// The longest wait for progress: for the next part of an answer, or for a new message of the server. Signs of life
    /// are no progress.
    pub idle: Duration,
    /// The time limit of the whole fetch. A large repository takes long over a slow line.
    pub total: Duration,
    /// The size of the answers, in bytes.
    pub pack_bytes: u64,
    /// The number of objects in a pack. Each needs about 100 bytes of memory while the pack is indexed.
    pub objects: usize,
    /// The size of one object, such as a file, in bytes, and at most 512 MiB. An object is read into memory as a whole.
    pub object_bytes: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_mins(2),
            total: Duration::from_hours(2),
            pack_bytes: 16 * 1024 * 1024 * 1024,
            objects: 5_000_000,
            object_bytes: 100 * 1024 * 1024,
        }
    }
}

/// The commit that a fetch gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The commit.
    pub commit: CommitId,
    /// The ref that leads to the commit. It is used only if the server does not send the commit by its id.
    pub git_ref: GitRef,
}

/// What a fetch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchReport {
    /// The size of the packs that the server sent, in bytes.
    pub bytes: u64,
    /// Whether the store had the commit, so that no server was contacted.
    pub already_there: bool,
}

/// What a fetch has reached, for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchProgress<'a> {
    /// A message of the server, such as `Counting objects: 42% (3/7)`, without control characters.
    Message(&'a str),
    /// The size of the pack that has arrived so far, in bytes.
    Received(u64),
}

/// A function that is called with the progress of a fetch.
type ShowProgress<'a> = &'a (dyn Fn(FetchProgress<'_>) + Send + Sync);

impl GitClient {
    /// Fetches a commit into a store. If the store has the commit, no server is contacted.
    ///
    /// If the future is dropped, the store stays as it was, or has the whole commit. Fetches into one store wait for each
    /// other.
    pub async fn fetch(
        &self,
        remote: &Remote,
        wanted: &Wanted,
        store: &ObjectStore,
    ) -> Result<FetchReport, GitError> {
        self.fetch_with_progress(remote, wanted, store, &|_| {})
            .await
    }

    /// Fetches a commit into a store like [`Self::fetch`], and shows the progress.
    pub async fn fetch_with_progress(
        &self,
        remote: &Remote,
        wanted: &Wanted,
        store: &ObjectStore,
        show: ShowProgress<'_>,
    ) -> Result<FetchReport, GitError> {
        remote.check_credentials()?;
        let lock = store.lock_for_fetch().await;
        let Some(basis) = store.basis(&wanted.commit)? else {
            return Ok(FetchReport {
                bytes: 0,
                already_there: true,
            });
        };
        let has_basis = !basis.commits.is_empty();
        let mut download = Download {
            client: self,
            remote,
            wanted,
            store,
            lock,
            basis,
            show,
            bytes: 0,
        };
        let limit = self.fetch_limits.total;
        let whole = async {
            match download.run().await {
                // The objects of the store may be damaged, or the server may take other objects for known.
                Err(error) if has_basis && is_about_objects(&error) => {
                    download.basis = Basis::default();
                    download.run().await
                }
                outcome => outcome,
            }
        };
        let outcome = timeout(limit, whole)
            .await
            .unwrap_or(Err(GitError::FetchTimeout { limit }));
        outcome.map_err(|error| error.about(remote))?;
        Ok(FetchReport {
            bytes: download.bytes,
            already_there: false,
        })
    }
}

/// The fetch of one commit.
struct Download<'a> {
    client: &'a GitClient,
    remote: &'a Remote,
    wanted: &'a Wanted,
    store: &'a ObjectStore,
    /// The lock of the store.
    lock: FetchLock,
    basis: Basis,
    show: ShowProgress<'a>,
    /// The size of the packs that have arrived.
    bytes: u64,
}

impl Download<'_> {
    async fn run(&mut self) -> Result<(), GitError> {
        let (mut packets, advertisement) = self.open().await?;
        let commit = &self.wanted.commit;
        match advertisement {
            Advertisement::V2(capabilities) => {
                let features = capabilities
                    .fetch
                    .ok_or_else(|| GitError::malformed("the server does not send objects"))?;
                if capabilities.common.format().digits() != commit.as_str().len() {
                    return Err(GitError::CommitNotFound { id: commit.clone() });
                }
                let server = Server {
                    version: Version::V2,
                    shallow: features.shallow,
                    side_bands: SideBands::Used,
                    common: capabilities.common,
                    offer: Offer::default(),
                };
                match self.receive(&mut packets, &server, commit).await {
                    // Not every server sends objects by their ids.
                    Err(GitError::CommitNotFound { .. }) => {
                        drop(packets);
                        let (mut packets, object) = self.find_by_ref(&server).await?;
                        self.receive(&mut packets, &server, &object).await
                    }
                    outcome => outcome,
                }
            }
            Advertisement::V0(first) => {
                let (server, object) = self.choose(&mut packets, first).await?;
                self.receive(&mut packets, &server, &object).await
            }
        }
    }

    /// Connects, and reads the beginning of the advertisement.
    async fn open(&self) -> Result<(Packets<Connection>, Advertisement), GitError> {
        let connection = self
            .in_time(self.client.transports.open(self.remote))
            .await?;
        let limit = self.client.fetch_limits.pack_bytes;
        let mut packets = Packets::new(connection, usize::try_from(limit).unwrap_or(usize::MAX));
        let advertisement = self.in_time(advertisement::read(&mut packets)).await?;
        Ok((packets, advertisement))
    }

    /// Returns the object of the ref on a server of version 2 that does not send the commit by its id. It is an
    /// annotated tag of the commit.
    async fn find_by_ref(
        &self,
        server: &Server,
    ) -> Result<(Packets<Connection>, CommitId), GitError> {
        let commit = &self.wanted.commit;
        let mut query = Query::of(self.wanted.git_ref.name());
        let names = query.names();
        if names.is_empty() {
            return Err(GitError::CommitNotFound { id: commit.clone() });
        }
        let (mut packets, _) = self.open().await?;
        let mut arguments = vec!["peel".to_owned()];
        arguments.extend(names.iter().map(|name| format!("ref-prefix {name}")));
        let request = Request::command("ls-refs", server.common, &arguments);
        self.in_time(packets.source().send(&request)).await?;
        self.in_time(read_refs(&mut packets, |found| query.add(&found)))
            .await?;
        let found = self.winner(query, true)?;
        if found.id == *commit {
            // The server refused this id.
            return Err(GitError::CommitNotFound { id: commit.clone() });
        }
        Ok((packets, found.id))
    }

    /// Returns the ref of the server that leads, or may lead, to the wanted commit. A server that does not peel tags does
    /// not say where an annotated one leads to. The store refuses a pack without the commit.
    fn winner(&self, query: Query, is_peeling: bool) -> Result<Advertised, GitError> {
        let id = self.wanted.commit.clone();
        let git_ref = self.wanted.git_ref.clone();
        let Query::Ref(candidates) = query else {
            return Err(GitError::CommitUnverifiable { id });
        };
        match candidates.into_winner().map(|winner| winner.found) {
            None => Err(GitError::RefNotFound {
                url: self.remote.url().to_string(),
                git_ref,
            }),
            Some(found) if !is_peeling && is_unpeeled_tag(&found) => Ok(found),
            Some(found) if *found.target() != id => Err(GitError::CommitMoved {
                id,
                git_ref,
                now: found.target().clone(),
            }),
            Some(found) => Ok(found),
        }
    }

    /// Reads the refs of a server of version 0, and chooses the object that is requested: the commit, where the server
    /// sends it by its id, or else an annotated tag of the commit.
    async fn choose(
        &self,
        packets: &mut Packets<Connection>,
        first: Packet,
    ) -> Result<(Server, CommitId), GitError> {
        let commit = &self.wanted.commit;
        let mut query = Query::of(self.wanted.git_ref.name());
        let (mut is_tip, mut is_peeling, mut tag) = (false, false, None);
        let visit = |found: Advertised| {
            query.add(&found);
            is_tip |= found.id == *commit;
            is_peeling |= found.peeled.is_some();
            if found.peeled.as_ref() == Some(commit) {
                tag = Some(found.id);
            }
        };
        let capabilities = self
            .in_time(advertisement::read_v0_refs(packets, first, visit))
            .await?;
        let server = Server {
            version: Version::V0,
            shallow: capabilities.shallow,
            side_bands: capabilities.side_bands(),
            common: Common::default(),
            offer: capabilities.offer,
        };
        if is_tip || capabilities.wants == Wants::Any {
            return Ok((server, commit.clone()));
        }
        match (tag, self.winner(query, is_peeling)) {
            (Some(tag), _) => Ok((server, tag)),
            (None, Ok(found)) => Ok((server, found.id)),
            // The commit may be that of a hidden ref.
            (None, Err(_)) if capabilities.wants == Wants::HiddenTips => {
                Ok((server, commit.clone()))
            }
            (None, Err(error)) => Err(error),
        }
    }

    /// Requests an object that is the commit or leads to it, and stores the answer.
    async fn receive(
        &mut self,
        packets: &mut Packets<Connection>,
        server: &Server,
        object: &CommitId,
    ) -> Result<(), GitError> {
        let request = server.request(object, &self.basis.commits);
        self.in_time(packets.source().send(&request)).await?;
        self.in_time(skip_to_pack(packets, server.version))
            .await
            .map_err(|error| not_found(error, object))?;
        let limits = PackLimits {
            objects: self.client.fetch_limits.objects,
            object_bytes: self.client.fetch_limits.object_bytes.min(MAX_OBJECT),
        };
        let (parts, storing) = Storing::start(
            self.store,
            &self.basis,
            &self.wanted.commit,
            limits,
            FetchLock::clone(&self.lock),
        )?;
        let received = self.receive_pack(packets, server.side_bands, parts).await;
        let stored = storing.join().await;
        match (received, stored) {
            // An error of the storing ends the receiving early.
            (Ok(()), stored) => stored?,
            (Err(error), _) => return Err(not_found(error, object)),
        }
        self.in_time(async {
            packets.source().close().await;
            Ok(())
        })
        .await
    }

    /// Waits for one step of the server.
    async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, GitError>>,
    ) -> Result<T, GitError> {
        let limit = self.client.fetch_limits.idle;
        timeout(limit, step)
            .await
            .unwrap_or(Err(GitError::Timeout { limit }))
    }
}

/// Returns whether a tag may be an annotated one whose target the server does not name.
fn is_unpeeled_tag(found: &Advertised) -> bool {
    found.peeled.is_none() && found.name.starts_with("refs/tags/")
}

/// Returns whether a fetch failed because of the objects that were sent, or of those that were there.
fn is_about_objects(error: &GitError) -> bool {
    match error {
        GitError::Incomplete { .. } | GitError::Pack(_) => true,
        GitError::Store(error) => error.is_damage(),
        _ => false,
    }
}
