//! When which tracker of a torrent is told what (BEP 3, 12, 21, 27, 31).
//!
//! The trackers stand in lines. A line is asked from its front, tier by tier, until one tracker answers; that one moves to
//! the front of its tier, and the line rests for its interval. By BEP 12 all tiers are one line, so that one tracker is
//! told; with `announce_to_all` each tier is a line of its own. Invariants: a line has at most one announce under way; a
//! tracker hears `started` before anything else, and `stopped` if and only if it has answered; a tracker that failed is
//! left alone for a time that grows.

mod line;
mod member;
mod status;
#[cfg(test)]
mod tests;

pub use status::{TrackerState, TrackerStatus};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::WireHash;

use self::line::{Line, LineState};
use self::member::Member;
use super::{AnnounceError, AnnounceReply, AnnounceRequest, Event, NamedPeer, TrackerUrl};
use crate::limits::{MAX_ANNOUNCES, MAX_TRACKERS, NUM_WANT};
use crate::wire::PeerId;

/// What the machine needs to know at birth.
#[derive(Clone, Debug)]
pub struct TiersConfig {
    /// The URLs, by tier; of equal ones the first counts. Where a torrent has an `announce-list`, its `announce` is not
    /// among them (BEP 12).
    pub tiers: Vec<Vec<String>>,
    /// One tracker at a time, and no peers of another when it changes (BEP 27).
    pub private: bool,
    /// Tell one tracker of each tier instead of one of all; not for private torrents.
    pub announce_to_all: bool,
    /// The port that is announced, to know our own address among the peers.
    pub listen_port: u16,
    /// Seed of the generator.
    pub seed: u64,
}

/// Names one announce; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AnnounceId(pub u64);

/// One input of the machine.
#[derive(Debug)]
pub enum Input {
    /// Begin, or begin again after [`Stop`](Self::Stop). While it goes on only `complete` counts.
    Start {
        /// Everything is here already: there will be no `completed`.
        complete: bool,
    },
    /// The last piece has come.
    Completed,
    /// Whether we want nothing more although we have not everything (BEP 21).
    PartialSeed(bool),
    /// The torrent turned out to be private when its metadata came (BEP 27).
    Private,
    /// More trackers, as a tier behind all others: those that are new, up to [`MAX_TRACKERS`] in
    /// all. A private torrent takes none (BEP 27).
    Add(Vec<String>),
    /// Candidates run short: ask before the interval is over, as far as the tracker allows.
    NeedPeers,
    /// How an announce ended. Every [`Action::Announce`] that was not taken back must come to this.
    Reply {
        /// Which.
        id: AnnounceId,
        /// How.
        result: Result<AnnounceReply, AnnounceError>,
    },
    /// Say farewell to every tracker that knows us; answered by [`Action::Stopped`].
    Stop,
    /// The moment of [`next_timeout`](Tiers::next_timeout) has come.
    Timeout,
}

/// One thing to do, in the order it comes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Tell a tracker; answered by [`Input::Reply`].
    Announce(Announce),
    /// Take an announce back; no reply is expected any more.
    Cancel(AnnounceId),
    /// Another tracker of a private torrent has answered: drop all peers before its own are used (BEP 27).
    Switched,
    /// Candidates.
    Peers {
        /// Their addresses.
        addrs: Vec<SocketAddr>,
        /// Those whose names are to be resolved first.
        named: Vec<NamedPeer>,
    },
    /// Our address as a tracker sees it (BEP 24).
    ExternalIp(IpAddr),
    /// After [`Input::Stop`]: no tracker has to be told anything any more.
    Stopped,
}

/// An announce to be made. What it says of our progress is filled in when it leaves: see [`request`](Self::request).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    /// Its name.
    pub id: AnnounceId,
    /// To whom.
    pub tracker: Arc<TrackerUrl>,
    /// Why.
    pub event: Option<Event>,
    /// How many peers we want.
    pub num_want: u32,
    /// The same in every announce of this torrent, whatever the tracker and our address (BEP 7).
    pub key: u32,
    /// What the tracker asked to be told again.
    pub tracker_id: Option<Bytes>,
    /// How often a UDP tracker is asked again before this announce fails: not at all while others can be asked in its place.
    pub retries: u8,
}

/// How far we are: what trackers want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Payload sent since [`Input::Start`], in bytes.
    pub uploaded: u64,
    /// Payload received since [`Input::Start`], in bytes.
    pub downloaded: u64,
    /// Bytes that we still lack.
    pub left: u64,
}

impl Announce {
    /// The request as it is now.
    #[must_use]
    pub fn request(&self, info_hash: WireHash, peer_id: PeerId, port: u16, progress: Progress) -> AnnounceRequest {
        AnnounceRequest {
            info_hash,
            peer_id,
            port,
            uploaded: progress.uploaded,
            downloaded: progress.downloaded,
            left: progress.left,
            event: self.event,
            num_want: Some(self.num_want),
            key: self.key,
            ipv4: None,
            ipv6: None,
            tracker_id: self.tracker_id.clone(),
        }
    }
}

/// How often the only tracker is asked again over UDP before the announce fails and the user is told: 225 s in all.
const ALONE_RETRIES: u8 = 3;

/// The trackers of one torrent.
#[derive(Debug)]
pub struct Tiers {
    random: fastrand::Rng,
    key: u32,
    private: bool,
    listen_port: u16,
    phase: Phase,
    complete: bool,
    partial_seed: bool,
    members: Vec<Member>,
    lines: Vec<Line>,
    flights: BTreeMap<AnnounceId, Flight>,
    farewells: VecDeque<(usize, Event)>,
    last_id: u64,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Off,
    On,
    Stopping,
}

/// An announce under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    member: usize,
    event: Option<Event>,
    line: usize,
}

impl Tiers {
    /// The machine at rest. Each tier is shuffled now and never again (BEP 12).
    #[must_use]
    pub fn new(config: TiersConfig) -> Self {
        let mut random = fastrand::Rng::with_seed(config.seed);
        let key = random.u32(..);
        let (mut members, mut lines, mut seen) = (Vec::new(), Vec::<Line>::new(), BTreeSet::new());
        let one_line = config.private || !config.announce_to_all;
        for (tier, urls) in config.tiers.into_iter().enumerate() {
            let mut order = Vec::new();
            for url in urls.into_iter().filter(|url| !url.trim().is_empty() && seen.insert(url.clone())) {
                order.push(members.len());
                members.push(Member::new(tier, url));
            }
            random.shuffle(&mut order);
            match lines.first_mut() {
                Some(line) if one_line => line.tiers.push(order),
                _ => lines.push(Line::new(order)),
            }
        }
        for (number, line) in lines.iter().enumerate() {
            line.order().for_each(|member| members[member].line = number);
        }
        Self {
            random,
            key,
            private: config.private,
            listen_port: config.listen_port,
            phase: Phase::Off,
            complete: false,
            partial_seed: false,
            members,
            lines,
            flights: BTreeMap::new(),
            farewells: VecDeque::new(),
            last_id: 0,
            actions: VecDeque::new(),
        }
    }

    /// Feed one input. Never blocks.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start { complete } => self.start(now, complete),
            Input::Completed => self.completed(now),
            Input::PartialSeed(partial) => self.partial_seed = partial,
            Input::Private => self.private = true,
            Input::Add(urls) => self.add(now, urls),
            Input::NeedPeers => self.lines.iter_mut().for_each(|line| line.hasten(now)),
            Input::Reply { id, result } => self.reply(now, id, result),
            Input::Stop => self.stop(),
            Input::Timeout => {}
        }
        self.go_on(now);
    }

    /// The next thing to do; drain until `None` before the next [`handle`](Self::handle).
    pub fn poll(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if action.is_none() {
            // Something is to be done once in many minutes, in each of ten thousand torrents.
            self.actions = VecDeque::new();
        }
        action
    }

    /// When [`Input::Timeout`] is due; `None`: nothing pending.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        // With all announces under way that may be, the next one leaves when one comes back.
        let idle = self.phase == Phase::On && self.flights.len() < MAX_ANNOUNCES;
        if idle { self.lines.iter().filter_map(Line::due).min() } else { None }
    }

    /// One entry per tracker, by tier, in the order they are asked.
    #[must_use]
    pub fn status(&self) -> Vec<TrackerStatus> {
        let status = |&member: &usize| {
            let line = &self.lines[self.members[member].line];
            self.members[member].status(line.next_announce(member))
        };
        let mut order: Vec<usize> = self.lines.iter().flat_map(Line::order).collect();
        order.sort_by_key(|&member| self.members[member].tier);
        order.iter().map(status).collect()
    }

    fn start(&mut self, now: Instant, complete: bool) {
        if self.phase == Phase::On {
            // What was there already was seen only after the first announce: it was not downloaded.
            self.complete |= complete;
            return;
        }
        // A farewell that is on its way may have been heard: that tracker is told anew that we are here.
        for (id, flight) in std::mem::take(&mut self.flights) {
            self.members[flight.member].landed();
            self.members[flight.member].knows_us &= flight.event != Some(Event::Stopped);
            self.actions.push_back(Action::Cancel(id));
        }
        self.farewells.clear();
        self.phase = Phase::On;
        self.complete = complete;
        self.lines.iter_mut().for_each(|line| line.begin(now));
    }

    /// Puts new trackers behind all others; they are asked at once if nobody before them has answered.
    fn add(&mut self, now: Instant, urls: Vec<String>) {
        if self.private {
            return;
        }
        let tier = self.members.iter().map(|member| member.tier + 1).max().unwrap_or(0);
        let first = self.members.len();
        for url in urls {
            let known = url.trim().is_empty() || self.members.iter().any(|member| member.text() == url);
            if !known && self.members.len() < MAX_TRACKERS {
                self.members.push(Member::new(tier, url));
            }
        }
        let new: Vec<usize> = (first..self.members.len()).collect();
        if new.is_empty() {
            return;
        }
        match self.lines.first_mut() {
            Some(line) => line.append(now, new),
            None => {
                let mut line = Line::new(new);
                if self.phase == Phase::On {
                    line.begin(now);
                }
                self.lines.push(line);
            }
        }
    }

    fn completed(&mut self, now: Instant) {
        if self.phase == Phase::On && !self.complete {
            self.complete = true;
            self.lines.iter_mut().for_each(|line| line.owe_completed(now));
        }
    }

    fn stop(&mut self) {
        if self.phase != Phase::On {
            if self.phase == Phase::Off {
                self.actions.push_back(Action::Stopped);
            }
            return;
        }
        self.phase = Phase::Stopping;
        for line in &mut self.lines {
            if let LineState::Announcing(id) = line.state
                && let Some(flight) = self.flights.get(&id)
                && !self.members[flight.member].knows_us
            {
                // Nobody has answered there yet, so nobody needs a farewell that would be waited for.
                self.members[flight.member].landed();
                self.flights.remove(&id);
                self.actions.push_back(Action::Cancel(id));
            }
            line.state = LineState::Off;
        }
        let busy: BTreeSet<usize> = self.flights.values().map(|flight| flight.member).collect();
        for member in (0..self.members.len()).filter(|member| !busy.contains(member)) {
            self.say_farewell(member);
        }
    }

    /// Queues what a tracker that knows us is still to hear.
    fn say_farewell(&mut self, member: usize) {
        let line = &mut self.lines[self.members[member].line];
        if !self.members[member].knows_us {
            return;
        }
        let completed = line.owes_completed && line.current == Some(member);
        line.owes_completed &= !completed;
        self.farewells.push_back((member, if completed { Event::Completed } else { Event::Stopped }));
    }

    fn reply(&mut self, now: Instant, id: AnnounceId, result: Result<AnnounceReply, AnnounceError>) {
        let Some(flight) = self.flights.remove(&id) else { return };
        let member = &mut self.members[flight.member];
        member.landed();
        match &result {
            Ok(reply) => member.answered(flight.event, reply),
            Err(error) => member.failed(now, error, &mut self.random),
        }
        if self.phase == Phase::Stopping {
            match flight.event {
                Some(Event::Stopped) => return self.members[flight.member].knows_us = false,
                Some(Event::Completed) => self.lines[flight.line].owes_completed = false,
                _ => {}
            }
            return self.say_farewell(flight.member);
        }
        let line = &mut self.lines[flight.line];
        match result {
            Err(_) => line.state = LineState::Asking(now),
            Ok(reply) => {
                let before = line.current.replace(flight.member);
                line.answered(now, flight.member, flight.event, &reply);
                if self.private && before.is_some_and(|before| before != flight.member) {
                    self.actions.push_back(Action::Switched);
                }
                self.hand_out(reply);
            }
        }
    }

    /// Gives what a reply brought to the driver, but for our own address.
    fn hand_out(&mut self, mut reply: AnnounceReply) {
        if let Some(ip) = reply.external_ip {
            let own = SocketAddr::new(ip, self.listen_port);
            reply.peers.retain(|peer| *peer != own);
            self.actions.push_back(Action::ExternalIp(ip));
        }
        if !reply.peers.is_empty() || !reply.named_peers.is_empty() {
            self.actions.push_back(Action::Peers { addrs: reply.peers, named: reply.named_peers });
        }
    }

    /// Lets every announce leave that is due and has room.
    fn go_on(&mut self, now: Instant) {
        match self.phase {
            Phase::Off => {}
            Phase::On => {
                for number in 0..self.lines.len() {
                    if self.flights.len() >= MAX_ANNOUNCES {
                        break;
                    }
                    if self.lines[number].due().is_some_and(|due| due <= now) {
                        self.ask_next(now, number);
                    }
                }
            }
            Phase::Stopping => {
                while self.flights.len() < MAX_ANNOUNCES
                    && let Some((member, event)) = self.farewells.pop_front()
                {
                    self.announce(now, member, Some(event), 0);
                }
                if self.flights.is_empty() {
                    self.phase = Phase::Off;
                    self.actions.push_back(Action::Stopped);
                }
            }
        }
    }

    /// Asks the next tracker of a line that may be asked now, or lets the line rest until one may.
    fn ask_next(&mut self, now: Instant, number: usize) {
        let members = &self.members;
        let line = &mut self.lines[number];
        let from = line.next_in_round();
        let next = line.order().enumerate().skip(from).find(|(_, member)| members[*member].usable(now));
        let Some((position, member)) = next else {
            return line.rest_until(line.order().filter_map(|member| members[member].not_before(now)).min());
        };
        let alone = !line.order().any(|other| other != member && members[other].not_before(now).is_some());
        line.position = position + 1;
        let event = match (members[member].knows_us, line.owes_completed, self.partial_seed) {
            (false, ..) => Some(Event::Started),
            (true, true, _) => Some(Event::Completed),
            (true, false, true) => Some(Event::Paused),
            (true, false, false) => None,
        };
        let id = self.announce(now, member, event, if alone { ALONE_RETRIES } else { 0 });
        self.lines[number].state = LineState::Announcing(id);
    }

    fn announce(&mut self, now: Instant, member: usize, event: Option<Event>, retries: u8) -> AnnounceId {
        self.last_id += 1;
        let id = AnnounceId(self.last_id);
        let (tracker, tracker_id) = self.members[member].depart(now);
        self.flights.insert(id, Flight { member, event, line: self.members[member].line });
        let num_want = if event == Some(Event::Stopped) { 0 } else { NUM_WANT };
        self.actions.push_back(Action::Announce(Announce {
            id,
            tracker,
            event,
            num_want,
            key: self.key,
            tracker_id,
            retries,
        }));
        id
    }
}
