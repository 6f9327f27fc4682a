//! The gates of speed: instructions and allocations of the hot bodies, counted by callgrind, beside the table `xtask/gates.json`.
//!
//! Counts say nothing of memory and branches, but hardly move: a change that makes a body heavier is seen on any machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::callgrind::{self, Counts};

/// How far a count may be from the table's, in parts of the table's.
const TOLERANCE: f64 = 0.05;
/// How far allocations may be besides: one in a thousand units, the last place of the table.
const ALLOCATION_SLACK: f64 = 0.001;
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/gates.json");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What one unit of a gate's work costs.
#[derive(Clone, PartialEq, Debug)]
struct Cost {
    unit: String,
    instructions: f64,
    allocations: f64,
}

/// How a gate stands to the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Same,
    Worse,
    Better,
    /// The table does not have it.
    New,
}

/// Counts every gate and compares it with the table, or writes the table anew.
#[expect(clippy::print_stdout, reason = "this is a program")]
pub(crate) fn run(update: bool) -> Result<(), String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err("the table of the gates is for x86_64 Linux: other processors have other instructions".to_owned());
    }
    let program = build()?;
    let compiler = compiler()?;
    let counted = count_all(&program)?;
    if update {
        std::fs::write(TABLE, to_table(&compiler, &counted)).map_err(|error| format!("{TABLE}: {error}"))?;
        counted.iter().for_each(|(name, cost)| println!("{}", row(name, cost, None)));
        return Ok(());
    }
    let text = std::fs::read_to_string(TABLE).map_err(|error| format!("{TABLE}: {error}"))?;
    let (table_compiler, table) = from_table(&text).ok_or_else(|| format!("{TABLE}: not the shape of the table"))?;
    if compiler != table_compiler {
        println!("note: the table was made with {table_compiler}, this is {compiler}");
    }
    let mut wrong = Vec::new();
    for (name, cost) in &counted {
        let verdict = judge(cost, table.get(name));
        println!("{}", row(name, cost, Some((verdict, table.get(name)))));
        match verdict {
            Verdict::Same => {}
            Verdict::Worse => wrong.push(format!("{name} costs more than 5 % more")),
            Verdict::Better => wrong.push(format!("{name} costs more than 5 % less: update the table")),
            Verdict::New => wrong.push(format!("{name} is not in the table: update it")),
        }
    }
    let gone = table.keys().filter(|name| !counted.contains_key(*name));
    wrong.extend(gone.map(|name| format!("{name} is in the table but there is no such gate: update the table")));
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.push("`cargo run -p xtask -- gates --update` writes the table; the commit says why".to_owned());
    Err(wrong.join("\n  "))
}

/// Builds the bodies with the profile of the release; where the program is.
fn build() -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(WORKSPACE).args(["build", "--release", "--locked", "-p", "riverrun-sim", "--example", "gates"]);
    let output = output(cargo.arg("--message-format=json-render-diagnostics"), "cargo build")?;
    output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "gates")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo build: names no program".to_owned())
}

/// The compiler as it names itself, `rustc 1.95.0`: other releases make other instructions.
fn compiler() -> Result<String, String> {
    let version = output(Command::new("rustc").arg("--version"), "rustc")?;
    Ok(version.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned())
}

fn count_all(program: &Path) -> Result<BTreeMap<String, Cost>, String> {
    let list = output(&mut Command::new(program), "gates")?;
    let mut counted = BTreeMap::new();
    for line in list.lines() {
        let (name, unit) = line.split_once(' ').ok_or_else(|| format!("gates: lists {line:?}"))?;
        let (counts, units) = count(program, name)?;
        if counts.instructions == 0 || units == 0 {
            return Err(format!("{name}: nothing was counted"));
        }
        let unit = unit.to_owned();
        let [instructions, allocations] = [counts.instructions, counts.allocations].map(|count| per_unit(count, units));
        counted.insert(name.to_owned(), Cost { unit, instructions, allocations });
    }
    if counted.is_empty() { Err("gates: lists nothing".to_owned()) } else { Ok(counted) }
}

/// Runs one gate under callgrind; what was counted, and over how many units.
fn count(program: &Path, name: &str) -> Result<(Counts, u64), String> {
    let profile = program.with_file_name(format!("gates-{}-{name}.callgrind", std::process::id()));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=gates::measured*"]);
    valgrind.arg(format!("--callgrind-out-file={}", profile.display())).arg(program).arg(name);
    let outcome = output(&mut valgrind, "valgrind").and_then(|units| {
        let text = std::fs::read_to_string(&profile).map_err(|error| format!("{}: {error}", profile.display()))?;
        let units =
            units.trim().parse().map_err(|_| format!("{name}: says {units:?} in place of a number of units"))?;
        Ok((text, units))
    });
    let _ = std::fs::remove_file(&profile);
    let (text, units) = outcome?;
    let counts = callgrind::counts(&text, "/gates").ok_or_else(|| format!("{name}: callgrind's file is strange"))?;
    Ok((counts, units))
}

/// What a program prints; it must end well.
fn output(command: &mut Command, what: &str) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{what} is not installed (Debian: apt-get install {what})"),
        _ => format!("{what}: {error}"),
    })?;
    if !output.status.success() {
        return Err(format!("{what}: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{what}: prints what is not text"))
}

/// To three places, as in the table.
#[expect(clippy::cast_precision_loss, reason = "counts of seconds are far below 2^52")]
fn per_unit(count: u64, units: u64) -> f64 {
    (count as f64 / units as f64 * 1000.0).round() / 1000.0
}

fn judge(cost: &Cost, table: Option<&Cost>) -> Verdict {
    let Some(table) = table.filter(|table| table.unit == cost.unit) else { return Verdict::New };
    let counts =
        [(cost.instructions, table.instructions, 0.0), (cost.allocations, table.allocations, ALLOCATION_SLACK)];
    if counts.iter().any(|(now, then, slack)| *now > then * (1.0 + TOLERANCE) + slack) {
        Verdict::Worse
    } else if counts.iter().any(|(now, then, slack)| *now < then * (1.0 - TOLERANCE) - slack) {
        Verdict::Better
    } else {
        Verdict::Same
    }
}

fn row(name: &str, cost: &Cost, beside: Option<(Verdict, Option<&Cost>)>) -> String {
    let mut row = format!(
        "{name:<28} {:>10.3} instructions, {:>7.3} allocations per {:<5}",
        cost.instructions, cost.allocations, cost.unit
    );
    if let Some((verdict, table)) = beside {
        if let Some(table) = table {
            let change = (cost.instructions / table.instructions - 1.0) * 100.0;
            row.push_str(&format!("  {change:+.2} % ({:+.3})", cost.allocations - table.allocations));
        }
        row.push_str(match verdict {
            Verdict::Same => "",
            Verdict::Worse => "  WORSE",
            Verdict::Better => "  BETTER",
            Verdict::New => "  NEW",
        });
    }
    row
}

fn to_table(compiler: &str, costs: &BTreeMap<String, Cost>) -> String {
    let gates: serde_json::Map<String, Value> = costs
        .iter()
        .map(|(name, cost)| {
            let cost = json!({"unit": cost.unit, "instructions": cost.instructions, "allocations": cost.allocations});
            (name.clone(), cost)
        })
        .collect();
    format!("{:#}\n", json!({"compiler": compiler, "gates": gates}))
}

fn from_table(text: &str) -> Option<(String, BTreeMap<String, Cost>)> {
    let value: Value = serde_json::from_str(text).ok()?;
    let gates = value["gates"].as_object()?.iter().map(|(name, cost)| {
        let unit = cost["unit"].as_str()?.to_owned();
        let (instructions, allocations) = (cost["instructions"].as_f64()?, cost["allocations"].as_f64()?);
        Some((name.clone(), Cost { unit, instructions, allocations }))
    });
    Some((value["compiler"].as_str()?.to_owned(), gates.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(instructions: f64, allocations: f64) -> Cost {
        Cost { unit: "block".to_owned(), instructions, allocations }
    }

    #[test]
    fn more_than_five_percent_is_a_verdict() {
        let table = cost(100.0, 0.0);
        for (now, verdict) in [
            (cost(100.0, 0.0), Verdict::Same),
            (cost(104.9, 0.0), Verdict::Same),
            (cost(95.1, 0.0), Verdict::Same),
            (cost(105.1, 0.0), Verdict::Worse),
            (cost(94.9, 0.0), Verdict::Better),
            (cost(100.0, 0.001), Verdict::Same),
            (cost(94.9, 0.002), Verdict::Worse),
        ] {
            assert_eq!(judge(&now, Some(&table)), verdict, "{now:?}");
        }
        assert_eq!(judge(&table, None), Verdict::New);
        assert_eq!(judge(&table, Some(&Cost { unit: "file".to_owned(), ..table.clone() })), Verdict::New);
    }

    #[test]
    fn the_table_is_read_as_it_is_written() {
        let costs = BTreeMap::from([("a".to_owned(), cost(12.345, 0.0)), ("b".to_owned(), cost(1e6, 2.5))]);
        assert_eq!(from_table(&to_table("rustc 1", &costs)), Some(("rustc 1".to_owned(), costs)));
        assert_eq!(from_table("{}"), None);
        assert_eq!(from_table(r#"{"compiler": "c", "gates": {"a": {"unit": "block"}}}"#), None);
    }

    #[test]
    fn the_table_of_the_tree_can_be_read() {
        let (_, table) = from_table(&std::fs::read_to_string(TABLE).expect("it is in the tree")).expect("a table");
        assert!(table.len() >= 8, "{table:?}");
    }
}
