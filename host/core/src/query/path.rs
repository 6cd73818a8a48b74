//! Singular JSON paths (RFC 9535, section 2.3.5.1) and what they find in JSON text.
//!
//! A path is `$` with members and elements: `$.a.b`, `$['x y'][0]`, `$.list[-1]`. It finds one value
//! or none, as a slice of the text: nothing is parsed but what lies on the way. Of duplicate member
//! names the last one counts. Text that is no JSON holds nothing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Error, Result};

/// Longest path in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Most members and elements of a path.
pub const PATH_SEGMENTS_MAX: usize = 32;
/// Greatest index of an element, in either direction: the integers that a double holds exactly.
const INDEX_MAX: i64 = (1 << 53) - 1;

/// A path to one value within a JSON document.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Member(String),
    /// From the start, or from the end when negative.
    Element(i64),
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// `InvalidArgument` for anything but a singular path, `TooLarge` beyond [`PATH_BYTES_MAX`] and
    /// [`PATH_SEGMENTS_MAX`].
    pub(crate) fn parse(text: &str) -> Result<Path> {
        let too_large = |what, actual: usize, limit_name, limit: usize| Error::TooLarge {
            what,
            actual: actual as u64,
            limit_name,
            limit: limit as u64,
        };
        if text.len() > PATH_BYTES_MAX {
            let what = "bytes of a JSON path";
            return Err(too_large(
                what,
                text.len(),
                "PATH_BYTES_MAX",
                PATH_BYTES_MAX,
            ));
        }
        let segments = Reader { text, at: 0 }.path()?;
        if segments.len() > PATH_SEGMENTS_MAX {
            let what = "segments of a JSON path";
            let (actual, limit) = (segments.len(), PATH_SEGMENTS_MAX);
            return Err(too_large(what, actual, "PATH_SEGMENTS_MAX", limit));
        }
        Ok(Path {
            text: text.to_owned(),
            segments,
        })
    }

    /// The path as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether two paths lead to the same value, however they are written.
    pub(crate) fn leads_where(&self, other: &Path) -> bool {
        self.segments == other.segments
    }

    /// The text of the value that the path leads to.
    pub(crate) fn find<'j>(&self, json: &'j str) -> Option<&'j str> {
        find_all(&[self], json).pop().flatten()
    }
}

/// The text of the values that paths lead to, in their order, in one pass where they are not nested.
pub(crate) fn find_all<'j>(paths: &[&Path], json: &'j str) -> Vec<Option<&'j str>> {
    let mut found = vec![None; paths.len()];
    let wanted: Vec<_> = paths
        .iter()
        .enumerate()
        .map(|(at, path)| (at, path.segments.as_slice()))
        .collect();
    descend(&wanted, json, &mut found);
    found
}

/// The place of a path's answer, and what is left of the path.
type Wanted<'p> = (usize, &'p [Segment]);

fn descend<'j>(wanted: &[Wanted<'_>], json: &'j str, found: &mut [Option<&'j str>]) {
    let mut below = Vec::with_capacity(wanted.len());
    for (at, segments) in wanted {
        match segments.split_first() {
            None => found[*at] = Some(json.trim_matches([' ', '\t', '\n', '\r'])),
            Some((first, rest)) => below.push((first, (*at, rest))),
        }
    }
    if below.is_empty() {
        return;
    }
    below.sort();
    let mut names: Vec<&Segment> = below.iter().map(|(first, _)| *first).collect();
    names.dedup();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let Ok(values) = deserializer.deserialize_any(Level { names: &names }) else {
        return;
    };
    for (name, value) in names.iter().zip(values) {
        let Some(value) = value else { continue };
        let next: Vec<_> = below
            .iter()
            .filter(|(first, _)| first == name)
            .map(|(_, rest)| *rest)
            .collect();
        descend(&next, value, found);
    }
}

/// One level of a document: the texts of the members or elements that are asked for.
struct Level<'s> {
    names: &'s [&'s Segment],
}

impl<'j> Visitor<'j> for Level<'_> {
    type Value = Vec<Option<&'j str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.names.len()];
        while let Some(at) = map.next_key_seed(Name(self.names))? {
            match at {
                Some(at) => values[at] = Some(map.next_value::<&'j RawValue>()?.get()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&'j RawValue>()? {
            elements.push(element.get());
        }
        let element = |segment: &&Segment| match segment {
            Segment::Member(_) => None,
            Segment::Element(index) => {
                let from_end = usize::try_from(index.unsigned_abs()).ok()?;
                let at = match *index < 0 {
                    true => elements.len().checked_sub(from_end)?,
                    false => from_end,
                };
                elements.get(at).copied()
            }
        };
        Ok(self.names.iter().map(element).collect())
    }
}

/// Which of the names a member has. Names are read as bytes, so that one that is no text hides no
/// other.
struct Name<'s>(&'s [&'s Segment]);

impl<'j> DeserializeSeed<'j> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'j>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Option<usize>, E> {
        let is =
            |segment: &&Segment| matches!(segment, Segment::Member(of) if of.as_bytes() == name);
        Ok(self.0.iter().position(is))
    }
}

/// Reads the text of a path.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, reason: impl fmt::Display) -> Error {
        let shown: String = self.text.chars().take(64).collect();
        let reason = format!("`{shown}` at byte {}: {reason}", self.at);
        Error::invalid("JSON path", reason)
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        if is {
            self.at += wanted.len_utf8();
        }
        is
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn path(&mut self) -> Result<Vec<Segment>> {
        if !self.eat('$') {
            return Err(self.wrong("a path begins with `$`"));
        }
        let mut segments = Vec::new();
        while !self.rest().is_empty() {
            self.blanks();
            if self.eat('.') {
                segments.push(Segment::Member(self.shorthand()?));
            } else if self.eat('[') {
                self.blanks();
                segments.push(self.bracketed()?);
                self.blanks();
                if !self.eat(']') {
                    return Err(self.wrong("`]` is missing; a path selects one name or index"));
                }
            } else {
                return Err(self.wrong("expected `.name`, `['name']` or `[index]`"));
            }
        }
        Ok(segments)
    }

    fn shorthand(&mut self) -> Result<String> {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        match self.peek() {
            Some(first) if is_first(first) => {}
            Some('.' | '*') => return Err(self.wrong("a path leads to one value; use a filter")),
            _ => return Err(self.wrong("a name is missing; write others as `['name']`")),
        }
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| is_first(*c) || c.is_ascii_digit()) {
            name.push(c);
            self.at += c.len_utf8();
        }
        Ok(name)
    }

    fn bracketed(&mut self) -> Result<Segment> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => {
                self.at += 1;
                Ok(Segment::Member(self.quoted(quote)?))
            }
            Some('-' | '0'..='9') => Ok(Segment::Element(self.index()?)),
            _ => Err(self.wrong("expected a quoted name or an index; use a filter for more")),
        }
    }

    fn index(&mut self) -> Result<i64> {
        let start = self.at;
        self.eat('-');
        while matches!(self.peek(), Some('0'..='9')) {
            self.at += 1;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        let plain = digits == "0" || !digits.trim_start_matches('-').starts_with('0');
        match digits.parse::<i64>() {
            Ok(index) if plain && index.abs() <= INDEX_MAX => Ok(index),
            _ => Err(self.wrong(format!("`{digits}` is no index"))),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        let mut name = String::new();
        loop {
            match self.next() {
                None => return Err(self.wrong("the name has no closing quote")),
                Some(c) if c == quote => return Ok(name),
                Some('\\') => name.push(self.escaped(quote)?),
                Some(c) if c < ' ' => return Err(self.wrong("a control character must be escaped")),
                Some(c) => name.push(c),
            }
        }
    }

    fn escaped(&mut self, quote: char) -> Result<char> {
        match self.next() {
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(c @ ('/' | '\\')) => Ok(c),
            Some(c) if c == quote => Ok(c),
            Some('u') => {
                let high = self.hex()?;
                let low = match high {
                    0xD800..=0xDBFF if self.eat('\\') && self.eat('u') => Some(self.hex()?),
                    _ => None,
                };
                let units = [Some(high), low].into_iter().flatten();
                match char::decode_utf16(units).next() {
                    Some(Ok(c)) => Ok(c),
                    _ => Err(self.wrong("a surrogate stands alone")),
                }
            }
            _ => Err(self.wrong("this escape is not known")),
        }
    }

    fn hex(&mut self) -> Result<u16> {
        let digits = self.rest().get(..4).unwrap_or_default();
        let is_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        match u16::from_str_radix(digits, 16) {
            Ok(unit) if is_hex => {
                self.at += 4;
                Ok(unit)
            }
            _ => Err(self.wrong("`\\u` takes four hexadecimal digits")),
        }
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
