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
    _pieces: Bitfield,
    _progress: Arc<Progress>,
) -> Result<Bitfield, StorageError> {
    Ok(Bitfield::empty(core.layout().piece_count()))
}
pub(crate) async fn write(_core: &Arc<Core>, _have: Bitfield, _p: Presence) {}
pub(crate) async fn remove(_core: &Arc<Core>) {}
pub(crate) fn all_holes(_s: &dyn Storage, _l: &Layout, _f: FileIndex) -> bool {
    true
}
