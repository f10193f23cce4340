//! Records as a table for people: numbers to the right, units in the header.

use std::io::IsTerminal;

use ringkeep::Kind;

use super::cell::Cells;
use super::{Item, flat};
use crate::exit::Failure;
use crate::output;

/// Rows that are looked at before widths are chosen.
const ROWS_LOOKED_AT: usize = 100;
const GAP: &str = "  ";

/// Lays rows out in columns, as wide as the widest cell so far.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Item>,
    cells: Cells,
    widths: Vec<usize>,
    waiting: Vec<Vec<String>>,
    /// The header is out, and columns that do not fit the terminal are left away.
    begun: bool,
    terminal: Option<usize>,
    bold: bool,
}

impl Table {
    pub(crate) fn new(items: &[Item]) -> Result<Self, Failure> {
        let columns = flat(items)?;
        let is_terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok(Self {
            widths: vec![0; columns.len()],
            columns,
            cells: Cells::default(),
            waiting: Vec::new(),
            begun: false,
            terminal: is_terminal.then(output::columns_of_stdout),
            bold: is_terminal && !no_color,
        })
    }

    pub(crate) fn row(&mut self, out: &mut Vec<u8>, id: u64, payload: &[u8]) {
        let mut row = Vec::with_capacity(self.columns.len());
        for item in &self.columns {
            let mut cell = Vec::new();
            match item.field() {
                None => cell.extend_from_slice(id.to_string().as_bytes()),
                Some((field, index)) => {
                    if let Some(value) = field.value(payload, index) {
                        self.cells.write(&mut cell, field, value);
                    }
                }
            }
            // A line break inside a cell would tear the table.
            let text = String::from_utf8_lossy(&cell).replace(char::is_control, " ");
            row.push(text);
        }
        if self.begun {
            return self.line(out, &row, false);
        }
        self.waiting.push(row);
        if self.waiting.len() >= ROWS_LOOKED_AT {
            self.flush(out);
        }
    }

    /// Lays out what was held back to learn the widths.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        let waiting = std::mem::take(&mut self.waiting);
        // Without a row nobody knows the widths yet: a follower may wait for the first one.
        if !self.begun && !waiting.is_empty() {
            self.begin(out, &waiting);
        }
        for row in &waiting {
            self.line(out, row, false);
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>, rows: &[Vec<String>]) {
        self.begun = true;
        let header: Vec<String> = self.columns.iter().map(title).collect();
        for row in rows.iter().chain([&header]) {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.leave_out_what_does_not_fit();
        self.line(out, &header, self.bold);
    }

    fn leave_out_what_does_not_fit(&mut self) {
        let Some(terminal) = self.terminal else { return };
        let all = self.columns.len();
        let mut ends = self.widths.iter().scan(0, |end, width| {
            *end += width + GAP.len();
            Some(*end - GAP.len())
        });
        let shown = ends.position(|end| end > terminal).unwrap_or(all);
        let shown = shown.max(1);
        if shown < all {
            self.columns.truncate(shown);
            self.widths.truncate(shown);
            output::note(&format!(
                "{} of {all} columns do not fit: --fields chooses some, --format csv shows all",
                all - shown
            ));
        }
    }

    fn line(&mut self, out: &mut Vec<u8>, row: &[String], bold: bool) {
        if bold {
            out.extend_from_slice(b"\x1b[1m");
        }
        let mut text = String::new();
        for ((cell, width), item) in row.iter().zip(&mut self.widths).zip(&self.columns) {
            *width = (*width).max(cell.chars().count());
            if !text.is_empty() {
                text.push_str(GAP);
            }
            let space = " ".repeat(*width - cell.chars().count());
            if is_text(item) { text += &(cell.clone() + &space) } else { text += &(space + cell) }
        }
        out.extend_from_slice(text.trim_end().as_bytes());
        if bold {
            out.extend_from_slice(b"\x1b[0m");
        }
        out.push(b'\n');
    }
}

fn title(item: &Item) -> String {
    match item.field().and_then(|(field, _)| field.unit.as_deref()) {
        None => item.name(),
        Some(unit) => format!("{} [{unit}]", item.name()),
    }
}

/// Texts stand to the left, numbers to the right.
fn is_text(item: &Item) -> bool {
    let kind = item.field().map(|(field, _)| field.kind);
    matches!(
        kind,
        Some(
            Kind::Str { .. }
                | Kind::Bytes { .. }
                | Kind::Enum8
                | Kind::Enum16
                | Kind::Bits8
                | Kind::Bits16
                | Kind::Bits32
                | Kind::Bool
                | Kind::Time(_)
        )
    )
}
