//! The tracker's HTTP side: as much of HTTP/1.1 as clients of trackers use.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use riverrun_proto::tracker::http::{
    parse_announce_query, parse_scrape_query, write_announce_reply, write_failure, write_scrape_reply,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Swarms;

/// The longest request, in bytes.
const MAX_REQUEST: usize = 16 * 1024;
/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(listener: TcpListener, swarms: Arc<Swarms>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let swarms = swarms.clone();
                // A client that breaks off has itself to blame.
                tokio::spawn(async move { timeout(PATIENCE, serve(stream, from.ip(), swarms)).await });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(mut stream: TcpStream, from: IpAddr, swarms: Arc<Swarms>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > MAX_REQUEST {
            return reply(&mut stream, "431 Request Header Fields Too Large", b"").await;
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Some((path, query)) = std::str::from_utf8(line).ok().and_then(target) else {
        return reply(&mut stream, "400 Bad Request", b"").await;
    };
    let body = match path {
        "/announce" => match parse_announce_query(query) {
            Ok(asked) => match swarms.announce(&asked.request, from, false) {
                Ok(answer) => write_announce_reply(&answer, asked.compact),
                Err(reason) => write_failure(&reason, None),
            },
            Err(error) => write_failure(&error.to_string(), None),
        },
        "/scrape" => match parse_scrape_query(query) {
            Ok(hashes) => {
                let entries = hashes.into_iter().filter_map(|hash| Some((hash, swarms.scrape(hash)?)));
                write_scrape_reply(&entries.collect::<Vec<_>>())
            }
            Err(error) => write_failure(&error.to_string(), None),
        },
        _ => return reply(&mut stream, "404 Not Found", b"").await,
    };
    reply(&mut stream, "200 OK", &body).await
}

/// Path and query of the first line of a request.
fn target(line: &str) -> Option<(&str, &str)> {
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    Some(target.split_once('?').unwrap_or((target, "")))
}

async fn reply(stream: &mut TcpStream, status: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    stream.shutdown().await
}
