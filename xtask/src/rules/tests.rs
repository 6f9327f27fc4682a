use super::*;
use crate::graph::Edge;

/// A made-up graph: the seven rooms without edges, to which a test adds what it is about.
struct World {
    graph: Graph,
}

impl World {
    fn new() -> Self {
        let mut graph = Graph::default();
        for room in ROOMS {
            graph.packages.push(Package { name: room.name.to_owned(), member: true, ..Package::default() });
        }
        Self { graph }
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.graph.packages.iter().position(|package| package.name == name) {
            return place;
        }
        self.graph.packages.push(Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: Some("MIT".to_owned()),
            source: Some(CRATES_IO.to_owned()),
            ..Package::default()
        });
        self.graph.packages.len() - 1
    }

    fn edge(mut self, from: &str, to: &str, kind: Kind) -> Self {
        let (from, to) = (self.place(from), self.place(to));
        self.graph.packages[from].edges.push(Edge { to, kind });
        self
    }

    fn change(mut self, name: &str, change: impl FnOnce(&mut Package)) -> Self {
        let place = self.place(name);
        change(&mut self.graph.packages[place]);
        self
    }

    fn violations(&self) -> Vec<String> {
        check(&self.graph)
    }
}

#[test]
fn the_arrows_as_planned_are_no_violation() {
    let mut world = World::new();
    for room in ROOMS {
        for to in room.rooms.iter().chain(room.crates) {
            world = world.edge(room.name, to, Kind::Normal);
        }
        for to in room.test_rooms.iter().chain(TEST_CRATES) {
            world = world.edge(room.name, to, Kind::Dev);
        }
    }
    // Direct use alone: what the real crates reach is checked on the real graph.
    let found = world.violations();
    let expected: Vec<&String> = found.iter().filter(|line| !line.contains("must not reach")).collect();
    assert!(expected.is_empty(), "{expected:#?}");
}

#[test]
fn an_arrow_that_points_up_is_a_violation() {
    for (from, to) in [
        ("riverrun-metainfo", "riverrun-proto"),
        ("riverrun-proto", "riverrun-storage"),
        ("riverrun-storage", "riverrun-proto"),
        ("riverrun-proto", "riverrun"),
        ("riverrun", "riverrun-cli"),
        ("riverrun-sim", "riverrun"),
        ("riverrun-cli", "riverrun-storage"),
    ] {
        let found = World::new().edge(from, to, Kind::Normal).violations();
        assert!(found.contains(&format!("{from}: may not use {to}")), "{from} -> {to}: {found:?}");
    }
}

#[test]
fn a_test_room_is_for_tests_alone() {
    assert!(World::new().edge("riverrun", "riverrun-sim", Kind::Dev).violations().is_empty());
    assert_eq!(
        World::new().edge("riverrun", "riverrun-sim", Kind::Normal).violations(),
        ["riverrun: may not use riverrun-sim"]
    );
    assert_eq!(
        World::new().edge("riverrun-metainfo", "riverrun-proto", Kind::Dev).violations(),
        ["riverrun-metainfo: the tests may not use riverrun-proto"]
    );
}

#[test]
fn tokio_in_proto_is_a_violation_even_behind_another_crate() {
    let direct = World::new().edge("riverrun-proto", "tokio", Kind::Normal).violations();
    assert_eq!(direct, ["riverrun-proto: may not use tokio", "riverrun-proto: must not reach tokio by any path"]);
    let hidden =
        World::new().edge("riverrun-proto", "bytes", Kind::Normal).edge("bytes", "tokio", Kind::Normal).violations();
    assert_eq!(hidden, ["riverrun-proto: must not reach tokio by any path"]);
}

#[test]
fn the_library_never_reaches_what_belongs_to_the_program() {
    let found =
        World::new().edge("riverrun", "reqwest", Kind::Normal).edge("reqwest", "clap", Kind::Normal).violations();
    assert_eq!(found, ["riverrun: must not reach clap by any path"]);
}

#[test]
fn a_banned_crate_is_found_however_deep_and_named_with_who_brings_it() {
    let found = World::new()
        .edge("riverrun", "reqwest", Kind::Normal)
        .edge("reqwest", "hyper-tls", Kind::Normal)
        .edge("hyper-tls", "native-tls", Kind::Normal)
        .edge("native-tls", "openssl-sys", Kind::Build)
        .violations();
    assert_eq!(
        found,
        [
            "native-tls: banned (a second TLS backend), brought by hyper-tls 1.0.0",
            "openssl-sys: banned (needs OpenSSL on the machine), brought by native-tls 1.0.0",
        ]
    );
}

#[test]
fn an_exception_holds_for_the_one_edge_it_names() {
    let base = || World::new().edge("riverrun", "reqwest", Kind::Normal).edge("reqwest", "aws-lc-sys", Kind::Normal);
    assert!(base().edge("aws-lc-sys", "cmake", Kind::Build).violations().is_empty());
    let found = base().edge("aws-lc-sys", "cmake", Kind::Build).edge("reqwest", "cmake", Kind::Build).violations();
    assert_eq!(found, ["cmake: banned (needs cmake on the machine), brought by reqwest 1.0.0"]);
}

#[test]
fn a_copyleft_licence_a_missing_one_and_a_git_source_are_violations() {
    let base = || World::new().edge("riverrun", "reqwest", Kind::Normal);
    assert_eq!(
        base().change("reqwest", |package| package.licence = Some("GPL-3.0-only".to_owned())).violations(),
        ["reqwest 1.0.0: the licence \"GPL-3.0-only\" is not allowed"]
    );
    assert_eq!(
        base().change("reqwest", |package| package.licence = None).violations(),
        ["reqwest 1.0.0: states no licence"]
    );
    assert_eq!(
        base().change("reqwest", |package| package.source = Some("git+https://example.org/x".to_owned())).violations(),
        ["reqwest 1.0.0: comes from git+https://example.org/x, not from crates.io"]
    );
}

#[test]
fn a_crate_that_is_not_in_the_table_is_a_violation() {
    let found = World::new()
        .change("riverrun-extra", |package| {
            package.member = true;
            package.source = None;
        })
        .violations();
    assert_eq!(found, ["riverrun-extra: the crate is not in the table of xtask/src/rules.rs"]);
}
