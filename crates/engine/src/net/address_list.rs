//! Lists of addresses in files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use riverrun_proto::address::{AddressList, AddressRanges, ListError};
use riverrun_proto::limits::MAX_ADDRESS_LINE;

/// The longest list that is read, in bytes after decompression.
const MAX_BYTES: u64 = 1 << 30;

/// Why a list of addresses cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressListError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no range of addresses, or one too many.
    #[error("{}: {error}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// Which line, and why. May hold text of a stranger: escape before display.
        error: ListError,
    },
    /// It is longer than any list.
    #[error("{} has more than {MAX_BYTES} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a list of addresses in one of the forms of [`AddressList`], plain or compressed by gzip. Memory is bounded by the number of
/// ranges that a list may have, whatever the file's length. Blocks.
///
/// # Errors
/// The file cannot be read, or a line is none.
pub fn read_address_list(path: &Path) -> Result<AddressRanges, AddressListError> {
    let io_error = |source| AddressListError::Io { path: path.into(), source };
    let mut file = BufReader::new(File::open(path).map_err(io_error)?);
    let packed = file.fill_buf().map_err(io_error)?.starts_with(&[0x1f, 0x8b]);
    let unpacked: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut text = BufReader::new(unpacked.take(MAX_BYTES + 1));
    let mut list = AddressList::default();
    let (mut line, mut read) = (Vec::new(), 0);
    loop {
        line.clear();
        // One byte more than a line may have, so that one that is too long is seen as such.
        let count = text.by_ref().take(MAX_ADDRESS_LINE as u64 + 3).read_until(b'\n', &mut line).map_err(io_error)?;
        read += count as u64;
        if count == 0 {
            return Ok(list.finish());
        }
        if read > MAX_BYTES {
            return Err(AddressListError::TooLong { path: path.into() });
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        list.line(line).map_err(|error| AddressListError::List { path: path.into(), error })?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> Result<AddressRanges, AddressListError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        read_address_list(file.path())
    }

    #[test]
    fn plain_and_packed_lists_are_read() {
        let text = b"# list\r\n1.2.3.0/24\r\nname:10.0.0.1-10.0.0.2\n2001:db8::/32";
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text).unwrap();
        for bytes in [text.to_vec(), packer.finish().unwrap()] {
            let ranges = read(&bytes).unwrap();
            assert_eq!(ranges.len(), 3);
            assert!(ranges.contains("2001:db8::7".parse().unwrap()));
        }
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let error = read(b"1.2.3.4\nnonsense\n").unwrap_err().to_string();
        assert!(error.ends_with(": line 2: \"nonsense\" is no range of addresses"), "{error}");
        assert!(matches!(read(&[0x1f, 0x8b, 8, 0]).unwrap_err(), AddressListError::Io { .. }));
        let endless = read(&vec![b'#'; 1 << 20]).unwrap_err().to_string();
        assert!(endless.contains(": line 1: \"####"), "{endless}");
    }
}
