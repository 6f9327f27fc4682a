//! Trackers, web seeds and DHT nodes of a torrent file.

use std::collections::HashSet;

use crate::bencode::{Dict, Value};
use crate::display;
use crate::info::Fields;
use crate::metainfo::Warning;
use crate::url::{self, UrlError};

/// The tiers of `announce-list`, or `announce` alone if the list is not there or has nothing in it (BEP 12).
pub(super) fn trackers(root: Dict<'_>, fields: &mut Fields<'_>) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let mut tiers = Vec::new();
    if let Some(list) = root.get("announce-list") {
        let Some(entries) = list.as_list() else {
            fields.dropped(list);
            return single(root, fields);
        };
        for tier in entries {
            // Some programs write the addresses without tiers around them: each is a tier then.
            let urls = tier.as_list().map_or_else(|| vec![tier], Iterator::collect);
            let mut kept = Vec::new();
            for value in urls {
                let url = address(value, "announce-list", url::check_tracker, fields);
                kept.extend(url.filter(|url| seen.insert(url.clone())));
            }
            if !kept.is_empty() {
                tiers.push(kept);
            }
        }
    }
    if tiers.is_empty() { single(root, fields) } else { tiers }
}

fn single(root: Dict<'_>, fields: &mut Fields<'_>) -> Vec<Vec<String>> {
    let url = root.get("announce").and_then(|value| address(value, "announce", url::check_tracker, fields));
    url.into_iter().map(|url| vec![url]).collect()
}

/// One string or a list of them (BEP 19).
pub(super) fn web_seeds(root: Dict<'_>, fields: &mut Fields<'_>) -> Vec<String> {
    let Some(value) = root.get("url-list") else { return Vec::new() };
    let values = value.as_list().map_or_else(|| vec![value], Iterator::collect);
    let mut seen = HashSet::new();
    let urls = values.into_iter().filter_map(|value| address(value, "url-list", url::check_web, fields));
    urls.filter(|url| seen.insert(url.clone())).collect()
}

/// Pairs of host and port (BEP 5).
pub(super) fn nodes(root: Dict<'_>, fields: &mut Fields<'_>) -> Vec<(String, u16)> {
    let Some(value) = root.get("nodes") else { return Vec::new() };
    let Some(entries) = value.as_list() else {
        fields.dropped(value);
        return Vec::new();
    };
    let mut nodes = Vec::new();
    for entry in entries {
        match node(entry) {
            Some(node) => nodes.push(node),
            None => fields.dropped(entry),
        }
    }
    nodes
}

fn node(entry: Value<'_>) -> Option<(String, u16)> {
    let mut pair = entry.as_list()?;
    let host = pair.next()?.as_str().filter(|host| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic()))?;
    let port = pair.next()?.as_uint().filter(|&port: &u16| port > 0)?;
    Some((host.to_owned(), port))
}

/// An address that passes its check; a warning says why one does not. Empty ones are passed over: some programs write them.
fn address(
    value: Value<'_>,
    key: &'static str,
    check: impl Fn(&str) -> Result<(), UrlError>,
    fields: &mut Fields<'_>,
) -> Option<String> {
    const SHOWN: usize = 100;
    let Some(text) = value.as_str() else {
        fields.dropped(value);
        return None;
    };
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    match check(text) {
        Ok(()) => Some(text.to_owned()),
        Err(error) => {
            let address: String = url::without_credentials(text).chars().take(SHOWN).collect();
            fields.warn(Warning::Address { key, address: display::escaped(&address).to_string(), error });
            None
        }
    }
}
