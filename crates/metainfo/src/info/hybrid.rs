//! The two halves of a hybrid torrent must describe the same content (BEP 52).

use crate::display;
use crate::info::files::FileList;
use crate::metainfo::MetainfoError;

/// The v1 list with the roots of the v2 tree, after the two were compared: same files in the same order, each starting a piece by
/// padding that fills exactly the last piece of the one before. Padding after the last file is not needed but accepted.
pub(super) fn join<'d>(v1: FileList<'d>, v2: FileList<'d>, piece_length: u32) -> Result<FileList<'d>, MetainfoError> {
    let piece_length = u64::from(piece_length);
    let mut roots = Vec::with_capacity(v1.files.len());
    let mut trees = v2.files.iter().zip(&v2.roots);
    // Where the stream is, and where the last file with bytes ended.
    let (mut offset, mut end) = (0u64, 0u64);
    for (number, file) in v1.files.iter().enumerate() {
        let differ = |what: &str| {
            Err(MetainfoError::Hybrid(format!(
                "file {} \"{}\" {what}",
                number + 1,
                display::escaped(file.path.as_str())
            )))
        };
        let next = offset.checked_add(file.length);
        let Some(next) = next.filter(|&next| next <= crate::Layout::MAX_STREAM_LENGTH) else {
            return Err(MetainfoError::Layout(crate::LayoutError::TotalLength));
        };
        if file.attributes.is_pad() {
            if next > end.next_multiple_of(piece_length) {
                return differ("is padding past the end of a piece");
            }
            roots.push(None);
        } else {
            match trees.next() {
                None => return differ("is only in the first"),
                Some((other, _)) if other.path != file.path => return differ("has another path in the second"),
                Some((other, _)) if other.length != file.length => return differ("has another length in the second"),
                Some((_, root)) => roots.push(*root),
            }
            if file.length > 0 {
                if offset != end.next_multiple_of(piece_length) {
                    return differ("does not start a piece");
                }
                end = next;
            }
        }
        offset = next;
    }
    if let Some((file, _)) = trees.next() {
        let path = display::escaped(file.path.as_str());
        return Err(MetainfoError::Hybrid(format!("\"{path}\" is only in the second")));
    }
    Ok(FileList { roots, ..v1 })
}
