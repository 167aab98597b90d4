//! The flags of `tandem serve`; their help is the reference of the settings.

use std::{path::PathBuf, sync::LazyLock};

use clap::{Arg, Command, value_parser};

use super::{SETTINGS, setting::Setting};

/// The flag that names the file, without the dashes.
pub(super) const CONFIG_FLAG: &str = "config";

/// The variable that names the file where no flag does.
pub(super) const CONFIG_VARIABLE: &str = "TANDEM_CONFIG";

/// How the sources relate, below the list of the settings.
const AFTER_HELP: &str = "\
A setting is taken from its flag, else from its environment variable, else from the file, else it \
has its default. In the file the names have underscores: request_timeout = \"3s\". All faults are \
reported together, and nothing starts before all are mended.";

/// The flags' names, which clap wants for the life of the process.
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| SETTINGS.iter().map(Setting::flag).collect());

/// Adds a flag for each setting, and `--config`, to `command`.
pub fn with_flags(command: Command) -> Command {
    let file = Arg::new(CONFIG_FLAG)
        .long(CONFIG_FLAG)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("A TOML file with settings.\n[env: {CONFIG_VARIABLE}]"));
    command
        .arg(file)
        .args(SETTINGS.iter().zip(NAMES.iter()).map(|(setting, name)| flag(setting, name)))
        .after_help(AFTER_HELP)
}

fn flag(setting: &Setting, name: &'static str) -> Arg {
    // Values are read later, so that all faults of all sources are reported together; a value may
    // begin with a dash for the same reason.
    Arg::new(setting.name)
        .long(name)
        .value_name(setting.shape.placeholder())
        .allow_hyphen_values(true)
        .help(help(setting))
}

fn help(setting: &Setting) -> String {
    let default = if setting.default.is_empty() { "none" } else { setting.default };
    format!(
        "{}\n[default: {default}; env: {}]\n[allowed: {}]",
        setting.doc.trim(),
        setting.variable(),
        setting.shape.allowed()
    )
}
