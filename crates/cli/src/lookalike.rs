//! "Did you mean": the known word that is nearest to an unknown one.

/// The candidate most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word_lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word_lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let length = word.chars().count().max(candidate.chars().count());
            *distance <= (length / 3).clamp(1, 3)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let commands = ["download", "seed", "create", "info"];
        assert_eq!(nearest("dowload", commands), Some("download"));
        assert_eq!(nearest("sead", commands), Some("seed"));
        assert_eq!(nearest("nfo", commands), Some("info"));
        assert_eq!(nearest("teleport", commands), None);
        assert_eq!(nearest("nope.torrent", ["nap.torrent", "xyz"]), Some("nap.torrent"));
    }
}
