//! Lua's words, as far as `lua/` uses the language.

/// What kind of word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name,
    /// A string; its text is what stands between the quotes.
    Text,
    /// A number or a sign.
    Other,
}

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    pub(super) fn is_name(&self, text: &str) -> bool {
        self.kind == Kind::Name && self.text == text
    }

    pub(super) fn is_sign(&self, text: &str) -> bool {
        self.kind == Kind::Other && self.text == text
    }
}

/// The words of `source`, without the comments and a first line that begins with `#`.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    source
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#'))
        .flat_map(|(index, line)| words(line, index + 1))
        .collect()
}

fn words(line: &str, number: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut left = line.trim_start();
    while let Some(first) = left.chars().next() {
        if left.starts_with("--") {
            break;
        }
        let (kind, text, length) = if first == '\'' || first == '"' {
            let text: String = left[1..].chars().take_while(|c| *c != first).collect();
            let length = (text.len() + 2).min(left.len());
            (Kind::Text, text, length)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            let text: String = left.chars().take_while(is_part).collect();
            let length = text.len();
            (Kind::Name, text, length)
        } else if first.is_ascii_digit() {
            let text: String = left.chars().take_while(char::is_ascii_alphanumeric).collect();
            let length = text.len();
            (Kind::Other, text, length)
        } else {
            let pairs = ["==", "~=", "<=", ">=", ".."];
            let pair = pairs.into_iter().find(|pair| left.starts_with(pair));
            let text = pair.map_or_else(|| first.to_string(), str::to_owned);
            let length = text.len();
            (Kind::Other, text, length)
        };
        tokens.push(Token { kind, text, line: number });
        left = left[length..].trim_start();
    }
    tokens
}
