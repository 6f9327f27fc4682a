//! The world: moves the clock, carries what hosts send, and looks after every event whether a rule is broken.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use riverrun_proto::swarm::{ConnectionId, DiskDone, Input};

use crate::chance::{Chance, Seed};
use crate::checkers::{self, Violation};
use crate::faults::Cut;
use crate::host::{Host, HostId};
use crate::queue::{Due, Event, Queue};
use crate::torrent::Torrent;
use crate::trace::{Trace, words};

/// More events than any scenario needs, to begin with and for each host.
const MOST_EVENTS: u64 = 50_000_000;
const MOST_EVENTS_PER_HOST: u64 = 1_000_000;

/// A network of hosts that share one torrent.
#[derive(Debug)]
pub struct World {
    pub(crate) born: Instant,
    pub(crate) now: Instant,
    pub(crate) torrent: Torrent,
    pub(crate) hosts: Vec<Host>,
    pub(crate) queue: Queue<Due>,
    pub(crate) trace: Trace,
    pub(crate) chance: Chance,
    pub(crate) next_connection: u64,
    pub(crate) liars: Vec<IpAddr>,
    /// The tracker names this host and no other.
    pub(crate) named: Option<HostId>,
    /// Swarms that have not everything.
    pub(crate) incomplete: usize,
    /// Hosts that are cut off from all others.
    pub(crate) cuts: Vec<Cut>,
    /// Each event is printed.
    traced: bool,
    /// The first rule that was broken.
    violation: Option<Violation>,
}

impl World {
    /// An empty world. All chance in it comes from the seed.
    #[must_use]
    pub fn new<'a>(seed: impl Into<Seed<'a>>, torrent: Torrent) -> Self {
        let seed = seed.into();
        // The clock's zero; only differences to it count.
        let born = Instant::now();
        Self {
            born,
            now: born,
            torrent,
            hosts: Vec::new(),
            queue: Queue::default(),
            trace: Trace::new(),
            traced: seed.is_traced(),
            chance: Chance::new(seed),
            next_connection: 0,
            liars: Vec::new(),
            named: None,
            incomplete: 0,
            cuts: Vec::new(),
            violation: None,
        }
    }

    /// A number below `below` from the world's chance.
    pub fn draw(&mut self, below: u32) -> u32 {
        self.chance.below(below)
    }

    /// One of these, of which there are some, by the world's chance.
    pub fn draw_one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.chance.index(of.len())]
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
            self.show(host, &event);
            let connection = event.connection();
            self.happen(host, event);
            self.note_completion(host);
            self.check(host, connection);
        }
        if self.trace.events() > MOST_EVENTS + MOST_EVENTS_PER_HOST * self.hosts.len() as u64 {
            self.broken(host, "events without end".to_owned());
        }
        self.violation.clone().map_or(Ok(true), Err)
    }

    #[allow(clippy::print_stdout, reason = "a developer asked for it")]
    fn show(&self, host: HostId, event: &Event) {
        if self.traced {
            println!("{} {:.6} s {host:?}: {event:?}", self.trace.events(), self.age().as_secs_f64());
        }
    }

    /// `connection`: the one on which something has happened.
    fn check(&mut self, host: HostId, connection: Option<ConnectionId>) {
        if !self.hosts[host.0].up {
            return;
        }
        let Some(own) = self.hosts[host.0].resident_mut() else { return };
        let result = checkers::has_only_verified(&own.swarm, &own.disk);
        let result = result.and_then(|()| checkers::within_limits(own));
        let result = result.and_then(|()| connection.map_or(Ok(()), |peer| checkers::peer_within_limits(own, peer)));
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
            Event::Batch { connection, letters, straight } => self.arrive(host, connection, letters, straight),
            Event::End { connection, reason } => self.ended(host, connection, reason),
            Event::Left { connection, letters, served } => self.left(host, connection, letters, served),
            Event::Judged { piece, digests } => {
                let (now, torrent) = (self.now, &self.torrent);
                let resident = self.hosts[host.0].resident_mut();
                let done: Option<DiskDone> =
                    resident.map(|own| own.disk.judge(now, torrent, piece, digests, &mut self.chance));
                self.look_for_room(host);
                done.into_iter().for_each(|done| self.feed(host, Input::Disk(done)));
            }
            Event::Tracker => self.tracker(host),
            Event::Wake => self.wake(host),
            Event::Crash { silently } => self.crashed(host, silently),
            Event::Restart => self.restarted(host),
            Event::NoAnswer { addr, error } => self.unanswered(host, addr, error),
            Event::Reset => self.broke(host),
            Event::Leave => self.went(host),
            Event::Room => self.tell_room(host),
            Event::WebSeed { seed } => self.open_web_seed(host, seed),
            Event::Patience { connection } => self.look_at_web_seed(host, connection),
            Event::Turn { connection } => self.server_goes_on(host, connection, true),
            Event::Lacks { connection } => self.learns_of_lack(host, connection),
        }
    }
}
