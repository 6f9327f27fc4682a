//! Reading the fields of dictionaries: required ones are errors that name the key, optional ones are left out with a warning.

use crate::bencode::{Dict, Kind, Value};
use crate::info::ParseOptions;
use crate::metainfo::{MetainfoError, Warning, warn};

/// Reads fields and collects warnings.
pub(crate) struct Fields<'o> {
    pub(crate) options: &'o ParseOptions,
    pub(crate) warnings: Vec<Warning>,
    /// What stands before every key: `info.` when the document is an info dictionary alone.
    prefix: &'static str,
}

impl<'o> Fields<'o> {
    pub(crate) fn new(prefix: &'static str, options: &'o ParseOptions) -> Self {
        Self { options, warnings: Vec::new(), prefix }
    }

    pub(crate) fn warn(&mut self, warning: Warning) {
        warn(&mut self.warnings, warning);
    }

    /// The way to a value, as it is shown.
    pub(crate) fn key(&self, value: Value<'_>) -> String {
        self.prefixed(&value.path())
    }

    pub(crate) fn prefixed(&self, path: &str) -> String {
        if path.is_empty() { self.prefix.trim_end_matches('.').to_owned() } else { format!("{}{path}", self.prefix) }
    }

    /// The way to a key of a dictionary that is not there.
    #[cold]
    pub(crate) fn missing(&self, dict: Dict<'_>, key: &str) -> MetainfoError {
        let outer = self.key(dict.value());
        MetainfoError::Missing { key: if outer.is_empty() { key.to_owned() } else { format!("{outer}.{key}") } }
    }

    #[cold]
    pub(crate) fn kind(&self, value: Value<'_>, expected: &'static str) -> MetainfoError {
        MetainfoError::Kind { key: self.key(value), found: value.kind(), expected }
    }

    #[cold]
    pub(crate) fn invalid(&self, value: Value<'_>, valid: impl Into<String>) -> MetainfoError {
        const SHOWN: usize = 40;
        let mut found = value.digits().map_or_else(|| value.kind().name().to_owned(), str::to_owned);
        if found.len() > SHOWN {
            found.truncate(SHOWN);
            found.push_str("...");
        }
        MetainfoError::Value { key: self.key(value), found, valid: valid.into() }
    }

    pub(crate) fn required<'d>(&self, dict: Dict<'d>, key: &str) -> Result<Value<'d>, MetainfoError> {
        dict.get(key).ok_or_else(|| self.missing(dict, key))
    }

    #[inline]
    pub(crate) fn dict<'d>(&self, value: Value<'d>) -> Result<Dict<'d>, MetainfoError> {
        value.as_dict().ok_or_else(|| self.kind(value, "a dictionary"))
    }

    #[inline]
    pub(crate) fn bytes<'d>(&self, value: Value<'d>) -> Result<&'d [u8], MetainfoError> {
        value.as_bytes().ok_or_else(|| self.kind(value, "a string"))
    }

    /// A length: 0 or more, 2^60 at most.
    #[inline]
    pub(crate) fn length(&self, value: Value<'_>) -> Result<u64, MetainfoError> {
        match value.as_int().and_then(|length| u64::try_from(length).ok()) {
            Some(length) if length <= crate::Layout::MAX_STREAM_LENGTH => Ok(length),
            _ if value.kind() != Kind::Int => Err(self.kind(value, "an integer")),
            _ => Err(self.invalid(value, "0 to 2^60 are valid")),
        }
    }

    /// What `read` makes of an optional field; a warning if it makes nothing of it.
    pub(crate) fn optional<'d, T>(
        &mut self,
        dict: Dict<'d>,
        key: &str,
        read: impl FnOnce(Value<'d>) -> Option<T>,
    ) -> Option<T> {
        let value = dict.get(key)?;
        let read = read(value);
        if read.is_none() {
            self.dropped(value);
        }
        read
    }

    pub(crate) fn dropped(&mut self, value: Value<'_>) {
        let key = self.key(value);
        self.warn(Warning::Dropped { key });
    }

    /// An optional text. Bad bytes become U+FFFD.
    pub(crate) fn text(&mut self, dict: Dict<'_>, key: &str) -> Option<String> {
        self.optional(dict, key, |value| value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }
}
