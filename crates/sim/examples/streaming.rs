//! Start-up delay and stalls of streaming, as CSV: `cargo run --release -p riverrun-sim --example streaming -- [SEEDS [ORDER [SHARE]]]`,
//! where ORDER is deadlines, sequential or rarest, and SHARE a rate of the content in hundredths of the link.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use std::process::ExitCode;

use riverrun_sim::scenarios::streaming::{Company, LINK, Order, player, trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<u64>()).transpose();
    let orders = [("deadlines", Order::Deadlines), ("sequential", Order::Sequential), ("rarest", Order::RarestFirst)];
    let named = |name: &str| arguments.get(1).is_none_or(|wanted| wanted == name);
    let orders: Vec<Order> = orders.into_iter().filter(|(name, _)| named(name)).map(|(_, order)| order).collect();
    let (Ok(seeds), Ok(share), false) = (number(0), number(2), orders.is_empty()) else {
        eprintln!("usage: streaming [SEEDS [deadlines|sequential|rarest [SHARE]]]");
        return ExitCode::from(2);
    };
    let shares = share.map_or_else(|| vec![50, 80, 95], |share| vec![share]);
    println!("company,order,share_of_link,seed,start_ms,stalls,stalled_ms,wasted_bytes,down_bytes");
    for company in [Company::Steady, Company::Churn, Company::BlackHoles] {
        for order in &orders {
            for share in &shares {
                for seed in 0..seeds.unwrap_or(5) {
                    let (world, played) = trial(seed.into(), LINK * share / 100, company, *order);
                    let (wasted, down) = world.waste_of(player(&world));
                    let (start, stalls, stalled) = match played {
                        Ok(played) => (
                            played.start.as_millis().to_string(),
                            played.stalls.to_string(),
                            played.stalled.as_millis().to_string(),
                        ),
                        Err(violation) => {
                            eprintln!("{company:?} {order:?} {share} {seed}: {violation}");
                            return ExitCode::FAILURE;
                        }
                    };
                    let share = format!("0.{share:02}");
                    println!("{company:?},{order:?},{share},{seed},{start},{stalls},{stalled},{wasted},{down}");
                }
            }
        }
    }
    ExitCode::SUCCESS
}
