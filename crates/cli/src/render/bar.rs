//! Progress on a terminal.

use std::time::Duration;

use crate::env::Env;
use crate::render::painter::{Line, Style};
use crate::render::progress::{Stage, View, metadata};
use crate::render::text;
use crate::units::{self, Scale};

/// What the terminal can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    /// Colours.
    pub(crate) colour: bool,
    /// Characters beyond ASCII.
    pub(crate) unicode: bool,
}

/// Below this many columns there is one line.
const NARROW: usize = 60;

impl Look {
    /// What this terminal can show, as far as the environment tells.
    pub(crate) fn of(env: &Env) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| env.var(name));
        let unicode = locale.is_none_or(|locale| {
            let locale = locale.to_string_lossy().to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        Self { colour: crate::args::colour_of(env), unicode }
    }

    fn down(self) -> &'static str {
        if self.unicode { "↓" } else { "down" }
    }

    fn up(self) -> &'static str {
        if self.unicode { "↑" } else { "up" }
    }

    /// The filled and the empty part of a bar.
    fn bar(self, share: f64, columns: usize) -> (String, String) {
        let (full, head, empty) = if self.unicode { ('━', '╸', '─') } else { ('#', '>', '-') };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "columns"
        )]
        let filled = ((share.clamp(0.0, 1.0) * columns as f64).floor() as usize).min(columns);
        let mut done: String = std::iter::repeat_n(full, filled).collect();
        if filled < columns && share > 0.0 {
            done.push(head);
        }
        let rest = columns - done.chars().count();
        (done, std::iter::repeat_n(empty, rest).collect())
    }
}

/// All lines for these torrents.
pub(crate) fn block(
    views: &[View],
    columns: usize,
    rows: usize,
    look: &Look,
    scale: Scale,
    check_speed: Option<u64>,
) -> Vec<Line> {
    match views {
        [] => Vec::new(),
        [view] if columns < NARROW => vec![narrow(view, columns, *look, scale)],
        [view] => one(view, columns, *look, scale, check_speed),
        views => many(views, columns, rows, *look, scale),
    }
}

/// A torrent by itself.
fn one(view: &View, columns: usize, look: Look, scale: Scale, check_speed: Option<u64>) -> Vec<Line> {
    if let Stage::Hashing { done, total } = view.stage {
        return vec![hashing(done, total, columns, look, scale, check_speed)];
    }
    let size = scale.bytes(view.total);
    let name = text::fit(&view.name, columns.saturating_sub(size.len() + 4)).into_owned();
    let mut lines = vec![Line::default().with(Style::Strong, name).with(Style::Faint, format!("  {size}"))];
    let phase = |text: String| Line::default().text(format!("  {text}"));
    match &view.stage {
        Stage::Opening => lines.push(phase("opening files".into())),
        Stage::Metadata { have, blocks, peers, sources } => {
            lines.push(phase(metadata(*have, *blocks, *peers, sources)));
        }
        Stage::Checking { done, total } => {
            let speed = check_speed.map(|speed| format!(" · {}", scale.rate(speed))).unwrap_or_default();
            let left = check_speed.and_then(|speed| total.saturating_sub(*done).checked_div(speed));
            let eta =
                left.map(|left| format!(" · ETA {}", units::duration(Duration::from_secs(left)))).unwrap_or_default();
            let percent = u128::from(*done) * 100 / u128::from(*total).max(1);
            lines.push(phase(format!("checking files {percent} %{speed}{eta}")));
        }
        Stage::Hashing { .. } => {}
        Stage::Looking { sources } if sources.is_empty() => lines.push(phase("looking for peers".into())),
        Stage::Looking { sources } => lines.push(phase(format!("looking for peers · {sources}"))),
        Stage::Downloading => {
            lines.push(bar_line(view, columns, look, scale));
            lines.push(rates(view, look, scale, true));
        }
        Stage::Finishing => lines.push(phase("finishing".into())),
        Stage::Sharing { ratio, until } => {
            let until = until.as_ref().map(|until| format!(" · until {until}")).unwrap_or_default();
            lines.push(phase(format!("sharing · ratio {ratio:.2}{until}")));
            lines.push(rates(view, look, scale, false));
        }
        Stage::Failed { why } => lines.push(Line::default().with(Style::Warn, format!("  {why}"))),
        Stage::Stopping => lines.push(phase("stopping".into())),
    }
    if let Some(reason) = &view.waiting {
        lines.push(Line::default().with(Style::Warn, format!("  waiting: {}", reason.text)));
    }
    lines
}

fn hashing(done: u64, total: u64, columns: usize, look: Look, scale: Scale, speed: Option<u64>) -> Line {
    let speed = speed.map(|speed| format!("   {}", scale.rate(speed))).unwrap_or_default();
    let numbers = format!("  {:>5} %   {}{speed}", units::percent(done, total), scale.of(done, total));
    let room = columns.saturating_sub(11 + text::width(&numbers)).min(60);
    let (full, rest) = look.bar(share_of(done, total), room);
    Line::default().text("hashing  ").with(Style::Good, full).with(Style::Faint, rest).text(numbers)
}

fn bar_line(view: &View, columns: usize, look: Look, scale: Scale) -> Line {
    let numbers = format!("  {:>5} %   {}", units::percent(view.done, view.total), scale.of(view.done, view.total));
    let room = columns.saturating_sub(3 + text::width(&numbers)).min(60);
    let (done, rest) = look.bar(share(view), room);
    Line::default().text("  ").with(Style::Good, done).with(Style::Faint, rest).text(numbers)
}

fn rates(view: &View, look: Look, scale: Scale, downloading: bool) -> Line {
    let up = format!("{} {}", look.up(), scale.rate(view.up));
    let peers = match view.known.max(view.peers) {
        known if known > view.peers => format!("peers {} of {known}", view.peers),
        _ => format!("peers {}", view.peers),
    };
    let peers = if view.web_seeds > 0 { format!("{peers}   web seeds {}", view.web_seeds) } else { peers };
    if !downloading {
        return Line::default().text(format!("  {up}   {peers}"));
    }
    let eta = view.eta.map(|eta| format!("   ETA {}", units::duration(eta))).unwrap_or_default();
    Line::default().text(format!("  {} {}   {up}   {peers}{eta}", look.down(), scale.rate(view.down)))
}

/// A torrent in one line: what matters most first.
fn narrow(view: &View, columns: usize, look: Look, scale: Scale) -> Line {
    let state = state(view, look, scale);
    let room = columns.saturating_sub(text::width(&state) + 3);
    let name = if room >= 6 { format!("  {}", text::fit(&view.name, room)) } else { String::new() };
    Line::default().text(state).with(Style::Faint, name)
}

/// What a torrent does, shortly.
fn state(view: &View, look: Look, scale: Scale) -> String {
    match &view.stage {
        Stage::Downloading => {
            let eta = view.eta.map(|eta| format!("  {}", units::duration(eta))).unwrap_or_default();
            let percent = units::percent(view.done, view.total);
            format!("{percent:>5} %  {} {}{eta}", look.down(), scale.rate(view.down))
        }
        Stage::Checking { done, total } => format!("{:>5} %  checking", units::percent(*done, *total)),
        Stage::Hashing { done, total } => format!("{:>5} %  hashing", units::percent(*done, *total)),
        Stage::Sharing { ratio, .. } => format!("sharing  {} {}  ratio {ratio:.2}", look.up(), scale.rate(view.up)),
        Stage::Looking { .. } => "looking for peers".into(),
        Stage::Metadata { have, blocks, peers, .. } => metadata(*have, *blocks, *peers, ""),
        other => other.word().into(),
    }
}

/// Several torrents: one line each, and all together.
fn many(views: &[View], columns: usize, rows: usize, look: Look, scale: Scale) -> Vec<Line> {
    let active: Vec<&View> = views.iter().filter(|view| !matches!(view.stage, Stage::Sharing { .. })).collect();
    let room = rows.saturating_sub(3).max(1);
    let shown = &active[..active.len().min(room)];
    let name_columns = shown.iter().map(|view| text::width(&view.name)).max().unwrap_or(0).min(columns / 3);
    let mut lines: Vec<Line> = shown
        .iter()
        .map(|view| {
            let name = text::pad(&text::fit(&view.name, name_columns), name_columns);
            let state = state(view, look, scale);
            let bar_columns = columns.saturating_sub(name_columns + 40).min(30);
            let line = Line::default().with(Style::Strong, name).text("  ");
            let line = if bar_columns >= 8 && columns >= NARROW {
                let (done, rest) = look.bar(share(view), bar_columns);
                line.with(Style::Good, done).with(Style::Faint, rest).text("  ")
            } else {
                line
            };
            line.text(state)
        })
        .collect();
    if shown.len() < active.len() {
        lines.push(Line::default().with(Style::Faint, format!("and {} more", active.len() - shown.len())));
    }
    let sum = |of: fn(&View) -> u64| views.iter().map(of).sum::<u64>();
    let (done, total) = (sum(|view| view.done), sum(|view| view.total));
    lines.push(Line::default().text(format!(
        "{} of {} torrents   {} %   {}   {} {}   {} {}",
        views.len() - active.len(),
        views.len(),
        units::percent(done, total),
        scale.of(done, total),
        look.down(),
        scale.rate(sum(|view| view.down)),
        look.up(),
        scale.rate(sum(|view| view.up)),
    )));
    lines
}

fn share(view: &View) -> f64 {
    share_of(view.done, view.total)
}

fn share_of(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share for display")]
    let share = if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::progress::Reason;

    fn view() -> View {
        View {
            name: "single.bin".into(),
            total: 67_108_864,
            done: 42_345_693,
            down: 88_290_099,
            up: 1_363_149,
            peers: 42,
            known: 118,
            eta: Some(Duration::from_secs(1)),
            stage: Stage::Downloading,
            ..View::default()
        }
    }

    fn lines(views: &[View], columns: usize, unicode: bool) -> Vec<String> {
        let look = Look { colour: false, unicode };
        block(views, columns, 24, &look, Scale::Binary, None)
            .iter()
            .map(|line| line.uncoloured().cut(columns))
            .collect()
    }

    #[test]
    fn web_seeds_in_use_are_counted_beside_peers() {
        let line = lines(&[View { web_seeds: 2, ..view() }], 82, true).pop();
        assert_eq!(line.as_deref(), Some("  ↓ 84.2 MiB/s   ↑ 1.3 MiB/s   peers 42 of 118   web seeds 2   ETA 1s"));
    }

    #[test]
    fn a_torrent_on_a_terminal_looks_as_documented() {
        assert_eq!(
            lines(&[view()], 82, true),
            [
                "single.bin  64.0 MiB",
                "  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸──────────────────   63.0 %   40.3 of 64.0 MiB",
                "  ↓ 84.2 MiB/s   ↑ 1.3 MiB/s   peers 42 of 118   ETA 1s",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_gets_one_line() {
        assert_eq!(lines(&[view()], 50, true), [" 63.0 %  ↓ 84.2 MiB/s  1s  single.bin"]);
        assert_eq!(lines(&[view()], 28, false).len(), 1);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut long = view();
        long.name = "日本語の".repeat(40);
        long.waiting = Some(Reason { code: "choked", text: "1 peer connected, choking us".into() });
        for columns in [10, 20, 40, 59, 60, 61, 80, 200] {
            for views in [vec![long.clone()], vec![long.clone(), view(), view()]] {
                let look = Look { colour: false, unicode: true };
                for line in block(&views, columns, 24, &look, Scale::Binary, None) {
                    assert!(text::width(&line.uncoloured().cut(columns - 1)) < columns);
                }
            }
        }
        assert!(lines(&[long], 80, true).iter().all(|line| text::width(line) <= 80));
    }

    #[test]
    fn terminals_without_unicode_get_ascii() {
        assert!(lines(&[view()], 80, false).concat().is_ascii());
    }

    #[test]
    fn several_torrents_have_a_total_at_the_foot() {
        let done = View { done: 67_108_864, stage: Stage::Sharing { ratio: 0.0, until: None }, ..view() };
        let shown = lines(&[view(), done, view()], 100, true);
        assert_eq!(shown.len(), 3);
        assert_eq!(shown[2], "1 of 3 torrents   75.3 %   144.7 of 192.0 MiB   ↓ 252.6 MiB/s   ↑ 3.9 MiB/s");
        let crowd: Vec<View> = (0..50).map(|_| view()).collect();
        assert_eq!(lines(&crowd, 100, true).len(), 24 - 3 + 2);
    }
}
