//! Files of a torrent over HTTP on the loopback, for players: GET and HEAD, with ranges, while it comes.
//!
//! The head of a request is all that is read (`proto::file_request`); a server of HTTP would bring bodies, upgrades and their limits.

mod page;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use riverrun_proto::file_request::{self, BadHead, Head, Wanted};
use riverrun_proto::limits::MAX_FILE_REQUEST_HEAD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

pub use self::page::is_playable;
use crate::{FileReader, Torrent, TorrentError};

/// Connections at once; more wait. A player has a few.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may rest between requests, and a head may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long accepting rests when the system has no more file descriptors or memory (THREATS L12).
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// Serves files of one torrent over HTTP, on loopback addresses alone. It stops when dropped.
#[derive(Debug)]
pub struct StreamServer {
    addr: SocketAddr,
    shelf: Arc<Shelf>,
    task: JoinHandle<()>,
}

/// What is served.
#[derive(Debug)]
struct Shelf {
    torrent: Torrent,
    /// By their places in the torrent.
    files: Vec<usize>,
    /// Their paths and lengths.
    names: Vec<(String, u64)>,
}

impl StreamServer {
    /// Serves these files, by their places in the torrent, whose metadata must be here.
    ///
    /// # Errors
    /// The address is not of the loopback, or cannot be listened on; the torrent has no such file.
    pub async fn start(torrent: Torrent, files: Vec<usize>, addr: SocketAddr) -> io::Result<Self> {
        if !addr.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an address of the loopback"));
        }
        let metainfo = torrent.metainfo().ok_or_else(|| io::Error::other(TorrentError::NoMetadata))?;
        let found = |file: &usize| {
            let entry = metainfo.info().files().get(*file).filter(|entry| !entry.attributes.is_pad());
            let entry = entry.ok_or_else(|| io::Error::other(TorrentError::NoSuchFile(*file)))?;
            Ok::<_, io::Error>((entry.path.as_str().to_owned(), entry.length))
        };
        let names = files.iter().map(found).collect::<Result<_, _>>()?;
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shelf = Arc::new(Shelf { torrent, files, names });
        let task = tokio::spawn(run(listener, shelf.clone()));
        Ok(Self { addr, shelf, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What to give to a player: the file, or the page that lists them if there are several.
    #[must_use]
    pub fn url(&self) -> String {
        let path = if self.shelf.files.len() == 1 { self.shelf.path(0) } else { "/".to_owned() };
        format!("http://{}{path}", self.addr)
    }

    /// The URL of one of the files, by its place in the torrent.
    #[must_use]
    pub fn url_of(&self, file: usize) -> Option<String> {
        let nth = self.shelf.files.iter().position(|served| *served == file)?;
        Some(format!("http://{}{}", self.addr, self.shelf.path(nth)))
    }
}

impl Drop for StreamServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shelf {
    /// The path of a file on the server: its place among those served is all that counts, its name is for people.
    fn path(&self, nth: usize) -> String {
        let name = self.names[nth].0.rsplit('/').next().unwrap_or_default();
        format!("/{}/{}", nth + 1, page::escaped_for_url(name))
    }

    /// Which of the files a path means.
    fn nth(&self, target: &str) -> Option<usize> {
        let number = target.strip_prefix('/')?.split(['/', '?']).next()?;
        let number: usize = number.parse().ok()?;
        number.checked_sub(1).filter(|nth| *nth < self.files.len())
    }

    fn etag(&self, nth: usize) -> String {
        format!("\"{}-{}\"", self.torrent.info_hashes().wire(), self.files[nth])
    }
}

async fn run(listener: TcpListener, shelf: Arc<Shelf>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let permit = room.clone().acquire_owned().await.expect("it is never closed");
        let stream = loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => break stream,
                    Err(_) => sleep(ACCEPT_REST).await,
                },
                Some(_) = connections.join_next() => {}
            }
        };
        let shelf = shelf.clone();
        connections.spawn(async move {
            // A player that breaks off has its reasons.
            let _ = serve(stream, &shelf).await;
            drop(permit);
        });
    }
}

/// One connection, request by request.
async fn serve(stream: TcpStream, shelf: &Shelf) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = stream.into_split();
    let mut received = Vec::new();
    loop {
        let head = match timeout(PATIENCE, read_head(&mut from, &mut received)).await {
            Err(_) | Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Some(head))) => head,
        };
        let (answer, keep_alive) = match &head {
            Ok(head) => (shelf.answer(head), head.keep_alive),
            Err(BadHead::TooLong) => (Answer::plain(431, "Request Header Fields Too Large"), false),
            Err(BadHead::Malformed) => (Answer::plain(400, "Bad Request"), false),
        };
        let with_body = head.as_ref().is_ok_and(|head| head.method != "HEAD") || head.is_err();
        to.write_all(answer.head(keep_alive).as_bytes()).await?;
        if with_body {
            send(answer.body, &mut from, &mut to, &mut received).await?;
        }
        if !keep_alive {
            return to.shutdown().await;
        }
    }
}

/// Reads up to the end of a head; `None`: the player has gone.
async fn read_head(from: &mut OwnedReadHalf, received: &mut Vec<u8>) -> io::Result<Option<Result<Head, BadHead>>> {
    loop {
        match file_request::read(received) {
            Ok(None) => {}
            Ok(Some((head, length))) => {
                received.drain(..length);
                return Ok(Some(Ok(head)));
            }
            Err(error) => return Ok(Some(Err(error))),
        }
        if from.take(MAX_FILE_REQUEST_HEAD as u64).read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

/// Sends a body. A player that goes meanwhile ends it: nothing is fetched any more that nobody waits for.
async fn send(body: Body, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, received: &mut Vec<u8>) -> io::Result<()> {
    let (mut reader, range) = match body {
        Body::Text(text) => return to.write_all(text.as_bytes()).await,
        Body::File(reader, range) => (reader, range),
    };
    reader.seek_to(range.start);
    let mut content = (*reader).take(range.end - range.start);
    let gone = async {
        while received.len() < MAX_FILE_REQUEST_HEAD {
            if from.take(MAX_FILE_REQUEST_HEAD as u64).read_buf(received).await.unwrap_or(0) == 0 {
                return;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        copied = tokio::io::copy(&mut content, to) => copied.map(|_| ()),
        () = gone => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// What is answered.
struct Answer {
    status: (u16, &'static str),
    kind: &'static str,
    length: u64,
    more: String,
    body: Body,
}

enum Body {
    Text(String),
    File(Box<FileReader>, Range<u64>),
}

impl Answer {
    fn plain(code: u16, words: &'static str) -> Self {
        Self::text((code, words), "text/plain; charset=utf-8", format!("{words}\n"))
    }

    fn text(status: (u16, &'static str), kind: &'static str, text: String) -> Self {
        Self { status, kind, length: text.len() as u64, more: String::new(), body: Body::Text(text) }
    }

    fn head(&self, keep_alive: bool) -> String {
        let Self { status: (code, words), kind, length, more, .. } = self;
        let connection = if keep_alive { "keep-alive" } else { "close" };
        // Content is a stranger's: it runs no scripts of this origin, and is what we say it is.
        format!(
            "HTTP/1.1 {code} {words}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}Connection: {connection}\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox; default-src 'none'; style-src 'unsafe-inline'\r\n\r\n"
        )
    }
}

impl Shelf {
    fn answer(&self, head: &Head) -> Answer {
        if !head.host.as_deref().is_some_and(file_request::is_loopback) {
            return Answer::plain(403, "Forbidden");
        }
        if !matches!(head.method.as_str(), "GET" | "HEAD") {
            return Answer { more: "Allow: GET, HEAD\r\n".to_owned(), ..Answer::plain(405, "Method Not Allowed") };
        }
        let listed =
            || (0..self.files.len()).map(|nth| (self.path(nth), self.names[nth].0.as_str(), self.names[nth].1));
        match head.target.as_str() {
            "/" => return Answer::text((200, "OK"), "text/html; charset=utf-8", page::list(listed())),
            "/playlist.m3u" => {
                let host = head.host.as_deref().unwrap_or_default();
                return Answer::text((200, "OK"), "audio/x-mpegurl; charset=utf-8", page::playlist(host, listed()));
            }
            _ => {}
        }
        match self.nth(&head.target) {
            Some(nth) => self.file(head, nth),
            None => Answer::plain(404, "Not Found"),
        }
    }

    fn file(&self, head: &Head, nth: usize) -> Answer {
        let (name, length) = &self.names[nth];
        let etag = self.etag(nth);
        let current = head.if_range.as_ref().is_none_or(|tag| *tag == etag);
        let range = head.range.as_deref().filter(|_| current);
        let (status, range, more) = match range.map_or(Wanted::All, |range| file_request::wanted(range, *length)) {
            Wanted::Beyond => {
                let more = format!("Content-Range: bytes */{length}\r\nAccept-Ranges: bytes\r\n");
                return Answer { more, ..Answer::plain(416, "Range Not Satisfiable") };
            }
            Wanted::All => ((200, "OK"), 0..*length, String::new()),
            Wanted::Part(range) => {
                let more = format!("Content-Range: bytes {}-{}/{length}\r\n", range.start, range.end - 1);
                ((206, "Partial Content"), range, more)
            }
        };
        let Ok(reader) = self.torrent.file_reader(self.files[nth]) else { return Answer::plain(404, "Not Found") };
        Answer {
            status,
            kind: page::kind(name),
            length: range.end - range.start,
            more: format!("{more}Accept-Ranges: bytes\r\nETag: {etag}\r\n"),
            body: Body::File(Box::new(reader.with_index()), range),
        }
    }
}
