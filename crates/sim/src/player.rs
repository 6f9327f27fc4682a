//! A player that reads the torrent of a world while it comes: when it could begin, and how often it stood still.

use std::time::{Duration, Instant};

use riverrun_metainfo::{PieceIndex, Span};
use riverrun_proto::swarm::{Command, Deadline, ReadAhead};

use crate::checkers::Violation;
use crate::host::HostId;
use crate::world::World;

/// How often the player looks.
const STEP: Duration = Duration::from_millis(20);
/// How often it says what it wants, as a reader of the library does.
const TELLS: Duration = Duration::from_millis(200);

/// What is played, and how.
#[derive(Clone, Copy, Debug)]
pub struct Player {
    /// Who plays.
    pub host: HostId,
    /// Bytes of content for each second.
    pub rate: u64,
    /// What must be here before it begins, and before it goes on after a stall, as playing time.
    pub buffer: Duration,
    /// When it gives up, in the age of the world.
    pub deadline: Duration,
}

/// What the user saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Playback {
    /// From the wish to play until it began.
    pub start: Duration,
    /// How often it stood still since.
    pub stalls: u32,
    /// For how long in all.
    pub stalled: Duration,
}

impl Player {
    /// Plays from the start to the end, and tells the swarm what is read next.
    ///
    /// # Errors
    /// A rule was broken, or the end was not played by the deadline.
    pub fn play(&self, world: &mut World) -> Result<Playback, Violation> {
        let length = world.torrent.layout().stream_length();
        let mut reader = ReadAhead::new(world.now, Span { offset: 0, length }, true);
        let (mut played, mut read) = (0, 0);
        let mut playback = Playback::default();
        let (mut playing, mut told) = (None::<Instant>, None::<Instant>);
        while played < length {
            let now = world.now;
            let here = self.here(world, read);
            // As much as is to be in the buffer is read at once.
            let wanted = (played + per(self.rate, self.buffer)).min(length);
            let came = here.min(wanted).saturating_sub(read);
            reader.read(now, came);
            read += came;
            if read < wanted {
                reader.waits(now);
            }
            if told.is_none_or(|told| now - told >= TELLS) {
                told = Some(now);
                self.tell(world, &reader, now);
            }
            match playing {
                None if read >= wanted => playing = Some(now),
                None if played == 0 => playback.start += STEP,
                None => playback.stalled += STEP,
                Some(_) if read <= played => {
                    playback.stalls += 1;
                    playing = None;
                }
                Some(_) => played = (played + per(self.rate, STEP)).min(read),
            }
            world.run_for(STEP)?;
            if world.age() > self.deadline {
                let what = format!("played {played} of {length} bytes by the deadline: {playback:?}");
                return Err(Violation { at: self.deadline, host: self.host, what });
            }
        }
        world.command(self.host, Command::SetDeadlines { reader: 0, deadlines: Vec::new() });
        Ok(playback)
    }

    fn tell(&self, world: &mut World, reader: &ReadAhead, now: Instant) {
        let Some(have) = world.have(self.host) else { return };
        let deadlines: Vec<Deadline> = reader.plan(now, world.torrent.layout(), |piece| have.has(piece));
        world.command(self.host, Command::SetDeadlines { reader: 0, deadlines });
    }

    /// Up to where everything from `from` on is here.
    fn here(&self, world: &World, from: u64) -> u64 {
        let (layout, Some(have)) = (world.torrent.layout(), world.have(self.host)) else { return from };
        let first = layout.piece_at(from).map_or(layout.piece_count(), |piece| piece.0);
        let missing = (first..layout.piece_count()).map(PieceIndex).find(|piece| !have.has(*piece));
        missing.and_then(|piece| layout.piece_span(piece)).map_or(layout.stream_length(), |span| span.offset)
    }
}

/// Bytes in this time.
fn per(rate: u64, time: Duration) -> u64 {
    rate * u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / 1000
}
