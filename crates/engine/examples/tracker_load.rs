//! What the tracker costs: 100,000 peers in 10,000 swarms over UDP, then as many announces as there is time for.
//!
//! `cargo run --release -p riverrun --example tracker_load [SECONDS]`. The tracker is a process of its own, so that its memory and its
//! time on the processor are its own. The same load then goes to a bare loop that sends every packet back: what no tracker on this
//! machine can beat.
#![allow(clippy::print_stdout, reason = "its results")]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use riverrun::metainfo::WireHash;
use riverrun::proto::tracker::udp::{Request, Response, ResponseBody};
use riverrun::proto::tracker::{AnnounceRequest, Event};
use riverrun::proto::wire::PeerId;

const PEERS: u32 = 100_000;
const SWARMS: u32 = 10_000;
/// Addresses that peers come from: no host may have too many.
const HOSTS: u32 = 125;
/// How long a connection id is used.
const ID_AGE: Duration = Duration::from_secs(50);
/// The unit of times in /proc (`getconf CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let word = std::env::args().nth(1).unwrap_or_else(|| "5".to_owned());
    match word.as_str() {
        "serve" => serve(),
        "echo" => echo(),
        seconds => measure(Duration::from_secs(seconds.parse()?)),
    }
}

/// The tracker, until its input ends.
fn serve() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let tracker = runtime.block_on(riverrun::Tracker::builder().listen(["127.0.0.1:0".parse()?]).start())?;
    println!("{}", tracker.udp_addrs()[0]);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Every packet back to its sender, until this process is ended.
fn echo() -> Outcome<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    println!("{}", socket.local_addr()?);
    let mut packet = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut packet)?;
        socket.send_to(&packet[..length], from)?;
    }
}

fn measure(time: Duration) -> Outcome<()> {
    let server = Server::start("serve")?;
    println!("tracker empty: {}", server.memory()?);
    let mut load = Load::new(server.addr)?;
    let filling = Instant::now();
    while load.next < PEERS {
        load.round(true)?;
    }
    println!("{PEERS} peers in {SWARMS} swarms after {:.1} s: {}", filling.elapsed().as_secs_f64(), server.memory()?);
    let tracker = run(&server, &mut load, time, true)?;
    println!("tracker: {tracker}; {}", server.memory()?);
    drop(server);
    let server = Server::start("echo")?;
    let mut load = Load::new(server.addr)?;
    println!("bare echo: {}", run(&server, &mut load, time, false)?);
    Ok(())
}

/// Sends for this long, and says how many were answered and what it cost both sides.
fn run(server: &Server, load: &mut Load, time: Duration, answers: bool) -> Outcome<String> {
    let (busy, own, start) = (server.busy()?, busy("self")?, Instant::now());
    load.answered = 0;
    while start.elapsed() < time {
        load.round(answers)?;
    }
    let each = |busy: Duration| busy.as_secs_f64() * 1e6 / f64::from(load.answered);
    Ok(format!(
        "{:.0} answers/s, {:.2} µs of processor each, the load generator {:.2} µs; {} lost",
        f64::from(load.answered) / start.elapsed().as_secs_f64(),
        each(server.busy()? - busy),
        each(busy_since("self", own)?),
        load.lost
    ))
}

/// A process that answers packets.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start(what: &str) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(what).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self { child, addr: line.trim().parse()? })
    }

    fn busy(&self) -> Outcome<Duration> {
        busy(&self.child.id().to_string())
    }

    fn memory(&self) -> Outcome<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let lines = status.lines().filter(|line| ["VmRSS:", "RssAnon:"].iter().any(|key| line.starts_with(key)));
        Ok(lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", "))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time that a process spent on processors.
fn busy(process: &str) -> Outcome<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in brackets, may have spaces.
    let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("no name")?.1.split(' ').collect();
    let ticks: u32 = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    Ok(TICK * ticks)
}

fn busy_since(process: &str, before: Duration) -> Outcome<Duration> {
    Ok(busy(process)? - before)
}

/// Peers of many hosts that announce themselves in turn.
struct Load {
    to: SocketAddr,
    hosts: Vec<Host>,
    next: u32,
    answered: u32,
    lost: u32,
}

struct Host {
    socket: UdpSocket,
    id: u64,
    since: Option<Instant>,
}

impl Load {
    fn new(to: SocketAddr) -> Outcome<Self> {
        let host = |number: u32| -> Outcome<Host> {
            let [.., low] = number.to_be_bytes();
            let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 1, 0, low), 0))?;
            socket.connect(to)?;
            socket.set_read_timeout(Some(Duration::from_millis(500)))?;
            Ok(Host { socket, id: 0, since: None })
        };
        let hosts = (0..HOSTS).map(host).collect::<Outcome<_>>()?;
        Ok(Self { to, hosts, next: 0, answered: 0, lost: 0 })
    }

    /// One announce of each host, half of them under way while the others are waited for.
    fn round(&mut self, answers: bool) -> Outcome<()> {
        if answers {
            for host in self.hosts.iter_mut().filter(|host| host.since.is_none_or(|since| since.elapsed() > ID_AGE)) {
                (host.id, host.since) = (connect(&host.socket, self.to)?, Some(Instant::now()));
            }
        }
        let half = self.hosts.len() / 2;
        self.send(0..half)?;
        self.send(half..self.hosts.len())?;
        self.receive(0..half, answers)?;
        self.receive(half..self.hosts.len(), answers)
    }

    fn send(&mut self, hosts: std::ops::Range<usize>) -> Outcome<()> {
        for host in &self.hosts[hosts] {
            host.socket.send(&announce(host.id, self.next % PEERS))?;
            self.next += 1;
        }
        Ok(())
    }

    fn receive(&mut self, hosts: std::ops::Range<usize>, answers: bool) -> Outcome<()> {
        let mut packet = [0; 2048];
        for host in &self.hosts[hosts] {
            match host.socket.recv(&mut packet) {
                Ok(length) => {
                    let is_answer = length >= 20 && packet[..4] == 1u32.to_be_bytes();
                    if answers && !is_answer {
                        return Err(format!("{:?}", Response::decode(&packet[..length], self.to)).into());
                    }
                    self.answered += 1;
                }
                Err(_) => self.lost += 1,
            }
        }
        Ok(())
    }
}

fn connect(socket: &UdpSocket, to: SocketAddr) -> Outcome<u64> {
    let mut packet = [0; 2048];
    loop {
        socket.send(&Request::Connect { transaction: 1 }.encode())?;
        // What was lost is asked for again; what is late is passed over.
        while let Ok(length) = socket.recv(&mut packet) {
            if let Some(Response { body: ResponseBody::Connect(id), .. }) = Response::decode(&packet[..length], to) {
                return Ok(id);
            }
        }
    }
}

/// The announce of one of all peers. Ten of them are a swarm, one in ten has everything.
fn announce(connection: u64, peer: u32) -> Vec<u8> {
    let swarm = peer / (PEERS / SWARMS);
    let mut info_hash = [0; 20];
    // Spread as real ones are.
    info_hash[..8].copy_from_slice(&u64::from(swarm).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let request = AnnounceRequest {
        info_hash: WireHash(info_hash),
        peer_id: PeerId([7; 20]),
        port: 6881,
        uploaded: 0,
        downloaded: 0,
        left: u64::from(peer % 10),
        event: Some(Event::Started),
        num_want: None,
        key: peer,
        ipv4: None,
        ipv6: None,
        tracker_id: None,
    };
    Request::Announce { connection, transaction: peer, request, path_and_query: String::new() }.encode()
}
