//! A torrent that is played while it comes.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use riverrun::{StreamServer, Torrent, is_playable};

use super::{Job, Run};
use crate::command::port_owner;
use crate::command::watch;
use crate::failure::{Failure, reason};
use crate::render::{events, shown};

/// How its files are given to players.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Serving {
    /// 0 is any.
    pub(crate) port: u16,
    /// Open the URL.
    pub(crate) open: bool,
}

impl Run<'_> {
    /// Serves the files of a torrent that was added, if that is wanted, and says where.
    pub(super) async fn serve(&mut self, torrent: &Torrent, job: &Job) -> Result<(), Failure> {
        let Some(serving) = self.options.serving else { return Ok(()) };
        let files: Vec<usize> = job.chosen().collect();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, serving.port));
        let server = StreamServer::start(torrent.clone(), files.clone(), addr).await;
        let server = server.map_err(|error| cannot_serve(serving.port, &error))?;
        let largest = files.iter().filter(|at| is_playable(&job.loaded.files[**at].path));
        let largest = largest.max_by_key(|at| (job.loaded.files[**at].length, std::cmp::Reverse(**at))).copied();
        let chosen = if files.len() == 1 { files.first().copied() } else { largest };
        let url = chosen.and_then(|at| server.url_of(at)).unwrap_or_else(|| server.url());
        let all = server.url();
        if let Some(at) = chosen.filter(|_| files.len() > 1) {
            let name = shown(&job.loaded.files[at].path).into_owned();
            self.progress
                .note(self.env, &format!("note: playing {name}, the largest of {} files; all: {all}", files.len()));
        }
        if self.progress.for_machines() {
            let hash = watch::hash_text(torrent.info_hashes());
            let path = chosen.map(|at| job.loaded.files[at].path.as_str());
            let event = events::serving(&hash, &url, path);
            self.progress.event(self.env, &event);
        } else {
            self.progress.clear(self.env);
            self.env.result(format_args!("{url}"))?;
            self.env.out.flush()?;
        }
        if serving.open {
            self.open(&url);
        }
        self.server = Some(server);
        Ok(())
    }

    fn open(&mut self, url: &str) {
        let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let mut command = Command::new(program);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Err(error) = command.spawn() {
            self.progress.note(self.env, &format!("warning: --open: {program}: {}", reason(&error)));
        }
    }
}

fn cannot_serve(port: u16, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        let owner = port_owner::of(port).map(|owner| format!(" by {owner}")).unwrap_or_default();
        return Failure::usage(format!("cannot listen on port {port}: in use{owner}"))
            .help("without --port any free one is taken");
    }
    Failure::usage(format!("cannot listen on port {port}: {}", reason(error)))
}
