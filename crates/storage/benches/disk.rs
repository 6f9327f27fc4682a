//! The disk side of a download and of a seeder alone: wall time and CPU time of the whole process, without any network.
//!
//! `cargo bench -p riverrun-storage -- [FOLDER] [MIB] [PIECE_KIB] [BRAID] [POOL_MIB]` writes that much in runs as a download brings it,
//! round BRAID pieces at a time (1), verifies every piece, reads it all back as a seeder would, and checks it once more.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use riverrun_metainfo::create::{Options, Plan, SourceFile};
use riverrun_metainfo::info::Info;
use riverrun_metainfo::metainfo::Metainfo;
use riverrun_metainfo::piece_hash::Format;
use riverrun_metainfo::{BLOCK_LENGTH, FileIndex, PieceIndex, Span};
use riverrun_storage::{
    Access, Disk, DiskConfig, DiskTorrent, Done, DoneSink, FileOptions, FileStorage, Place, Progress, Storage,
    VerifyOutcome, check,
};

const BLOCK: usize = BLOCK_LENGTH as usize;
const RUN: u64 = 256 << 10;

struct Sink(SyncSender<Done>);
impl DoneSink for Sink {
    fn done(&self, done: &mut Vec<Done>) {
        done.drain(..).for_each(|done| self.0.send(done).unwrap());
    }
}

struct Unpark(Thread);
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

struct Rig {
    info: Arc<Info>,
    disk: Disk,
    torrent: DiskTorrent,
    done: Receiver<Done>,
    run: Vec<u8>,
    /// Runs go round so many pieces.
    braid: usize,
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mib: u64 = args.next().map_or(1024, |arg| arg.parse().unwrap());
    let piece_kib: u32 = args.next().map_or(1024, |arg| arg.parse().unwrap());
    let braid = args.next().map_or(1, |arg| arg.parse().unwrap());
    let pool_mib: usize = args.next().map_or(16, |arg| arg.parse().unwrap());
    for format in [Format::V1, Format::V2] {
        let root = tempfile::tempdir_in(&folder).unwrap();
        measure(format, root.path().into(), mib << 20, piece_kib << 10, (braid, pool_mib << 20));
    }
}

fn measure(format: Format, root: PathBuf, length: u64, piece_length: u32, (braid, pool_bytes): (usize, usize)) {
    let metainfo = torrent_of_equal_pieces(format, length, piece_length);
    let info = Arc::clone(metainfo.info());
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let place = Place::of_torrent(&info, root, None, false);
    let storage = Arc::new(FileStorage::open(place, Arc::clone(info.layout()), options).unwrap());
    storage.prepare(false, |_| true).unwrap();
    let disk = Disk::start(DiskConfig { threads: 0, pool_bytes });
    let (sender, done) = sync_channel(1 << 20);
    let hashes = metainfo.piece_hashes();
    let layout = Arc::clone(info.layout());
    let sink = Arc::new(Sink(sender));
    let torrent = disk.torrent(storage.clone(), Arc::clone(&layout), Arc::clone(&hashes), sink);
    let run = (0..RUN).map(|at| byte(at % u64::from(piece_length))).collect();
    let rig = Rig { info, disk, torrent, done, run, braid };
    println!("{format:?}, {} MiB, pieces of {} KiB", length >> 20, piece_length >> 10);
    timed("copy, write, verify", length, || rig.download());
    timed("read by runs of 256 KiB", length, || rig.upload());
    timed("check", length, || {
        let found = check::check(&*storage, &layout, &hashes, None, None, &Progress::default()).unwrap();
        assert!(found.have.is_full());
    });
    let at = Instant::now();
    storage.sync().unwrap();
    println!("  sync: {:?}", at.elapsed());
    let file = std::fs::File::open(storage.path_of(FileIndex(0)).unwrap()).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    timed("check, not in memory", length, || {
        let found = check::check(&*storage, &layout, &hashes, None, None, &Progress::default()).unwrap();
        assert!(found.have.is_full());
    });
}

/// Every 256 KiB are alike, so that making them costs next to nothing.
fn byte(at: u64) -> u8 {
    ((at % RUN) * 31 % 251) as u8
}

fn torrent_of_equal_pieces(format: Format, length: u64, piece_length: u32) -> Metainfo {
    let source = SourceFile { path: vec!["f".to_owned()], length, ..SourceFile::default() };
    let options = Options { format, piece_length: Some(piece_length), ..Options::new("bench") };
    let mut plan = Plan::new(vec![source], options).unwrap();
    assert!(length.is_multiple_of(piece_length.into()), "whole pieces only");
    let piece: Vec<u8> = (0..piece_length.into()).map(byte).collect();
    let mut digester = plan.digester(PieceIndex(0));
    digester.update(&piece);
    let digest = digester.finish();
    (0..plan.layout().piece_count()).for_each(|index| plan.put(PieceIndex(index), digest));
    let metainfo = plan.finish().unwrap().draft().encode();
    let metainfo = Metainfo::parse(metainfo.into()).unwrap();
    assert_eq!(metainfo.info().layout().piece_count(), plan.layout().piece_count());
    metainfo
}

impl Rig {
    fn pieces(&self) -> impl Iterator<Item = (PieceIndex, Span)> {
        let layout = self.info.layout();
        (0..layout.piece_count()).map(PieceIndex).map(|piece| (piece, layout.piece_span(piece).unwrap()))
    }

    fn download(&self) {
        let waker = Arc::new(Unpark(thread::current())).into();
        let pieces: Vec<_> = self.pieces().collect();
        for pieces in pieces.chunks(self.braid) {
            let runs = (0..pieces[0].1.length).step_by(RUN as usize);
            let round =
                runs.flat_map(|from| pieces.iter().map(move |(piece, span)| (*piece, *span, span.offset + from)));
            for (piece, span, offset) in round {
                let length = RUN.min(span.end() - offset) as usize;
                let run = self.run[..length].chunks(BLOCK).map(|block| {
                    let mut buffer = loop {
                        match self.disk.pool().poll_take(&mut Context::from_waker(&waker)) {
                            Poll::Ready(buffer) => break buffer,
                            Poll::Pending => thread::park(),
                        }
                    };
                    buffer.append(block);
                    buffer
                });
                self.torrent.write(piece, offset, &mut run.collect());
                if offset + length as u64 == span.end() {
                    self.torrent.verify(piece, false);
                }
            }
        }
        for _ in 0..self.info.layout().piece_count() {
            match self.done.recv().unwrap() {
                Done::Verified { outcome: VerifyOutcome::Good { .. }, .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn upload(&self) {
        let mut flying = 0;
        for (_, span) in self.pieces() {
            for offset in (span.offset..span.end()).step_by(RUN as usize) {
                let length = RUN.min(span.end() - offset);
                self.torrent.read(offset, Span { offset, length }, true);
                flying += 1;
                if flying == 16 {
                    self.read();
                    flying -= 1;
                }
            }
        }
        (0..flying).for_each(|_| self.read());
    }

    fn read(&self) {
        match self.done.recv().unwrap() {
            Done::Read { result: Ok(_), .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn timed(what: &str, length: u64, work: impl FnOnce()) {
    let (cpu, at) = (cpu_time(), Instant::now());
    work();
    let (wall, cpu) = (at.elapsed(), cpu_time().zip(cpu).map(|(after, before)| after - before));
    let gib = length as f64 / f64::from(1 << 30);
    let cpu = cpu.map_or("unknown".to_owned(), |cpu| format!("{:.3}", cpu.as_secs_f64() / gib));
    println!("  {what}: {:.0} MiB/s, {cpu} CPU s per GiB", gib * 1024.0 / wall.as_secs_f64());
}

/// User and system time of this process, in steps of 10 ms; only Linux tells.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
