//! The way to the nodes that are closest to a point, in one family (BEP 5): ask the closest that are known, hear of closer
//! ones, until the closest of all have answered.
//!
//! Ids that fit their addresses (BEP 42) and ids that do not are two walks side by side. The first decides when the search is at
//! its end and who is stored at; so whoever places nodes around a point at will gains little (THREATS D2). The second
//! counts only if the first finds too few.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use super::contact::{Contact, Family, Group};
use super::id::{Distance, Id};
use super::limits::{
    K, LATE_PATIENCE, MAX_PARALLEL_QUESTIONS, MAX_QUESTIONS, MAX_SEARCH_NODES, NODELESS_PATIENCE, PARALLEL_QUESTIONS,
};
use super::security::is_secure;
use super::table::Rules;

/// How far one node is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Asked,
    /// Its answer is late since then.
    Late(Instant),
    Answered {
        token: Option<Vec<u8>>,
    },
    Failed,
}

/// One node on the way.
#[derive(Clone, Debug)]
struct Candidate {
    contact: Contact,
    secure: bool,
    state: State,
}

/// Nodes in the order in which they are asked: the closest first.
type Place = (Distance, SocketAddr);

/// How far one of the two walks is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Walk {
    /// This node is to be asked next.
    Next(Place),
    /// Answers are awaited.
    Waiting,
    /// The closest have answered.
    Arrived,
    /// Everybody has been asked, and fewer than wanted have answered.
    Exhausted,
}

/// A search in one family.
#[derive(Debug)]
pub(super) struct Search {
    family: Family,
    target: Id,
    rules: Rules,
    started: Instant,
    candidates: BTreeMap<Place, Candidate>,
    /// Addresses whose ids are not known yet; asked first.
    nameless: Vec<SocketAddr>,
    /// Nameless nodes that were asked and have not answered.
    nameless_asked: Vec<SocketAddr>,
    /// The first node was waited for long enough.
    impatient: bool,
    questions: u32,
    /// Those of them that went to nodes whose ids do not fit their addresses.
    doubtful: u32,
}

/// Whom to ask next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Next {
    pub(super) addr: SocketAddr,
    pub(super) id: Option<Id>,
}

impl Search {
    pub(super) fn new(now: Instant, family: Family, target: Id, rules: Rules) -> Self {
        Self {
            family,
            target,
            rules,
            started: now,
            candidates: BTreeMap::new(),
            nameless: Vec::new(),
            nameless_asked: Vec::new(),
            impatient: false,
            questions: 0,
            doubtful: 0,
        }
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn target(&self) -> Id {
        self.target
    }

    /// Takes a node that might be asked. Two that claim one id are two: so a lie about where a node is does not hide it.
    pub(super) fn add(&mut self, contact: Contact) {
        if Family::of(contact.addr.ip()) != self.family {
            return;
        }
        // Whoever was asked once is not asked again under another id.
        let asked = |other: &Candidate| other.contact.addr == contact.addr && other.state != State::Fresh;
        if self.candidates.values().any(asked) {
            return;
        }
        let candidate = self.candidate(contact, State::Fresh);
        self.candidates.entry(self.place(contact)).or_insert(candidate);
        if self.candidates.len() > MAX_SEARCH_NODES {
            let loose = |(_, other): &(&Place, &Candidate)| matches!(other.state, State::Fresh | State::Failed);
            if let Some(far) = self.candidates.iter().rev().find(loose).map(|(place, _)| *place) {
                self.candidates.remove(&far);
            }
        }
    }

    /// Takes an address whose node has not said its id yet.
    pub(super) fn add_nameless(&mut self, addr: SocketAddr) {
        let known = self.nameless.contains(&addr) || self.nameless_asked.contains(&addr);
        if Family::of(addr.ip()) == self.family && !known && self.nameless.len() < K {
            self.nameless.push(addr);
        }
    }

    /// Whom to ask now, if anybody; it counts as asked.
    pub(super) fn next(&mut self) -> Option<Next> {
        let count = |state: fn(&State) -> bool| self.candidates.values().filter(|other| state(&other.state)).count();
        let asked = count(|state| matches!(state, State::Asked)) + self.nameless_asked.len();
        let late = count(|state| matches!(state, State::Late(_)));
        let full = asked >= PARALLEL_QUESTIONS || asked + late >= MAX_PARALLEL_QUESTIONS;
        if full || self.questions >= MAX_QUESTIONS || self.is_done() {
            return None;
        }
        if let Some(addr) = self.nameless.pop() {
            self.questions += 1;
            self.nameless_asked.push(addr);
            return Some(Next { addr, id: None });
        }
        let next = match (self.walk(true), self.walk(false)) {
            // Nodes that could be anybody's get every other question at most.
            (Walk::Next(first), Walk::Next(second)) if second < first && self.doubtful * 2 <= self.questions => second,
            (Walk::Next(place), _) | (_, Walk::Next(place)) => place,
            _ => return None,
        };
        let candidate = self.candidates.get_mut(&next)?;
        candidate.state = State::Asked;
        self.questions += 1;
        self.doubtful += u32::from(!candidate.secure);
        Some(Next { addr: candidate.contact.addr, id: Some(candidate.contact.id) })
    }

    /// The node answered, under this id.
    pub(super) fn answered(&mut self, contact: Contact, token: Option<Vec<u8>>) {
        self.nameless_asked.retain(|addr| *addr != contact.addr);
        let candidate = self.candidate(contact, State::Answered { token });
        self.candidates.insert(self.place(contact), candidate);
    }

    /// The node's answer is late: another may be asked in its place.
    pub(super) fn late(&mut self, now: Instant, addr: SocketAddr) {
        self.nameless_asked.retain(|other| *other != addr);
        if let Some(candidate) = self.asked(addr) {
            candidate.state = State::Late(now);
        }
    }

    /// The node will not answer.
    pub(super) fn failed(&mut self, addr: SocketAddr) {
        self.nameless_asked.retain(|other| *other != addr);
        if let Some(candidate) = self.asked(addr) {
            candidate.state = State::Failed;
        }
    }

    /// Whether there is nothing left to ask or to wait for.
    pub(super) fn is_done(&self) -> bool {
        if self.questions >= MAX_QUESTIONS {
            return true;
        }
        if self.is_nodeless() {
            return self.impatient;
        }
        if !self.nameless.is_empty() || !self.nameless_asked.is_empty() {
            return false;
        }
        match self.walk(true) {
            Walk::Arrived => true,
            Walk::Exhausted => matches!(self.walk(false), Walk::Arrived | Walk::Exhausted),
            Walk::Next(_) | Walk::Waiting => false,
        }
    }

    /// Whether the search has met nobody yet, so that it would take any node.
    pub(super) fn is_nodeless(&self) -> bool {
        let met = |other: &Candidate| other.state != State::Failed;
        !self.candidates.values().any(met) && self.nameless.is_empty() && self.nameless_asked.is_empty()
    }

    /// Gives up what has been waited for long enough. An answer that comes all the same is taken.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        for candidate in self.candidates.values_mut() {
            if matches!(candidate.state, State::Late(since) if now >= since + LATE_PATIENCE) {
                candidate.state = State::Failed;
            }
        }
        self.impatient |= now >= self.started + NODELESS_PATIENCE;
    }

    /// When to call [`Self::lose_patience`] although no answer has come.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let nodeless = (!self.impatient && self.is_nodeless()).then(|| self.started + NODELESS_PATIENCE);
        let late = self.candidates.values().filter_map(|other| match other.state {
            State::Late(since) => Some(since + LATE_PATIENCE),
            _ => None,
        });
        late.chain(nodeless).min()
    }

    /// The closest nodes that answered, with the tokens that they gave: first those whose ids fit their addresses.
    pub(super) fn closest(&self) -> impl Iterator<Item = (Contact, Option<&Vec<u8>>)> {
        let of = |secure: bool| {
            self.candidates.values().filter(move |other| other.secure == secure).filter_map(|other| {
                match &other.state {
                    State::Answered { token } => Some((other.contact, token.as_ref())),
                    _ => None,
                }
            })
        };
        of(true).take(K).chain(of(false).take(K))
    }

    fn place(&self, contact: Contact) -> Place {
        (self.target.distance(contact.id), contact.addr)
    }

    fn candidate(&self, contact: Contact, state: State) -> Candidate {
        let secure = !self.rules.secure_ids || is_secure(contact.id, contact.addr.ip());
        Candidate { contact, secure, state }
    }

    fn asked(&mut self, addr: SocketAddr) -> Option<&mut Candidate> {
        let asked =
            |other: &&mut Candidate| other.contact.addr == addr && matches!(other.state, State::Asked | State::Late(_));
        self.candidates.values_mut().find(asked)
    }

    /// Walks from the point outwards over the nodes of one kind, until enough have answered.
    fn walk(&self, secure: bool) -> Walk {
        let mut groups: Vec<Group> = Vec::new();
        if self.rules.one_per_group {
            let used =
                |other: &&Candidate| other.secure == secure && !matches!(other.state, State::Fresh | State::Failed);
            groups.extend(self.candidates.values().filter(used).filter_map(|other| Group::of(other.contact.addr.ip())));
        }
        let (mut answered, mut waiting, mut next) = (0, false, None);
        for (place, candidate) in self.candidates.iter().filter(|(_, other)| other.secure == secure) {
            match &candidate.state {
                State::Failed => {}
                State::Fresh => {
                    let taken = Group::of(candidate.contact.addr.ip()).is_some_and(|group| groups.contains(&group));
                    if !taken {
                        next = next.or(Some(*place));
                    }
                }
                State::Asked | State::Late(_) => waiting = true,
                State::Answered { .. } => answered += 1,
            }
            if answered == K {
                break;
            }
        }
        match (next, waiting) {
            (Some(place), _) => Walk::Next(place),
            (None, true) => Walk::Waiting,
            (None, false) if answered == K => Walk::Arrived,
            (None, false) => Walk::Exhausted,
        }
    }
}

#[cfg(test)]
mod tests;
