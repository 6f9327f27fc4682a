//! What the owner wants of a torrent's files.

use std::sync::Arc;

use riverrun_metainfo::{Bitfield, FileIndex, Layout};
use riverrun_proto::swarm::{Priorities, Priority};

/// Stands in a record for a file that is not wanted and was once.
const WANTED_ONCE: u8 = 4;

/// A priority for each file, and what follows for the pieces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Choice {
    /// One per file, padding included; `None`: all are wanted alike.
    files: Option<Arc<[Priority]>>,
    /// Which files were wanted once, where not all are: what is in them was written by us or allowed by the owner.
    once: Option<Arc<[bool]>>,
    /// `None`: all are wanted alike.
    pieces: Option<Box<Priorities>>,
}

impl Choice {
    /// One priority for each file of the layout.
    pub(crate) fn of_files(layout: &Layout, files: Vec<Priority>) -> Self {
        if files.iter().all(|priority| *priority == Priority::Normal) {
            return Self::default();
        }
        Self { pieces: Some(Priorities::of_files(layout, &files).into()), files: Some(files.into()), once: None }
    }

    /// All files, but only these pieces.
    pub(crate) fn of_pieces(wanted: Bitfield) -> Self {
        Self { pieces: Some(Box::new(wanted.into())), ..Self::default() }
    }

    /// The same after an earlier choice: files that were wanted then are known as ours.
    pub(crate) fn after(mut self, earlier: &Self) -> Self {
        if let Some(files) = &self.files {
            let numbers = (0u32..).map(FileIndex).take(files.len());
            let once: Vec<bool> = numbers.map(|file| self.makes(file) || earlier.makes(file)).collect();
            self.once = Some(once.into());
        }
        self
    }

    /// Whether the file is wanted, or was once: what is in it is ours.
    pub(crate) fn makes(&self, file: FileIndex) -> bool {
        self.wants(file) || self.once.as_ref().is_some_and(|once| once[file.0 as usize])
    }

    /// What a resume record says: a byte for each file, or none if all are wanted alike. `None` if it makes no sense.
    pub(crate) fn unpack(layout: &Layout, packed: &[u8]) -> Option<Self> {
        let priority = |byte: &u8| match *byte {
            0 | WANTED_ONCE => Some(Priority::Skip),
            1 => Some(Priority::Low),
            2 => Some(Priority::Normal),
            3 => Some(Priority::High),
            _ => None,
        };
        let files: Vec<Priority> = packed.iter().map(priority).collect::<Option<_>>()?;
        match files.len() {
            0 => Some(Self::default()),
            length if length == layout.files().len() => {
                let once: Vec<bool> = packed.iter().map(|byte| *byte != 0).collect();
                let choice = Self::of_files(layout, files);
                let once = choice.files.as_ref().map(|_| once.into());
                Some(Self { once, ..choice })
            }
            _ => None,
        }
    }

    /// The same for a record to come.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let byte = |(priority, file): (&Priority, FileIndex)| match priority {
            Priority::Skip if self.makes(file) => WANTED_ONCE,
            Priority::Skip => 0,
            Priority::Low => 1,
            Priority::Normal => 2,
            Priority::High => 3,
        };
        self.files.iter().flat_map(|files| files.iter()).zip((0u32..).map(FileIndex)).map(byte).collect()
    }

    /// The same with other priorities for some files.
    pub(crate) fn changed(&self, layout: &Layout, changes: &[(usize, Priority)]) -> Self {
        let mut files = match &self.files {
            Some(files) => files.to_vec(),
            None => vec![Priority::Normal; layout.files().len()],
        };
        for (file, priority) in changes {
            files[*file] = *priority;
        }
        Self::of_files(layout, files).after(self)
    }

    /// The priority of a file.
    pub(crate) fn of(&self, file: FileIndex) -> Priority {
        self.files.as_ref().map_or(Priority::Normal, |files| files[file.0 as usize])
    }

    pub(crate) fn wants(&self, file: FileIndex) -> bool {
        self.of(file) != Priority::Skip
    }

    /// How much each piece is wanted; `None`: all alike.
    pub(crate) fn pieces(&self) -> Option<&Priorities> {
        self.pieces.as_deref()
    }

    /// The pieces that are wanted; `None`: all.
    pub(crate) fn wanted(&self) -> Option<&Bitfield> {
        self.pieces().map(Priorities::wanted)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_choice_survives_its_record() {
        use Priority::{High, Low, Normal, Skip};
        let layout = Layout::v1(10, [(5, false), (7, false), (8, true), (25, false)]).unwrap();
        for files in [vec![Skip, Low, Normal, High], vec![Normal; 4], vec![Skip; 4]] {
            let choice = Choice::of_files(&layout, files.clone());
            let choice = choice.after(&Choice::of_files(&layout, vec![Low, Skip, Skip, Skip]));
            assert_eq!(Choice::unpack(&layout, &choice.pack()), Some(choice.clone()));
            assert!((0..4).all(|file| choice.makes(FileIndex(file)) == (file == 0 || choice.wants(FileIndex(file)))));
            assert!((0..4).all(|file| choice.of(FileIndex(file)) == files[file as usize]));
        }
        assert_eq!(Choice::unpack(&layout, &[2, 2]), None);
        assert_eq!(Choice::unpack(&layout, &[2, 2, 2, 5]), None);
    }
}
