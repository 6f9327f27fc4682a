//! What can be doubted about a torrent that is about to be made.

use riverrun::metainfo::create::Plan;
use riverrun::metainfo::layout::FileIndex;
use riverrun::metainfo::path::{NameRules, safe_name};

use super::Create;
use crate::render::shown;
use crate::units::Scale;

/// The most files that are named for one reason.
const MOST: usize = 5;

/// The doubts, in words.
pub(crate) fn of(options: &Create, name: &str, plan: &Plan) -> Vec<String> {
    let mut lints = Vec::new();
    if options.private && options.tracker.is_empty() {
        lints.push("a private torrent without a tracker: nobody will ever find a peer".to_owned());
    }
    let piece_length = plan.layout().piece_length();
    let shown_length = Scale::Binary.exact(piece_length.into());
    if !piece_length.is_power_of_two() {
        lints.push(format!("a piece length of {shown_length} is not a power of two: some clients refuse it"));
    } else if piece_length < 16 * 1024 {
        lints.push(format!(
            "a piece length of {shown_length} is shorter than a block of 16 KiB: some clients refuse it"
        ));
    } else if piece_length > 64 << 20 {
        lints.push(format!("a piece length of {shown_length} is so long that some clients refuse it"));
    }
    let mut named = 0;
    let paths = (0..plan.files().len()).filter_map(|at| plan.source(FileIndex(u32::try_from(at).ok()?)));
    let elements = paths.flat_map(|file| &file.path).map(String::as_str);
    let mut seen = std::collections::HashSet::new();
    for element in std::iter::once(name).chain(elements) {
        let portable = safe_name(element.as_bytes(), NameRules::PORTABLE);
        if portable != element && seen.insert(element) {
            named += 1;
            if named <= MOST {
                let (element, portable) = (shown(element).into_owned(), shown(&portable).into_owned());
                lints.push(format!("the name \"{element}\" is not portable: some systems will have \"{portable}\""));
            }
        }
    }
    if named > MOST {
        lints.push(format!("{} more names are not portable", named - MOST));
    }
    lints
}
