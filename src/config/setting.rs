//! The table of the settings, made from the same lines as the struct.

use super::kind::Shape;

/// What the reference says of one setting.
pub(super) struct Setting {
    /// As in the file; `TANDEM_` and upper case make the variable, dashes the flag.
    pub(super) name: &'static str,
    /// What it is for: the field's own documentation.
    pub(super) doc: &'static str,
    /// The default, as one would write it; empty where there is none.
    pub(super) default: &'static str,
    /// What may be written.
    pub(super) shape: &'static (dyn Shape + Sync),
}

impl Setting {
    /// The name of its environment variable.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_uppercase())
    }

    /// The name of its flag, without the dashes in front.
    pub(super) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// All environment variables that begin with this are tandem's.
pub(super) const VARIABLE_PREFIX: &str = "TANDEM_";

/// Makes the struct, the table and the reader of the settings from one list, so that no setting can
/// be documented otherwise than it is read.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:literal, $kind:expr;
    )+) => {
        /// Every setting of `tandem serve`, checked as a whole.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $name: $type, )+
        }

        /// The settings in the order of the reference.
        static SETTINGS: &[Setting] = &[$(
            Setting {
                name: stringify!($name),
                doc: concat!($($doc),+),
                default: $default,
                shape: &$kind,
            },
        )+];

        /// What could be read; `None` where there was a fault.
        struct Partial {
            $( $name: Option<$type>, )+
        }

        impl Partial {
            /// Reads every setting, so that every fault is found.
            fn read(values: &mut Values) -> Self {
                Self { $( $name: values.read(stringify!($name), &$kind), )+ }
            }

            /// The configuration, if there was no fault.
            fn complete(self) -> Option<Config> {
                Some(Config { $( $name: self.$name?, )+ })
            }
        }
    };
}
pub(super) use settings;
