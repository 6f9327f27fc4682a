//! stub
use super::Core;
use super::brain::Effects;
use crate::TrackerStatus;
use crate::engine::Engine;
use riverrun_metainfo::info::Info;
use riverrun_proto::swarm::SwarmStatus;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
#[derive(Debug)]
pub(crate) struct Announcer {}
#[derive(Debug)]
pub(crate) struct Job {}
impl Announcer {
    pub(crate) fn new(_e: &Arc<Engine>, _i: &Info, _t: Vec<Vec<String>>) -> Self {
        Self {}
    }
    pub(crate) fn need_peers(&mut self, _now: Instant) {}
    pub(crate) fn pause(&mut self, _now: Instant, _p: bool) {}
    pub(crate) fn start(&mut self, _now: Instant, _c: bool) {}
    pub(crate) fn completed(&mut self, _now: Instant) {}
    pub(crate) fn run(&mut self, _now: Instant, _s: Option<&SwarmStatus>, _e: &mut Effects) -> Vec<SocketAddr> {
        Vec::new()
    }
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        None
    }
    pub(crate) fn status(&self, _now: Instant) -> Vec<TrackerStatus> {
        Vec::new()
    }
}
pub(crate) async fn announce(_core: Arc<Core>, _job: Job) {}
pub(crate) async fn say_stopped(_core: Arc<Core>) {}
