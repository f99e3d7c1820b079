//! What a gateway hears for those behind it.

use super::super::Device;
use super::Standing;
use crate::dialect::HeardBehind;
use crate::metrics::{DownlinkCounts, GatewayCounts};
use crate::model::fnv;
use crate::transport::Delivery;

impl Device<'_> {
    /// Takes in what came for those behind it.
    pub(in crate::engine::device) fn hear_behind(&mut self, delivery: &Delivery) {
        let dialect = self.worker.fleet.dialect(self.ix);
        let heard = dialect.heard_behind(&delivery.source, &delivery.body);
        let (mut gateway, mut downlink) = (GatewayCounts::default(), DownlinkCounts::default());
        match heard {
            Ok(HeardBehind::Closed(name, _)) => {
                gateway.closed = 1;
                match self.position_of(&name) {
                    Some(sub) => self.let_go(sub),
                    None => gateway.strangers = 1,
                }
            }
            Ok(HeardBehind::For(name, heard)) => match self.position_of(&name) {
                Some(sub) => self.take_in(&heard, Some(sub), delivery, &mut downlink),
                None => gateway.strangers = 1,
            },
            Err(_) => downlink.garbled = 1,
        }
        self.count_gateway(&gateway);
        self.count_downlink(&downlink);
    }

    /// The server has let it go.
    fn let_go(&mut self, sub: u32) {
        if let Some(behind) = &mut self.behind {
            let standing = &mut behind.standing[sub as usize];
            if *standing == Standing::Connected {
                *standing = Standing::Away;
            }
        }
    }

    /// The position of the one that has this name.
    fn position_of(&mut self, name: &str) -> Option<u32> {
        let devices = self.gateway()?.devices;
        if self.behind.as_ref()?.index.is_empty() {
            let hash = |sub| Some((fnv(&self.name_behind(sub)?), sub));
            let mut index: Vec<_> = (0..devices).filter_map(hash).collect();
            index.sort_unstable();
            self.behind.as_mut()?.index = index.into();
        }
        let (index, wanted) = (&self.behind.as_ref()?.index, fnv(name));
        let first = index.partition_point(|(hash, _)| *hash < wanted);
        let same = index[first..]
            .iter()
            .take_while(|(hash, _)| *hash == wanted);
        same.map(|(_, sub)| *sub)
            .find(|sub| self.name_behind(*sub).as_deref() == Some(name))
    }
}
