//! A web server on loopback with the files of a torrent, and as bad as it is told to be.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverrun::testing::Content;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How a server answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// Ranges as asked.
    Honest,
    /// Whole files alone.
    NoRanges,
    /// So many times 503, to be asked again after a second.
    Busy(usize),
    /// So many times it resets the connection in the middle of a body.
    Resets(usize),
    /// Files with this in their path are not there.
    Lacks(&'static str),
    /// Every answer sends elsewhere.
    Redirects(String),
    /// The old place of each file sends to the new one, under `/new`.
    Moved,
    /// The bytes are others.
    BadData,
    /// The range in the head is not the one asked for.
    OtherRange,
    /// The head says that the body is compressed.
    Gzip,
    /// The body has no end.
    Endless,
    /// The files are longer than they should be.
    Longer,
    /// Requests are read and never answered.
    Silent,
    /// The head, so many bytes of the body, and nothing more.
    Stalls(usize),
    /// One byte of the body at a time, with a while between them.
    Drips,
    /// The body comes in chunks, and no head says how long it is.
    Chunked,
    /// The body ends with the connection, and no head says how long it is.
    UntilClose,
    /// The head says that half as much comes as was asked for, and so it is.
    Half,
    /// No file is so long that it has the range.
    Beyond,
    /// 503, to be asked again after so many seconds.
    Later(u64),
}

/// What passes between two bytes of a server that drips.
const DRIP: Duration = Duration::from_millis(50);
/// Bytes in one chunk; no block is a multiple of it.
const CHUNK: usize = 5000;

/// One request: the path, decoded, and the range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) range: Option<(usize, usize)>,
}

pub(crate) struct WebServer {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    manner: Mutex<Manner>,
    requests: Mutex<Vec<Request>>,
}

impl WebServer {
    /// Has the content under its name, as `Content::write_into` puts it into a folder.
    pub(crate) async fn start(content: &Content, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let path = |path: &str| match path {
            "" => format!("/{}", content.name),
            path => format!("/{}/{path}", content.name),
        };
        let files = content.files.iter().map(|(name, bytes)| (path(name), bytes.clone())).collect();
        let shared = Arc::new(Shared { files, manner: Mutex::new(manner), requests: Mutex::default() });
        let served = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away in the middle is no fault of the server.
                let served = served.clone();
                tokio::spawn(async move { _ = serve(stream, &served).await });
            }
        });
        Self { addr, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    loop {
        let Some(head) = head(&mut stream).await? else { return Ok(()) };
        let request = parse(&head);
        shared.requests.lock().unwrap().push(request.clone());
        if !answer(&mut stream, shared, &request).await? {
            return Ok(());
        }
    }
}

/// The head of the next request; `None` if there is none.
async fn head(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8(head).unwrap()))
}

fn parse(head: &str) -> Request {
    let target = head.split(' ').nth(1).unwrap();
    // A proxy is asked for the whole URL.
    let path = target.strip_prefix("http://").map_or(target, |rest| &rest[rest.find('/').unwrap()..]);
    let field =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let range = field.map(|field| {
        let (first, last) = field.split_once('-').unwrap();
        (first.parse().unwrap(), last.trim().parse::<usize>().unwrap() + 1)
    });
    Request { path: decoded(path), range }
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, later)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&later[..2]).unwrap(), 16).unwrap());
            rest = &later[2..];
        } else {
            bytes.push(*first);
            rest = later;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Answers; false if the connection is over.
async fn answer(stream: &mut TcpStream, shared: &Shared, request: &Request) -> std::io::Result<bool> {
    let manner = next_manner(shared);
    if manner == Manner::Silent {
        return stalled(stream).await;
    }
    let plain = |status: &str, fields: &str| format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n");
    let path = request.path.strip_prefix("/new").unwrap_or(&request.path);
    let refusal = match &manner {
        Manner::Busy(_) => Some(plain("503 Busy", "Retry-After: 1\r\n")),
        Manner::Later(seconds) => Some(plain("503 Busy", &format!("Retry-After: {seconds}\r\n"))),
        Manner::Beyond => Some(plain("416 Range Not Satisfiable", "Content-Range: bytes */50\r\n")),
        Manner::Lacks(what) if path.contains(what) => Some(plain("404 Not Found", "")),
        Manner::Redirects(to) => Some(plain("302 Found", &format!("Location: {to}\r\n"))),
        Manner::Moved if !request.path.starts_with("/new") => {
            let encoded: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
            Some(plain("301 Moved", &format!("Location: /new/{}\r\n", &encoded[3..].replace("%2F", "/"))))
        }
        _ => None,
    };
    let Some(file) = shared.files.get(path).filter(|_| refusal.is_none()) else {
        stream.write_all(refusal.unwrap_or_else(|| plain("404 Not Found", "")).as_bytes()).await?;
        return Ok(true);
    };
    let mut file = file.clone();
    match &manner {
        Manner::BadData => file.iter_mut().for_each(|byte| *byte ^= 1),
        Manner::Longer => file.push(0),
        _ => {}
    }
    let range = request.range.filter(|_| manner != Manner::NoRanges);
    let (first, end) = range.unwrap_or((0, file.len()));
    let mut fields = match range {
        Some(_) if manner == Manner::OtherRange => {
            format!("Content-Range: bytes {}-{end}/{}\r\n", first + 1, file.len())
        }
        Some(_) => format!("Content-Range: bytes {first}-{}/{}\r\n", end - 1, file.len()),
        None => String::new(),
    };
    let end = if manner == Manner::Half { first + (end - first) / 2 } else { end };
    match manner {
        Manner::Gzip => fields.push_str("Content-Encoding: gzip\r\n"),
        Manner::Endless | Manner::Chunked => fields.push_str("Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    match manner {
        Manner::Endless | Manner::Chunked => {}
        Manner::UntilClose => fields.push_str("Connection: close\r\n"),
        _ => fields.push_str(&format!("Content-Length: {}\r\n", end - first)),
    }
    let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
    stream.write_all(format!("HTTP/1.1 {status}\r\n{fields}\r\n").as_bytes()).await?;
    body(stream, &manner, &file[first..end]).await
}

/// Sends a body; false if the connection is over.
async fn body(stream: &mut TcpStream, manner: &Manner, bytes: &[u8]) -> std::io::Result<bool> {
    match manner {
        Manner::Endless => loop {
            chunk(stream, bytes).await?;
        },
        Manner::Chunked => {
            for some in bytes.chunks(CHUNK) {
                chunk(stream, some).await?;
            }
            chunk(stream, &[]).await.map(|()| true)
        }
        Manner::Stalls(after) => {
            stream.write_all(&bytes[..bytes.len().min(*after)]).await?;
            stalled(stream).await
        }
        Manner::Drips => {
            for byte in bytes {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(DRIP).await;
            }
            Ok(true)
        }
        Manner::Resets(_) => stream.write_all(&bytes[..bytes.len() / 2]).await.map(|()| false),
        _ => stream.write_all(bytes).await.map(|()| *manner != Manner::UntilClose),
    }
}

async fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.write_all(b"\r\n").await
}

/// Keeps the connection and says nothing until the client goes away.
async fn stalled(stream: &mut TcpStream) -> std::io::Result<bool> {
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(false)
}

/// The manner for this request: what is bad a number of times becomes honest.
fn next_manner(shared: &Shared) -> Manner {
    let mut manner = shared.manner.lock().unwrap();
    let now = manner.clone();
    match &mut *manner {
        Manner::Busy(times) | Manner::Resets(times) if *times > 1 => *times -= 1,
        Manner::Busy(_) | Manner::Resets(_) => *manner = Manner::Honest,
        _ => {}
    }
    now
}
