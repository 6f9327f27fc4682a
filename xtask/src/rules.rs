//! The rules of the house: which crate may depend on which, and what no crate may bring in.
//!
//! A crate exists only where its boundary forbids something; this table is the boundary. A change here is a decision:
//! it is named, with its reason, in the commit that makes it.

use crate::graph::{Graph, Kind, Package};
use crate::licence;

/// What one crate of the workspace may use.
struct Room {
    name: &'static str,
    /// The workspace crates it may use: the arrows, which point down only.
    rooms: &'static [&'static str],
    /// Workspace crates that its tests may use besides.
    test_rooms: &'static [&'static str],
    /// The crates from the registry that it may name.
    crates: &'static [&'static str],
    /// Crates that it must not reach by any path.
    unreachable: &'static [&'static str],
}

/// What would bring sockets, a runtime or global randomness.
const IO: &[&str] = &["tokio", "mio", "async-io", "socket2", "hyper", "reqwest", "rustls", "getrandom", "rand"];
/// What would bring a runtime or sockets, where files are allowed.
const NETWORK: &[&str] = &["tokio", "mio", "async-io", "socket2", "hyper", "reqwest", "rustls"];
/// What belongs to the program: a user of the library never compiles it.
const PROGRAM: &[&str] =
    &["clap", "axum", "ratatui", "crossterm", "indicatif", "toml", "anyhow", "tracing-subscriber", "serde_json"];

const ROOMS: &[Room] = &[
    Room {
        name: "riverrun-metainfo",
        rooms: &[],
        test_rooms: &[],
        crates: &["bytes", "sha1", "sha2", "aws-lc-rs", "smallvec", "thiserror"],
        unreachable: IO,
    },
    Room {
        name: "riverrun-proto",
        rooms: &["riverrun-metainfo"],
        test_rooms: &[],
        crates: &["bytes", "ed25519-dalek", "fastrand", "smallvec", "thiserror", "tracing"],
        unreachable: IO,
    },
    Room {
        name: "riverrun-storage",
        rooms: &["riverrun-metainfo"],
        test_rooms: &[],
        crates: &["bytes", "rustix", "smallvec", "thiserror", "tracing"],
        unreachable: NETWORK,
    },
    Room {
        name: "riverrun",
        rooms: &["riverrun-metainfo", "riverrun-proto", "riverrun-storage"],
        test_rooms: &["riverrun-sim"],
        crates: &[
            "bytes",
            "fastrand",
            "flate2",
            "getrandom",
            "quinn-udp",
            "reqwest",
            "rustix",
            "rustls",
            "smallvec",
            "socket2",
            "thiserror",
            "tokio",
            "tracing",
            "webpki-root-certs",
        ],
        unreachable: PROGRAM,
    },
    Room {
        name: "riverrun-cli",
        rooms: &["riverrun"],
        test_rooms: &["riverrun-metainfo", "riverrun-proto"],
        crates: &[
            "bytes",
            "clap",
            "clap_complete",
            "clap_mangen",
            "glob",
            "qrcode",
            "rustix",
            "serde",
            "serde_json",
            "strsim",
            "tempfile",
            "tokio",
            "toml",
            "tracing",
            "tracing-subscriber",
            "unicode-width",
        ],
        unreachable: &[],
    },
    Room {
        name: "riverrun-sim",
        rooms: &["riverrun-metainfo", "riverrun-proto", "riverrun-storage"],
        test_rooms: &[],
        crates: &["fastrand", "thiserror"],
        unreachable: IO,
    },
    Room { name: "xtask", rooms: &[], test_rooms: &[], crates: &["serde_json"], unreachable: &[] },
];

/// What the tests of every room may use besides what the room itself may.
const TEST_CRATES: &[&str] = &[
    "bt_bencode",
    "criterion",
    "insta",
    "librqbit-bencode",
    "mainline",
    "proptest",
    "rustls",
    "serde",
    "snapbox",
    "tempfile",
    "tracing-subscriber",
];

/// Crates that may be nowhere in the program, with the reason.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "needs OpenSSL on the machine"),
    ("openssl", "needs OpenSSL on the machine"),
    ("native-tls", "a second TLS backend"),
    ("boring-sys", "a second TLS backend"),
    ("mbedtls", "a second TLS backend"),
    ("s2n-tls", "a second TLS backend"),
    ("ring", "a second backend of rustls"),
    ("cmake", "needs cmake on the machine"),
    ("bindgen", "needs clang on the machine"),
    ("nasm-rs", "needs nasm on the machine"),
    ("pkg-config", "links what the machine happens to have"),
    ("h2", "trackers and web seeds are spoken to over HTTP/1.1"),
    ("chrono", "std and jiff do its work"),
    ("option-ext", "MPL-2.0"),
];

/// Edges to a banned crate that are harmless, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("aws-lc-sys", "cmake", "its build script takes cmake only when asked to; the default is the C compiler alone"),
    ("aws-lc-sys", "pkg-config", "it looks for an installed AWS-LC of its own version and builds its own otherwise"),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every violation, one line each, in order of the packages; empty when the house is in order.
pub(crate) fn check(graph: &Graph) -> Vec<String> {
    let mut violations = Vec::new();
    for (place, package) in graph.packages.iter().enumerate() {
        if package.member {
            match ROOMS.iter().find(|room| room.name == package.name) {
                Some(room) => check_room(graph, place, room, &mut violations),
                None => {
                    violations.push(format!("{}: the crate is not in the table of xtask/src/rules.rs", package.name))
                }
            }
        } else if package.source.as_deref() != Some(CRATES_IO) {
            let source = package.source.as_deref().unwrap_or("a path");
            violations.push(format!("{}: comes from {source}, not from crates.io", title(package)));
        }
    }
    for place in graph.shipped() {
        let package = &graph.packages[place];
        match package.licence.as_deref() {
            Some(expression) if licence::is_allowed(expression) => {}
            Some(expression) => {
                violations.push(format!("{}: the licence {expression:?} is not allowed", title(package)));
            }
            None => violations.push(format!("{}: states no licence", title(package))),
        }
        check_banned(graph, package, &mut violations);
    }
    violations
}

/// One room's arrows, and what it reaches.
fn check_room(graph: &Graph, place: usize, room: &Room, violations: &mut Vec<String>) {
    for edge in &graph.packages[place].edges {
        let to = &graph.packages[edge.to];
        let name = to.name.as_str();
        let for_tests = edge.kind == Kind::Dev;
        let allowed = if to.member {
            room.rooms.contains(&name) || (for_tests && (room.test_rooms.contains(&name) || name == room.name))
        } else {
            room.crates.contains(&name) || (for_tests && TEST_CRATES.contains(&name))
        };
        if !allowed {
            let what = if for_tests { "the tests may not use" } else { "may not use" };
            violations.push(format!("{}: {what} {name}", room.name));
        }
    }
    for reached in graph.closure(place, &[Kind::Normal, Kind::Build]) {
        let name = graph.packages[reached].name.as_str();
        if room.unreachable.contains(&name) {
            violations.push(format!("{}: must not reach {name} by any path", room.name));
        }
    }
}

/// Edges from a shipped package, and from the members, to banned ones.
fn check_banned(graph: &Graph, package: &Package, violations: &mut Vec<String>) {
    let Some((name, reason)) = BANNED.iter().find(|(name, _)| *name == package.name) else { return };
    for from in &graph.packages {
        let uses = from.edges.iter().any(|edge| edge.kind != Kind::Dev && graph.packages[edge.to].name == *name);
        let excepted = EXCEPTIONS.iter().any(|(user, used, _)| *user == from.name && used == name);
        if uses && !excepted {
            violations.push(format!("{name}: banned ({reason}), brought by {}", title(from)));
        }
    }
}

fn title(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}

#[cfg(test)]
mod tests;
