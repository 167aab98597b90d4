//! The rules that every file of `lua/` keeps, and which a file breaks.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    lexer::{Kind, Token, tokens},
    syntax::{Call, calls, functions, locals},
};

/// What a script says in its first line. A full Redis runs what is flagged `allow-oom`, so that work
/// in hand can end, and refuses what stores new work.
const FLAGS: [(&str, &str); 31] = [
    ("prepare", ""),
    ("submit", ""),
    ("promote", "allow-oom"),
    ("register", ""),
    ("abort", "allow-oom"),
    ("end_workflow", "allow-oom"),
    ("force_stop", "allow-oom"),
    ("reset", "allow-oom"),
    ("reset_later", "allow-oom"),
    ("list_later", "no-writes"),
    ("query", "no-writes"),
    ("claim_due", "allow-oom"),
    ("take", "allow-oom"),
    ("renew", "allow-oom"),
    ("record", "allow-oom"),
    ("rest", "allow-oom"),
    ("finish", "allow-oom"),
    ("find_entry", "no-writes"),
    ("list_entries", "no-writes"),
    ("change_topic", ""),
    ("change_sale", ""),
    ("define", ""),
    ("order", ""),
    ("hold", ""),
    ("settle", "allow-oom"),
    ("turn", "allow-oom"),
    ("stop_order", "allow-oom"),
    ("look", "no-writes"),
    ("give", ""),
    ("receive", "allow-oom"),
    ("acknowledge", "allow-oom"),
];

/// The commands that scripts may use, with how many keys each begins with: none takes longer the
/// more is stored, but for the logarithm of it. What is read of a list, or cut off it, has a bound.
const COMMANDS: [(&str, usize); 19] = [
    ("EXISTS", 1),
    ("GET", 1),
    ("HDEL", 1),
    ("HGET", 1),
    ("HMGET", 1),
    ("HSET", 1),
    ("LLEN", 1),
    ("LRANGE", 1),
    ("LTRIM", 1),
    ("PERSIST", 1),
    ("PEXPIREAT", 1),
    ("RENAME", 2),
    ("RPUSH", 1),
    ("SET", 1),
    ("ZADD", 1),
    ("ZCOUNT", 1),
    ("ZRANGE", 1),
    ("ZREM", 1),
    ("ZSCORE", 1),
];

/// The libraries that ask for a whole hash: that of a transaction has as many fields as branches were
/// registered, which the script that adds them bounds; the books of a bucket have one for each item.
const WHOLE_HASH: [&str; 2] = ["registered", "books"];

/// The one library that reads the time and names Redis.
pub(super) const BATCH: &str = "batch";

const LINE_MAX: usize = 100;

/// Which parameters of the libraries' functions are keys.
#[derive(Debug, Default)]
pub(super) struct Signatures(BTreeMap<String, BTreeSet<usize>>);

/// What is wrong with the library `name`; its functions are added to `known`. Libraries are checked
/// in the order in which they are put together.
pub(super) fn check_library(name: &str, source: &str, known: &mut Signatures) -> Vec<String> {
    let tokens = tokens(source);
    let mut faults = check_text(source);
    if name == BATCH {
        let n_times = calls(&tokens).iter().filter(|call| is_time(call)).count();
        if n_times != 1 {
            faults.push(format!("the time is read {n_times} times, not once"));
        }
        return faults;
    }
    faults.extend(check_words(&tokens));
    faults.extend(uses(&tokens, "KEYS").map(|line| format!("line {line}: a library uses KEYS")));
    for function in functions(&tokens) {
        let mut keys = BTreeSet::new();
        let (asked, found) = keys_asked(function.body, known, WHOLE_HASH.contains(&name));
        faults.extend(found);
        for (word, line) in asked {
            let rebound = locals(function.body).iter().any(|local| local.name == word);
            match function.parameters.iter().position(|parameter| *parameter == word) {
                Some(index) if !rebound => {
                    keys.insert(index);
                }
                _ => faults.push(format!("line {line}: {word} is a key, but no parameter")),
            }
        }
        known.0.insert(function.name.to_owned(), keys);
    }
    faults
}

/// What is wrong with the script `name`.
pub(super) fn check_script(name: &str, source: &str, known: &Signatures) -> Vec<String> {
    let tokens = tokens(source);
    let mut faults = check_text(source);
    faults.extend(check_head(name, source));
    faults.extend(check_words(&tokens));

    let locals = locals(&tokens);
    let from_keys = |value: Option<&[Token]>| value.is_some_and(is_one_key);
    let (bound, others): (Vec<_>, Vec<_>) = locals.iter().partition(|local| from_keys(local.value));
    let keys: BTreeSet<&str> = bound.iter().map(|local| local.name).collect();
    if uses(&tokens, "KEYS").count() != bound.len() {
        faults.push("KEYS is used otherwise than as local names = KEYS[…]".to_owned());
    }
    for other in others.iter().filter(|other| keys.contains(other.name)) {
        faults.push(format!("{} is a key in one place and not in another", other.name));
    }
    let (asked, found) = keys_asked(&tokens, known, false);
    faults.extend(found);
    for (word, line) in asked.iter().filter(|(word, _)| !keys.contains(word.as_str())) {
        faults.push(format!("line {line}: {word} is a key, but not one of KEYS"));
    }
    faults
}

/// Whether an expression is `KEYS[…]`, the whole of it.
fn is_one_key(value: &[Token]) -> bool {
    let mut depth = 0_usize;
    let first_close = value.iter().position(|token| {
        depth += usize::from(token.is_sign("["));
        depth -= usize::from(token.is_sign("]"));
        token.is_sign("]") && depth == 0
    });
    value.first().is_some_and(|it| it.is_name("KEYS")) && first_close == Some(value.len() - 1)
}

fn uses<'a>(tokens: &'a [Token], name: &'a str) -> impl Iterator<Item = usize> + 'a {
    tokens.iter().filter(move |token| token.is_name(name)).map(|token| token.line)
}

fn is_time(call: &Call<'_>) -> bool {
    call.name == "call" && matches!(call.args[..], [[command], ..] if command.text == "TIME")
}

/// The names that stand where a key has to stand, each with its line; and what is wrong otherwise.
/// `may_ask_all`: HGETALL is a command, too.
fn keys_asked(
    tokens: &[Token],
    known: &Signatures,
    may_ask_all: bool,
) -> (Vec<(String, usize)>, Vec<String>) {
    let (mut asked, mut faults) = (Vec::new(), Vec::new());
    for call in calls(tokens) {
        let places: BTreeSet<usize> = if call.name == "call" {
            match check_command(&call, may_ask_all) {
                Ok(n_keys) => (1..=n_keys).collect(),
                Err(fault) => {
                    faults.push(format!("line {}: {fault}", call.line));
                    continue;
                }
            }
        } else {
            known.0.get(call.name).cloned().unwrap_or_default()
        };
        for place in places {
            match call.args.get(place) {
                Some([word]) if word.kind == Kind::Name => {
                    asked.push((word.text.clone(), call.line));
                }
                _ => faults.push(format!("line {}: a key is made up", call.line)),
            }
        }
    }
    (asked, faults)
}

/// How many keys the command of a `call(…)` has.
fn check_command(call: &Call<'_>, may_ask_all: bool) -> Result<usize, String> {
    let Some([command]) = call.args.first() else { return Err("a command is made up".to_owned()) };
    if may_ask_all && command.kind == Kind::Text && command.text == "HGETALL" {
        return Ok(1);
    }
    let known = COMMANDS.iter().find(|(name, _)| *name == command.text);
    let Some((name, n_keys)) = known.filter(|_| command.kind == Kind::Text) else {
        return Err(format!("{} is no command for scripts", command.text));
    };
    let words: Vec<&str> =
        call.args.iter().flat_map(|it| it.iter()).map(|it| it.text.as_str()).collect();
    let is_bounded = words.contains(&"LIMIT") || (words.len() > 3 && words[2] == words[3]);
    if *name == "ZRANGE" && !is_bounded {
        return Err("a range without a limit".to_owned());
    }
    Ok(*n_keys)
}

/// What holds for the words of every file but [`BATCH`].
fn check_words(tokens: &[Token]) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let line = token.line;
        for (word, why) in [
            ("redis", "Redis is asked by call(…) only"),
            ("pcall", "only the loop over the items catches errors"),
            ("tostring", "it cuts large numbers; integer(…) does not"),
            ("while", "a loop without a limit"),
            ("repeat", "a loop without a limit"),
        ] {
            if token.is_name(word) {
                faults.push(format!("line {line}: {word}: {why}"));
            }
        }
        if token.is_name("call") && tokens.get(at + 1).is_none_or(|next| !next.is_sign("(")) {
            faults.push(format!("line {line}: call gets another name"));
        }
        if token.is_name("function") && (at == 0 || !tokens[at - 1].is_name("local")) {
            faults.push(format!("line {line}: a function that is not local"));
        }
    }
    faults
}

/// What holds for the text of every file.
fn check_text(source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in source.lines().enumerate() {
        let number = index + 1;
        if line.chars().count() > LINE_MAX {
            faults.push(format!("line {number} is longer than {LINE_MAX}"));
        }
        if line.contains("--[") || line.trim_end() != line || line.contains('\t') {
            faults.push(format!("line {number}: a long comment, a tab or a blank at its end"));
        }
    }
    if !source.ends_with('\n') {
        faults.push("no end of the last line".to_owned());
    }
    faults
}

fn check_head(name: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let flags = FLAGS.iter().find(|(script, _)| *script == name).map(|(_, flags)| *flags);
    let expected = match flags {
        None => {
            faults.push("it is not in the list of flags".to_owned());
            return faults;
        }
        Some("") => "#!lua".to_owned(),
        Some(flags) => format!("#!lua flags={flags}"),
    };
    let mut lines = source.lines();
    let first = lines.next().unwrap_or_default();
    if first != expected {
        faults.push(format!("its first line is {first}, not {expected}"));
    }
    let mut head = lines.take_while(|line| line.starts_with("--"));
    for part in [
        format!("-- {name}: "),
        "-- KEYS".into(),
        "-- ARGV".into(),
        "-- Returns ".into(),
        "-- One script".into(),
    ] {
        // `any` goes on from the last part, so that they are in this order.
        if !head.any(|line| line.starts_with(&part)) {
            faults.push(format!("its head has no {part}, or not in its place"));
            break;
        }
    }
    faults
}
