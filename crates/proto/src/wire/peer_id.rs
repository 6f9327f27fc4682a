//! Peer ids, and the names of clients in them (BEP 20).

use std::fmt;

/// The 20 bytes by which a client names itself (BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerId(pub [u8; 20]);

/// How our peer ids begin: a client code that neither BEP 20 nor the tables of common clients know, and the version.
pub const PEER_ID_PREFIX: [u8; 8] = *b"-RV0100-";

/// The longest name of a client that is kept, in bytes.
pub const MAX_CLIENT_NAME: usize = 64;

impl PeerId {
    /// An id of ours: the prefix, then letters and digits made from `random`, which must be new for each session.
    #[must_use]
    pub fn ours(random: [u8; 12]) -> Self {
        const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
        let mut id = [0; 20];
        id[..8].copy_from_slice(&PEER_ID_PREFIX);
        for (place, byte) in id[8..].iter_mut().zip(random) {
            *place = LETTERS[usize::from(byte % 64)];
        }
        Self(id)
    }

    /// An id that says nothing of the program. `random` must be new for each session.
    #[must_use]
    pub fn nameless(random: [u8; 20]) -> Self {
        Self(random)
    }

    /// Whether it tells which program we are.
    #[must_use]
    pub fn names_us(&self) -> bool {
        self.0.starts_with(&PEER_ID_PREFIX)
    }

    /// The client's name and version as the id tells them, like `Transmission 4.0.5`, printable; for an id of an unknown
    /// style its printable bytes.
    #[must_use]
    pub fn client(&self) -> String {
        self.azureus().or_else(|| self.mainline()).or_else(|| self.shadow()).unwrap_or_else(|| self.to_string())
    }

    /// `-XX1234-`: a code of two characters and a version of four.
    fn azureus(&self) -> Option<String> {
        let [b'-', first, second, version @ .., b'-'] = self.0.first_chunk::<8>()? else { return None };
        let code = [*first, *second];
        if !code.iter().all(u8::is_ascii_graphic) || !version.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let name = AZUREUS.binary_search_by_key(&&code, |(known, _)| known).map(|found| AZUREUS[found].1);
        let name = name.map_or_else(|_| code.iter().copied().map(char::from).collect(), String::from);
        // The last place is often a mark (a letter for the kind of build), and nought says nothing.
        let numbers = if matches!(version, [.., b'1'..=b'9']) { version } else { &version[..3] };
        let version: Vec<String> =
            numbers.iter().filter_map(|&byte| digit(byte)).map(|value| value.to_string()).collect();
        Some(format!("{name} {}", version.join(".")))
    }

    /// `M7-10-3--`: mainline's own style, a letter and three numbers.
    fn mainline(&self) -> Option<String> {
        let [b'M', rest @ ..] = &self.0 else { return None };
        let mut fields = rest.split(|byte| *byte == b'-');
        let mut version = Vec::new();
        for _ in 0..3 {
            let number = fields.next().filter(|number| (1..=3).contains(&number.len()))?;
            version
                .push(std::str::from_utf8(number).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?);
        }
        Some(format!("BitTorrent {}", version.join(".")))
    }

    /// `S58B-----`: a letter, up to five characters of version, dashes up to the ninth place.
    fn shadow(&self) -> Option<String> {
        let (&[letter, ref version @ ..], _) = self.0.split_first_chunk::<6>()?;
        if &self.0[6..9] != b"---" {
            return None;
        }
        let (_, name) = SHADOW.iter().find(|(known, _)| *known == letter)?;
        let used = version.iter().rposition(|byte| *byte != b'-').map_or(0, |last| last + 1);
        let numbers: Option<Vec<String>> =
            version[..used].iter().map(|&byte| digit(byte).map(|value| value.to_string())).collect();
        Some(format!("{name} {}", numbers?.join(".")).trim_end().to_owned())
    }
}

impl fmt::Display for PeerId {
    /// Printable ASCII as it is, `.` for any other byte.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| {
            let shown = if byte.is_ascii_graphic() { char::from(byte) } else { '.' };
            fmt::Write::write_char(f, shown)
        })
    }
}

/// What a remote calls itself or says, as text for people: UTF-8 as far as it is, no control or direction characters, cut to
/// `most` bytes at a character.
#[must_use]
pub fn remote_text(bytes: &[u8], most: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(most));
    // Three bytes more than are kept, so that a character at the cut is whole.
    for character in String::from_utf8_lossy(&bytes[..bytes.len().min(most.saturating_add(3))]).chars() {
        let shown = if hidden(character) { char::REPLACEMENT_CHARACTER } else { character };
        if text.len() + shown.len_utf8() > most {
            break;
        }
        text.push(shown);
    }
    text
}

/// Characters that steer a terminal or the direction of text, or that cannot be seen.
fn hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A character of a version as a number (BEP 20): `0` to `9`, `A` to `Z` from 10, `a` to `z` from 36, `.` is 62.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'a'..=b'z' => Some(byte - b'a' + 36),
        b'.' => Some(62),
        _ => None,
    }
}

/// The clients of that style that are met today, ordered by code.
const AZUREUS: &[([u8; 2], &str)] = &[
    (*b"7T", "aTorrent"),
    (*b"AG", "Ares"),
    (*b"AZ", "Vuze"),
    (*b"BC", "BitComet"),
    (*b"BF", "Bitflu"),
    (*b"BG", "BTG"),
    (*b"BI", "BiglyBT"),
    (*b"BL", "BitLord"),
    (*b"BN", "Baidu Netdisk"),
    (*b"BT", "BitTorrent"),
    (*b"CD", "Enhanced CTorrent"),
    (*b"CT", "CTorrent"),
    (*b"DE", "Deluge"),
    (*b"FD", "Free Download Manager"),
    (*b"FL", "Folx"),
    (*b"FW", "FrostWire"),
    (*b"FX", "Freebox"),
    (*b"HL", "Halite"),
    (*b"KG", "KGet"),
    (*b"KT", "KTorrent"),
    (*b"LC", "LeechCraft"),
    (*b"LP", "Lphant"),
    (*b"LT", "libtorrent"),
    (*b"LW", "LimeWire"),
    (*b"MG", "MediaGet"),
    (*b"MO", "MonoTorrent"),
    (*b"MP", "MooPolice"),
    (*b"MR", "Miro"),
    (*b"PI", "PicoTorrent"),
    (*b"QD", "QQDownload"),
    (*b"RV", "riverrun"),
    (*b"SD", "Thunder"),
    (*b"SZ", "Shareaza"),
    (*b"TL", "Tribler"),
    (*b"TR", "Transmission"),
    (*b"UE", "µTorrent Embedded"),
    (*b"UM", "µTorrent Mac"),
    (*b"UT", "µTorrent"),
    (*b"UW", "µTorrent Web"),
    (*b"WD", "WebTorrent Desktop"),
    (*b"WW", "WebTorrent"),
    (*b"XF", "Xfplay"),
    (*b"XL", "Xunlei"),
    (*b"lt", "rTorrent"),
    (*b"qB", "qBittorrent"),
    (*b"st", "SharkTorrent"),
];

/// The clients of that style (BEP 20).
const SHADOW: &[(u8, &str)] = &[
    (b'A', "ABC"),
    (b'O', "Osprey Permaseed"),
    (b'Q', "BTQueue"),
    (b'R', "Tribler"),
    (b'S', "Shadow"),
    (b'T', "BitTornado"),
    (b'U', "UPnP NAT BitTorrent"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(start: &[u8]) -> String {
        let mut id = [0xf3; 20];
        id[..start.len()].copy_from_slice(start);
        PeerId(id).client()
    }

    #[test]
    fn ours_begins_with_our_code_and_is_printable() {
        let id = PeerId::ours([0, 63, 64, 255, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(&id.0[..8], b"-RV0100-");
        assert_eq!(&id.0[8..], b"0_0_12345678");
        assert_eq!(id.client(), "riverrun 0.1.0");
    }

    #[test]
    fn clients_by_style() {
        assert_eq!(client(b"-TR405Z-"), "Transmission 4.0.5");
        assert_eq!(client(b"-qB5030-"), "qBittorrent 5.0.3");
        assert_eq!(client(b"-lt0F60-"), "rTorrent 0.15.6");
        assert_eq!(client(b"-AZ5751-"), "Vuze 5.7.5.1");
        assert_eq!(client(b"-UT355W-"), "µTorrent 3.5.5");
        assert_eq!(client(b"-DE211s-"), "Deluge 2.1.1");
        assert_eq!(client(b"-??1234-"), "?? 1.2.3.4");
        assert_eq!(client(b"M7-10-3--"), "BitTorrent 7.10.3");
        assert_eq!(client(b"S58B-----"), "Shadow 5.8.11");
        assert_eq!(client(b"T03I-----"), "BitTornado 0.3.18");
        assert_eq!(client(b"-\x1b[2J"), "-.[2J...............");
        assert_eq!(client(b"A2-1-36-0-"), "A2-1-36-0-..........");
    }

    #[test]
    fn the_table_is_ordered() {
        assert!(AZUREUS.is_sorted_by(|left, right| left.0 < right.0));
    }

    #[test]
    fn text_of_a_remote_cannot_steer_a_terminal() {
        assert_eq!(remote_text(b"Deluge\x1b[31m\r\n", 64), "Deluge\u{fffd}[31m\u{fffd}\u{fffd}");
        assert_eq!(remote_text("a\u{202e}b".as_bytes(), 64), "a\u{fffd}b");
        assert_eq!(remote_text("ééé".as_bytes(), 5), "éé");
        assert_eq!(remote_text("abc🌊".as_bytes(), 6), "abc");
        assert_eq!(remote_text(&[0xff; 100], 6), "\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_id_has_a_printable_name(id in any::<[u8; 20]>()) {
            let name = PeerId(id).client();
            prop_assert!(name.len() <= MAX_CLIENT_NAME && !name.chars().any(hidden));
        }

        #[test]
        fn any_text_is_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..200), most in 0usize..100) {
            let text = remote_text(&bytes, most);
            prop_assert!(text.len() <= most && !text.chars().any(hidden));
        }
    }
}
