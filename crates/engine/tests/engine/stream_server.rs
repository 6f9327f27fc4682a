//! Players read over HTTP while a torrent comes.

use riverrun::testing::{Content, LocalSwarm};
use riverrun::{StreamServer, Torrent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, join};

/// Sends a request and gives head and body of the answer.
async fn ask(server: &StreamServer, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

async fn get(server: &StreamServer, path: &str, more: &str) -> (String, Vec<u8>) {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{more}\r\n", server.addr())).await
}

/// Serves all files.
async fn start(swarm: &LocalSwarm) -> (riverrun::Session, Torrent, StreamServer, Vec<u8>) {
    let right = std::fs::read(swarm.seeder_dir(0).join("film.mkv")).unwrap_or_default();
    let (session, torrent) = join(swarm).await;
    let metainfo = torrent.metainfo().unwrap();
    let files = metainfo.info().files().iter().enumerate().filter(|(_, file)| !file.attributes.is_pad());
    let files = files.map(|(number, _)| number).collect();
    let server = StreamServer::start(torrent.clone(), files, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    (session, torrent, server, right)
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_answered_while_the_file_comes() {
    let content = Content::file("film.mkv", 5, 2_000_003);
    let swarm = LocalSwarm::of(content).piece_length(32_768).up_limit(Some(1_500_000)).start().await.unwrap();
    let (_session, torrent, server, right) = start(&swarm).await;
    assert_eq!(server.url(), format!("http://{}/1/film.mkv", server.addr()));
    assert_eq!((server.url_of(0), server.url_of(1)), (Some(server.url()), None));
    let (head, body) = get(&server, "/1/film.mkv", "Range: bytes=-1000\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 206 ") && head.contains("Content-Range: bytes 1999003-2000002/2000003"),
        "{head}"
    );
    assert!(head.contains("Content-Type: video/x-matroska") && head.contains("Accept-Ranges: bytes"), "{head}");
    assert_eq!(body, right[1_999_003..]);
    let (whole, part, beyond) = tokio::join!(
        get(&server, "/1/film.mkv", ""),
        get(&server, "/1/film.mkv", "Range: bytes=1000000-1099999\r\n"),
        get(&server, "/1/film.mkv", "Range: bytes=2000003-\r\n"),
    );
    assert!(whole.0.starts_with("HTTP/1.1 200 ") && whole.1 == right);
    assert!(part.0.starts_with("HTTP/1.1 206 ") && part.1 == right[1_000_000..1_100_000]);
    assert!(beyond.0.starts_with("HTTP/1.1 416 ") && beyond.0.contains("Content-Range: bytes */2000003"));
    let tag = format!("\"{}-0\"", torrent.info_hashes().wire());
    assert!(whole.0.contains(&format!("ETag: {tag}")), "{}", whole.0);
    let same = get(&server, "/1/x", &format!("Range: bytes=0-9\r\nIf-Range: {tag}\r\n")).await;
    let other = get(&server, "/1/x", "Range: bytes=0-9\r\nIf-Range: \"other\"\r\n").await;
    assert!(same.0.starts_with("HTTP/1.1 206 ") && same.1 == right[..10]);
    assert!(other.0.starts_with("HTTP/1.1 200 ") && other.1 == right);
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_only_the_loopback_by_its_name_only_get_and_head_only_files_by_number() {
    let swarm = LocalSwarm::of(Content::file("film.mkv", 5, 100_000)).start().await.unwrap();
    let (_session, torrent, server, _) = start(&swarm).await;
    let addr = server.addr();
    let status = async |request: String| ask(&server, &request).await.0.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(status("GET /1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".into()).await, "403");
    assert_eq!(status("GET /1 HTTP/1.1\r\nConnection: close\r\n\r\n".into()).await, "403");
    assert_eq!(status(format!("POST /1 HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")).await, "405");
    assert_eq!(status(format!("GET /2 HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")).await, "404");
    for path in ["/0", "/../etc/passwd", "/1x", "/film.mkv", "/99999999999999999999999"] {
        assert_eq!(
            status(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")).await,
            "404",
            "{path}"
        );
    }
    assert_eq!(status("nonsense\r\n\r\n".into()).await, "400");
    let request = format!("HEAD /1 HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    let (head, body) = ask(&server, &request).await;
    assert!(head.contains("Content-Length: 100000") && body.is_empty(), "{head}");
    let open = "0.0.0.0:0".parse().unwrap();
    assert!(StreamServer::start(torrent, vec![0], open).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_files_have_a_page_and_a_playlist_and_a_connection_is_used_again() {
    let content = Content::folder("album", 5, [("1 one.flac", 50_000), ("<two>.mp3", 60_000), ("cover.jpg", 10)]);
    let swarm = LocalSwarm::of(content).start().await.unwrap();
    let (_session, _torrent, server, _) = start(&swarm).await;
    assert_eq!(server.url(), format!("http://{}/", server.addr()));
    let page = String::from_utf8(get(&server, "/", "").await.1).unwrap();
    assert!(
        page.contains("/1/1%20one.flac") && page.contains("&lt;two&gt;.mp3") && page.contains("cover.jpg"),
        "{page}"
    );
    let playlist = String::from_utf8(get(&server, "/playlist.m3u", "").await.1).unwrap();
    assert_eq!(playlist.matches("http://").count(), 2, "{playlist}");
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    for _ in 0..3 {
        let request = format!("GET /3 HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.windows(4).any(|four| four == b"\r\n\r\n") || answer.len() < 14 {
            assert_ne!(timeout(PATIENCE, stream.read_buf(&mut answer)).await.unwrap().unwrap(), 0);
        }
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let mut body = answer.split_off(end);
        while body.len() < 10 {
            assert_ne!(timeout(PATIENCE, stream.read_buf(&mut body)).await.unwrap().unwrap(), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && body.len() == 10);
    }
}
