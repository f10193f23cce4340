//! Two schemas beside each other.

use std::fmt;

use super::{Field, Schema};

/// Shows the fields in which two schemas differ in two columns, what they share left out. A text
/// that is no schema stands as it is.
pub(crate) struct Difference<'a> {
    pub(crate) found: &'a str,
    pub(crate) expected: &'a str,
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (found, expected) = (lines(self.found), lines(self.expected));
        let both = || found.iter().zip(&expected);
        let before = both().take_while(|(a, b)| a == b).count();
        let (found, expected) = (&found[before..], &expected[before..]);
        let both = found.iter().rev().zip(expected.iter().rev());
        let behind = both.take_while(|(a, b)| a == b).count();
        let (found, expected) =
            (&found[..found.len() - behind], &expected[..expected.len() - behind]);
        let widest = found.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let width = widest.max("archive".len());
        write!(f, "\n  {:width$} | asked for", "archive")?;
        for index in 0..found.len().max(expected.len()) {
            let side = |lines: &[String]| lines.get(index).cloned().unwrap_or_else(|| "-".into());
            write!(f, "\n  {:width$} | {}", side(found), side(expected))?;
        }
        Ok(())
    }
}

fn lines(text: &str) -> Vec<String> {
    match text.parse::<Schema>() {
        Ok(schema) => schema.fields().iter().map(Field::to_string).collect(),
        Err(_) if text.is_empty() => Vec::new(),
        Err(_) => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let found = "t:time_ns, temp:f32[C], rpm:u16, tag:str8";
        let expected = "t:time_ns, temp:f64[C], rpm:u16, load:f32, tag:str8";
        let shown = "\n  archive     | asked for\
                     \n  temp:f32[C] | temp:f64[C]\
                     \n  rpm:u16     | rpm:u16\
                     \n  -           | load:f32";
        assert_eq!(Difference { found, expected }.to_string(), shown);
        let shown = "\n  archive | asked for\n  -       | t:time_ns";
        assert_eq!(Difference { found: "", expected: "t:time_ns" }.to_string(), shown);
    }
}
