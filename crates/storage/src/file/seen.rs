//! Which file on disk each file of a torrent was when it was first opened.

use riverrun_metainfo::FileIndex;

/// Device and inode.
pub(super) type Identity = (u64, u64);

/// The identities by the files' numbers: a list as long as the highest one that was opened, since files are mostly opened in their order,
/// and most of thousands of idle torrents have one.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<Option<Identity>>);

impl Seen {
    /// What the file was, if it was open.
    pub(super) fn get(&self, file: FileIndex) -> Option<Identity> {
        self.0.get(place(file)).copied().flatten()
    }

    /// Notes what a file is, unless something was noted before; what is noted now.
    pub(super) fn note(&mut self, file: FileIndex, identity: Identity) -> Identity {
        let place = place(file);
        if self.0.len() <= place {
            // Twice as much each time would be lost on those with one file.
            self.0.reserve_exact((place + 1).max(self.0.len() + self.0.len() / 2) - self.0.len());
            self.0.resize(place + 1, None);
        }
        *self.0[place].get_or_insert(identity)
    }

    pub(super) fn forget(&mut self, file: FileIndex) {
        if let Some(noted) = self.0.get_mut(place(file)) {
            *noted = None;
        }
    }
}

/// The part file, whose number is the highest there is, comes first.
fn place(file: FileIndex) -> usize {
    file.0.wrapping_add(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::overhang::PART_FILE;

    #[test]
    fn the_first_identity_stays_until_it_is_forgotten() {
        let mut seen = Seen::default();
        for (number, file) in [FileIndex(3), PART_FILE, FileIndex(0)].into_iter().enumerate() {
            let (first, second) = ((1, number as u64), (2, number as u64));
            assert_eq!(seen.get(file), None);
            assert_eq!(seen.note(file, first), first);
            assert_eq!(seen.note(file, second), first, "{file:?}");
            assert_eq!(seen.get(file), Some(first));
        }
        seen.forget(FileIndex(3));
        seen.forget(FileIndex(9));
        assert_eq!((seen.get(FileIndex(3)), seen.get(PART_FILE)), (None, Some((1, 1))));
        assert_eq!(seen.note(FileIndex(3), (7, 7)), (7, 7));
    }
}
