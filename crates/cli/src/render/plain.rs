//! Progress as lines, for pipes and logs of other programs.

use crate::render::progress::{Stage, View, metadata};
use crate::units::{self, Scale};

/// The line for what a torrent does from now on, if that is worth a line.
pub(crate) fn stage(view: &View, several: bool) -> Option<String> {
    let name = &view.name;
    match &view.stage {
        Stage::Looking { sources } if sources.is_empty() => Some(named("looking   for peers", name, several)),
        Stage::Looking { sources } => Some(named(&format!("looking   for peers · {sources}"), name, several)),
        Stage::Metadata { have, blocks, peers, sources } => {
            let line = metadata(*have, *blocks, *peers, sources);
            Some(named(&line.replacen("fetching ", "fetching  ", 1), name, several))
        }
        Stage::Failed { why } => Some(format!("failed    {name}: {why}")),
        Stage::Opening
        | Stage::Checking { .. }
        | Stage::Hashing { .. }
        | Stage::Downloading
        | Stage::Finishing
        | Stage::Sharing { .. }
        | Stage::Stopping => None,
    }
}

/// The line for what was found on disk before a torrent began.
pub(crate) fn found(view: &View, found: u64, scale: Scale) -> String {
    format!("check     {}: {} already here", view.name, scale.of(found, view.total))
}

fn named(line: &str, name: &str, several: bool) -> String {
    if several { format!("{line}  {name}") } else { line.to_owned() }
}

/// The line for how far it is.
pub(crate) fn progress(view: &View, scale: Scale, several: bool) -> Option<String> {
    let line = match &view.stage {
        Stage::Hashing { done, total } => {
            format!("hashing   {}%  {}", units::percent(*done, *total), scale.of(*done, *total))
        }
        Stage::Checking { done, total } => {
            format!("check     {}%  {}", units::percent(*done, *total), scale.of(*done, *total))
        }
        Stage::Downloading | Stage::Looking { .. } => {
            let eta = view.eta.map(|eta| format!("  eta {}", units::duration(eta))).unwrap_or_default();
            format!(
                "progress  {}%  {}  down {}  up {}  peers {}{eta}",
                units::percent(view.done, view.total),
                scale.of(view.done, view.total),
                scale.rate(view.down),
                scale.rate(view.up),
                view.peers,
            )
        }
        Stage::Sharing { ratio, .. } => {
            format!("sharing   up {}  peers {}  ratio {ratio:.2}", scale.rate(view.up), view.peers)
        }
        Stage::Metadata { have, blocks, peers, sources } => {
            metadata(*have, *blocks, *peers, sources).replacen("fetching ", "fetching  ", 1)
        }
        Stage::Opening | Stage::Finishing | Stage::Failed { .. } | Stage::Stopping => return None,
    };
    Some(named(&line, &view.name, several))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_of_progress_reads_as_documented() {
        let view = View {
            name: "single.bin".into(),
            total: 67_108_864,
            done: 18_400_000,
            down: 3_565_158,
            peers: 1,
            eta: Some(Duration::from_secs(13)),
            stage: Stage::Downloading,
            ..View::default()
        };
        assert_eq!(
            progress(&view, Scale::Binary, false).as_deref(),
            Some("progress  27.4%  17.5 of 64.0 MiB  down 3.4 MiB/s  up 0 B/s  peers 1  eta 13s")
        );
    }
}
