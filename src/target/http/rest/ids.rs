//! Ids of the platform's form (RFC 9562) that lead back to what they name.

use serde_json::{Value, json};
use uuid::Uuid;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Device = 1,
    Profile = 2,
    Credentials = 3,
    Tenant = 4,
}

/// The id of a thing.
pub(super) fn id(kind: Kind, position: u32) -> String {
    Uuid::from_u64_pair(OWN | kind as u64, u64::from(position) | VARIANT).to_string()
}

/// The position of the thing that an id names; `None` if it names no such thing of this target.
pub(super) fn position(kind: Kind, id: &str) -> Option<u32> {
    let (high, low) = id.parse::<Uuid>().ok()?.as_u64_pair();
    (high == OWN | kind as u64)
        .then_some(low ^ VARIANT)
        .and_then(|low| u32::try_from(low).ok())
}

/// As entities name each other.
pub(super) fn entity(kind: Kind, position: u32) -> Value {
    let name = match kind {
        Kind::Device => "DEVICE",
        Kind::Profile => "DEVICE_PROFILE",
        Kind::Credentials => "DEVICE_CREDENTIALS",
        Kind::Tenant => "TENANT",
    };
    json!({"entityType": name, "id": id(kind, position)})
}

/// Version 8, which is for whatever one likes.
const OWN: u64 = 0xf1ee_7ca1_1000_8000;

const VARIANT: u64 = 0x8000_0000_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_thing_and_to_no_other_kind() {
        let one = id(Kind::Device, 7);
        assert_eq!(position(Kind::Device, &one), Some(7));
        assert_eq!(position(Kind::Profile, &one), None);
        assert_eq!(
            position(Kind::Device, "13814000-1dd2-11b2-8080-808080808080"),
            None
        );
        assert_eq!(position(Kind::Device, "7"), None);
    }
}
