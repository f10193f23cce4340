//! Keys and values as text, and keys that were given as arguments.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use crate::columns::cell::{hex, push_hex};
use crate::exit::Failure;

/// How keys are given and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Hex,
}

impl Form {
    pub(super) fn of_keys(hex: bool) -> Self {
        if hex { Self::Hex } else { Self::Text }
    }

    /// The bytes of a key that was given as an argument.
    pub(super) fn parse(self, given: &OsStr) -> Result<Vec<u8>, Failure> {
        if self == Self::Text {
            return Ok(given.as_bytes().to_vec());
        }
        given.to_str().and_then(hex).ok_or_else(|| {
            let given = given.display();
            Failure::wrong_use(format!("'{given}' is not hex: write two digits for each byte"))
        })
    }

    pub(super) fn push(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            Self::Text => push_escaped(out, bytes),
            Self::Hex => push_hex(out, bytes),
        }
    }

    /// A field of JSON; its name says when it is hex.
    pub(super) fn push_field(self, out: &mut Vec<u8>, name: &str, bytes: &[u8]) -> io::Result<()> {
        match std::str::from_utf8(bytes) {
            Ok(text) if self == Self::Text => {
                out.extend_from_slice(format!("\"{name}\":").as_bytes());
                serde_json::to_writer(out, text)?;
            }
            _ => {
                out.extend_from_slice(format!("\"{name}_hex\":\"").as_bytes());
                push_hex(out, bytes);
                out.push(b'"');
            }
        }
        Ok(())
    }
}

/// Printable ASCII as it is, and escapes for the rest: no two keys look alike, and each stays on
/// its line.
fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b' '..=b'~' => out.push(byte),
            _ => {
                out.extend_from_slice(b"\\x");
                push_hex(out, &[byte]);
            }
        }
    }
}

/// The name of a bucket on a line: any letters, but nothing that moves the cursor.
pub(super) fn shown_name(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '\\' || c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_so_that_they_can_be_told_apart() {
        for (bytes, shown, json) in [
            (&b"plain \"it's\""[..], r#"plain "it's""#, r#""k":"plain \"it's\"""#),
            (b"a\tb\nc\\x00", r"a\tb\nc\\x00", r#""k":"a\tb\nc\\x00""#),
            (b"\0\r\x1b\x7f", r"\x00\x0d\x1b\x7f", "\"k\":\"\\u0000\\r\\u001b\x7f\""),
            (b"\xff\0a", r"\xff\x00a", r#""k_hex":"ff0061""#),
            ("\u{fc}".as_bytes(), r"\xc3\xbc", "\"k\":\"\u{fc}\""),
            (b"", "", r#""k":"""#),
        ] {
            let (mut text, mut field) = (Vec::new(), Vec::new());
            Form::Text.push(&mut text, bytes);
            Form::Text.push_field(&mut field, "k", bytes).expect("memory");
            assert_eq!(String::from_utf8(text).expect("text"), shown);
            assert_eq!(String::from_utf8(field).expect("text"), json);
        }
        let mut field = Vec::new();
        Form::Hex.push_field(&mut field, "k", b"a").expect("memory");
        assert_eq!(field, br#""k_hex":"61""#);
        assert_eq!(shown_name("gr\u{fc}n\n\u{9b}2J\\"), "gr\u{fc}n\\n\\u{9b}2J\\\\");
    }

    #[test]
    fn keys_are_given_as_they_are_or_in_hex() {
        let parsed = |form: Form, text: &str| form.parse(OsStr::new(text)).ok();
        assert_eq!(parsed(Form::Text, "00ff").as_deref(), Some(&b"00ff"[..]));
        assert_eq!(parsed(Form::Hex, "00fF").as_deref(), Some(&b"\0\xff"[..]));
        assert_eq!(parsed(Form::Hex, "").as_deref(), Some(&b""[..]));
        for wrong in ["0", "0x", "zz", "+1"] {
            assert_eq!(parsed(Form::Hex, wrong), None, "{wrong}");
        }
    }
}
