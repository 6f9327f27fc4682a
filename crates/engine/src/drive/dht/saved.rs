//! What is kept of the node between runs: its ids and good nodes, one file.
//!
//! The file is written whole or not at all. Two programs with one state folder must not be the same node: the first has the file's
//! lock as long as it runs, the others read the nodes and are somebody else.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use riverrun_metainfo::bencode::{self, Dict, Limits, Value};
use riverrun_proto::dht::limits::MAX_SNAPSHOT;
use riverrun_proto::dht::{Contact, Family, Id, Status};
use riverrun_storage::write_atomically;

/// The number of this form of the file.
const VERSION: i64 = 1;
/// A file that is longer is none of ours, in bytes: two ids, two addresses and [`MAX_SNAPSHOT`] nodes of each family are 13 kB.
const MAX_LENGTH: u64 = 64 * 1024;

/// What we are in one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SavedSide<Ip> {
    pub(super) id: Id,
    pub(super) external: Option<Ip>,
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Saved {
    pub(super) v4: Option<SavedSide<Ipv4Addr>>,
    pub(super) v6: Option<SavedSide<Ipv6Addr>>,
    pub(super) nodes: Vec<Contact>,
}

/// Where it is kept. The default is nowhere.
#[derive(Clone, Default, Debug)]
pub(super) struct Place {
    file: Option<PathBuf>,
    /// Held as long as we are the node of the file.
    lock: Option<Arc<File>>,
}

impl Saved {
    pub(super) fn of(status: &Status, nodes: Vec<Contact>) -> Self {
        let mut saved = Self { nodes, ..Self::default() };
        for side in &status.families {
            match (side.family, side.external) {
                (Family::V4, Some(IpAddr::V4(ip))) => saved.v4 = Some(SavedSide { id: side.id, external: Some(ip) }),
                (Family::V6, Some(IpAddr::V6(ip))) => saved.v6 = Some(SavedSide { id: side.id, external: Some(ip) }),
                (Family::V4, _) => saved.v4 = Some(SavedSide { id: side.id, external: None }),
                (Family::V6, _) => saved.v6 = Some(SavedSide { id: side.id, external: None }),
            }
        }
        saved
    }

    /// Fills up with what was kept before: a run without a network must not cost the way back.
    fn with_older(mut self, older: Self) -> Self {
        self.v4 = self.v4.or(older.v4);
        self.v6 = self.v6.or(older.v6);
        for contact in older.nodes {
            let same_family = |known: &&Contact| known.addr.is_ipv4() == contact.addr.is_ipv4();
            let known = self.nodes.iter().any(|known| known.addr == contact.addr);
            if !known && self.nodes.iter().filter(same_family).count() < MAX_SNAPSHOT {
                self.nodes.push(contact);
            }
        }
        self
    }

    fn encode(&self) -> Vec<u8> {
        let (mut nodes, mut nodes6) = (Vec::new(), Vec::new());
        for contact in &self.nodes {
            let into = if contact.addr.is_ipv4() { &mut nodes } else { &mut nodes6 };
            into.extend(contact.id.0);
            match contact.addr.ip() {
                IpAddr::V4(ip) => into.extend(ip.octets()),
                IpAddr::V6(ip) => into.extend(ip.octets()),
            }
            into.extend(contact.addr.port().to_be_bytes());
        }
        bencode::dict(|dict| {
            dict.int("version", VERSION);
            if let Some(side) = self.v4 {
                dict.bytes("id", side.id.0);
                side.external.iter().for_each(|ip| _ = dict.bytes("ip", ip.octets()));
            }
            if let Some(side) = self.v6 {
                dict.bytes("id6", side.id.0);
                side.external.iter().for_each(|ip| _ = dict.bytes("ip6", ip.octets()));
            }
            dict.bytes("nodes", nodes).bytes("nodes6", nodes6);
        })
    }

    /// `None`: it is no such file, or one of another version.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let document = bencode::decode(bytes, Limits::MESSAGE).ok()?;
        let dict = document.root().as_dict()?;
        if dict.get("version").and_then(Value::as_int) != Some(VERSION) {
            return None;
        }
        let id = |key| dict.get(key).and_then(|id| id.as_array().map(Id));
        let ip4 = dict.get("ip").and_then(Value::as_array::<4>).map(Ipv4Addr::from);
        let ip6 = dict.get("ip6").and_then(Value::as_array::<16>).map(Ipv6Addr::from);
        let mut nodes = contacts::<26>(dict, "nodes");
        nodes.extend(contacts::<38>(dict, "nodes6"));
        Some(Self {
            v4: id("id").map(|id| SavedSide { id, external: ip4 }),
            v6: id("id6").map(|id| SavedSide { id, external: ip6 }),
            nodes,
        })
    }
}

/// Compact nodes of this length (BEP 5, BEP 32).
fn contacts<const LENGTH: usize>(dict: Dict<'_>, key: &str) -> Vec<Contact> {
    let bytes = dict.get(key).and_then(Value::as_bytes).unwrap_or_default();
    let each = bytes.as_chunks::<LENGTH>().0.iter().take(MAX_SNAPSHOT).filter_map(|bytes| {
        let (id, addr) = bytes.split_first_chunk::<20>()?;
        let (ip, port) = addr.split_last_chunk::<2>()?;
        let v4 = <[u8; 4]>::try_from(ip).map(IpAddr::from);
        let ip = v4.or_else(|_| <[u8; 16]>::try_from(ip).map(IpAddr::from)).ok()?;
        Some(Contact { id: Id(*id), addr: SocketAddr::new(ip, u16::from_be_bytes(*port)) })
    });
    each.collect()
}

impl Place {
    /// Becomes the node that is kept there, or another one if somebody is it already, or if it is not to be kept (`keeps`).
    pub(super) fn take(file: Option<PathBuf>, keeps: bool) -> (Self, Saved) {
        let Some(path) = file else { return (Self::default(), Saved::default()) };
        let lock = keeps.then(|| lock(&path.with_extension("lock")));
        if let Some(Err(error)) = &lock {
            tracing::debug!(%error, "another node of the DHT is kept in this folder, or none can be");
        }
        let lock = lock.and_then(Result::ok).map(Arc::new);
        let saved = read(&path);
        let saved = if lock.is_some() { saved } else { Saved { nodes: saved.nodes, ..Saved::default() } };
        (Self { file: Some(path), lock }, saved)
    }

    /// Keeps this. Whoever is not the node that is kept there keeps nothing.
    ///
    /// # Errors
    /// The file cannot be written; the one before is still there.
    pub(super) fn write(&self, saved: Saved) -> io::Result<()> {
        let (Some(path), Some(_)) = (&self.file, &self.lock) else { return Ok(()) };
        let bytes = saved.with_older(read(path)).encode();
        write_atomically(path, &bytes)
    }
}

fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    file.try_lock()?;
    Ok(file)
}

/// What is there, as far as it can be believed.
fn read(path: &Path) -> Saved {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_LENGTH).read_to_end(&mut bytes));
    match read {
        Ok(_) => Saved::decode(&bytes).unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), "the nodes of the DHT that were kept cannot be read");
            Saved::default()
        }),
        Err(_) => Saved::default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn contact(number: u8, addr: &str) -> Contact {
        Contact { id: Id([number; 20]), addr: addr.parse().unwrap() }
    }

    fn example() -> Saved {
        Saved {
            v4: Some(SavedSide { id: Id([1; 20]), external: Some([192, 0, 2, 1].into()) }),
            v6: Some(SavedSide { id: Id([2; 20]), external: None }),
            nodes: vec![contact(3, "192.0.2.3:6881"), contact(4, "[2001:db8::4]:1")],
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new folder/dht.dat");
        let (place, first) = Place::take(Some(path.clone()), true);
        assert_eq!(first, Saved::default());
        place.write(example()).unwrap();
        drop(place);
        assert_eq!(Place::take(Some(path), true).1, example());
    }

    #[test]
    fn two_at_once_are_two_nodes_and_only_the_first_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dht.dat");
        let (first, _) = Place::take(Some(path.clone()), true);
        first.write(example()).unwrap();
        let (second, saved) = Place::take(Some(path.clone()), true);
        assert_eq!(saved, Saved { nodes: example().nodes, ..Saved::default() });
        second.write(Saved::default()).unwrap();
        assert_eq!(read(&path), example());
    }

    #[test]
    fn a_run_that_met_nobody_costs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (place, _) = Place::take(Some(dir.path().join("dht.dat")), true);
        place.write(example()).unwrap();
        place.write(Saved { nodes: vec![contact(9, "192.0.2.9:1")], ..Saved::default() }).unwrap();
        let now = read(&dir.path().join("dht.dat"));
        assert_eq!((now.v4, now.nodes.len(), now.nodes[0]), (example().v4, 3, contact(9, "192.0.2.9:1")));
        let many = (0..=255u8).flat_map(|a| (1..4u16).map(move |b| (a, b)));
        let many = many.map(|(a, b)| Contact { id: Id([a; 20]), addr: (Ipv4Addr::new(192, 0, 2, a), b).into() });
        place.write(Saved { nodes: many.take(MAX_SNAPSHOT).collect(), ..Saved::default() }).unwrap();
        let nodes = read(&dir.path().join("dht.dat")).nodes;
        assert_eq!(nodes.iter().filter(|contact| contact.addr.is_ipv4()).count(), MAX_SNAPSHOT);
        assert!(nodes.contains(&contact(4, "[2001:db8::4]:1")));
    }

    #[test]
    fn damage_and_other_versions_are_as_if_nothing_was_kept() {
        let whole = example().encode();
        for cut in 0..whole.len() {
            assert_eq!(Saved::decode(&whole[..cut]), None);
        }
        let other = bencode::dict(|dict| _ = dict.int("version", 2));
        assert_eq!(Saved::decode(&other), None);
        assert_eq!(Saved::decode(b"d5:nodes3:abc7:versioni1ee"), Some(Saved::default()));
    }
}
