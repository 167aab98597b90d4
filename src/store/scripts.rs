//! The Lua scripts, put together from `lua/`.

use std::sync::LazyLock;

use redis::Script;

/// One script of a folder of `lua/`.
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
    FindEntry,
    ListEntries,
    ChangeTopic,
    ChangeSale,
    Define,
    Order,
    Hold,
    Settle,
    Turn,
    StopOrder,
    Look,
    Give,
    Receive,
    Acknowledge,
}

/// Files of `lua/lib/`, joined.
macro_rules! joined {
    [$($library:ident)*] => {
        concat!($(include_str!(concat!("../../lua/lib/", stringify!($library), ".lua"))),*)
    };
}

macro_rules! files {
    ($($name:ident: $folder:literal / $file:literal $libraries:tt,)*) => {
        impl ScriptName {
            /// Every script.
            pub const ALL: [Self; [$($file),*].len()] = [$(Self::$name),*];

            /// Its file's name without the ending; names it in metrics and errors.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $file,)* }
            }

            const fn body(self) -> &'static str {
                match self {
                    $(Self::$name => {
                        include_str!(concat!("../../lua/", $folder, "/", $file, ".lua"))
                    })*
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
    Prepare: "transaction" / "prepare" [batch state body],
    Submit: "transaction" / "submit" [batch state registered whole body due ending promotion],
    Promote: "transaction" / "promote" [batch state registered whole due promotion],
    Register: "transaction" / "register" [batch state],
    Abort: "transaction" / "abort" [batch state registered whole due ending stopping],
    EndWorkflow: "transaction" / "end_workflow" [batch state ending stopping],
    ForceStop: "transaction" / "force_stop" [batch state ending stopping],
    Reset: "transaction" / "reset" [batch state],
    ResetLater: "transaction" / "reset_later" [batch state],
    ListLater: "transaction" / "list_later" [batch],
    Query: "transaction" / "query" [batch registered whole],
    ClaimDue: "transaction" / "claim_due" [batch],
    Take: "transaction" / "take" [batch state registered whole],
    Renew: "transaction" / "renew" [batch state],
    Record: "transaction" / "record" [batch state registered whole record],
    Rest: "transaction" / "rest" [batch state registered whole due record],
    Finish: "transaction" / "finish" [batch state registered whole ending record],
    FindEntry: "registry" / "find_entry" [batch],
    ListEntries: "registry" / "list_entries" [batch],
    ChangeTopic: "topic" / "change_topic" [batch registry],
    ChangeSale: "flash" / "change_sale" [batch registry],
    Define: "flash" / "define" [batch books],
    Order: "flash" / "order" [batch state body due ending books stock taking],
    Hold: "flash" / "hold" [batch books stock taking],
    Settle: "flash" / "settle" [batch books stock settling],
    Turn: "flash" / "turn" [batch state registered whole due ending record books stock settling],
    StopOrder: "flash" / "stop_order" [batch state ending stopping books stock settling],
    Look: "flash" / "look" [batch books],
    Give: "flash" / "give" [batch books],
    Receive: "flash" / "receive" [batch books],
    Acknowledge: "flash" / "acknowledge" [batch books],
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
