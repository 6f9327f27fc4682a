//! `info --raw`: everything in a torrent file, key by key, as it stands there.

use riverrun::metainfo::bencode::{self, Kind, Limits, Value};
use riverrun::metainfo::display;

use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;

/// The longest text that is shown whole, and how much of a longer one.
const LONG: usize = 1024;

/// Prints the tree of values.
pub(crate) fn print(env: &mut Env, bytes: &[u8]) -> Result<(), Failure> {
    let document = bencode::decode_prefix(bytes, Limits::METAINFO)
        .map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
    put(env, "", document.root(), 0)?;
    Ok(())
}

/// One value behind its key. The depth is bounded by the decoder.
fn put(env: &mut Env, key: &str, value: Value<'_>, depth: usize) -> std::io::Result<()> {
    let indent = "  ".repeat(depth);
    if let Some(dict) = value.as_dict() {
        env.result(format_args!("{indent}{key}dictionary"))?;
        for (name, inner) in dict.iter() {
            let name = if printable(name) { display::escaped_bytes(name).to_string() } else { super::hex(name) };
            put(env, &format!("{name}: "), inner, depth + 1)?;
        }
    } else if let Some(list) = value.as_list() {
        env.result(format_args!("{indent}{key}list"))?;
        for inner in list {
            put(env, "- ", inner, depth + 1)?;
        }
    } else if let Some(digits) = value.digits() {
        env.result(format_args!("{indent}{key}{digits}"))?;
    } else if let Some(bytes) = value.as_bytes() {
        env.result(format_args!("{indent}{key}{}", text(bytes)))?;
    }
    debug_assert!(matches!(value.kind(), Kind::Bytes | Kind::Int | Kind::List | Kind::Dict));
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    if printable(bytes) && bytes.len() <= LONG {
        format!("\"{}\"", display::escaped_bytes(bytes))
    } else {
        let head = super::hex(&bytes[..bytes.len().min(20)]);
        let more = if bytes.len() > 20 { "…" } else { "" };
        format!("{} bytes: {head}{more}", bytes.len())
    }
}

fn printable(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(|c: char| c.is_control() && c != '\n'))
}
