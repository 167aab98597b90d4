//! Calls, local names and functions in a list of words.

use super::lexer::{Kind, Token};

/// A call `name(argument, …)`.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) args: Vec<&'a [Token]>,
    pub(super) line: usize,
}

/// The calls by a plain name, from the first on; those in arguments, too.
pub(super) fn calls(tokens: &[Token]) -> Vec<Call<'_>> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let follows = |text: &str| at > 0 && tokens[at - 1].text == text;
        let is_call = pair[0].kind == Kind::Name && pair[1].is_sign("(");
        if is_call
            && !KEYWORDS.contains(&pair[0].text.as_str())
            && !follows("function")
            && !follows(".")
        {
            let (args, _) = listed(tokens, at + 2, &[")"]);
            found.push(Call { name: &pair[0].text, args, line: pair[0].line });
        }
    }
    found
}

const KEYWORDS: [&str; 8] = ["if", "elseif", "while", "and", "or", "not", "return", "in"];

/// The expressions from `start` on that commas separate, up to a sign of `ends` at the same depth or,
/// if there are none, to the end of the statement; and where that is.
pub(super) fn listed<'a>(
    tokens: &'a [Token],
    start: usize,
    ends: &[&str],
) -> (Vec<&'a [Token]>, usize) {
    let mut expressions = Vec::new();
    let (mut depth, mut from, mut at) = (0_usize, start, start);
    while let Some(token) = tokens.get(at) {
        let sign = if token.kind == Kind::Other { token.text.as_str() } else { "" };
        let goes_on = at == from || tokens[at - 1].line == token.line || is_operator(sign);
        if depth == 0 && (ends.contains(&sign) || (ends.is_empty() && !goes_on)) {
            break;
        }
        match sign {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                expressions.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if from < at {
        expressions.push(&tokens[from..at]);
    }
    (expressions, at)
}

fn is_operator(sign: &str) -> bool {
    [".", "..", "+", "-", "*", "/", "==", "~=", "<", ">", "<=", ">=", ","].contains(&sign)
}

/// A local name and what it stands for; `None` for what a call or the like gives.
#[derive(Debug)]
pub(super) struct Local<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<&'a [Token]>,
}

/// The names that `local` introduces, functions left out.
pub(super) fn locals(tokens: &[Token]) -> Vec<Local<'_>> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if !token.is_name("local") || tokens.get(at + 1).is_none_or(|it| it.is_name("function")) {
            continue;
        }
        let (names, equals) = listed(tokens, at + 1, &["="]);
        let (values, _) = listed(tokens, equals + 1, &[]);
        let is_one_each = names.len() == values.len();
        for (index, name) in names.iter().enumerate() {
            let value = is_one_each.then(|| values[index]);
            found.extend(name.first().map(|name| Local { name: &name.text, value }));
        }
    }
    found
}

/// A function `local function name(parameter, …)`, and its words up to the next one.
#[derive(Debug)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Vec<&'a str>,
    pub(super) body: &'a [Token],
}

/// The functions of a library.
pub(super) fn functions(tokens: &[Token]) -> Vec<Function<'_>> {
    let starts: Vec<usize> =
        (0..tokens.len()).filter(|at| tokens[*at].is_name("function")).collect();
    let ends = starts.iter().skip(1).copied().chain([tokens.len()]);
    let pairs = starts.iter().copied().zip(ends);
    pairs
        .filter_map(|(start, end)| {
            let name = &tokens.get(start + 1)?.text;
            let (parameters, close) = listed(tokens, start + 3, &[")"]);
            let parameters =
                parameters.iter().filter_map(|it| it.first()).map(|it| it.text.as_str()).collect();
            Some(Function { name, parameters, body: &tokens[close..end] })
        })
        .collect()
}
