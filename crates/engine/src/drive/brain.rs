//! Everything of one torrent that is behind its lock.

mod disk_ends;
mod effects;
mod exchange;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun_metainfo::{BLOCK_LENGTH, PieceIndex};
use riverrun_proto::swarm::{
    self, Action, CloseReason, Command, ConnectionId, Input, MetadataStatus, Pressure, Priorities, Source, Swarm,
    SwarmStatus, WebSeedId,
};
use tokio::sync::Notify;

pub(crate) use self::effects::{Effects, Errand};
use self::exchange::with_link;
pub(crate) use self::exchange::{Exchange, Files};
use super::choice::Choice;
use super::core::Totals;
use super::link::{Link, Outbox};
use super::read_runs::ReadRun;
use super::stage::{Completion, Life};
use super::tracker::Announcer;
use super::write_runs::Payloads;
use crate::sharing::Sharing;
use crate::{EventKind, Phase, TorrentError};

/// How soon a swarm that was told of pressure looks again whether it is gone.
const PRESSURE_LOOK: Duration = Duration::from_millis(50);

/// The machines of one torrent and what stands between them and the world.
#[derive(Debug)]
pub(crate) struct Brain {
    pub(crate) life: Life,
    /// Apart: the room that work of a moment leaves on the heap between torrents fits the halves, and not the whole.
    pub(crate) exchange: Option<Box<Exchange>>,
    pub(crate) announcer: Announcer,
    /// What is wanted of its files.
    pub(crate) choice: Choice,
    /// The owner said so, in this run.
    pub(crate) chosen: bool,
    pub(crate) sharing: Sharing,
    /// Peers named before there was a swarm.
    pub(crate) early: Vec<(Source, SocketAddr)>,
    /// Somebody is looking what became of the files.
    looking: bool,
    /// How often somebody acted on it, each time with the lock.
    pub(crate) acts: u64,
    /// When the timer queue will have us looked at.
    scheduled: Option<Instant>,
}

impl Brain {
    pub(crate) fn new(life: Life, announcer: Announcer, early: Vec<(Source, SocketAddr)>) -> Self {
        Self {
            life,
            exchange: None,
            announcer,
            choice: Choice::default(),
            chosen: false,
            sharing: Sharing::default(),
            early,
            looking: false,
            acts: 0,
            scheduled: None,
        }
    }

    /// Feeds the swarm and carries out what it wants.
    pub(crate) fn feed(&mut self, now: Instant, input: Input<'_>, payloads: &mut Payloads, effects: &mut Effects) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.swarm.handle(now, input);
        self.drain(now, payloads, effects);
    }

    fn drain(&mut self, now: Instant, payloads: &mut Payloads, effects: &mut Effects) {
        let Some(exchange) = self.exchange.as_deref_mut() else { return };
        while let Some(action) = exchange.swarm.poll() {
            let Exchange { links, files, .. } = exchange;
            match (action, files) {
                (Action::Store { nth, block, .. }, Some(files)) => {
                    files.writes.add(&files.disk, &files.layout, payloads, nth, block);
                }
                (Action::Verify { piece, digests }, Some(files)) => {
                    files.writes.flush(&files.disk);
                    files.disk.verify(piece, digests);
                }
                (Action::Serve { connection, block }, Some(files)) => {
                    if let Some((connection, run)) =
                        files.reads.get_or_insert_default().add(&files.layout, connection, block)
                    {
                        with_link(links, connection, effects, |link| link.send_run(run));
                    }
                }
                // A swarm without a layout names no blocks.
                (Action::Store { .. } | Action::Verify { .. } | Action::Serve { .. }, None) => {}
                (Action::Send { connection, message }, _) => {
                    with_link(links, connection, effects, |link| link.send(&message));
                }
                (Action::Close { connection, reason }, _) => {
                    with_link(links, connection, effects, |link| link.close(reason));
                }
                (Action::Dial { addr, ways }, _) => effects.dials.push((addr, ways)),
                (Action::OpenWebSeed(seed), _) => effects.web_seeds.push(seed),
                (Action::JudgeMetadata { parts }, _) => effects.errands.push(Errand::JudgeMetadata(parts)),
                (Action::NeedPeers, _) => {
                    self.announcer.need_peers(now);
                    effects.errands.push(Errand::NeedPeers);
                }
                (Action::Node(addr), _) => effects.errands.push(Errand::Node(addr)),
                (Action::Event(event), _) => {
                    exchange.note(&mut self.life, now, event, effects);
                }
            }
        }
        if let Exchange { links, files: Some(files), .. } = exchange {
            files.writes.flush(&files.disk);
            if let Some((connection, run)) = files.reads.as_mut().and_then(|reads| reads.take()) {
                with_link(links, connection, effects, |link| link.send_run(run));
            }
        }
    }

    /// Tells the swarm how much room there is, if that changed.
    pub(crate) fn look_at_room(&mut self, now: Instant, used: f32, effects: &mut Effects) {
        let Some(files) = self.files() else { return };
        let level = if self.life.rests(files.disk.queued_bytes() == 0) {
            Pressure::Full
        } else {
            pressure(files.pressure, used)
        };
        self.set_pressure(now, level, effects);
    }

    fn set_pressure(&mut self, now: Instant, level: Pressure, effects: &mut Effects) {
        if let Some(files) = self.files_mut()
            && files.pressure != level
        {
            files.pressure = level;
            self.feed(now, Input::Pressure(level), &mut Payloads::default(), effects);
        }
    }

    /// Does what has become due. `share`: what limits leave for each connection that has something for us.
    pub(crate) fn timeout(&mut self, now: Instant, used: f32, share: Option<u64>, effects: &mut Effects) {
        // An entry of the queue that was overtaken by an earlier one changes nothing: ours is still to come.
        if self.scheduled.is_some_and(|scheduled| scheduled <= now) {
            self.scheduled = None;
        }
        if let Some(exchange) = &mut self.exchange {
            if let Some(files) = &mut exchange.files {
                if self.life.retry_due(now) {
                    tracing::debug!("trying the disk again");
                    self.life.retry(now);
                    files.disk.unpark();
                    if self.life.completion == Completion::Looking {
                        files.finish(&exchange.swarm);
                    }
                } else if self.life.tried(now) && !files.disk.is_parked() {
                    self.life.unpark();
                    effects.events.push(EventKind::Phase(self.life.phase(now, 0)));
                }
                files.saver.timeout(now, &exchange.swarm, &files.disk);
            }
            // First, so that no peer is late for what we ourselves do not read.
            self.look_at_room(now, used, effects);
        }
        if self.exchange.as_ref().and_then(|exchange| exchange.swarm.next_timeout()).is_some_and(|due| due <= now) {
            // What is late because of us must be known before it is looked who is late.
            if let Some(share) = share {
                self.command(now, Command::SetDownShare(share), effects);
            }
            self.feed(now, Input::Timeout, &mut Payloads::default(), effects);
        }
        if self.announcer.next_timeout().is_some_and(|due| due <= now) {
            self.announce(now, effects);
        }
    }

    /// Lets the trackers' machine go on.
    pub(crate) fn announce(&mut self, now: Instant, effects: &mut Effects) {
        let done = self.status(now);
        let (candidates, switched) = self.announcer.run(now, &done, effects);
        if switched {
            // The peers of another tracker of a private torrent must not be mixed with this one's (BEP 27).
            self.command(now, Command::Pause, effects);
            self.command(now, Command::Resume, effects);
        }
        if !candidates.is_empty() {
            let input = Input::Candidates { source: Source::Tracker, addrs: &candidates };
            self.feed(now, input, &mut Payloads::default(), effects);
        }
    }

    /// Makes us known to trackers.
    pub(crate) fn start_announcing(&mut self, now: Instant) {
        let done = self.status(now);
        self.announcer.start(now, done.left_bytes == 0, &done);
    }

    /// Sees that the timer queue has us looked at in time. Called at the end of each hold of the lock.
    pub(crate) fn plan(&mut self, now: Instant, effects: &mut Effects) {
        let due = [
            self.exchange.as_ref().and_then(|exchange| exchange.swarm.next_timeout()),
            self.files().and_then(|files| files.saver.next_timeout()),
            self.files().filter(|files| self.is_pressed(files)).map(|_| now + PRESSURE_LOOK),
            self.life.next_timeout(),
            self.announcer.next_timeout(),
            self.sharing.next_timeout(),
        ];
        let Some(due) = due.into_iter().flatten().min() else { return };
        // The runtime's timer knows no finer steps, and what is due at once must not keep a thread busy.
        let due = due.max(now + Duration::from_millis(1));
        if self.scheduled.is_none_or(|scheduled| due < scheduled) {
            self.scheduled = Some(due);
            effects.schedule = Some(due);
        }
    }

    /// Whether the swarm was told of a lack of memory, of whose end nobody tells us.
    fn is_pressed(&self, files: &Files) -> bool {
        files.pressure != Pressure::None && !self.life.is_parked()
    }

    /// A connection is ready for messages; false if nobody wants it.
    pub(crate) fn connected(
        &mut self,
        now: Instant,
        connected: swarm::Connected,
        wake: Arc<Notify>,
        effects: &mut Effects,
    ) -> bool {
        let Some(exchange) = self.exchange.as_mut().filter(|_| self.life.exchanges()) else { return false };
        exchange.links.insert(connected.connection, Link::new(wake));
        self.feed(now, Input::Connected(connected), &mut Payloads::default(), effects);
        true
    }

    /// Somebody is ready to ask a web seed; false if there is nothing to exchange.
    pub(crate) fn web_seed_opened(
        &mut self,
        now: Instant,
        seed: WebSeedId,
        connection: ConnectionId,
        wake: Arc<Notify>,
        effects: &mut Effects,
    ) -> bool {
        let Some(exchange) = &mut self.exchange else { return false };
        exchange.links.insert(connection, Link::of_web_seed(wake));
        self.feed(now, Input::WebSeedOpened { seed, connection }, &mut Payloads::default(), effects);
        true
    }

    /// A connection is gone.
    pub(crate) fn closed(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        reason: CloseReason,
        effects: &mut Effects,
    ) {
        if let Some(exchange) = &mut self.exchange
            && exchange.links.remove(&connection).is_some()
        {
            self.feed(now, Input::Closed { connection, reason }, &mut Payloads::default(), effects);
            if let Some(Exchange { links, files: Some(files), .. }) = self.exchange.as_deref_mut()
                && links.is_empty()
            {
                files.rest();
            }
        }
    }

    /// A connection is here, will be handed what there is, and has runs that it could not read without waiting.
    pub(crate) fn attend(&mut self, connection: ConnectionId, missed: &mut Vec<ReadRun>) {
        let Some(Exchange { links, files, .. }) = self.exchange.as_deref_mut() else { return };
        if let Some(link) = links.get_mut(&connection) {
            link.attend();
        }
        for run in missed.drain(..) {
            if let Some(files) = files {
                files.reads.get_or_insert_default().read(&files.disk, connection, run);
            }
        }
    }

    /// Hands a connection what waits for it; a reason to close, if there is one.
    pub(crate) fn collect(&mut self, connection: ConnectionId, outbox: &mut Outbox) -> Option<CloseReason> {
        let Some(Exchange { swarm, links, .. }) = self.exchange.as_deref_mut() else {
            return Some(CloseReason::Stopped);
        };
        let Some(link) = links.get_mut(&connection) else { return Some(CloseReason::Stopped) };
        outbox.owed = swarm.wanted_of(connection) * BLOCK_LENGTH as usize;
        link.take(outbox)
    }

    /// Everything wanted is here, synced and looked at.
    pub(crate) fn complete(&mut self, now: Instant, effects: &mut Effects) {
        let all = self.exchange.as_ref().is_some_and(|exchange| exchange.swarm.have().is_full());
        self.life.complete();
        self.announcer.completed(now, all);
        self.announce(now, effects);
        effects.events.push(EventKind::Completed);
        effects.events.push(EventKind::Phase(self.phase(now)));
    }

    /// Sees whether it is shared, and pauses it when that comes to its end.
    pub(crate) fn look_at_sharing(&mut self, now: Instant, totals: &Totals, effects: &mut Effects) {
        let status = self.status(now);
        let shares = matches!(self.life.phase(now, 0), Phase::Seeding);
        let Some(reason) = self.sharing.look(now, shares, totals.volume(&status)) else { return };
        self.life.paused = true;
        self.command(now, Command::Pause, effects);
        self.announcer.stop(now);
        self.announce(now, effects);
        self.sharing.look(now, false, totals.volume(&status));
        effects.events.push(EventKind::SharingEnded { reason });
        effects.events.push(EventKind::Phase(self.phase(now)));
    }

    /// It cannot go on.
    pub(crate) fn fail(&mut self, now: Instant, error: TorrentError, effects: &mut Effects) {
        self.life.fail(error);
        self.command(now, Command::Pause, effects);
        self.announcer.stop(now);
        self.announce(now, effects);
        effects.events.push(EventKind::Phase(self.phase(now)));
    }

    /// Pieces were found to be gone or damaged; that was the trouble with the disk, if there was any.
    pub(crate) fn lose(&mut self, now: Instant, pieces: Vec<PieceIndex>, effects: &mut Effects) {
        self.life.reopen();
        if self.life.unpark()
            && let Some(files) = self.files()
        {
            files.disk.unpark();
        }
        effects.events.push(EventKind::PiecesLost(u32::try_from(pieces.len()).unwrap_or(u32::MAX)));
        self.command(now, Command::Forget(pieces), effects);
        effects.events.push(EventKind::Phase(self.phase(now)));
    }

    /// Other files are wanted, or more and less.
    pub(crate) fn choose(&mut self, now: Instant, choice: Choice, effects: &mut Effects) {
        self.choice = choice;
        self.chosen = true;
        let Some(exchange) = &self.exchange else { return };
        let priorities = match self.choice.pieces() {
            Some(priorities) => priorities.clone(),
            None => Priorities::all(exchange.swarm.have().pieces()),
        };
        self.command(now, Command::SetPriorities(priorities), effects);
        if !self.is_finished() && self.life.completion != Completion::No {
            self.life.reopen();
            self.announcer.goes_on(now);
            self.announce(now, effects);
        }
        effects.events.push(EventKind::Phase(self.phase(now)));
        // It is to be known in the next run, too. Nobody waits for it.
        if let Some(Exchange { swarm, files: Some(files), .. }) = self.exchange.as_deref_mut() {
            drop(files.saver.flush(swarm, &files.disk));
        }
    }

    /// Tells the swarm a command.
    pub(crate) fn command(&mut self, now: Instant, command: Command, effects: &mut Effects) {
        self.feed(now, Input::Command(command), &mut Payloads::default(), effects);
    }

    pub(crate) fn status(&self, now: Instant) -> SwarmStatus {
        self.exchange.as_ref().map(|exchange| exchange.swarm.status(now)).unwrap_or_default()
    }

    /// As a user sees it.
    pub(crate) fn phase(&self, now: Instant) -> Phase {
        let swarm = self.exchange.as_ref().map(|exchange| &exchange.swarm);
        let left = swarm.map_or(0, Swarm::left_bytes);
        match (self.life.phase(now, left), swarm.and_then(Swarm::metadata_status)) {
            (Phase::Opening, Some(MetadataStatus { have_blocks, blocks, peers })) => {
                Phase::FetchingMetadata { have_blocks, blocks, peers }
            }
            (phase, _) => phase,
        }
    }

    fn files(&self) -> Option<&Files> {
        self.exchange.as_ref()?.files.as_ref()
    }

    fn files_mut(&mut self) -> Option<&mut Files> {
        self.exchange.as_mut()?.files.as_mut()
    }

    /// Whether connections are welcome.
    pub(crate) fn is_open(&self) -> bool {
        self.exchange.is_some() && self.life.exchanges()
    }

    /// Whether everything wanted is here, as the swarm knows.
    pub(crate) fn is_finished(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.swarm.left_bytes() == 0)
    }
}

/// The level that a share of used memory means; it falls later than it rises, so that it does not flutter.
fn pressure(before: Pressure, used: f32) -> Pressure {
    match before {
        Pressure::None if used < 0.5 => Pressure::None,
        Pressure::Full if used >= 0.6 => Pressure::Full,
        _ if used >= 0.85 => Pressure::Full,
        Pressure::None => Pressure::Some,
        _ if used >= 0.35 => Pressure::Some,
        _ => Pressure::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_rises_early_and_falls_late() {
        let story = [(0.1, Pressure::None), (0.49, Pressure::None), (0.55, Pressure::Some), (0.4, Pressure::Some)]
            .into_iter()
            .chain([(0.9, Pressure::Full), (0.7, Pressure::Full), (0.5, Pressure::Some), (0.3, Pressure::None)])
            .chain([(1.0, Pressure::Full), (0.0, Pressure::None)]);
        let mut level = Pressure::None;
        for (used, expected) in story {
            level = pressure(level, used);
            assert_eq!(level, expected, "at {used}");
        }
    }
}
