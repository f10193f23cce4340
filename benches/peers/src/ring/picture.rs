//! The main results as a picture, from the lines that `--json` prints: a panel for each work, a bar
//! for each system, all on one scale of powers of ten. It brings its own background, and any font
//! does, so that it can be read on every page.

use std::fmt;

use serde::Deserialize;

use super::{
    Result, rows,
    sides::{FILE, FJALL, LIMIT, LMDB, OURS_BY_POSITION, OURS_IN_PROCESS, REDB, SQLITE, STRIPED},
};
use crate::table::OURS;

const RECORD_BYTES: usize = 128;

/// From the left to the right, and then down.
const PANELS: [(&str, rows::Name); 6] = [
    ("append to a full ring", rows::OVERWRITE),
    ("random read", rows::RANDOM_READ),
    ("64 random reads at once", rows::READ_MANY),
    ("scan", rows::SCAN),
    ("append, durable every 64", rows::DURABLE64),
    ("two threads follow a producer", rows::FOLLOW[1].1),
];

/// What is drawn of a system: its name and its class, in the order of the bars.
const SYSTEMS: [(&str, &str, &str); 10] = [
    (OURS, "ringkeep", "ours"),
    (OURS_IN_PROCESS, "ringkeep, in process", "mode"),
    (OURS_BY_POSITION, "ringkeep, not mapped", "mode"),
    (LIMIT, "copy and checksum", "raw"),
    (FILE, "plain file", "raw"),
    (STRIPED, "ring, 64 locks", "peer"),
    (LMDB, "LMDB", "peer"),
    (REDB, "redb", "peer"),
    (SQLITE, "SQLite", "peer"),
    (FJALL, "fjall", "peer"),
];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#3b444d}\
    .title{font-size:17px;font-weight:600;fill:#1c2126}\
    .panel{font-size:13px;font-weight:600;fill:#1c2126}\
    .name{text-anchor:end}.name.ours,.ns.ours{font-weight:700;fill:#b8400a}\
    .ns{paint-order:stroke;stroke:#fff;stroke-width:4px}\
    .tick{font-size:10px;text-anchor:middle;fill:#7b858f}line{stroke:#e3e7eb}\
    rect.ours{fill:#e8590c}rect.mode{fill:#f7b48a}rect.raw{fill:#b9c1c9}rect.peer{fill:#51718f}";

const TITLE: &str = "ringkeep beside its peers";
const LEGEND: [&str; 2] = [
    "Nanoseconds a record of 128 bytes, on a scale of powers of ten: shorter is faster. \
     Every payload is checked against its id.",
    "Grey: the machine at work without a protocol. \
     Databases keep the last records under an increasing id.",
];

const COLUMNS: usize = 2;
const MARGIN: f64 = 20.0;
/// Above the panels.
const HEAD: f64 = 86.0;
const PANEL_WIDTH: f64 = 425.0;
const PANEL_HEAD: f64 = 22.0;
const PANEL_FOOT: f64 = 34.0;
const NAMES_WIDTH: f64 = 140.0;
/// Of the longest bar; its figure comes after it.
const BARS_WIDTH: f64 = 215.0;
const BAR_HEIGHT: f64 = 12.0;
const BAR_STEP: f64 = 17.0;

/// A line of JSON, as far as it is drawn.
#[derive(Debug, Deserialize)]
struct Figure {
    work: String,
    what: String,
    record_bytes: usize,
    system: String,
    ns_per_record: f64,
}

impl Figure {
    fn is_of(&self, name: rows::Name, system: &str) -> bool {
        (&*self.work, &*self.what) == name
            && self.system == system
            && self.record_bytes == RECORD_BYTES
    }
}

/// A picture of what `ring --json` has printed, with or without the table before it.
pub(crate) fn draw(printed: &str) -> Result<String> {
    let lines = printed.lines().filter(|line| line.starts_with('{'));
    let figures: serde_json::Result<Vec<Figure>> = lines.map(serde_json::from_str).collect();
    let figures = figures?;
    let mut panels = Vec::new();
    for (title, name) in PANELS {
        let bars = SYSTEMS.iter().filter_map(|&(system, label, class)| {
            let figure = figures.iter().find(|figure| figure.is_of(name, system))?;
            Some(Bar { label, class, ns: figure.ns_per_record.max(1.0) })
        });
        let bars: Vec<Bar> = bars.collect();
        if !bars.is_empty() {
            panels.push(Panel { title, bars });
        }
    }
    if panels.is_empty() {
        return Err(format!("there are no figures of {RECORD_BYTES} bytes to draw").into());
    }
    Ok(Picture { panels }.to_string())
}

/// The panels, and the scale that all of them have.
struct Picture {
    panels: Vec<Panel>,
}

struct Panel {
    title: &'static str,
    bars: Vec<Bar>,
}

struct Bar {
    label: &'static str,
    class: &'static str,
    ns: f64,
}

/// From a power of ten to the longest bar.
#[derive(Clone, Copy)]
struct Scale {
    first_power: f64,
    powers: f64,
}

impl Scale {
    fn of(panels: &[Panel]) -> Self {
        let powers = || panels.iter().flat_map(|panel| &panel.bars).map(|bar| bar.ns.log10());
        let first_power = powers().fold(f64::INFINITY, f64::min).floor();
        let last_power = powers().fold(f64::NEG_INFINITY, f64::max);
        // One power at least: a bar alone has a length too.
        Self { first_power, powers: (last_power - first_power).max(1.0) }
    }

    /// How far from the left of the panel this is.
    fn x(self, ns: f64) -> f64 {
        NAMES_WIDTH + (ns.log10() - self.first_power) / self.powers * BARS_WIDTH
    }

    /// The powers of ten that are on the scale.
    fn ticks(self) -> impl Iterator<Item = f64> {
        let ticks =
            std::iter::successors(Some(10_f64.powf(self.first_power)), |ns| Some(ns * 10.0));
        ticks.take_while(move |&ns| self.x(ns) <= NAMES_WIDTH + BARS_WIDTH)
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = Scale::of(&self.panels);
        let bars_max = self.panels.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
        let bars_height = distance(bars_max, BAR_STEP);
        let panel_height = PANEL_HEAD + bars_height + PANEL_FOOT;
        let width = 2.0 * MARGIN + distance(COLUMNS, PANEL_WIDTH);
        let height = HEAD + distance(self.panels.len().div_ceil(COLUMNS), panel_height);
        writeln!(
            f,
            "<svg xmlns='http://www.w3.org/2000/svg' \
             width='{width}' height='{height}' \
             viewBox='0 0 {width} {height}' role='img' aria-label='{TITLE}'>"
        )?;
        writeln!(f, "<style>{STYLE}</style>")?;
        writeln!(f, "<rect width='{width}' height='{height}' rx='8' fill='#fff'/>")?;
        writeln!(f, "<text class='title' x='{MARGIN}' y='28'>{TITLE}</text>")?;
        for (line, y) in LEGEND.iter().zip([48, 64]) {
            writeln!(f, "<text x='{MARGIN}' y='{y}'>{line}</text>")?;
        }
        for (index, panel) in self.panels.iter().enumerate() {
            let x = MARGIN + distance(index % COLUMNS, PANEL_WIDTH);
            let y = HEAD + distance(index / COLUMNS, panel_height);
            writeln!(f, "<g transform='translate({x} {y})'>")?;
            panel.draw(scale, bars_height, f)?;
            writeln!(f, "</g>")?;
        }
        writeln!(f, "</svg>")
    }
}

impl Panel {
    fn draw(&self, scale: Scale, bars_height: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, bars } = self;
        writeln!(f, "<text class='panel' x='{NAMES_WIDTH}' y='14'>{title}</text>")?;
        let bottom = PANEL_HEAD + bars_height;
        for ns in scale.ticks() {
            let (x, number, below) = (scale.x(ns), grouped(ns), bottom + 11.0);
            writeln!(f, "<line x1='{x:.1}' x2='{x:.1}' y1='{PANEL_HEAD}' y2='{bottom}'/>")?;
            writeln!(f, "<text class='tick' x='{x:.1}' y='{below}'>{number}</text>")?;
        }
        for (index, &Bar { label, class, ns }) in bars.iter().enumerate() {
            let top = PANEL_HEAD + distance(index, BAR_STEP) + (BAR_STEP - BAR_HEIGHT) / 2.0;
            let (base, end, number) = (top + 10.0, scale.x(ns), grouped(ns));
            let width = (end - NAMES_WIDTH).max(1.0);
            let (left, right) = (NAMES_WIDTH - 6.0, NAMES_WIDTH + width + 5.0);
            writeln!(f, "<text class='name {class}' x='{left}' y='{base}'>{label}</text>")?;
            writeln!(
                f,
                "<rect class='{class}' x='{NAMES_WIDTH}' y='{top}' \
                 width='{width:.1}' height='{BAR_HEIGHT}' rx='1.5'/>"
            )?;
            writeln!(f, "<text class='ns {class}' x='{right:.1}' y='{base}'>{number}</text>")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a picture has few bars")]
fn distance(count: usize, step: f64) -> f64 {
    count as f64 * step
}

/// Without a fraction, with a comma before each three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::table::{Report, Role, Work};

    #[test]
    fn each_system_of_a_report_has_a_bar_in_each_panel() {
        let mut report = Report::new(Path::new("here"));
        for (_, (work, what)) in PANELS {
            let mut work = Work::new(work, what, RECORD_BYTES);
            for (system, ns) in super::super::SIDES.iter().zip([20.0, 1_234.0].iter().cycle()) {
                work.add(system.name, Role::Peer, *ns);
            }
            report.add(work);
        }
        report.add(Work::new(rows::SCAN.0, rows::SCAN.1, 32));
        let lines: Vec<String> = report.json_lines(LIMIT).map(|line| format!("{line}\n")).collect();
        let picture = draw(&format!("a table\n{}", lines.concat())).unwrap();
        let count = |text: &str| picture.matches(text).count();
        assert_eq!(count("<rect class"), PANELS.len() * SYSTEMS.len());
        for (_, label, _) in SYSTEMS {
            assert_eq!(count(&format!(">{label}<")), PANELS.len(), "{label}");
        }
        assert_eq!(count(">20<") + count(">1,234<"), PANELS.len() * SYSTEMS.len());
        assert_eq!((count("<g "), count("</g>")), (PANELS.len(), PANELS.len()));
    }

    #[test]
    fn what_has_no_figures_is_refused() {
        assert!(draw("a table").is_err() && draw("{}").is_err());
    }

    #[test]
    fn a_number_has_a_comma_before_each_three_digits() {
        assert_eq!([7.4, 999.0, 1e3, 1_234_567.0].map(grouped), ["7", "999", "1,000", "1,234,567"]);
    }
}
