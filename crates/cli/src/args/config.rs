//! The configuration file: what options are when neither the command line nor the environment says.
//!
//! Strict: a key that is not known is an error with its line. Commands that end by themselves read these sections only.

use std::ops::Range;
use std::path::PathBuf;

use clap::ArgAction;
use clap::error::{ContextKind, ContextValue};
use toml::de::{DeTable, DeValue};

use crate::env::{Env, Places};
use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::lookalike;
use crate::render::shown;

/// What a key of the file stands for.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// The value of this option.
    Value(&'static str),
    /// The flag of this name.
    Flag(&'static str),
    /// `false` is the flag of this name; `true` is what is done without it.
    Switch(&'static str),
    /// `false` is the flag of this name; `true` is what only a later version brings.
    Off(&'static str),
}

use Meaning::{Flag, Off, Switch, Value};

/// Every key: its section, its name, and the option it stands for.
const KEYS: &[(&str, &str, Meaning)] = &[
    ("network", "listen", Value("listen")),
    ("network", "trackers", Value("tracker")),
    ("network", "peers", Value("peer")),
    ("network", "max_peers", Value("max-peers")),
    ("network", "interface", Value("interface")),
    ("network", "proxy", Value("proxy")),
    ("network", "anonymous", Flag("anonymous")),
    ("network", "offline", Flag("offline")),
    ("network", "ip_filter", Value("ip-filter")),
    ("network", "encryption", Value("encryption")),
    ("network", "seed_choker", Value("seed-choker")),
    ("network", "dht", Switch("no-dht")),
    ("network", "dht_routers", Value("dht-router")),
    ("network", "pex", Switch("no-pex")),
    ("network", "lsd", Switch("no-lsd")),
    ("network", "utp", Off("no-utp")),
    ("network", "port_map", Off("no-port-map")),
    ("limits", "download_limit", Value("down-limit")),
    ("limits", "upload_limit", Value("up-limit")),
    ("limits", "lan_unlimited", Flag("lan-unlimited")),
    ("storage", "dir", Value("dir")),
    ("storage", "preallocate", Value("preallocate")),
    ("storage", "part_suffix", Value("part-suffix")),
    ("ui", "color", Value("color")),
    ("ui", "progress", Value("progress")),
    ("ui", "progress_interval", Value("progress-interval")),
    ("ui", "si", Flag("si")),
    ("ui", "quiet", Flag("quiet")),
];

/// The sections and keys as lines of text.
pub(super) fn table() -> String {
    let mut text = String::from("Configuration file ($XDG_CONFIG_HOME/riverrun/config.toml, or --config):\n");
    let mut last = "";
    for (section, key, _) in KEYS {
        let start = if *section == last {
            " ".to_owned()
        } else {
            format!("{}  [{section}] ", if last.is_empty() { "" } else { "\n" })
        };
        text.push_str(&start);
        text.push_str(key);
        last = section;
    }
    text.push('\n');
    text
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// The name of the file, for messages.
    name: String,
    settings: Vec<Setting>,
}

/// One option that the file sets.
#[derive(Debug)]
struct Setting {
    option: &'static str,
    values: Vec<String>,
    line: usize,
}

impl Config {
    /// Reads the file that is named, or the one at its usual place if it is there.
    pub(super) fn find(env: &Env) -> Result<Self, Failure> {
        let named = option(env, "config").map(PathBuf::from);
        let home = option(env, "home").map(PathBuf::from);
        let usual = || Places::find(env, home.as_deref()).map(|places| places.config);
        let Some(path) = named.clone().or_else(usual) else { return Ok(Self::default()) };
        let name = shown(&path.to_string_lossy()).into_owned();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let short = path.file_name().map_or(name.clone(), |name| shown(&name.to_string_lossy()).into_owned());
                Self::read(&text, short)
            }
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::new(Exit::NotFound, format!("{name}: {}", reason(&error)))),
        }
    }

    fn read(text: &str, name: String) -> Result<Self, Failure> {
        let line_of = |span: Range<usize>| text[..span.start.min(text.len())].matches('\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map(|span| format!(" line {}", line_of(span))).unwrap_or_default();
            Failure::usage(format!("{name}{line}: {}", shown(error.message())))
        })?;
        let mut config = Self { name, settings: Vec::new() };
        for (section, inner) in table.get_ref() {
            let sections = KEYS.iter().map(|(section, ..)| *section);
            let line = line_of(section.span());
            let section = section.get_ref().as_ref();
            let DeValue::Table(keys) = inner.get_ref() else {
                return Err(config.unknown(section, line, sections));
            };
            if !KEYS.iter().any(|(known, ..)| *known == section) {
                return Err(config.unknown(section, line, sections));
            }
            for (key, value) in keys {
                let line = line_of(key.span());
                let key = key.get_ref().as_ref();
                let known = KEYS.iter().filter(|(of, ..)| *of == section);
                let Some((.., meaning)) = known.clone().find(|(_, name, _)| *name == key) else {
                    return Err(config.unknown(key, line, known.map(|(_, name, _)| *name)));
                };
                config.set(key, *meaning, value.get_ref(), line)?;
            }
        }
        Ok(config)
    }

    fn unknown<'a>(&self, key: &str, line: usize, known: impl Iterator<Item = &'a str>) -> Failure {
        let near = lookalike::nearest(key, known).map(|near| format!("did you mean \"{near}\"?"));
        Failure::usage(format!("unknown key \"{}\" in {} line {line}", shown(key), self.name)).maybe_help(near)
    }

    fn set(&mut self, key: &str, meaning: Meaning, value: &DeValue<'_>, line: usize) -> Result<(), Failure> {
        let wrong = |wanted: &str| Failure::usage(format!("\"{key}\" in {} line {line} is not {wanted}", self.name));
        let (option, values) = match (meaning, value) {
            (Value(option), DeValue::Array(items)) => {
                let items = items.iter().map(|item| scalar(item.get_ref()).ok_or_else(|| wrong("a list of texts")));
                (option, items.collect::<Result<Vec<_>, _>>()?)
            }
            (Value(option), value) => (option, vec![scalar(value).ok_or_else(|| wrong("a text or a number"))?]),
            (Flag(option), DeValue::Boolean(on)) => (option, on.then(|| "true".to_owned()).into_iter().collect()),
            (Off(option) | Switch(option), DeValue::Boolean(false)) => (option, vec!["true".to_owned()]),
            (Switch(option), DeValue::Boolean(true)) => (option, Vec::new()),
            (Off(_), DeValue::Boolean(true)) => {
                return Err(Failure::not_yet(&format!("what \"{key}\" in {} line {line} asks for", self.name)));
            }
            (Flag(_) | Off(_) | Switch(_), _) => return Err(wrong("true or false")),
        };
        if !values.is_empty() {
            self.settings.push(Setting { option, values, line });
        }
        Ok(())
    }

    /// The definition with the file's values as defaults: the command line and the environment come before them.
    pub(super) fn applied(&self, definition: clap::Command) -> clap::Command {
        let definition = definition.mut_args(|arg| {
            let of = |setting: &&Setting| Some(setting.option) == arg.get_long();
            match self.settings.iter().find(of) {
                Some(setting) if matches!(arg.get_action(), ArgAction::Append) => {
                    arg.default_values(setting.values.clone())
                }
                Some(setting) => arg.default_value(setting.values[0].clone()),
                None => arg,
            }
        });
        // The options of a tracker only sound like those of who asks trackers.
        definition
            .mut_subcommands(|command| if command.get_name() == "tracker" { command } else { self.applied(command) })
    }

    /// The failure with the line of the file that caused it, if one did.
    pub(super) fn blamed(&self, error: &clap::Error, mut failure: Failure) -> Failure {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        let (argument, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
        let about = |setting: &&Setting| {
            let long = argument.split([' ', '=']).find_map(|word| word.strip_prefix("--"));
            long == Some(setting.option) && setting.values.contains(&value)
        };
        if let Some(setting) = self.settings.iter().find(about) {
            failure.message = format!("{} ({} line {})", failure.message, self.name, setting.line);
        }
        failure
    }
}

/// A text or a number, as it would stand on the command line.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// An option as it stands on the command line or in the environment, before anything is parsed.
fn option(env: &Env, name: &str) -> Option<std::ffi::OsString> {
    let long = format!("--{name}");
    let mut args = env.args.iter();
    while let Some(arg) = args.next() {
        if *arg == *long {
            return args.next().cloned();
        }
        if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix(&long)?.strip_prefix('=')) {
            return Some(value.into());
        }
    }
    env.var(&format!("RIVERRUN_{}", name.to_uppercase())).map(Into::into)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        Config::read(text, "config.toml".into()).map_err(|failure| {
            assert_eq!(failure.exit, Exit::Usage);
            failure.text(false)
        })
    }

    #[test]
    fn every_key_stands_for_an_option() {
        let definition = crate::args::definition();
        let mut longs: Vec<&str> = definition.get_arguments().filter_map(clap::Arg::get_long).collect();
        longs.extend(
            definition.get_subcommands().flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long),
        );
        for (section, key, meaning) in KEYS {
            let (Value(option) | Flag(option) | Off(option) | Switch(option)) = meaning;
            assert!(longs.contains(option), "{section}.{key}");
        }
    }

    #[test]
    fn row_20_an_unknown_key_is_named_with_its_line() {
        let text = "# mine\n\n[network]\nlisten = 7000\n\n[limits]\ndowload_limit = \"2Mi\"\n";
        assert_eq!(
            read(text).unwrap_err(),
            "error: unknown key \"dowload_limit\" in config.toml line 7\nhelp: did you mean \"download_limit\"?\n"
        );
        let section = read("[netwrok]\nlisten = 1").unwrap_err();
        assert_eq!(section, "error: unknown key \"netwrok\" in config.toml line 1\nhelp: did you mean \"network\"?\n");
    }

    #[test]
    fn values_of_the_wrong_kind_are_named() {
        assert!(read("[ui]\nsi = 3").unwrap_err().contains("\"si\" in config.toml line 2 is not true or false"));
        assert!(read("[ui]\ncolor = true").unwrap_err().contains("is not a text or a number"));
        assert!(read("[network]\nutp = true").unwrap_err().contains(" is not there yet"));
        assert!(read("[network\n").unwrap_err().starts_with("error: config.toml line 1: "));
        assert!(read("[network]\ndht = false\n[ui]\nsi = true\n").is_ok());
        assert!(read("[network]\ndht = true\ndht_routers = [\"none\"]\n").is_ok());
    }
}
