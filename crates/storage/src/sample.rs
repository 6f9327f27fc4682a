//! Small torrents for tests, with their bytes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::io::IoSlice;
use std::sync::Arc;

use riverrun_metainfo::create::{Options, Plan, SourceFile};
use riverrun_metainfo::info::Info;
use riverrun_metainfo::metainfo::{Metainfo, PieceHashes};
use riverrun_metainfo::piece_hash::Format;
use riverrun_metainfo::{Layout, PieceIndex, Span};

use crate::Storage;

/// A torrent and its byte stream.
pub(crate) struct Sample {
    pub(crate) info: Arc<Info>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) hashes: Arc<PieceHashes>,
    pub(crate) stream: Vec<u8>,
}

impl Sample {
    /// A folder of files with these paths and lengths; the bytes differ everywhere.
    pub(crate) fn new(format: Format, piece_length: u32, files: &[(&str, u64)]) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        Self::filled(format, piece_length, files, |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
    }

    /// The same with bytes of the caller's choice, by offset in the stream.
    pub(crate) fn filled(
        format: Format,
        piece_length: u32,
        files: &[(&str, u64)],
        mut byte: impl FnMut(u64) -> u8,
    ) -> Self {
        let source = |(path, length): &(&str, u64)| SourceFile {
            path: path.split('/').map(str::to_owned).collect(),
            length: *length,
            ..SourceFile::default()
        };
        let options = Options { format, piece_length: Some(piece_length), ..Options::new("sample") };
        let mut plan = Plan::new(files.iter().map(source).collect(), options).unwrap();
        let mut stream = vec![0; plan.layout().stream_length() as usize];
        for file in plan.layout().files().iter().filter(|file| !file.pad) {
            for at in file.offset..file.offset + file.length {
                stream[at as usize] = byte(at);
            }
        }
        for piece in (0..plan.layout().piece_count()).map(PieceIndex) {
            let mut hasher = plan.digester(piece);
            hasher.update(&stream[range(plan.layout().piece_span(piece).unwrap())]);
            plan.put(piece, hasher.finish());
        }
        let metainfo = Metainfo::parse(plan.finish().unwrap().draft().encode().into()).unwrap();
        let info = Arc::clone(metainfo.info());
        Self { layout: Arc::clone(info.layout()), hashes: metainfo.piece_hashes(), info, stream }
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = PieceIndex> + use<> {
        (0..self.layout.piece_count()).map(PieceIndex)
    }

    pub(crate) fn span_of(&self, piece: PieceIndex) -> Span {
        self.layout.piece_span(piece).unwrap()
    }

    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        &self.stream[range(span)]
    }

    /// Puts all bytes where they belong.
    pub(crate) fn store(&self, storage: &dyn Storage) {
        let span = Span { offset: 0, length: self.stream.len() as u64 };
        storage.write_at(span, &[IoSlice::new(&self.stream)]).unwrap();
    }
}

pub(crate) fn range(span: Span) -> std::ops::Range<usize> {
    span.offset as usize..span.end() as usize
}
