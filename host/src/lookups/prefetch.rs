//! Lookups that begin while the request that needs them is being written.

use stoker_api::detection::{GitRef, ObjectKey};
use stoker_git::RefSource;
use tokio::time::Instant;

use super::Lookups;
use super::remote::Prefetched;

impl<G: RefSource> Lookups<G> {
    /// Starts the lookup of a ref that is being requested, on the remote that the object has. Nothing happens for an
    /// object without lookups, or whose remote needs credentials, which are not kept.
    pub fn prefetch(&self, key: &ObjectKey, git_ref: &GitRef, requested_at: &str) {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let Some(id) = state.objects.get(key).copied() else {
            return;
        };
        let Some(remote) = state.remotes.get_mut(&id) else {
            return;
        };
        let (Some(public), Some(interest)) = (&remote.public, remote.interests.get_mut(key)) else {
            return;
        };
        interest.prefetched = Some(Prefetched {
            request: Some((git_ref.clone(), requested_at.to_owned())),
            arrived: Instant::now(),
            refs: [git_ref.clone()]
                .into_iter()
                .chain(git_ref.other_spelling())
                .collect(),
        });
        let is_refused = state.hosts.refusal(&remote.host, true).is_some();
        if remote.running.is_none() && !is_refused {
            let public = public.clone();
            self.start(state, id, public);
        }
    }
}

impl<G> Lookups<G> {
    /// Returns when a request for a ref was passed to [`Lookups::prefetch`]. A lookup that began later
    /// serves it. It is returned once: what changes on the object afterwards needs a newer lookup.
    #[must_use]
    pub fn take_prefetch(
        &self,
        object: &ObjectKey,
        git_ref: &GitRef,
        requested_at: &str,
    ) -> Option<Instant> {
        let mut state = self.0.lock();
        let prefetched = state.interest(object)?.prefetched.as_mut()?;
        let is_prefetched = prefetched
            .request
            .as_ref()
            .is_some_and(|(name, at)| name == git_ref && at == requested_at);
        if !is_prefetched {
            return None;
        }
        prefetched.request = None;
        Some(prefetched.arrived)
    }
}
