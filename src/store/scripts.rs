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
    Register,
    Abort,
    EndWorkflow,
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

/// Files of `lua/lib/`, joined.
macro_rules! joined {
    [$($library:ident)*] => {
        concat!($(include_str!(concat!("../../lua/lib/", stringify!($library), ".lua"))),*)
    };
}

macro_rules! files {
    ($($name:ident: $file:literal $libraries:tt,)*) => {
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

            /// What is put after its first line.
            const fn library(self) -> &'static str {
                match self {
                    $(Self::$name => joined! $libraries,)*
                }
            }
        }
    };
}

// Each with the files of `lua/lib/` that it uses, in the order in which they use each other. It has
// no others, since each call defines anew all that its script has.
files! {
    Prepare: "prepare" [batch state body],
    Submit: "submit" [batch state registered whole body due ending promotion],
    Promote: "promote" [batch state registered whole due promotion],
    Register: "register" [batch state],
    Abort: "abort" [batch state registered whole due ending stopping],
    EndWorkflow: "end_workflow" [batch state ending stopping],
    ForceStop: "force_stop" [batch state ending stopping],
    Reset: "reset" [batch state],
    ResetLater: "reset_later" [batch state],
    ListLater: "list_later" [batch],
    Query: "query" [batch registered whole],
    ClaimDue: "claim_due" [batch],
    Take: "take" [batch state registered whole],
    Renew: "renew" [batch state],
    Record: "record" [batch state registered whole record],
    Rest: "rest" [batch state registered whole due record],
    Finish: "finish" [batch state registered whole ending record],
}

impl ScriptName {
    /// The whole script as it is loaded: its `#!lua` line, what it uses of `lua/lib/`, the rest of
    /// its file.
    pub fn source(self) -> String {
        let (shebang, rest) = self.body().split_once('\n').unwrap_or_else(|| (self.body(), ""));
        format!("{shebang}\n{}{rest}", self.library())
    }

    /// The script with its SHA-1, computed once.
    pub fn script(self) -> &'static Script {
        static SCRIPTS: LazyLock<[Script; ScriptName::ALL.len()]> =
            LazyLock::new(|| ScriptName::ALL.map(|name| Script::new(&name.source())));
        &SCRIPTS[self as usize]
    }
}
