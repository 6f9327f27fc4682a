use riverrun_metainfo::Magnet;

/// Any text is a link or an error; a link that is written reads as the same link.
pub fn magnet(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Magnet>() {
        Ok(link) => {
            assert!(link.trackers.len() <= Magnet::MAX_TRACKERS);
            assert!(link.peers.len() <= Magnet::MAX_ADDRESSES && link.web_seeds.len() <= Magnet::MAX_ADDRESSES);
            assert!(link.ignored.len() <= Magnet::MAX_IGNORED);
            assert!(link.selected.windows(2).all(|pair| *pair[0].end() + 1 < *pair[1].start()));
            assert!(link.selected.iter().all(|range| *range.end() < Magnet::MAX_FILES && !range.is_empty()));
            let again: Magnet = link.to_string().parse().expect("what is written is a link");
            assert_eq!(again, Magnet { ignored: Vec::new(), ..link });
        }
        Err(error) => assert!(error.to_string().len() < 1000, "messages stay short"),
    }
}
