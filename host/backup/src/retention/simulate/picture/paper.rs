//! SVG as text: numbers to a tenth of a pixel, and nothing of what others wrote gets out of its place.

use std::fmt::Write;

/// Longest text of somebody else in a picture, in characters; more is cut.
const WORDS_CHARS_MAX: usize = 200;

/// A drawing that grows.
#[derive(Default)]
pub(super) struct Paper {
    pub(super) svg: String,
}

/// Where a text stands beside its point.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Paper {
    /// Adds markup that is known to be sound.
    pub(super) fn raw(&mut self, markup: &str) {
        self.svg.push_str(markup);
        self.svg.push('\n');
    }

    pub(super) fn close(&mut self) {
        self.raw("</g>");
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (x, y, words) = (number(x), number(y), escaped(words));
        let _ = writeln!(
            self.svg,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\"{anchor}>{words}</text>"
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (number(from.0), number(from.1), number(to.0), number(to.1));
        let _ = writeln!(
            self.svg,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>"
        );
    }

    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str) {
        let (x, y, w, h) = (number(at.0), number(at.1), number(size.0), number(size.1));
        let _ = writeln!(
            self.svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" class=\"{class}\"/>"
        );
    }

    /// A path, with a title that shows when the pointer rests on it.
    pub(super) fn path(&mut self, path: &Path, class: &str, title: Option<&str>) {
        if path.0.is_empty() {
            return;
        }
        let d = &path.0;
        let _ = match title {
            None => writeln!(self.svg, "<path d=\"{d}\" class=\"{class}\"/>"),
            Some(title) => writeln!(
                self.svg,
                "<path d=\"{d}\" class=\"{class}\"><title>{}</title></path>",
                escaped(title)
            ),
        };
    }
}

/// The outline of a shape.
#[derive(Default)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn begin(&mut self, x: f64, y: f64) {
        let _ = write!(self.0, "M{} {}", number(x), number(y));
    }

    pub(super) fn to(&mut self, x: f64, y: f64) {
        let _ = write!(self.0, "L{} {}", number(x), number(y));
    }

    pub(super) fn across(&mut self, x: f64) {
        let _ = write!(self.0, "H{}", number(x));
    }

    pub(super) fn along(&mut self, y: f64) {
        let _ = write!(self.0, "V{}", number(y));
    }

    pub(super) fn close(&mut self) {
        self.0.push('Z');
    }

    /// A whole rectangle.
    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.begin(x, y);
        let _ = write!(
            self.0,
            "h{}v{}h-{}z",
            number(width),
            number(height),
            number(width)
        );
    }
}

/// To a tenth, without a needless end.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// Text that stays text in SVG and HTML, on one line and of bounded length.
pub(super) fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for (i, c) in words.chars().enumerate() {
        if i >= WORDS_CHARS_MAX {
            text.push('\u{2026}');
            break;
        }
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            // Control characters and what turns the direction of text or is no character of XML.
            c if c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}') =>
            {
                text.push(' ');
            }
            c => text.push(c),
        }
    }
    text
}

/// About how wide a text is, in pixels; digits and capitals count as wide letters.
pub(super) fn width(words: &str, font_px: f64) -> f64 {
    let of = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | ' ' | ',' | '.' | ':' | '(' | ')' => 0.36,
        'm' | 'w' | 'M' | 'W' => 0.86,
        c if c.is_ascii_uppercase() || c.is_ascii_digit() => 0.64,
        c if c.is_ascii() => 0.56,
        _ => 1.0,
    };
    words.chars().take(WORDS_CHARS_MAX).map(of).sum::<f64>() * font_px
}

/// The text with the spaces inside of `name(...)` made hard, so that a line does not end there.
fn together(words: &str) -> String {
    let mut calls: Vec<bool> = Vec::new();
    let mut before = ' ';
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '(' => calls.push(!matches!(before, ' ' | '(')),
            ')' => drop(calls.pop()),
            _ => {}
        }
        let is_hard = c == ' ' && calls.contains(&true);
        text.push(if is_hard { '\u{a0}' } else { c });
        before = c;
    }
    text
}

/// Lines of at most `max_px`, broken between words, at most `lines_max`; the last may end in an ellipsis.
pub(super) fn lines(words: &str, font_px: f64, max_px: f64, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in together(words).split(' ') {
        let word = word.replace('\u{a0}', " ");
        let joined = lines.last().map(|line| format!("{line} {word}"));
        match (
            joined.filter(|joined| width(joined, font_px) <= max_px),
            lines.last_mut(),
        ) {
            (Some(joined), Some(line)) => *line = joined,
            _ => lines.push(cut(&word, font_px, max_px)),
        }
    }
    if lines.len() > lines_max {
        lines.truncate(lines_max);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} \u{2026}"), font_px, max_px);
        }
    }
    lines
}

/// The text, with an ellipsis where it would be wider.
pub(super) fn cut(words: &str, font_px: f64, max_px: f64) -> String {
    if width(words, font_px) <= max_px {
        return words.to_owned();
    }
    let mut text = String::new();
    for c in words.chars() {
        text.push(c);
        if width(&text, font_px) > max_px - font_px {
            break;
        }
    }
    text.push('\u{2026}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        let hostile = "</text><script>alert(\"1\")</script>\u{0}\u{202e}&amp;";
        let text = escaped(hostile);
        assert!(
            !text.contains(['<', '>', '"', '\u{0}', '\u{202e}']),
            "{text}"
        );
        assert!(text.contains("&amp;amp;"), "{text}");
        assert_eq!(escaped(&"x".repeat(1000)).chars().count(), 201);
    }

    #[test]
    fn numbers_are_short_and_lines_fit() {
        assert_eq!(
            ["0", "12", "12.3"].map(String::from),
            [-0.01, 12.0, 12.34].map(number)
        );
        let lines = lines(&"word ".repeat(100), 10.0, 200.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(
            lines.iter().all(|line| width(line, 10.0) <= 200.0),
            "{lines:?}"
        );
        assert!(lines[1].ends_with('\u{2026}'));
    }
}
