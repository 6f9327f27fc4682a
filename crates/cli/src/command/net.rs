//! The way to others that the options and the environment ask for.

use riverrun::proto::address::AddressRules;
use riverrun::{AddressListError, Net, read_address_list};

use crate::args::{General, Route};
use crate::command::watch;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::render::shown;
use crate::units;

/// Takes the way that the options ask for; whatever the program fetches or meets from now on goes this way.
pub(crate) fn take(env: &mut Env, general: &General, route: &Route) -> Result<(), Failure> {
    let later =
        [(route.proxy.is_some(), "going through a proxy (--proxy)"), (route.anonymous, "anonymous mode (--anonymous)")];
    if let Some((_, what)) = later.iter().find(|(asked, _)| *asked) {
        return Err(Failure::not_yet(what));
    }
    if let Some(interface) = &route.interface {
        interface.check().map_err(|error| Failure::usage(format!("--interface: {}", shown(&watch::chain(&error)))))?;
    }
    env.net = Net { addresses: addresses(env, general, route)?, interface: route.interface.clone() };
    Ok(())
}

fn addresses(env: &mut Env, general: &General, route: &Route) -> Result<AddressRules, Failure> {
    let Some(path) = &route.ip_filter else { return Ok(AddressRules::new(route.offline, None)) };
    let ranges = read_address_list(path).map_err(|error| match &error {
        AddressListError::Io { path, source } => {
            let path = path.to_string_lossy();
            Failure::new(Exit::NotFound, format!("{}: {}", shown(&path), reason(source)))
        }
        _ => Failure::usage(format!("--ip-filter {}", shown(&watch::chain(&error)))),
    })?;
    if !general.quiet {
        let count = units::counted(ranges.len() as u64, "range");
        env.say(format_args!("note: {}: {count} of addresses refused", shown(&path.to_string_lossy())));
    }
    Ok(AddressRules::new(route.offline, Some(ranges)))
}
