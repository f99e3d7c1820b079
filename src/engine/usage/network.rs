//! Figures of the network stack, by `/proc/net/snmp`, `/proc/net/netstat` and `/proc/net/sockstat`.

use std::fs;

use crate::metrics::Network;

/// Counts since the network namespace began, and the sockets that are there.
pub(super) fn figures() -> Network {
    let snmp = fs::read_to_string("/proc/self/net/snmp").unwrap_or_default();
    let netstat = fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    // A socket for IPv4 and one for IPv6 take ports alike.
    let sockets = ["sockstat", "sockstat6"]
        .map(|file| fs::read_to_string(format!("/proc/self/net/{file}")).unwrap_or_default())
        .concat();
    Network {
        udp_overflows: counter(&snmp, "Udp: ", "RcvbufErrors"),
        udp_sockets: sockets_of(&sockets, &["UDP:", "UDP6:"]),
        tcp_sockets: sockets_of(&sockets, &["TCP:", "TCP6:"]),
        tcp_sent: counter(&snmp, "Tcp: ", "OutSegs"),
        tcp_sent_again: counter(&snmp, "Tcp: ", "RetransSegs"),
        tcp_spurious: counter(&netstat, "TcpExt: ", "TCPDSACKRecvSegs"),
        listen_overflows: counter(&netstat, "TcpExt: ", "ListenOverflows"),
        listen_drops: counter(&netstat, "TcpExt: ", "ListenDrops"),
    }
}

/// The value below a name: each protocol has a line of names, then one of values.
fn counter(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol));
    let place = lines.next()?.split(' ').position(|found| found == name)?;
    lines.next()?.split(' ').nth(place)?.parse().ok()
}

/// How many sockets of these protocols hold a port: lines such as `TCP: inuse 5 orphan 0 tw 3`.
fn sockets_of(text: &str, protocols: &[&str]) -> Option<u64> {
    let mut sum = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if !words.next().is_some_and(|word| protocols.contains(&word)) {
            continue;
        }
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            if ["inuse", "tw"].contains(&name) {
                let value: u64 = value.parse().ok()?;
                sum = Some(u64::saturating_add(sum.unwrap_or(0), value));
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNMP: &str = "Tcp: RtoAlgorithm MaxConn OutSegs RetransSegs\nTcp: 1 -1 2357440 13510\n\
        Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n\
        Udp: 235258 3635 9 238970 7 0\nUdpLite: InDatagrams RcvbufErrors\nUdpLite: 5 99\n";

    #[test]
    fn a_counter_is_found_by_protocol_and_name() {
        assert_eq!(counter(SNMP, "Udp: ", "RcvbufErrors"), Some(7));
        assert_eq!(counter(SNMP, "Tcp: ", "RetransSegs"), Some(13_510));
        assert_eq!(counter(SNMP, "UdpLite: ", "RcvbufErrors"), Some(99));
    }

    #[test]
    fn what_is_not_there_or_no_count_is_none() {
        for (protocol, name) in [
            ("Tcp: ", "MaxConn"),
            ("Tcp: ", "ListenDrops"),
            ("Icmp: ", "InErrors"),
            ("Udp: ", ""),
        ] {
            assert_eq!(counter(SNMP, protocol, name), None, "{protocol}{name}");
        }
        for text in [
            "",
            "Udp: ",
            "Udp: A\n",
            "Udp: A\nUdp: \n",
            "Udp: A B\nUdp: 1\n",
        ] {
            assert_eq!(counter(text, "Udp: ", "B"), None, "{text:?}");
        }
    }

    #[test]
    fn sockets_add_up_over_both_families_with_those_that_linger() {
        let text = "sockets: used 17\nTCP: inuse 50 orphan 2 tw 300 alloc 90 mem 7\n\
            UDP: inuse 4 mem 124\nTCP6: inuse 6\nUDP6: inuse 1\nRAW: inuse 9\n";
        assert_eq!(sockets_of(text, &["TCP:", "TCP6:"]), Some(356));
        assert_eq!(sockets_of(text, &["UDP:", "UDP6:"]), Some(5));
        for odd in ["", "TCP:", "TCP: inuse", "TCP: inuse -1", "TCP: mem 5"] {
            assert_eq!(sockets_of(odd, &["TCP:"]), None, "{odd:?}");
        }
    }

    #[test]
    fn this_machine_is_read_as_it_is() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let figures = figures();
        assert!(figures.udp_overflows.is_some() && figures.listen_drops.is_some());
        assert!(figures.tcp_sent >= figures.tcp_sent_again);
        assert!(figures.tcp_spurious.is_some());
        assert!(figures.udp_sockets >= Some(1), "{socket:?}: {figures:?}");
        assert!(figures.tcp_sockets.is_some());
    }
}
