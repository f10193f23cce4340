//! Just enough of Rust's grammar to tell code from comments and literals, and to find its parts.

/// The text with every byte of a comment or literal replaced by a space; lines stay as they are.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let end = opaque_end(text.as_bytes(), at);
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    code.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
}

/// The end of the comment or literal that begins at `at`, or `at` where none does.
fn opaque_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let length = match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_bytes(rest),
        [b'"', ..] => quoted_bytes(rest),
        [b'r', b'"' | b'#', ..] if begins_a_literal(&text[..at]) => raw_string_bytes(rest),
        [b'\'', b'\\', _, after @ ..] => 3 + find(after, b"'") + 1,
        [b'\'', _, b'\'', ..] => 3,
        _ => 0,
    };
    (at + length).min(text.len())
}

/// Whether what comes before an `r` lets it begin a raw string: no name, or `b` and `c` alone.
fn begins_a_literal(before: &[u8]) -> bool {
    let name = before.iter().rev().take_while(|byte| is_name(**byte)).count();
    name == 0 || (name == 1 && matches!(before.last(), Some(b'b' | b'c')))
}

fn block_comment_bytes(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while at < rest.len() && depth > 0 {
        let step = match rest[at..] {
            [b'/', b'*', ..] => 1,
            [b'*', b'/', ..] => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
    }
    at
}

fn quoted_bytes(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Zero for a raw name such as `r#type`.
fn raw_string_bytes(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let close = [b"\"", &rest[1..=hashes]].concat();
    let open = 2 + hashes;
    open + find(&rest[open..], &close) + close.len()
}

/// The place of `needle`, or the end where there is none.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap_or(bytes.len())
}

fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Where `spelling` stands in `code` as a whole word or words.
pub(crate) fn places<'a>(code: &'a str, spelling: &'a str) -> impl Iterator<Item = usize> + 'a {
    let found = code.match_indices(spelling).map(|(at, _)| at);
    found.filter(move |at| {
        let joins = |byte: Option<&u8>| byte.is_some_and(|byte| is_name(*byte));
        let (before, after) = code.as_bytes().split_at(*at);
        let ends_in_name = spelling.bytes().last().is_some_and(is_name);
        !(joins(before.last()) || ends_in_name && joins(after.get(spelling.len())))
    })
}

/// The name at the start of `code`; empty where there is none.
pub(crate) fn name_at(code: &str) -> &str {
    let length = code.bytes().take_while(|byte| is_name(*byte)).count();
    &code[..length]
}

/// The offset of the brace that closes the one at `open`.
pub(crate) fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// A function with a body: its name, the offset of its `fn`, and that of its last brace.
pub(crate) fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let mut functions = Vec::new();
    for at in places(code, "fn ") {
        let name = name_at(&code[at + 3..]);
        let open = body_at(code, at);
        if !name.is_empty() && code[open..].starts_with('{') {
            functions.push((name, at, block_end(code, open)));
        }
    }
    functions
}

/// The first `{` or `;` outside brackets: an array type has a semicolon of its own.
fn body_at(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'{' | b';' if depth == 0 => return at,
            _ => {}
        }
    }
    code.len()
}

/// The length of the attribute at the start of `rest`.
pub(crate) fn attribute_bytes(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return at + 1,
            b']' => depth -= 1,
            _ => {}
        }
    }
    rest.len()
}

/// An item ends at its semicolon, or with its block where it is no `use`.
pub(crate) fn item_bytes(rest: &str) -> usize {
    let semicolon = (find(rest.as_bytes(), b";") + 1).min(rest.len());
    let open = find(rest.as_bytes(), b"{");
    if open > semicolon || rest.starts_with("pub use ") {
        semicolon
    } else {
        (block_end(rest, open) + 1).min(rest.len())
    }
}

#[test]
fn comments_and_literals_are_blanked_and_code_is_not() {
    let blanked = [
        "// unsafe",
        "/* a /* nested */ unsafe */",
        "\"a \\\" unsafe\"",
        "br#\"a \" unsafe\"#",
        "r\"unsafe\"",
        "'\\'' /* unsafe */",
        "'\"' /* unsafe */ '\"'",
    ];
    for text in blanked {
        let code = code_of(text);
        assert_eq!(code.len(), text.len());
        assert!(!code.contains("unsafe"), "{text} became {code}");
    }
    for text in ["&'a unsafe", "r#type unsafe", "\"\" unsafe", "'\\n' unsafe", "/**/ unsafe"] {
        assert!(code_of(text).ends_with(" unsafe"), "{text} became {}", code_of(text));
    }
}

#[test]
fn a_function_ends_at_its_own_brace() {
    let code = "fn a(x: [u8; 2]) -> u8 {\n    if x { 1 } else { 2 }\n}\nfn b();\nfn c() {}\n";
    let found: Vec<_> = functions(code).into_iter().map(|(name, _, end)| (name, end)).collect();
    assert_eq!(found, [("a", 51), ("c", 69)]);
}
