//! Where values come from, laid over each other.

use std::{
    collections::BTreeMap,
    io, iter,
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use config::{FileFormat, Map, Source, Value, ValueKind};

use super::{
    SETTINGS,
    fault::{Fault, nearest},
    flags::{CONFIG_FLAG, CONFIG_VARIABLE},
    kind::Kind,
    setting::VARIABLE_PREFIX,
};

/// The values of one source, each with its origin in words.
#[derive(Clone, Debug, Default)]
struct Layer(Map<String, Value>);

impl Layer {
    fn put(&mut self, name: &str, value: impl Into<ValueKind>, origin: &str) {
        self.0.insert(name.to_owned(), Value::new(Some(&origin.to_owned()), value));
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// The values of all sources, and what was found wrong so far.
pub(super) struct Values {
    merged: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Values {
    /// Lays defaults, file, environment and flags over each other. A source that cannot be read is
    /// a fault, and the others are read all the same.
    pub(super) fn collect(
        flags: &ArgMatches,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut faults = Vec::new();
        let (variables, path_in_variable) = variables_layer(variables, &mut faults);
        let path = flags.get_one::<PathBuf>(CONFIG_FLAG).cloned().or(path_in_variable);
        let file = path.map(|path| file_layer(path, &mut faults)).unwrap_or_default();
        let merged = config::Config::builder()
            .add_source(defaults_layer())
            .add_source(file)
            .add_source(variables)
            .add_source(flags_layer(flags))
            .build();
        let merged = match merged.and_then(|merged| merged.collect()) {
            Ok(merged) => merged,
            Err(error) => {
                let path = "(all sources)".to_owned();
                faults.push(Fault::File { path, message: error.to_string() });
                Map::new()
            }
        };
        Self { merged, faults }
    }

    /// Reads one setting; `None`, and a fault, if its value is not allowed.
    pub(super) fn read<K: Kind>(&mut self, name: &str, kind: &K) -> Option<K::Value> {
        let Some(value) = self.merged.get(name) else {
            return kind.absent();
        };
        let read = plain(value, kind.may_be_list()).and_then(|text| kind.read(&text));
        if read.is_none() {
            self.refuse(name, kind.allowed());
        }
        read
    }

    /// Notes that the value of `name` is not allowed.
    pub(super) fn refuse(&mut self, name: &str, allowed: String) {
        let (value, origin) = self.shown(name);
        self.faults.push(Fault::Value { setting: name.to_owned(), value, origin, allowed });
    }

    /// Notes that the file at `path`, which a setting names, cannot be read.
    pub(super) fn refuse_file(&mut self, path: &Path, error: &io::Error) {
        let path = path.display().to_string();
        self.faults.push(Fault::File { path, message: error.to_string() });
    }

    /// The value of `name` and where it came from, in words.
    pub(super) fn describe(&self, name: &str) -> String {
        let (value, origin) = self.shown(name);
        format!("which is {value} ({origin})")
    }

    /// All that was found wrong.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    fn shown(&self, name: &str) -> (String, String) {
        let value = self.merged.get(name);
        let text = value.map_or_else(String::new, written);
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let text = setting.map_or_else(|| text.clone(), |setting| setting.shape.shown(&text));
        let origin = value.and_then(Value::origin).unwrap_or("default");
        (text, origin.to_owned())
    }
}

/// A value as it was written, or what it is if it is not a plain one.
fn written(value: &Value) -> String {
    plain(value, false).unwrap_or_else(|| "a list or a table".to_owned())
}

/// A value as text; `None` if it is a table, or a list where none may be.
fn plain(value: &Value, may_be_list: bool) -> Option<String> {
    if !may_be_list || !matches!(value.kind, ValueKind::Array(_)) {
        return value.clone().into_string().ok();
    }
    let parts = value.clone().into_array().ok()?.into_iter().map(|part| part.into_string().ok());
    Some(parts.collect::<Option<Vec<_>>>()?.join(","))
}

/// What is wrong with a file, without the line that it quotes: a secret may stand there.
fn without_quote(message: &str) -> String {
    let is_quote = |line: &&str| {
        let rest = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        rest.trim_start().starts_with('|')
    };
    message.trim_end().lines().filter(|line| !is_quote(line)).collect::<Vec<_>>().join(": ")
}

fn defaults_layer() -> Layer {
    let mut layer = Layer::default();
    for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
        layer.put(setting.name, setting.default, "default");
    }
    layer
}

fn file_layer(path: PathBuf, faults: &mut Vec<Fault>) -> Layer {
    let path_text = path.display().to_string();
    let found =
        std::fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| {
            let file = config::File::from_str(&text, FileFormat::Toml);
            file.collect().map_err(|error| without_quote(&error.to_string()))
        });
    let mut layer = Layer::default();
    match found {
        Ok(found) => {
            let origin = format!("file {path_text}");
            let sorted: BTreeMap<_, _> = found.into_iter().collect();
            for (name, value) in sorted {
                if is_setting(&name) {
                    layer.put(&name, value.kind, &origin);
                } else {
                    let nearest = nearest(&name, SETTINGS.iter().map(|s| s.name.to_owned()));
                    faults.push(Fault::Unknown { name, origin: origin.clone(), nearest });
                }
            }
        }
        Err(message) => faults.push(Fault::File { path: path_text, message }),
    }
    layer
}

/// The settings among `variables`, and the path of the file if one of them names it.
fn variables_layer(
    variables: impl IntoIterator<Item = (String, String)>,
    faults: &mut Vec<Fault>,
) -> (Layer, Option<PathBuf>) {
    let mut layer = Layer::default();
    let mut path = None;
    for (variable, value) in variables {
        if !variable.starts_with(VARIABLE_PREFIX) || is_service_link(&variable) {
            continue;
        }
        let setting = SETTINGS.iter().find(|setting| setting.variable() == variable);
        if let Some(setting) = setting {
            layer.put(setting.name, value, &variable);
        } else if variable == CONFIG_VARIABLE {
            path = Some(PathBuf::from(value));
        } else {
            let known = SETTINGS.iter().map(|setting| setting.variable());
            let nearest = nearest(&variable, known.chain(iter::once(CONFIG_VARIABLE.to_owned())));
            let origin = "environment".to_owned();
            faults.push(Fault::Unknown { name: variable, origin, nearest });
        }
    }
    (layer, path)
}

fn flags_layer(flags: &ArgMatches) -> Layer {
    let mut layer = Layer::default();
    for setting in SETTINGS {
        if let Some(value) = flags.get_one::<String>(setting.name) {
            layer.put(setting.name, value.as_str(), &format!("--{}", setting.flag()));
        }
    }
    layer
}

fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
}

/// Whether Kubernetes set this variable: into each pod it puts the addresses of all services of the
/// namespace, of one named `tandem` or `tandem-…` under names that look like tandem's settings.
fn is_service_link(variable: &str) -> bool {
    let is_port = |rest: &str| {
        rest.is_empty()
            || rest.strip_prefix('_').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
    };
    variable.ends_with("_SERVICE_HOST")
        || variable.ends_with("_SERVICE_PORT")
        || variable.contains("_SERVICE_PORT_")
        || variable
            .match_indices("_PORT")
            .any(|(at, port)| variable.get(at + port.len()..).is_some_and(is_port))
}
