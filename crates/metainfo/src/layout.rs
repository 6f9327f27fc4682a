//! The map between the byte stream, pieces, blocks and files.
//!
//! One type for the three piece spaces: in v1 pieces run over file borders; in v2 each file starts a piece of its own and its
//! last piece is short (BEP 52); a hybrid is v1 whose pad files (BEP 47) make every file start a piece.

use std::ops::Range;

use crate::piece::{BLOCK_LENGTH, Block, PieceIndex, Span};

/// The number of a file in the torrent's order, pad files counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileIndex(pub u32);

/// Where one file lies in the byte stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LayoutFile {
    /// Its first byte in the stream.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// It is padding (BEP 47): all zeros, never on disk.
    pub pad: bool,
}

/// A part of a span that lies in one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The file.
    pub file: FileIndex,
    /// Where the part starts in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes, never zero.
    pub length: u64,
    /// The file is padding: read as zeros, never write.
    pub pad: bool,
}

/// Why lengths do not make a layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The piece length is zero or over the limit.
    #[error("piece length {0} is outside 1 to {max}", max = Layout::MAX_PIECE_LENGTH)]
    PieceLength(u64),
    /// All files together are longer than the limit.
    #[error("total length is over {max} bytes", max = Layout::MAX_STREAM_LENGTH)]
    TotalLength,
    /// There would be more pieces than the limit.
    #[error("{0} pieces are more than {max}", max = Layout::MAX_PIECES)]
    Pieces(u64),
    /// There are more files than the limit.
    #[error("more than {max} files", max = Layout::MAX_FILES)]
    Files,
}

/// Which bytes make which piece, block and file. Cheap to ask: every question is arithmetic or one binary search.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    piece_length: u32,
    pieces: u32,
    /// The end of the last file.
    stream_length: u64,
    content_length: u64,
    files: Vec<LayoutFile>,
    /// v2 only: pieces end where their file ends.
    pieces_end_with_files: bool,
}

impl Layout {
    /// The longest piece, in bytes.
    pub const MAX_PIECE_LENGTH: u64 = 512 << 20;
    /// The longest byte stream, in bytes.
    pub const MAX_STREAM_LENGTH: u64 = 1 << 60;
    /// The most pieces.
    pub const MAX_PIECES: u64 = 1 << 26;
    /// The most files.
    pub const MAX_FILES: usize = 2_000_000;

    /// The layout of a v1 or hybrid torrent: files one after the other. `files` gives each length in bytes and whether it is padding.
    ///
    /// # Errors
    /// A length or a number is over its limit.
    pub fn v1(piece_length: u64, files: impl IntoIterator<Item = (u64, bool)>) -> Result<Self, LayoutError> {
        Self::build(piece_length, files, false)
    }

    /// The layout of a v2 torrent: each file starts at a multiple of the piece length. `lengths` are in bytes.
    ///
    /// # Errors
    /// A length or a number is over its limit.
    pub fn v2(piece_length: u64, lengths: impl IntoIterator<Item = u64>) -> Result<Self, LayoutError> {
        Self::build(piece_length, lengths.into_iter().map(|length| (length, false)), true)
    }

    fn build(
        piece_length: u64,
        lengths: impl IntoIterator<Item = (u64, bool)>,
        aligned: bool,
    ) -> Result<Self, LayoutError> {
        let short = u32::try_from(piece_length).ok().filter(|&n| n > 0 && u64::from(n) <= Self::MAX_PIECE_LENGTH);
        let short = short.ok_or(LayoutError::PieceLength(piece_length))?;
        let lengths = lengths.into_iter();
        let mut files = Vec::with_capacity(lengths.size_hint().0.min(Self::MAX_FILES));
        let (mut end, mut content_length) = (0u64, 0u64);
        for (length, pad) in lengths {
            if files.len() == Self::MAX_FILES {
                return Err(LayoutError::Files);
            }
            let offset = if aligned && length > 0 { end.next_multiple_of(piece_length) } else { end };
            if length > Self::MAX_STREAM_LENGTH || offset > Self::MAX_STREAM_LENGTH - length {
                return Err(LayoutError::TotalLength);
            }
            end = offset + length;
            content_length += if pad { 0 } else { length };
            files.push(LayoutFile { offset, length, pad });
        }
        let pieces = end.div_ceil(piece_length);
        let pieces = u32::try_from(pieces)
            .ok()
            .filter(|&n| u64::from(n) <= Self::MAX_PIECES)
            .ok_or(LayoutError::Pieces(pieces))?;
        Ok(Self {
            piece_length: short,
            pieces,
            stream_length: end,
            content_length,
            files,
            pieces_end_with_files: aligned,
        })
    }

    /// The length of every piece but short ones, in bytes.
    #[must_use]
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// The number of pieces.
    #[must_use]
    pub fn piece_count(&self) -> u32 {
        self.pieces
    }

    /// The length of the byte stream, padding and gaps included.
    #[must_use]
    pub fn stream_length(&self) -> u64 {
        self.stream_length
    }

    /// The bytes that a user gets: all files but padding.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.content_length
    }

    /// The files, in the torrent's order, padding included.
    #[must_use]
    pub fn files(&self) -> &[LayoutFile] {
        &self.files
    }

    /// The bytes of a piece in the stream; `None` past the last piece.
    #[must_use]
    pub fn piece_span(&self, piece: PieceIndex) -> Option<Span> {
        if piece.0 >= self.pieces {
            return None;
        }
        let offset = u64::from(piece.0) * u64::from(self.piece_length);
        let full_end = offset + u64::from(self.piece_length);
        let end = if self.pieces_end_with_files {
            full_end.min(self.files[self.file_at(offset)].end())
        } else {
            full_end.min(self.stream_length)
        };
        Some(Span { offset, length: end - offset })
    }

    /// The length of a piece in bytes; 0 past the last piece.
    #[must_use]
    pub fn length_of(&self, piece: PieceIndex) -> u32 {
        let length = self.piece_span(piece).map_or(0, |span| span.length);
        u32::try_from(length).expect("a piece is at most MAX_PIECE_LENGTH long")
    }

    /// How many blocks a piece has; 0 past the last piece.
    #[must_use]
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.length_of(piece).div_ceil(BLOCK_LENGTH)
    }

    /// The block with this number in a piece; `None` past the end.
    #[must_use]
    pub fn block(&self, piece: PieceIndex, number: u32) -> Option<Block> {
        let length = self.length_of(piece);
        let begin = number.checked_mul(BLOCK_LENGTH)?;
        (begin < length).then(|| Block { piece, begin, length: BLOCK_LENGTH.min(length - begin) })
    }

    /// Whether a range that a stranger named lies inside its piece and is not empty.
    #[must_use]
    pub fn contains(&self, block: Block) -> bool {
        let end = u64::from(block.begin) + u64::from(block.length);
        block.length > 0 && end <= u64::from(self.length_of(block.piece))
    }

    /// The bytes of the stream that answer a peer's request; `None` if it is not for bytes of its piece.
    ///
    /// They may be fewer than asked for: libtorrent takes the gap behind a v2 file for padding and asks for the file's last block
    /// in full length. Zeros stand for what is missing.
    #[must_use]
    pub fn served_span(&self, asked: Block) -> Option<Span> {
        let length = self.length_of(asked.piece);
        let end = u64::from(asked.begin) + u64::from(asked.length);
        let padded = self.pieces_end_with_files && end <= u64::from(length.next_multiple_of(BLOCK_LENGTH));
        let real = if padded && asked.begin < length { asked.length.min(length - asked.begin) } else { asked.length };
        self.block_span(Block { length: real, ..asked })
    }

    /// The bytes of a block in the stream; `None` if it is not inside its piece.
    #[must_use]
    pub fn block_span(&self, block: Block) -> Option<Span> {
        let piece = self.piece_span(block.piece).filter(|_| self.contains(block))?;
        Some(Span { offset: piece.offset + u64::from(block.begin), length: u64::from(block.length) })
    }

    /// The piece that holds this byte of the stream; `None` past its end and in the gap before a v2 file.
    #[must_use]
    pub fn piece_at(&self, offset: u64) -> Option<PieceIndex> {
        let piece = PieceIndex(u32::try_from(offset / u64::from(self.piece_length)).ok()?);
        self.piece_span(piece).filter(|span| offset < span.end()).map(|_| piece)
    }

    /// Cuts a span into the parts that lie in files, in order. Empty files and v2 gaps have no part.
    pub fn extents(&self, span: Span) -> impl Iterator<Item = Extent> + '_ {
        let mut next = self.file_at(span.offset);
        std::iter::from_fn(move || {
            let file = self.files.get(next).filter(|file| file.offset < span.end())?;
            let start = file.offset.max(span.offset);
            let end = file.end().min(span.end());
            if start >= end {
                return None;
            }
            let extent = Extent { file: index(next), offset: start - file.offset, length: end - start, pad: file.pad };
            next += 1;
            if self.files.get(next).is_some_and(|file| file.length == 0) {
                next = self.file_at(file.end());
            }
            Some(extent)
        })
    }

    /// The pieces that hold bytes of a file; empty for an empty file.
    #[must_use]
    pub fn pieces_of(&self, file: FileIndex) -> Range<u32> {
        match self.files.get(file.0 as usize) {
            Some(file) if file.length > 0 => {
                let piece_length = u64::from(self.piece_length);
                let piece = |number| u32::try_from(number).expect("no more pieces than MAX_PIECES");
                piece(file.offset / piece_length)..piece(file.end().div_ceil(piece_length))
            }
            _ => 0..0,
        }
    }

    /// The position of the file that holds the byte at `offset`, or of the next one with bytes after it; the number of files
    /// past the last byte.
    fn file_at(&self, offset: u64) -> usize {
        // Ends never fall from file to file, and an empty file ends where it starts: so all files that end by `offset` come
        // first, empty ones among them, and the one after them has bytes. However many empty files stand in a row, it is one search.
        self.files.partition_point(|file| file.end() <= offset)
    }
}

impl LayoutFile {
    /// The first byte after the file in the stream.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}

fn index(position: usize) -> FileIndex {
    FileIndex(u32::try_from(position).expect("no more files than MAX_FILES"))
}

#[cfg(test)]
mod tests;
