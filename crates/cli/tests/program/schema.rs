//! The documents for machines are what `docs/schema` says, and it says everything that is in them.

use std::path::Path;

use riverrun::testing::Tracker;
use serde_json::Value;

use crate::room::Room;
use crate::swarm::{Seeder, Watched, dead_port, signal};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The part of JSON Schema that the schemas use, and one rule more: every key of a document is described.
fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(choices) = schema["oneOf"].as_array() {
        let results: Vec<_> = choices.iter().map(|choice| check(choice, value, at)).collect();
        return match results.iter().filter(|result| result.is_ok()).count() {
            1 => Ok(()),
            _ => Err(format!("{at} is none of the choices: {results:?}")),
        };
    }
    if !schema["const"].is_null() && schema["const"] != *value {
        return Err(format!("{at} is {value}, not {}", schema["const"]));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number");
    if !kinds.is_empty() && !fits {
        return Err(format!("{at} is a {kind}, not {kinds:?}"));
    }
    if let Some(known) = schema["enum"].as_array().filter(|known| !known.contains(value)) {
        return Err(format!("{at} is {value}, none of {known:?}"));
    }
    if let Some(number) = value.as_f64() {
        let inside = schema["minimum"].as_f64().is_none_or(|least| number >= least)
            && schema["maximum"].as_f64().is_none_or(|most| number <= most);
        if !inside {
            return Err(format!("{at} is {number}, outside its bounds"));
        }
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) {
        let hex = |length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = match pattern {
            "^[0-9a-f]{40}$" => hex(40),
            "^[0-9a-f]{64}$" => hex(64),
            "^([0-9a-f]{40}|[0-9a-f]{64})$" => hex(40) || hex(64),
            "^magnet:\\?" => text.starts_with("magnet:?"),
            other => return Err(format!("the test does not know the pattern {other}")),
        };
        if !fits {
            return Err(format!("{at} is {text:?}, unlike {pattern}"));
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{at}[{number}]"))?;
    }
    if let Some(object) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                return Err(format!("{at} has no {key}"));
            }
        }
        for (key, item) in object {
            let described = &schema["properties"][key];
            if described.is_null() {
                return Err(format!("{at}.{key} is not described"));
            }
            check(described, item, &format!("{at}.{key}"))?;
        }
    }
    Ok(())
}

#[track_caller]
fn conforms(name: &str, document: &Value) {
    check(&schema(name), document, name).unwrap_or_else(|error| panic!("{error}\n{document:#}"));
}

#[test]
fn documents_of_commands_without_peers() {
    let room = Room::new();
    room.content("album/a", 50_000).content("album/b/c", 70_000);
    let tracker = format!("http://127.0.0.1:{}/announce", dead_port());
    conforms("create", &room.run(&["create", "album", "--dry-run", "--json"]).ok().json());
    let created =
        room.run(&["create", "album", "--json", "-t", &tracker, "--private", "-c", "x", "--source", "y"]).ok();
    conforms("create", &created.json());
    let info = room.run(&["info", "--json", "album.torrent"]).ok().json();
    conforms("info", &info);
    conforms("info", &room.run(&["info", "--json", info["magnet"].as_str().unwrap()]).ok().json());
    conforms("magnet", &room.run(&["magnet", "--json", "album.torrent"]).ok().json());
    conforms("files", &room.run(&["download", "--list", "--json", "album.torrent"]).ok().json());
    conforms("verify", &room.run(&["verify", "--json", "album.torrent"]).ok().json());
    room.write("album/a", "damaged").write("album/x", "extra");
    let verify = room.run(&["verify", "--json", "--bad-pieces", "--extra", "album.torrent"]);
    assert_eq!(verify.code, 5);
    conforms("verify", &verify.json());
    let edit = room.run(&["edit", "--json", "album.torrent", "--private", "no", "--allow-new-hash", "-o", "e.torrent"]);
    conforms("edit", &edit.ok().json());
    conforms("version", &room.run(&["--version", "--json"]).ok().json());
    for args in [&["info", "nope", "--json"][..], &["info", "album", "--json"], &["frob", "--json"]] {
        conforms("error", &room.run(args).json());
    }
}

#[test]
fn documents_of_trackers_and_the_demo() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let tracker = runtime.block_on(Tracker::start()).unwrap();
    let room = Room::new();
    room.content("x", 50_000);
    let dead = format!("http://127.0.0.1:{}/announce", dead_port());
    room.run(&["create", "x", "-t", &tracker.http_url(), "-t", &dead]).ok();
    let _seeder = Seeder::start(&room, &["x.torrent"]);
    conforms("peers", &room.run(&["peers", "--json", "x.torrent"]).ok().json());
    conforms("peers", &room.run(&["peers", "--json", "--handshake", "x.torrent"]).ok().json());
    conforms("scrape", &room.run(&["scrape", "--json", "x.torrent"]).ok().json());
    conforms("demo", &room.run(&["demo", "--json", "--fast", "--size", "1Mi"]).ok().json());
}

#[test]
fn what_the_bench_measures() {
    let room = Room::new();
    conforms("bench", &room.run(&["bench", "--json", "--size", "2Mi"]).ok().json());
}

#[test]
fn what_the_doctor_finds() {
    let room = Room::new();
    for offline in [&["doctor", "--json"][..], &["doctor", "--json", "--offline"]] {
        let document = room.run(offline).json();
        conforms("doctor", &document);
        let names: Vec<_> =
            document["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
        assert!(
            ["port", "open files", "clock", "downloads", "state"].iter().all(|name| names.contains(name)),
            "{names:?}"
        );
        assert_eq!(names.contains(&"reach"), offline.len() == 2);
    }
}

#[test]
fn events_of_the_tracker() {
    let room = Room::new();
    let args = ["tracker", "--listen", "127.0.0.1:0", "--json", "-vv", "--progress-interval", "50ms"];
    let mut tracker = Watched::start(&room, &args);
    // It says nothing on standard error but its log.
    tracker.until(|line| line.contains("the tracker listens"));
    signal(tracker.id(), "INT");
    let ran = tracker.finish();
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().for_each(|line| conforms("tracker", line));
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!((ran.code, events), (130, vec!["listening", "stats", "stopped"]));
}

#[test]
fn events() {
    let room = Room::new();
    room.content("data/x", 50_000);
    room.run(&["create", "data/x"]).ok();
    let lines = |out: &str| {
        let schema = schema("events");
        let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for event in &events {
            check(&schema, event, "event").unwrap_or_else(|error| panic!("{error}\n{event}"));
        }
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut seeder = Seeder::start(&room, &["x.torrent", "--data", "data", "--json", "--progress", "plain"]);
    let args = ["download", "--json", "--peer", &seeder.addr, "-o", "out", "x.torrent", "nope"];
    assert_eq!(room.run(&args).code, 2, "several torrents, and -o is no folder");
    let ran = room.run(&["download", "--json", "--peer", &seeder.addr, "-o", "out/", "x.torrent", "nope"]);
    let names = lines(&ran.out);
    assert_eq!((ran.code, names.first().unwrap().as_str()), (3, "error"));
    assert!(names.contains(&"added".into()) && names.contains(&"completed".into()), "{names:?}");
    seeder.line_with("downloader");
    let names = lines(&seeder.interrupt().out);
    let seeding = Seeder::start(&room, &["x.torrent", "--data", "data"]);
    assert!(names.contains(&"sharing".into()) && names.contains(&"stopped".into()), "{names:?}");
    let args = ["stream", "--progress", "plain", "--json", "--peer", &seeding.addr, "-d", "streamed", "x.torrent"];
    let mut plays = Watched::start(&room, &args);
    plays.until(|line| line.starts_with("done ") || line.starts_with("sharing "));
    signal(plays.id(), "INT");
    let names = lines(&plays.finish().out);
    assert!(names.contains(&"serving".into()) && names.contains(&"completed".into()), "{names:?}");
    let mut waits = Watched::start(&room, &["download", "--progress", "plain", "--json", "-o", "none", "x.torrent"]);
    waits.until(|line| line.starts_with("waiting "));
    signal(waits.id(), "INT");
    let names = lines(&waits.finish().out);
    assert!(names.contains(&"waiting".into()) && names.contains(&"progress".into()), "{names:?}");
}
