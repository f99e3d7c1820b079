//! The tasks of a listener's connections, which end with it. A place among them is 8 bytes, where that
//! of a `JoinSet` is 64, and nobody is woken when a connection ends.

use std::future::Future;

use tokio::task::AbortHandle;

/// Tasks that end when it is dropped.
#[derive(Default)]
pub(super) struct Connections {
    tasks: Vec<AbortHandle>,
    /// How many there may be until those that are over are looked for.
    enough: usize,
}

impl Connections {
    /// Serves a connection in a task of its own.
    pub(super) fn spawn(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        if self.tasks.len() >= self.enough {
            self.forget_ended();
        }
        self.tasks.push(tokio::spawn(connection).abort_handle());
    }

    /// Forgets the tasks that are over: a place keeps the memory of its task. So there are never many
    /// more places than connections, and a new connection has to look at five of them on average.
    fn forget_ended(&mut self) {
        self.tasks.retain(|task| !task.is_finished());
        let open = self.tasks.len();
        self.enough = open + open / 4 + FEW;
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Places of connections that are over, however few are open.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn connections_end_with_it_and_those_that_ended_are_forgotten() {
        let open = Arc::new(());
        let mut connections = Connections::default();
        for _ in 0..100 {
            let held = Arc::clone(&open);
            connections.spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        for _ in 0..10_000 {
            connections.spawn(async {});
            tokio::task::yield_now().await;
        }
        assert!(connections.tasks.len() <= 100 + 25 + FEW);
        assert_eq!(Arc::strong_count(&open), 101);
        drop(connections);
        while Arc::strong_count(&open) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
