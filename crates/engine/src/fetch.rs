//! A torrent file from the web, by a URL that the user names.

use std::time::Duration;

use bytes::Bytes;
use riverrun_proto::tracker::{AnnounceError, Scheme, TrackerUrl};
use tokio::time::timeout;

use crate::http::Http;
use crate::{Net, Settings};

/// The longest torrent file that is fetched, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// Why a torrent file was not fetched.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL cannot be used.
    #[error("{0}")]
    Url(String),
    /// The server has it not, or not for us.
    #[error("{status}{}", .reason.map(|reason| format!(" {reason}")).unwrap_or_default())]
    Status {
        /// The number of the answer.
        status: u16,
        /// What the number means.
        reason: Option<&'static str>,
    },
    /// It is longer than a torrent file may be.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// No answer, or not all of it, in time.
    #[error("no answer in time")]
    Timeout,
    /// The server cannot be reached, or it leads where we do not go. May hold text of a stranger: escape before display.
    #[error("{0}")]
    Network(String),
}

/// Fetches a torrent file by an `http` or `https` URL, at most 64 MiB within `patience`, over `net`. A server on the internet may not lead to an
/// address of the local network.
///
/// # Errors
/// It cannot be had.
pub async fn fetch_torrent(url: &str, patience: Duration, net: &Net) -> Result<Bytes, FetchError> {
    let parsed = TrackerUrl::parse(url).map_err(|error| FetchError::Url(error.to_string()))?;
    if !matches!(parsed.scheme(), Scheme::Http | Scheme::Https) {
        return Err(FetchError::Url("only http and https are fetched".into()));
    }
    let http = Http::new(Settings::default().user_agent, net.clone());
    let reply = timeout(patience, http.get_file(&parsed, MAX_BYTES)).await.map_err(|_| FetchError::Timeout)?;
    let reply = reply.map_err(|error| match error {
        AnnounceError::Timeout => FetchError::Timeout,
        AnnounceError::TooLong(max) => FetchError::TooLong(max),
        other => FetchError::Network(other.to_string()),
    })?;
    if reply.status != 200 {
        let reason = reqwest::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
        return Err(FetchError::Status { status: reply.status, reason });
    }
    Ok(reply.body.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives one answer to all, and its address.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{addr}/x.torrent")
    }

    async fn fetch(url: &str) -> Result<Bytes, FetchError> {
        fetch_torrent(url, Duration::from_secs(10), &Net::default()).await
    }

    #[tokio::test]
    async fn a_file_of_this_machine_comes_when_the_user_names_it() {
        let url = server("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc").await;
        assert_eq!(fetch(&url).await, Ok(Bytes::from_static(b"abc")));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_said_so() {
        let url = server("HTTP/1.1 404 Nope\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        assert_eq!(fetch(&url).await.unwrap_err().to_string(), "404 Not Found");
    }

    #[tokio::test]
    async fn t2_no_redirect_to_another_service_of_this_machine() {
        let target = server("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret").await;
        let answer =
            format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let url = server(Box::leak(answer.into_boxed_str())).await;
        assert!(matches!(fetch(&url).await, Err(FetchError::Network(_))));
    }

    #[tokio::test]
    async fn only_the_web_is_fetched() {
        for url in ["udp://127.0.0.1:1/x", "file:///etc/passwd", "nonsense"] {
            assert!(matches!(fetch(url).await, Err(FetchError::Url(_))), "{url}");
        }
    }
}
