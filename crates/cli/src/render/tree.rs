//! A tree of files, as text.

use std::collections::BTreeMap;

/// One folder: its folders and files in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File(String),
    Folder(Tree),
}

impl Tree {
    /// Adds a file by its parts, with a note that stands behind its name.
    pub(crate) fn add(&mut self, parts: &[&str], note: String) {
        match parts {
            [] => {}
            [name] => {
                self.entries.insert((*name).to_owned(), Entry::File(note));
            }
            [folder, rest @ ..] => {
                let entry = self.entries.entry((*folder).to_owned()).or_insert_with(|| Entry::Folder(Self::default()));
                if let Entry::Folder(tree) = entry {
                    tree.add(rest, note);
                }
            }
        }
    }

    /// Its lines, each behind `indent`.
    pub(crate) fn lines(&self, indent: &str) -> Vec<String> {
        let mut lines = Vec::new();
        self.draw(indent, &mut lines);
        lines
    }

    fn draw(&self, indent: &str, lines: &mut Vec<String>) {
        let last = self.entries.len().saturating_sub(1);
        for (at, (name, entry)) in self.entries.iter().enumerate() {
            let (branch, below) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            match entry {
                Entry::File(note) => lines.push(format!("{indent}{branch}{name}{note}")),
                Entry::Folder(tree) => {
                    lines.push(format!("{indent}{branch}{name}/"));
                    tree.draw(&format!("{indent}{below}"), lines);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hold_their_files() {
        let mut tree = Tree::default();
        tree.add(&["b", "2"], "  2 B".into());
        tree.add(&["a"], "  1 B".into());
        tree.add(&["b", "c", "3"], String::new());
        assert_eq!(tree.lines("  "), ["  ├─ a  1 B", "  └─ b/", "     ├─ 2  2 B", "     └─ c/", "        └─ 3"]);
    }
}
