//! Everything through a proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverrun::proto::proxy::{Target, datagram, undatagram};
use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, Net, Session, Settings, TrackerState, Waiting, WebProxies, fetch_torrent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};

use super::{PATIENCE, complete, same, until};

/// A proxy on loopback that speaks SOCKS5 and HTTP, and remembers where it was sent.
struct TestProxy {
    addr: SocketAddr,
    sent_to: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    /// With a user name and a password that are needed, or without.
    async fn start(secret: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let sent_to = Arc::<Mutex<Vec<String>>>::default();
        let log = sent_to.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = log.clone();
                // A client that goes away in the middle is no fault of the proxy.
                tokio::spawn(async move { _ = serve(stream, secret, &log).await });
            }
        });
        Self { addr, sent_to }
    }

    fn sent_to(&self) -> Vec<String> {
        self.sent_to.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, secret: Option<&str>, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    let (target, head) =
        if first[0] == 5 { socks(&mut client, secret, log).await? } else { http(&mut client, secret).await? };
    let Some(target) = target else { return Ok(()) };
    log.lock().unwrap().push(target.clone());
    let reached = TcpStream::connect(&target).await;
    let mut server = match reached {
        Ok(server) => server,
        Err(_) if first[0] == 5 => return client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await,
        Err(_) => return client.write_all(b"HTTP/1.1 502 Bad\r\n\r\n").await,
    };
    match head {
        Some(head) => server.write_all(&head).await?,
        None if first[0] == 5 => client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1]).await?,
        None => client.write_all(b"HTTP/1.1 200 Fine\r\nVia: test\r\n\r\n").await?,
    }
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

type Asked = (Option<String>, Option<Vec<u8>>);

async fn socks(client: &mut TcpStream, secret: Option<&str>, log: &Mutex<Vec<String>>) -> std::io::Result<Asked> {
    let mut head = [0; 2];
    client.read_exact(&mut head).await?;
    let mut methods = vec![0; head[1].into()];
    client.read_exact(&mut methods).await?;
    let method = if secret.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        client.write_all(&[5, 0xff]).await?;
        return Ok((None, None));
    }
    client.write_all(&[5, method]).await?;
    if let Some(secret) = secret {
        let mut given = Vec::new();
        client.read_u8().await?;
        for _ in 0..2 {
            let mut word = vec![0; client.read_u8().await?.into()];
            client.read_exact(&mut word).await?;
            given.push(String::from_utf8(word).unwrap());
        }
        let right = given.join(":") == secret;
        client.write_all(&[1, u8::from(!right)]).await?;
        if !right {
            return Ok((None, None));
        }
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert!(request[..3] == [5, 1, 0] || request[..3] == [5, 3, 0], "{request:?}");
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        3 => {
            let mut name = vec![0; client.read_u8().await?.into()];
            client.read_exact(&mut name).await?;
            String::from_utf8(name).unwrap()
        }
        other => panic!("kind {other}"),
    };
    let target = format!("{host}:{}", client.read_u16().await?);
    if request[1] == 3 {
        associate(client, log).await?;
        return Ok((None, None));
    }
    Ok((Some(target), None))
}

/// Carries datagrams to and fro until the client closes the connection.
async fn associate(client: &mut TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    // The port alone, as most servers answer.
    let port = near.local_addr()?.port().to_be_bytes();
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, port[0], port[1]]).await?;
    let (mut from_near, mut from_far, mut home) = ([0; 4096], [0; 4096], None);
    loop {
        tokio::select! {
            received = near.recv_from(&mut from_near) => {
                let (length, from) = received?;
                home = Some(from);
                let (target, packet) = undatagram(&from_near[..length]).unwrap();
                let to = match target {
                    Target::Addr(addr) => addr.to_string(),
                    Target::Name(name, port) => format!("{name}:{port}"),
                };
                log.lock().unwrap().push(format!("udp {to}"));
                let v4 = lookup_host(to).await?.find(SocketAddr::is_ipv4).unwrap();
                far.send_to(packet, v4).await?;
            }
            received = far.recv_from(&mut from_far) => {
                let (length, from) = received?;
                let whole = datagram(&Target::Addr(from), &from_far[..length]).unwrap();
                near.send_to(&whole, home.unwrap()).await?;
            }
            _ = client.read_u8() => return Ok(()),
        }
    }
}

async fn http(client: &mut TcpStream, secret: Option<&str>) -> std::io::Result<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8(head).unwrap();
    // "me:pw" in base64.
    if secret.is_some() && !text.to_lowercase().contains("proxy-authorization: basic bwu6chc=") {
        client.write_all(b"HTTP/1.1 407 Who?\r\ncontent-length: 0\r\n\r\n").await?;
        return Ok((None, None));
    }
    let mut words = text.split(' ');
    let (verb, target) = (words.next().unwrap(), words.next().unwrap());
    if verb == "CONNECT" {
        return Ok((Some(target.to_owned()), None));
    }
    let (host, _) = target.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let forwarded = text.replacen(&format!("http://{host}"), "", 1).replacen("\r\n", "\r\nconnection: close\r\n", 1);
    Ok((Some(host.to_owned()), Some(forwarded.into_bytes())))
}

fn through(url: &str) -> Net {
    Net { proxy: Some(url.parse().unwrap()), ..Net::default() }
}

async fn session(net: Net) -> Session {
    Session::builder().settings(Settings { net, listen: Vec::new(), ..loopback() }).start().await.unwrap()
}

async fn swarm() -> LocalSwarm {
    LocalSwarm::of(Content::file("proxy.bin", 5, 300_000)).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_and_trackers_are_reached_through_the_proxy_alone() {
    let swarm = swarm().await;
    for (scheme, secret) in [("socks5", None), ("socks5h", Some("me:pw")), ("http", None), ("http", Some("me:pw"))] {
        let proxy = TestProxy::start(secret).await;
        let given = secret.map(|secret| format!("{secret}@")).unwrap_or_default();
        let session = session(through(&format!("{scheme}://{given}{}", proxy.addr))).await;
        let dir = swarm.dir().join(format!("{scheme}{}", secret.is_some()));
        let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(&dir)).await.unwrap();
        complete(&torrent).await;
        same(&swarm, &dir);
        let sent_to = proxy.sent_to();
        assert!(sent_to.contains(&swarm.addrs()[0].to_string()), "{scheme}: the peer: {sent_to:?}");
        let tracker = swarm.tracker().http_addrs()[0].to_string();
        assert!(sent_to.contains(&tracker), "{scheme}: the tracker: {sent_to:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_trackers_are_asked_through_socks_by_address_and_by_name() {
    let swarm = LocalSwarm::of(Content::file("socks.bin", 5, 100_000)).udp(true).start().await.unwrap();
    let tracker = swarm.tracker().udp_addrs()[0];
    for url in [format!("udp://{tracker}/announce"), format!("udp://localhost:{}/announce", tracker.port())] {
        let proxy = TestProxy::start(Some("me:pw")).await;
        let session = session(through(&format!("socks5://me:pw@{}", proxy.addr))).await;
        let dir = swarm.dir().join(url.replace(['/', ':'], "_"));
        let add = AddTorrent::new(swarm.torrent()).into_dir(&dir).trackers(vec![vec![url.clone()]]);
        let torrent = session.add(add).await.unwrap();
        complete(&torrent).await;
        same(&swarm, &dir);
        let place = url.trim_start_matches("udp://").trim_end_matches("/announce");
        let (sent_to, wanted) = (proxy.sent_to(), format!("udp {place}"));
        assert!(sent_to.contains(&wanted), "{wanted}: {sent_to:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_trackers_are_skipped_with_a_reason() {
    let swarm = LocalSwarm::of(Content::file("udp.bin", 5, 100_000)).udp(true).start().await.unwrap();
    let proxy = TestProxy::start(None).await;
    let session = session(through(&format!("http://{}", proxy.addr))).await;
    let before = swarm.tracker().journal().len();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    until("the reason", || {
        torrent.status().trackers.iter().any(|tracker| {
            matches!(&tracker.state, TrackerState::Failed { error, .. } if error.contains("UDP does not go through the proxy"))
        })
    })
    .await;
    assert_eq!(swarm.tracker().journal().len(), before, "not a packet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_down_or_says_no_is_named_and_nothing_goes_another_way() {
    let swarm = swarm().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let strict = TestProxy::start(Some("me:pw")).await;
    for (url, why) in [
        (format!("socks5://me:letmein@{free}"), format!("the proxy socks5://{free} refused the connection")),
        (
            format!("socks5://me:letmein@{}", strict.addr),
            format!("the proxy socks5://{} wants another user name or password", strict.addr),
        ),
    ] {
        let session = session(through(&url)).await;
        let dir = swarm.dir().join("none");
        let add = AddTorrent::new(swarm.torrent()).into_dir(dir).peers(swarm.addrs());
        let torrent = session.add(add).await.unwrap();
        until("the reason", || matches!(&torrent.status().waiting, Some(Waiting::NoWay { .. }))).await;
        let status = torrent.status();
        let Some(Waiting::NoWay { why: told }) = &status.waiting else { panic!("{status:?}") };
        assert_eq!(told, &why);
        assert_eq!((status.down_bytes, status.connections), (0, 0));
        assert!(!format!("{status:?}").contains("letmein"), "a12: {status:?}");
    }
    assert_eq!(strict.sent_to(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_for_the_web_alone() {
    let swarm = swarm().await;
    let proxy = TestProxy::start(None).await;
    let url = format!("http://{}", proxy.addr);
    let web = |except: &'static str| {
        let url = url.clone();
        WebProxies::of_environment(move |name| match name {
            "all_proxy" => Some(url.clone()),
            "no_proxy" => Some(except.into()),
            _ => None,
        })
        .unwrap()
    };
    let session = session(Net { web_proxies: web("localhost"), ..Net::default() }).await;
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    complete(&torrent).await;
    let tracker = swarm.tracker().http_addrs()[0].to_string();
    let sent_to = proxy.sent_to();
    assert!(sent_to.contains(&tracker) && !sent_to.contains(&swarm.addrs()[0].to_string()), "{sent_to:?}");
    let file = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = file.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = file.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc").await.unwrap();
    });
    let direct = Net { web_proxies: web("127.0.0.1"), ..Net::default() };
    let fetched = fetch_torrent(&format!("http://{addr}/x"), Duration::from_secs(10), &direct).await.unwrap();
    assert_eq!((&fetched[..], proxy.sent_to().contains(&addr.to_string())), (&b"abc"[..], false));
    let through = Net { web_proxies: web("nobody"), ..Net::default() };
    let _ = fetch_torrent("http://files.example/x", PATIENCE, &through).await;
    assert!(proxy.sent_to().contains(&"files.example".to_owned()), "the proxy looks names up: {:?}", proxy.sent_to());
}
