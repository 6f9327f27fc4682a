//! Checks of the workspace itself.
//!
//! `cargo run -p xtask -- deps` looks at every crate of every platform; the test below at those of this one, so that
//! `cargo test --workspace` holds the arrows with nothing more on disk than the build itself needed.
//! `cargo run -p xtask -- gates` counts the instructions of the hot bodies (valgrind) and compares them with `xtask/gates.json`.

mod callgrind;
mod gates;
mod graph;
mod licence;
mod rules;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use graph::Graph;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["deps"] => deps(),
        ["gates"] => gates::run(false),
        ["gates", "--update"] => gates::run(true),
        _ => Err("usage: cargo run -p xtask -- deps | gates [--update]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            #[expect(clippy::print_stderr, reason = "this is a program")]
            {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Checks the dependencies of all platforms and prints what is there.
#[expect(clippy::print_stdout, reason = "this is a program")]
fn deps() -> Result<(), String> {
    let graph = workspace_graph(None)?;
    let violations = rules::check(&graph);
    for violation in &violations {
        println!("{violation}");
    }
    let shipped = graph.shipped();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for &index in &shipped {
        let package = &graph.packages[index];
        versions.entry(&package.name).or_default().push(&package.version);
    }
    for (name, several) in versions.iter().filter(|(_, several)| several.len() > 1) {
        println!("note: {name} is there {} times: {}", several.len(), several.join(", "));
    }
    println!("{} crates in the program on all platforms, {} violations", shipped.len(), violations.len());
    if violations.is_empty() { Ok(()) } else { Err("the rules in xtask/src/rules.rs do not hold".to_owned()) }
}

/// What cargo knows of this workspace, for one platform or (`None`) for all.
fn workspace_graph(platform: Option<&str>) -> Result<Graph, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    if let Some(platform) = platform {
        cargo.args(["--filter-platform", platform]);
    }
    let output = cargo.output().map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    Graph::from_metadata(&value).ok_or_else(|| "cargo metadata: not the shape of format 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_obeys_its_rules() {
        let graph = workspace_graph(Some("host-tuple")).expect("cargo metadata works");
        let members = graph.packages.iter().filter(|package| package.member).count();
        assert!(members >= 7, "only {members} workspace members were seen");
        let violations = rules::check(&graph);
        assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    }
}
