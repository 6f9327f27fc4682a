//! Hashes the content of a torrent to be.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use riverrun::metainfo::PieceIndex;
use riverrun::metainfo::create::{Plan, Planned};
use riverrun::metainfo::piece_hash::PieceDigest;

use super::scan::{Content, cannot_read};
use crate::args::General;
use crate::env::Env;
use crate::failure::Failure;
use crate::render::progress::{Progress, Stage, View};

/// How much is read at once.
const SLICE: usize = 256 * 1024;

/// What the threads share.
struct Work<'a> {
    plan: &'a Plan,
    content: &'a Content,
    next: AtomicU32,
    done: AtomicU64,
    stop: AtomicBool,
    digests: Mutex<Vec<(PieceIndex, PieceDigest)>>,
}

/// Hashes all pieces of the plan, on several threads, and shows how far it is.
pub(crate) fn hash(
    env: &mut Env,
    general: &General,
    plan: &mut Plan,
    content: &Content,
    threads: Option<usize>,
) -> Result<(), Failure> {
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut progress = Progress::of(env, &General { json: false, ..general.clone() });
    let work = Work {
        plan,
        content,
        next: AtomicU32::new(0),
        done: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        digests: Mutex::new(Vec::with_capacity(plan.layout().piece_count() as usize)),
    };
    let total = plan.layout().content_length();
    let result = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(|| work.run())).collect();
        while handles.iter().any(|handle| !handle.is_finished()) {
            let done = work.done.load(Ordering::Relaxed);
            let view = View { total, stage: Stage::Hashing { done, total }, ..View::default() };
            progress.show(env, &[view], Instant::now());
            std::thread::park_timeout(Progress::TICK);
        }
        progress.clear(env);
        handles.into_iter().map(|handle| handle.join().expect("the hashing threads do not panic")).collect()
    });
    let digests = work.digests.into_inner().expect("the hashing threads do not panic");
    let result: Result<(), Failure> = result;
    result?;
    digests.into_iter().for_each(|(piece, digest)| plan.put(piece, digest));
    Ok(())
}

impl Work<'_> {
    fn run(&self) -> Result<(), Failure> {
        let mut buffer = vec![0; SLICE];
        let mut open: Option<(usize, File)> = None;
        let pieces = self.plan.layout().piece_count();
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let piece = PieceIndex(piece);
            match self.piece(piece, &mut buffer, &mut open) {
                Ok(digest) => self.digests.lock().expect("the hashing threads do not panic").push((piece, digest)),
                Err(failure) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
    }

    fn piece(
        &self,
        piece: PieceIndex,
        buffer: &mut [u8],
        open: &mut Option<(usize, File)>,
    ) -> Result<PieceDigest, Failure> {
        let layout = self.plan.layout();
        let mut hasher = self.plan.digester(piece);
        let span = layout.piece_span(piece).expect("the piece is one of the layout's");
        for extent in layout.extents(span) {
            let mut offset = extent.offset;
            let end = extent.offset + extent.length;
            while offset < end {
                let part = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
                let bytes = &mut buffer[..part];
                match self.plan.files()[extent.file.0 as usize] {
                    Planned::Pad => bytes.fill(0),
                    Planned::Source(number) => {
                        let path = &self.content.paths[number];
                        read(path, number, offset, bytes, open).map_err(|error| match error.kind() {
                            io::ErrorKind::UnexpectedEof => Failure::new(
                                crate::exit::Exit::Mismatch,
                                format!(
                                    "{} became shorter while it was read",
                                    crate::render::shown(&path.to_string_lossy())
                                ),
                            ),
                            _ => cannot_read(path, &error),
                        })?;
                        self.done.fetch_add(part as u64, Ordering::Relaxed);
                    }
                }
                hasher.update(bytes);
                offset += part as u64;
            }
        }
        Ok(hasher.finish())
    }
}

fn read(
    path: &std::path::Path,
    number: usize,
    offset: u64,
    bytes: &mut [u8],
    open: &mut Option<(usize, File)>,
) -> io::Result<()> {
    if open.as_ref().is_none_or(|(held, _)| *held != number) {
        *open = Some((number, File::open(path)?));
    }
    let (_, file) = open.as_ref().expect("it was opened just now");
    file.read_exact_at(bytes, offset)
}
