//! How a session reaches others, and whom.

mod address_list;

use riverrun_proto::address::AddressRules;

pub use address_list::{AddressListError, read_address_list};

/// How others are reached, and who may be. The default is everybody, directly.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// Who may be talked to: peers in both directions, trackers and web servers.
    pub addresses: AddressRules,
}
