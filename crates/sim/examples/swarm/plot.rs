//! Draws lines of CSV as bars beside what they are measured by: an SVG that is readable on a light and on a dark page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

/// Width of the longest bar and height of a row, in pixels.
const WIDTH: f64 = 420.0;
const ROW: usize = 30;
/// Where bars begin.
const LEFT: f64 = 210.0;

/// A bar whose first part is dark, and the time it is measured by, all in seconds.
struct Row {
    name: String,
    dark: f64,
    whole: f64,
    mark: f64,
    label: String,
}

const OF_CROWDS: &str = "dark: half of all have everything; light: the last has; line: the optimum";
const OF_PLAYERS: &str = "mean of all seeds; dark: until it plays; light: standing still after that; line: two seconds";
/// A player should begin within this time.
const START: f64 = 2.0;

/// The picture of CSV as `swarm KIND` or the example `streaming` prints it; `None` if there is nothing to draw in it.
pub(crate) fn draw(title: &str, lines: impl Iterator<Item = io::Result<String>>) -> Option<String> {
    let lines: Vec<String> = lines.map_while(Result::ok).collect();
    if lines.first()?.starts_with("company,") {
        return bars(title, OF_PLAYERS, &players(&lines));
    }
    bars(title, OF_CROWDS, &lines.iter().filter_map(|line| crowd(line)).collect::<Vec<_>>())
}

fn bars(title: &str, caption: &str, rows: &[Row]) -> Option<String> {
    let most = rows.iter().map(|row| row.whole.max(row.mark)).reduce(f64::max)?;
    let x = |seconds: f64| LEFT + seconds / most * WIDTH;
    let (width, height) = (LEFT + WIDTH + 130.0, 56 + ROW * rows.len());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <style>text{{fill:#24292f}}.m{{fill:#4c8bf5}}.l{{fill:#4c8bf5;opacity:.45}}.o{{stroke:#d1495b;stroke-width:2}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n\
         <text x=\"8\" y=\"18\" font-weight=\"bold\">{}</text>\n\
         <text x=\"8\" y=\"36\">{caption}</text>\n",
        escaped(title)
    );
    for (number, row) in rows.iter().enumerate() {
        let y = 48 + number * ROW;
        let Row { name, dark, whole, mark, label } = row;
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{}\">{}</text><rect class=\"l\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"20\"/>\
             <rect class=\"m\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"20\"/>\
             <line class=\"o\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{}\" y2=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{label}</text>",
            y + 15,
            escaped(name),
            x(*whole) - LEFT,
            x(*dark) - LEFT,
            x(*mark),
            x(*mark),
            y - 3,
            y + 23,
            x(whole.max(*mark)) + 6.0,
            y + 15
        );
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// A line of `swarm KIND`.
fn crowd(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let name = match *fields.first()? {
        "flash" => format!("{} peers", fields.get(2)?),
        _ => (*fields.get(1)?).to_owned(),
    };
    let (mark, dark, whole) = (number(6)?, number(8)?, number(9)?);
    Some(Row { name, dark, whole, mark, label: format!("{whole:.1} s = {:.2} ×", whole / mark) })
}

/// The lines of `streaming`, those of all seeds of a kind together.
fn players(lines: &[String]) -> Vec<Row> {
    let mut kinds: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / 1000.0);
        if let (Some(start), Some(stalled)) = (seconds(4), seconds(6)) {
            kinds.entry(format!("{}, {}, {}", fields[0], fields[1], fields[2])).or_default().push((start, stalled));
        }
    }
    let mean = |of: &[(f64, f64)], which: fn(&(f64, f64)) -> f64| of.iter().map(which).sum::<f64>() / of.len() as f64;
    let row = |(name, of): (String, Vec<(f64, f64)>)| {
        let (dark, stalled) = (mean(&of, |played| played.0), mean(&of, |played| played.1));
        Row { name, dark, whole: dark + stalled, mark: START, label: format!("{dark:.1} s, still {stalled:.1} s") }
    };
    kinds.into_iter().map(row).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
