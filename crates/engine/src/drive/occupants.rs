//! Files that stand in the place of the content and are something else: they are left alone (THREATS L6).
//!
//! With no record of an earlier run, one right piece anywhere makes the folder this torrent's, as it is where another client began. With a
//! record it is known which files were ever wanted; one that was not is judged by itself when it is.

use std::sync::Arc;

use riverrun_metainfo::{Bitfield, FileIndex, Layout, PieceIndex, Span};
use riverrun_storage::{FilePresence, Presence, StorageError};

use super::Core;
use super::open::blocking;
use super::store::Store;
use crate::TorrentError;

/// Says no before anything is written into a file that has bytes of which none is known to be this torrent's, unless the owner wants it
/// replaced (THREATS L6). `new` are the files that are wanted and were not before. One of nothing but holes has no bytes.
pub(super) async fn leave_alone(
    core: &Arc<Core>,
    presence: &Presence,
    have: &Bitfield,
    new: impl Fn(FileIndex) -> bool,
) -> Result<(), TorrentError> {
    if core.options().overwrite {
        return Ok(());
    }
    let written = presence.files.iter().zip(0u32..).filter_map(|(found, number)| match found {
        FilePresence::Present { length, .. } if *length > 0 && new(FileIndex(number)) => {
            Some((FileIndex(number), *length))
        }
        _ => None,
    });
    let written: Vec<_> = written.collect();
    if written.is_empty() {
        return Ok(());
    }
    let (store, layout, have) = (core.store()?, core.layout().clone(), have.clone());
    let in_the_way = blocking(core, move || {
        let storage = store.storage();
        for (file, length) in written {
            let lies = layout.files()[file.0 as usize];
            let span = Span { offset: lies.offset, length: lies.length.min(length) };
            let empty = length <= lies.length && storage.is_hole(span);
            if !empty && !has_something_right(&store, &layout, file, &have)? {
                return Ok(Some((store.path_of(file), layout.pieces_of(file).len())));
            }
        }
        Ok(None)
    })
    .await?;
    let Some((path, pieces)) = in_the_way else { return Ok(()) };
    Err(TorrentError::Occupied { path, pieces: u32::try_from(pieces).expect("no more than there are pieces") })
}

/// Whether some bytes of the file itself are right, as far as is known: those of a piece that is had, or those that the part file keeps.
fn has_something_right(store: &Store, layout: &Layout, file: FileIndex, have: &Bitfield) -> Result<bool, StorageError> {
    let in_file = |piece| layout.extents(layout.piece_span(piece)?).find(|extent| extent.file == file);
    let mut had = layout.pieces_of(file).map(PieceIndex).filter(|piece| have.has(*piece));
    let itself = had.any(|piece| in_file(piece).is_some_and(|extent| !store.as_storage().rests_apart(extent)));
    Ok(itself || store.files().map_or(Ok(false), |files| files.has_what_rests_apart(file))?)
}
