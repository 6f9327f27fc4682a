//! What people and players see of the files: a page, a playlist, and what kind each is.

use std::fmt::Write as _;

/// The kind of a file by the end of its name (RFC 6838).
pub(super) fn kind(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    match end.as_deref() {
        Some("mp4" | "m4v") => "video/mp4",
        Some("mkv") => "video/x-matroska",
        Some("webm") => "video/webm",
        Some("avi") => "video/x-msvideo",
        Some("mov") => "video/quicktime",
        Some("mpg" | "mpeg") => "video/mpeg",
        Some("ts" | "m2ts") => "video/mp2t",
        Some("ogv") => "video/ogg",
        Some("wmv") => "video/x-ms-wmv",
        Some("flv") => "video/x-flv",
        Some("mp3") => "audio/mpeg",
        Some("flac") => "audio/flac",
        Some("ogg" | "oga" | "opus") => "audio/ogg",
        Some("m4a" | "m4b") => "audio/mp4",
        Some("aac") => "audio/aac",
        Some("wav") => "audio/wav",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("srt" | "txt" | "nfo") => "text/plain; charset=utf-8",
        Some("vtt") => "text/vtt; charset=utf-8",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// Whether a file of this name is a video or music, by the end of the name.
#[must_use]
pub fn is_playable(name: &str) -> bool {
    kind(name).starts_with("video/") || kind(name).starts_with("audio/")
}

/// A name as a part of a URL.
pub(super) fn escaped_for_url(name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}

fn escaped_for_html(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A page with a link to each file: its path on the server, its own path, its length.
pub(super) fn list<'a>(files: impl Iterator<Item = (String, &'a str, u64)>) -> String {
    let mut page = "<!doctype html><meta charset=\"utf-8\"><title>riverrun</title><h1>Files</h1><p><a \
                    href=\"/playlist.m3u\">Playlist</a></p><ol>\n"
        .to_owned();
    for (path, name, length) in files {
        let _ = writeln!(page, "<li><a href=\"{path}\">{}</a> {length} bytes</li>", escaped_for_html(name));
    }
    page + "</ol>\n"
}

/// A playlist of what can be played.
pub(super) fn playlist<'a>(host: &str, files: impl Iterator<Item = (String, &'a str, u64)>) -> String {
    let mut playlist = "#EXTM3U\n".to_owned();
    for (path, name, _) in files.filter(|(_, name, _)| is_playable(name)) {
        let title: String = name.chars().filter(|character| !character.is_control()).collect();
        let _ = writeln!(playlist, "#EXTINF:-1,{title}\nhttp://{host}{path}");
    }
    playlist
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_are_escaped() {
        let name = "a<script>\"&'\nb.mp4";
        let page = list([("/1/x".to_owned(), name, 5)].into_iter());
        assert!(page.contains("a&lt;script&gt;&quot;&amp;&#39;\nb.mp4") && !page.contains("<script"));
        assert_eq!(escaped_for_url("a b/ü\n.mp4"), "a%20b%2F%C3%BC%0A.mp4");
        let playlist = playlist("127.0.0.1:1", [("/1/x".to_owned(), name, 5)].into_iter());
        assert_eq!(playlist.lines().count(), 3);
    }

    #[test]
    fn kinds_go_by_the_end_of_the_name() {
        assert_eq!(
            (kind("A.MKV"), kind("x"), kind("x.html")),
            ("video/x-matroska", "application/octet-stream", "application/octet-stream")
        );
        assert!(is_playable("x.flac") && !is_playable("x.srt"));
    }
}
