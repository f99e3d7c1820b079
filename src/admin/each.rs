//! The same for each of many, a bounded number at a time, the results in order.

use std::pin::pin;
use std::task::Poll;

/// Work for each of some items.
pub(super) struct Each<'i, T, F> {
    items: &'i [T],
    at_once: usize,
    work: F,
}

/// Work for each item, so many at a time.
pub(super) fn each<'i, T, W, F>(items: &'i [T], at_once: usize, work: F) -> Each<'i, T, F>
where
    F: Fn(&'i T) -> W,
{
    Each {
        items,
        at_once: at_once.max(1),
        work,
    }
}

impl<'i, T, F> Each<'i, T, F> {
    /// All results in order, or the first error. `progress` is told of each result.
    pub(super) async fn run<R, E, W>(self, mut progress: impl FnMut()) -> Result<Vec<R>, E>
    where
        F: Fn(&'i T) -> W,
        W: Future<Output = Result<R, E>>,
    {
        let mut results: Vec<Option<R>> = self.items.iter().map(|_| None).collect();
        let mut waiting = self.items.iter().enumerate();
        let mut under_way = Vec::new();
        loop {
            while under_way.len() < self.at_once
                && let Some((n, item)) = waiting.next()
            {
                under_way.push((n, Box::pin((self.work)(item))));
            }
            if under_way.is_empty() {
                break;
            }
            let (at, result) = first(&mut under_way).await;
            let (n, _) = under_way.swap_remove(at);
            results[n] = Some(result?);
            progress();
        }
        Ok(results.into_iter().flatten().collect())
    }
}

/// The first of some futures to be ready, by its position.
async fn first<W: Future + Unpin>(futures: &mut [(usize, W)]) -> (usize, W::Output) {
    std::future::poll_fn(|context| {
        for (at, (_, future)) in futures.iter_mut().enumerate() {
            if let Poll::Ready(result) = pin!(future).poll(context) {
                return Poll::Ready((at, result));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn results_are_in_order_and_no_more_than_so_many_run() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let items: Vec<u64> = (0..50).collect();
        let work = async |n: &u64| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::time::sleep(std::time::Duration::from_millis(50 - n)).await;
            running.set(running.get() - 1);
            Ok::<u64, ()>(*n)
        };
        let mut told = 0;
        let results = each(&items, 7, work).run(|| told += 1).await;
        assert_eq!(results.unwrap(), items);
        assert_eq!((most.get(), told), (7, 50));
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        let work = async |n: &u64| if *n == 3 { Err("three") } else { Ok(()) };
        let result = each(&[1, 2, 3, 4], 2, work).run(|| ()).await;
        assert_eq!(result, Err("three"));
    }
}
