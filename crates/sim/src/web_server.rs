//! Web servers of a world (BEP 19), as a swarm meets them through the engine: requests are answered in their order by blocks, one that
//! is taken back is rejected, and what goes wrong ends the connection with a reason.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use riverrun_metainfo::{Block, PieceIndex};
use riverrun_proto::limits;
use riverrun_proto::swarm::{CloseReason, Command, ConnectionId, Input, WebSeedId, WebSeedStatus};
use riverrun_proto::web_seed::{Fault, WebSeedError};
use riverrun_proto::wire::Message;

use crate::host::{End, Host, HostId, Tenant};
use crate::link::Link;
use crate::queue::{Event, Letters};
use crate::world::World;

/// How often it is looked at whether a server has been silent for too long.
const LOOKS: Duration = Duration::from_secs(1);
/// Round trips until the first request over a new connection is there: TCP, TLS.
const GREETINGS: u32 = 2;

/// How a web server serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Everything, as asked.
    Honest,
    /// Nothing ever comes.
    Silent,
    /// So many blocks over each connection, and nothing more.
    Stalls(u32),
    /// A block each time that so long has passed.
    Drips(Duration),
    /// It is busy for so many requests, and wants to be asked again so many seconds later.
    Busy(u32, u64),
    /// Each connection breaks behind so many blocks.
    Breaks(u32),
    /// Of so many blocks one is wrong.
    Lies(u32),
    /// The second half of all pieces is in a file that it has not.
    Half,
}

/// What a server does next.
enum Turn {
    Give(Block, bool),
    After(Duration),
    Lack,
    Fail(WebSeedError),
}

/// One server.
#[derive(Debug)]
pub(crate) struct WebServer {
    service: Service,
    lines: BTreeMap<ConnectionId, Line>,
    given: u32,
    refused: u32,
}

/// One connection.
#[derive(Debug, Default)]
struct Line {
    asked: VecDeque<Block>,
    given: u32,
    /// A block is on its way out, or a moment is waited for.
    busy: bool,
    /// The moment that was waited for has come.
    due: bool,
    told: bool,
}

impl Service {
    fn lies(self) -> bool {
        matches!(self, Self::Lies(_))
    }
}

impl WebServer {
    /// Requests come, or are taken back; gives those that are rejected.
    fn heard(&mut self, connection: ConnectionId, messages: &[Message]) -> Vec<Block> {
        let Some(line) = self.lines.get_mut(&connection) else { return Vec::new() };
        let mut rejected = Vec::new();
        for message in messages {
            match message {
                Message::Request(block) => line.asked.push_back(*block),
                Message::Cancel(block) => {
                    if let Some(place) = line.asked.iter().position(|asked| asked == block) {
                        rejected.extend(line.asked.remove(place));
                    }
                }
                _ => {}
            }
        }
        rejected
    }

    fn turn(&mut self, connection: ConnectionId, half: u32) -> Option<Turn> {
        let (service, line) = (self.service, self.lines.get_mut(&connection)?);
        let lacked = |block: &Block| service == Service::Half && block.piece.0 >= half;
        if line.busy || line.asked.is_empty() {
            return None;
        }
        if !line.told && line.asked.iter().any(lacked) {
            line.told = true;
            return Some(Turn::Lack);
        }
        match service {
            Service::Silent => return None,
            Service::Stalls(after) if line.given >= after => return None,
            Service::Drips(period) if !std::mem::take(&mut line.due) => {
                line.busy = true;
                return Some(Turn::After(period));
            }
            Service::Busy(times, after) if self.refused < times => {
                self.refused += 1;
                let retry_after = Some(Duration::from_secs(after));
                return Some(Turn::Fail(WebSeedError::Busy { status: 503, retry_after }));
            }
            Service::Breaks(after) if line.given >= after => {
                return Some(Turn::Fail(WebSeedError::Network("the answer ends too early".into())));
            }
            _ => {}
        }
        let place = line.asked.iter().position(|block| !lacked(block))?;
        let block = line.asked.remove(place)?;
        (line.given, line.busy, self.given) = (line.given + 1, true, self.given + 1);
        let right = !matches!(service, Service::Lies(one_in) if self.given.is_multiple_of(one_in));
        Some(Turn::Give(block, right))
    }

    pub(crate) fn ended(&mut self, connection: ConnectionId) {
        self.lines.remove(&connection);
    }
}

impl World {
    /// Adds a web server with the content. Nobody meets it but swarms to which it is named.
    pub fn add_web_server(&mut self, link: Link, service: Service) -> HostId {
        let id = HostId(self.hosts.len());
        let server = WebServer { service, lines: BTreeMap::new(), given: 0, refused: 0 };
        let mut host = Host::new(id.0, link, self.now, Tenant::Server(server));
        host.hidden = true;
        self.hosts.push(host);
        id
    }

    /// The torrent of a swarm names these web servers, for all its lives.
    pub fn names_web_seeds(&mut self, host: HostId, servers: &[HostId]) {
        self.hosts[host.0].web_seeds = servers.to_vec();
        self.tell_web_seeds(host);
    }

    /// A swarm begins, and hears of its web seeds.
    pub(crate) fn tell_web_seeds(&mut self, host: HostId) {
        let count = self.hosts[host.0].web_seeds.len();
        if count > 0 {
            self.feed(host, Input::Command(Command::AddWebSeeds(count)));
        }
    }

    /// How a swarm's web seeds are.
    #[must_use]
    pub fn web_seeds(&self, host: HostId) -> Vec<WebSeedStatus> {
        self.hosts[host.0].resident().map(|own| own.swarm.web_seeds(self.now)).unwrap_or_default()
    }

    /// A swarm wants to ask a web seed.
    pub(crate) fn wants_web_seed(&mut self, host: HostId, seed: WebSeedId) {
        let now = self.now;
        let result = self.hosts[host.0].resident_mut().map_or(Ok(()), |own| own.ledger.web.opens(now, seed));
        result.unwrap_or_else(|what| self.broken(host, what));
        self.set(Duration::ZERO, host, Event::WebSeed { seed });
    }

    pub(crate) fn open_web_seed(&mut self, host: HostId, seed: WebSeedId) {
        let Some(server) = self.hosts[host.0].web_seeds.get(seed.0 as usize).copied() else { return };
        let (near, far) = (ConnectionId(self.next_connection), ConnectionId(self.next_connection + 1));
        self.next_connection += 2;
        let there =
            self.hosts[host.0].pipes.delay(&mut self.chance) + self.hosts[server.0].pipes.delay(&mut self.chance);
        let to_server = End { last_arrival: self.now + there * (2 * GREETINGS + 1), ..End::new(server, far, self.now) };
        self.hosts[host.0].ends.insert(near, to_server);
        self.hosts[server.0].ends.insert(far, End::new(host, near, self.now));
        if let Tenant::Server(server) = &mut self.hosts[server.0].tenant {
            server.lines.insert(far, Line::default());
        }
        self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.ledger.web.opened(near, seed));
        self.set(LOOKS, host, Event::Patience { connection: near });
        self.feed(host, Input::WebSeedOpened { seed, connection: near });
    }

    /// Looks whether a server has been silent for too long while something was to come.
    pub(crate) fn look_at_web_seed(&mut self, host: HostId, connection: ConnectionId) {
        let now = self.now;
        let Host { tenant, ends, .. } = &mut self.hosts[host.0];
        let (Tenant::Swarm(resident), Some(end)) = (tenant, ends.get_mut(&connection)) else { return };
        if resident.ledger.unanswered(connection) == 0 {
            end.heard = now;
        }
        if now.saturating_duration_since(end.heard) < limits::WEB_SEED_TIMEOUT {
            return self.set(LOOKS, host, Event::Patience { connection });
        }
        self.close(host, connection, CloseReason::WebSeed(WebSeedError::Timeout));
    }

    /// A server hears requests, or that they are taken back.
    pub(crate) fn asked_server(&mut self, host: HostId, connection: ConnectionId, letters: &Letters) {
        let Tenant::Server(server) = &mut self.hosts[host.0].tenant else { return };
        let mut rejects = Letters::default();
        for block in server.heard(connection, &letters.messages) {
            rejects.push(Message::Reject(block));
        }
        if !rejects.messages.is_empty() {
            self.post(host, connection, rejects, None);
        }
        self.serve_next(host, connection);
    }

    /// A block has left a server, or the moment has come that it waited for.
    pub(crate) fn server_goes_on(&mut self, host: HostId, connection: ConnectionId, due: bool) {
        let Tenant::Server(server) = &mut self.hosts[host.0].tenant else { return };
        if let Some(line) = server.lines.get_mut(&connection) {
            (line.busy, line.due) = (false, due);
        }
        self.serve_next(host, connection);
    }

    fn serve_next(&mut self, host: HostId, connection: ConnectionId) {
        let half = self.torrent.pieces() / 2;
        let Tenant::Server(server) = &mut self.hosts[host.0].tenant else { return };
        match server.turn(connection, half) {
            None => {}
            Some(Turn::After(time)) => self.set(time, host, Event::Turn { connection }),
            Some(Turn::Give(block, right)) => {
                let content = if right { self.torrent.content(block) } else { self.chance.any() };
                self.post(host, connection, Letters::block(block, content), Some(block));
            }
            Some(Turn::Lack) => {
                let Some(far) = self.hosts[host.0].ends.get(&connection).map(|end| (end.host, end.connection)) else {
                    return;
                };
                let delay = self.hosts[host.0].pipes.delay(&mut self.chance) * 2;
                self.set(delay, far.0, Event::Lacks { connection: far.1 });
                self.serve_next(host, connection);
            }
            Some(Turn::Fail(error)) => self.end(host, connection, CloseReason::Eof, CloseReason::WebSeed(error)),
        }
    }

    /// A swarm learns that a server has not the second half.
    pub(crate) fn learns_of_lack(&mut self, host: HostId, connection: ConnectionId) {
        if self.hosts[host.0].ends.contains_key(&connection) {
            let pieces: Vec<_> = (self.torrent.pieces() / 2..self.torrent.pieces()).map(PieceIndex).collect();
            self.feed(host, Input::WebSeedLacks { connection, pieces: &pieces, error: WebSeedError::Missing(404) });
        }
    }

    /// Whether this web seed of a swarm may be banned.
    pub(crate) fn web_ban_is_just(&self, host: HostId, seed: WebSeedId) -> Result<(), String> {
        let server = self.hosts[host.0].web_seeds.get(seed.0 as usize);
        let lies = server.is_some_and(|server| match &self.hosts[server.0].tenant {
            Tenant::Server(server) => server.service.lies(),
            Tenant::Swarm(_) | Tenant::Stranger(_) => false,
        });
        if lies { Ok(()) } else { Err(format!("bans {seed:?}, which never lied")) }
    }
}

/// What is counted of a swarm's web seeds to judge it.
#[derive(Debug, Default)]
pub(crate) struct WebLedger {
    open: BTreeMap<ConnectionId, WebSeedId>,
    /// Until when a web seed rests at least.
    rest: BTreeMap<WebSeedId, Instant>,
}

impl WebLedger {
    /// Web seeds that are in use.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// A web seed is wanted.
    ///
    /// # Errors
    /// It rests yet, or too many are in use.
    pub(crate) fn opens(&self, now: Instant, seed: WebSeedId) -> Result<(), String> {
        if self.rest.get(&seed).is_some_and(|until| *until > now) {
            return Err(format!("{seed:?} is asked again before it had its rest"));
        }
        if self.open.len() >= limits::MAX_OPEN_WEB_SEEDS { Err("too many web seeds in use".to_owned()) } else { Ok(()) }
    }

    pub(crate) fn opened(&mut self, connection: ConnectionId, seed: WebSeedId) {
        self.open.insert(connection, seed);
    }

    pub(crate) fn ended(&mut self, now: Instant, connection: ConnectionId, reason: &CloseReason) {
        let Some(seed) = self.open.remove(&connection) else { return };
        let CloseReason::WebSeed(error) = reason else { return };
        let least = match error.fault() {
            Fault::Passing(after) => limits::WEB_SEED_SHORT_REST.max(after.unwrap_or_default()),
            Fault::File | Fault::Lasting | Fault::Bad => limits::WEB_SEED_LONG_REST,
        };
        self.rest.insert(seed, now + least);
    }
}
