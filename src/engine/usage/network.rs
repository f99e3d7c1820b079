//! Counters of the network stack, by `/proc/net/snmp` and `/proc/net/netstat`.

use std::fs;

use crate::metrics::Network;

/// Since the network namespace began.
pub(super) fn counters() -> Network {
    let snmp = fs::read_to_string("/proc/self/net/snmp").unwrap_or_default();
    let netstat = fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    Network {
        udp_overflows: counter(&snmp, "Udp: ", "RcvbufErrors"),
        tcp_sent: counter(&snmp, "Tcp: ", "OutSegs"),
        tcp_sent_again: counter(&snmp, "Tcp: ", "RetransSegs"),
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
    fn this_machine_is_read_as_it_is() {
        let counters = counters();
        assert!(counters.udp_overflows.is_some() && counters.listen_drops.is_some());
        assert!(counters.tcp_sent >= counters.tcp_sent_again);
    }
}
