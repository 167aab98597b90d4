//! What the demonstration prints: titles, sentences, and calls in columns.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use super::bank::Call;

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";

/// Standard output, coloured if it is a terminal.
pub(super) struct Page {
    has_colours: bool,
}

impl Page {
    /// A page on standard output. `NO_COLOR` keeps a terminal plain (<https://no-color.org>).
    pub(super) fn new() -> Self {
        let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { has_colours: !is_plain && io::stdout().is_terminal() }
    }

    /// A heading with an empty line before it.
    pub(super) fn title(&self, text: &str) -> io::Result<()> {
        print(&format!("\n{}", self.paint(BOLD, text)))
    }

    /// A line of the story.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        print(&format!("   {text}"))
    }

    /// One fact: its name and what it is.
    pub(super) fn fact(&self, name: &str, text: &str) -> io::Result<()> {
        print(&format!("   {name:<8} {text}"))
    }

    /// One row of a table: what it is about, how many, and what there is to say of it.
    pub(super) fn row(&self, what: &str, number: usize, note: &str) -> io::Result<()> {
        let line = format!("     {what:<18}  {:>7}  {note}", grouped(number));
        print(line.trim_end())
    }

    /// One call, in columns: branch, op, what it is about, what became of it, the accounts.
    pub(super) fn call(&self, call: &Call) -> io::Result<()> {
        let entry = if call.is_unanswered {
            format!("{}, no answer yet", call.entry)
        } else {
            call.entry.to_string()
        };
        let colour = if call.entry.is_refusal() {
            RED
        } else if call.is_unanswered || call.op.undoes().is_some() {
            YELLOW
        } else {
            GREEN
        };
        let entry = self.paint(colour, &format!("{entry:<23}"));
        let (branch_id, op) = (&call.branch_id, call.op.as_str());
        let movement = call.movement.to_string();
        print(&format!(
            "     branch {branch_id}  {op:<10}  {movement:<18}  {entry}  {}",
            call.balances
        ))
    }

    /// How it ended well.
    pub(super) fn good(&self, text: &str) -> io::Result<()> {
        print(&format!("   {}", self.paint(GREEN, text)))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.has_colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A number with a comma after each thousand.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Not `println`, which panics when whoever reads the output has closed it.
fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_comma_after_each_thousand() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (20_000, "20,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
