//! `riverrun download`: gets what torrents describe.

pub(crate) mod ending;
mod gathering;
mod hook;
mod options;
mod patience;
pub(crate) mod place;
mod preflight;
mod run;
mod stream_out;

use std::path::{Path, PathBuf};

use riverrun::storage::PartSuffix;

pub(crate) use options::Download;
pub(crate) use run::Serving;

use self::place::{Place, Shape, Wish};
use self::preflight::Preflight;
use self::run::{Job, Run};
use crate::args::General;
use crate::command::net;
use crate::command::session::{self, Signals};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::file_choice::Choice;
use crate::render::progress::Progress;
use crate::render::{events, listing};
use crate::torrent_source::{self, Link, Loaded};

/// Downloads.
pub(crate) fn run(env: &mut Env, general: &General, options: &Download) -> Outcome {
    let mut progress = Progress::of(env, general);
    match prepare_and_run(env, general, options, &mut progress) {
        Err(failure) if progress.for_machines() && !failure.silent => {
            progress.event(env, &events::failed(&failure));
            Err(Failure::silent(failure.exit))
        }
        other => other,
    }
}

fn prepare_and_run(env: &mut Env, general: &General, options: &Download, progress: &mut Progress) -> Outcome {
    options.check()?;
    net::take(env, general, &options.network.route)?;
    options.network.tracker.iter().try_for_each(|url| session::check_tracker(url))?;
    let choice = Choice::parse(&options.files, &options.exclude)?;
    let mut preparation = Preparation {
        general,
        options,
        choice,
        state: session::state_dir(env, general),
        preflight: Preflight::default(),
        temporary: None,
        failed: None,
    };
    let mut tasks = Vec::new();
    for argument in &options.torrents {
        match preparation.task(env, argument) {
            Ok(task) => tasks.extend(task),
            Err(failure) if options.torrents.len() == 1 => return Err(failure),
            Err(failure) => {
                preparation.failed.get_or_insert(failure.exit);
                tell(env, progress, &failure);
                if options.fail_fast {
                    return Ok(failure.exit);
                }
            }
        }
    }
    if tasks.is_empty() {
        return Ok(preparation.failed.unwrap_or(Exit::Ok));
    }
    let progress = Progress::of(env, general);
    let settings = session::settings(env, &options.network, preparation.state.clone())?;
    session::block_on(async {
        let signals = Signals::listen()?;
        let peers = session::peer_addrs(&env.net(), &options.network.peer).await?;
        let session = session::start(settings).await?;
        Run::new(env, preparation, progress, session, signals, peers).all(tasks).await
    })
}

fn tell(env: &mut Env, progress: &mut Progress, failure: &Failure) {
    if progress.for_machines() {
        progress.event(env, &events::failed(failure));
    } else {
        let colour = crate::args::colour_of(env);
        let _ = env.err.write_all(failure.text(colour).as_bytes());
    }
}

/// One torrent that is to be got.
#[derive(Debug)]
enum Task {
    /// All is known of it.
    Job(Box<Job>),
    /// Its metadata has to come first.
    Link { input: String, link: Box<Link> },
}

/// What is found out about each torrent before it begins.
struct Preparation<'a> {
    general: &'a General,
    options: &'a Download,
    choice: Choice,
    state: Option<PathBuf>,
    preflight: Preflight,
    /// The folder of a download that goes to standard output.
    temporary: Option<tempfile::TempDir>,
    failed: Option<Exit>,
}

impl Preparation<'_> {
    /// What is to be done about one argument; `None` if there is nothing to get.
    fn task(&mut self, env: &mut Env, argument: &std::ffi::OsStr) -> Result<Option<Task>, Failure> {
        let input = argument.to_string_lossy().into_owned();
        if let Some(link) = Link::parse(env, argument)? {
            return Ok(Some(Task::Link { input, link: Box::new(link) }));
        }
        let loaded = torrent_source::load(env, argument).map_err(|failure| failure.input(input.clone()))?;
        Ok(self.job(env, input, loaded, None)?.map(|job| Task::Job(Box::new(job))))
    }

    /// The job of a torrent, named by `link` if its metadata came from peers; `None` if there is nothing to get.
    fn job(
        &mut self,
        env: &mut Env,
        input: String,
        loaded: Loaded,
        link: Option<&Link>,
    ) -> Result<Option<Job>, Failure> {
        let named = |failure: Failure| failure.input(input.clone());
        for warning in loaded.warnings() {
            env.say(format_args!("warning: {warning}"));
        }
        if loaded.metainfo.has_only_http_seeds() && self.options.web_seed.is_empty() {
            env.say("warning: the torrent names HTTP seeds of an old kind alone (httpseeds, BEP 17), which are not supported");
        }
        let wanted = match self.choice.of(&loaded).map_err(named)? {
            None if self.options.exclude.is_empty() => link.and_then(|link| link.selected(&loaded)),
            chosen => chosen,
        };
        if self.options.list {
            listing::files(env, &loaded, self.general, wanted.as_deref())?;
            return Ok(None);
        }
        let path = self.path(&loaded, wanted.as_deref()).map_err(named)?;
        let files = run::files_on_disk(&loaded, &path, wanted.as_deref());
        let suffix = self.options.part_suffix.as_ref().map(PartSuffix::as_str);
        self.preflight.check(&path, &files, suffix, self.general.scale()).map_err(named)?;
        Ok(Some(Job { input, loaded, path, wanted }))
    }

    fn path(&mut self, loaded: &Loaded, wanted: Option<&[usize]>) -> Result<PathBuf, Failure> {
        let wish = Wish {
            output: self.options.output.clone(),
            dir: self.options.dir.clone(),
            torrents: self.options.torrents.len(),
            part_suffix: self.options.part_suffix.as_ref().map(|suffix| suffix.as_str().to_owned()),
        };
        let files = loaded.files.iter().filter(|file| !file.pad);
        let files = match loaded.single {
            true => Vec::new(),
            false => files.map(|file| (PathBuf::from(&file.path), file.length)).collect(),
        };
        let chosen = run::chosen(loaded, wanted).count();
        let shape = Shape { name: loaded.name.clone(), files, chosen };
        let hashes = loaded.metainfo.hashes();
        let part_file = riverrun::part_file_name(loaded.metainfo.info());
        // A record is there as long as a run has not come to its end, a part file while some files are not wanted.
        let earlier = |path: &Path| {
            if part_file.as_ref().is_some_and(|name| path.join(name).is_file()) {
                return true;
            }
            let record = self.state.as_ref().map(|state| riverrun::resume_record_path(state, hashes, path));
            record.is_some_and(|record| record.exists())
        };
        match Place::find(&wish, &shape, earlier)? {
            Place::At(path) => Ok(path),
            Place::Stdout => {
                let folder = tempfile::Builder::new().prefix("riverrun-").tempdir()?;
                let path = folder.path().join(&loaded.name);
                self.temporary = Some(folder);
                Ok(path)
            }
        }
    }
}
