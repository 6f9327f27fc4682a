//! Draws lines of CSV as bars beside the optimum: an SVG that is readable on a light and on a dark page.

use std::fmt::Write as _;
use std::io;

/// Width of the longest bar and height of a row, in pixels.
const WIDTH: f64 = 420.0;
const ROW: usize = 30;
/// Where bars begin.
const LEFT: f64 = 190.0;

struct Row {
    name: String,
    median: f64,
    last: f64,
    optimum: f64,
}

/// The picture of CSV as `swarm KIND` prints it; `None` if there is nothing to draw in it.
pub(crate) fn draw(title: &str, lines: impl Iterator<Item = io::Result<String>>) -> Option<String> {
    let rows: Vec<Row> = lines.map_while(Result::ok).filter_map(|line| row(&line)).collect();
    let most = rows.iter().map(|row| row.last.max(row.optimum)).reduce(f64::max)?;
    let x = |seconds: f64| LEFT + seconds / most * WIDTH;
    let (width, height) = (LEFT + WIDTH + 130.0, 56 + ROW * rows.len());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <style>text{{fill:#24292f}}.m{{fill:#4c8bf5}}.l{{fill:#4c8bf5;opacity:.45}}.o{{stroke:#d1495b;stroke-width:2}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n\
         <text x=\"8\" y=\"18\" font-weight=\"bold\">{}</text>\n\
         <text x=\"8\" y=\"36\">dark: half of all have everything; light: the last has; line: the optimum</text>\n",
        escaped(title)
    );
    for (number, row) in rows.iter().enumerate() {
        let y = 48 + number * ROW;
        let Row { name, median, last, optimum } = row;
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{}\">{}</text><rect class=\"l\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"20\"/>\
             <rect class=\"m\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"20\"/>\
             <line class=\"o\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{}\" y2=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{last:.1} s = {:.2} ×</text>",
            y + 15,
            escaped(name),
            x(*last) - LEFT,
            x(*median) - LEFT,
            x(*optimum),
            x(*optimum),
            y - 3,
            y + 23,
            x(*last) + 6.0,
            y + 15,
            last / optimum
        );
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let name = match *fields.first()? {
        "flash" => format!("{} peers", fields.get(2)?),
        _ => (*fields.get(1)?).to_owned(),
    };
    Some(Row { name, optimum: number(6)?, median: number(8)?, last: number(9)? })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
