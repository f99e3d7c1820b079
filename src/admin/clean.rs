//! Deletes what an import or a run created, and nothing that was there before.

use super::each::each;
use crate::rest::{Client, Device, RestError};

/// Of these names, the devices that were created at or after a time, by the server's clock in ms
/// since 1970: those to delete.
pub async fn created_since(
    client: &Client,
    names: &[String],
    since: i64,
    at_once: usize,
    mut progress: impl FnMut(),
) -> Result<Vec<Device>, RestError> {
    let found = each(names, at_once, |name| client.device_named(name));
    let found = found.run(&mut progress).await?;
    let found = found.into_iter().flatten();
    Ok(found.filter(|device| device.created >= since).collect())
}

/// Deletes devices; how many were still there.
pub async fn delete(
    client: &Client,
    devices: &[Device],
    at_once: usize,
    mut progress: impl FnMut(),
) -> Result<usize, RestError> {
    let deleted = each(devices, at_once, |device| client.delete_device(&device.id));
    let deleted = deleted.run(&mut progress).await?;
    Ok(deleted.into_iter().filter(|was_there| *was_there).count())
}
