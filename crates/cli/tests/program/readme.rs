//! What README.md says is so.

use riverrun_cli::Exit;

use crate::room::Room;

const README: &str = include_str!("../../../../README.md");

/// The lines of each fenced block of this kind.
fn blocks(kind: &str) -> Vec<Vec<&'static str>> {
    let fence = format!("```{kind}");
    let mut lines = README.lines();
    let mut blocks = Vec::new();
    while lines.by_ref().any(|line| line == fence) {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
    }
    blocks
}

/// Whether `expected` is what was printed; a line `…` stands for any number of lines.
fn matches(expected: &[&str], printed: &[&str]) -> bool {
    match expected {
        [] => printed.is_empty(),
        ["…", rest @ ..] => (0..=printed.len()).any(|skip| matches(rest, &printed[skip..])),
        [first, rest @ ..] => printed.first() == Some(first) && matches(rest, &printed[1..]),
    }
}

#[test]
fn the_examples_print_what_they_say() {
    let room = Room::new();
    for (name, line, length) in
        [("01.flac", "one\n", 5_200_000), ("02.flac", "two\n", 4_700_000), ("cover.txt", "note\n", 1_200)]
    {
        let bytes: Vec<u8> = line.bytes().cycle().take(length).collect();
        room.write(&format!("album/{name}"), bytes);
    }
    let examples = blocks("console");
    assert_eq!(examples.len(), 5, "the README promises five examples");
    for example in examples {
        let (command, expected) = example.split_first().unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let ["$", "riverrun", arguments @ ..] = words.as_slice() else { panic!("not a command: {command}") };
        let ran = room.run(arguments);
        assert_eq!(ran.code, 0, "{command}: {}", ran.err);
        let printed: Vec<&str> = ran.out.lines().collect();
        assert!(matches(expected, &printed), "{command} printed\n{}", ran.out);
    }
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let table = Exit::table();
    let expected: Vec<&str> = table.lines().skip(1).collect();
    assert!(blocks("text").contains(&expected), "README.md should have\n{table}");
}
