//! What callgrind wrote down, reduced to the counts that are the same on every machine.

use std::collections::HashMap;

/// What a program did between the start of its collection and the end.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Counts {
    /// Instructions of the program's own code, hashing left out.
    pub(crate) instructions: u64,
    /// Calls of the allocator.
    pub(crate) allocations: u64,
}

/// Functions whose kernel is chosen by the processor: what they run differs from machine to machine.
const CHOSEN_BY_PROCESSOR: [&str; 3] = ["sha1::", "sha2::", "riverrun_metainfo::hash::"];
const ALLOCATORS: [&str; 6] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// The counts in a file of callgrind (its format 1, names compressed or not), for the object whose path ends in `program`.
///
/// Only the object itself counts: the copy and the allocator of the C library are other code on other processors (they choose by
/// what it can) and other releases. `None`: it is not such a file.
pub(crate) fn counts(profile: &str, program: &str) -> Option<Counts> {
    profile.lines().find(|line| line.starts_with("events:")).filter(|line| *line == "events: Ir")?;
    let mut counts = Counts::default();
    let (mut objects, mut functions) = (Names::default(), Names::default());
    let (mut own, mut chosen, mut allocator, mut called) = (false, false, false, false);
    for line in profile.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "ob" => own = objects.of(value)?.ends_with(program),
                "fn" => {
                    let name = functions.of(value)?;
                    chosen = CHOSEN_BY_PROCESSOR.iter().any(|start| name.contains(start));
                }
                "cob" => drop(objects.of(value)?),
                "cfn" => allocator = ALLOCATORS.contains(&functions.of(value)?),
                "calls" => {
                    let calls: u64 = value.split(' ').next()?.parse().ok()?;
                    counts.allocations += if own && allocator { calls } else { 0 };
                    // The next line has what the callee cost, which its own lines have too.
                    called = true;
                }
                _ => {}
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if own && !chosen && !called {
                counts.instructions += line.split(' ').nth(1)?.parse::<u64>().ok()?;
            }
            called = false;
        }
    }
    Some(counts)
}

/// Names that are written out once, `(7) name`, and then only as `(7)`.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    fn of(&mut self, value: &'a str) -> Option<&'a str> {
        if !value.starts_with('(') {
            return Some(value);
        }
        match value.split_once(") ") {
            Some((number, name)) => {
                self.0.insert(number, name);
                Some(name)
            }
            None => self.0.get(value.strip_suffix(')')?).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
version: 1
positions: line
events: Ir
summary: 5000

ob=(1) /build/gates
fl=(1) a.rs
fn=(1) gates::measured
16 3
cob=(2) /lib/libc.so.6
cfn=(2) malloc
calls=2 0
+1 400
cfn=(3) sha1::compress
calls=7 9
* 1000
fi=(2) b.rs
-2 30
fe=(1)
20 4

ob=(2)
fn=(2)
0 400

ob=(1)
fn=(3)
9 1000

fn=(4) riverrun_metainfo::parse
1 200
cob=(2)
cfn=(2)
calls=5 0
1 600

totals: 5000
";

    #[test]
    fn own_instructions_count_without_callees_hashing_and_the_c_library() {
        assert_eq!(counts(PROFILE, "/gates"), Some(Counts { instructions: 3 + 30 + 4 + 200, allocations: 7 }));
        assert_eq!(counts(PROFILE, "/libc.so.6"), Some(Counts { instructions: 400, allocations: 0 }));
    }

    #[test]
    fn what_is_not_such_a_file_is_refused() {
        assert_eq!(counts("", "/gates"), None);
        assert_eq!(counts("events: Ir Dr\n", "/gates"), None);
        assert_eq!(counts("events: Ir\nob=(1)\n", "/gates"), None);
    }
}
