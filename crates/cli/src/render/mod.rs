//! How things look: progress on a terminal, in a pipe and for machines; text of strangers made harmless.

pub(crate) mod bar;
pub(crate) mod events;
pub(crate) mod listing;
pub(crate) mod painter;
pub(crate) mod plain;
pub(crate) mod progress;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod tree;

pub(crate) use text::shown;
