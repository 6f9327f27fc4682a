//! "Did you mean": the known word that is nearest to an unknown one.

/// The candidate most like `word`, if a third of the letters at most are others.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_within(word, candidates, |length| (length / 3).clamp(1, 3))
}

/// The candidate most like `word`, with at most as many changed letters as `limit` says for the length of the longer one.
pub(crate) fn nearest_within<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    limit: impl Fn(usize) -> usize,
) -> Option<&'a str> {
    let word_lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word_lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit(word.chars().count().max(candidate.chars().count())))
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
    }
}
