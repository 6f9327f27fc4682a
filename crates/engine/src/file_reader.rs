//! A file of a torrent as a stream of bytes, read while it comes.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use riverrun_metainfo::{Layout, Span};
use riverrun_proto::swarm::{Command, ReadAhead};
use riverrun_storage::Buffer;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tokio::sync::oneshot;

use crate::TorrentError;
use crate::drive::Core;
use crate::drive::stage::Stage;

/// The most bytes that are read from the disk at once.
const CHUNK: u64 = 256 << 10;
/// How often the swarm is told where the reader is, at most.
const TELLS: Duration = Duration::from_millis(200);

type Chunk = Pin<Box<dyn Future<Output = io::Result<Vec<Buffer>>> + Send + Sync>>;

/// Reads one file of a torrent from any place, also while it is being downloaded.
///
/// It gives verified bytes alone and waits for those that are not here. What it will read next is asked for before all else, as
/// far ahead as its rate asks for; several readers share. Dropping it ends that. A read ends with an error when the torrent
/// fails or is removed; one of a file that is not wanted waits until it is.
///
/// ```
/// # use riverrun::testing::{Content, LocalSwarm};
/// # use riverrun::{AddTorrent, Session};
/// # use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let swarm = LocalSwarm::of(Content::file("hello.bin", 1, 100_000)).start().await?;
/// # let session = Session::builder().start().await?;
/// let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await?;
/// let mut file = torrent.file_reader(0)?;
/// file.seek(std::io::SeekFrom::End(-1000)).await?;
/// let mut end = Vec::new();
/// file.read_to_end(&mut end).await?;
/// assert_eq!(end.len(), 1000);
/// # Ok(()) }
/// ```
pub struct FileReader {
    core: Arc<Core>,
    layout: Arc<Layout>,
    number: u64,
    file: Span,
    /// The next byte that is given, from the start of the file.
    position: u64,
    ahead: ReadAhead,
    told: Option<Instant>,
    /// What has been read from the disk; of the first `given` bytes have been given.
    buffers: VecDeque<Buffer>,
    given: usize,
    /// What is being waited for.
    chunk: Option<Chunk>,
}

impl FileReader {
    pub(crate) fn new(core: Arc<Core>, file: usize) -> Result<Self, TorrentError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let layout = core.metainfo().ok_or(TorrentError::NoMetadata)?.info().layout().clone();
        let found = layout.files().get(file).filter(|found| !found.pad).ok_or(TorrentError::NoSuchFile(file))?;
        let file = Span { offset: found.offset, length: found.length };
        let ahead = ReadAhead::new(Instant::now(), file, false);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (told, buffers, chunk) = (None, VecDeque::new(), None);
        Ok(Self { core, layout, number, file, position: 0, ahead, told, buffers, given: 0, chunk })
    }

    /// Has the end of the file come early too: players look for an index there.
    #[must_use]
    pub fn with_index(mut self) -> Self {
        self.ahead = ReadAhead::new(Instant::now(), self.file, true);
        self
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.file.length
    }

    /// The next byte that is read, from the start of the file.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on at this place; beyond the end there is nothing to read.
    pub fn seek_to(&mut self, position: u64) {
        if position != self.position {
            (self.position, self.given, self.told, self.chunk) = (position, 0, None, None);
            self.buffers.clear();
            self.ahead.seek(Instant::now(), position);
        }
    }

    /// Tells the swarm what will be read next, unless that was said just now.
    fn tell(&mut self, now: Instant) {
        if self.told.is_some_and(|told| now.duration_since(told) < TELLS) {
            return;
        }
        self.told = Some(now);
        let (ahead, layout, reader) = (&self.ahead, &self.layout, self.number);
        self.core.act(|brain, now, effects| {
            let Some(exchange) = &brain.exchange else { return };
            let have = exchange.swarm.have();
            let deadlines = ahead.plan(now, layout, |piece| have.has(piece));
            brain.command(now, Command::SetDeadlines { reader, deadlines }, effects);
        });
    }

    /// The span to read next: no more than one piece, and nothing beyond the file.
    fn next_span(&self) -> Span {
        let offset = self.file.offset + self.position;
        let piece = self.layout.piece_at(offset).and_then(|piece| self.layout.piece_span(piece));
        let end = piece.map_or(offset, |piece| piece.end()).min(self.file.end());
        Span { offset, length: end.saturating_sub(offset).min(CHUNK) }
    }
}

/// Reads a span of one piece once it is verified.
async fn read(core: Arc<Core>, span: Span) -> io::Result<Vec<Buffer>> {
    let gone = || io::Error::other(TorrentError::Stopped);
    loop {
        let changed = core.pieces.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        match core.act(|brain, _, _| begin(&core, brain, span))? {
            Some(result) => {
                let buffers = result.await.map_err(|_| gone())?;
                return buffers.map_err(|error| io::Error::other(TorrentError::Storage(error)));
            }
            None => tokio::select! {
                () = changed => {}
                () = core.stopping() => return Err(gone()),
            },
        }
    }
}

type Answer = Result<Vec<Buffer>, Arc<riverrun_storage::StorageError>>;

/// Has a disk thread read a span, if its piece is here.
fn begin(core: &Core, brain: &mut crate::drive::Brain, span: Span) -> io::Result<Option<oneshot::Receiver<Answer>>> {
    match &brain.life.stage {
        Stage::Failed(error) => return Err(io::Error::other(error.clone())),
        Stage::Stopped => return Err(io::Error::other(TorrentError::Stopped)),
        _ => {}
    }
    let Some(exchange) = &mut brain.exchange else { return Ok(None) };
    let piece = core.metainfo().and_then(|metainfo| metainfo.info().layout().piece_at(span.offset));
    let Some(_) = piece.filter(|piece| exchange.swarm.have().has(*piece)) else { return Ok(None) };
    Ok(exchange.files.as_mut().map(|files| files.read_for_reader(span)))
}

impl AsyncRead for FileReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.position >= this.file.length || out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.buffers.is_empty() {
            let now = Instant::now();
            this.tell(now);
            let span = this.next_span();
            let chunk = this.chunk.get_or_insert_with(|| Box::pin(read(this.core.clone(), span)));
            let Poll::Ready(result) = chunk.as_mut().poll(cx) else {
                this.ahead.waits(now);
                return Poll::Pending;
            };
            this.chunk = None;
            (this.buffers, this.given) = (result?.into(), 0);
        }
        let mut count = 0;
        while let Some(first) = this.buffers.front().filter(|_| out.remaining() > 0) {
            let rest = &first.filled()[this.given..];
            let some = rest.len().min(out.remaining());
            out.put_slice(&rest[..some]);
            (this.given, count) = (this.given + some, count + some);
            if this.given == first.len() {
                this.buffers.pop_front();
                this.given = 0;
            }
        }
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        this.position += count as u64;
        this.ahead.read(Instant::now(), count as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for FileReader {
    fn start_seek(self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let this = self.get_mut();
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => this.file.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => this.position.checked_add_signed(offset),
        };
        this.seek_to(position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}

impl Drop for FileReader {
    fn drop(&mut self) {
        let end = Command::SetDeadlines { reader: self.number, deadlines: Vec::new() };
        self.core.act(|brain, now, effects| brain.command(now, end, effects));
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader").field("file", &self.file).field("position", &self.position).finish_non_exhaustive()
    }
}
