//! Who is late with what it was asked for, and what is asked of others then.

use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::blame::Blame;
use crate::swarm::outbox::Outbox;
use crate::swarm::partial::{Claim, Partial};
use crate::swarm::peer::Peer;
use crate::swarm::pipeline::Asked;
use crate::swarm::progress::Progress;
use crate::swarm::requests::Requests;

impl Requests {
    /// Requests that waited too long, beyond what is our own doing, are taken back. Gives true if the peer counts as snubbed from now on.
    pub(super) fn overdue(
        &mut self,
        peer: &mut Peer,
        others: bool,
        progress: &Progress,
        blame: &mut Blame,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let waited = self.waited(now);
        let slowness = self.own_slowness(peer.down.pipeline.len());
        self.forget_unanswered(peer, |asked| waited(asked.at) >= limits::TAKEN_BACK_TIMEOUT);
        let silent = waited(peer.down.progress);
        let oldest = if peer.down.doubted { peer.down.pipeline.first() } else { peer.down.pipeline.oldest() };
        let Some(oldest) = oldest else { return false };
        if others && silent >= limits::PAROLE_SILENCE + slowness {
            self.drop_paroles(peer, progress, blame, now, out);
        }
        let patience = if others { limits::PROGRESS_TIMEOUT } else { limits::REQUEST_TIMEOUT };
        if self.strategy.snubs && silent >= patience + slowness {
            self.give_up(peer, |_| true, Some(out));
            self.drop_claims(peer, progress, blame, now);
            peer.down.snubbed = true;
            peer.down.window.collapse(now);
            return true;
        }
        // It came behind those that have come since.
        let patience = limits::REQUEST_TIMEOUT + slowness.max(self.own_slowness(peer.down.pipeline.most()));
        if waited(oldest) >= patience {
            self.give_up(peer, |asked| waited(asked.at) >= patience, Some(out));
        }
        false
    }

    /// For how long something has been waited for while we read.
    fn waited(&self, now: Instant) -> impl Fn(Instant) -> Duration + use<> {
        let read_since = self.paused_reading;
        move |since: Instant| now.saturating_duration_since(read_since.map_or(since, |read| since.max(read)))
    }

    /// Who has brought nothing yet, or nothing again since it was snubbed, holds nothing up for long where others bring something: all
    /// that it was asked for may be asked of them, and one request is left with it. Whether it answers that is how it is found out
    /// what it is good for. Who is slow brings something in time, so this is nothing to it.
    pub(super) fn try_out(
        &mut self,
        peer: &mut Peer,
        progress: &Progress,
        blame: &mut Blame,
        now: Instant,
        out: &mut Outbox,
    ) {
        let silent = self.waited(now)(peer.down.progress);
        if !self.strategy.trial
            || !is_unproven(peer)
            || silent < limits::TRIAL + self.own_slowness(peer.down.pipeline.len())
        {
            return;
        }
        let Some(first) = peer.down.pipeline.iter().find(|asked| asked.live).copied() else { return };
        self.give_up(peer, |asked| (asked.piece, asked.number) != (first.piece, first.number), Some(out));
        self.give_up(peer, |_| true, None);
        self.drop_claims(peer, progress, blame, now);
        peer.down.doubted = true;
        peer.down.window.collapse(now);
        tracing::debug!(connection = peer.who.connection.0, "doubted");
    }

    /// Answers to those requests that were taken back and that `which` names are not waited for any more.
    pub(super) fn forget_unanswered(&mut self, peer: &mut Peer, which: impl Fn(&Asked) -> bool) {
        let mut forgotten = 0;
        peer.down.pipeline.drop_where(|asked| !asked.live && which(asked), |_| forgotten += 1);
        peer.conduct.grace += forgotten;
    }

    /// The peer is silent: the failed pieces that nobody but it may fetch begin again with another.
    fn drop_paroles(
        &mut self,
        peer: &mut Peer,
        progress: &Progress,
        blame: &mut Blame,
        now: Instant,
        out: &mut Outbox,
    ) {
        let its_own = Claim::Parole(Some(peer.who.connection));
        let paroles = self.partials.iter().filter(|partial| !partial.is_verifying() && partial.claim() == its_own);
        for piece in paroles.map(Partial::piece).collect::<Vec<_>>() {
            self.give_up(peer, |asked| asked.piece == piece, Some(&mut *out));
            blame.parole_broken(piece, peer.who.connection);
            self.again(piece, progress, blame, now);
        }
    }
}

/// Whether nothing speaks for a peer yet: it is not known that it brings what it is asked for. A web seed may take longer to begin.
fn is_unproven(peer: &Peer) -> bool {
    (peer.down.rate.total() == 0 || peer.down.snubbed) && peer.who.web_seed.is_none()
}
