//! stub
use super::Core;
use super::stage::Progress;
use riverrun_metainfo::{Bitfield, FileIndex, Layout};
use riverrun_storage::{Presence, Storage, StorageError};
use std::sync::Arc;
pub(crate) async fn judge(_core: &Arc<Core>, _p: &Presence) -> Option<(Bitfield, Bitfield)> {
    None
}
pub(crate) async fn check(
    core: &Arc<Core>,
    pieces: Bitfield,
    _progress: Arc<Progress>,
) -> Result<Bitfield, StorageError> {
    let mut good = Bitfield::empty(core.layout().piece_count());
    let storage = core.store.storage();
    for piece in pieces.iter() {
        let span = core.layout().piece_span(piece).expect("piece");
        let mut bytes = vec![0; span.length as usize];
        if storage.read_at(span, &mut [std::io::IoSliceMut::new(&mut bytes)]).is_ok() {
            let mut hasher = core.hashes.hasher(piece);
            hasher.update(&bytes);
            if hasher.finish() == riverrun_metainfo::metainfo::Verdict::Good {
                good.insert(piece);
            }
        }
    }
    Ok(good)
}
pub(crate) async fn write(_core: &Arc<Core>, _have: Bitfield, _p: Presence) {}
pub(crate) async fn remove(_core: &Arc<Core>) {}
pub(crate) fn all_holes(_s: &dyn Storage, _l: &Layout, _f: FileIndex) -> bool {
    true
}
