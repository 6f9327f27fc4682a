//! Our way to the disk, write and verify, beside plain writes and reads of the same file.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use riverrun::metainfo::{BLOCK_LENGTH, Metainfo, PieceIndex, Span};
use riverrun::storage::{
    Access, Disk, DiskConfig, DiskTorrent, Done, DoneSink, FileOptions, FileStorage, Place, Storage as _, VerifyOutcome,
};

use super::rounds::{Rounds, Stop, Watch, more};
use super::sample::{PIECE, Sample};
use super::{Measure, Part, cannot, same_way};
use crate::failure::Failure;

/// A run of blocks as a download brings it, in bytes.
const RUN: u32 = 256 << 10;
/// Reads that are under way at once.
const READS: u64 = 16;
/// The pool of a session.
const POOL: usize = 16 << 20;
/// The warming up is no longer than this.
const WARM: u64 = 16 << 20;

/// The rounds of all measures of the disk.
#[derive(Default)]
struct Table {
    raw_write: Rounds,
    raw_durable: Rounds,
    raw_read: Rounds,
    write: Rounds,
    durable: Rounds,
    read: Rounds,
}

/// Measures in files in `dir`, which are gone afterwards.
pub(super) fn measure(dir: &Path, length: u64, stop: &Stop) -> Result<Vec<Measure>, Failure> {
    round(dir, &Sample::new(length.min(WARM))?, &mut Table::default(), stop)?;
    let sample = Sample::new(length)?;
    let (mut table, began) = (Table::default(), Instant::now());
    while more(table.read.len(), began) {
        round(dir, &sample, &mut table, stop)?;
    }
    let raw = |name: &str, rounds| Measure::ceiling(Part::Disk, name, rounds);
    let write = raw("raw write", &table.raw_write);
    let durable = raw("raw write and sync", &table.raw_durable);
    let read = raw("raw read back", &table.raw_read);
    Ok(vec![
        write.clone(),
        write.ours("write and verify".to_owned(), &table.write),
        durable.clone(),
        durable.ours("write, verify and sync".to_owned(), &table.durable),
        read.clone(),
        read.ours("read back".to_owned(), &table.read),
    ])
}

fn round(dir: &Path, sample: &Sample, table: &mut Table, stop: &Stop) -> Result<(), Failure> {
    raw(dir, sample, table, stop)?;
    ours(dir, sample, table, stop)
}

/// Writes of 1 MiB into a new file, and reads of 1 MiB.
fn raw(dir: &Path, sample: &Sample, table: &mut Table, stop: &Stop) -> Result<(), Failure> {
    use std::os::unix::fs::FileExt;
    let path = dir.join("raw.bin");
    let watch = Watch::start();
    let file = sample.write(&path, stop)?.map_err(|error| cannot("write", dir, &error))?;
    table.raw_write.push(watch.stop(), sample.length);
    file.sync_data().map_err(|error| cannot("write", dir, &error))?;
    table.raw_durable.push(watch.stop(), sample.length);
    let mut into = vec![0; PIECE as usize];
    let watch = Watch::start();
    for number in 0..sample.pieces() {
        stop.check()?;
        file.read_exact_at(&mut into, number * u64::from(PIECE)).map_err(|error| cannot("read", dir, &error))?;
    }
    table.raw_read.push(watch.stop(), sample.length);
    std::fs::remove_file(&path).map_err(|error| cannot("write", dir, &error))
}

/// The same file through the disk threads of a session.
fn ours(dir: &Path, sample: &Sample, table: &mut Table, stop: &Stop) -> Result<(), Failure> {
    let rig = Rig::new(dir, sample)?;
    let watch = Watch::start();
    rig.write(sample, stop)?;
    table.write.push(watch.stop(), sample.length);
    rig.storage.sync().map_err(|error| cannot("write", dir, &error))?;
    table.durable.push(watch.stop(), sample.length);
    let watch = Watch::start();
    rig.read(sample, stop)?;
    table.read.push(watch.stop(), sample.length);
    drop(rig);
    std::fs::remove_file(dir.join(Sample::NAME)).map_err(|error| cannot("write", dir, &error))
}

struct Sink(SyncSender<Done>);

impl DoneSink for Sink {
    fn done(&self, done: &mut Vec<Done>) {
        // Nobody waits any more once the user wants us to go.
        done.drain(..).for_each(|done| drop(self.0.send(done)));
    }
}

/// The disk side of a session, with one torrent.
struct Rig {
    done: Receiver<Done>,
    torrent: DiskTorrent,
    disk: Disk,
    storage: Arc<FileStorage>,
}

impl Rig {
    fn new(dir: &Path, sample: &Sample) -> Result<Self, Failure> {
        let metainfo = Metainfo::parse(sample.torrent.clone().into()).map_err(|error| same_way(&error))?;
        let info = metainfo.info();
        let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
        let place = Place::of_torrent(info, dir.to_owned(), None, false);
        let storage = FileStorage::open(place, Arc::clone(info.layout()), options);
        let storage = Arc::new(storage.map_err(|error| cannot("write", dir, &error))?);
        storage.prepare(false, |_| true).map_err(|error| cannot("write", dir, &error))?;
        let disk = Disk::start(DiskConfig { threads: 0, pool_bytes: POOL });
        // Every job that can be under way has a place: a verify for each piece at most.
        let (sender, done) = sync_channel(usize::try_from(sample.pieces() + READS).unwrap_or(usize::MAX));
        let sink = Arc::new(Sink(sender));
        let torrent = disk.torrent(storage.clone(), Arc::clone(info.layout()), metainfo.piece_hashes(), sink);
        Ok(Self { done, torrent, disk, storage })
    }

    /// Everything in runs as a download brings it, each piece verified after its last.
    fn write(&self, sample: &Sample, stop: &Stop) -> Result<(), Failure> {
        let mut verified = 0;
        for (piece, at) in (0..).map(PieceIndex).zip((0..sample.length).step_by(PIECE as usize)) {
            stop.check()?;
            for (nth, run) in sample.piece.chunks(RUN as usize).enumerate() {
                let mut buffers = Vec::with_capacity(run.len() / BLOCK_LENGTH as usize);
                for block in run.chunks(BLOCK_LENGTH as usize) {
                    let mut buffer = loop {
                        match self.disk.pool().try_take() {
                            Some(buffer) => break buffer,
                            None => verified += self.verified()?,
                        }
                    };
                    buffer.append(block);
                    buffers.push(buffer);
                }
                self.torrent.write(piece, at + nth as u64 * u64::from(RUN), &mut buffers);
            }
            self.torrent.verify(piece, false);
        }
        while verified < sample.pieces() {
            verified += self.verified()?;
        }
        Ok(())
    }

    /// Waits for one piece.
    fn verified(&self) -> Result<u64, Failure> {
        match self.done.recv() {
            Ok(Done::Verified { outcome: VerifyOutcome::Good { .. }, .. }) => Ok(1),
            other => Err(unforeseen(&other)),
        }
    }

    /// Everything as a seeder reads it, some reads ahead.
    fn read(&self, sample: &Sample, stop: &Stop) -> Result<(), Failure> {
        let mut flying = 0;
        for offset in (0..sample.length).step_by(RUN as usize) {
            stop.check()?;
            self.torrent.read(offset, Span { offset, length: u64::from(RUN).min(sample.length - offset) }, true);
            flying += 1;
            if flying == READS {
                self.read_done()?;
                flying -= 1;
            }
        }
        (0..flying).try_for_each(|_| self.read_done())
    }

    fn read_done(&self) -> Result<(), Failure> {
        match self.done.recv() {
            Ok(Done::Read { result: Ok(_), .. }) => Ok(()),
            other => Err(unforeseen(&other)),
        }
    }
}

/// What the disk should not have said: most often that it is full after all.
fn unforeseen<T: std::fmt::Debug>(done: &T) -> Failure {
    Failure::new(crate::exit::Exit::Storage, format!("the disk did not do as it should: {done:?}"))
}
