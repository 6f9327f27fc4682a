//! Web seeds over HTTPS: who trusts which certificate, and what is said of one that nobody should (THREATS T9, T10).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::room::{Ran, Room};

/// Made by `tls/make`.
const AUTHORITY: &[u8] = include_bytes!("tls/authority.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");
/// For 127.0.0.1.
const GOOD: &[u8] = include_bytes!("tls/good.pem");
const EXPIRED: &[u8] = include_bytes!("tls/expired.pem");
const OTHER_NAME: &[u8] = include_bytes!("tls/other-name.pem");

/// A server on loopback that answers every request with this file, and ends the connection. Gives its address.
fn https(certificate: &[u8], file: Vec<u8>) -> String {
    let chain = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket);
            // Who does not trust us goes away in the middle.
            let _ = answer(&mut stream, &file);
        }
    });
    addr.to_string()
}

fn answer(stream: &mut (impl Read + Write), file: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", file.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(file)?;
    stream.flush()
}

/// A room with a file, a torrent of it and the authority; and what a download from a server with this certificate comes to.
fn download(certificate: &[u8], trusts: bool) -> (Room, String, Ran) {
    let room = Room::new();
    room.content("data/single.bin", 300_000).write("authority.pem", AUTHORITY);
    room.run(&["create", "data/single.bin", "-o", "single.torrent"]).ok();
    let host = https(certificate, room.read("data/single.bin"));
    let url = format!("https://{host}/single.bin");
    let args =
        ["download", "--web-seed", &url, "--stall-timeout", "0", "--max-time", "20s", "-o", "out", "single.torrent"];
    let authority = room.path("authority.pem");
    let trusted = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    let ran = room.run_with_env(&args, if trusts { &trusted } else { &[] });
    (room, host, ran)
}

#[test]
fn an_https_server_is_enough_if_the_owner_trusts_its_authority() {
    let (room, _, ran) = download(GOOD, true);
    assert_eq!(ran.ok().out, "Downloaded single.bin to out.\n");
    assert!(room.read("out") == room.read("data/single.bin"));
}

#[test]
fn t10_a_certificate_that_is_not_good_is_refused_and_it_is_said_why() {
    // Nobody waits for it to get better: the end comes at once.
    for (certificate, trusts, why) in [
        (GOOD, false, "shows a certificate that nobody has signed whom this machine trusts"),
        (EXPIRED, true, "shows a certificate that has expired"),
        (OTHER_NAME, true, "shows the certificate of another host"),
    ] {
        let (room, host, ran) = download(certificate, trusts);
        let said = format!("error: no web seed works, and no peers: {host} {why} (next try in ");
        assert!(ran.code == 6 && ran.err.contains(&said), "{said}: {ran:#?}");
        assert!(room.read("out").iter().all(|byte| *byte == 0), "nothing was taken from it");
    }
}
