//! The picture on a terminal: drawn over itself a few times a second, and gone at the end but for its last lines.
//!
//! Every frame is one write: up to where the last one began, each line over the old one, and whatever was below it erased.
//! Nothing is erased before it is written over, so nothing flickers. A terminal that has been made narrower has
//! wrapped the old lines, so their heights are counted anew.

use std::{io::Write, time::Duration};

use provision::execute::Event;
use unicode_width::UnicodeWidthStr as _;

use super::{
    View,
    frame::{self, Size},
    picture::Picture,
};

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
/// Terminals that know these show nothing of a frame before all of it; the others ignore them.
const BEGIN_FRAME: &str = "\x1b[?2026h";
const END_FRAME: &str = "\x1b[?2026l";

pub struct Terminal {
    out: Box<dyn Write + Send>,
    size: Box<dyn Fn() -> Size + Send>,
    coloured: bool,
    /// Widths of the lines that stand above the cursor.
    drawn: Vec<usize>,
    cursor_hidden: bool,
}

impl Terminal {
    pub fn new(out: Box<dyn Write + Send>, size: Box<dyn Fn() -> Size + Send>, coloured: bool) -> Self {
        Self { out, size, coloured, drawn: Vec::new(), cursor_hidden: false }
    }

    /// Lines that stay, then the frame.
    fn draw(&mut self, stay: &[String], lines: &[String], cursor: &str) {
        let columns = (self.size)().columns.max(1);
        let up: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        let mut text = String::from(BEGIN_FRAME);
        if up > 0 {
            text += &format!("\x1b[{up}A");
        }
        text.push('\r');
        for line in stay.iter().chain(lines) {
            text += line;
            text += "\x1b[K\r\n";
        }
        text += "\x1b[J";
        text += cursor;
        text += END_FRAME;
        // A terminal that has gone away is no reason to stop.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        self.drawn = lines.iter().map(|line| visible(line)).collect();
    }
}

/// Without colours, which are the only escapes in a line.
fn visible(line: &str) -> usize {
    let mut width = 0;
    for (at, part) in line.split("\x1b[").enumerate() {
        let part = if at == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) };
        width += part.width();
    }
    width
}

impl View for Terminal {
    /// The next tick shows it.
    fn event(&mut self, _: Duration, _: &Event, _: &Picture) {}

    fn tick(&mut self, at: Duration, picture: &Picture) {
        if picture.rows.is_empty() && self.drawn.is_empty() {
            return;
        }
        let lines = frame::running(picture, at, (self.size)(), self.coloured);
        let cursor = if self.cursor_hidden { "" } else { HIDE_CURSOR };
        self.cursor_hidden = true;
        self.draw(&[], &lines, cursor);
    }

    fn say(&mut self, at: Duration, text: &str, picture: &Picture) {
        let stay: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let lines = match self.drawn.is_empty() {
            true => Vec::new(),
            false => frame::running(picture, at, (self.size)(), self.coloured),
        };
        self.draw(&stay, &lines, "");
    }

    fn settle(&mut self, at: Duration, picture: &Picture) {
        if self.drawn.is_empty() && !self.cursor_hidden {
            return;
        }
        let lines = frame::last(picture, at, (self.size)(), self.coloured);
        self.draw(&lines, &[], SHOW_CURSOR);
        self.cursor_hidden = false;
    }
}
