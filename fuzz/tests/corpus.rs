//! Every body over its committed corpus, and over what every input is likely to be cut to.

use std::fs;
use std::path::Path;

use riverrun_fuzz::BODIES;

/// Over this many bytes only the whole file is run, not each of its fronts.
const CUT_BELOW: usize = 600;

#[test]
fn every_body_survives_its_corpus() {
    for (name, body) in BODIES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
        files.sort();
        assert!(files.len() >= 5, "{name} has a corpus");
        for file in files {
            let bytes = fs::read(&file).expect("the file can be read");
            println!("{name}: {} ({} bytes)", file.display(), bytes.len());
            body(&bytes);
            if bytes.len() < CUT_BELOW {
                (0..bytes.len()).for_each(|cut| body(&bytes[..cut]));
            }
        }
    }
}

#[test]
fn every_body_survives_nothing_and_runs_of_one_byte() {
    for (_, body) in BODIES {
        body(&[]);
        for byte in 0..=u8::MAX {
            for length in [1, 2, 3, 5, 8, 13, 100, 1000] {
                body(&vec![byte; length]);
            }
        }
    }
}

#[test]
fn every_target_is_a_body_and_every_body_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut targets: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    let bodies: Vec<_> = BODIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(targets, bodies);
}
