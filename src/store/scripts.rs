//! The Lua scripts, put together from `lua/`.

use std::sync::LazyLock;

use redis::Script;

/// One script of `lua/transaction/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is described in the head of its file")]
pub enum ScriptName {
    Prepare,
    Submit,
    Promote,
    Abort,
    ForceStop,
    Reset,
    ResetLater,
    ListLater,
    Query,
    ClaimDue,
    Take,
    Renew,
    Record,
    Rest,
    Finish,
}

/// What is put after the first line of every script, in this order.
const LIBRARY: [&str; 8] = [
    include_str!("../../lua/lib/batch.lua"),
    include_str!("../../lua/lib/state.lua"),
    include_str!("../../lua/lib/body.lua"),
    include_str!("../../lua/lib/due.lua"),
    include_str!("../../lua/lib/ending.lua"),
    include_str!("../../lua/lib/promotion.lua"),
    include_str!("../../lua/lib/record.lua"),
    include_str!("../../lua/lib/stopping.lua"),
];

macro_rules! files {
    ($($name:ident: $file:literal,)*) => {
        impl ScriptName {
            /// Every script.
            pub const ALL: [Self; [$($file),*].len()] = [$(Self::$name),*];

            /// Its file's name without the ending; names it in metrics and errors.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $file,)* }
            }

            const fn body(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../lua/transaction/", $file, ".lua")),)*
                }
            }
        }
    };
}

files! {
    Prepare: "prepare",
    Submit: "submit",
    Promote: "promote",
    Abort: "abort",
    ForceStop: "force_stop",
    Reset: "reset",
    ResetLater: "reset_later",
    ListLater: "list_later",
    Query: "query",
    ClaimDue: "claim_due",
    Take: "take",
    Renew: "renew",
    Record: "record",
    Rest: "rest",
    Finish: "finish",
}

impl ScriptName {
    /// The whole script as it is loaded: its `#!lua` line, the library, the rest of its file.
    pub fn source(self) -> String {
        let (shebang, rest) = self.body().split_once('\n').unwrap_or((self.body(), ""));
        let mut source = format!("{shebang}\n");
        for library in LIBRARY {
            source.push_str(library);
        }
        source.push_str(rest);
        source
    }

    /// The script with its SHA-1, computed once.
    pub fn script(self) -> &'static Script {
        static SCRIPTS: LazyLock<[Script; ScriptName::ALL.len()]> =
            LazyLock::new(|| ScriptName::ALL.map(|name| Script::new(&name.source())));
        &SCRIPTS[self as usize]
    }
}
