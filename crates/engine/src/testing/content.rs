//! Content that is the same on every machine.

use std::io;
use std::path::{Path, PathBuf};

use riverrun_metainfo::create::{Options, Plan, Planned, SourceFile};
use riverrun_metainfo::piece_hash::Format;
use riverrun_metainfo::{Bitfield, PieceIndex};

/// Fills a buffer with bytes that depend on the seed alone and do not compress.
pub fn fill(seed: u64, into: &mut [u8]) {
    fastrand::Rng::with_seed(seed).fill(into);
}

/// A folder or file of made-up bytes, and the torrent of it.
#[derive(Clone, Debug)]
pub struct Content {
    /// The name of the file, or of the folder.
    pub name: String,
    /// Path under the folder and bytes of each file; one entry with an empty path is a torrent of one file.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Content {
    /// One file.
    #[must_use]
    pub fn file(name: &str, seed: u64, length: usize) -> Self {
        let mut bytes = vec![0; length];
        fill(seed, &mut bytes);
        Self { name: name.into(), files: vec![(String::new(), bytes)] }
    }

    /// A folder of files with these paths (parts divided by `/`) and lengths.
    #[must_use]
    pub fn folder<'a>(name: &str, seed: u64, files: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let files = files.into_iter().zip(seed..).map(|((path, length), seed)| {
            let mut bytes = vec![0; length];
            fill(seed, &mut bytes);
            (path.to_owned(), bytes)
        });
        Self { name: name.into(), files: files.collect() }
    }

    /// The length of all files together, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The bytes of a .torrent file for it, with one tracker in each tier.
    ///
    /// # Panics
    /// The content is empty, a path cannot stand in a torrent, or the piece length is not allowed.
    #[must_use]
    pub fn torrent(&self, format: Format, piece_length: Option<u32>, trackers: &[String]) -> Vec<u8> {
        let mut plan = self.plan(format, piece_length);
        let stream = self.stream(&plan);
        for piece in (0..plan.layout().piece_count()).map(PieceIndex) {
            let mut digester = plan.digester(piece);
            let span = plan.layout().piece_span(piece).expect("the piece is one of the layout's");
            digester.update(&stream[range(span)]);
            plan.put(piece, digester.finish());
        }
        let mut draft = plan.finish().expect("every piece has its digest").draft();
        draft.trackers = trackers.iter().map(|url| vec![url.clone()]).collect();
        draft.encode()
    }

    fn plan(&self, format: Format, piece_length: Option<u32>) -> Plan {
        let sources = self.files.iter().map(|(path, bytes)| SourceFile {
            path: path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            length: bytes.len() as u64,
            ..SourceFile::default()
        });
        let options = Options { format, piece_length, ..Options::new(self.name.clone()) };
        Plan::new(sources.collect(), options).expect("made-up content can be shared")
    }

    /// The byte stream of the torrent: files and padding.
    fn stream(&self, plan: &Plan) -> Vec<u8> {
        let length = usize::try_from(plan.layout().stream_length()).expect("it is in memory already");
        let mut stream = vec![0; length];
        for (planned, lies) in plan.files().iter().zip(plan.layout().files()) {
            if let Planned::Source(number) = planned {
                let bytes = &self.files[*number].1;
                let at = usize::try_from(lies.offset).expect("inside the stream");
                stream[at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
        stream
    }

    /// Writes the content into a folder, under its name.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_into(&self, dir: &Path) -> io::Result<()> {
        self.paths(dir).zip(&self.files).try_for_each(|(path, (_, bytes))| write(&path, bytes))
    }

    /// Writes the content into a folder with zeros in place of the pieces that are not in the set. `format` and
    /// `piece_length` are those of its torrent.
    pub(crate) fn write_part(
        &self,
        dir: &Path,
        format: Format,
        piece_length: Option<u32>,
        part: &dyn Fn(PieceIndex) -> bool,
    ) -> io::Result<Bitfield> {
        let plan = self.plan(format, piece_length);
        let mut stream = self.stream(&plan);
        let mut had = Bitfield::empty(plan.layout().piece_count());
        for piece in (0..plan.layout().piece_count()).map(PieceIndex) {
            if part(piece) {
                had.insert(piece);
            } else {
                stream[range(plan.layout().piece_span(piece).expect("the piece is one of the layout's"))].fill(0);
            }
        }
        let paths: Vec<_> = self.paths(dir).collect();
        for (planned, lies) in plan.files().iter().zip(plan.layout().files()) {
            if let Planned::Source(number) = planned {
                let span = riverrun_metainfo::Span { offset: lies.offset, length: lies.length };
                write(&paths[*number], &stream[range(span)])?;
            }
        }
        Ok(had)
    }

    /// Whether a folder holds exactly these bytes under the content's name.
    ///
    /// # Errors
    /// The path of the first file that is missing or differs.
    pub fn compare(&self, dir: &Path) -> Result<(), String> {
        for (path, (_, bytes)) in self.paths(dir).zip(&self.files) {
            if std::fs::read(&path).ok().as_deref() != Some(bytes.as_slice()) {
                return Err(path.display().to_string());
            }
        }
        Ok(())
    }

    fn paths(&self, dir: &Path) -> impl Iterator<Item = PathBuf> {
        let root = dir.join(&self.name);
        self.files.iter().map(move |(path, _)| if path.is_empty() { root.clone() } else { root.join(path) })
    }
}

fn range(span: riverrun_metainfo::Span) -> std::ops::Range<usize> {
    let at = |offset: u64| usize::try_from(offset).expect("the stream is in memory");
    at(span.offset)..at(span.end())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)
}
