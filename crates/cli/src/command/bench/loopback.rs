//! A download between two sessions of this process, beside plain TCP over loopback.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use riverrun::testing::loopback;
use riverrun::{AddTorrent, EventKind, Phase, Session, Settings};

use super::rounds::{Rounds, Stop, Watch, more};
use super::sample::Sample;
use super::{Measure, Part, cannot, same_way};
use crate::command::{session, watch};
use crate::exit::Exit;
use crate::failure::{Failure, reason};

/// What is sent and received in one call, in bytes.
const CHUNK: usize = 256 << 10;
/// The warming up is no longer than this.
const WARM: u64 = 16 << 20;
/// How long a session may take to leave.
const LEAVE: Duration = Duration::from_secs(2);

/// Measures with files in `dir`, which are gone afterwards.
pub(super) async fn measure(dir: &Path, length: u64, stop: &mut Stop) -> Result<Vec<Measure>, Failure> {
    let (mut plain, mut download) = (Rounds::default(), Rounds::default());
    let warm = Sample::new(length.min(WARM))?;
    rounds(&dir.join("warm"), &warm, stop, &mut Rounds::default(), &mut Rounds::default(), 1).await?;
    rounds(&dir.join("measure"), &Sample::new(length)?, stop, &mut plain, &mut download, usize::MAX).await?;
    let ceiling = Measure::ceiling(Part::Loopback, "raw TCP", &plain);
    let ours = ceiling.ours("download: receive, write, verify".to_owned(), &download);
    Ok(vec![ceiling, ours])
}

/// A seeder for all rounds, and in each a downloader of its own.
async fn rounds(
    dir: &Path,
    sample: &Sample,
    stop: &mut Stop,
    plain: &mut Rounds,
    download: &mut Rounds,
    most: usize,
) -> Result<(), Failure> {
    let home = dir.join("seeder");
    std::fs::create_dir_all(&home).map_err(|error| cannot("write", dir, &error))?;
    sample.write(&home.join(Sample::NAME), stop)?.map_err(|error| cannot("write", dir, &error))?;
    let seeder = session::start(quiet()).await?;
    let add = AddTorrent::new(sample.torrent.clone()).into_dir(&home).read_only(true);
    let seeded = seeder.add(add).await.map_err(|error| same_way(&error))?;
    let began = Instant::now();
    let outcome = async {
        tokio::select! {
            done = seeded.completed() => done.map_err(|error| Failure::new(Exit::Storage, watch::chain(&error)))?,
            failure = stop.said() => return Err(failure),
        }
        while download.len() < most && more(download.len(), began) {
            stop.check()?;
            let (length, stopped) = (sample.length, stop.clone());
            let sent = tokio::task::spawn_blocking(move || raw(length, &stopped)).await;
            let sent = sent.map_err(|error| same_way(&error))??;
            plain.push(sent.map_err(|error| Failure::internal(format!("loopback: {}", reason(&error))))?, length);
            let out = dir.join(format!("round-{}", download.len()));
            download.push(fetch(&out, sample, &seeder, stop).await?, length);
            std::fs::remove_dir_all(&out).map_err(|error| cannot("write", dir, &error))?;
        }
        Ok(())
    };
    let outcome = outcome.await;
    seeder.shutdown(LEAVE).await;
    outcome
}

/// Sessions that know of nobody but each other.
fn quiet() -> Settings {
    Settings { lsd: false, pex: false, ..loopback() }
}

/// One download, from the start of its session to the last verified piece.
async fn fetch(
    out: &Path,
    sample: &Sample,
    seeder: &Session,
    stop: &mut Stop,
) -> Result<super::rounds::Sample, Failure> {
    let watch = Watch::start();
    let session = session::start(quiet()).await?;
    let add = AddTorrent::new(sample.torrent.clone()).into_dir(out).fail_on_storage_error(true);
    let torrent = session.add(add.peers(seeder.listen_addrs())).await.map_err(|error| same_way(&error))?;
    let mut events = torrent.events_but_pieces();
    let verified = async {
        loop {
            match events.next().await.map(|event| event.kind) {
                Ok(EventKind::Phase(Phase::Finishing | Phase::Seeding) | EventKind::Completed) => return watch.stop(),
                // Some were missed: the next will do.
                Ok(_) | Err(riverrun::EventError::Lagged(_)) => {}
                Err(_) => return std::future::pending().await,
            }
        }
    };
    let outcome = tokio::select! {
        sample = verified => Ok(sample),
        failure = stop.said() => Err(failure),
        // Also the end of a download that failed; where it did not, what was verified is only now known.
        done = torrent.completed() => match done {
            Ok(()) => Ok(watch.stop()),
            Err(error) => Err(Failure::new(Exit::Storage, watch::chain(&error))),
        },
    };
    session.shutdown(LEAVE).await;
    outcome
}

/// So many bytes from one thread to another over TCP.
fn raw(length: u64, stop: &Stop) -> Result<io::Result<super::rounds::Sample>, Failure> {
    let pair = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let sender = TcpStream::connect(listener.local_addr()?)?;
        Ok((sender, listener.accept()?.0))
    };
    let (mut sender, mut receiver) = match pair() {
        Ok(pair) => pair,
        Err(error) => return Ok(Err(error)),
    };
    let watch = Watch::start();
    let received = std::thread::scope(|scope| {
        let sending = scope.spawn(|| -> Result<io::Result<()>, Failure> {
            let (chunk, mut rest) = (vec![0xa5; CHUNK], length);
            let mut sent = Ok(());
            while rest > 0 && sent.is_ok() {
                if let Err(failure) = stop.check() {
                    // Else the receiver would wait for the rest.
                    let _ = sender.shutdown(Shutdown::Both);
                    return Err(failure);
                }
                let now = usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK));
                sent = sender.write_all(&chunk[..now]);
                rest -= now as u64;
            }
            let _ = sender.shutdown(Shutdown::Write);
            Ok(sent)
        });
        let (mut chunk, mut received) = (vec![0; CHUNK], 0);
        let read = loop {
            match receiver.read(&mut chunk) {
                Ok(0) => break Ok(received),
                Ok(count) => received += count as u64,
                Err(error) => break Err(error),
            }
        };
        let sent = sending.join().map_err(|_| Failure::internal("the sender of the measure is gone"))??;
        Ok::<_, Failure>(sent.and(read))
    })?;
    Ok(received.and_then(|received| match received {
        _ if received == length => Ok(watch.stop()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }))
}
