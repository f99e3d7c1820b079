//! `limits.sources`: the addresses of this machine that connections are spread over.

use std::net::{IpAddr, Ipv4Addr};

/// Reads addresses, ranges (`10.0.0.5-10.0.0.20`) and networks (`127.0.1.0/24`), with commas between
/// them, in that order and each once. An IPv4 network's first and last address are no host's and left
/// out, up to /30. The error says what a part should be.
pub(super) fn sources(text: &str) -> Result<Vec<IpAddr>, String> {
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        let found = one(part).or_else(|| range(part)).or_else(|| network(part));
        let found = found.ok_or_else(|| {
            format!("`{part}` is no address, range of IPv4 addresses or IPv4 network")
        })?;
        for ip in found {
            if !all.contains(&ip) {
                all.push(ip);
            }
            if all.len() > MOST {
                return Err(format!("more than {MOST} addresses"));
            }
        }
    }
    Ok(all)
}

fn one(part: &str) -> Option<Vec<IpAddr>> {
    Some(vec![part.parse().ok()?])
}

fn range(part: &str) -> Option<Vec<IpAddr>> {
    let (first, last) = part.split_once('-')?;
    let first: Ipv4Addr = first.trim().parse().ok()?;
    let last: Ipv4Addr = last.trim().parse().ok()?;
    between(u32::from(first), u32::from(last))
}

fn network(part: &str) -> Option<Vec<IpAddr>> {
    let (address, length) = part.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
    let first = u32::from(address) & !hosts;
    match length {
        31 | 32 => between(first, first + hosts),
        _ => between(first + 1, first + hosts - 1),
    }
}

/// Both ends included; `None` when there are none or very many.
fn between(first: u32, last: u32) -> Option<Vec<IpAddr>> {
    let few = first <= last && last - first <= MOST as u32;
    few.then(|| (first..=last).map(|ip| IpAddr::V4(ip.into())).collect())
}

/// More would not help: one address has some 28,000 ports for each server.
const MOST: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let all = sources(text).unwrap();
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_ranges_and_networks_are_read_in_order_and_once() {
        assert_eq!(
            read("10.0.0.9, 10.0.0.1-10.0.0.3,10.0.0.2, ::1"),
            ["10.0.0.9", "10.0.0.1", "10.0.0.2", "10.0.0.3", "::1"]
        );
        assert_eq!(read("127.0.1.77/30"), ["127.0.1.77", "127.0.1.78"]);
        assert_eq!(read("127.0.1.4/31"), ["127.0.1.4", "127.0.1.5"]);
        assert_eq!(read("127.0.1.4/32"), ["127.0.1.4"]);
        let whole = read("127.0.1.0/24");
        assert_eq!((whole.len(), whole[0].as_str()), (254, "127.0.1.1"));
    }

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.3-10.0.0.1",
            "10.0.0.0/33",
            "fe80::/64",
            "localhost",
        ] {
            let error = sources(text).unwrap_err();
            assert!(error.contains("is no address"), "{error}");
        }
        assert!(sources("10.0.0.0/8").is_err());
    }
}
