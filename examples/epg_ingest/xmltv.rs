//! Guides: a `<tv>`, and in it each `<channel>` and each `<programme>`, read as a stream by
//! `quick-xml`.

use std::mem;

use quick_xml::{
    Error, Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};

use crate::{Result, input::Input};

const XML: XmlVersion = XmlVersion::Implicit1_0;

/// A channel, a programme, or another child of the root. What it does not say is empty.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) kind: Kind,
    /// The byte behind its start tag, from the first one behind a byte order mark.
    pub(crate) at: u64,
    /// The `id` of a channel, the `channel` of a programme.
    pub(crate) channel: String,
    /// Of a channel: all names that it has.
    pub(crate) names: Vec<String>,
    pub(crate) start: String,
    pub(crate) stop: String,
    /// Of a programme: the first title, description and category that it has.
    pub(crate) title: String,
    pub(crate) desc: String,
    pub(crate) category: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Programme,
    #[default]
    Other,
}

/// Hands over the children of the root, one by one.
pub(crate) fn read(input: Input, mut found: impl FnMut(Element) -> Result<()>) -> Result<()> {
    let Input { name, bytes } = input;
    let mut reader = Reader::from_reader(bytes);
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut buffer) = (Open::default(), Vec::new());
    loop {
        if open.depth < 2 {
            reader.get_mut().renew();
        }
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| {
            let at = match error {
                Error::Syntax(_) | Error::IllFormed(_) => reader.error_position(),
                _ => reader.buffer_position(),
            };
            format!("{name} byte {at}: {error}")
        })?;
        let (at, is_end) = (reader.buffer_position(), matches!(event, Event::Eof));
        let element = open.take(event, at).map_err(|wrong| format!("{name} byte {at}: {wrong}"))?;
        if let Some(element) = element {
            found(element)?;
        }
        if is_end {
            return Ok(());
        }
    }
}

/// Where the reader is.
#[derive(Debug, Default)]
struct Open {
    has_root: bool,
    /// How many elements are open.
    depth: usize,
    /// The child of the root, and the text of its child.
    element: Element,
    text: String,
}

impl Open {
    /// Takes in what comes next; the element that is complete with it.
    fn take(&mut self, event: Event<'_>, at: u64) -> Result<Option<Element>> {
        match event {
            Event::Start(tag) => self.begin(&tag, at)?,
            Event::End(tag) => {
                self.depth -= 1; // The reader refuses one that ends nothing.
                match self.depth {
                    1 => return Ok(Some(mem::take(&mut self.element))),
                    2 => self.element.set(tag.name().0, self.text.trim()),
                    _ => {}
                }
            }
            Event::Text(text) if self.depth == 0 && !text.trim().is_empty() => {
                return Err("text outside of <tv>".into());
            }
            Event::Text(text) => self.add(&text.xml10_content()),
            Event::CData(text) => self.add(&text.xml10_content()),
            Event::GeneralRef(reference) => self.add(&resolved(&reference)?),
            Event::Eof if self.depth > 0 => return Err("it ends within an element".into()),
            Event::Eof if !self.has_root => return Err("there is no <tv>".into()),
            _ => {}
        }
        Ok(None)
    }

    fn begin(&mut self, tag: &BytesStart<'_>, at: u64) -> Result<()> {
        match (self.depth, tag.name().0) {
            (0, "tv") if !self.has_root => self.has_root = true,
            (0, other) => return Err(format!("<{other}> where a single <tv> is expected").into()),
            (1, name) => self.element = Element::begin(name, tag, at)?,
            (2, _) => self.text.clear(),
            _ => {}
        }
        self.depth += 1;
        Ok(())
    }

    fn add(&mut self, text: &str) {
        // What is between the children is white space.
        if self.depth > 2 {
            self.text.push_str(text);
        }
    }
}

/// What `&amp;` or `&#38;` stands for.
fn resolved(reference: &BytesRef<'_>) -> Result<String> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.into());
    }
    let text = resolve_predefined_entity(reference);
    Ok(text.ok_or_else(|| format!("&{}; stands for nothing", &**reference))?.to_owned())
}

impl Element {
    fn begin(name: &str, tag: &BytesStart<'_>, at: u64) -> Result<Self> {
        let kind = match name {
            "channel" => Kind::Channel,
            "programme" => Kind::Programme,
            _ => Kind::Other,
        };
        let mut element = Self { kind, at, ..Self::default() };
        for attribute in tag.attributes() {
            let attribute = attribute?;
            let place = match (kind, attribute.key.0) {
                (Kind::Channel, "id") | (Kind::Programme, "channel") => &mut element.channel,
                (Kind::Programme, "start") => &mut element.start,
                (Kind::Programme, "stop") => &mut element.stop,
                _ => continue,
            };
            attribute.normalized_value(XML)?.trim().clone_into(place);
        }
        Ok(element)
    }

    /// Takes in the text of a child.
    fn set(&mut self, name: &str, text: &str) {
        let place = match (self.kind, name) {
            (Kind::Channel, "display-name") => {
                self.names.push(text.to_owned());
                return;
            }
            (Kind::Programme, "title") => &mut self.title,
            (Kind::Programme, "desc") => &mut self.desc,
            (Kind::Programme, "category") => &mut self.category,
            _ => return,
        };
        if place.is_empty() {
            text.clone_into(place);
        }
    }
}
