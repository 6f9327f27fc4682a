//! The handshake of the extension protocol (BEP 10), with the keys of BEP 9, 11 and 21.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use riverrun_metainfo::bencode::{self, Limits, Value};

use super::{ExtendedError, Extension};
use crate::compact;
use crate::limits::MAX_METADATA_LENGTH;
use crate::wire::peer_id::{MAX_CLIENT_NAME, remote_text};

/// What one side speaks and says of itself. Everything is optional; a later handshake changes only what it names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtendedHandshake {
    /// The extensions that it names in `m`, with the number to send each by; 0 switches it off. Names that are not known
    /// here are left out.
    pub extensions: Vec<(Extension, u8)>,
    /// `p`: the port it listens on.
    pub listen_port: Option<u16>,
    /// `v`: what it calls itself, printable and at most [`MAX_CLIENT_NAME`] bytes.
    pub client: Option<String>,
    /// `yourip`: our address as it sees it.
    pub your_ip: Option<IpAddr>,
    /// `ipv4`: where it can be reached too.
    pub ipv4: Option<Ipv4Addr>,
    /// `ipv6`: where it can be reached too.
    pub ipv6: Option<Ipv6Addr>,
    /// `reqq`: the requests that it lets wait; at least 1.
    pub reqq: Option<u32>,
    /// `metadata_size`: the length of the info dictionary in bytes, from 1 to [`MAX_METADATA_LENGTH`] (BEP 9).
    pub metadata_size: Option<u32>,
    /// `upload_only`: it wants nothing more (BEP 21).
    pub upload_only: Option<bool>,
    /// `e`: it prefers encrypted connections (BEP 11).
    pub prefers_encryption: Option<bool>,
    /// `complete_ago`: for how many seconds it has had everything; negative: never.
    pub complete_ago: Option<i64>,
}

impl ExtendedHandshake {
    /// Reads the payload of an extended message with id 0.
    ///
    /// # Errors
    /// It does not begin with a dictionary within the bounds for messages.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtendedError> {
        const WHAT: &str = "extended handshake";
        let document =
            bencode::decode_prefix(payload, Limits::MESSAGE).map_err(|_| ExtendedError::NotADictionary(WHAT))?;
        let dict = document.root().as_dict().ok_or(ExtendedError::NotADictionary(WHAT))?;
        let mut handshake = Self::default();
        for (key, value) in dict.iter() {
            handshake.take(key, value);
        }
        Ok(handshake)
    }

    fn take(&mut self, key: &[u8], value: Value<'_>) {
        match key {
            b"m" => {
                for (name, id) in value.as_dict().into_iter().flat_map(|names| names.iter()) {
                    let extension = Extension::ALL.into_iter().find(|extension| extension.name().as_bytes() == name);
                    if let (Some(extension), Some(id)) = (extension, id.as_uint()) {
                        self.extensions.retain(|(known, _)| *known != extension);
                        self.extensions.push((extension, id));
                    }
                }
            }
            b"p" => self.listen_port = value.as_uint().filter(|port| *port != 0),
            b"v" => self.client = value.as_bytes().map(|name| remote_text(name, MAX_CLIENT_NAME)),
            b"yourip" => self.your_ip = value.as_bytes().and_then(compact::ip),
            b"ipv4" => self.ipv4 = value.as_array::<4>().map(Ipv4Addr::from),
            b"ipv6" => self.ipv6 = value.as_array::<16>().map(Ipv6Addr::from),
            b"reqq" => self.reqq = value.as_uint().filter(|reqq| *reqq != 0),
            b"metadata_size" => {
                self.metadata_size = value.as_uint().filter(|size| (1..=MAX_METADATA_LENGTH).contains(size));
            }
            b"upload_only" => self.upload_only = value.as_int().map(|flag| flag != 0),
            b"e" => self.prefers_encryption = value.as_int().map(|flag| flag != 0),
            b"complete_ago" => self.complete_ago = value.as_int(),
            _ => {}
        }
    }

    /// The payload as it goes over the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        bencode::dict(|dict| {
            dict.dict("m", |names| {
                for (extension, id) in &self.extensions {
                    names.int(extension.name(), *id);
                }
            });
            let numbers = [
                ("p", self.listen_port.map(i64::from)),
                ("reqq", self.reqq.map(i64::from)),
                ("metadata_size", self.metadata_size.map(i64::from)),
                ("upload_only", self.upload_only.map(i64::from)),
                ("e", self.prefers_encryption.map(i64::from)),
                ("complete_ago", self.complete_ago),
            ];
            for (key, number) in numbers {
                if let Some(number) = number {
                    dict.int(key, number);
                }
            }
            if let Some(client) = &self.client {
                dict.bytes("v", client);
            }
            let ips = [
                ("yourip", self.your_ip),
                ("ipv4", self.ipv4.map(IpAddr::from)),
                ("ipv6", self.ipv6.map(IpAddr::from)),
            ];
            for (key, ip) in ips {
                if let Some(ip) = ip {
                    let mut bytes = Vec::with_capacity(16);
                    compact::put_ip(&mut bytes, ip);
                    dict.bytes(key, bytes);
                }
            }
        })
    }
}
