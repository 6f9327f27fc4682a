//! The way to others that the options and the environment ask for.

use riverrun::proto::address::AddressRules;
use riverrun::{AddressListError, Net, Proxy, WebProxies, read_address_list};

use crate::args::{General, ProxyChoice, Route};
use crate::command::watch;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::render::shown;
use crate::units;

/// Takes the way that the options ask for; whatever the program fetches or meets from now on goes this way.
pub(crate) fn take(env: &mut Env, general: &General, route: &Route) -> Result<(), Failure> {
    if let Some(interface) = &route.interface {
        interface.check().map_err(|error| Failure::usage(format!("--interface: {}", shown(&watch::chain(&error)))))?;
    }
    let (proxy, web_proxies) = proxies(env, general, route)?;
    let (addresses, interface) = (addresses(env, general, route)?, route.interface.clone());
    if route.anonymous && proxy.is_none() && !general.quiet {
        env.say("note: anonymous hides the program, not the address: --proxy hides that");
    }
    env.net = Some(Net { addresses, interface, proxy, web_proxies, anonymous: route.anonymous });
    Ok(())
}

/// The proxy that the user names, or else those of the environment for the web.
fn proxies(env: &mut Env, general: &General, route: &Route) -> Result<(Option<Proxy>, WebProxies), Failure> {
    match &route.proxy {
        Some(ProxyChoice::Through(_)) if route.offline => {
            Err(Failure::usage("--proxy and --offline do not go together"))
        }
        Some(ProxyChoice::Through(proxy)) => {
            if !general.quiet {
                let udp = if proxy.carries_udp() { "" } else { "no UDP trackers, " };
                env.say(format_args!("note: through {proxy} alone: {udp}no DHT, no local discovery"));
            }
            Ok((Some(proxy.clone()), WebProxies::default()))
        }
        Some(ProxyChoice::None) => Ok((None, WebProxies::default())),
        None => Ok((None, of_environment(env)?)),
    }
}

/// The way to fetch what a command names that has no options for it: by the proxies of the environment.
pub(crate) fn for_fetching(env: &Env) -> Result<Net, Failure> {
    match &env.net {
        Some(net) => Ok(net.clone()),
        None => Ok(Net { web_proxies: of_environment(env)?, ..Net::default() }),
    }
}

/// The proxies for trackers and for what is fetched that the environment names.
fn of_environment(env: &Env) -> Result<WebProxies, Failure> {
    let variable = |name: &str| Some(env.var(name)?.to_string_lossy().into_owned());
    WebProxies::of_environment(variable).map_err(|(name, error)| Failure::usage(format!("{name}: {error}")))
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
