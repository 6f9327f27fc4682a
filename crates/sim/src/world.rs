//! The world: moves the clock, carries what hosts send, and looks after every event whether a rule is broken.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, Block};
use riverrun_proto::swarm::{Action, CloseReason, Command, ConnectionId, DiskDone, Event as Told, Input, Source};
use riverrun_proto::wire::Message;

use crate::carry::size;
use crate::checkers::{self, Violation};
use crate::host::{End, Host, HostId, Resident, Tenant, config};
use crate::link::Link;
use crate::queue::{Due, Event, Letter, Queue};
use crate::stranger::{Deed, Manner, Stranger};
use crate::torrent::Torrent;
use crate::trace::Trace;

/// Addresses in one answer of the tracker.
const TRACKER_ANSWER: usize = 30;
/// How long a stranger waits until it dials everyone again.
const STRANGERS_RETURN: Duration = Duration::from_secs(30);
/// More events than any scenario needs.
const MOST_EVENTS: u64 = 50_000_000;

/// A network of hosts that share one torrent.
#[derive(Debug)]
pub struct World {
    pub(crate) born: Instant,
    pub(crate) now: Instant,
    pub(crate) torrent: Torrent,
    pub(crate) hosts: Vec<Host>,
    pub(crate) queue: Queue<Due>,
    pub(crate) trace: Trace,
    pub(crate) rng: fastrand::Rng,
    pub(crate) next_connection: u64,
    pub(crate) liars: Vec<IpAddr>,
    /// The tracker names this host and no other.
    named: Option<HostId>,
    /// The first rule that was broken.
    violation: Option<Violation>,
}

impl World {
    /// An empty world. All chance in it comes from the seed.
    #[must_use]
    pub fn new(seed: u64, torrent: Torrent) -> Self {
        // The clock's zero; only differences to it count.
        let born = Instant::now();
        Self {
            born,
            now: born,
            torrent,
            hosts: Vec::new(),
            queue: Queue::default(),
            trace: Trace::new(),
            rng: fastrand::Rng::with_seed(seed),
            next_connection: 0,
            liars: Vec::new(),
            named: None,
            violation: None,
        }
    }

    /// A number below `below` from the world's chance.
    pub fn draw(&mut self, below: u32) -> u32 {
        self.rng.u32(..below)
    }

    /// The time since the world began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.now - self.born
    }

    /// The digest over all that happened so far, and how many events that was.
    #[must_use]
    pub fn trace(&self) -> (u64, u64) {
        (self.trace.digest(), self.trace.events())
    }

    /// Adds a swarm that has these pieces and asks the tracker after `joins`.
    pub fn add(&mut self, link: Link, have: Bitfield, joins: Duration) -> HostId {
        let id = HostId(self.hosts.len());
        let seed = self.rng.u64(..);
        let tenant = |host: &Host| config(&self.torrent, have, host.peer_id, seed);
        let placeholder = Tenant::Stranger(Stranger::new(Manner::BlackHole, self.torrent.clone(), self.now));
        let mut host = Host::new(id.0, link, self.now, placeholder);
        host.tenant = Tenant::Swarm(Box::new(Resident::new(self.now, tenant(&host))));
        self.hosts.push(host);
        self.set(joins, id, Event::Tracker);
        id
    }

    /// Adds a swarm that has everything.
    pub fn add_seed(&mut self, link: Link) -> HostId {
        let all = self.torrent.all();
        self.add(link, all, Duration::ZERO)
    }

    /// Adds a swarm that has nothing.
    pub fn add_leech(&mut self, link: Link, joins: Duration) -> HostId {
        let none = self.torrent.none();
        self.add(link, none, joins)
    }

    /// Adds a bad peer, which dials everyone after `joins` and again and again.
    pub fn add_stranger(&mut self, link: Link, manner: Manner, joins: Duration) -> HostId {
        let id = HostId(self.hosts.len());
        let stranger = Stranger::new(manner, self.torrent.clone(), self.now);
        let (lies, period) = (stranger.lies(), stranger.period());
        let host = Host::new(id.0, link, self.now, Tenant::Stranger(stranger));
        if lies {
            self.liars.push(host.ip());
        }
        self.hosts.push(host);
        self.set(joins, id, Event::Tracker);
        if let Some(period) = period {
            self.set(joins + period, id, Event::Wake);
        }
        id
    }

    /// The tracker names this host and no other from now on: all others are found through it, or not at all.
    pub fn tracker_names_only(&mut self, host: HostId) {
        self.named = Some(host);
    }

    /// The host does not speak the fast extension.
    pub fn without_fast(&mut self, host: HostId) {
        self.hosts[host.0].fast = false;
    }

    /// Of a thousand pieces the host's disk loses so many.
    pub fn failing_disk(&mut self, host: HostId, per_thousand: u32) {
        self.hosts[host.0].resident_mut().into_iter().for_each(|resident| resident.disk.loses = per_thousand);
    }

    /// The host crashes at this age of the world; `silently`: its peers are not told.
    pub fn crash(&mut self, host: HostId, at: Duration, silently: bool) {
        self.set(at.saturating_sub(self.age()), host, Event::Crash { silently });
    }

    /// The host starts again at this age of the world with what was synced.
    pub fn restart(&mut self, host: HostId, at: Duration) {
        // It belongs to the life that the crash before it begins.
        let life = self.hosts[host.0].life + 1;
        self.queue.push(self.born + at, Due { host, life, event: Event::Restart });
    }

    /// The owner of a swarm wants something.
    pub fn command(&mut self, host: HostId, command: Command) {
        self.feed(host, Input::Command(command), &[]);
    }

    /// Whether a swarm has everything.
    #[must_use]
    pub fn is_complete(&self, host: HostId) -> bool {
        self.hosts[host.0].resident().is_none_or(|resident| resident.swarm.have().is_full())
    }

    /// Whether every swarm has everything.
    #[must_use]
    pub fn all_complete(&self) -> bool {
        (0..self.hosts.len()).all(|host| self.is_complete(HostId(host)))
    }

    /// Payload sent by a swarm in its present life, in bytes.
    #[must_use]
    pub fn up_bytes(&self, host: HostId) -> u64 {
        self.status(host).map_or(0, |status| status.up_bytes)
    }

    /// Payload of no use that all swarms received, and all that they received, in bytes.
    #[must_use]
    pub fn waste(&self) -> (u64, u64) {
        let all = (0..self.hosts.len()).filter_map(|host| self.status(HostId(host)));
        all.fold((0, 0), |sum, status| (sum.0 + status.wasted_bytes, sum.1 + status.down_bytes))
    }

    /// The blocks that a swarm asked for in all its lives.
    #[must_use]
    pub fn requests(&self, host: HostId) -> u64 {
        self.hosts[host.0].resident().map_or(0, |resident| resident.requests)
    }

    /// What a swarm told.
    #[must_use]
    pub fn told(&self, host: HostId) -> &[Told] {
        self.hosts[host.0].resident().map_or(&[], |resident| &resident.events)
    }

    fn status(&self, host: HostId) -> Option<riverrun_proto::swarm::SwarmStatus> {
        self.hosts[host.0].resident().map(|resident| resident.swarm.status(self.now))
    }

    /// Runs until it is so; gives the age of the world then.
    ///
    /// # Errors
    /// A rule was broken, or it is not so at the deadline.
    pub fn run_until(&mut self, deadline: Duration, is_so: impl Fn(&Self) -> bool) -> Result<Duration, Violation> {
        while !is_so(self) {
            if !self.step(self.born + deadline)? {
                return Err(self.stuck(deadline));
            }
        }
        Ok(self.age())
    }

    /// Runs for a while.
    ///
    /// # Errors
    /// A rule was broken.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        let until = self.now + time;
        while self.step(until)? {}
        self.now = until;
        Ok(())
    }

    /// Looks at what must hold once everything has come to rest.
    ///
    /// # Errors
    /// A request among honest peers has no answer.
    pub fn at_rest(&self) -> Result<(), Violation> {
        for (number, host) in self.hosts.iter().enumerate() {
            let Some(resident) = host.resident().filter(|_| host.fast) else { continue };
            let strict = |end: &&End| {
                let far = &self.hosts[end.host.0];
                far.resident().is_some() && far.fast && far.ends.contains_key(&end.connection)
            };
            let open = host.ends.iter().filter(|(_, end)| strict(end));
            let unanswered: usize = open.map(|(connection, _)| resident.ledger.unanswered(*connection)).sum();
            if unanswered > 0 {
                let what = format!("{unanswered} requests were never answered");
                return Err(Violation { at: self.age(), host: HostId(number), what });
            }
        }
        Ok(())
    }

    fn stuck(&self, deadline: Duration) -> Violation {
        let waiting = (0..self.hosts.len()).map(HostId).find(|host| !self.is_complete(*host));
        let host = waiting.unwrap_or(HostId(0));
        let mut what = format!("not done by the deadline: {:?}", self.status(host));
        for peer in self.hosts[host.0].resident().map(|own| own.swarm.peers(self.now)).unwrap_or_default() {
            what += &format!("\n{peer:?}");
        }
        Violation { at: deadline, host, what }
    }

    pub(crate) fn is_honest(&self, host: HostId) -> bool {
        self.hosts[host.0].resident().is_some()
    }

    /// Lets the next event happen; false if none does before `until`.
    fn step(&mut self, until: Instant) -> Result<bool, Violation> {
        if self.queue.next_at().is_none_or(|at| at > until) {
            return Ok(false);
        }
        let Some((at, Due { host, life, event })) = self.queue.pop() else { return Ok(false) };
        self.now = at;
        let own = &self.hosts[host.0];
        if own.life == life && (own.up || matches!(event, Event::Restart)) {
            self.trace.add(self.age(), host.0 as u64, words(&event));
            self.happen(host, event);
            self.check(host);
        }
        if self.trace.events() > MOST_EVENTS {
            self.broken(host, "events without end".to_owned());
        }
        self.violation.clone().map_or(Ok(true), Err)
    }

    fn check(&mut self, host: HostId) {
        let resident = self.hosts[host.0].resident().filter(|_| self.hosts[host.0].up);
        let result = resident.map_or(Ok(()), |own| checkers::has_only_verified(&own.swarm, &own.disk));
        result.unwrap_or_else(|what| self.broken(host, what));
    }

    pub(crate) fn broken(&mut self, host: HostId, what: String) {
        let at = self.age();
        self.violation.get_or_insert(Violation { at, host, what });
    }

    /// Sets an event for a host in its present life.
    pub(crate) fn set(&mut self, after: Duration, host: HostId, event: Event) {
        let life = self.hosts[host.0].life;
        self.queue.push(self.now + after, Due { host, life, event });
    }

    fn happen(&mut self, host: HostId, event: Event) {
        match event {
            Event::Dial { addr } => self.dialled(host, addr),
            Event::Batch { connection, letters } => self.arrive(host, connection, &letters),
            Event::End { connection, reason } => self.ended(host, connection, reason),
            Event::Left { connection, letters, served } => self.left(host, connection, letters, served),
            Event::Judged { piece, digests } => {
                let (now, torrent) = (self.now, &self.torrent);
                let resident = self.hosts[host.0].resident_mut();
                let done: Option<DiskDone> =
                    resident.map(|own| own.disk.judge(now, torrent, piece, digests, &mut self.rng));
                done.into_iter().for_each(|done| self.feed(host, Input::Disk(done), &[]));
            }
            Event::Tracker => self.tracker(host),
            Event::Wake => self.wake(host),
            Event::Crash { silently } => self.crashed(host, silently),
            Event::Restart => self.restarted(host),
        }
    }

    /// The tracker's answer: some of all addresses for a swarm; a stranger dials everyone.
    fn tracker(&mut self, host: HostId) {
        let mut addrs: Vec<SocketAddr> = self.hosts.iter().map(|host| host.addr).collect();
        if let Some(named) = self.named {
            addrs = vec![self.hosts[named.0].addr];
        }
        if self.is_honest(host) {
            self.rng.shuffle(&mut addrs);
            addrs.truncate(TRACKER_ANSWER);
            self.feed(host, Input::Candidates { source: Source::Tracker, addrs: &addrs }, &[]);
            return;
        }
        let own = self.hosts[host.0].addr;
        for addr in addrs.into_iter().filter(|addr| *addr != own) {
            let delay = self.hosts[host.0].pipes.delay(&mut self.rng) * 2;
            self.set(delay, host, Event::Dial { addr });
        }
        self.set(STRANGERS_RETURN, host, Event::Tracker);
    }

    fn wake(&mut self, host: HostId) {
        let now = self.now;
        match &mut self.hosts[host.0].tenant {
            Tenant::Swarm(resident) => {
                resident.wakes_at = None;
                if resident.swarm.next_timeout().is_some_and(|at| at <= now) {
                    let result = resident.ledger.woke(now);
                    result.unwrap_or_else(|what| self.broken(host, what));
                    self.feed(host, Input::Timeout, &[]);
                } else {
                    self.set_wake(host);
                }
            }
            Tenant::Stranger(stranger) => {
                let deeds = stranger.wake(now, &mut self.rng);
                let period = stranger.period();
                self.perform(host, deeds);
                period.into_iter().for_each(|period| self.set(period, host, Event::Wake));
            }
        }
    }

    fn crashed(&mut self, host: HostId, silently: bool) {
        let now = self.now;
        let own = &mut self.hosts[host.0];
        own.up = false;
        own.life += 1;
        own.peer_id.0[17] = own.peer_id.0[17].wrapping_add(1);
        for (_, end) in std::mem::take(&mut own.ends) {
            self.hosts[end.host.0].ends.get_mut(&end.connection).into_iter().for_each(|far| far.read = false);
            if !silently {
                let reason = CloseReason::Io(std::io::ErrorKind::ConnectionReset);
                self.hosts[end.host.0].ends.remove(&end.connection);
                self.set(Duration::from_millis(50), end.host, Event::End { connection: end.connection, reason });
            }
        }
        self.hosts[host.0].resident_mut().into_iter().for_each(|own| {
            own.disk.crash(now);
        });
    }

    fn restarted(&mut self, host: HostId) {
        let seed = self.rng.u64(..);
        let (now, peer_id) = (self.now, self.hosts[host.0].peer_id);
        self.hosts[host.0].up = true;
        let torrent = &self.torrent;
        if let Some(own) = self.hosts[host.0].resident_mut() {
            let have = own.disk.verified().clone();
            let mut new = Resident::new(now, config(torrent, have, peer_id, seed));
            (new.requests, new.disk.loses) = (own.requests, own.disk.loses);
            new.events = std::mem::take(&mut own.events);
            *own = new;
        }
        self.set(Duration::from_millis(100), host, Event::Tracker);
    }

    /// Feeds a swarm and does what it wants.
    pub(crate) fn feed(&mut self, host: HostId, input: Input<'_>, contents: &[u64]) {
        let now = self.now;
        let Some(resident) = self.hosts[host.0].resident_mut() else { return };
        resident.swarm.handle(now, input);
        let mut sent: BTreeMap<ConnectionId, Vec<Letter>> = BTreeMap::new();
        while let Some(action) = self.hosts[host.0].resident_mut().and_then(|own| own.swarm.poll()) {
            match action {
                Action::Send { connection, message } => {
                    self.note(host, connection, &message);
                    sent.entry(connection).or_default().push(Letter { message, content: 0 });
                }
                other => self.act(host, other, contents, &mut sent),
            }
        }
        for (connection, letters) in sent {
            self.post(host, connection, letters, None);
        }
        self.set_wake(host);
    }

    fn act(&mut self, host: HostId, action: Action, contents: &[u64], sent: &mut BTreeMap<ConnectionId, Vec<Letter>>) {
        match action {
            Action::Dial { addr, .. } => {
                let delay = self.hosts[host.0].pipes.delay(&mut self.rng) * 4;
                self.set(delay, host, Event::Dial { addr });
            }
            Action::Store { nth, block, .. } => {
                let resident = self.hosts[host.0].resident_mut();
                resident.into_iter().for_each(|own| own.disk.store(block, contents[nth]));
            }
            Action::Verify { piece, digests } => {
                let took = Duration::from_micros(1000 + self.rng.u64(..4000));
                self.set(took, host, Event::Judged { piece, digests });
            }
            Action::Serve { connection, block } => self.serve(host, connection, block),
            Action::Close { connection, reason } => {
                if let Some(letters) = sent.remove(&connection) {
                    self.post(host, connection, letters, None);
                }
                self.close(host, connection, reason);
            }
            // Every torrent of a world is known from the start.
            Action::JudgeMetadata { .. } => {}
            Action::Node(_) => {}
            Action::NeedPeers => self.set(Duration::from_millis(200), host, Event::Tracker),
            Action::Event(event) => {
                if let Told::Banned(address) = event {
                    let result = checkers::ban_is_just(address, &self.liars);
                    result.unwrap_or_else(|what| self.broken(host, what));
                }
                self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.events.push(event.clone()));
            }
            Action::Send { .. } => {}
        }
    }

    fn note(&mut self, host: HostId, connection: ConnectionId, message: &Message) {
        let Some(resident) = self.hosts[host.0].resident_mut() else { return };
        if let Message::Request(block) = message {
            resident.requests += 1;
            let result = resident.ledger.asks(connection, *block);
            result.unwrap_or_else(|what| self.broken(host, what));
        }
    }

    fn serve(&mut self, host: HostId, connection: ConnectionId, block: Block) {
        // Whoever does not read keeps the block from ever leaving.
        if self.hosts[host.0].ends.get(&connection).is_some_and(|end| end.read) {
            let letter = Letter { message: Message::Piece(block), content: self.torrent.content(block) };
            self.post(host, connection, vec![letter], Some(block));
        }
    }

    /// Does what a stranger wants.
    pub(crate) fn perform(&mut self, host: HostId, deeds: Vec<Deed>) {
        let mut sent: BTreeMap<ConnectionId, Vec<Letter>> = BTreeMap::new();
        for deed in deeds {
            match deed {
                Deed::Say(connection, message) => {
                    sent.entry(connection).or_default().push(Letter { message, content: 0 });
                }
                Deed::Give(connection, block, right) => {
                    let content = if right { self.torrent.content(block) } else { self.rng.u64(..) };
                    let letter = Letter { message: Message::Piece(block), content };
                    sent.entry(connection).or_default().push(letter);
                }
                Deed::Close(connection) => self.close(host, connection, CloseReason::Eof),
            }
        }
        for (connection, letters) in sent {
            self.post(host, connection, letters, None);
        }
    }

    /// Sets a wake-up for the swarm's next timer, unless an earlier one is set.
    fn set_wake(&mut self, host: HostId) {
        let life = self.hosts[host.0].life;
        let Some(resident) = self.hosts[host.0].resident_mut() else { return };
        let Some(next) = resident.swarm.next_timeout() else { return };
        if resident.wakes_at.is_none_or(|set| next < set) {
            resident.wakes_at = Some(next);
            self.queue.push(next.max(self.now), Due { host, life, event: Event::Wake });
        }
    }
}

/// An event in numbers, for the trace.
fn words(event: &Event) -> [u64; 3] {
    let block = |block: &Block| (u64::from(block.piece.0) << 32) | u64::from(block.begin);
    match event {
        Event::Dial { addr } => [1, addr.port().into(), 0],
        Event::Batch { connection, letters } => {
            let first = letters.first().map(|letter| match &letter.message {
                Message::Piece(named) | Message::Request(named) => block(named),
                other => size(other),
            });
            [2 + (letters.len() as u64) * 256, connection.0, first.unwrap_or_default()]
        }
        Event::End { connection, reason } => [3, connection.0, reason.blame() as u64],
        Event::Left { connection, served, .. } => [4, connection.0, served.as_ref().map(block).unwrap_or_default()],
        Event::Judged { piece, digests } => [5, piece.0.into(), u64::from(*digests)],
        Event::Tracker => [6, 0, 0],
        Event::Wake => [7, 0, 0],
        Event::Crash { silently } => [8, u64::from(*silently), 0],
        Event::Restart => [9, 0, 0],
    }
}
